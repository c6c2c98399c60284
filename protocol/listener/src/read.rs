//! Reading: lines, chunks, and the buffer behind them.

use crate::connection::{Connection, Overlong};
use crate::shutdown::Stage;
use crate::write::WriteError;
use bytes::{Buf, Bytes, BytesMut};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;
use zcluster_runtime::Instant;

/// Bytes asked of the stream at once. They land on the polling thread's stack, so that a connection that waits holds
/// no buffer.
const READ_BYTES: usize = 16 * 1024;
/// Bytes of an over-long line that are thrown away before the connection is given up.
pub const DRAIN_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an over-long line that [`ReadError::TooLong`] shows.
pub const TOO_LONG_START_MAX: usize = 256;
/// Bytes of its end that are kept.
pub const TOO_LONG_END_MAX: usize = 32;

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// CR LF, as the protocols want it.
    CrLf,
    /// LF alone.
    Lf,
}

/// A line without its ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The bytes before the ending.
    pub bytes: Bytes,
    /// The ending.
    pub ending: Ending,
}

impl Deref for Line {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What is kept of a line that was too long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LongLine {
    /// Its first bytes, at most [`TOO_LONG_START_MAX`]: an IMAP tag to answer to.
    pub start: Bytes,
    /// Its last bytes without the ending, at most [`TOO_LONG_END_MAX`]: an IMAP literal's header, whose literal the
    /// client sends next.
    pub end: Bytes,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The line was longer than allowed. It has been thrown away up to its LF; the next read begins behind it.
    #[error("line too long")]
    TooLong(LongLine),
    /// The client closed; a last line without an ending is not delivered.
    #[error("connection closed by the client")]
    Eof,
    /// The client was silent for too long, or did not take what it was sent.
    #[error("timed out")]
    Timeout,
    /// The node stops: say goodbye.
    #[error("shutting down")]
    Shutdown,
    /// Plain text was sent behind STARTTLS.
    #[error("plain text after STARTTLS")]
    Injected,
    /// The connection broke, or a line of more than [`DRAIN_BYTES_MAX`] was sent.
    #[error("connection broke: {0}")]
    Io(#[from] io::Error),
}

impl From<WriteError> for ReadError {
    fn from(e: WriteError) -> Self {
        match e {
            WriteError::Timeout => ReadError::Timeout,
            WriteError::Shutdown => ReadError::Shutdown,
            WriteError::Io(e) => ReadError::Io(e),
        }
    }
}

impl Connection {
    /// The next line of at most `max` bytes without its ending. Sends what was written before it waits.
    ///
    /// # Errors
    /// [`ReadError`]; after `TooLong` the session can go on. `Shutdown` comes only when no complete line is there yet.
    pub async fn read_line(&mut self, max: usize) -> Result<Line, ReadError> {
        loop {
            if let Some(line) = self.line_from_input(max)? {
                return Ok(line);
            }
            self.fill_until(Stage::Draining).await?;
        }
    }

    /// Whether a complete line can be read without waiting.
    pub fn has_line(&self) -> bool {
        self.input[self.scanned.min(self.input.len())..].contains(&b'\n')
    }

    /// The bytes read from the client but not yet taken.
    pub fn buffered(&self) -> &[u8] {
        &self.input
    }

    /// Takes the first `n` buffered bytes away (all, if there are fewer).
    pub fn consume(&mut self, n: usize) {
        self.input.advance(n.min(self.input.len()));
        self.scanned = 0;
    }

    /// Waits for more input and appends it to [`Connection::buffered`]; sends what was written first. Unlike
    /// [`Connection::read_line`] it goes on while the node drains, so that a message under way is taken in.
    ///
    /// # Errors
    /// Any [`ReadError`] but `TooLong`.
    pub async fn fill(&mut self) -> Result<(), ReadError> {
        self.fill_until(Stage::Killed).await
    }

    /// The same between two requests of a protocol without lines: ends when the node drains.
    ///
    /// # Errors
    /// Any [`ReadError`] but `TooLong`.
    pub async fn fill_between(&mut self) -> Result<(), ReadError> {
        self.fill_until(Stage::Draining).await
    }

    /// Appends what has come in already, if anything has; neither waits nor sends. For a session that answers at length
    /// and must hear what the client says meanwhile.
    ///
    /// # Errors
    /// `Eof` or `Io`.
    pub async fn fill_now(&mut self) -> Result<bool, ReadError> {
        poll_fn(|cx| {
            Poll::Ready(match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => Err(ReadError::Eof),
                Poll::Ready(Ok(_)) => Ok(true),
                Poll::Ready(Err(e)) => Err(e.into()),
                Poll::Pending => Ok(false),
            })
        })
        .await
    }

