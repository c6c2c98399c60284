//! A group's state machine on this node: committed entries in, rows in the engine and replies out.

use crate::engine::{Batch, StateEngine};
use crate::kv::{GroupKv, Overlay};
use crate::meta::{self, Meta, damaged};
use crate::node::NodeState;
use crate::snapshot::sink::removal;
use crate::snapshot::{Manifest, Sink, Source};
use crate::texts;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use zcluster_api::delivery::Delivered;
use zcluster_api::{GroupId, MailboxId, ModSeq, Receipt, codec};
use zcluster_raft::{Applied, Entry, EntryKind, LogId, SnapshotSink, SnapshotSource, StateMachine};
use zcluster_runtime::planted::{Bug, planted};
use zcluster_runtime::probe;
use zcluster_state::{Effect, Proposal, Reply, Table};

/// Applies one group's log to the engine.
pub struct Machine {
    node: Arc<NodeState>,
    group: GroupId,
    meta: Meta,
    /// The highest generation ever used since the start, so that two snapshots never share one.
    highest: u32,
}

/// What a run of entries told besides rows.
#[derive(Default)]
struct Told {
    replies: Vec<Bytes>,
    changed: BTreeMap<MailboxId, ModSeq>,
    /// With the term of the entry.
    effects: Vec<(u64, Effect)>,
}

impl Machine {
    /// Opens a group as the engine has it.
    pub(crate) fn open(node: Arc<NodeState>, group: GroupId) -> io::Result<Self> {
        let meta = meta::read(node.engine.as_ref(), group)?;
        node.durability.opened(group, meta.applied.last.map(|l| l.index));
        node.positions.applied(group, meta.applied.last.map(|l| l.index));
        let machine = Machine { node, group, highest: meta.generation, meta };
        machine.keep_journal()?;
        Ok(machine)
    }

    /// Begins the journal of messages, or ends it where nobody reads it.
    fn keep_journal(&self) -> io::Result<()> {
        let begun = texts::begin(self.engine(), self.group)?;
        let begin = match (self.keeps_journal(), begun) {
            (true, None) => Some(self.meta.applied.last.map_or(0, |l| l.index)),
            (false, Some(_)) => None,
            _ => return Ok(()),
        };
        let mut batch = Batch::new();
        texts::set_begin(&mut batch, self.group, begin);
        self.engine().write(batch)
    }

    fn keeps_journal(&self) -> bool {
        self.group != GroupId::DIRECTORY && self.node.texts.read().is_some()
    }

    fn engine(&self) -> &dyn StateEngine {
        self.node.engine.as_ref()
    }

    /// Raft promises contiguous indexes; a log with a hole (a disk that lost a write) would show here first, and
    /// openraft itself does not look (distributed.md §4.2).
    fn expect_next(last: Option<LogId>, next: LogId) -> io::Result<()> {
        let due = last.map_or(0, |l| l.index + 1);
        if next.index == due {
            return Ok(());
        }
        Err(damaged(format!("log entry {} came where {due} was due", next.index)))
    }

    fn apply_one(
        overlay: &mut Overlay<'_>,
        group: GroupId,
        LogId { term, index }: LogId,
        payload: &[u8],
        told: &mut Told,
    ) -> io::Result<Bytes> {
        // Proposals are encoded by the router of a leader, so that one which does not decode is from a newer version
        // or was damaged: going on without it would make this replica differ from the others.
        let proposal: Proposal = codec::decode(payload).map_err(damaged)?;
        // Rows that do not decode make the state machine panic. That is damage on this disk, to be told as such.
        let apply = std::panic::AssertUnwindSafe(|| {
            if planted(Bug::UidBeforeCommit) {
                return crate::planted::apply(overlay, group, index, &proposal, payload);
            }
            Ok(zcluster_state::apply(overlay, group, index, &proposal))
        });
        let applied = std::panic::catch_unwind(apply).map_err(|_| damaged(format!("group {group} entry {index}")))?;
        let applied = applied.map_err(damaged)?;
        note_repetition(group, index, &applied);
        for (mailbox, modseq) in applied.changed {
            told.changed.insert(mailbox, modseq);
        }
        told.effects.extend(applied.effects.into_iter().map(|effect| (term, effect)));
        Ok(codec::encode(&applied.reply).into())
    }

    /// Writes the rows with the position they bring the group to.
    fn commit(&mut self, mut batch: Batch, last: Option<LogId>, membership: Option<(LogId, Bytes)>) -> io::Result<()> {
        if let Some(last) = last.filter(|_| self.keeps_journal()) {
            texts::note(&mut batch, self.group, last.index);
        }
        meta::write_position(&mut batch, self.group, self.meta.generation, last);
        if membership.is_some() {
            meta::write_membership(&mut batch, self.group, membership.as_ref());
            self.meta.applied.membership = membership;
        }
        let bytes = batch.bytes();
        self.engine().write(batch)?;
        self.meta.applied.last = last;
        self.node.durability.wrote(self.group, last.map(|l| l.index), bytes);
        Ok(())
    }

