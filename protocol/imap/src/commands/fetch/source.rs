//! Where body bytes come from: ranges of the stored body, streamed, taken up again where a stream broke.

use crate::config::BODY_CACHED_MAX;
use crate::errors::{End, Failure};
use crate::session::{Mailbox, Session};
use futures::StreamExt;
use std::ops::Range;
use zcluster_api::{BlobRef, BodyStream, Bytes, Error};

/// How often a stream that broke is taken up again before the response is given up.
const RESUMES_MAX: u32 = 3;

/// One message's body.
pub struct Source<'a> {
    mailbox: &'a Mailbox,
    blob: &'a BlobRef,
    /// The whole body, when it is small and several pieces of it are wanted.
    whole: Option<Bytes>,
}

impl<'a> Source<'a> {
    /// The body behind `blob`, of which about `pieces` ranges will be read.
    pub async fn open(mailbox: &'a Mailbox, blob: &'a BlobRef, pieces: usize) -> Result<Self, Error> {
        let mut source = Source { mailbox, blob, whole: None };
        if pieces > 1 && blob.size <= BODY_CACHED_MAX {
            source.whole = Some(source.collect(0..blob.size).await?);
        }
        Ok(source)
    }

    /// Bytes made from the body behind `blob`, as a body of their own.
    pub fn of(mailbox: &'a Mailbox, blob: &'a BlobRef, bytes: Bytes) -> Self {
        Source { mailbox, blob, whole: Some(bytes) }
    }

    /// A range's bytes, one piece at a time.
    pub fn range(&self, range: Range<u64>) -> Pieces<'_> {
        let size = self.whole.as_ref().map_or(self.blob.size, |whole| whole.len() as u64);
        let range = range.start.min(size)..range.end.min(size);
        Pieces { source: self, range, stream: None, resumes: 0 }
    }

    /// A range in one piece; the caller bounds it.
    pub async fn collect(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let mut pieces = self.range(range);
        let first = pieces.next().await?.unwrap_or_default();
        if pieces.left() == 0 {
            return Ok(first);
        }
        let mut all = first.to_vec();
        while let Some(piece) = pieces.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }

    /// Writes a range whose header says how long it is. The first piece is there before anything is written, so that a
    /// body that cannot be had just now costs a NO and not the connection.
    pub async fn write(&self, s: &mut Session, head: &[u8], range: Range<u64>) -> Result<(), Failure> {
        let mut pieces = self.range(range);
        let first = pieces.next().await?;
        s.out.extend_from_slice(head);
        let Some(first) = first else { return Ok(()) };
        s.out.extend_from_slice(&first);
        while pieces.left() > 0 {
            s.spill().await?;
            match pieces.next().await {
                Ok(Some(piece)) => s.connection.write(&piece).await?,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "body broke off while it was sent");
                    return Err(End::Torn.into());
                }
            }
        }
        Ok(())
    }
}

/// A range on its way.
pub struct Pieces<'a> {
    source: &'a Source<'a>,
    /// What is still to come.
    range: Range<u64>,
    stream: Option<BodyStream>,
    resumes: u32,
}

impl Pieces<'_> {
    /// Bytes still to come.
    pub fn left(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// The next piece; nothing at the end. Together the pieces are exactly the range.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.left() == 0 {
            return Ok(None);
        }
        if let Some(whole) = &self.source.whole {
            let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(whole.len());
            let piece = whole.slice(at(self.range.start)..at(self.range.end));
            self.range.start = self.range.end;
            return Ok(Some(piece));
        }
        loop {
            let error = match self.step().await {
                Ok(piece) => return Ok(Some(piece)),
                Err(error) => error,
            };
            self.stream = None;
            self.resumes += 1;
            if self.resumes > RESUMES_MAX || !matches!(error, Error::Unavailable(_) | Error::WrongHome { .. }) {
                return Err(error);
            }
            tracing::debug!(%error, left = self.left(), "taking a body's stream up again");
        }
    }

    async fn step(&mut self) -> Result<Bytes, Error> {
        if self.stream.is_none() {
            self.stream = Some(self.source.mailbox.get(self.source.blob.clone(), self.range.clone()).await?);
        }
        let stream = self.stream.as_mut().ok_or_else(|| Error::Internal("no stream".into()))?;
        loop {
            let mut piece = match stream.next().await {
                Some(piece) => piece?,
                None => return Err(Error::Unavailable("body ended early".into())),
            };
            let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
            piece.truncate(left);
            if !piece.is_empty() {
                self.range.start += piece.len() as u64;
                return Ok(piece);
            }
        }
    }
}
