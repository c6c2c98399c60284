//! What was read of a folder for SEARCH, SORT and THREAD, in the form they work on, so that the next question need not
//! read it again. Never part of the state: whoever has none reads the rows, and the answers are the same.
//!
//! An index is brought up to date by the mailbox's own record of changes ([`Table::Change`]): only messages touched since
//! are read. Where the record does not reach back, all is read anew.

mod bits;
mod columns;
mod ids;
mod keys;
mod ranks;

pub(super) use bits::Bits;
pub(crate) use columns::Columns;
pub(crate) use ids::{Ids, NONE};
pub(super) use keys::key_of;
pub(crate) use ranks::Ranks;

use super::read::View;
use super::rows::{self, ChangeRow};
use super::sort::Texts;
use super::work::CHANGES_KEPT;
use super::{each_message, rows::FolderRow};
use crate::content::Content;
use crate::kv::{Table, behind, each};
use keys::{each_keys, is_hot, read_ids, write_key};
use ranks::Strings;
use std::sync::Arc;
use zcluster_api::sort::SortBy;
use zcluster_api::{Epoch, FolderId, MailboxId, ModSeq, Result, UidSet, codec};

/// Changes that are looked through to bring an index up to date; after more, all is read anew.
const CHANGES_MAX: u64 = 4_096;
/// A part of a folder that is asked for is read alone when it is smaller than this fraction of the folder.
const PART: u64 = 4;
/// New messages that are fitted into orders and ids one by one; for more these are made anew. One in so many messages of
/// the folder, but always [`FITTED_MIN`].
const FITTED_PART: usize = 64;
const FITTED_MIN: usize = 16;
/// What an index costs beside its lists, bytes.
const BASE_BYTES: usize = 512;

/// Where a replica keeps indexes between questions.
pub trait Indexes {
    /// What was kept of the folder.
    fn get(&self, mailbox: MailboxId, folder: FolderId) -> Option<FolderIndex>;
    /// Keeps an index, in the place of an earlier one; never in the place of a later one.
    fn keep(&self, mailbox: MailboxId, folder: FolderId, index: FolderIndex);
    /// Drops what was kept of the folder.
    fn drop(&self, mailbox: MailboxId, folder: FolderId);
    /// Bytes that one index may take; 0: nothing is kept.
    fn room(&self) -> usize;
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIndexes;

impl Indexes for NoIndexes {
    fn get(&self, _: MailboxId, _: FolderId) -> Option<FolderIndex> {
        None
    }
    fn keep(&self, _: MailboxId, _: FolderId, _: FolderIndex) {}
    fn drop(&self, _: MailboxId, _: FolderId) {}
    fn room(&self) -> usize {
        0
    }
}

/// A folder's messages as columns. Cheap to clone: clones share what neither changes.
#[derive(Clone, Debug)]
pub struct FolderIndex {
    epoch: Epoch,
    uid_validity: u32,
    /// The mailbox's mod-sequence that it is at.
    modseq: ModSeq,
    /// All of the folder's messages are in it.
    whole: bool,
    pub(super) columns: Arc<Columns>,
    dates: Option<Arc<Dates>>,
    ranks: Vec<(SortBy, Arc<Ranks>)>,
    ids: Option<Arc<Ids>>,
}

/// Dates of the messages, which do not change.
#[derive(Clone, Debug, Default)]
pub(super) struct Dates {
    /// The sent date, else INTERNALDATE, Unix milliseconds.
    pub sent_ms: Vec<i64>,
    /// The calendar day of `Date:`; [`NO_DAY`].
    pub day: Vec<i64>,
}

/// No `Date:`.
pub(super) const NO_DAY: i64 = i64::MIN;

/// What a question needs beside the hot rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Need {
    pub dates: bool,
    pub ranks: Vec<SortBy>,
    pub ids: bool,
}

impl FolderIndex {
    /// The index of some messages that are not kept together.
    pub(super) fn of(columns: Columns) -> Self {
        FolderIndex {
            epoch: Epoch(0),
            uid_validity: 0,
            modseq: ModSeq(0),
            whole: false,
            columns: Arc::new(columns),
            dates: None,
            ranks: Vec::new(),
            ids: None,
        }
    }

    /// What orders two indexes of one folder: the later one has the higher value.
    pub fn position(&self) -> (Epoch, ModSeq) {
        (self.epoch, self.modseq)
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let dates = self.dates.as_ref().map_or(0, |d| d.day.len() * 16);
        let ranks: usize = self.ranks.iter().map(|(_, r)| r.bytes()).sum();
        BASE_BYTES + self.columns.bytes() + dates + ranks + self.ids.as_ref().map_or(0, |i| i.bytes())
    }

    pub(super) fn dates(&self) -> Option<&Dates> {
        self.dates.as_deref()
    }

    /// The ranks of a criterion that [`fill`](Self::fill) was told to need.
    pub(super) fn ranks(&self, by: SortBy) -> Option<&Ranks> {
        self.ranks.iter().find(|(b, _)| *b == by).map(|(_, ranks)| ranks.as_ref())
    }

