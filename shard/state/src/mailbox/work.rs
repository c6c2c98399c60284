//! One command at work: counters, pages and the change record are gathered here and written once, at the end.
//!
//! Commands look first and write then: once an operation has put or deleted a row, it cannot fail any more. What this
//! type gathers is written only by [`Work::finish`], so a failing command leaves the tables as they were.

use super::Place;
use super::pages::{self, Page};
use super::rows::{self, ChangeRow, Filters, FolderChange, FolderRow, Header, HotRow, MetadataRow};
use crate::group::Group;
use crate::kv::{Kv, KvRead, Table, save};
use crate::proposal::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::{AccountId, Error, Flags, FolderId, ItemId, MailboxId, ModSeq, Result, Uid};

/// Changes a mailbox remembers; `Changes` from before them answers `resync`.
pub(crate) const CHANGES_KEPT: u64 = 20_000;

pub(crate) struct Work<'a> {
    pub kv: &'a mut dyn Kv,
    pub group: &'a mut Group,
    pub stamp: Stamp,
    pub mailbox: MailboxId,
    /// Bytes; 0 = none.
    pub quota: u64,
    /// Who gives the command, when it is not the owner.
    pub actor: Option<AccountId>,
    pub header: Header,
    before: Header,
    folders: BTreeMap<FolderId, FolderRow>,
    dirty: BTreeSet<FolderId>,
    pages: BTreeMap<(FolderId, u32), Page>,
    change: ChangeRow,
}

impl<'a> Work<'a> {
    pub fn new(kv: &'a mut dyn Kv, group: &'a mut Group, stamp: Stamp, at: Place, header: Header) -> Self {
        Work {
            kv,
            group,
            stamp,
            mailbox: at.mailbox,
            quota: at.quota,
            actor: at.actor,
            before: header.clone(),
            header,
            folders: BTreeMap::new(),
            dirty: BTreeSet::new(),
            pages: BTreeMap::new(),
            change: ChangeRow::default(),
        }
    }

    /// For the reading functions.
    pub fn view(&self) -> &dyn KvRead {
        &*self.kv
    }

    /// The mod-sequence of this command: raised once, at the first change.
    pub fn modseq(&mut self) -> ModSeq {
        if self.header.modseq == self.before.modseq {
            self.header.modseq.0 += 1;
        }
        self.header.modseq
    }

    /// The mod-sequence that the command left or will leave, if it changed something.
    pub fn raised(&self) -> Option<ModSeq> {
        (self.header.modseq != self.before.modseq).then_some(self.header.modseq)
    }

    /// The header's part about filtering.
    pub fn filters(&mut self) -> &mut Filters {
        self.header.filters.get_or_insert_default()
    }

    /// Notes that the folder tree changed.
    pub fn tree_changed(&mut self) {
        self.modseq();
        self.change.tree = true;
    }

    /// Notes which annotations the command sets or removes.
    pub fn metadata_changed(&mut self, folder: Option<FolderId>, names: Vec<String>) {
        self.modseq();
        self.change.metadata = Some(MetadataRow { folder, names, actor: self.actor });
    }

    /// A folder as this command sees it.
    pub fn folder(&mut self, id: FolderId) -> Result<&FolderRow> {
        self.fetch(id)?;
        self.folders.get(&id).ok_or_else(|| no_folder(id))
    }

    /// A folder to be changed.
    pub fn folder_mut(&mut self, id: FolderId) -> Result<&mut FolderRow> {
        self.fetch(id)?;
        self.dirty.insert(id);
        self.folders.get_mut(&id).ok_or_else(|| no_folder(id))
    }

    fn fetch(&mut self, id: FolderId) -> Result<()> {
        if !self.folders.contains_key(&id) {
            // The root carries no messages and no path; nothing but its children is ever asked of it.
            let row = rows::folder(self.view(), self.mailbox, id)?
                .filter(|_| id != zcluster_api::mailbox::folders::USER_ROOT);
            self.folders.insert(id, row.ok_or_else(|| no_folder(id))?);
        }
        Ok(())
    }

