//! Tells the indexes of a node's replicas what came and went.
//!
//! A pass over a group reads its journal from where the index is, adds and removes, commits, and prunes the journal. An index
//! that is as new, or was made from another generation of the group's rows, is built first: all messages are compared with
//! what it has, in the order of their keys, with a commit now and then, so that a restart goes on where it was.

use super::{Build, Docs, GroupText, Mark, Texts, journal};
use crate::engine::Batch;
use crate::kv::GroupKv;
use crate::node::NodeState;
use crate::packed::Packed;
use crate::{body, meta};
use bytes::Bytes;
use futures::StreamExt;
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use zcluster_api::text::{ItemSet, TextDoc, TextView};
use zcluster_api::{Error, GroupId, ItemId, MailboxId, Place, Result, codec};
use zcluster_mail::decompress;
use zcluster_state::{ColdMessage, Table, cold_message};

/// How texts are indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextConfig {
    /// A message is in the index at the latest after about this time (searches find it at once).
    pub every: Duration,
    /// Groups that are worked on at a time: each takes a writer's memory.
    pub parallel: usize,
}

impl Default for TextConfig {
    fn default() -> Self {
        TextConfig { every: Duration::from_secs(3), parallel: 2 }
    }
}

/// How far a replica's index is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct TextState {
    /// It is being built: so many messages have been looked at.
    #[n(0)]
    pub building: Option<u64>,
    /// Messages in it.
    #[n(1)]
    pub items: u64,
    /// Bytes on disk.
    #[n(2)]
    pub bytes: u64,
    /// Changes that it does not know yet.
    #[n(3)]
    pub behind: u64,
    /// What went wrong last.
    #[n(4)]
    pub trouble: Option<String>,
    /// Mailboxes that wait to be indexed anew.
    #[n(5)]
    pub anew: u64,
}

/// Messages taken up at a time.
const TAKEN_MAX: usize = 256;
/// Bytes of bodies that are held at a time.
const TAKEN_BYTES_MAX: u64 = 32 << 20;
/// Bodies of which no more than this is looked at.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// A pass commits after so many messages.
const COMMIT_MAX: usize = 8_192;
/// Rows looked at in one step of a build.
const BUILD_ROWS: usize = 4_096;
/// Changes behind an index that are counted for its state.
const BEHIND_MAX: u64 = 1_000_000;
/// Notes of the journal pruned at a time.
const PRUNE_MAX: usize = 10_000;
/// After trouble a group is left alone for so long.
const TROUBLE_WAIT: Duration = Duration::from_secs(30);

