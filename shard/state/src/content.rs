//! The seam to the meaning of text: search leaves that need a message's header or body.

use crate::kv::KvRead;
use std::cell::OnceCell;
use zcluster_api::search::Priority;
use zcluster_api::sort::SortKeys;
use zcluster_api::text::Marked;
use zcluster_api::{BlobId, BlobRef, Error, MailboxId, Result, SearchExpr};

const DAY_MS: i64 = 86_400_000;

/// A message that a text condition is tried on.
pub struct Candidate<'a> {
    pub(crate) kv: &'a dyn KvRead,
    /// The encoded `zcluster_mail::Summary`.
    pub summary: &'a [u8],
    /// The `Date:` header, Unix milliseconds.
    pub sent_ms: Option<i64>,
    id: BlobId,
    blob: OnceCell<BlobRef>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(kv: &'a dyn KvRead, summary: &'a [u8], sent_ms: Option<i64>, id: BlobId) -> Self {
        Candidate { kv, summary, sent_ms, id, blob: OnceCell::new() }
    }

    /// The body's name.
    pub fn blob_id(&self) -> BlobId {
        self.id
    }

    /// Where the body is: looked up when it is first asked for. [`Candidate::stored`] loads its bytes.
    ///
    /// # Errors
    /// `Internal` when there is no such body.
    pub fn blob(&self) -> Result<&BlobRef> {
        if let Some(blob) = self.blob.get() {
            return Ok(blob);
        }
        let blob = crate::bodies::blob_ref(self.kv, self.id)?;
        Ok(self.blob.get_or_init(|| blob))
    }

    /// Loads the stored bytes (still compressed as `place` says).
    ///
    /// # Errors
    /// `Internal` when chunks are missing, `Unavailable` when the bytes are not in the shard.
    pub fn stored(&self) -> Result<Vec<u8>> {
        stored(self.kv, self.blob()?)
    }
}

/// [`Candidate::stored`] of any body.
pub(crate) fn stored(kv: &dyn KvRead, blob: &BlobRef) -> Result<Vec<u8>> {
    let zcluster_api::Place::Shard { stored, chunks, .. } = blob.place else {
        return Err(Error::Unavailable("body is on a volume".into()));
    };
    let mut out = Vec::with_capacity(usize::try_from(stored).unwrap_or(0));
    for seq in 0..chunks {
        let chunk = crate::bodies::body_chunk(kv, blob.id, seq);
        out.extend_from_slice(&chunk.ok_or_else(|| Error::Internal(format!("chunk {seq} of {}", blob.id)))?);
    }
    Ok(out)
}

/// Decides the conditions of a search that need parsed mail, which this crate does not know. The state machine has
/// already tried everything cheaper.
pub trait Content {
    /// Whether `leaf`, a [`SearchExpr::Header`], [`SearchExpr::Text`], [`SearchExpr::Body`], [`SearchExpr::Words`],
    /// [`SearchExpr::Attachment`], [`SearchExpr::Recognised`] or [`SearchExpr::Priority`], holds for the message.
    /// Consecutive calls for one message have the same `candidate.blob_id()`, so that an implementation may keep the
    /// last parsed body.
    ///
    /// # Errors
    /// What loading the body reported.
    fn matches(&self, leaf: &SearchExpr, candidate: &Candidate<'_>) -> Result<bool>;

    /// What an index tells of `leaf`, which is any of these but `Priority`, for all items of a mailbox; `None`: nothing.
    ///
    /// # Errors
    /// `TooLarge` when a wildcard stands for too many words.
    fn marked(&self, _mailbox: MailboxId, _leaf: &SearchExpr) -> Result<Option<Marked>> {
        Ok(None)
    }

    /// A text as [`SortKeys`] hold texts.
    fn fold(&self, text: &str) -> String {
        text.to_uppercase()
    }

    /// How urgent its sender said a message was. The default knows nothing.
    ///
    /// # Errors
    /// `Internal` when the summary cannot be read.
    fn priority(&self, _summary: &[u8]) -> Result<Option<Priority>> {
        Ok(None)
    }

    /// What SORT and THREAD compare of a message that was added without sort keys. The default knows the date alone.
    ///
    /// # Errors
    /// `Internal` when the summary cannot be read.
    fn sort_keys(&self, summary: &[u8], sent_ms: Option<i64>) -> Result<SortKeys> {
        Ok(SortKeys { sent_ms, sent_day: self.sent_day(summary, sent_ms), ..SortKeys::default() })
    }

    /// The `Date:` header's calendar date in its own zone, as days since 1970-01-01 (RFC 3501 §6.4.4 SENTON: the zone
    /// is disregarded). The default reckons in UTC; an implementation that can read the summary does better.
    fn sent_day(&self, summary: &[u8], sent_ms: Option<i64>) -> Option<i64> {
        let _ = summary;
        sent_ms.map(|ms| ms.div_euclid(DAY_MS))
    }
}
