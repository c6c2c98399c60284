//! Postfix's `smtp-sink`: takes every message, throws it away and counts.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Where Debian puts it.
const BINARY: &str = "/usr/sbin/smtp-sink";
/// Connections that may wait.
const BACKLOG: &str = "256";

/// A running sink; it ends when this is dropped.
pub struct Sink {
    _child: Child,
    messages: Arc<AtomicU64>,
}

impl Sink {
    /// Starts it, and waits until it listens.
    pub async fn start(address: SocketAddr) -> Result<Self> {
        let mut command = Command::new(BINARY);
        // SAFETY: geteuid reads the process's own id.
        if unsafe { libc::geteuid() } == 0 {
            command.args(["-u", "nobody"]);
        }
        command.args(["-c", &address.to_string(), BACKLOG]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {BINARY}: `deploy/prerequisites bench` installs it"))?;
        let stdout = child.stdout.take().context("smtp-sink has no output")?;
        let messages = Arc::new(AtomicU64::new(0));
        tokio::spawn(read(BufReader::new(stdout), messages.clone()));
        for _ in 0..100 {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(Sink { _child: child, messages });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("smtp-sink does not listen on {address}")
    }

    /// Messages it has taken.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}

/// It writes `sess=1 quit=1 mesg=1` and a carriage return whenever something happened.
async fn read(mut output: BufReader<tokio::process::ChildStdout>, messages: Arc<AtomicU64>) {
    let mut line = Vec::new();
    while output.read_until(b'\r', &mut line).await.is_ok_and(|n| n > 0) {
        if let Some(count) = messages_of(&line) {
            messages.store(count, Ordering::Relaxed);
        }
        line.clear();
    }
}

fn messages_of(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    text.split_whitespace().find_map(|word| word.strip_prefix("mesg="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_its_line() {
        assert_eq!(messages_of(b"sess=2 quit=2 mesg=31\r"), Some(31));
        assert_eq!(messages_of(b"sess=2 quit=2\r"), None);
    }
}