    /// Puts a new folder.
    pub fn put_folder(&mut self, id: FolderId, row: FolderRow) {
        let name = rows::name_key(self.mailbox, row.parent, &row.name);
        self.kv.put(Table::FolderName, &name, id.0.to_be_bytes().to_vec());
        self.folders.insert(id, row);
        self.dirty.insert(id);
        self.header.folders += 1;
    }

    /// Removes an empty folder.
    pub fn remove_folder(&mut self, id: FolderId) -> Result<()> {
        let row = self.folder(id)?.clone();
        self.kv.delete(Table::FolderName, &rows::name_key(self.mailbox, row.parent, &row.name));
        self.kv.delete(Table::Folder, &rows::number_key(self.mailbox, id.0));
        self.kv.delete(Table::UrlAuthKey, &rows::number_key(self.mailbox, id.0));
        self.folders.remove(&id);
        self.dirty.remove(&id);
        self.header.folders = self.header.folders.saturating_sub(1);
        Ok(())
    }

    /// Whether `count` more items can have ids.
    ///
    /// # Errors
    /// `TooLarge` when 32 bits are used up.
    pub fn room_for_items(&self, count: u64) -> Result<()> {
        if u64::from(self.header.next_item) + count >= u64::from(u32::MAX) {
            return Err(Error::TooLarge("item ids of this mailbox are used up".into()));
        }
        Ok(())
    }

    /// A fresh item id; [`Work::room_for_items`] was asked before.
    pub fn next_item(&mut self) -> u32 {
        self.header.next_item += 1;
        self.header.next_item - 1
    }

    /// Whether `count` more messages of `bytes` together fit into the folder and the quota.
    ///
    /// # Errors
    /// `NotFound`, `QuotaExceeded`, `TooLarge` (UIDs).
    pub fn room_for_messages(&mut self, folder: FolderId, count: u64, bytes: u64) -> Result<()> {
        let next = self.folder(folder)?.uid_next.0;
        if u64::from(next) + count >= u64::from(u32::MAX) {
            return Err(Error::TooLarge("UIDs of this folder are used up".into()));
        }
        self.room_in_quota(bytes)
    }

