//! The text indexes of a node's replicas: what they are told ([`indexer`]), and what searches make of them.
//!
//! An index lags: it is told of messages some seconds after they came. What came since its last commit is in the
//! [`journal`], and a search looks into these messages itself. So its answer is that of the position it is asked at,
//! whatever the index knows.

mod docs;
mod indexer;
mod journal;
mod memory;

pub use indexer::{TextConfig, TextState};
pub use memory::MemoryTexts;

pub(crate) use docs::Docs;
pub(crate) use indexer::{anew, pass, run, state, sweep};
pub(crate) use journal::{begin, note, set_begin};

use crate::engine::Reader;
use crate::meta;
use crate::node::NodeState;
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use zcluster_api::text::{FileReader, ItemSet, TextIndex, TextIndexes, TextView};
use zcluster_api::{GroupId, MailboxId, Result, SearchExpr, codec};

/// Changes behind an index that a search looks through; behind more, it does without the index.
const TAIL_MAX: usize = 100_000;

/// All that a node has for texts.
pub(crate) struct Texts {
    pub all: Arc<dyn TextIndexes>,
    pub files: Option<Arc<dyn FileReader>>,
    groups: Mutex<BTreeMap<GroupId, Arc<GroupText>>>,
}

/// A replica's index.
pub(crate) struct GroupText {
    pub index: Arc<dyn TextIndex>,
    /// One at a time changes it.
    busy: tokio::sync::Mutex<()>,
    /// Up to here the log was looked through; at first nowhere.
    seen: AtomicU64,
    /// Mailboxes that are to be indexed anew.
    anew: Mutex<BTreeSet<MailboxId>>,
    /// A search found it damaged.
    damaged: AtomicBool,
    /// Items looked at by the build that is going on.
    built: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// What an index was told with a commit: how far it goes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Mark {
    /// The generation of the group's state that it was made from.
    #[n(0)]
    pub generation: u32,
    /// It knows the messages as of this log position.
    #[n(1)]
    pub index: u64,
    /// It does not yet, but is being built.
    #[n(2)]
    pub build: Option<Build>,
}

/// How far a build has come.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Build {
    /// The key of the row looked at last: mailbox and item.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub after: Vec<u8>,
}

impl Mark {
    /// What an index's mark says; `None` for one that is as new.
    pub fn of(view: &dyn TextView) -> Option<Mark> {
        if view.mark().is_empty() { None } else { codec::decode(view.mark()).ok() }
    }
}

impl Texts {
    pub fn new(all: Arc<dyn TextIndexes>, files: Option<Arc<dyn FileReader>>) -> Self {
        Texts { all, files, groups: Mutex::default() }
    }

    /// A group's index, if it is open.
    pub fn get(&self, group: GroupId) -> Option<Arc<GroupText>> {
        self.groups.lock().get(&group).cloned()
    }

    /// Opens a group's index. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn open(&self, group: GroupId) -> Result<Arc<GroupText>> {
        let mut groups = self.groups.lock();
        if let Some(open) = groups.get(&group) {
            return Ok(open.clone());
        }
        let opened = Arc::new(GroupText {
            index: self.all.open(group)?,
            busy: tokio::sync::Mutex::new(()),
            seen: AtomicU64::new(u64::MAX),
            anew: Mutex::default(),
            damaged: AtomicBool::new(false),
            built: AtomicU64::new(0),
            trouble: Mutex::default(),
        });
        groups.insert(group, opened.clone());
        Ok(opened)
    }

    /// Removes a group's index. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn remove(&self, group: GroupId) -> Result<()> {
        let open = self.groups.lock().remove(&group);
        if let Some(open) = open {
            open.index.rest();
        }
        self.all.remove(group)
    }
}

/// Messages that an index lacks, by mailbox.
pub(crate) type Tails = BTreeMap<MailboxId, ItemSet>;

/// An index as one search sees it.
pub(crate) struct TextLook {
    group: Arc<GroupText>,
    view: Arc<dyn TextView>,
    mark: Mark,
}

impl TextLook {
    /// The group's index as it is now, if it is of any use. To be asked before a view of the group's rows is taken: so
    /// those are never behind it.
    pub fn now(node: &NodeState, group: GroupId) -> Option<TextLook> {
        let group = node.texts.read().as_ref()?.get(group)?;
        let view = group.index.view();
        let mark = Mark::of(view.as_ref()).filter(|mark| mark.build.is_none())?;
        Some(TextLook { group, view, mark })
    }

    /// What the index lacks, by mailbox (of all, or of one); `None` when that cannot be told, and the index is of no use.
    ///
    /// # Errors
    /// The disk.
    pub fn tails(
        &self,
        rows: &dyn Reader,
        group: GroupId,
        generation: u32,
        only: Option<MailboxId>,
    ) -> io::Result<Option<Tails>> {
        let begin = journal::begin(rows, group)?;
        let (_, last) = meta::read_position(rows, group)?;
        // The rows may be behind after a crash; then they are replayed, and bring nothing that the index has not.
        let is_known = generation == self.mark.generation && begin.is_some_and(|begin| begin <= self.mark.index);
        if !is_known || last.is_none() {
            return Ok(None);
        }
        let (mut tails, mut seen) = (Tails::new(), 0);
        journal::each(rows, group, self.mark.index, |change| {
            seen += 1;
            if change.added && only.is_none_or(|only| only == change.mailbox) {
                tails.entry(change.mailbox).or_default().insert(change.item.0);
            }
            if seen > TAIL_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok((seen <= TAIL_MAX).then_some(tails))
    }

    /// What the index tells of a condition.
    ///
    /// # Errors
    /// `TooLarge`, see [`TextView::find`].
    pub fn find(&self, mailbox: MailboxId, leaf: &SearchExpr) -> Result<Option<zcluster_api::text::Marked>> {
        match self.view.find(mailbox, leaf) {
            Err(zcluster_api::Error::Internal(e)) => {
                tracing::error!(error = e, "a text index is damaged and will be made anew");
                self.group.damaged.store(true, std::sync::atomic::Ordering::Relaxed);
                Ok(None)
            }
            other => other,
        }
    }
}
