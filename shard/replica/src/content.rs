//! Text conditions of a search, with the mail crate's reading of headers and bodies.

use crate::verdicts::{Noted, Verdicts};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::BTreeMap;
use zcluster_api::sort::SortKeys;
use zcluster_api::{BlobId, Codec, Error, Place, Result, SearchExpr};
use zcluster_mail::{
    Head, Needle, RangeDecoder, Summary, decompress, matches_any_field, matches_body, matches_header, matches_text,
};
use zcluster_state::{Candidate, Content};

/// Bytes of one message that a search looks into; what lies behind in a larger one does not match.
const SEARCHED_MAX: u64 = 64 << 20;

/// Needles made ready, by their text.
#[derive(Default)]
pub(crate) struct Needles(RefCell<Vec<(String, Needle)>>);

impl Needles {
    fn get(&self, text: &str) -> Needle {
        let mut needles = self.0.borrow_mut();
        if let Some((_, n)) = needles.iter().find(|(t, _)| t == text) {
            return n.clone();
        }
        let needle = Needle::new(text);
        needles.push((text.to_string(), needle.clone()));
        needle
    }
}

/// Looks into headers and bodies. Made for one search: keeps the last message, and needles made ready. Bodies on volumes
/// are noted, see [`Verdicts`].
#[derive(Default)]
pub(crate) struct MailContent {
    last: RefCell<Option<(BlobId, Bytes)>>,
    needles: Needles,
    verdicts: Verdicts,
    noted: RefCell<BTreeMap<BlobId, Noted>>,
    /// The search ends when so many bodies are noted; 0: it goes on.
    noted_max: usize,
}

impl MailContent {
    /// One that knows these verdicts, and notes at most so many bodies.
    pub fn knowing(verdicts: Verdicts, noted_max: usize) -> Self {
        MailContent { verdicts, noted_max, ..MailContent::default() }
    }

    /// What it knew, and the bodies it would have had to look into. When there are any, what came of the search is
    /// worthless.
    pub fn noted(self) -> (Verdicts, Vec<Noted>) {
        (self.verdicts, self.noted.into_inner().into_values().collect())
    }

    /// The body's bytes; `None` when they are on a volume.
    fn raw(&self, candidate: &Candidate<'_>) -> Result<Option<Bytes>> {
        if let Some((id, raw)) = &*self.last.borrow()
            && *id == candidate.blob_id()
        {
            return Ok(Some(raw.clone()));
        }
        if let Place::Object { .. } = candidate.blob()?.place {
            return Ok(None);
        }
        let raw = unpack(candidate)?;
        *self.last.borrow_mut() = Some((candidate.blob_id(), raw.clone()));
        Ok(Some(raw))
    }

    /// Whether the condition holds for a body on a volume, if that is known; else it is noted.
    fn packed(&self, leaf: &SearchExpr, candidate: &Candidate<'_>) -> Result<bool> {
        let id = candidate.blob_id();
        if let Some(known) = self.verdicts.get(id, leaf) {
            return Ok(known);
        }
        let mut noted = self.noted.borrow_mut();
        if self.noted_max > 0 && noted.len() >= self.noted_max && !noted.contains_key(&id) {
            return Err(Error::Unavailable("bodies on volumes are to be read first".into()));
        }
        let blob = candidate.blob()?.clone();
        let summary = || Bytes::copy_from_slice(candidate.summary);
        let entry = noted.entry(id).or_insert_with(|| Noted { blob, summary: summary(), leaves: Vec::new() });
        if !entry.leaves.contains(leaf) {
            entry.leaves.push(leaf.clone());
        }
        Ok(false)
    }
}

/// Whether a text condition holds for a message; `None` when it takes its body, and `raw` has none.
pub(crate) fn judge(
    needles: &Needles,
    leaf: &SearchExpr,
    summary: &[u8],
    raw: impl Fn() -> Result<Option<Bytes>>,
) -> Result<Option<bool>> {
    match leaf {
        SearchExpr::Header { name, text } => {
            let needle = needles.get(text);
            if let Some(known) = matches_header(&Head::decode(summary)?, name, &needle) {
                return Ok(Some(known));
            }
            let summary = Summary::decode(summary)?;
            let Some(raw) = raw()? else { return Ok(None) };
            let end = usize::try_from(summary.header_range().end).unwrap_or(usize::MAX).min(raw.len());
            Ok(Some(zcluster_mail::matches_header_bytes(&raw[..end], name, &needle)))
        }
        SearchExpr::Text(text) => {
            let needle = needles.get(text);
            if matches_any_field(Head::decode(summary)?.header, &needle) {
                return Ok(Some(true));
            }
            let summary = Summary::decode(summary)?;
            Ok(raw()?.map(|raw| matches_text(&summary, &raw, &needle)))
        }
        SearchExpr::Body(text) => {
            let summary = Summary::decode(summary)?;
            Ok(raw()?.map(|raw| matches_body(&summary, &raw, &needles.get(text))))
        }
        other => Err(Error::Internal(format!("{other:?} is no text condition"))),
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
        let judged = judge(&self.needles, leaf, candidate.summary, || self.raw(candidate))?;
        judged.map_or_else(|| self.packed(leaf, candidate), Ok)
    }

    fn sent_day(&self, summary: &[u8], _sent_ms: Option<i64>) -> Option<i64> {
        zcluster_mail::stored_sent_day(summary).ok()?
    }

    fn sort_keys(&self, summary: &[u8], _sent_ms: Option<i64>) -> Result<SortKeys> {
        Ok(Summary::decode(summary)?.sort_keys())
    }
}
