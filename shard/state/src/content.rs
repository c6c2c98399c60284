//! The seam to the meaning of text: search leaves that need a message's header or body.

use crate::kv::KvRead;
use zcluster_api::{BlobRef, Error, Result, SearchExpr};

const DAY_MS: i64 = 86_400_000;

/// A message that a text condition is tried on.
pub struct Candidate<'a> {
    pub(crate) kv: &'a dyn KvRead,
    /// The encoded `zcluster_mail::Summary`.
    pub summary: &'a [u8],
    /// The `Date:` header, Unix milliseconds.
    pub sent_ms: Option<i64>,
    /// The body; [`Candidate::stored`] loads its bytes.
    pub blob: &'a BlobRef,
}

impl Candidate<'_> {
    /// Loads the stored bytes (still compressed as `blob.place` says).
    ///
    /// # Errors
    /// `Internal` when chunks are missing, `Unavailable` when the bytes are not in the shard.
    pub fn stored(&self) -> Result<Vec<u8>> {
        let zcluster_api::Place::Shard { stored, chunks, .. } = self.blob.place else {
            return Err(Error::Unavailable("body is on a volume".into()));
        };
        let mut out = Vec::with_capacity(usize::try_from(stored).unwrap_or(0));
        for seq in 0..chunks {
            let chunk = crate::bodies::body_chunk(self.kv, self.blob.id, seq);
            out.extend_from_slice(&chunk.ok_or_else(|| Error::Internal(format!("chunk {seq} of {}", self.blob.id)))?);
        }
        Ok(out)
    }
}

/// Decides the conditions of a search that need parsed mail, which this crate does not know. The state machine has
/// already tried everything cheaper.
pub trait Content {
    /// Whether `leaf`, a [`SearchExpr::Header`], [`SearchExpr::Text`] or [`SearchExpr::Body`], holds for the message.
    /// Consecutive calls for one message have the same `candidate.blob.id`, so that an implementation may keep the
    /// last parsed body.
    ///
    /// # Errors
    /// What loading the body reported.
    fn matches(&self, leaf: &SearchExpr, candidate: &Candidate<'_>) -> Result<bool>;

    /// The `Date:` header's calendar date in its own zone, as days since 1970-01-01 (RFC 3501 §6.4.4 SENTON: the zone
    /// is disregarded). The default reckons in UTC; an implementation that can read the summary does better.
    fn sent_day(&self, summary: &[u8], sent_ms: Option<i64>) -> Option<i64> {
        let _ = summary;
        sent_ms.map(|ms| ms.div_euclid(DAY_MS))
    }
}
