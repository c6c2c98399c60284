//! A small SMTP and LMTP client.

use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use zcluster_runtime::timeout;

/// The longest reply to wait for. A server may retry inside its own deadline, which is shorter.
const REPLY_TIMEOUT: Duration = Duration::from_secs(45);
/// Lines of one reply.
const REPLY_LINES_MAX: usize = 100;

/// A connection.
pub struct Smtp(BufReader<TcpStream>);

/// A reply that was not what was wanted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Refused {
    /// Whether the same may be tried again later.
    pub fn is_temporary(&self) -> bool {
        self.0.starts_with('4')
    }
}

impl Smtp {
    /// Connects and says hello; `lmtp` chooses the language.
    ///
    /// # Errors
    /// Nobody there, or not willing.
    pub async fn connect(port: u16, lmtp: bool) -> Result<Smtp> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address}"))?;
        stream.set_nodelay(true)?;
        let mut smtp = Smtp(BufReader::new(stream));
        smtp.expect('2').await?;
        smtp.ask(if lmtp { "LHLO demo.zcluster.internal" } else { "EHLO demo.zcluster.internal" }, '2').await?;
        Ok(smtp)
    }

    /// Delivers one message to one recipient.
    ///
    /// # Errors
    /// [`Refused`], or a broken connection.
    pub async fn deliver(&mut self, from: &str, to: &str, message: &str) -> Result<()> {
        let outcome = self.transaction(from, to, message).await;
        if outcome.as_ref().is_err_and(|e| e.is::<Refused>()) {
            // The next transaction begins afresh.
            self.ask("RSET", '2').await?;
        }
        outcome
    }

    async fn transaction(&mut self, from: &str, to: &str, message: &str) -> Result<()> {
        self.ask(&format!("MAIL FROM:<{from}>"), '2').await?;
        self.ask(&format!("RCPT TO:<{to}>"), '2').await?;
        self.ask("DATA", '3').await?;
        let mut data = String::with_capacity(message.len() + 64);
        for line in message.lines() {
            // RFC 5321 §4.5.2: transparency.
            if line.starts_with('.') {
                data.push('.');
            }
            data.push_str(line);
            data.push_str("\r\n");
        }
        data.push('.');
        self.ask(&data, '2').await
    }

    async fn ask(&mut self, line: &str, want: char) -> Result<()> {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.expect(want).await
    }

    async fn expect(&mut self, want: char) -> Result<()> {
        for _ in 0..REPLY_LINES_MAX {
            let mut line = String::new();
            if timeout(REPLY_TIMEOUT, self.0.read_line(&mut line)).await?? == 0 {
                bail!("the server closed the connection");
            }
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            return if line.starts_with(want) { Ok(()) } else { Err(Refused(line.trim_end().to_string()).into()) };
        }
        bail!("the reply does not end")
    }
}
