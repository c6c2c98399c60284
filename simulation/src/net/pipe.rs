//! A client's connection: bytes in order both ways, bounded buffers, half-close, resets.

use super::client::{Conn, SERVER};
use super::hop::{Hop, keep};
use super::{State, Wires};
use crate::world::{self, OUTSIDE, Stream};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes in one direction that were written and not read.
const BUFFER_BYTES: usize = 64 * 1024;
/// Pieces that one write falls into at most.
const PIECES_MAX: u64 = 5;
/// Two pieces of one write arrive up to so far apart, nanoseconds.
const PIECE_GAP_NS: u64 = 3_000_000;

/// What one end sends.
#[derive(Default)]
struct Direction {
    /// Arrived and not read.
    ready: VecDeque<Bytes>,
    /// Bytes written and not read.
    held: usize,
    last_arrival: u64,
    /// The sender will send no more.
    closed: bool,
    /// The receiver knows.
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn wake_all(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// Both directions, by the end that sends, and both ends.
#[derive(Default)]
pub(super) struct Pipe {
    directions: [Direction; 2],
    /// The ends that were dropped.
    dropped: [bool; 2],
    reset: bool,
    /// What is under way is lost; a reset is on its way.
    doomed: bool,
}

impl Pipe {
    /// Bytes sent by `end` arrive. True if they must be answered with a reset, because nobody will read them.
    pub(super) fn data_arrived(&mut self, end: usize, bytes: Bytes) -> bool {
        if self.reset || self.doomed {
            return false;
        }
        if self.dropped[1 - end] {
            return true;
        }
        let direction = &mut self.directions[end];
        direction.ready.push_back(bytes);
        if let Some(reader) = direction.reader.take() {
            reader.wake();
        }
        false
    }

    /// `end` will send no more.
    pub(super) fn fin_arrived(&mut self, end: usize) {
        if self.reset || self.doomed {
            return;
        }
        let direction = &mut self.directions[end];
        direction.ended = true;
        if let Some(reader) = direction.reader.take() {
            reader.wake();
        }
    }

    /// The connection is gone. False if it was already.
    pub(super) fn reset(&mut self) -> bool {
        if self.reset {
            return false;
        }
        self.reset = true;
        self.directions.iter_mut().for_each(Direction::wake_all);
        true
    }

    /// The server's process is gone. What is under way arrives before the reset, or never.
    pub(super) fn server_died(&mut self, last_words: bool) {
        self.dropped[SERVER] = true;
        self.doomed |= !last_words;
    }

    /// When something that `end` sends arrives: `at`, but behind what it sent before.
    pub(super) fn in_order(&mut self, end: usize, at: u64) -> u64 {
        let last = &mut self.directions[end].last_arrival;
        *last = at.max(*last + 1);
        *last
    }
}

/// One end of a connection between a client and a node.
pub struct SimStream {
    wires: Weak<Wires>,
    conn: Arc<Conn>,
    end: usize,
}

impl SimStream {
    pub(super) fn new(wires: Weak<Wires>, conn: Arc<Conn>, end: usize) -> Self {
        SimStream { wires, conn, end }
    }

    /// Sends the end of this direction.
    fn finish(&self, pipe: &mut Pipe, state: &mut State) {
        if std::mem::replace(&mut pipe.directions[self.end].closed, true) || pipe.reset {
            return;
        }
        let at = world::now() + state.weather.latency(OUTSIDE, self.conn.node, 0);
        let at = pipe.in_order(self.end, at);
        state.queue.push(at, Hop::Fin { conn: self.conn.clone(), end: self.end });
    }

    /// Puts bytes on the wire, in one piece or several; or in part, and then a reset.
    fn launch(&self, pipe: &mut Pipe, state: &mut State, bytes: &Bytes) {
        let Chop { cuts, gaps, reset } = chop(state, bytes.len());
        let mut at = world::now() + state.weather.latency(OUTSIDE, self.conn.node, bytes.len());
        let mut from = 0;
        for (to, gap) in cuts.into_iter().chain([bytes.len()]).zip(gaps) {
            if reset.is_some_and(|r| r <= from) {
                break;
            }
            at = pipe.in_order(self.end, at + gap);
            let to = to.min(reset.unwrap_or(to));
            let (conn, end, bytes) = (self.conn.clone(), self.end, bytes.slice(from..to));
            state.queue.push(at, Hop::Data { conn, end, bytes });
            from = to;
        }
        if reset.is_some() {
            world::count("net.client_reset");
            at = pipe.in_order(self.end, at);
            state.queue.push(at, Hop::Reset { conn: self.conn.clone() });
        }
    }
}

/// What becomes of one write.
struct Chop {
    /// Where it is cut, in order.
    cuts: Vec<usize>,
    /// The pause before each piece.
    gaps: Vec<u64>,
    /// The connection breaks after so many bytes.
    reset: Option<usize>,
}

fn chop(state: &State, len: usize) -> Chop {
    let knobs = &state.weather.knobs;
    let chop = world::draw(Stream::Network, |r| {
        let mut cuts = Vec::new();
        if r.chance(knobs.client_fragments) && len > 1 {
            cuts = (0..r.range(1, PIECES_MAX)).map(|_| r.range(1, len as u64) as usize).collect();
            cuts.sort_unstable();
            cuts.dedup();
        }
        let gaps = (0..=cuts.len()).map(|i| if i == 0 { 0 } else { r.below(PIECE_GAP_NS) }).collect();
        let reset = r.chance(knobs.client_reset).then(|| r.below(len as u64 + 1) as usize);
        Chop { cuts, gaps, reset }
    });
    if !chop.cuts.is_empty() {
        world::count("net.fragments");
    }
    chop
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for SimStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.conn.pipe.lock();
        let reset = pipe.reset;
        let direction = &mut pipe.directions[1 - self.end];
        // One piece at a time: where it was cut is seen by the reader.
        let Some(mut bytes) = direction.ready.pop_front() else {
            if reset {
                return Poll::Ready(Err(gone()));
            }
            if direction.ended {
                return Poll::Ready(Ok(()));
            }
            keep(&mut direction.reader, cx);
            return Poll::Pending;
        };
        let taken = bytes.split_to(bytes.len().min(buf.remaining()));
        buf.put_slice(&taken);
        direction.held -= taken.len();
        if !bytes.is_empty() {
            direction.ready.push_front(bytes);
        }
        if let Some(writer) = direction.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(wires) = self.wires.upgrade() else { return Poll::Ready(Err(gone())) };
        let mut pipe = self.conn.pipe.lock();
        if pipe.reset {
            return Poll::Ready(Err(gone()));
        }
        let direction = &mut pipe.directions[self.end];
        if direction.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = buf.len().min(BUFFER_BYTES.saturating_sub(direction.held));
        if len == 0 {
            keep(&mut direction.writer, cx);
            return Poll::Pending;
        }
        direction.held += len;
        world::event("net.bytes", &[self.conn.id, self.end as u64, len as u64]);
        self.launch(&mut pipe, &mut wires.state.lock(), &Bytes::copy_from_slice(&buf[..len]));
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(wires) = self.wires.upgrade() {
            self.finish(&mut self.conn.pipe.lock(), &mut wires.state.lock());
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let Some(wires) = self.wires.upgrade() else { return };
        let mut pipe = self.conn.pipe.lock();
        let mut state = wires.state.lock();
        pipe.dropped[self.end] = true;
        if pipe.dropped[1 - self.end] {
            state.clients.conns.remove(&self.conn.id);
        }
        let unread = pipe.directions[1 - self.end].ready.drain(..).count() > 0;
        if !unread {
            return self.finish(&mut pipe, &mut state);
        }
        // As kernels do: who closes without having read everything resets the connection.
        pipe.directions[self.end].closed = true;
        let at = world::now() + state.weather.latency(OUTSIDE, self.conn.node, 0);
        let at = pipe.in_order(self.end, at);
        state.queue.push(at, Hop::Reset { conn: self.conn.clone() });
    }
}