    /// Tells the node's followers, after the rows can be read.
    fn publish(&self, told: &Told) {
        for (mailbox, modseq) in &told.changed {
            self.node.feed.publish(self.group, *mailbox, *modseq);
        }
        self.node.positions.applied(self.group, self.meta.applied.last.map(|l| l.index));
        self.node.positions.effects(self.group, &told.effects);
    }
}

/// Tells a simulator that something asked for twice was done once.
fn note_repetition(group: GroupId, index: u64, applied: &zcluster_state::Applied) {
    if applied.repeated {
        probe("replica.request.repeated", &[u64::from(group.0), index]);
    } else if matches!(
        &applied.reply,
        Reply::Mailbox(Ok(
            Receipt::Added { duplicate: true, .. } | Receipt::Delivered(Delivered { duplicate: true, .. })
        ))
    ) {
        probe("replica.delivery.repeated", &[u64::from(group.0), index]);
    }
}

impl StateMachine for Machine {
    fn applied(&mut self) -> io::Result<Applied> {
        Ok(self.meta.applied.clone())
    }

    fn apply(&mut self, entries: Vec<Entry>) -> io::Result<Vec<Bytes>> {
        let node = self.node.clone();
        let mut overlay = Overlay::new(GroupKv::new(node.engine.as_ref(), self.group, self.meta.generation));
        let (mut told, mut last, mut membership) = (Told::default(), self.meta.applied.last, None);
        for entry in entries {
            Self::expect_next(last, entry.id)?;
            let reply = match entry.kind {
                EntryKind::Blank => Bytes::new(),
                EntryKind::Normal(payload) => Self::apply_one(&mut overlay, self.group, entry.id, &payload, &mut told)?,
                EntryKind::Membership(bytes) => {
                    membership = Some((entry.id, bytes));
                    Bytes::new()
                }
            };
            told.replies.push(reply);
            last = Some(entry.id);
        }
        self.commit(overlay.into_batch()?, last, membership)?;
        self.publish(&told);
        Ok(told.replies)
    }

    fn durable_index(&mut self) -> io::Result<Option<u64>> {
        Ok(self.node.durability.durable(self.group))
    }

    fn request_flush(&mut self) {
        self.node.durability.want();
    }

    fn snapshot(&mut self) -> io::Result<Box<dyn SnapshotSource>> {
        Ok(Box::new(Source::new(self.engine().view(), self.group)?))
    }

    fn begin_install(&mut self, manifest: Bytes) -> io::Result<Box<dyn SnapshotSink>> {
        let manifest = Manifest::decode(&manifest, self.group)?;
        if let Some(unknown) = manifest.tables.iter().find(|t| Table::from_code(**t).is_none()) {
            return Err(damaged(format!("snapshot has table {unknown}, which is newer than this node")));
        }
        self.highest = self.highest.checked_add(1).ok_or_else(|| damaged("generations are used up"))?;
        // Rows of a snapshot that did not finish before a crash may lie here.
        self.engine().write(removal(self.group, self.highest))?;
        Ok(Box::new(Sink::new(self.node.engine.clone(), self.group, self.highest, manifest)))
    }

    fn finish_install(&mut self, sink: Box<dyn SnapshotSink>, applied: Applied) -> io::Result<()> {
        let sink = sink.as_any().downcast::<Sink>().map_err(|_| damaged("a sink of another machine"))?;
        if sink.manifest().applied.map(LogId::from) != applied.last || sink.manifest().group != self.group {
            return Err(damaged("snapshot is not at the position it was announced for"));
        }
        let old = self.meta.generation;
        let generation = sink.complete()?;
        let mut batch = Batch::new();
        meta::write_position(&mut batch, self.group, generation, applied.last);
        meta::write_membership(&mut batch, self.group, applied.membership.as_ref());
        // The flip. The rows were written before it, so that a flush which holds the flip holds them too; until that
        // flush a crash finds the old generation and takes the new one for junk.
        self.engine().write(batch)?;
        self.meta = Meta { generation, applied };
        self.node.durability.wrote(self.group, self.meta.applied.last.map(|l| l.index), 1);
        self.node.durability.flush()?;
        self.engine().write(removal(self.group, old))?;
        tracing::info!(group = self.group.0, generation, applied = ?self.meta.applied.last, "snapshot installed");
        self.node.replaced(self.group);
        Ok(())
    }
}
