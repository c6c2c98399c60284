//! What was read of folders for searches, kept in memory for the next ones. No part of the state: a node that forgets it
//! reads the rows again.

use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use zcluster_api::{FolderId, GroupId, MailboxId};
use zcluster_state::{FolderIndex, Indexes};

/// One index may take this part of the room for all.
const PART: usize = 2;

/// A folder of a mailbox in a generation of a group.
type Key = (GroupId, u32, MailboxId, FolderId);

/// All that is kept on a node. The bytes are those of the indexes' lists; an index that a search is at when it is dropped
/// lives on until that search ends.
pub(crate) struct FolderIndexes {
    kept: Mutex<Kept>,
    max_bytes: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    entries: BTreeMap<Key, Entry>,
    /// By last use.
    order: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
    /// Raised when a group's state was replaced or removed: what was read before must not be kept after.
    lives: BTreeMap<GroupId, u64>,
}

struct Entry {
    index: FolderIndex,
    bytes: usize,
    used: u64,
}

impl FolderIndexes {
    /// Keeps at most `max_bytes`; 0: nothing.
    pub fn new(max_bytes: usize) -> Self {
        FolderIndexes { kept: Mutex::default(), max_bytes: AtomicUsize::new(max_bytes) }
    }

    /// Sets how much is kept.
    pub fn limit(&self, max_bytes: usize) {
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
        self.kept.lock().shrink(max_bytes);
    }

    /// Which life a group is in. To be asked before a view of it is taken.
    pub fn life(&self, group: GroupId) -> u64 {
        self.kept.lock().lives.get(&group).copied().unwrap_or(0)
    }

    /// Drops all of a group, whose state is another one from now on.
    pub fn forget(&self, group: GroupId) {
        let mut kept = self.kept.lock();
        *kept.lives.entry(group).or_default() += 1;
        let keys: Vec<Key> = kept.entries.keys().filter(|key| key.0 == group).copied().collect();
        keys.iter().for_each(|key| kept.remove(key));
    }

    /// The indexes of a group, for a question to a view of this generation.
    pub fn of(&self, group: GroupId, generation: u32, life: u64) -> GroupIndexes<'_> {
        GroupIndexes { all: self, group, generation, life, new: RefCell::default() }
    }

    /// How many there are, and their bytes.
    pub fn figures(&self) -> (usize, usize) {
        let kept = self.kept.lock();
        (kept.entries.len(), kept.bytes)
    }
}

impl Kept {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }

    /// Drops those that were not used for longest.
    fn shrink(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let Some(oldest) = self.order.values().next().copied() else { break };
            self.remove(&oldest);
        }
    }

    fn use_now(&mut self, key: Key) -> u64 {
        self.uses += 1;
        self.order.insert(self.uses, key);
        self.uses
    }
}

/// A group's part of the [`FolderIndexes`], for one question.
pub(crate) struct GroupIndexes<'a> {
    all: &'a FolderIndexes,
    group: GroupId,
    generation: u32,
    life: u64,
    /// What the question has read.
    new: RefCell<BTreeMap<Key, FolderIndex>>,
}

impl GroupIndexes<'_> {
    fn key(&self, mailbox: MailboxId, folder: FolderId) -> Key {
        (self.group, self.generation, mailbox, folder)
    }

    /// Keeps what the question has read, of which it is known by now that no read failed.
    pub fn settle(self) {
        let mut guard = self.all.kept.lock();
        let kept = &mut *guard;
        if !self.is_of_today(kept) {
            return;
        }
        let room = self.room();
        for (key, index) in self.new.take() {
            let bytes = index.bytes();
            let is_later = |e: &Entry| e.index.position() > index.position();
            if bytes > room || kept.entries.get(&key).is_some_and(is_later) {
                continue;
            }
            kept.remove(&key);
            let used = kept.use_now(key);
            kept.bytes += bytes;
            kept.entries.insert(key, Entry { index, bytes, used });
            kept.shrink(self.all.max_bytes.load(Ordering::Relaxed));
        }
    }

    fn is_of_today(&self, kept: &Kept) -> bool {
        kept.lives.get(&self.group).copied().unwrap_or(0) == self.life
    }
}

impl Indexes for GroupIndexes<'_> {
    fn get(&self, mailbox: MailboxId, folder: FolderId) -> Option<FolderIndex> {
        if let Some(index) = self.new.borrow().get(&self.key(mailbox, folder)) {
            return Some(index.clone());
        }
        let mut guard = self.all.kept.lock();
        let kept = &mut *guard;
        if !self.is_of_today(kept) {
            return None;
        }
        let key = self.key(mailbox, folder);
        let before = kept.entries.get(&key)?.used;
        kept.order.remove(&before);
        let used = kept.use_now(key);
        let entry = kept.entries.get_mut(&key)?;
        entry.used = used;
        Some(entry.index.clone())
    }

    fn keep(&self, mailbox: MailboxId, folder: FolderId, index: FolderIndex) {
        self.new.borrow_mut().insert(self.key(mailbox, folder), index);
    }

    fn drop(&self, mailbox: MailboxId, folder: FolderId) {
        let key = self.key(mailbox, folder);
        self.new.borrow_mut().remove(&key);
        self.all.kept.lock().remove(&key);
    }

    fn room(&self) -> usize {
        self.all.max_bytes.load(Ordering::Relaxed) / PART
    }
}
