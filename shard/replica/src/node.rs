//! What all groups of a node share.

use crate::durable::Durability;
use crate::engine::{Reader, StateEngine};
use crate::feed::Feed;
use crate::indexes::FolderIndexes;
use crate::kv::GroupKv;
use crate::meta;
use crate::texts::Texts;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use zcluster_api::{Epoch, Error, GroupId, MailboxId, MailboxQuery, MailboxReply, ModSeq, Result, Volumes};
use zcluster_raft::Fatal;
use zcluster_runtime::{wall_ms, watch};
use zcluster_state::{Content, DueOutgoing, Effect, KvRead};

/// Engine, feed and positions, as the machines and the readers use them.
pub(crate) struct NodeState {
    pub engine: Arc<dyn StateEngine>,
    pub durability: Arc<Durability>,
    pub feed: Arc<Feed>,
    pub positions: Positions,
    pub indexes: FolderIndexes,
    pub fatal: Fatal,
    /// Where bodies lie that are not in the shards.
    pub volumes: RwLock<Option<Arc<dyn Volumes>>>,
    /// The text indexes, where there are any.
    pub texts: RwLock<Option<Arc<Texts>>>,
}

/// How far groups are applied here, and what the directory's log set in motion.
pub(crate) struct Positions {
    applied: Mutex<BTreeMap<GroupId, Option<u64>>>,
    pub directory: watch::Sender<u64>,
    pub topology: watch::Sender<u64>,
    pub deletions: watch::Sender<u64>,
    pub outbox: watch::Sender<u64>,
    /// When something of an outbox may be due, since it was last asked for: the earliest time that was over when it was
    /// noted, and the earliest that was to come.
    outbox_due: Mutex<BTreeMap<GroupId, [Option<u64>; 2]>>,
    /// Messages that were claimed as they were queued, since it was last asked for; at most [`CLAIMED_MAX`].
    outbox_claimed: Mutex<Vec<ClaimedOutgoing>>,
}

/// Claims noted until they are asked for. What is beyond is due again when its claim has run out.
const CLAIMED_MAX: usize = 8_192;

/// A message that belongs to whoever leads its shard in a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedOutgoing {
    /// The shard.
    pub group: GroupId,
    /// The term.
    pub term: u64,
    /// The message; its `due_ms` is the end of the claim.
    pub at: DueOutgoing,
}

impl Default for Positions {
    fn default() -> Self {
        let counter = || watch::channel(0).0;
        let (directory, topology, deletions, outbox) = (counter(), counter(), counter(), counter());
        Positions {
            applied: Mutex::default(),
            directory,
            topology,
            deletions,
            outbox,
            outbox_due: Mutex::default(),
            outbox_claimed: Mutex::default(),
        }
    }
}

fn bump(counter: &watch::Sender<u64>) {
    counter.send_if_modified(|n| {
        *n += 1;
        true
    });
}

impl Positions {
    pub fn applied(&self, group: GroupId, index: Option<u64>) {
        self.applied.lock().insert(group, index);
        if group == GroupId::DIRECTORY {
            self.directory.send_replace(index.map_or(0, |i| i + 1));
        }
    }
    pub fn get(&self, group: GroupId) -> Option<u64> {
        self.applied.lock().get(&group).copied().flatten()
    }
    /// The groups that are here.
    pub fn groups(&self) -> Vec<GroupId> {
        self.applied.lock().keys().copied().collect()
    }
    pub fn forget(&self, group: GroupId) {
        self.applied.lock().remove(&group);
        self.outbox_due.lock().remove(&group);
    }
    /// What was noted of outboxes since the last call.
    pub fn take_outbox_due(&self) -> Vec<(GroupId, u64)> {
        let noted = std::mem::take(&mut *self.outbox_due.lock());
        noted.into_iter().flat_map(|(group, times)| times.into_iter().flatten().map(move |due| (group, due))).collect()
    }
    /// Claims that were noted since the last call.
    pub fn take_outbox_claimed(&self) -> Vec<ClaimedOutgoing> {
        std::mem::take(&mut *self.outbox_claimed.lock())
    }
    pub fn effects(&self, group: GroupId, effects: &[(u64, Effect)]) {
        for (term, effect) in effects {
            match effect {
                Effect::OutboxClaimed(at) => {
                    let mut claimed = self.outbox_claimed.lock();
                    if claimed.len() < CLAIMED_MAX {
                        claimed.push(ClaimedOutgoing { group, term: *term, at: *at });
                    }
                    drop(claimed);
                    bump(&self.outbox);
                }
                Effect::EmptyMailbox(_) => bump(&self.deletions),
                Effect::NodesChanged | Effect::ShardsChanged => bump(&self.topology),
                Effect::OutboxDue(due_ms) => {
                    let to_come = usize::from(*due_ms > wall_ms());
                    if let Some(earliest) = self.outbox_due.lock().entry(group).or_default().get_mut(to_come) {
                        *earliest = Some(earliest.map_or(*due_ms, |noted| noted.min(*due_ms)));
                    }
                    bump(&self.outbox);
                }
            }
        }
    }
    pub fn everything_changed(&self) {
        bump(&self.topology);
        bump(&self.deletions);
    }
}

