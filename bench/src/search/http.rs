//! The node's administration over HTTPS, as far as the load needs it: one connection, one request at a time (RFC 9112).

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::connection::Connection;

/// A connection that is kept.
pub struct Http {
    connection: Connection,
    secret: String,
}

impl Http {
    /// Connects; `secret` is what the node's own commands show.
    pub async fn open(address: SocketAddr, secret: &str) -> Result<Self> {
        let connection = Connection::open(address).await?.start_tls().await?;
        Ok(Self { connection, secret: secret.to_owned() })
    }

    /// A request whose answer is one JSON value.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let mut all = Vec::new();
        self.pieces(path, body, |piece| all.extend_from_slice(piece)).await?;
        serde_json::from_slice(&all).with_context(|| format!("{path}: not JSON"))
    }

    /// A request whose answer is shown piece by piece, as it comes.
    pub async fn pieces(&mut self, path: &str, body: &Value, mut show: impl FnMut(&[u8])) -> Result<()> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.secret,
            body.len()
        );
        self.connection.send(request.as_bytes()).await?;
        let line = String::from_utf8_lossy(self.connection.line().await?).trim_end().to_owned();
        let (mut length, mut chunked) = (0, false);
        loop {
            let header = String::from_utf8_lossy(self.connection.line().await?).to_ascii_lowercase();
            match header.trim_end().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse()?,
                Some(("transfer-encoding", value)) => chunked = value.contains("chunked"),
                Some(_) => {}
                None => break,
            }
        }
        if !line.starts_with("HTTP/1.1 200") {
            let why = self.connection.take(length).await?;
            bail!("{path}: {line}: {}", String::from_utf8_lossy(&why));
        }
        if !chunked {
            show(&self.connection.take(length).await?);
            return Ok(());
        }
        loop {
            let size = String::from_utf8_lossy(self.connection.line().await?).trim_end().to_owned();
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16)?;
            if size > 0 {
                show(&self.connection.take(size).await?);
            }
            ensure!(self.connection.line().await? == b"\r\n", "{path}: a chunk does not end");
            if size == 0 {
                return Ok(());
            }
        }
    }
}