/// Works until the node's replicas are gone.
pub(crate) async fn run(node: Weak<NodeState>, config: TextConfig) {
    let mut waits: BTreeMap<GroupId, zcluster_runtime::Instant> = BTreeMap::new();
    loop {
        zcluster_runtime::sleep(config.every).await;
        let Some(node) = node.upgrade() else { return };
        let Some(texts) = node.texts.read().clone() else { return };
        let now = zcluster_runtime::Instant::now();
        waits.retain(|_, until| *until > now);
        let mut due = node.positions.groups();
        due.retain(|group| *group != GroupId::DIRECTORY && !waits.contains_key(group));
        let passes = due.into_iter().map(|group| {
            let (node, texts) = (node.clone(), texts.clone());
            async move { (group, pass(&node, &texts, group).await) }
        });
        let mut passes = futures::stream::iter(passes).buffer_unordered(config.parallel.max(1));
        while let Some((group, done)) = passes.next().await {
            if let Err(e) = done {
                tracing::warn!(shard = group.0, error = %e, "a text index could not be brought up to date");
                waits.insert(group, zcluster_runtime::Instant::now() + TROUBLE_WAIT);
                if let Some(open) = texts.get(group) {
                    *open.trouble.lock() = Some(e.to_string());
                }
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    zcluster_runtime::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Internal(format!("text index: {e}"))))
}

/// Brings a group's index up to date. Does nothing where nothing happened.
///
/// # Errors
/// `Unavailable` when the disk or a volume cannot be asked now.
pub(crate) async fn pass(node: &Arc<NodeState>, texts: &Arc<Texts>, group: GroupId) -> Result<()> {
    let applied = node.positions.get(group);
    let opened = {
        let texts = texts.clone();
        blocking(move || texts.open(group)).await?
    };
    let _busy = opened.busy.lock().await;
    let work = Pass { node: node.clone(), texts: texts.clone(), group, open: opened.clone() };
    if opened.damaged.swap(false, Ordering::Relaxed) {
        let index = opened.index.clone();
        blocking(move || index.reset()).await?;
    } else if Some(opened.seen.load(Ordering::Relaxed)) == applied && opened.anew.lock().is_empty() {
        // Unless somebody threw it away.
        if Mark::of(opened.index.view().as_ref()).is_some_and(|mark| mark.build.is_none()) {
            return Ok(());
        }
    }
    let done = work.run().await;
    // Waits for what is being merged.
    let index = opened.index.clone();
    blocking(move || {
        index.rest();
        Ok(())
    })
    .await?;
    if let Err(Error::Internal(e)) = &done {
        tracing::error!(shard = group.0, error = e, "a text index is damaged and will be made anew");
        let index = opened.index.clone();
        blocking(move || index.reset()).await?;
    }
    if done.is_ok() {
        *opened.trouble.lock() = None;
        opened.seen.store(applied.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    done
}

struct Pass {
    node: Arc<NodeState>,
    texts: Arc<Texts>,
    group: GroupId,
    open: Arc<GroupText>,
}

/// What is to be told to the index next.
#[derive(Default)]
struct Taken {
    added: Vec<Added>,
    removed: BTreeMap<MailboxId, Vec<ItemId>>,
    gone: Vec<MailboxId>,
    bytes: u64,
}

struct Added {
    mailbox: MailboxId,
    item: ItemId,
    message: ColdMessage,
}

/// A step that was taken up, and where the index is after it.
struct Step {
    taken: Taken,
    mark: Mark,
    more: bool,
}

impl Pass {
    async fn run(&self) -> Result<()> {
        let mut uncommitted = 0;
        loop {
            let Some(mut mark) = self.read(Self::start).await? else { return Ok(()) };
            let is_building = mark.build.is_some();
            loop {
                let step = {
                    let mark = mark.clone();
                    self.read(move |this| this.step(&mark)).await?
                };
                let count = step.taken.added.len() + step.taken.removed.len() + step.taken.gone.len();
                self.tell(step.taken).await?;
                uncommitted += count;
                let ends = !step.more || (is_building && step.mark.build.is_none());
                mark = step.mark;
                if uncommitted >= COMMIT_MAX || ends && (uncommitted > 0 || is_building) {
                    self.commit(mark.clone()).await?;
                    uncommitted = 0;
                }
                if ends {
                    break;
                }
            }
            if !is_building {
                break;
            }
        }
        let anew: Vec<MailboxId> = self.open.anew.lock().iter().copied().collect();
        for mailbox in anew {
            self.again(mailbox).await?;
            self.open.anew.lock().remove(&mailbox);
        }
        Ok(())
    }

    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Pass) -> Result<T> + Send + 'static) -> Result<T> {
        let this =
            Pass { node: self.node.clone(), texts: self.texts.clone(), group: self.group, open: self.open.clone() };
        blocking(move || work(&this)).await
    }

    fn disk<T>(&self, done: io::Result<T>) -> Result<T> {
        done.or_else(|e| self.node.disk_failed(&e))
    }

    /// Where the index is; `None` when there is nothing to index.
    fn start(&self) -> Result<Option<Mark>> {
        let view = self.node.engine.view();
        let (generation, last) = self.disk(meta::read_position(view.as_ref(), self.group))?;
        let Some(last) = last else { return Ok(None) };
        let begin = self.disk(journal::begin(view.as_ref(), self.group))?;
        let Some(begin) = begin else {
            return Err(Error::Unavailable(format!("shard {} keeps no journal of its messages", self.group)));
        };
        let known = Mark::of(self.open.index.view().as_ref());
        Ok(Some(match known {
            Some(mark) if mark.generation == generation && begin <= mark.index => mark,
            _ => Mark { generation, index: last.index, build: Some(Build { after: Vec::new() }) },
        }))
    }

    /// What comes next behind a mark.
    fn step(&self, mark: &Mark) -> Result<Step> {
        match &mark.build {
            Some(build) => self.build(mark, &build.after),
            None => self.follow(mark),
        }
    }

    fn follow(&self, mark: &Mark) -> Result<Step> {
        let view = self.node.engine.view();
        let (generation, last) = self.disk(meta::read_position(view.as_ref(), self.group))?;
        if generation != mark.generation {
            // A snapshot came: the next pass builds.
            return Ok(Step { taken: Taken::default(), mark: mark.clone(), more: false });
        }
        let mut changes: Vec<journal::Change> = Vec::new();
        let mut more = false;
        let read = journal::each(view.as_ref(), self.group, mark.index, |change| {
            // Changes of one position belong together.
            if changes.len() >= TAKEN_MAX && changes.last().is_some_and(|last| last.index != change.index) {
                more = true;
                return ControlFlow::Break(());
            }
            changes.push(change);
            ControlFlow::Continue(())
        });
        self.disk(read)?;
        let reached = if more { changes.last().map(|change| change.index) } else { last.map(|last| last.index) };
        let kv = GroupKv::new(view.as_ref(), self.group, generation);
        let mut taken = Taken::default();
        // Of one item the last change stands.
        let ends: BTreeMap<(MailboxId, ItemId), bool> =
            changes.iter().map(|change| ((change.mailbox, change.item), change.added)).collect();
        for ((mailbox, item), added) in ends {
            match if added { cold_message(&kv, mailbox, item)? } else { None } {
                Some(message) => taken.add(mailbox, item, message),
                None => taken.removed.entry(mailbox).or_default().push(item),
            }
        }
        self.disk(kv.check())?;
        let index = reached.unwrap_or(mark.index).max(mark.index);
        Ok(Step { taken, mark: Mark { generation, index, build: None }, more })
    }

    /// The messages behind `after` (a key of `Table::Cold`), against those that the index has.
    fn build(&self, mark: &Mark, after: &[u8]) -> Result<Step> {
        let view = self.node.engine.view();
        let (generation, _) = self.disk(meta::read_position(view.as_ref(), self.group))?;
        if generation != mark.generation {
            return Ok(Step { taken: Taken::default(), mark: mark.clone(), more: false });
        }
        let kv = GroupKv::new(view.as_ref(), self.group, generation);
        let indexed = self.open.index.view();
        let mut keys_seen: Vec<(MailboxId, ItemId)> = Vec::new();
        let mut from = after.to_vec();
        if !from.is_empty() {
            from.push(0);
        }
        let end = [0xFF; 13];
        zcluster_state::KvRead::scan(&kv, Table::Cold, &from, &end, &mut |key, _| {
            let Some((mailbox, item)) = parse(key) else { return false };
            keys_seen.push((mailbox, item));
            keys_seen.len() < BUILD_ROWS
        });
        self.disk(kv.check())?;
        let rows_end = keys_seen.len() < BUILD_ROWS;
        let before = parse(after);
        let mut taken = Taken::default();
        let mut known: Option<(MailboxId, ItemSet)> = None;
        let mut last = before;
        for (mailbox, item) in &keys_seen {
            if known.as_ref().is_none_or(|(of, _)| of != mailbox) {
                known = Some((*mailbox, indexed.items(*mailbox)?));
            }
            let has = known.as_ref().is_some_and(|(_, items)| items.contains(item.0));
            if !has && let Some(message) = cold_message(&kv, *mailbox, *item)? {
                taken.add(*mailbox, *item, message);
            }
            last = Some((*mailbox, *item));
            if taken.added.len() >= TAKEN_MAX || taken.bytes >= TAKEN_BYTES_MAX {
                break;
            }
        }
        self.disk(kv.check())?;
        self.open.built.fetch_add(keys_seen.len() as u64, Ordering::Relaxed);
        let is_end = rows_end && last == keys_seen.last().copied().or(before);
        if is_end {
            self.strangers(&mut taken, &kv, indexed.as_ref())?;
        }
        let build = (!is_end).then(|| Build { after: last.map(|(m, i)| key_of(m, i)).unwrap_or_default() });
        if build.is_none() {
            self.open.built.store(0, Ordering::Relaxed);
        }
        Ok(Step { taken, mark: Mark { build, ..mark.clone() }, more: !is_end })
    }

    /// Adds to what is removed the items that the index has and the rows have not.
    fn strangers(&self, taken: &mut Taken, kv: &GroupKv<'_>, indexed: &dyn TextView) -> Result<()> {
        for mailbox in indexed.mailboxes()? {
            let mut strange = indexed.items(mailbox)?;
            let mut there = ItemSet::default();
            let (from, to) = (key_of(mailbox, ItemId(0)), key_of(mailbox, ItemId(u32::MAX)));
            zcluster_state::KvRead::scan(kv, Table::Cold, &from, &to, &mut |key, _| {
                parse(key).into_iter().for_each(|(_, item)| there.insert(item.0));
                true
            });
            strange.remove_all(&there);
            if there.is_empty() {
                taken.gone.push(mailbox);
            } else if !strange.is_empty() {
                taken.removed.entry(mailbox).or_default().extend(strange.iter().map(ItemId));
            }
        }
        self.disk(kv.check())
    }

    /// Indexes all messages of a mailbox anew; what was known of them serves until it is done.
    async fn again(&self, mailbox: MailboxId) -> Result<()> {
        let Some(mark) = self.read(Self::start).await? else { return Ok(()) };
        let index = self.open.index.clone();
        blocking(move || index.remove_mailbox(mailbox)).await?;
        let mut after = ItemId(0);
        loop {
            let (taken, next) = self.read(move |this| this.items_behind(mailbox, after)).await?;
            self.tell(taken).await?;
            match next {
                Some(next) => after = next,
                None => return self.commit(mark).await,
            }
        }
    }

    fn items_behind(&self, mailbox: MailboxId, after: ItemId) -> Result<(Taken, Option<ItemId>)> {
        let view = self.node.engine.view();
        let (generation, _) = self.disk(meta::read_position(view.as_ref(), self.group))?;
        let kv = GroupKv::new(view.as_ref(), self.group, generation);
        let (mut items, mut taken) = (Vec::new(), Taken::default());
        let (from, to) = (key_of(mailbox, ItemId(after.0.saturating_add(1))), key_of(mailbox, ItemId(u32::MAX)));
        zcluster_state::KvRead::scan(&kv, Table::Cold, &from, &to, &mut |key, _| {
            items.extend(parse(key).map(|(_, item)| item));
            items.len() < TAKEN_MAX
        });
        let mut last = None;
        for item in &items {
            if let Some(message) = cold_message(&kv, mailbox, *item)? {
                taken.add(mailbox, *item, message);
            }
            last = Some(*item);
            if taken.bytes >= TAKEN_BYTES_MAX {
                break;
            }
        }
        self.disk(kv.check())?;
        Ok((taken, last))
    }

    /// Tells the index, which sees it with the next commit.
    async fn tell(&self, taken: Taken) -> Result<()> {
        let Taken { added, removed, gone, .. } = taken;
        if !removed.is_empty() || !gone.is_empty() {
            let index = self.open.index.clone();
            let work = move || {
                removed.iter().try_for_each(|(mailbox, items)| index.remove(*mailbox, items))?;
                gone.iter().try_for_each(|mailbox| index.remove_mailbox(*mailbox))
            };
            blocking(work).await?;
        }
        let mut part: Vec<(Added, Bytes)> = Vec::new();
        let mut bytes = 0;
        for added in added {
            let raw = self.raw(&added).await?;
            bytes += raw.len() as u64;
            part.push((added, raw));
            if bytes >= TAKEN_BYTES_MAX {
                self.tell_some(std::mem::take(&mut part)).await?;
                bytes = 0;
            }
        }
        self.tell_some(part).await
    }

    async fn tell_some(&self, part: Vec<(Added, Bytes)>) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let (index, texts) = (self.open.index.clone(), self.texts.clone());
        let (node, group) = (self.node.clone(), self.group);
        let with_files = blocking(move || {
            let (plain, docs) = (Docs::new(None), Docs::new(texts.files.clone()));
            let mut with_files = Vec::new();
            // Whether texts of attached files are to be found (`zimbraAttachmentsIndexingEnabled`).
            let mut reads_files: BTreeMap<MailboxId, bool> = BTreeMap::new();
            for (Added { mailbox, item, message }, raw) in part {
                let doc = plain.base(&message.summary, &raw).unwrap_or_default();
                let reads = match reads_files.get(&mailbox) {
                    Some(reads) => *reads,
                    None => {
                        let traits = node.view(group, |kv| zcluster_state::traits(kv, mailbox))?;
                        *reads_files.entry(mailbox).or_insert(traits.is_none_or(|traits| !traits.no_files))
                    }
                };
                let files = if reads { docs.files(&message.summary, &raw).unwrap_or_default() } else { Vec::new() };
                if files.is_empty() {
                    index.add(mailbox, item, &doc)?;
                } else {
                    with_files.push((mailbox, item, doc, files));
                }
            }
            Ok(with_files)
        });
        let docs = Docs::new(self.texts.files.clone());
        for (mailbox, item, mut doc, files) in with_files.await? {
            docs.add_files(&mut doc, files).await?;
            self.add(mailbox, item, doc).await?;
        }
        Ok(())
    }

    async fn add(&self, mailbox: MailboxId, item: ItemId, doc: TextDoc) -> Result<()> {
        let index = self.open.index.clone();
        blocking(move || index.add(mailbox, item, &doc)).await
    }

    /// A message's bytes; none when there are none any more, or they are damaged: then its header is what is found.
    async fn raw(&self, added: &Added) -> Result<Bytes> {
        let Some(blob) = added.message.blob.clone() else { return Ok(Bytes::new()) };
        if blob.size > BODY_BYTES_MAX {
            return Ok(Bytes::new());
        }
        let read = match &blob.place {
            Place::Object { .. } => match Packed::new(&self.node, &blob) {
                Ok(packed) => packed.whole().await.map(Some),
                Err(e) => Err(e),
            },
            Place::Shard { .. } => {
                let (node, group) = (self.node.clone(), self.group);
                blocking(move || match body::stored(&node, group, blob.id)? {
                    Some((kind, stored)) => Ok(Some(decompress(kind, &stored, blob.size)?)),
                    None => Ok(None),
                })
                .await
            }
        };
        match read {
            Ok(Some(raw)) => Ok(raw),
            // It was moved or expunged meanwhile; the journal tells of the latter.
            Ok(None) | Err(Error::NotFound(_)) => self.moved(added).await,
            Err(e @ Error::Unavailable(_)) => Err(e),
            Err(e) => {
                tracing::warn!(shard = self.group.0, mailbox = %added.mailbox, item = %added.item, error = %e, "indexed without its text");
                Ok(Bytes::new())
            }
        }
    }

    /// The bytes of a body that is elsewhere by now.
    async fn moved(&self, added: &Added) -> Result<Bytes> {
        let Some(blob) = &added.message.blob else { return Ok(Bytes::new()) };
        let id = blob.id;
        let now = self.read(move |this| this.node.view(this.group, |kv| zcluster_state::body_place(kv, id))).await?;
        match now {
            Some(now) if now.place != blob.place && matches!(now.place, Place::Object { .. }) => {
                match Packed::new(&self.node, &now)?.whole().await {
                    Err(e @ Error::Unavailable(_)) => Err(e),
                    other => Ok(other.unwrap_or_default()),
                }
            }
            _ => Ok(Bytes::new()),
        }
    }

    async fn commit(&self, mark: Mark) -> Result<()> {
        self.read(move |this| {
            this.open.index.commit(&codec::encode(&mark))?;
            if mark.build.is_some() {
                return Ok(());
            }
            loop {
                let mut batch = Batch::new();
                let view = this.node.engine.view();
                let all = journal::prune(&mut batch, view.as_ref(), this.group, mark.index, PRUNE_MAX);
                let all = this.disk(all)?;
                if !batch.0.is_empty() {
                    this.disk(this.node.engine.write(batch))?;
                }
                if all {
                    return Ok(());
                }
            }
        })
        .await
    }
}

