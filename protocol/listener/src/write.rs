//! Writing: gathered in a buffer, sent in as few writes as the conversation allows.

use crate::connection::Connection;
use crate::shutdown::Stage;
use bytes::Buf;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use zcluster_runtime::Instant;

/// Bytes gathered before they are sent without being asked.
const GATHER_BYTES: usize = 32 * 1024;

/// Why nothing more can be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The client took no byte for too long.
    #[error("client does not read")]
    Timeout,
    /// The node is past waiting.
    #[error("shutting down")]
    Shutdown,
    /// The connection broke.
    #[error("connection broke: {0}")]
    Io(#[from] io::Error),
}

impl Connection {
    /// Appends to the output; sends only when much has gathered.
    ///
    /// # Errors
    /// [`WriteError`] when gathered output had to be sent and could not be. The connection is of no more use then.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        // A large piece goes out in steps, so that the buffer stays bounded.
        for piece in bytes.chunks(GATHER_BYTES) {
            self.output.extend_from_slice(piece);
            if self.output.len() >= GATHER_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Appends to the output without ever sending: for short replies. Use [`Connection::write`] for anything a client
    /// can make long.
    pub fn push(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        self.unflushed = true;
    }

    /// Sends everything written so far.
    ///
    /// # Errors
    /// [`WriteError`]; the connection is of no more use then.
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        if self.output.is_empty() && !self.unflushed {
            return Ok(());
        }
        let mut deadline = Instant::now() + self.write_timeout;
        poll_fn(|cx| {
            let before = self.output.len();
            if let Poll::Ready(done) = self.poll_send(cx) {
                return Poll::Ready(done.map_err(WriteError::Io));
            }
            if self.output.len() < before {
                deadline = Instant::now() + self.write_timeout;
            }
            if self.shutdown.poll(cx, Stage::Killed).is_ready() {
                return Poll::Ready(Err(WriteError::Shutdown));
            }
            self.poll_timer(cx, deadline).map(|()| Err(WriteError::Timeout))
        })
        .await
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unflushed = true;
        while !self.output.is_empty() {
            match self.io.get_mut().poll_write(cx, &self.output) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => self.output.advance(n),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self.io.get_mut().poll_flush(cx) {
            Poll::Ready(Ok(())) => self.unflushed = false,
            other => return other,
        }
        Poll::Ready(Ok(()))
    }
}
