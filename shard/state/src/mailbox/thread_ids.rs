//! Conversations, and THREADID (RFC 8474 §5.2): which one a message joins is decided when it arrives, and stays.
//!
//! A mailbox remembers the newest *marks* it has seen with the item that began their conversation: message ids (own ones
//! and those referred to), so that an answer joins its question, and a question that comes late joins its answers;
//! and, as the message's account wants it (docs/decisions/0030), subjects and `Thread-Index`. All are hashes, made at the
//! edge in domains of their own, so that one table holds them.

use super::rows;
use super::work::Work;
use crate::kv::{Table, key_u32, key_u64};
use zcluster_api::mailbox::{ConversationKeys, Conversations, Parsed};
use zcluster_api::sort::SortKeys;
use zcluster_api::{ItemId, Result};

/// Marks kept in a mailbox; the oldest go first.
const KEPT_MAX: u64 = 200_000;
/// References of one message that are looked at: the first, which began the thread, and the last ones.
const REFERENCES_MAX: usize = 16;

/// The conversation of a new message; `None`: too little is known of the message for one.
pub(super) fn assign(work: &mut Work<'_>, item: ItemId, parsed: &Parsed) -> Result<Option<ItemId>> {
    let Some(keys) = parsed.keys.as_deref() else { return Ok(None) };
    let conversation = parsed.conversation.unwrap_or_default();
    let marks = Marks::of(keys, conversation);
    let (mut thread, mut unknown) = (None, Vec::new());
    for mark in marks.certain {
        match known(work, mark)? {
            // Of two threads that a message ties together it joins the older one; neither can change any more.
            Some(known) => thread = Some(thread.map_or(known, |t: ItemId| t.min(known))),
            None => unknown.push(mark),
        }
    }
    if let (None, true, Some(subject)) = (thread, marks.by_subject, marks.subject) {
        thread = known(work, subject)?;
    }
    let thread = thread.unwrap_or(item);
    for mark in unknown {
        remember(work, mark, thread)?;
    }
    if let Some(subject) = marks.subject {
        // Of conversations with one subject an answer without references joins the last one.
        match known(work, subject)? {
            Some(before) if before != thread => write(work, subject, thread),
            Some(_) => {}
            None => remember(work, subject, thread)?,
        }
    }
    Ok(Some(thread))
}

/// What a message is known by.
struct Marks {
    /// Each once.
    certain: Vec<u64>,
    /// To be remembered.
    subject: Option<u64>,
    /// The subject counts where nothing certain is known.
    by_subject: bool,
}

impl Marks {
    fn of(keys: &SortKeys, ConversationKeys { mode, subject, index }: ConversationKeys) -> Marks {
        let answer = keys.reply && keys.references.is_empty();
        match mode {
            Conversations::None => Marks { certain: Vec::new(), subject: None, by_subject: false },
            Conversations::Subject => Marks { certain: Vec::new(), subject, by_subject: true },
            Conversations::Strict => Marks { certain: each_once(ids(keys)), subject: None, by_subject: false },
            Conversations::References => {
                Marks { certain: each_once(ids(keys).chain(index)), subject, by_subject: answer }
            }
            Conversations::SubjectReferences => {
                // Ids are remembered together with the subject, so that under another one they are not known.
                let with = |id| mixed(id, subject.unwrap_or(0));
                Marks { certain: each_once(ids(keys).chain(index).map(with)), subject, by_subject: answer }
            }
        }
    }
}

fn ids(keys: &SortKeys) -> impl Iterator<Item = u64> {
    let skip = keys.references.len().saturating_sub(REFERENCES_MAX - 1).max(1);
    let references = keys.references.iter().take(1).chain(keys.references.iter().skip(skip));
    references.chain(&keys.id).copied()
}

fn each_once(ids: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut out = Vec::new();
    ids.for_each(|id| {
        if !out.contains(&id) {
            out.push(id);
        }
    });
    out
}

/// One hash of two; both are as good as random already.
fn mixed(id: u64, subject: u64) -> u64 {
    (id ^ subject.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn known(work: &Work<'_>, mark: u64) -> Result<Option<ItemId>> {
    let row = work.view().get(Table::Thread, &rows::long_key(work.mailbox, mark));
    row.map(|row| key_u32(&row, 0).map(ItemId)).transpose()
}

fn write(work: &mut Work<'_>, mark: u64, thread: ItemId) {
    work.kv.put(Table::Thread, &rows::long_key(work.mailbox, mark), thread.0.to_be_bytes().to_vec());
}

/// Keeps one mark, and forgets the oldest one when there are too many.
fn remember(work: &mut Work<'_>, mark: u64, thread: ItemId) -> Result<()> {
    let (mut from, next) = (work.header.thread_from.unwrap_or(0), work.header.thread_next.unwrap_or(0));
    if next - from >= KEPT_MAX {
        let at = rows::long_key(work.mailbox, from);
        if let Some(old) = work.view().get(Table::ThreadOrder, &at) {
            let old = key_u64(&old, 0)?;
            work.kv.delete(Table::Thread, &rows::long_key(work.mailbox, old));
            work.kv.delete(Table::ThreadOrder, &at);
        }
        from += 1;
    }
    write(work, mark, thread);
    work.kv.put(Table::ThreadOrder, &rows::long_key(work.mailbox, next), mark.to_be_bytes().to_vec());
    (work.header.thread_from, work.header.thread_next) = (Some(from), Some(next + 1));
    Ok(())
}
