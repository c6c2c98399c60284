//! All replicas of a node: opening, reading, following, removing.

use crate::body;
use crate::content::MailContent;
use crate::durable::Durability;
use crate::engine::{Column, RocksConfig, RocksEngine, StateEngine, StrictEngine};
use crate::feed::{Feed, Subscription};
use crate::indexes::FolderIndexes;
use crate::machine::Machine;
use crate::node::{ClaimedOutgoing, NodeState, Positions};
use crate::snapshot::sink::removal;
use crate::texts::{self, TextConfig, TextLook, TextState, Texts};
use crate::verdicts::{NOTED_MAX, Verdicts};
use crate::{doubt, keys, meta};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use zcluster_api::delivery::Outgoing;
use zcluster_api::text::{FileReader, TextIndexes};
use zcluster_api::{
    AccountId, BlobId, BlobRef, BodyStream, Codec, DirectoryQuery, DirectoryReply, Epoch, Error, GroupId, MailboxId,
    MailboxQuery, MailboxReply, ModSeq, Result, Volumes,
};
use zcluster_raft::{Fatal, StateMachine};
use zcluster_runtime::watch;
use zcluster_state::{
    Backlog, DueObject, DuePage, KnownBlob, Look, LooseBody, MissingBlob, Namesakes, ObjectAt, PackedBody,
    RetainedPage, Space, Stage,
};

/// Searches that run at a time on one node; more wait. Each may hold one parsed body.
const SEARCHES_MAX: usize = 4;
/// Memory for what searches have read of folders, unless told otherwise.
const INDEX_BYTES_MAX: usize = 128 << 20;
/// Messages a query may name and still be answered on the event loop; larger pages go to a blocking thread.
const INLINE_MESSAGES_MAX: u64 = 64;

/// Messages looked at in one go when those with certain bodies are looked for.
const NAMESAKES_PAGE: usize = 4_096;

/// This node's replicas of all groups, in one engine.
pub struct Replicas {
    pub(crate) node: Arc<NodeState>,
    searches: Arc<Semaphore>,
    /// Searches are answered twice, with an index and without, and must come out the same.
    doubted: AtomicBool,
}

/// A question to a mailbox as its home shard is asked.
#[derive(Clone, Debug)]
pub struct MailboxRead {
    /// The shard's group.
    pub group: GroupId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The home epoch the asker knows.
    pub epoch: Epoch,
    /// The account's quota, told back in `Info`.
    pub quota: u64,
    /// The asking account, when it is not the owner.
    pub actor: Option<AccountId>,
    /// The question.
    pub query: MailboxQuery,
}

/// One group's state on this node's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The last applied log index.
    pub applied: Option<u64>,
    /// The applied log index that would survive a power cut without the log.
    pub durable: Option<u64>,
}

impl Replicas {
    /// Opens the database in `dir`, and cleans it of unfinished snapshots.
    ///
    /// # Errors
    /// The disk.
    pub fn open(dir: &Path, config: &RocksConfig, fatal: Fatal) -> io::Result<Arc<Self>> {
        Self::with_engine(RocksEngine::open(dir, config)?, fatal)
    }

    /// Like [`open`](Self::open), on any engine. Must be called where tasks can be spawned.
    ///
    /// # Errors
    /// The disk.
    pub fn with_engine(engine: Arc<dyn StateEngine>, fatal: Fatal) -> io::Result<Arc<Self>> {
        let engine: Arc<dyn StateEngine> = StrictEngine::new(engine, fatal.clone());
        clean(engine.as_ref())?;
        let durability = Durability::new(engine.clone());
        zcluster_runtime::spawn(Durability::run(Arc::downgrade(&durability), fatal.clone()));
        let (feed, positions, indexes) = (Feed::new(), Positions::default(), FolderIndexes::new(INDEX_BYTES_MAX));
        let volumes = Default::default();
        let texts = Default::default();
        let node = NodeState { engine, durability, feed, positions, indexes, fatal, volumes, texts };
        Ok(Arc::new(Replicas {
            node: Arc::new(node),
            searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
            doubted: AtomicBool::new(false),
        }))
    }

    /// Tells where bodies lie that are not in the shards. Without it, such bodies are `Unavailable`.
    pub fn set_volumes(&self, volumes: Arc<dyn Volumes>) {
        *self.node.volumes.write() = Some(volumes);
    }

