//! What a client has missed: from the change log where it reaches back, else from the folder as it is.

use super::pages;
use super::read::View;
use super::rows::{self, ChangeRow};
use super::work::CHANGES_KEPT;
use crate::kv::{Table, behind, each};
use std::collections::BTreeSet;
use zcluster_api::{Error, FolderId, MailboxReply, ModSeq, Result, UidSet};

/// Runs of UIDs that are gathered from the log; beyond it the folder itself is the shorter answer.
const RUNS_MAX: usize = 400_000;

/// First and last UID.
type Run = (u32, u32);

/// RFC 7162 §3.2: which messages went, and which may have changed. No message row is read.
pub(super) fn missed(view: &View<'_>, folder: FolderId, since: ModSeq, known: Option<&UidSet>) -> Result<MailboxReply> {
    let (row, now) = (view.row(folder)?, view.position());
    let within = |uids: UidSet| known.map_or_else(|| uids.clone(), |known| uids.intersect(known));
    let reply = |vanished, touched, exact| MailboxReply::Missed { vanished, touched, modseq: now, exact };
    let reaches = reaches(since, now);
    if reaches && row.highest_modseq <= since {
        return Ok(reply(UidSet::new(), UidSet::new(), true));
    }
    if reaches && let Some((gone, touched)) = from_log(view, folder, since)? {
        return Ok(reply(within(gone), within(touched), true));
    }
    let (there, _) = pages::uids(view.kv, view.mailbox, folder)?;
    let gone = holes(&there, row.uid_next.0);
    Ok(reply(within(gone), within(there), false))
}

/// Whether the log holds every change after `since`. A position ahead of ours is from another life of the mailbox.
pub(super) fn reaches(since: ModSeq, now: ModSeq) -> bool {
    since <= now && since.0.saturating_add(CHANGES_KEPT) >= now.0
}

/// (gone, came or changed and still there); `None` when that would take too long to add up.
fn from_log(view: &View<'_>, folder: FolderId, since: ModSeq) -> Result<Option<(UidSet, UidSet)>> {
    let (mut gone, mut touched): (Vec<Run>, Vec<Run>) = Default::default();
    let mut fits = true;
    each_change(view, since, |row| {
        for change in row.folders.iter().filter(|c| c.folder == folder) {
            gone.extend(change.expunged.ranges());
            touched.extend(change.added.ranges());
            touched.extend(change.flags.ranges());
        }
        fits = gone.len() + touched.len() <= RUNS_MAX;
        fits
    })?;
    if !fits {
        return Ok(None);
    }
    let gone = set_of(gone);
    let touched = difference(&set_of(touched), &gone);
    Ok(Some((gone, touched)))
}

/// Calls `visit` with each change after `since`, in order, until it returns `false`.
pub(super) fn each_change(view: &View<'_>, since: ModSeq, mut visit: impl FnMut(&ChangeRow) -> bool) -> Result<()> {
    let next = since.0.checked_add(1).ok_or_else(|| Error::Invalid("mod-sequence".into()))?;
    let from = rows::long_key(view.mailbox, next);
    let to = behind(&rows::mailbox_key(view.mailbox));
    each(view.kv, Table::Change, &from, &to, |_, row: ChangeRow| Ok(visit(&row)))
}

/// Sorted first, so that the set grows at its end only.
fn set_of(mut runs: Vec<Run>) -> UidSet {
    runs.sort_unstable();
    let mut out = UidSet::new();
    runs.into_iter().for_each(|(first, last)| out.insert_range(first, last));
    out
}

/// The UIDs below `next` that are not in the set.
fn holes(there: &UidSet, next: u32) -> UidSet {
    let (mut out, mut from) = (UidSet::new(), 1);
    for (first, last) in there.ranges() {
        out.insert_range(from, first.saturating_sub(1));
        from = last.saturating_add(1);
    }
    out.insert_range(from, next.saturating_sub(1));
    out
}

/// The members of `a` that are not in `b`.
fn difference(a: &UidSet, b: &UidSet) -> UidSet {
    match a.last() {
        Some(last) => a.intersect(&holes(b, last.saturating_add(1))),
        None => UidSet::new(),
    }
}

/// Which folders' messages changed after `since`, and whether the tree did.
pub(super) fn folder_news(view: &View<'_>, since: ModSeq) -> Result<MailboxReply> {
    let now = view.position();
    if !reaches(since, now) {
        return Ok(MailboxReply::FolderNews { folders: Vec::new(), tree: false, modseq: now, resync: true });
    }
    let (mut ids, mut tree) = (BTreeSet::new(), false);
    each_change(view, since, |row| {
        ids.extend(row.folders.iter().map(|c| c.folder));
        tree |= row.tree;
        true
    })?;
    let mut folders = Vec::with_capacity(ids.len());
    for id in ids {
        match view.folder(id) {
            Ok(folder) => folders.push(folder),
            Err(Error::NotFound(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(MailboxReply::FolderNews { folders, tree, modseq: now, resync: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_what_is_not_there() {
        let there: UidSet = [2, 3, 7].into_iter().collect();
        assert_eq!(holes(&there, 10).to_string(), "1,4:6,8:9");
        assert_eq!(holes(&there, 8).to_string(), "1,4:6");
        assert_eq!(holes(&UidSet::new(), 1).to_string(), "");
        assert_eq!(holes(&UidSet::new(), 4).to_string(), "1:3");
        let some: UidSet = [1, 2, 6, 7, 9].into_iter().collect();
        assert_eq!(difference(&some, &there).to_string(), "1,6,9");
        assert_eq!(difference(&some, &UidSet::new()), some);
    }
}
