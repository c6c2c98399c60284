//! Full-text indexes: what a message's text is, and what an index of a shard replica can be told and asked.
//!
//! An index is derived from the shard's state and may be thrown away at any time. Items never change their text, so that
//! all an index must know is which items there are. Whoever asks it knows what it lacks by its mark, and looks into those
//! messages itself (`shard/replica`): a search is complete at the position it answers for.

use crate::error::Result;
use crate::ids::{GroupId, ItemId, MailboxId};
use crate::search::{SearchExpr, TextField};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Bytes of one message's text that are indexed and searched for words: what lies behind is not found.
pub const TEXT_BYTES_MAX: usize = 4 << 20;

/// What there is to be found of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextDoc {
    /// Texts by field; a field may come several times (words of different texts are never neighbours).
    /// [`TextField::Content`] here is what is in no other field: body and attachments. A search in `Content` looks at the
    /// fields subject, from, to, cc, file name as well.
    pub texts: Vec<(TextField, String)>,
    /// Media types of its attachments, lower case.
    pub types: Vec<String>,
    /// The message is one `text/plain` part, and its text is here whole: what IMAP's BODY looks at is the content.
    pub plain: bool,
    /// Some of the header was not looked at: its fields may say more.
    pub header_cut: bool,
}

/// A set of items of one mailbox: a bitmap by item id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemSet {
    words: Vec<u64>,
}

impl ItemSet {
    /// Adds an item.
    pub fn insert(&mut self, item: u32) {
        let (word, bit) = (item as usize / 64, item % 64);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << bit;
    }
    /// Whether an item is in it.
    pub fn contains(&self, item: u32) -> bool {
        self.words.get(item as usize / 64).is_some_and(|word| word >> (item % 64) & 1 == 1)
    }
    /// Adds all of another set.
    pub fn add_all(&mut self, other: &ItemSet) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }
    /// Leaves what is in both.
    pub fn keep_all(&mut self, other: &ItemSet) {
        self.words.truncate(other.words.len());
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }
    /// Takes all of another set away.
    pub fn remove_all(&mut self, other: &ItemSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
    }
    /// Items in it.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
    /// The items, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}

impl FromIterator<u32> for ItemSet {
    fn from_iter<T: IntoIterator<Item = u32>>(items: T) -> Self {
        let mut set = ItemSet::default();
        items.into_iter().for_each(|item| set.insert(item));
        set
    }
}

/// What an index tells of a condition: of the items it knows, those that match, and those that may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Match for certain.
    pub sure: ItemSet,
    /// May match, and are to be looked into; those of `sure` need not be here.
    pub may: ItemSet,
}

/// An index as it was at its last commit.
pub trait TextView: Send + Sync {
    /// What the last commit was told; empty: there was none, or what was there could not be used.
    fn mark(&self) -> &[u8];

    /// The items of a mailbox for which a condition on text ([`SearchExpr::Words`], [`SearchExpr::Attachment`],
    /// [`SearchExpr::Recognised`], and as far as it helps [`SearchExpr::Text`], [`SearchExpr::Body`],
    /// [`SearchExpr::Header`]) holds. `None`: the index cannot tell, all are to be looked into. Blocks.
    ///
    /// # Errors
    /// `TooLarge` when a wildcard stands for too many words; `Internal` when the index is damaged: it is to be made anew.
    fn find(&self, mailbox: MailboxId, leaf: &SearchExpr) -> Result<Option<Marked>>;

    /// The items of a mailbox that are in the index. Blocks.
    ///
    /// # Errors
    /// `Internal` when the index is damaged.
    fn items(&self, mailbox: MailboxId) -> Result<ItemSet>;

    /// Whether an item is in the index. Blocks.
    ///
    /// # Errors
    /// `Internal` when the index is damaged.
    fn has(&self, mailbox: MailboxId, item: ItemId) -> Result<bool>;

    /// The mailboxes in the index, rising. Blocks.
    ///
    /// # Errors
    /// `Internal` when the index is damaged.
    fn mailboxes(&self) -> Result<Vec<MailboxId>>;

    /// Documents and bytes on disk.
    fn size(&self) -> TextSize;
}

/// How large an index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextSize {
    /// Items.
    pub items: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// The index of one shard replica. Changes are seen, and durable, with the next commit; what was not committed is gone
