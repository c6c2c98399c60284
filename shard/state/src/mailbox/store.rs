//! `Store`: flags and keywords.

use super::rows::HotRow;
use super::tags::{self, Names};
use super::work::Work;
use zcluster_api::mailbox::{KEYWORDS_PER_MESSAGE_MAX, KeywordChange, StoredFlags};
use zcluster_api::{Error, Flags, FolderId, ModSeq, Receipt, Result, Uid, UidSet};

pub(super) struct Change<'a> {
    pub add: Flags,
    pub remove: Flags,
    pub keywords: &'a KeywordChange,
    pub unchanged_since: Option<ModSeq>,
}

/// Which tags go and which come, by id.
struct TagChange {
    keep: bool,
    remove: Vec<u32>,
    add: tags::Plan,
}

/// What a STORE is going to do: settled before anything is written.
#[derive(Default)]
struct Sorted {
    changed: Vec<(Uid, Flags, HotRow)>,
    unaltered: Vec<(Uid, HotRow)>,
    modified: UidSet,
}

pub(super) fn store(work: &mut Work<'_>, folder: FolderId, uids: &UidSet, change: &Change<'_>) -> Result<Receipt> {
    let messages = super::messages(work, folder, uids)?;
    let tags = plan(work, change.keywords)?;
    let mut sorted = sort(messages, change, &tags)?;
    if !sorted.changed.is_empty() {
        tags.add.create(work);
    }
    for (uid, old, row) in &mut sorted.changed {
        work.update(folder, *uid, *old, row)?;
    }
    let modseq = work.header.modseq;
    let mut names = Names::new(work.view(), work.mailbox);
    let mut show = |uid: &Uid, row: &HotRow| -> Result<StoredFlags> {
        Ok(StoredFlags { uid: *uid, modseq: row.modseq, flags: row.flags, keywords: names.of(&row.tags)? })
    };
    let changed = sorted.changed.iter().map(|(uid, _, row)| show(uid, row)).collect::<Result<_>>()?;
    let unaltered = sorted.unaltered.iter().map(|(uid, row)| show(uid, row)).collect::<Result<_>>()?;
    Ok(Receipt::Stored { changed, unaltered, modified: sorted.modified, modseq })
}

fn plan(work: &Work<'_>, change: &KeywordChange) -> Result<TagChange> {
    let find = |name: &String| tags::find(work.view(), work.mailbox, name).transpose();
    Ok(match change {
        KeywordChange::Add(names) => TagChange { keep: true, remove: vec![], add: tags::plan(work, names)? },
        KeywordChange::Remove(names) => TagChange {
            keep: true,
            remove: names.iter().filter_map(find).collect::<Result<_>>()?,
            add: Default::default(),
        },
        KeywordChange::Replace(names) => TagChange { keep: false, remove: vec![], add: tags::plan(work, names)? },
    })
}

fn sort(messages: Vec<(Uid, HotRow)>, change: &Change<'_>, tags: &TagChange) -> Result<Sorted> {
    let mut out = Sorted::default();
    for (uid, mut row) in messages {
        // RFC 7162 §3.1.3: a message changed since is left alone and reported in MODIFIED.
        if change.unchanged_since.is_some_and(|since| row.modseq > since) {
            out.modified.insert(uid.0);
            continue;
        }
        let old = row.flags;
        let new_tags = tags.applied_to(&row.tags);
        if new_tags.len() > KEYWORDS_PER_MESSAGE_MAX {
            return Err(Error::TooLarge("keywords on one message".into()));
        }
        row.flags = row.flags.without(change.remove).with(change.add);
        if row.flags == old && row.tags == new_tags {
            out.unaltered.push((uid, row));
        } else {
            row.tags = new_tags;
            out.changed.push((uid, old, row));
        }
    }
    Ok(out)
}

impl TagChange {
    fn applied_to(&self, old: &[u32]) -> Vec<u32> {
        let mut out: Vec<u32> = if self.keep { old.to_vec() } else { Vec::new() };
        out.retain(|id| !self.remove.contains(id));
        out.extend_from_slice(&self.add.ids);
        out.sort_unstable();
        out.dedup();
        out
    }
}