impl Taken {
    fn add(&mut self, mailbox: MailboxId, item: ItemId, message: ColdMessage) {
        self.bytes += message.blob.as_ref().map_or(0, |blob| blob.size);
        self.added.push(Added { mailbox, item, message });
    }
}

/// A key of [`Table::Cold`].
fn parse(key: &[u8]) -> Option<(MailboxId, ItemId)> {
    let (mailbox, rest) = key.split_first_chunk()?;
    let item = rest.first_chunk()?;
    Some((MailboxId(u64::from_be_bytes(*mailbox)), ItemId(u32::from_be_bytes(*item))))
}

fn key_of(mailbox: MailboxId, item: ItemId) -> Vec<u8> {
    let mut key = mailbox.0.to_be_bytes().to_vec();
    key.extend_from_slice(&item.0.to_be_bytes());
    key
}

/// How far a group's index is. Blocks.
pub(crate) fn state(node: &NodeState, texts: &Texts, group: GroupId) -> Result<TextState> {
    let Some(open) = texts.get(group) else { return Ok(TextState::default()) };
    let view = open.index.view();
    let (mark, size) = (Mark::of(view.as_ref()), view.size());
    let is_built = mark.as_ref().is_some_and(|mark| mark.build.is_none());
    let mut behind = 0;
    if let Some(mark) = mark.filter(|_| is_built) {
        let rows = node.engine.view();
        let counted = journal::each(rows.as_ref(), group, mark.index, |_| {
            behind += 1;
            if behind < BEHIND_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        counted.or_else(|e| node.disk_failed(&e))?;
    }
    Ok(TextState {
        building: (!is_built).then(|| open.built.load(Ordering::Relaxed)),
        items: size.items,
        bytes: size.bytes,
        behind,
        trouble: open.trouble.lock().clone(),
        anew: open.anew.lock().len() as u64,
    })
}

/// Removes indexes of groups that are not here any more. Blocks.
pub(crate) fn sweep(texts: &Texts, here: &BTreeSet<GroupId>) -> Result<()> {
    let strange = texts.all.on_disk()?.into_iter().filter(|group| !here.contains(group));
    strange.into_iter().try_for_each(|group| texts.remove(group))
}

/// Has a mailbox indexed anew, at the next pass.
pub(crate) fn anew(texts: &Texts, group: GroupId, mailbox: MailboxId) -> Result<()> {
    texts.open(group)?.anew.lock().insert(mailbox);
    Ok(())
}