/// after a crash. One caller at a time changes it; anybody may look. All blocks.
pub trait TextIndex: Send + Sync + 'static {
    /// The index as of the last commit.
    fn view(&self) -> Arc<dyn TextView>;
    /// Adds an item, in the place of what there was under its number.
    ///
    /// # Errors
    /// `Unavailable` (disk full), `Internal` (damage).
    fn add(&self, mailbox: MailboxId, item: ItemId, doc: &TextDoc) -> Result<()>;
    /// Removes items.
    ///
    /// # Errors
    /// As [`TextIndex::add`].
    fn remove(&self, mailbox: MailboxId, items: &[ItemId]) -> Result<()>;
    /// Removes all of a mailbox.
    ///
    /// # Errors
    /// As [`TextIndex::add`].
    fn remove_mailbox(&self, mailbox: MailboxId) -> Result<()>;
    /// Makes all changes durable, with a mark of the caller's that says how far they go.
    ///
    /// # Errors
    /// As [`TextIndex::add`].
    fn commit(&self, mark: &[u8]) -> Result<()>;
    /// Throws all away: the index is as new.
    ///
    /// # Errors
    /// As [`TextIndex::add`].
    fn reset(&self) -> Result<()>;
    /// Gives back the memory that changing takes, until the next change. What was not committed is dropped.
    fn rest(&self);
}

/// All indexes of a node, and how texts are read without one.
pub trait TextIndexes: Send + Sync + 'static {
    /// Opens the index of a group, or makes it. One that is damaged, or was made by an older way of taking texts apart, is
    /// made anew (its mark is empty then). Blocks.
    ///
    /// # Errors
    /// `Unavailable`: the disk.
    fn open(&self, group: GroupId) -> Result<Arc<dyn TextIndex>>;
    /// Removes a group's index, which nobody uses any more. Blocks.
    ///
    /// # Errors
    /// `Unavailable`: the disk.
    fn remove(&self, group: GroupId) -> Result<()>;
    /// The groups that have one on disk. Blocks.
    ///
    /// # Errors
    /// `Unavailable`: the disk.
    fn on_disk(&self) -> Result<Vec<GroupId>>;
    /// Whether a condition ([`SearchExpr::Words`], [`SearchExpr::Attachment`], [`SearchExpr::Recognised`]) holds for a
    /// message's text, exactly as it would with the message in an index.
    ///
    /// # Errors
    /// `Invalid` when the condition is none of these.
    fn matches(&self, leaf: &SearchExpr, doc: &TextDoc) -> Result<bool>;
    /// A piece of the message's text, of at most so many characters, around what the conditions found, with the byte ranges
    /// in it to be shown as found; `None` when none of them is about its text.
    fn fragment(&self, conditions: &[SearchExpr], doc: &TextDoc, chars: usize) -> Option<Fragment>;
}

/// A file attached to a message, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedBytes {
    /// Lower case, as the message says.
    pub media_type: String,
    /// As the message says; empty: none.
    pub name: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// The text of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileText {
    /// What a reader sees.
    pub text: String,
    /// `author`, `title`, `keywords`, `company`: names in lower case, and values.
    pub properties: Vec<(String, String)>,
}

/// Gets texts out of attached files. Implemented over a process of its own by `extract/`.
pub trait FileReader: Send + Sync + 'static {
    /// Whether there is any use in asking for a file of that type and name.
    fn knows(&self, media_type: &str, name: &str) -> bool;
    /// The text of a file.
    ///
    /// # Errors
    /// `Invalid`: no text can be got out of it, now or later. `Unavailable`: there is too much to do.
    fn read(&self, file: AttachedBytes) -> BoxFuture<'static, Result<FileText>>;
}

/// A piece of text with what was found in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Fragment {
    /// The text.
    #[n(0)]
    pub text: String,
    /// Where in it, as byte ranges `[from, to)`, rising and apart.
    #[n(1)]
    pub found: Vec<(u32, u32)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(a in proptest::collection::btree_set(0..700_u32, 0..90), b in proptest::collection::btree_set(0..900_u32, 0..90)) {
            let set = |items: &BTreeSet<u32>| items.iter().copied().collect::<ItemSet>();
            let (x, y) = (set(&a), set(&b));
            prop_assert!(x.iter().eq(a.iter().copied()));
            prop_assert_eq!((x.len(), x.is_empty()), (a.len(), a.is_empty()));
            let with = |change: fn(&mut ItemSet, &ItemSet)| { let mut x = x.clone(); change(&mut x, &y); x.iter().collect::<Vec<_>>() };
            prop_assert_eq!(with(ItemSet::add_all), a.union(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(with(ItemSet::keep_all), a.intersection(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(with(ItemSet::remove_all), a.difference(&b).copied().collect::<Vec<_>>());
            prop_assert!((0..1000).all(|i| x.contains(i) == a.contains(&i)));
        }
    }
}
