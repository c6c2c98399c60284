//! Text conditions of a search, with the mail crate's reading of headers and bodies.

use crate::node::{NodeState, Rows};
use crate::texts::{Docs, Tails, TextLook, Texts};
use crate::verdicts::{Noted, Verdicts};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use zcluster_api::search::Priority;
use zcluster_api::sort::SortKeys;
use zcluster_api::text::{Marked, TextDoc};
use zcluster_api::{BlobId, Codec, Error, GroupId, MailboxId, Place, Result, SearchExpr, TextField};
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
    texts: Option<Arc<Texts>>,
    /// The index, and what it lacks.
    look: RefCell<Option<(TextLook, Tails)>>,
    /// The words of the last message.
    doc: RefCell<Option<(BlobId, Arc<TextDoc>)>>,
}

impl MailContent {
    /// One that knows these verdicts, and notes at most so many bodies.
    pub fn knowing(node: &NodeState, verdicts: Verdicts, noted_max: usize) -> Self {
        MailContent { verdicts, noted_max, ..MailContent::plain(node) }
    }

    /// One that looks into every message.
    pub fn plain(node: &NodeState) -> Self {
        MailContent { texts: node.texts.read().clone(), ..MailContent::default() }
    }

    /// Uses an index for searches in these rows, of all mailboxes or one, if it can be used.
    ///
    /// # Errors
    /// The disk.
    pub fn look(&self, look: TextLook, rows: Rows<'_>, group: GroupId, only: Option<MailboxId>) -> io::Result<()> {
        let tails = look.tails(rows.all, group, rows.generation, only)?;
        *self.look.borrow_mut() = tails.map(|tails| (look, tails));
        Ok(())
    }

    /// Whether bodies were noted, which are forgotten with this.
    pub fn forget_noted(&self) -> bool {
        !std::mem::take(&mut *self.noted.borrow_mut()).is_empty()
    }

    /// Whether the search found all that it asked for in the shard.
    pub fn was_enough(&self) -> bool {
        self.noted.borrow().is_empty() && self.verdicts.is_empty()
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

    /// A condition on words.
    fn words(&self, leaf: &SearchExpr, candidate: &Candidate<'_>) -> Result<bool> {
        let Some(texts) = &self.texts else { return Err(Error::Invalid(NO_WORDS.into())) };
        if let SearchExpr::Attachment(_) = leaf {
            // The summary knows the parts.
            return texts.all.matches(leaf, &Docs::new(None).base(candidate.summary, &[])?);
        }
        let id = candidate.blob_id();
        let known = self.doc.borrow().as_ref().filter(|(of, _)| *of == id).map(|(_, doc)| doc.clone());
        let doc = match known {
            Some(doc) => doc,
            None => {
                let Some(raw) = self.raw(candidate)? else { return self.packed(leaf, candidate) };
                let doc = Arc::new(Docs::new(None).base(candidate.summary, &raw)?);
                *self.doc.borrow_mut() = Some((id, doc.clone()));
                doc
            }
        };
        if texts.all.matches(leaf, &doc)? {
            return Ok(true);
        }
        // What is in its files is found out as what is on volumes is.
        let in_files = reads_files(leaf) && Docs::new(texts.files.clone()).has_files(candidate.summary)?;
        if in_files { self.packed(leaf, candidate) } else { Ok(false) }
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

/// Bytes of a text that is compared with sort keys.
const COMPARED_BYTES_MAX: usize = 8 * 1024;

/// Said where words are searched for on a node that has no way of telling words.
const NO_WORDS: &str = "this node has no text indexes";

/// Whether a condition may hold because of what is in attached files.
pub(crate) fn reads_files(leaf: &SearchExpr) -> bool {
    match leaf {
        SearchExpr::Words(words) => {
            words.fields.iter().any(|field| matches!(field, TextField::Content | TextField::Property(_)))
        }
        _ => false,
    }
}

/// How urgent the header says a message is.
fn priority(summary: &[u8]) -> Result<Option<Priority>> {
    let head = Head::decode(summary)?;
    let field = |name: &str| {
        let value =
            zcluster_mail::fields(head.header).find(|f| f.is(name)).map(|f| zcluster_mail::decode_words(f.value));
        value.map(|value| value.trim().to_ascii_lowercase()).filter(|value| !value.is_empty())
    };
    let level = field("x-priority").and_then(|value| match value.as_bytes().first() {
        Some(b'1' | b'2') => Some(Some(Priority::High)),
        Some(b'4' | b'5') => Some(Some(Priority::Low)),
        Some(b'3') => Some(None),
        _ => None,
    });
    let word = |value: String| match value.as_str() {
        "high" | "urgent" => Some(Priority::High),
        "low" | "non-urgent" => Some(Priority::Low),
        _ => None,
    };
    Ok(level.unwrap_or_else(|| field("importance").or_else(|| field("priority")).and_then(word)))
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
        match leaf {
            SearchExpr::Words(_) | SearchExpr::Attachment(_) | SearchExpr::Recognised(_) => self.words(leaf, candidate),
            SearchExpr::Priority(wanted) => Ok(priority(candidate.summary)? == Some(*wanted)),
            _ => {
                let judged = judge(&self.needles, leaf, candidate.summary, || self.raw(candidate))?;
                judged.map_or_else(|| self.packed(leaf, candidate), Ok)
            }
        }
    }

    fn marked(&self, mailbox: MailboxId, leaf: &SearchExpr) -> Result<Option<Marked>> {
        let look = self.look.borrow();
        let Some((look, tails)) = look.as_ref() else { return Ok(None) };
        let marked = look.find(mailbox, leaf)?;
        Ok(marked.map(|mut marked| {
            tails.get(&mailbox).into_iter().for_each(|tail| marked.may.add_all(tail));
            marked
        }))
    }

    fn fold(&self, text: &str) -> String {
        zcluster_mail::casemap(text, COMPARED_BYTES_MAX)
    }

    fn priority(&self, summary: &[u8]) -> Result<Option<Priority>> {
        priority(summary)
    }

    fn sent_day(&self, summary: &[u8], _sent_ms: Option<i64>) -> Option<i64> {
        zcluster_mail::stored_sent_day(summary).ok()?
    }

    fn sort_keys(&self, summary: &[u8], _sent_ms: Option<i64>) -> Result<SortKeys> {
        Ok(Summary::decode(summary)?.sort_keys())
    }
}