    /// Whether so many more bytes fit into the quota.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub fn room_in_quota(&self, bytes: u64) -> Result<()> {
        if bytes > 0 && self.quota > 0 && self.header.used.saturating_add(bytes) > self.quota {
            return Err(Error::QuotaExceeded);
        }
        Ok(())
    }

    /// Puts a message into a folder under the next UID, which it returns. Sets the row's mod-sequence and time.
    pub fn insert(&mut self, folder: FolderId, mut row: HotRow) -> Result<Uid> {
        let modseq = self.modseq();
        row.modseq = modseq;
        row.saved_ms = i64::try_from(self.stamp.wall_ms).unwrap_or(i64::MAX);
        let f = self.folder_mut(folder)?;
        let uid = f.uid_next;
        f.uid_next.0 += 1;
        f.messages += 1;
        f.bytes += row.size;
        f.highest_modseq = modseq;
        count(f, Flags::default(), row.flags);
        self.header.messages += 1;
        self.header.used += row.size;
        self.page(folder, uid)?.set(uid.0, true, row.flags.contains(Flags::UNREAD));
        self.touched(folder).added.insert(uid.0);
        save(self.kv, Table::Hot, &rows::folder_key(self.mailbox, folder, uid.0), &row);
        Ok(uid)
    }

    /// Takes a message out of a folder.
    pub fn remove(&mut self, folder: FolderId, uid: Uid, row: &HotRow) -> Result<()> {
        let modseq = self.modseq();
        let f = self.folder_mut(folder)?;
        f.messages = f.messages.saturating_sub(1);
        f.bytes = f.bytes.saturating_sub(row.size);
        f.highest_modseq = modseq;
        count(f, row.flags, Flags::default());
        self.header.messages = self.header.messages.saturating_sub(1);
        self.header.used = self.header.used.saturating_sub(row.size);
        self.page(folder, uid)?.set(uid.0, false, false);
        self.touched(folder).expunged.insert(uid.0);
        self.kv.delete(Table::Hot, &rows::folder_key(self.mailbox, folder, uid.0));
        Ok(())
    }

    /// Rewrites a message whose flags or tags changed; sets the row's mod-sequence.
    pub fn update(&mut self, folder: FolderId, uid: Uid, old: Flags, row: &mut HotRow) -> Result<()> {
        let modseq = self.modseq();
        row.modseq = modseq;
        let f = self.folder_mut(folder)?;
        f.highest_modseq = modseq;
        count(f, old, row.flags);
        if old.contains(Flags::UNREAD) != row.flags.contains(Flags::UNREAD) {
            self.page(folder, uid)?.set(uid.0, true, row.flags.contains(Flags::UNREAD));
        }
        self.touched(folder).flags.insert(uid.0);
        save(self.kv, Table::Hot, &rows::folder_key(self.mailbox, folder, uid.0), row);
        Ok(())
    }

    /// Removes an item's content and its claim on the body.
    pub fn forget_content(&mut self, item: ItemId) -> Result<()> {
        let cold = rows::cold(self.view(), self.mailbox, item)?;
        self.kv.delete(Table::Cold, &rows::number_key(self.mailbox, item.0));
        self.kv.delete(Table::Keys, &rows::number_key(self.mailbox, item.0));
        crate::bodies::release(self.kv, self.group, cold.blob)
    }

    fn page(&mut self, folder: FolderId, uid: Uid) -> Result<&mut Page> {
        let key = (folder, pages::number(uid.0));
        if !self.pages.contains_key(&key) {
            let page = Page::load(self.view(), self.mailbox, folder, key.1)?;
            self.pages.insert(key, page);
        }
        Ok(self.pages.entry(key).or_insert_with(Page::empty))
    }

    fn touched(&mut self, folder: FolderId) -> &mut FolderChange {
        let all = &mut self.change.folders;
        let at = all.partition_point(|c| c.folder < folder);
        if all.get(at).is_none_or(|c| c.folder != folder) {
            all.insert(at, FolderChange::new(folder));
        }
        &mut all[at]
    }

    /// Writes what was gathered. Returns the new mod-sequence if there is one.
    pub fn finish(self) -> Option<ModSeq> {
        let raised = self.raised();
        for ((folder, number), page) in &self.pages {
            let key = rows::folder_key(self.mailbox, *folder, *number);
            if page.is_empty() {
                self.kv.delete(Table::Page, &key)
            } else {
                self.kv.put(Table::Page, &key, page.encode())
            }
        }
        for (id, row) in self.folders.iter().filter(|(id, _)| self.dirty.contains(id)) {
            save(self.kv, Table::Folder, &rows::number_key(self.mailbox, id.0), row);
        }
        if let Some(ModSeq(now)) = raised {
            save(self.kv, Table::Change, &rows::long_key(self.mailbox, now), &self.change);
            if let Some(old) = now.checked_sub(CHANGES_KEPT).filter(|old| *old > 0) {
                self.kv.delete(Table::Change, &rows::long_key(self.mailbox, old));
            }
        }
        if self.header != self.before {
            save(self.kv, Table::Mailbox, &rows::mailbox_key(self.mailbox), &self.header);
        }
        raised
    }
}

/// Moves a folder's flag counters from a message's old flags to its new ones.
fn count(f: &mut FolderRow, old: Flags, new: Flags) {
    let step = |n: u32, flag: Flags| match (old.contains(flag), new.contains(flag)) {
        (false, true) => n + 1,
        (true, false) => n.saturating_sub(1),
        _ => n,
    };
    (f.unread, f.deleted) = (step(f.unread, Flags::UNREAD), step(f.deleted, Flags::DELETED));
}

pub(crate) fn no_folder(id: FolderId) -> Error {
    Error::NotFound(format!("folder {id}"))
}
