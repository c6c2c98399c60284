//! A small IMAP client.

use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use zcluster_runtime::timeout;

/// The longest response to wait for.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(45);
/// The largest literal that is read.
const LITERAL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection.
pub struct Imap {
    io: BufReader<TcpStream>,
    tag: u32,
}

impl Imap {
    /// Connects and signs in.
    ///
    /// # Errors
    /// Nobody there, or not let in.
    pub async fn connect(port: u16, user: &str, password: &str) -> Result<Imap> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address}"))?;
        stream.set_nodelay(true)?;
        let mut imap = Imap { io: BufReader::new(stream), tag: 0 };
        imap.response(RESPONSE_TIMEOUT).await?;
        imap.ask(&format!("LOGIN \"{user}\" \"{password}\"")).await?;
        Ok(imap)
    }

    /// One command; the untagged responses (literals in place) when it was answered OK.
    ///
    /// # Errors
    /// NO, BAD, BYE, or a broken connection.
    pub async fn ask(&mut self, command: &str) -> Result<Vec<String>> {
        let tag = self.send(command).await?;
        self.until_tagged(&tag).await
    }

    async fn send(&mut self, command: &str) -> Result<String> {
        self.tag += 1;
        let tag = format!("d{}", self.tag);
        self.io.write_all(format!("{tag} {command}\r\n").as_bytes()).await?;
        Ok(tag)
    }

    async fn until_tagged(&mut self, tag: &str) -> Result<Vec<String>> {
        let mut untagged = Vec::new();
        loop {
            let response = self.response(RESPONSE_TIMEOUT).await?;
            match response.strip_prefix(tag).map(str::trim_start) {
                Some(rest) if rest.starts_with("OK") => return Ok(untagged),
                Some(rest) => bail!("{}", rest.trim_end()),
                None if response.starts_with("* BYE") => bail!("{}", response.trim_end()),
                None => untagged.push(response),
            }
        }
    }

    /// Idles for so long; what was told meanwhile.
    ///
    /// # Errors
    /// See [`ask`](Self::ask).
    pub async fn idle(&mut self, time: Duration) -> Result<Vec<String>> {
        let tag = self.send("IDLE").await?;
        let mut told = Vec::new();
        let until = zcluster_runtime::Instant::now() + time;
        loop {
            match self.response(until.remaining()).await {
                Ok(response) if response.starts_with("* BYE") => bail!("{}", response.trim_end()),
                Ok(response) => told.push(response),
                Err(e) if e.is::<zcluster_runtime::Elapsed>() => break,
                Err(e) => return Err(e),
            }
        }
        self.io.write_all(b"DONE\r\n").await?;
        told.extend(self.until_tagged(&tag).await?);
        Ok(told)
    }

    /// One response with its literals. A timeout loses nothing as long as it hits between responses.
    async fn response(&mut self, wait: Duration) -> Result<String> {
        // Waiting for the first byte is what may take long; it consumes nothing.
        if timeout(wait, self.io.fill_buf()).await??.is_empty() {
            bail!("the server closed the connection");
        }
        timeout(RESPONSE_TIMEOUT, self.whole_response()).await?
    }

    async fn whole_response(&mut self) -> Result<String> {
        let mut out = String::new();
        loop {
            let mut line = Vec::new();
            if self.io.read_until(b'\n', &mut line).await? == 0 {
                bail!("the server closed the connection");
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            out.push_str(&line);
            let Some(size) = literal_size(&line) else { return Ok(out) };
            if size > LITERAL_BYTES_MAX {
                bail!("a literal of {size} bytes");
            }
            let mut literal = vec![0; size];
            self.io.read_exact(&mut literal).await?;
            out.push_str(&String::from_utf8_lossy(&literal));
        }
    }
}

/// The size in a line that ends with `{n}` (RFC 3501 §4.3).
fn literal_size(line: &str) -> Option<usize> {
    let line = line.trim_end_matches(['\r', '\n']).strip_suffix('}')?;
    line[line.rfind('{')? + 1..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::literal_size;

    #[test]
    fn literals_are_seen_at_the_end_of_a_line_only() {
        assert_eq!(literal_size("* 1 FETCH (BODY[] {12}\r\n"), Some(12));
        assert_eq!(literal_size("* 1 FETCH (FLAGS ({3}))\r\n"), None);
        assert_eq!(literal_size("{}\r\n"), None);
    }
}
