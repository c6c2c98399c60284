//! Applying the policies: mailbox after mailbox, folder after folder.

use super::policy::{ATTRIBUTE, HsmPolicy, NONE, expr, within};
use super::{HsmStatus, HsmVolume};
use crate::inner::{Inner, leads};
use crate::packer::{BODIES_MAX, Packer, Stored, fill};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zcluster_api::directory::{AccountBy, Home, HomeState, duration};
use zcluster_api::mailbox::{Folder, Want};
use zcluster_api::{
    BlobId, BlobRef, Codec, DirectoryQuery, DirectoryReply, Error, GroupId, MailboxQuery, MailboxReply, Place, Result,
    SearchExpr, UidSet,
};
use zcluster_replica::{MailboxRead, PackedBody};
use zcluster_runtime::{Instant, select, sleep, spawn_blocking, wall_ms};

/// How often the policies are applied, unless the global config's `zclusterHsmEvery` says otherwise.
const EVERY: Duration = Duration::from_secs(86_400);
/// After its start a node waits so long before it applies them, at most.
const FIRST: Duration = Duration::from_secs(3_600);
/// How often it is looked whether it is time.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Accounts of a page, messages of a page.
const ACCOUNTS: u32 = 1_000;
const MESSAGES: u32 = 500;
/// Objects that one pack takes bodies over from.
const OBJECTS_MAX: usize = 512;
/// Bodies that are remembered to have been counted, for a shard.
const SEEN_MAX: usize = 1 << 20;

/// Applies the policies when it is time and when it is asked for, until the router stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let (mut wakes, mut stopped) = (inner.hsm.wake.subscribe(), inner.stopped.subscribe());
    let mut due = Instant::now() + every(&inner).min(FIRST);
    while !inner.is_stopped() {
        let asked = inner.hsm.asked.lock().take();
        let every = every(&inner);
        if asked.is_none() && (every.is_zero() || !due.remaining().is_zero()) {
            let wait = due.remaining().clamp(Duration::from_millis(100), LOOK_EVERY);
            select(sleep(wait), select(wakes.changed(), stopped.changed())).await;
            continue;
        }
        let dry = asked.unwrap_or(false);
        let began = HsmStatus { running: true, dry, started_ms: wall_ms(), ..HsmStatus::default() };
        *inner.hsm.status.lock() = began;
        inner.hsm.stop.store(false, Ordering::Relaxed);
        let outcome = once(&inner, dry).await;
        let mut status = inner.hsm.status.lock();
        (status.running, status.ended_ms) = (false, wall_ms());
        status.stopped = inner.hsm.stop.load(Ordering::Relaxed);
        if let Err(error) = outcome {
            tracing::warn!(%error, "volume policies: it goes on the next time");
            status.error = Some(error.to_string());
        }
        drop(status);
        if !dry {
            due = Instant::now() + every;
        }
    }
}

fn every(inner: &Inner) -> Duration {
    match inner.accounts.cluster() {
        Ok(DirectoryReply::Cluster(cluster)) => cluster.config.get("zclusterHsmEvery").and_then(duration),
        _ => None,
    }
    .unwrap_or(EVERY)
}

/// The mailboxes of a shard that policies hold for.
type Mailboxes = Vec<(Home, Arc<Vec<HsmPolicy>>)>;

async fn once(inner: &Arc<Inner>, dry: bool) -> Result<()> {
    let Some(packer) = Packer::new(inner) else { return Ok(()) };
    let found = {
        let inner = inner.clone();
        spawn_blocking(move || mailboxes(&inner)).await.map_err(|e| Error::Internal(format!("policies: {e}")))?
    };
    let (shards, wrong) = found?;
    {
        let mut status = inner.hsm.status.lock();
        status.shards = shards.len() as u64;
        status.mailboxes = shards.values().map(|m| m.len() as u64).sum();
        status.error = wrong;
    }
    for (group, mailboxes) in shards {
        let mut run =
            Run { inner, packer: &packer, group, dry, now_ms: now(), pending: BTreeMap::new(), seen: BTreeSet::new() };
        if let Err(error) = run.shard(mailboxes).await {
            tracing::info!(shard = group.0, %error, "volume policies: the shard is left for the next time");
            inner.hsm.status.lock().error = Some(format!("shard {group}: {error}"));
        }
        inner.hsm.status.lock().shards_done += 1;
        if is_ended(inner) {
            break;
        }
    }
    Ok(())
}