    /// Keeps indexes of the texts of all messages from now on. To be called before any [`machine`](Self::machine) is made;
    /// follow with [`run_texts`](Self::run_texts). Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn set_texts(&self, all: Arc<dyn TextIndexes>, files: Option<Arc<dyn FileReader>>) -> Result<()> {
        let texts = Texts::new(all, files);
        let here = self.on_disk().map_err(|e| Error::Unavailable(e.to_string()))?;
        texts::sweep(&texts, &here.into_iter().collect())?;
        *self.node.texts.write() = Some(Arc::new(texts));
        Ok(())
    }

    /// Spawns what keeps the indexes of texts up to date, as long as the replicas live.
    pub fn run_texts(&self, config: TextConfig) {
        zcluster_runtime::spawn(texts::run(Arc::downgrade(&self.node), config));
    }

    /// Brings a group's index of texts up to date now.
    ///
    /// # Errors
    /// `Unavailable` when the disk or a volume cannot be asked now, or no indexes are kept.
    pub async fn index_texts(&self, group: GroupId) -> Result<()> {
        let texts = self.node.texts.read().clone();
        let texts = texts.ok_or_else(|| Error::Unavailable("this node keeps no indexes of texts".into()))?;
        texts::pass(&self.node, &texts, group).await
    }

    /// Has a mailbox's texts indexed anew on this node, soon.
    ///
    /// # Errors
    /// `Unavailable` when no indexes are kept; the disk.
    pub fn reindex(&self, group: GroupId, mailbox: MailboxId) -> Result<()> {
        let texts = self.node.texts.read().clone();
        let texts = texts.ok_or_else(|| Error::Unavailable("this node keeps no indexes of texts".into()))?;
        texts::anew(&texts, group, mailbox)
    }

    /// How far a group's index of texts is; `None` when none are kept. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn text_state(&self, group: GroupId) -> Result<Option<TextState>> {
        let texts = self.node.texts.read().clone();
        texts.map(|texts| texts::state(&self.node, &texts, group)).transpose()
    }

    /// Bounds the memory for what searches have read of folders; 0: nothing is kept between searches.
    pub fn limit_indexes(&self, bytes: usize) {
        self.node.indexes.limit(bytes);
    }

    /// Has each search answered a second time without what earlier ones have read, and panics where the answers differ:
    /// for simulators.
    pub fn doubt_indexes(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }

    /// The machine of a group, for raft. At most one at a time per group.
    ///
    /// # Errors
    /// The disk.
    pub fn machine(&self, group: GroupId) -> io::Result<Box<dyn StateMachine>> {
        Ok(Box::new(Machine::open(self.node.clone(), group)?))
    }

    /// The groups that have state here.
    ///
    /// # Errors
    /// The disk.
    pub fn on_disk(&self) -> io::Result<Vec<GroupId>> {
        Ok(generations(self.node.engine.as_ref())?.into_keys().collect())
    }

    /// Begins a group's removal: from now on it must not be started again, come what may. Its log goes next, then
    /// [`remove`](Self::remove) ends it. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn condemn(&self, group: GroupId) -> io::Result<()> {
        let mut batch = crate::engine::Batch::new();
        batch.put(Column::State, meta::leaving_key(group), vec![1]);
        self.node.engine.write(batch)?;
        self.node.durability.flush()
    }

    /// Whether a group's removal began and has not ended.
    ///
    /// # Errors
    /// The disk.
    pub fn is_condemned(&self, group: GroupId) -> io::Result<bool> {
        Ok(self.node.engine.get(Column::State, &meta::leaving_key(group))?.is_some())
    }

    /// Removes a group's state from this node, for good when it returns: a group of that name may come anew, and must
    /// not meet what was here. Its machine must be gone. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn remove(&self, group: GroupId) -> io::Result<()> {
        let mut batch = crate::engine::Batch::new();
        let (from, to) = keys::group(group);
        for column in Column::ALL {
            batch.delete_range(column, from.clone(), to.clone());
        }
        self.node.engine.write(batch)?;
        self.node.durability.forget(group);
        self.node.positions.forget(group);
        self.node.indexes.forget(group);
        self.node.durability.flush()?;
        let texts = self.node.texts.read().clone();
        if let Some(Err(e)) = texts.map(|texts| texts.remove(group)) {
            // What is left is swept at the next start.
            tracing::warn!(shard = group.0, error = %e, "a text index could not be removed");
        }
        Ok(())
    }

    /// Answers a mailbox query from this replica as it is now. The caller has passed a read barrier.
    ///
    /// # Errors
    /// `WrongHome`, or what the query documents.
    pub async fn read_mailbox(self: &Arc<Self>, read: MailboxRead) -> Result<MailboxReply> {
        let heavy = match &read.query {
            query if query.is_search() => true,
            MailboxQuery::Missed { .. } | MailboxQuery::FolderNews(_) | MailboxQuery::MetadataNews(_) => true,
            MailboxQuery::Messages { uids, limit, .. } => uids.len().min(u64::from(*limit)) > INLINE_MESSAGES_MAX,
            _ => false,
        };
        if !heavy {
            return self.read_now(&read, &MailContent::default());
        }
        let permit = match &read.query {
            query if query.is_search() => self.searches.clone().acquire_owned().await.ok(),
            _ => None,
        };
        let (permit, read) = (Arc::new(permit), Arc::new(read));
        let mut verdicts = Verdicts::default();
        loop {
            let (this, permit, read_again) = (self.clone(), permit.clone(), read.clone());
            let work = move || {
                // Held by the work and not by its asker, who may go away earlier.
                let _permit = permit;
                let content = MailContent::knowing(&this.node, verdicts, NOTED_MAX);
                (this.read_now(&read_again, &content), content.noted())
            };
            let done = zcluster_runtime::spawn_blocking(work).await;
            let (reply, (known, noted)) = done.map_err(|e| Error::Internal(format!("mailbox query: {e}")))?;
            if noted.is_empty() {
                return reply;
            }
            verdicts = known;
            verdicts.learn(&self.node, read.group, noted).await?;
        }
    }

    fn read_now(&self, read: &MailboxRead, content: &MailContent) -> Result<MailboxReply> {
        let MailboxRead { group, mailbox, epoch, quota, actor, ref query } = *read;
        let asking = zcluster_state::Asking { group, mailbox, epoch, quota, actor };
        if !query.is_search() {
            return self.node.view(group, |kv| zcluster_state::read_mailbox_as(kv, asking, query, content));
        }
        let life = self.node.indexes.life(group);
        let look = TextLook::now(&self.node, group);
        let (reply, indexes, doubts) = self.node.view_of(group, |kv, rows| {
            if let Some(look) = look {
                content.look(look, rows, group, Some(mailbox)).or_else(|e| self.node.disk_failed(&e))?;
            }
            let indexes = self.node.indexes.of(group, rows.generation, life);
            let reply = zcluster_state::read_mailbox_with(kv, asking, query, content, &indexes);
            let doubted = self.doubted.load(Ordering::Relaxed);
            let mut doubts = if doubted { doubt::ask(&self.node, kv, asking, query, &indexes) } else { Vec::new() };
            if let Some((query, _, without)) = doubts.first().filter(|_| content.was_enough()).cloned() {
                doubts.push((query, reply.clone(), without));
            }
            Ok((reply, indexes, doubts))
        })?;
        // From here on it is known that no read failed.
        indexes.settle();
        doubt::judge(&doubts);
        reply
    }

    /// Answers a directory query from this node's replica of group 0.
    ///
    /// # Errors
    /// What the query documents.
    pub fn read_directory(&self, query: &DirectoryQuery) -> Result<DirectoryReply> {
        self.node.view(GroupId::DIRECTORY, |kv| zcluster_state::read_directory(kv, query))
    }

    /// Reads an account without what it inherits.
    ///
    /// # Errors
    /// As [`Replicas::read_directory`].
    pub fn read_account(&self, by: &zcluster_api::directory::AccountBy) -> Result<zcluster_state::Bare> {
        self.node.view(GroupId::DIRECTORY, |kv| zcluster_state::read_account(kv, by))
    }

    /// A mailbox's mod-sequence in this replica; `None` when it is not here.
    ///
    /// # Errors
    /// The disk.
    pub fn modseq(&self, group: GroupId, mailbox: MailboxId) -> Result<Option<ModSeq>> {
        self.node.modseq(group, mailbox)
    }

    /// The bytes `range` of a body in pieces of at most 256 KiB, or `None` when this replica does not have it. Bodies
    /// are named by their content, so that any replica's copy is the right one, however far it lags.
    ///
    /// # Errors
    /// `Invalid` (range), the disk.
    pub async fn body(&self, group: GroupId, blob: &BlobRef, range: Range<u64>) -> Result<Option<BodyStream>> {
        body::open(&self.node, group, blob, range).await
    }

    /// Follows a mailbox as this replica applies its changes.
    pub fn subscribe(&self, group: GroupId, mailbox: MailboxId) -> Subscription {
        self.node.feed.subscribe(group, mailbox)
    }

    /// What the planted bug `UidBeforeCommit` does to an entry that node `me` is about to propose.
    pub fn carry_uid(&self, me: u64, group: GroupId, payload: Bytes) -> Bytes {
        crate::planted::carry_uid(&self.node, me, group, payload)
    }

    /// How many mailboxes are followed on this node.
    pub fn followed(&self) -> usize {
        self.node.feed.len()
    }

    /// Rises with every applied entry of the directory (its index + 1): the key of anything cached from it.
    pub fn directory_version(&self) -> watch::Receiver<u64> {
        self.node.positions.directory.subscribe()
    }

    /// The value of [`directory_version`](Self::directory_version) now.
    pub fn directory_version_now(&self) -> u64 {
        *self.node.positions.directory.borrow()
    }

    /// Changes whenever nodes or the shard map changed.
    pub fn topology(&self) -> watch::Receiver<u64> {
        self.node.positions.topology.subscribe()
    }

    /// Changes whenever an account was deleted and its mailbox waits to be emptied.
    pub fn deletions(&self) -> watch::Receiver<u64> {
        self.node.positions.deletions.subscribe()
    }

    /// Changes whenever something in a shard's outbox may be due earlier than was known here.
    pub fn outboxes(&self) -> watch::Receiver<u64> {
        self.node.positions.outbox.subscribe()
    }

    /// Whose outboxes these were since the last call, with the earliest of these times, Unix milliseconds: of those that
    /// were over, and of those that were to come.
    pub fn take_outbox_due(&self) -> Vec<(GroupId, u64)> {
        self.node.positions.take_outbox_due()
    }

    /// Messages that were claimed as they were queued, since the last call: each belongs to the leader of its term.
    pub fn take_outbox_claimed(&self) -> Vec<ClaimedOutgoing> {
        self.node.positions.take_outbox_claimed()
    }

    /// A message of an outbox as it is here.
    ///
    /// # Errors
    /// The disk.
    pub fn outgoing(&self, group: GroupId, mailbox: MailboxId, number: u64) -> Result<Option<Outgoing>> {
        self.node.view(group, |kv| zcluster_state::outgoing(kv, mailbox, number))
    }

    /// What of a shard's outbox is due and wanted.
    ///
    /// # Errors
    /// The disk.
    pub fn due_outgoing(&self, group: GroupId, look: Look, wanted: &mut dyn FnMut(u64) -> bool) -> Result<DuePage> {
        self.node.view(group, |kv| zcluster_state::due_outgoing(kv, look, wanted))
    }

    /// See [`zcluster_state::retained`].
    ///
    /// # Errors
    /// The disk.
    pub fn retained(&self, group: GroupId, after: Option<MailboxId>, most: usize) -> Result<RetainedPage> {
        self.node.view(group, |kv| zcluster_state::retained(kv, after, most))
    }

    /// How much of a group's bodies is where.
    ///
    /// # Errors
    /// The disk.
    pub fn backlog(&self, group: GroupId) -> Result<Backlog> {
        self.node.view(group, zcluster_state::backlog)
    }

    /// See [`zcluster_state::loose_bodies`].
    ///
    /// # Errors
    /// The disk.
    pub fn loose_bodies(&self, group: GroupId, before_ms: u64, bytes: u64, most: usize) -> Result<Vec<LooseBody>> {
        self.node.view(group, |kv| zcluster_state::loose_bodies(kv, before_ms, bytes, most))
    }

    /// See [`zcluster_state::due_objects`].
    ///
    /// # Errors
    /// The disk.
    pub fn due_objects(&self, group: GroupId, stage: Stage, before_ms: u64, most: usize) -> Result<Vec<DueObject>> {
        self.node.view(group, |kv| zcluster_state::due_objects(kv, stage, before_ms, most))
    }

    /// See [`zcluster_state::packed_bodies`].
    ///
    /// # Errors
    /// The disk.
    pub fn packed_bodies(
        &self,
        group: GroupId,
        object: u64,
        offset: u64,
        most: usize,
    ) -> Result<Option<(String, String, Vec<PackedBody>)>> {
        self.node.view(group, |kv| zcluster_state::packed_bodies(kv, object, offset, most))
    }

    /// The objects of a volume that bodies of a group lie in: for the planted bug `DeleteWithoutGrace`, and auditors.
    ///
    /// # Errors
    /// The disk.
    pub fn objects(&self, group: GroupId) -> Result<Vec<ObjectAt>> {
        self.node.view(group, zcluster_state::objects)
    }

    /// See [`zcluster_state::space`]. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn space(&self, group: GroupId) -> Result<Space> {
        self.node.view(group, zcluster_state::space)
    }

    /// A page of the bodies that a shard knows. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn blobs(&self, group: GroupId, after: Option<BlobId>, most: usize) -> Result<Vec<KnownBlob>> {
        self.node.view(group, |kv| zcluster_state::blobs(kv, after, most))
    }

    /// See [`zcluster_state::references`]. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn references(
        &self,
        group: GroupId,
        at: &[u8],
        most: usize,
    ) -> Result<(u64, Vec<MissingBlob>, Option<Vec<u8>>)> {
        self.node.view(group, |kv| zcluster_state::references(kv, at, most))
    }

    /// Finds the messages that have one of these bodies, up to `few` of each. Reads every message's row. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn namesakes(&self, group: GroupId, wanted: &mut Namesakes, few: usize) -> Result<()> {
        self.node.view(group, |kv| {
            let mut at = Vec::new();
            while let Some(next) = zcluster_state::namesakes(kv, &at, NAMESAKES_PAGE, few, wanted)? {
                at = next;
            }
            Ok(())
        })
    }

    /// Where a body is in this replica now; `None` when it knows no such body.
    ///
    /// # Errors
    /// The disk.
    pub fn body_place(&self, group: GroupId, id: BlobId) -> Result<Option<BlobRef>> {
        self.node.view(group, |kv| zcluster_state::body_place(kv, id))
    }

    /// The stored bytes of a body in the shard and their compression, verified against its name; `None` when it is not
    /// (or no more) there. Blocks.
    ///
    /// # Errors
    /// `Internal` when they are not the body's; the disk.
    pub fn stored_body(&self, group: GroupId, id: BlobId) -> Result<Option<(Codec, Bytes)>> {
        body::stored(&self.node, group, id)
    }

    /// Positions of a group.
    pub fn status(&self, group: GroupId) -> ReplicaStatus {
        ReplicaStatus { applied: self.node.positions.get(group), durable: self.node.durability.durable(group) }
    }

    /// The engine's figures (bytes on disk and in memory).
    pub fn figures(&self) -> Vec<(&'static str, u64)> {
        let (folders, bytes) = self.node.indexes.figures();
        let mut figures = self.node.engine.figures();
        figures.extend([("folder_indexes", folders as u64), ("folder_index_bytes", bytes as u64)]);
        figures
    }

    /// A hash over all rows of a group and the index it is at. Replicas at one index must agree. Reads everything.
    ///
    /// # Errors
    /// The disk.
    pub fn state_hash(&self, group: GroupId) -> io::Result<(Option<u64>, [u8; 32])> {
        let view = self.node.engine.view();
        let (generation, last) = meta::read_position(view.as_ref(), group)?;
        let (from, to) = keys::generation(group, generation);
        let mut hash = blake3::Hasher::new();
        for column in Column::ALL {
            for row in view.scan(column, &from, &to, false) {
                let (key, value) = row?;
                let key = key.get(keys::PREFIX - 1..).unwrap_or_default();
                for part in [key, &value] {
                    hash.update(&(part.len() as u64).to_le_bytes());
                    hash.update(part);
                }
            }
        }
        Ok((last.map(|l| l.index), *hash.finalize().as_bytes()))
    }

    /// Makes everything applied durable, for a clean stop. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn flush(&self) -> io::Result<()> {
        self.node.durability.flush()
    }
}

