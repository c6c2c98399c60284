//! DEFLATE over a connection (RFC 4978: raw, RFC 1951, without zlib's header).
//!
//! Memory of a connection that uses it: about 50 KiB for the inflater, whose window is as large as the client may use,
//! and about 200 KiB for the deflater. The deflater comes with the first byte to send and goes when the connection
//! [rests](Deflated::rest): a new one goes on in the same stream, because each flush ends on a byte boundary and what
//! a deflater sends refers only to what it has sent itself. Connections without compression pay nothing.
//!
//! However much a few bytes may inflate to, no more than the reader's buffer holds is made at a time; the bounds on
//! lines and literals do the rest.

use crate::stream::Io;
use bytes::{Buf, BytesMut};
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Status};

/// Compressed bytes read at once.
const READ_BYTES: usize = 8 * 1024;
/// Bytes compressed by one write.
const WRITE_BYTES: usize = 32 * 1024;
/// Room that is made for compressed bytes at a time.
const STEP: usize = 8 * 1024;
/// What a client may use (RFC 1951: 32 KiB).
const INFLATE_WINDOW_BITS: u8 = 15;
/// Speed matters more than the last percent, and memory more than either: 8 KiB of window, small tables.
const LEVEL: i32 = 4;
const DEFLATE_WINDOW_BITS: i32 = 13;
const DEFLATE_MEMORY: i32 = 6;

/// A stream with DEFLATE on top.
pub(crate) struct Deflated {
    inner: Io,
    inflate: Inflate,
    /// Compressed, read, not inflated yet.
    input: BytesMut,
    /// The inflater may have more to give without more input.
    more: bool,
    /// The client ended its stream.
    ended: bool,
    deflate: Option<Deflate>,
    /// Something was compressed and not flushed out of the deflater.
    dirty: bool,
    /// Compressed, to be sent.
    output: BytesMut,
}

impl Deflated {
    /// On top of `inner`; `input` was read from it already and is compressed.
    pub fn new(inner: Io, input: BytesMut) -> Self {
        let inflate = Inflate::new(false, INFLATE_WINDOW_BITS);
        let output = BytesMut::new();
        Deflated { inner, inflate, input, more: false, ended: false, deflate: None, dirty: false, output }
    }

    /// Gives the deflater back, unless it still holds something.
    pub fn rest(&mut self) {
        if !self.dirty {
            self.deflate = None;
        }
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }

    /// Nothing filled in means the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.ended || self.inflate_into(buf)? {
                return Poll::Ready(Ok(()));
            }
            match self.poll_input(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {
                    if self.input.is_empty() {
                        self.input = BytesMut::new();
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Inflates what is there; says whether that is all for now: something was made, or the stream ended.
    fn inflate_into(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        if self.input.is_empty() && !self.more {
            return Ok(false);
        }
        let (read, made) = (self.inflate.total_in(), self.inflate.total_out());
        let space = buf.initialize_unfilled();
        let status = self.inflate.decompress(&self.input, space, InflateFlush::SyncFlush).map_err(broken)?;
        let (room, read, made) = (space.len(), self.inflate.total_in() - read, self.inflate.total_out() - made);
        // Counters of bytes that lie in memory.
        let (read, made) = (read as usize, made as usize);
        self.input.advance(read);
        buf.advance(made);
        self.more = made == room;
        self.ended = status == Status::StreamEnd;
        if made == 0 && !self.ended && !self.input.is_empty() && read == 0 {
            return Err(broken("no progress"));
        }
        Ok(made > 0 || self.ended)
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; READ_BYTES];
        let mut read = ReadBuf::new(&mut space);
        ready!(self.inner.poll_read(cx, &mut read))?;
        self.input.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Takes some of `bytes`. What was compressed before goes out first, so that little gathers here.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let taken = bytes.len().min(WRITE_BYTES);
        self.compress(&bytes[..taken], DeflateFlush::NoFlush)?;
        self.dirty = true;
        Poll::Ready(Ok(taken))
    }

    /// The client can inflate all that was written (RFC 4978 §4).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.dirty {
            self.compress(&[], DeflateFlush::SyncFlush)?;
            self.dirty = false;
        }
        ready!(self.poll_drain(cx))?;
        self.inner.poll_flush(cx)
    }

    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown(cx)
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            match ready!(self.inner.poll_write(cx, &self.output))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.output.advance(n),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Compresses all of `bytes` into `output`.
    fn compress(&mut self, mut bytes: &[u8], flush: DeflateFlush) -> io::Result<()> {
        let deflate = self.deflate.get_or_insert_with(|| {
            let (window_bits, mem_level) = (-DEFLATE_WINDOW_BITS, DEFLATE_MEMORY);
            Deflate::new_with_config(DeflateConfig { window_bits, mem_level, ..DeflateConfig::new(LEVEL) })
        });
        loop {
            let start = self.output.len();
            self.output.resize(start + STEP, 0);
            let (read, made) = (deflate.total_in(), deflate.total_out());
            let done = deflate.compress(bytes, &mut self.output[start..], flush);
            let (read, made) = ((deflate.total_in() - read) as usize, (deflate.total_out() - made) as usize);
            self.output.truncate(start + made);
            done.map_err(broken)?;
            bytes = &bytes[read..];
            // Room left over: there is nothing more to come.
            if made < STEP && bytes.is_empty() {
                return Ok(());
            }
        }
    }
}

fn broken(why: impl std::fmt::Debug) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("compressed stream: {why:?}"))
}