fn now() -> i64 {
    i64::try_from(wall_ms()).unwrap_or(i64::MAX)
}

fn is_ended(inner: &Inner) -> bool {
    inner.is_stopped() || inner.hsm.stop.load(Ordering::Relaxed)
}

/// The mailboxes of the shards led here, with the policies that hold for each; and what is wrong with a policy. Blocks.
fn mailboxes(inner: &Inner) -> Result<(BTreeMap<GroupId, Mailboxes>, Option<String>)> {
    let (mut out, mut wrong): (BTreeMap<GroupId, Mailboxes>, _) = (BTreeMap::new(), None);
    let mut parsed: BTreeMap<Vec<String>, Arc<Vec<HsmPolicy>>> = BTreeMap::new();
    let global = match inner.accounts.cluster()? {
        DirectoryReply::Cluster(cluster) => cluster.config.all(ATTRIBUTE).to_vec(),
        _ => Vec::new(),
    };
    let led: BTreeSet<GroupId> = inner.raft.groups().iter().filter(|g| leads(g)).map(|g| GroupId(g.id())).collect();
    let mut after = None;
    loop {
        let page = DirectoryQuery::Accounts { domain: None, after: after.clone(), limit: ACCOUNTS };
        let DirectoryReply::Accounts(accounts) = inner.replicas.read_directory(&page)? else { return Ok((out, wrong)) };
        let Some(last) = accounts.last() else { return Ok((out, wrong)) };
        after = Some(last.name.clone());
        for account in accounts.iter().filter(|a| led.contains(&a.home.group) && a.home.state == HomeState::Active) {
            let Ok(account) = inner.accounts.get(&AccountBy::Id(account.id)) else { continue };
            let own = account.effective_all(ATTRIBUTE);
            let values = if own.is_empty() { &global } else { own };
            if values.is_empty() || values.iter().any(|v| v == NONE) {
                continue;
            }
            let policies = match parsed.get(values) {
                Some(known) => known.clone(),
                None => {
                    let mut policies = Vec::new();
                    for value in values {
                        match HsmPolicy::parse(value) {
                            Ok(policy) if policy.is_about_messages() => policies.push(policy),
                            Ok(_) => {}
                            Err(error) => wrong = Some(format!("{value:?}: {error}")),
                        }
                    }
                    let policies = Arc::new(policies);
                    parsed.insert(values.to_vec(), policies.clone());
                    policies
                }
            };
            if !policies.is_empty() {
                out.entry(account.home.group).or_default().push((account.home, policies));
            }
        }
        if accounts.len() < ACCOUNTS as usize {
            return Ok((out, wrong));
        }
    }
}

/// A body that is to be moved.
struct Moving {
    id: BlobId,
    size: u64,
    place: Place,
}

/// Bodies that wait to be enough for a pack.
#[derive(Default)]
struct Pending {
    bodies: Vec<Moving>,
    bytes: u64,
    objects: BTreeSet<(String, String)>,
}

/// A shard's run.
struct Run<'a> {
    inner: &'a Arc<Inner>,
    packer: &'a Packer,
    group: GroupId,
    dry: bool,
    now_ms: i64,
    pending: BTreeMap<String, Pending>,
    seen: BTreeSet<BlobId>,
}