/// The generations that have rows, per group, found by one seek each.
fn generations(engine: &dyn StateEngine) -> io::Result<BTreeMap<GroupId, Vec<u32>>> {
    let mut found: BTreeMap<GroupId, Vec<u32>> = BTreeMap::new();
    let to = keys::after(GroupId(u32::MAX), u32::MAX);
    for column in Column::ALL {
        let mut from = keys::generation(GroupId(0), 0).0;
        while let Some(row) = engine.scan(column, &from, &to, false).next() {
            let (key, _) = row?;
            let Some((group, generation)) = keys::parse(&key) else {
                return Err(meta::damaged("a row without group"));
            };
            found.entry(group).or_default().push(generation);
            from = keys::after(group, generation);
        }
    }
    Ok(found)
}

/// Removes generations that no group's record names: snapshots that were cut short, or replaced ones whose removal was.
fn clean(engine: &dyn StateEngine) -> io::Result<()> {
    for (group, generations) in generations(engine)? {
        let present = meta::read(engine, group)?;
        for generation in generations.into_iter().filter(|g| *g != 0 && *g != present.generation) {
            tracing::info!(group = group.0, generation, "rows of an unfinished snapshot removed");
            zcluster_runtime::probe("replica.snapshot.swept", &[u64::from(group.0), u64::from(generation)]);
            engine.write(removal(group, generation))?;
        }
    }
    Ok(())
}