    /// Between 1 and `max` bytes, as they come.
    ///
    /// # Errors
    /// Any [`ReadError`] but `TooLong`.
    pub async fn read_chunk(&mut self, max: usize) -> Result<Bytes, ReadError> {
        if self.input.is_empty() {
            self.fill().await?;
        }
        let n = max.min(self.input.len());
        self.scanned = 0;
        if n == self.input.len() {
            return Ok(std::mem::take(&mut self.input).freeze());
        }
        Ok(self.input.split_to(n).freeze())
    }

    /// Exactly `n` bytes in one piece; the caller bounds `n`. Larger things are better read in chunks.
    ///
    /// # Errors
    /// Any [`ReadError`] but `TooLong`.
    pub async fn read_exact(&mut self, n: usize) -> Result<Bytes, ReadError> {
        while self.input.len() < n {
            self.fill().await?;
        }
        self.scanned = 0;
        Ok(self.input.split_to(n).freeze())
    }

    /// Throws `n` bytes of input away as they come.
    ///
    /// # Errors
    /// Any [`ReadError`] but `TooLong`. Not to be cancelled: what was thrown away is not remembered.
    pub async fn discard(&mut self, mut n: u64) -> Result<(), ReadError> {
        while n > 0 {
            if self.input.is_empty() {
                self.fill().await?;
            }
            let now = usize::try_from(n).unwrap_or(usize::MAX).min(self.input.len());
            self.consume(now);
            n -= now as u64;
        }
        Ok(())
    }

    fn line_from_input(&mut self, max: usize) -> Result<Option<Line>, ReadError> {
        let Some(at) = self.input[self.scanned..].iter().position(|b| *b == b'\n').map(|i| i + self.scanned) else {
            self.scanned = self.input.len();
            // One byte of slack for the CR of an ending whose LF is still under way.
            if self.draining.is_some() || self.input.len() > max.saturating_add(1) {
                self.drain(self.input.len())?;
            }
            return Ok(None);
        };
        if self.draining.is_some() {
            self.drain(at + 1)?;
            return Err(self.drained());
        }
        let (end, ending) =
            if at > 0 && self.input[at - 1] == b'\r' { (at - 1, Ending::CrLf) } else { (at, Ending::Lf) };
        if end > max {
            self.drain(at + 1)?;
            return Err(self.drained());
        }
        // Copied, because a slice of the buffer would keep all of it alive.
        let line = Line { bytes: Bytes::copy_from_slice(&self.input[..end]), ending };
        self.consume(at + 1);
        Ok(Some(line))
    }

    fn drain(&mut self, n: usize) -> Result<(), ReadError> {
        let input = &self.input;
        let state = self.draining.get_or_insert_with(|| Overlong {
            start: Bytes::copy_from_slice(&input[..input.len().min(TOO_LONG_START_MAX)]),
            dropped: 0,
            end: Vec::new(),
        });
        state.dropped += n;
        // Two bytes more than are shown, for the ending.
        state.end.extend_from_slice(&input[n.saturating_sub(TOO_LONG_END_MAX + 2)..n]);
        let surplus = state.end.len().saturating_sub(TOO_LONG_END_MAX + 2);
        state.end.drain(..surplus);
        let dropped = state.dropped;
        self.consume(n);
        if dropped > DRAIN_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "endless line").into());
        }
        Ok(())
    }

    fn drained(&mut self) -> ReadError {
        let Some(Overlong { start, end, .. }) = self.draining.take() else {
            return ReadError::TooLong(LongLine::default());
        };
        let end = end.strip_suffix(b"\n").unwrap_or(&end);
        let end = end.strip_suffix(b"\r").unwrap_or(end);
        let end = &end[end.len().saturating_sub(TOO_LONG_END_MAX)..];
        ReadError::TooLong(LongLine { start, end: Bytes::copy_from_slice(end) })
    }

    /// Reads once, sending buffered output first. `until`: the stage of shutdown that interrupts it.
    async fn fill_until(&mut self, until: Stage) -> Result<(), ReadError> {
        self.flush().await?;
        let deadline = Instant::now() + self.idle_timeout;
        poll_fn(|cx| {
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(ReadError::Eof)),
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e.into())),
                Poll::Pending => {}
            }
            self.release();
            if self.shutdown.poll(cx, until).is_ready() {
                return Poll::Ready(Err(ReadError::Shutdown));
            }
            self.poll_timer(cx, deadline).map(|()| Err(ReadError::Timeout))
        })
        .await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        match self.io.get_mut().poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) => {
                self.input.extend_from_slice(read.filled());
                Poll::Ready(Ok(read.filled().len()))
            }
            // A client that goes without TLS's close_notify has still just gone.
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Gives empty buffers back: called when there is nothing to do but wait.
    fn release(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 0 {
            self.input = BytesMut::new();
        }
        if self.output.is_empty() && self.output.capacity() > 0 {
            self.output = BytesMut::new();
        }
    }
}
