//! One TCP connection with lines and counted bytes: all that LMTP, SMTP and IMAP clients need.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::tls;

/// How long a server may take for one reply before the load is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest line that is read; more means that the two sides have lost each other. THREAD of 100,000 messages is one
/// line of about a megabyte.
const LONGEST_LINE: usize = 16 << 20;

/// Plain TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is read line by line.
pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    line: Vec<u8>,
}

impl Connection {
    /// Connects, without Nagle's delay.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(16 * 1024, Box::new(stream)), line: Vec::new() })
    }

    /// TLS from here on, whoever the server says it is. Nothing may be left to read.
    pub async fn start_tls(self) -> Result<Self> {
        let stream = tls::connect(self.stream.into_inner()).await?;
        Ok(Self { stream: BufReader::with_capacity(16 * 1024, Box::new(stream)), line: self.line })
    }

    /// The same with a small buffer, for thousands of connections that idle.
    pub async fn open_small(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        Ok(Self { stream: BufReader::with_capacity(512, Box::new(stream)), line: Vec::new() })
    }

    /// Writes everything at once.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).await?;
        Ok(stream.flush().await?)
    }

    /// The next line, with its line end.
    pub async fn line(&mut self) -> Result<&[u8]> {
        self.line.clear();
        let read = self.stream.read_until(b'\n', &mut self.line);
        let count = tokio::time::timeout(PATIENCE, read).await.context("the server did not answer in time")??;
        if count == 0 {
            bail!("the server closed the connection");
        }
        if self.line.len() > LONGEST_LINE {
            bail!("the server sent a line of more than {LONGEST_LINE} bytes");
        }
        Ok(&self.line)
    }

    /// Reads and forgets so many bytes.
    pub async fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            let available = self.stream.fill_buf().await?.len() as u64;
            if available == 0 {
                bail!("the server closed the connection inside a literal");
            }
            let used = available.min(count);
            self.stream.consume(usize::try_from(used)?);
            count -= used;
        }
        Ok(())
    }

    /// Reads exactly so many bytes.
    pub async fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        if count > LONGEST_LINE {
            bail!("the server sent {count} bytes at once");
        }
        let mut bytes = vec![0; count];
        let read = self.stream.read_exact(&mut bytes);
        tokio::time::timeout(PATIENCE, read).await.context("the server did not answer in time")??;
        Ok(bytes)
    }

    /// A whole SMTP reply (RFC 5321 §4.2.1): its code and its last line.
    pub async fn reply(&mut self) -> Result<(u16, String)> {
        self.reply_lines(|_| ()).await
    }

    /// The same, showing every line.
    pub async fn reply_lines(&mut self, mut show: impl FnMut(&[u8])) -> Result<(u16, String)> {
        loop {
            let line = self.line().await?;
            let code = line.get(..3).and_then(|c| std::str::from_utf8(c).ok()).and_then(|c| c.parse::<u16>().ok());
            show(line);
            let Some(code) = code else {
                bail!("not an SMTP reply: {}", String::from_utf8_lossy(line));
            };
            if line.get(3) != Some(&b'-') {
                return Ok((code, String::from_utf8_lossy(line).into_owned()));
            }
        }
    }

    /// A reply that must have this code.
    pub async fn expect(&mut self, wanted: u16) -> Result<()> {
        let (code, line) = self.reply().await?;
        if code != wanted {
            bail!("the server answered {} where {wanted} was due", line.trim_end());
        }
        Ok(())
    }
}
