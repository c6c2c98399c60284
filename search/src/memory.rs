//! Indexes in memory that read every message at each question: the same answers without threads, files or chance. For the
//! simulator and for tests; a crash is what [`Memory::crash`] says.

use crate::ask::Ask;
use crate::scan::Taken;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::error::Result;
use zcluster_api::search::SearchExpr;
use zcluster_api::text::{Fragment, ItemSet, Marked, TextDoc, TextIndex, TextIndexes, TextSize, TextView};
use zcluster_api::{GroupId, ItemId, MailboxId};

/// All indexes of a node.
#[derive(Default)]
pub struct Memory {
    groups: Mutex<BTreeMap<GroupId, Arc<Group>>>,
}

impl Memory {
    /// Takes away what was not committed, in all indexes.
    pub fn crash(&self) {
        self.groups.lock().values().for_each(|g| g.rest());
    }
}

impl TextIndexes for Memory {
    fn open(&self, group: GroupId) -> Result<Arc<dyn TextIndex>> {
        Ok(self.groups.lock().entry(group).or_default().clone())
    }
    fn remove(&self, group: GroupId) -> Result<()> {
        self.groups.lock().remove(&group);
        Ok(())
    }
    fn on_disk(&self) -> Result<Vec<GroupId>> {
        Ok(self.groups.lock().keys().copied().collect())
    }
    fn matches(&self, leaf: &SearchExpr, doc: &TextDoc) -> Result<bool> {
        crate::matches(leaf, doc)
    }
    fn fragment(&self, conditions: &[SearchExpr], doc: &TextDoc, chars: usize) -> Option<Fragment> {
        crate::fragment::fragment(conditions, doc, chars)
    }
}

type Docs = BTreeMap<(MailboxId, ItemId), Arc<TextDoc>>;

#[derive(Default)]
struct Group {
    now: Mutex<Docs>,
    view: RwLock<Arc<View>>,
}

#[derive(Default)]
struct View {
    docs: Docs,
    mark: Vec<u8>,
}

impl View {
    fn of(&self, mailbox: MailboxId) -> impl Iterator<Item = (u32, &TextDoc)> {
        let range = self.docs.range((mailbox, ItemId(0))..=(mailbox, ItemId(u32::MAX)));
        range.map(|((_, item), doc)| (item.0, &**doc))
    }
}

impl TextView for View {
    fn mark(&self) -> &[u8] {
        &self.mark
    }
    fn find(&self, mailbox: MailboxId, leaf: &SearchExpr) -> Result<Option<Marked>> {
        let Ok(ask) = Ask::new(leaf) else { return Ok(None) };
        let sure = self.of(mailbox).filter(|(_, doc)| Taken::new(doc).matches(&ask)).map(|(item, _)| item).collect();
        Ok(Some(Marked { sure, may: ItemSet::default() }))
    }
    fn items(&self, mailbox: MailboxId) -> Result<ItemSet> {
        Ok(self.of(mailbox).map(|(item, _)| item).collect())
    }
    fn has(&self, mailbox: MailboxId, item: ItemId) -> Result<bool> {
        Ok(self.docs.contains_key(&(mailbox, item)))
    }
    fn mailboxes(&self) -> Result<Vec<MailboxId>> {
        let mut out: Vec<MailboxId> = self.docs.keys().map(|(mailbox, _)| *mailbox).collect();
        out.dedup();
        Ok(out)
    }
    fn size(&self) -> TextSize {
        let bytes = |doc: &Arc<TextDoc>| doc.texts.iter().map(|(_, t)| t.len() as u64).sum::<u64>();
        TextSize { items: self.docs.len() as u64, bytes: self.docs.values().map(bytes).sum() }
    }
}

impl TextIndex for Group {
    fn view(&self) -> Arc<dyn TextView> {
        self.view.read().clone()
    }
    fn add(&self, mailbox: MailboxId, item: ItemId, doc: &TextDoc) -> Result<()> {
        self.now.lock().insert((mailbox, item), Arc::new(doc.clone()));
        Ok(())
    }
    fn remove(&self, mailbox: MailboxId, items: &[ItemId]) -> Result<()> {
        let mut now = self.now.lock();
        items.iter().for_each(|item| drop(now.remove(&(mailbox, *item))));
        Ok(())
    }
    fn remove_mailbox(&self, mailbox: MailboxId) -> Result<()> {
        self.now.lock().retain(|(m, _), _| *m != mailbox);
        Ok(())
    }
    fn commit(&self, mark: &[u8]) -> Result<()> {
        *self.view.write() = Arc::new(View { docs: self.now.lock().clone(), mark: mark.to_vec() });
        Ok(())
    }
    fn reset(&self) -> Result<()> {
        self.now.lock().clear();
        *self.view.write() = Arc::default();
        Ok(())
    }
    fn rest(&self) {
        *self.now.lock() = self.view.read().docs.clone();
    }
}
