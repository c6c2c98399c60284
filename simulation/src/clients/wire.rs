//! A client's side of a connection: bytes in frames, a deadline for everything.

use super::imap::frames::Frames;
use super::servers::Stream;
use crate::world;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_runtime::{Either, select};

/// Room made for each read.
const READ_BYTES: usize = 4096;

/// Why a connection is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The server could not be reached.
    Refused,
    /// It closed or was reset.
    Closed,
    /// Nothing came for too long.
    Silent,
    /// The server said that it leaves: its words.
    Bye(String),
    /// What it said cannot be understood; a violation was reported.
    Nonsense,
}

/// A connection to one node.
pub struct Wire {
    /// The node.
    pub node: u32,
    stream: Box<dyn Stream>,
    frames: Frames,
}

impl Wire {
    /// Over a stream to `node`.
    pub fn new(node: u32, stream: Box<dyn Stream>, frames: Frames) -> Self {
        Wire { node, stream, frames }
    }

    /// Sends.
    ///
    /// # Errors
    /// [`Lost::Closed`].
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.stream.write_all(bytes).await.map_err(|_| Lost::Closed)?;
        self.stream.flush().await.map_err(|_| Lost::Closed)
    }

    /// The next frame, parsed.
    ///
    /// # Errors
    /// Why there will be none.
    pub async fn next<T>(&mut self, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, Lost> {
        loop {
            if let Some(parsed) = self.buffered(&parse)? {
                return Ok(parsed);
            }
            let space = self.frames.space();
            space.reserve(READ_BYTES);
            match self.stream.read_buf(space).await {
                Ok(n) if n > 0 => {}
                _ => return Err(Lost::Closed),
            }
        }
    }

    /// Takes what has arrived, without waiting.
    ///
    /// # Errors
    /// [`Lost::Closed`] when nothing more will come.
    pub async fn look(&mut self) -> Result<(), Lost> {
        loop {
            let space = self.frames.space();
            space.reserve(READ_BYTES);
            match select(self.stream.read_buf(space), std::future::ready(())).await {
                Either::Left(Ok(n)) if n > 0 => {}
                Either::Left(_) => return Err(Lost::Closed),
                Either::Right(()) => return Ok(()),
            }
        }
    }

    /// The next frame if it has come already.
    ///
    /// # Errors
    /// [`Lost::Nonsense`].
    pub fn buffered<T>(&mut self, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<Option<T>, Lost> {
        let parsed = match self.frames.next() {
            Ok(None) => return Ok(None),
            Ok(Some(frame)) => parse(frame),
            Err(why) => Err(why),
        };
        match parsed {
            Ok(parsed) => Ok(Some(parsed)),
            Err(why) => {
                world::violate("protocol_errors_are_ours", format!("node {} said: {why}", self.node));
                Err(Lost::Nonsense)
            }
        }
    }
}

/// Gives a step of a conversation so long.
///
/// # Errors
/// The step's, or [`Lost::Silent`].
pub async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    match select(step, world::sleep(limit)).await {
        Either::Left(result) => result,
        Either::Right(()) => Err(Lost::Silent),
    }
}
