//! Text indexes in memory: for simulators and tests. They keep what was committed across crashes of the node, as long as the
//! [`MemoryTexts`] live, and know words as runs of letters and digits.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::text::{Fragment, ItemSet, Marked, TextDoc, TextIndex, TextIndexes, TextSize, TextView};
use zcluster_api::{Error, GroupId, ItemId, MailboxId, Result, SearchExpr, TextField};

type Docs = BTreeMap<(MailboxId, ItemId), TextDoc>;

/// All indexes of a node. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryTexts(Arc<Mutex<BTreeMap<GroupId, Arc<Stored>>>>);

/// What is on the disk.
#[derive(Default)]
struct Stored(Mutex<Arc<Committed>>);

#[derive(Clone, Default)]
struct Committed {
    mark: Vec<u8>,
    docs: Docs,
}

struct Open {
    stored: Arc<Stored>,
    /// Changes since the last commit; `None`: there were none.
    pending: Mutex<Option<Docs>>,
}

impl TextIndexes for MemoryTexts {
    fn open(&self, group: GroupId) -> Result<Arc<dyn TextIndex>> {
        let stored = self.0.lock().entry(group).or_default().clone();
        Ok(Arc::new(Open { stored, pending: Mutex::default() }))
    }
    fn remove(&self, group: GroupId) -> Result<()> {
        self.0.lock().remove(&group);
        Ok(())
    }
    fn on_disk(&self) -> Result<Vec<GroupId>> {
        Ok(self.0.lock().keys().copied().collect())
    }
    fn matches(&self, leaf: &SearchExpr, doc: &TextDoc) -> Result<bool> {
        matches(leaf, doc)
    }
    fn fragment(&self, _: &[SearchExpr], _: &TextDoc, _: usize) -> Option<Fragment> {
        None
    }
}

impl Open {
    fn change(&self, change: impl FnOnce(&mut Docs)) {
        let mut pending = self.pending.lock();
        change(pending.get_or_insert_with(|| self.stored.0.lock().docs.clone()));
    }
}

impl TextIndex for Open {
    fn view(&self) -> Arc<dyn TextView> {
        self.stored.0.lock().clone()
    }
    fn add(&self, mailbox: MailboxId, item: ItemId, doc: &TextDoc) -> Result<()> {
        self.change(|docs| {
            docs.insert((mailbox, item), doc.clone());
        });
        Ok(())
    }
    fn remove(&self, mailbox: MailboxId, items: &[ItemId]) -> Result<()> {
        self.change(|docs| docs.retain(|(of, item), _| *of != mailbox || !items.contains(item)));
        Ok(())
    }
    fn remove_mailbox(&self, mailbox: MailboxId) -> Result<()> {
        self.change(|docs| docs.retain(|(of, _), _| *of != mailbox));
        Ok(())
    }
    fn commit(&self, mark: &[u8]) -> Result<()> {
        let docs = self.pending.lock().take();
        let mut stored = self.stored.0.lock();
        let docs = docs.unwrap_or_else(|| stored.docs.clone());
        *stored = Arc::new(Committed { mark: mark.to_vec(), docs });
        Ok(())
    }
    fn reset(&self) -> Result<()> {
        *self.pending.lock() = None;
        *self.stored.0.lock() = Arc::default();
        Ok(())
    }
    fn rest(&self) {
        *self.pending.lock() = None;
    }
}

impl TextView for Committed {
    fn mark(&self) -> &[u8] {
        &self.mark
    }
    fn find(&self, mailbox: MailboxId, leaf: &SearchExpr) -> Result<Option<Marked>> {
        let of_mailbox = || self.docs.iter().filter(|((of, _), _)| *of == mailbox);
        if let SearchExpr::Header { name, text } = leaf
            && name.eq_ignore_ascii_case("message-id")
        {
            let has = |doc: &TextDoc| {
                let ids = doc.texts.iter().filter(|(field, _)| *field == TextField::MessageId);
                doc.header_cut || ids.into_iter().any(|(_, id)| id.to_lowercase().contains(&inner(text)))
            };
            let may = of_mailbox().filter(|(_, doc)| has(doc)).map(|((_, item), _)| item.0).collect();
            return Ok(Some(Marked { sure: ItemSet::default(), may }));
        }
        if !matches!(leaf, SearchExpr::Words(_) | SearchExpr::Attachment(_)) {
            return Ok(None);
        }
        let mut sure = ItemSet::default();
        for ((_, item), doc) in of_mailbox() {
            if matches(leaf, doc)? {
                sure.insert(item.0);
            }
        }
        Ok(Some(Marked { sure, may: ItemSet::default() }))
    }
    fn items(&self, mailbox: MailboxId) -> Result<ItemSet> {
        Ok(self.docs.keys().filter(|(of, _)| *of == mailbox).map(|(_, item)| item.0).collect())
    }
    fn has(&self, mailbox: MailboxId, item: ItemId) -> Result<bool> {
        Ok(self.docs.contains_key(&(mailbox, item)))
    }
    fn mailboxes(&self) -> Result<Vec<MailboxId>> {
        let mut all: Vec<MailboxId> = self.docs.keys().map(|(of, _)| *of).collect();
        all.dedup();
        Ok(all)
    }
    fn size(&self) -> TextSize {
        TextSize { items: self.docs.len() as u64, bytes: 0 }
    }
}

/// What of a text that stands in a `Message-ID` must stand within the brackets.
fn inner(text: &str) -> String {
    text.trim_matches(|c: char| c == '<' || c == '>' || c.is_whitespace()).to_lowercase()
}

fn words(text: &str) -> Vec<String> {
    let split = text.split(|c: char| !c.is_alphanumeric());
    split.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn matches(leaf: &SearchExpr, doc: &TextDoc) -> Result<bool> {
    let wanted = match leaf {
        SearchExpr::Attachment(types) => return Ok(doc.types.iter().any(|of| types.contains(of))),
        SearchExpr::Recognised(_) => return Ok(false),
        SearchExpr::Words(wanted) => wanted,
        other => return Err(Error::Invalid(format!("{other:?} is not about words"))),
    };
    let needle = words(&wanted.text);
    let is_in = |field: &TextField| {
        let in_content = matches!(
            field,
            TextField::Content
                | TextField::Subject
                | TextField::From
                | TextField::To
                | TextField::Cc
                | TextField::FileName
        );
        wanted.fields.iter().any(|of| of == field || *of == TextField::Content && in_content)
    };
    let stands = |text: &str| {
        words(text).windows(needle.len().max(1)).any(|some| {
            some.iter().zip(&needle).enumerate().all(|(i, (have, want))| {
                have == want || wanted.prefix && i + 1 == needle.len() && have.starts_with(want.as_str())
            })
        })
    };
    Ok(needle.is_empty() || doc.texts.iter().any(|(field, text)| is_in(field) && stands(text)))
}
