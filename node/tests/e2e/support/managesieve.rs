//! A ManageSieve client (RFC 5804): puts a script in force.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire::Wire;

/// Stores a script on an account and makes it the active one.
pub fn activate(port: u16, user: &str, password: &str, name: &str, script: &str) -> io::Result<()> {
    let mut wire = Wire::open(port)?;
    ok(&mut wire)?;
    let secret = STANDARD.encode(format!("\0{user}\0{password}"));
    for command in [
        format!("AUTHENTICATE \"PLAIN\" \"{secret}\""),
        format!("PUTSCRIPT \"{name}\" {{{}+}}\r\n{script}", script.len()),
        format!("SETACTIVE \"{name}\""),
        "LOGOUT".to_owned(),
    ] {
        wire.send(format!("{command}\r\n").as_bytes())?;
        ok(&mut wire)?;
    }
    Ok(())
}

fn ok(wire: &mut Wire) -> io::Result<()> {
    loop {
        let line = wire.text()?;
        if line.starts_with("OK") {
            return Ok(());
        }
        if line.starts_with("NO") || line.starts_with("BYE") {
            return Err(io::Error::other(line));
        }
    }
}