    pub(super) fn ids(&self) -> Option<&Ids> {
        self.ids.as_deref()
    }

    /// What is needed of the marked messages: from here if most messages are marked or all is there, else read for them
    /// alone.
    pub(super) fn ready(
        mut self,
        view: &View<'_>,
        folder: FolderId,
        hits: Bits,
        content: &dyn Content,
        need: &Need,
    ) -> Result<(FolderIndex, Bits)> {
        if hits.count() < self.columns.len() / PART as usize && !self.has(need) {
            let mut columns = Columns::default();
            hits.ones().for_each(|at| columns.push(self.columns.uid[at], self.columns.row(at)));
            let all = Bits::all(columns.len(), true);
            let mut some = FolderIndex::of(columns);
            some.fill(view, content, need)?;
            return Ok((some, all));
        }
        if self.fill(view, content, need)? {
            keep(view, folder, &self);
        }
        Ok((self, hits))
    }

    fn has(&self, need: &Need) -> bool {
        (self.dates.is_some() || !need.dates)
            && (self.ids.is_some() || !need.ids)
            && need.ranks.iter().all(|by| self.ranks(*by).is_some())
    }

    /// Reads what is needed and not there, of all messages. Says whether anything was.
    pub(super) fn fill(&mut self, view: &View<'_>, content: &dyn Content, need: &Need) -> Result<bool> {
        if self.has(need) {
            return Ok(false);
        }
        let columns = self.columns.clone();
        let mut missing: Vec<SortBy> = Vec::new();
        for by in &need.ranks {
            if self.ranks(*by).is_none() && !missing.contains(by) {
                missing.push(*by);
            }
        }
        let (dates, ids) = (need.dates && self.dates.is_none(), need.ids && self.ids.is_none());
        let mut strings: Vec<(SortBy, Strings)> = missing.into_iter().map(|by| (by, Strings::default())).collect();
        let mut found = Dates::default();
        if dates {
            found = Dates { sent_ms: columns.internal_ms.clone(), day: vec![NO_DAY; columns.len()] };
        }
        let mut read: Vec<ids::Read> = Vec::new();
        if ids {
            read.resize_with(columns.len(), Default::default);
        }
        if !dates && !ids && strings.iter().all(|(by, _)| is_hot(*by)) {
            for at in 0..columns.len() {
                for (by, strings) in &mut strings {
                    strings.add(at, |out| write_key(*by, &columns, at, &Texts::default(), out))?;
                }
            }
        } else {
            each_keys(view, content, &columns.item, |at, keys| {
                let texts: Texts<'_> = codec::decode(keys)?;
                for (by, strings) in &mut strings {
                    strings.add(at, |out| write_key(*by, &columns, at, &texts, out))?;
                }
                if dates {
                    found.set(at, &texts);
                }
                if ids {
                    read[at] = read_ids(keys, &texts)?;
                }
                Ok(())
            })?;
        }
        self.ranks.extend(strings.into_iter().map(|(by, strings)| (by, Arc::new(strings.ranks()))));
        if dates {
            self.dates = Some(Arc::new(found));
        }
        if ids {
            self.ids = Some(Arc::new(Ids::new(&read)));
        }
        Ok(true)
    }

    /// Brings the index to the view's position. Says whether that could be done.
    fn catch_up(&mut self, view: &View<'_>, folder: FolderId, row: &FolderRow, content: &dyn Content) -> Result<bool> {
        let now = view.position();
        if row.highest_modseq > self.modseq {
            let Some(touched) = touched(view, folder, self.modseq)? else { return Ok(false) };
            if touched.len() > self.columns.len() as u64 / 2 + 256 {
                return Ok(false);
            }
            let mut fresh = Vec::new();
            each_message(view.kv, (view.mailbox, folder), &touched, |uid, row| {
                fresh.push((uid.0, row));
                Ok(true)
            })?;
            let Some(moved) = Arc::make_mut(&mut self.columns).change(&touched, fresh) else { return Ok(false) };
            self.follow(view, content, &moved)?;
        }
        self.modseq = now;
        Ok(self.columns.len() == row.messages as usize)
    }

