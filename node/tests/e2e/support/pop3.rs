//! A POP3 client (RFC 1939).

use std::io;

use super::wire::Wire;

/// One session.
pub struct Pop3 {
    wire: Wire,
}

impl Pop3 {
    pub fn login(port: u16, user: &str, password: &str) -> io::Result<Self> {
        let mut this = Self { wire: Wire::open(port)? };
        this.ok()?;
        this.command(&format!("USER {user}"))?;
        this.command(&format!("PASS {password}"))?;
        Ok(this)
    }

    fn ok(&mut self) -> io::Result<String> {
        let line = self.wire.text()?;
        if line.starts_with("+OK") { Ok(line) } else { Err(io::Error::other(line)) }
    }

    /// A command that must succeed.
    pub fn command(&mut self, command: &str) -> io::Result<String> {
        self.wire.send(format!("{command}\r\n").as_bytes())?;
        self.ok()
    }

    /// RETR: the message with its dots unstuffed.
    pub fn retrieve(&mut self, number: usize) -> io::Result<Vec<u8>> {
        self.command(&format!("RETR {number}"))?;
        let mut message = Vec::new();
        loop {
            let line = self.wire.line()?;
            if line == b".\r\n" {
                return Ok(message);
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// STAT: how many messages there are.
    pub fn count(&mut self) -> io::Result<usize> {
        let line = self.command("STAT")?;
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| io::Error::other(line))
    }
}
