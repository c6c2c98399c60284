//! A small ManageSieve client (RFC 5804): enough to put a script in force and to take it out again.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::connection::Connection;

/// One session that is signed in.
pub struct ManageSieve {
    connection: Connection,
}

impl ManageSieve {
    /// Connects and signs in with PLAIN (RFC 4616).
    pub async fn open(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        let mut this = Self { connection: Connection::open(address).await? };
        this.ok("the greeting").await?;
        let secret = STANDARD.encode(format!("\0{user}\0{password}"));
        this.must(&format!("AUTHENTICATE \"PLAIN\" \"{secret}\"")).await?;
        Ok(this)
    }

    /// Stores a script and makes it the active one.
    pub async fn activate(&mut self, name: &str, script: &str) -> Result<()> {
        self.must(&format!("PUTSCRIPT \"{name}\" {{{}+}}\r\n{script}", script.len())).await?;
        self.must(&format!("SETACTIVE \"{name}\"")).await
    }

    /// Leaves the account without an active script.
    pub async fn deactivate(&mut self) -> Result<()> {
        self.must("SETACTIVE \"\"").await
    }

    async fn must(&mut self, command: &str) -> Result<()> {
        self.connection.send(command.as_bytes()).await?;
        self.connection.send(b"\r\n").await?;
        self.ok(command.split_whitespace().next().unwrap_or("")).await
    }

    /// Reads up to the response's last line (RFC 5804 §1.2).
    async fn ok(&mut self, what: &str) -> Result<()> {
        loop {
            let line = self.connection.line().await?;
            if line.starts_with(b"OK") {
                return Ok(());
            }
            if line.starts_with(b"NO") || line.starts_with(b"BYE") {
                bail!("the server refused {what}: {}", String::from_utf8_lossy(line).trim_end());
            }
        }
    }
}
