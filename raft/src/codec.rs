//! A small fixed-width binary codec: big-endian numbers, length-prefixed bytes, bodies shared instead of copied when
//! they are read. Every decoder is total: what does not parse is an error.

use crate::LogId;
use crate::log::Vote;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io;

/// Appends values to a buffer.
pub(crate) struct Writer(BytesMut);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }
    pub(crate) fn u8(&mut self, v: u8) {
        self.0.put_u8(v);
    }
    pub(crate) fn u32(&mut self, v: u32) {
        self.0.put_u32(v);
    }
    pub(crate) fn u64(&mut self, v: u64) {
        self.0.put_u64(v);
    }
    pub(crate) fn raw(&mut self, v: &[u8]) {
        self.0.put_slice(v);
    }
    /// Bytes with their length (callers keep them far below 4 GiB).
    pub(crate) fn bytes(&mut self, v: &[u8]) {
        self.u32(v.len() as u32);
        self.raw(v);
    }
    pub(crate) fn id(&mut self, id: LogId) {
        self.u64(id.term);
        self.u64(id.index);
    }
    pub(crate) fn opt_id(&mut self, id: Option<LogId>) {
        self.u8(u8::from(id.is_some()));
        if let Some(id) = id {
            self.id(id);
        }
    }
    pub(crate) fn vote(&mut self, v: Vote) {
        self.u64(v.term);
        self.u64(v.node);
        self.u8(u8::from(v.committed));
    }
    pub(crate) fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// Takes values off a buffer.
pub(crate) struct Reader(Bytes);

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }
    fn need(&self, n: usize) -> io::Result<()> {
        if self.0.len() < n { Err(invalid("message ends early")) } else { Ok(()) }
    }
    pub(crate) fn u8(&mut self) -> io::Result<u8> {
        self.need(1)?;
        Ok(self.0.get_u8())
    }
    pub(crate) fn u32(&mut self) -> io::Result<u32> {
        self.need(4)?;
        Ok(self.0.get_u32())
    }
    pub(crate) fn u64(&mut self) -> io::Result<u64> {
        self.need(8)?;
        Ok(self.0.get_u64())
    }
    pub(crate) fn bool(&mut self) -> io::Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(invalid("not a truth value")),
        }
    }
    /// A number of things that follow, at most `max`.
    pub(crate) fn count(&mut self, max: u64) -> io::Result<u64> {
        let n = u64::from(self.u32()?);
        if n > max { Err(invalid("too many elements")) } else { Ok(n) }
    }
    pub(crate) fn raw(&mut self, n: usize) -> io::Result<Bytes> {
        self.need(n)?;
        Ok(self.0.split_to(n))
    }
    pub(crate) fn bytes(&mut self) -> io::Result<Bytes> {
        let n = self.u32()? as usize;
        self.raw(n)
    }
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }
    pub(crate) fn id(&mut self) -> io::Result<LogId> {
        Ok(LogId { term: self.u64()?, index: self.u64()? })
    }
    pub(crate) fn opt_id(&mut self) -> io::Result<Option<LogId>> {
        if self.bool()? { self.id().map(Some) } else { Ok(None) }
    }
    pub(crate) fn vote(&mut self) -> io::Result<Vote> {
        Ok(Vote { term: self.u64()?, node: self.u64()?, committed: self.bool()? })
    }
    pub(crate) fn version(&mut self, known: u8) -> io::Result<()> {
        if self.u8()? == known { Ok(()) } else { Err(invalid("unknown version of the encoding")) }
    }
    pub(crate) fn end(&self) -> io::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(invalid("bytes behind the message")) }
    }
}