impl Run<'_> {
    async fn shard(&mut self, mailboxes: Mailboxes) -> Result<()> {
        for (home, policies) in mailboxes {
            if is_ended(self.inner) {
                break;
            }
            self.packer.goes_on(self.group).map_err(|t| t.error())?;
            match self.mailbox(home, &policies).await {
                // It went, or moved, meanwhile; or nothing was ever in it.
                Ok(()) | Err(Error::WrongHome { .. } | Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
            self.inner.hsm.status.lock().mailboxes_done += 1;
        }
        let volumes: Vec<String> = self.pending.keys().cloned().collect();
        for volume in volumes {
            self.flush(&volume).await?;
        }
        Ok(())
    }

    async fn ask(&self, home: Home, query: MailboxQuery) -> Result<MailboxReply> {
        let Home { mailbox, group, epoch, .. } = home;
        self.inner.replicas.read_mailbox(MailboxRead { group, mailbox, epoch, quota: 0, actor: None, query }).await
    }

    async fn mailbox(&mut self, home: Home, policies: &[HsmPolicy]) -> Result<()> {
        let MailboxReply::Folders(folders) = self.ask(home, MailboxQuery::Folders).await? else {
            return Err(Error::Internal("another answer than folders".into()));
        };
        // Where several policies name a body, the first counts: it is never taken from the volume of an earlier one.
        let mut earlier: BTreeSet<&str> = BTreeSet::new();
        for policy in policies {
            let known = self.packer.volumes.names().contains(&policy.volume);
            if !known || self.packer.drained.contains(&policy.volume) {
                let why = if known { "is being emptied" } else { "is not known" };
                self.inner.hsm.status.lock().error = Some(format!("volume {} {why}", policy.volume));
                continue;
            }
            let condition = expr(&policy.query, self.now_ms)?;
            for folder in folders.iter().filter(|f| f.messages > 0) {
                self.folder(home, folder, within(&condition, folder, &folders), &policy.volume, &earlier).await?;
            }
            earlier.insert(&policy.volume);
        }
        Ok(())
    }

    async fn folder(
        &mut self,
        home: Home,
        folder: &Folder,
        expr: SearchExpr,
        volume: &str,
        earlier: &BTreeSet<&str>,
    ) -> Result<()> {
        let search = MailboxQuery::Search { folder: folder.id, within: None, expr };
        let MailboxReply::Found { mut uids, .. } = self.ask(home, search).await? else {
            return Err(Error::Internal("another answer than to a search".into()));
        };
        self.inner.hsm.status.lock().messages += uids.len();
        let want = Want { summary: false, blob: true };
        while !uids.is_empty() {
            let query = MailboxQuery::Messages {
                folder: folder.id,
                uids: uids.clone(),
                want,
                changed_since: None,
                limit: MESSAGES,
            };
            let MailboxReply::Messages { messages, next } = self.ask(home, query).await? else {
                return Err(Error::Internal("another answer than messages".into()));
            };
            uids = next.map_or_else(UidSet::new, |next| uids.intersect(&UidSet::range(next.0, u32::MAX)));
            for blob in messages.into_iter().filter_map(|message| message.blob) {
                self.consider(blob, volume, earlier).await?;
            }
            if is_ended(self.inner) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn consider(&mut self, blob: BlobRef, volume: &str, earlier: &BTreeSet<&str>) -> Result<()> {
        let bytes = match &blob.place {
            Place::Object { volume: on, .. } if on == volume || earlier.contains(on.as_str()) => return Ok(()),
            Place::Object { len, .. } => *len,
            Place::Shard { stored, .. } => *stored,
        };
        // Nothing lies anywhere of an empty body; what is larger than a pack stays where it is.
        if bytes == 0
            || bytes > self.packer.config.pack_max
            || self.seen.len() >= SEEN_MAX
            || !self.seen.insert(blob.id)
        {
            return Ok(());
        }
        {
            let mut status = self.inner.hsm.status.lock();
            let of: &mut HsmVolume = status.of(volume);
            of.bodies += 1;
            of.bytes += bytes;
        }
        if self.dry {
            return Ok(());
        }
        let pending = self.pending.entry(volume.to_string()).or_default();
        if let Place::Object { volume, object, .. } = &blob.place {
            pending.objects.insert((volume.clone(), object.clone()));
        }
        pending.bytes += bytes;
        pending.bodies.push(Moving { id: blob.id, size: blob.size, place: blob.place });
        let is_full = pending.bytes >= self.packer.config.pack_max
            || pending.bodies.len() >= BODIES_MAX
            || pending.objects.len() >= OBJECTS_MAX;
        if is_full {
            self.flush(volume).await?;
        }
        Ok(())
    }

    /// Moves what waits.
    async fn flush(&mut self, volume: &str) -> Result<()> {
        let Some(Pending { bodies, .. }) = self.pending.remove(volume).filter(|p| !p.bodies.is_empty()) else {
            return Ok(());
        };
        let _one = self.inner.pack_slot.lock().await;
        self.packer.goes_on(self.group).map_err(|t| t.error())?;
        let (stored, from) = self.read(bodies).await?;
        let (count, bytes) = (stored.len() as u64, stored.iter().map(|s| s.bytes.len() as u64).sum::<u64>());
        let pack = spawn_blocking(move || fill(stored.into_iter(), from)).await;
        let Some(pack) = pack.map_err(|e| Error::Internal(format!("policies: {e}")))? else { return Ok(()) };
        self.packer.write(self.group, volume, pack).await.map_err(|t| t.error())?;
        metrics::counter!("zcluster_hsm_bodies_total", "volume" => volume.to_string()).increment(count);
        let mut status = self.inner.hsm.status.lock();
        let of = status.of(volume);
        of.moved_bodies += count;
        of.moved_bytes += bytes;
        Ok(())
    }

    /// The bodies as they are stored, and the objects that they are taken from. What cannot be read stays where it is.
    async fn read(&self, bodies: Vec<Moving>) -> Result<(Vec<Stored>, Vec<u64>)> {
        let group = self.group;
        let rows = self.packer.look(move |r| r.objects(group)).await.map_err(|t| t.error())?;
        let numbers: BTreeMap<(String, String), u64> =
            rows.into_iter().map(|row| ((row.volume, row.object), row.number)).collect();
        let mut loose: Vec<(BlobId, u64)> = Vec::new();
        let mut packed: BTreeMap<(String, String), Vec<PackedBody>> = BTreeMap::new();
        for Moving { id, size, place } in bodies {
            match place {
                Place::Shard { .. } => loose.push((id, size)),
                Place::Object { volume, object, offset, len, codec } => {
                    packed.entry((volume, object)).or_default().push(PackedBody { id, size, offset, len, codec });
                }
            }
        }
        let replicas = self.inner.replicas.clone();
        let work = move || {
            let one = |(id, size): (BlobId, u64)| {
                let found: Option<(Codec, _)> = replicas.stored_body(group, id).ok().flatten();
                found.map(|(codec, bytes)| Stored { id, size, codec, bytes })
            };
            loose.into_iter().filter_map(one).collect::<Vec<_>>()
        };
        let mut stored = spawn_blocking(work).await.map_err(|e| Error::Internal(format!("policies: {e}")))?;
        let mut from = Vec::new();
        for (at, bodies) in packed {
            let Some(number) = numbers.get(&at) else { continue };
            match self.packer.contents(&at.0, &at.1, bodies).await {
                Ok(mut some) => {
                    stored.append(&mut some);
                    from.push(*number);
                }
                Err(error @ (Error::Internal(_) | Error::NotFound(_))) => {
                    tracing::error!(shard = group.0, volume = at.0, object = at.1, %error, "bodies not moved");
                    self.inner.hsm.status.lock().error = Some(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok((stored, from))
    }
}