/// A view of all rows.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub all: &'a dyn Reader,
    /// The group's generation in it.
    pub generation: u32,
}

/// A query about positions looks into no message.
struct NoContent;

impl Content for NoContent {
    fn matches(&self, _: &zcluster_api::SearchExpr, _: &zcluster_state::Candidate<'_>) -> Result<bool> {
        Err(Error::Internal("no text is searched here".into()))
    }
}

impl NodeState {
    /// Runs `read` on a consistent view of a group. A disk error stops the node.
    ///
    /// # Errors
    /// What `read` returned, or `Unavailable` on a disk error.
    pub fn view<T>(&self, group: GroupId, read: impl FnOnce(&dyn KvRead) -> Result<T>) -> Result<T> {
        self.view_of(group, |kv, _| read(kv))
    }

    /// The same, with all rows of the view, and the generation that is read.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    pub fn view_of<T>(&self, group: GroupId, read: impl FnOnce(&dyn KvRead, Rows<'_>) -> Result<T>) -> Result<T> {
        let view = self.engine.view();
        let outcome = meta::read_position(view.as_ref(), group).and_then(|(generation, _)| {
            let kv = GroupKv::new(view.as_ref(), group, generation);
            let result = read(&kv, Rows { all: view.as_ref(), generation });
            kv.check().map(|()| result)
        });
        outcome.unwrap_or_else(|e| self.disk_failed(&e))
    }

    /// Reports a failed disk.
    pub fn disk_failed<T>(&self, e: &io::Error) -> Result<T> {
        self.fatal.report(format!("state database: {e}"));
        Err(Error::Unavailable("this node's disk failed".into()))
    }

    /// A mailbox's mod-sequence here, whatever its epoch; `None` when this replica has no such mailbox.
    ///
    /// # Errors
    /// The disk.
    pub fn modseq(&self, group: GroupId, mailbox: MailboxId) -> Result<Option<ModSeq>> {
        self.view(group, |kv| {
            let ask =
                |epoch| zcluster_state::read_mailbox(kv, group, mailbox, epoch, 0, &MailboxQuery::Info, &NoContent);
            // Epoch 0 never is a home's: the answer names the one there is.
            let reply = match ask(Epoch(0)) {
                Err(Error::WrongHome { epoch, .. }) if epoch != Epoch(0) => ask(epoch),
                other => other,
            };
            match reply {
                Ok(MailboxReply::Info { modseq, .. }) => Ok(Some(modseq)),
                // It was never here, or only its grave is.
                Err(Error::WrongHome { .. }) => Ok(None),
                other => Err(Error::Internal(format!("expected mailbox info, got {other:?}"))),
            }
        })
    }

    /// A snapshot took the place of a group's state: whoever follows something there must look again.
    pub fn replaced(&self, group: GroupId) {
        self.indexes.forget(group);
        let applied = meta::read_position(self.engine.as_ref(), group).ok().and_then(|(_, last)| last);
        self.positions.applied(group, applied.map(|l| l.index));
        self.feed.refresh(group, |mailbox| self.modseq(group, mailbox).ok().flatten());
        if group == GroupId::DIRECTORY {
            self.positions.everything_changed();
        }
    }
}