    /// Lets the other lists follow the columns.
    fn follow(&mut self, view: &View<'_>, content: &dyn Content, moved: &columns::Moved) -> Result<()> {
        if let Some(kept) = &moved.kept {
            if let Some(dates) = self.dates.as_mut().map(Arc::make_mut) {
                kept.retain(&mut dates.sent_ms);
                kept.retain(&mut dates.day);
            }
            self.ranks.iter_mut().for_each(|(_, ranks)| Arc::make_mut(ranks).retain(kept));
            if let Some(ids) = self.ids.as_mut()
                && !Arc::make_mut(ids).retain(kept)
            {
                self.ids = None;
            }
        }
        let columns = self.columns.clone();
        let new = columns.len() - moved.added;
        if new == 0 {
            return Ok(());
        }
        if new > FITTED_MIN.max(columns.len() / FITTED_PART) {
            (self.ranks, self.ids) = (Vec::new(), None);
        }
        if self.ranks.is_empty() && self.dates.is_none() && self.ids.is_none() {
            return Ok(());
        }
        let mut strings: Vec<Strings> = self.ranks.iter().map(|_| Strings::default()).collect();
        let mut read: Vec<ids::Read> = Vec::new();
        read.resize_with(new, Default::default);
        let mut dates = self.dates.as_mut().map(Arc::make_mut);
        if let Some(dates) = &mut dates {
            dates.sent_ms.extend_from_slice(&columns.internal_ms[moved.added..]);
            dates.day.resize(columns.len(), NO_DAY);
        }
        each_keys(view, content, &columns.item[moved.added..], |i, keys| {
            let (at, texts) = (moved.added + i, codec::decode::<Texts<'_>>(keys)?);
            for ((by, _), strings) in self.ranks.iter().zip(&mut strings) {
                strings.add(at, |out| write_key(*by, &columns, at, &texts, out))?;
            }
            if let Some(dates) = &mut dates {
                dates.set(at, &texts);
            }
            read[i] = read_ids(keys, &texts)?;
            Ok(())
        })?;
        for ((by, ranks), strings) in self.ranks.iter_mut().zip(strings) {
            Arc::make_mut(ranks).add(strings, |at| key_of(view, content, *by, &columns, at))?;
        }
        if let Some(ids) = self.ids.as_mut().map(Arc::make_mut) {
            read.iter().for_each(|read| ids.push(read));
        }
        Ok(())
    }
}

impl Dates {
    fn set(&mut self, at: usize, texts: &Texts<'_>) {
        self.day[at] = texts.sent_day.unwrap_or(NO_DAY);
        if let Some(sent_ms) = texts.sent_ms {
            self.sent_ms[at] = sent_ms;
        }
    }
}

/// The folder's index as of the view; `None` when what is asked for is to be read alone.
///
/// # Errors
/// `NotFound` (folder).
pub(super) fn open(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    content: &dyn Content,
) -> Result<Option<FolderIndex>> {
    let row = view.row(folder)?;
    let (mailbox, now) = (view.mailbox, view.position());
    if view.indexes.room() == 0 {
        return Ok(None);
    }
    let known = view.indexes.get(mailbox, folder);
    let is_ours = |k: &FolderIndex| (k.epoch, k.uid_validity) == (view.epoch(), row.uid_validity);
    if let Some(mut known) = known.filter(|k| is_ours(k) && k.modseq <= now) {
        if known.modseq == now {
            return Ok(Some(known));
        }
        // Nobody else's from here on, unless another question is at it: what changes need not be copied.
        view.indexes.drop(mailbox, folder);
        if known.catch_up(view, folder, &row, content)? {
            keep(view, folder, &known);
            return Ok(Some(known));
        }
    }
    let messages = u64::from(row.messages);
    if within.is_some_and(|uids| uids.len() < messages / PART)
        || row.messages as usize * columns::MESSAGE_BYTES > view.indexes.room()
    {
        return Ok(None);
    }
    let mut columns = Columns::default();
    each_message(view.kv, (mailbox, folder), &UidSet::range(1, u32::MAX), |uid, row| {
        columns.push(uid.0, row);
        Ok(true)
    })?;
    let (epoch, uid_validity) = (view.epoch(), row.uid_validity);
    let index = FolderIndex { epoch, uid_validity, modseq: now, whole: true, ..FolderIndex::of(columns) };
    keep(view, folder, &index);
    Ok(Some(index))
}

/// Keeps an index that [`open`] gave, with what has been added to it. Of others nothing is kept.
pub(super) fn keep(view: &View<'_>, folder: FolderId, index: &FolderIndex) {
    if index.whole && index.bytes() <= view.indexes.room() {
        view.indexes.keep(view.mailbox, folder, index.clone());
    }
}

/// The folder's messages that changes after `since` touched; `None` when the record does not reach back or is long.
fn touched(view: &View<'_>, folder: FolderId, since: ModSeq) -> Result<Option<UidSet>> {
    let now = view.position();
    if now.0 - since.0 > CHANGES_MAX.min(CHANGES_KEPT - 1) {
        return Ok(None);
    }
    let from = rows::long_key(view.mailbox, since.0 + 1);
    let to = behind(&rows::long_key(view.mailbox, now.0));
    let (mut uids, mut seen) = (UidSet::new(), 0);
    each(view.kv, Table::Change, &from, &to, |_, change: ChangeRow| {
        seen += 1;
        for part in change.folders.iter().filter(|part| part.folder == folder) {
            for set in [&part.added, &part.flags, &part.expunged] {
                set.ranges().for_each(|(first, last)| uids.insert_range(first, last));
            }
        }
        Ok(true)
    })?;
    Ok((seen == now.0 - since.0).then_some(uids))
}

/// Ids of messages that are nowhere kept.
#[cfg(test)]
pub(super) fn ids_of(all: impl Iterator<Item = (Option<u64>, Vec<u64>)>) -> Ids {
    let read = |(own, references)| ids::Read { own, references, ..ids::Read::default() };
    Ids::new(&all.map(read).collect::<Vec<_>>())
}
