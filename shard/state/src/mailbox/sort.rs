//! `Sort` (RFC 5256 SORT): every message's criteria as one string of bytes that compares as they do.

use super::items;
use super::read::View;
use super::rows::{self, HotRow};
use super::search;
use crate::content::Content;
use crate::kv::Table;
use minicbor::Decode;
use zcluster_api::sort::{CRITERIA_MAX, SORTED_MAX, SortBy, SortCriterion};
use zcluster_api::{Error, FolderId, MailboxReply, ModSeq, Result, SearchExpr, Uid, UidSet, codec};

/// Bytes of comparison strings that one SORT may hold.
const BYTES_MAX: usize = 512 << 20;

/// The part of `zcluster_api::sort::SortKeys` that is compared, read without a copy.
#[derive(Debug, Default, Decode)]
pub(super) struct Texts<'b> {
    #[n(0)]
    pub sent_ms: Option<i64>,
    #[n(1)]
    pub sent_day: Option<i64>,
    #[n(2)]
    pub subject: &'b str,
    #[n(3)]
    pub reply: bool,
    #[n(4)]
    from: &'b str,
    #[n(5)]
    to: &'b str,
    #[n(6)]
    cc: &'b str,
    #[n(7)]
    display_from: &'b str,
    #[n(8)]
    display_to: &'b str,
}

/// One message that matched.
pub(super) struct Hit {
    pub uid: u32,
    pub item: u32,
    pub internal_ms: i64,
    pub size: u64,
}

/// The messages that match, by UID, and the highest mod-sequence among them.
///
/// # Errors
/// `TooLarge` when there are more than [`SORTED_MAX`]; what a search reports.
pub(super) fn hits(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    content: &dyn Content,
) -> Result<(Vec<Hit>, Option<ModSeq>)> {
    let (mut out, mut highest) = (Vec::new(), None);
    search::each_match(view, folder, within, expr, content, |uid: Uid, row: &HotRow| {
        if out.len() == SORTED_MAX {
            return Err(Error::TooLarge(format!("more than {SORTED_MAX} messages to put in order")));
        }
        out.push(Hit { uid: uid.0, item: row.item.0, internal_ms: row.internal_ms, size: row.size });
        highest = highest.max(Some(row.modseq));
        Ok(())
    })?;
    Ok((out, highest))
}

/// Calls `visit` with each hit's index and stored keys. A message from before keys were kept has them made now.
pub(super) fn each_keys(
    view: &View<'_>,
    content: &dyn Content,
    hits: &[Hit],
    mut visit: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<()> {
    let ids: Vec<u32> = hits.iter().map(|h| h.item).collect();
    let mut without = Vec::new();
    items::each_row(view.kv, Table::Keys, view.mailbox, &ids, |at, keys| match keys {
        Some(keys) => visit(at, keys),
        None => {
            without.push(at);
            Ok(())
        }
    })?;
    let ids: Vec<u32> = without.iter().filter_map(|at| ids.get(*at).copied()).collect();
    items::each_row(view.kv, Table::Cold, view.mailbox, &ids, |i, row| {
        let at = without.get(i).copied().unwrap_or_default();
        let row = row.ok_or_else(|| items::missing(view.mailbox, ids.get(i).copied().unwrap_or_default()))?;
        let cold: rows::ColdRow = codec::decode(row)?;
        let keys = content.sort_keys(&cold.summary, cold.sent_ms)?;
        visit(at, &codec::encode(&keys))
    })
}

/// A message's comparison string: its first bytes as a number, and where it lies.
struct Entry {
    front: u64,
    from: usize,
    to: usize,
    uid: u32,
}

pub(super) fn sort(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    by: &[SortCriterion],
    content: &dyn Content,
) -> Result<MailboxReply> {
    if by.len() > CRITERIA_MAX {
        return Err(Error::Invalid("too many sort criteria".into()));
    }
    let (hits, highest_modseq) = hits(view, folder, within, expr, content)?;
    let mut strings = Strings { by, bytes: Vec::new(), entries: Vec::with_capacity(hits.len()) };
    if by.iter().all(|c| matches!(c.by, SortBy::Arrival | SortBy::Size)) {
        hits.iter().try_for_each(|hit| strings.add(hit, &Texts::default()))?;
    } else {
        each_keys(view, content, &hits, |at, keys| match hits.get(at) {
            Some(hit) => strings.add(hit, &codec::decode(keys)?),
            None => Ok(()),
        })?;
    }
    Ok(MailboxReply::Sorted { uids: strings.in_order(), highest_modseq })
}

struct Strings<'c> {
    by: &'c [SortCriterion],
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Strings<'_> {
    fn add(&mut self, hit: &Hit, keys: &Texts<'_>) -> Result<()> {
        let from = self.bytes.len();
        if from > BYTES_MAX {
            return Err(Error::TooLarge("too much to put in order".into()));
        }
        for criterion in self.by {
            let start = self.bytes.len();
            match criterion.by {
                SortBy::Arrival => self.number(hit.internal_ms),
                SortBy::Date => self.number(keys.sent_ms.unwrap_or(hit.internal_ms)),
                SortBy::Size => self.bytes.extend_from_slice(&hit.size.to_be_bytes()),
                SortBy::Cc => self.text(keys.cc),
                SortBy::From => self.text(keys.from),
                SortBy::To => self.text(keys.to),
                SortBy::Subject => self.text(keys.subject),
                SortBy::DisplayFrom => self.text(keys.display_from),
                SortBy::DisplayTo => self.text(keys.display_to),
            }
            if criterion.reverse {
                self.bytes.iter_mut().skip(start).for_each(|b| *b = !*b);
            }
        }
        let to = self.bytes.len();
        let mut front = [0; 8];
        front.iter_mut().zip(&self.bytes[from..to]).for_each(|(f, b)| *f = *b);
        self.entries.push(Entry { front: u64::from_be_bytes(front), from, to, uid: hit.uid });
        Ok(())
    }

    /// Bytes that rise as the number does.
    fn number(&mut self, n: i64) {
        self.bytes.extend_from_slice(&((n as u64) ^ (1 << 63)).to_be_bytes());
    }

    /// No text holds NUL, so that a shorter text comes before one that goes on, whatever criterion follows.
    fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    /// The UIDs in order; equal messages by UID, that is by sequence number, whatever is reversed (RFC 5256 §3).
    fn in_order(self) -> Vec<u32> {
        let Strings { bytes, mut entries, .. } = self;
        let of = |e: &Entry| bytes.get(e.from..e.to).unwrap_or_default();
        entries.sort_unstable_by(|a, b| {
            a.front.cmp(&b.front).then_with(|| of(a).cmp(of(b))).then_with(|| a.uid.cmp(&b.uid))
        });
        entries.into_iter().map(|e| e.uid).collect()
    }
}
