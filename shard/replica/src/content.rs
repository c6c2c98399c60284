//! Text conditions of a search, with the mail crate's reading of headers and bodies.

use bytes::Bytes;
use std::cell::RefCell;
use zcluster_api::sort::SortKeys;
use zcluster_api::{BlobId, Codec, Error, Place, Result, SearchExpr};
use zcluster_mail::{
    Head, Needle, RangeDecoder, Summary, decompress, matches_any_field, matches_body, matches_header, matches_text,
};
use zcluster_state::{Candidate, Content};

/// Bytes of one message that a search looks into; what lies behind in a larger one does not match.
const SEARCHED_MAX: u64 = 64 << 20;

/// Looks into headers and bodies. Made for one search: keeps the last message, and needles made ready.
#[derive(Default)]
pub(crate) struct MailContent {
    last: RefCell<Option<(BlobId, Bytes)>>,
    needles: RefCell<Vec<(String, Needle)>>,
}

impl MailContent {
    fn needle(&self, text: &str) -> Needle {
        let mut needles = self.needles.borrow_mut();
        if let Some((_, n)) = needles.iter().find(|(t, _)| t == text) {
            return n.clone();
        }
        let needle = Needle::new(text);
        needles.push((text.to_string(), needle.clone()));
        needle
    }

    fn raw(&self, candidate: &Candidate<'_>) -> Result<Bytes> {
        if let Some((id, raw)) = &*self.last.borrow()
            && *id == candidate.blob_id()
        {
            return Ok(raw.clone());
        }
        let raw = unpack(candidate)?;
        *self.last.borrow_mut() = Some((candidate.blob_id(), raw.clone()));
        Ok(raw)
    }
}

fn unpack(candidate: &Candidate<'_>) -> Result<Bytes> {
    let blob = candidate.blob()?;
    let codec: Codec = match &blob.place {
        Place::Shard { codec, .. } | Place::Object { codec, .. } => *codec,
    };
    let (stored, size) = (Bytes::from(candidate.stored()?), blob.size);
    if size <= SEARCHED_MAX {
        return Ok(decompress(codec, &stored, size)?);
    }
    let mut out = Vec::new();
    RangeDecoder::new(codec, 0..SEARCHED_MAX)?.push(&stored, &mut out)?;
    Ok(out.into())
}

impl Content for MailContent {
    fn matches(&self, leaf: &SearchExpr, candidate: &Candidate<'_>) -> Result<bool> {
        match leaf {
            SearchExpr::Header { name, text } => {
                let needle = self.needle(text);
                if let Some(known) = matches_header(&Head::decode(candidate.summary)?, name, &needle) {
                    return Ok(known);
                }
                let summary = Summary::decode(candidate.summary)?;
                let raw = self.raw(candidate)?;
                let end = usize::try_from(summary.header_range().end).unwrap_or(usize::MAX).min(raw.len());
                Ok(zcluster_mail::matches_header_bytes(&raw[..end], name, &needle))
            }
            SearchExpr::Text(text) => {
                let needle = self.needle(text);
                if matches_any_field(Head::decode(candidate.summary)?.header, &needle) {
                    return Ok(true);
                }
                let summary = Summary::decode(candidate.summary)?;
                Ok(matches_text(&summary, &self.raw(candidate)?, &needle))
            }
            SearchExpr::Body(text) => {
                let summary = Summary::decode(candidate.summary)?;
                Ok(matches_body(&summary, &self.raw(candidate)?, &self.needle(text)))
            }
            other => Err(Error::Internal(format!("{other:?} is no text condition"))),
        }
    }

    fn sent_day(&self, summary: &[u8], _sent_ms: Option<i64>) -> Option<i64> {
        zcluster_mail::stored_sent_day(summary).ok()?
    }

    fn sort_keys(&self, summary: &[u8], _sent_ms: Option<i64>) -> Result<SortKeys> {
        Ok(Summary::decode(summary)?.sort_keys())
    }
}
