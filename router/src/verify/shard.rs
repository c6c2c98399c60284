//! What a shard's leader finds.

use super::{PROBLEMS_MAX, Problem, ProblemKind as Kind, Tally, VerifyAsk, VerifyNews, VerifyShard};
use crate::carry::BARRIER_MAX;
use crate::inner::Inner;
use crate::packer::{Packer, Stored, VOLUME_STEP_MAX, prefix, within};
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::volume::check_object_name;
use zcluster_api::{BodiesCommand, BodiesReceipt, Error, GroupId, Listed, Place, Result, codec};
use zcluster_replica::{Namesakes, ObjectAt, PackedBody, Stage, check_stored};
use zcluster_rpc::{Frames, RpcError};
use zcluster_runtime::{Instant, spawn_blocking, wall_ms};
use zcluster_volume::pack;

/// Rows looked at in one go.
const PAGE: usize = 2_048;
/// Names asked of a volume at a time.
const LIST: usize = 1_000;
/// Names of one shard that are compared with its volume at most: an announced object is a row, so there are no more.
const NAMES_MAX: usize = 1_000_000;
/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Bodies of an object beyond which it is read no further.
const BODIES_MAX: usize = 1 << 20;
/// Messages that are named of a lost body.
const NAMED: usize = 5;

/// The other side is not interested any more, or the shard is led elsewhere by now.
pub(super) type Audited<T> = Result<T>;

/// One shard's audit.
pub(super) struct Audit {
    pub inner: Arc<Inner>,
    pub packer: Packer,
    pub group: GroupId,
    pub ask: VerifyAsk,
    pub tally: Tally,
    out: mpsc::Sender<VerifyNews>,
    told: Instant,
}

/// Answers a peer, or this node itself.
pub(crate) fn serve(inner: &Arc<Inner>, what: VerifyShard) -> Result<Frames, RpcError> {
    let remote = |e: &str| RpcError::Remote(e.to_string());
    let leads = inner.group(what.group).is_some_and(|g| g.leadership().borrow().is_leader);
    if !leads {
        return Err(remote("this node does not lead the shard"));
    }
    let packer = Packer::new(inner).ok_or_else(|| remote("this node knows no volumes yet"))?;
    let (out, news) = mpsc::channel(64);
    let VerifyShard { group, ask } = what;
    let (tally, told) = (Tally::default(), Instant::now());
    let mut audit = Audit { inner: inner.clone(), packer, group, ask, tally, out, told };
    zcluster_runtime::spawn(async move {
        let ended = audit.run().await;
        match ended {
            Ok(()) => {
                audit.tally.shards = 1;
                let _ = audit.out.send(VerifyNews::Done(audit.tally)).await;
            }
            // The stream ends without its last word: whoever asked asks again.
            Err(error) => tracing::info!(shard = group.0, %error, "verifying bodies ended early"),
        }
    });
    Ok(news.map(|news| Ok(codec::encode(&news).into())).boxed())
}

/// A name that no object of a shard comes behind.
fn last_name(prefix: &str) -> String {
    format!("{prefix}{}", "z".repeat(64))
}

impl Audit {
    async fn run(&mut self) -> Audited<()> {
        self.prove().await?;
        if self.ask.volume.is_none() {
            self.references().await?;
        }
        self.bodies().await?;
        self.objects().await
    }

    /// This node leads, and what it has applied is the latest.
    async fn prove(&self) -> Audited<()> {
        let group = self.inner.group(self.group).ok_or_else(|| Error::Unavailable("no such shard here".into()))?;
        let proved = group.read_barrier(BARRIER_MAX).await;
        proved.map(|_| ()).map_err(|_| Error::Unavailable("this node leads it no longer".into()))?;
        self.packer.goes_on(self.group).map_err(|t| t.error())
    }

    async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&zcluster_replica::Replicas) -> Result<T> + Send + 'static,
    ) -> Audited<T> {
        self.packer.look(read).await.map_err(|t| t.error())
    }

    async fn tell(&mut self, news: VerifyNews) -> Audited<()> {
        self.out.send(news).await.map_err(|_| Error::Unavailable("nobody listens any more".into()))
    }

    async fn progress(&mut self) -> Audited<()> {
        if self.told.elapsed() < TOLD_EVERY {
            return Ok(());
        }
        self.told = Instant::now();
        self.tell(VerifyNews::Progress(self.tally)).await
    }

    pub(super) async fn problem(&mut self, mut problem: Problem) -> Audited<()> {
        self.tally.problems += 1;
        self.tally.repaired += u64::from(problem.repaired);
        if self.tally.problems > PROBLEMS_MAX {
            return Ok(());
        }
        problem.shard = Some(self.group.0);
        self.tell(VerifyNews::Problem(problem)).await
    }

    /// Every message's body is known to the shard.
    async fn references(&mut self) -> Audited<()> {
        let (group, mut at) = (self.group, Vec::new());
        loop {
            let from = at;
            let (count, missing, next) = self.look(move |r| r.references(group, &from, PAGE)).await?;
            self.tally.messages += count;
            for lost in missing {
                let text = format!(
                    "mailbox {} item {} has no body: the shard knows none of that name",
                    lost.mailbox.0, lost.item
                );
                let problem = Problem { body: Some(lost.id.to_string()), ..Problem::new(Kind::UnknownBody, text) };
                self.problem(problem).await?;
            }
            self.progress().await?;
            match next {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
    }

    /// Every body that the shard knows lies in the shard, or in an object whose rows agree.
    async fn bodies(&mut self) -> Audited<()> {
        let (group, mut after) = (self.group, None);
        loop {
            let page = self.look(move |r| r.blobs(group, after, PAGE)).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            let mut damaged = Vec::new();
            for blob in page {
                match (&blob.place, &self.ask.volume) {
                    (Place::Shard { .. }, None) => {
                        self.tally.shard_bodies += 1;
                        if self.ask.deep && self.shard_body(blob.id, blob.size).await?.is_some() {
                            // It may have come back from a volume between the two looks of the first.
                            damaged.extend(self.shard_body(blob.id, blob.size).await?);
                        }
                    }
                    (Place::Object { volume, object, .. }, only) if only.as_ref().is_none_or(|v| v == volume) => {
                        self.tally.volume_bodies += 1;
                        if !blob.entered {
                            let text = "the body's row names a place that its object's rows do not know";
                            let problem = Problem::new(Kind::WrongPlace, text).on(volume, object);
                            self.problem(Problem { body: Some(blob.id.to_string()), ..problem }).await?;
                        }
                    }
                    _ => {}
                }
            }
            if !damaged.is_empty() {
                self.repair_shard_bodies(damaged).await?;
            }
            self.progress().await?;
        }
    }

    /// Reads a body in the shard; tells of it when it is damaged.
    async fn shard_body(&mut self, id: zcluster_api::BlobId, size: u64) -> Audited<Option<PackedBody>> {
        let group = self.group;
        let replicas = self.inner.replicas.clone();
        let read = spawn_blocking(move || {
            let found = replicas.stored_body(group, id);
            let now = replicas.body_place(group, id);
            (found, now)
        });
        let (found, now) = read.await.map_err(|e| Error::Internal(format!("verifying: {e}")))?;
        match (found, now?) {
            (Ok(Some(_)), _) => {
                self.tally.verified_bodies += 1;
                Ok(None)
            }
            // It went, or moved on, meanwhile.
            (Ok(None), None) => Ok(None),
            (Ok(None), Some(now)) if !matches!(now.place, Place::Shard { .. }) => Ok(None),
            (Ok(None), Some(now)) if size == 0 && now.size == 0 => Ok(None),
            (Err(Error::Unavailable(why)), _) => Err(Error::Unavailable(why)),
            (_, Some(_)) => Ok(Some(PackedBody { id, size, offset: 0, len: 0, codec: zcluster_api::Codec::Plain })),
            (_, None) => Ok(None),
        }
    }

    /// Every object is on its volume, and what is on the volume is known.
    async fn objects(&mut self) -> Audited<()> {
        let group = self.group;
        let rows = self.look(move |r| r.objects(group)).await?;
        let mut by_volume: BTreeMap<String, BTreeMap<String, ObjectAt>> = BTreeMap::new();
        for volume in self.packer.volumes.names() {
            by_volume.entry(volume).or_default();
        }
        for row in rows {
            by_volume.entry(row.volume.clone()).or_default().insert(row.object.clone(), row);
        }
        let only = self.ask.volume.clone();
        for (volume, known) in by_volume.into_iter().filter(|(v, _)| only.as_ref().is_none_or(|only| only == v)) {
            if let Err(error) = self.volume(&volume, known).await {
                match error {
                    Error::Unavailable(why) if self.packer.goes_on(self.group).is_ok() && !self.out.is_closed() => {
                        self.problem(Problem::new(Kind::Unanswered, format!("volume {volume}: {why}"))).await?;
                    }
                    other => return Err(other),
                }
            }
        }
        Ok(())
    }

    async fn volume(&mut self, volume: &str, known: BTreeMap<String, ObjectAt>) -> Audited<()> {
        let prefix = prefix(self.group);
        let listed = self.list(volume, &prefix).await?;
        let mut unknown: Vec<&Listed> = listed.values().filter(|l| !known.contains_key(&l.object)).collect();
        if !unknown.is_empty() {
            // What was announced meanwhile is known by now.
            self.prove().await?;
            let (group, of) = (self.group, volume.to_string());
            let rows = self.look(move |r| r.objects(group)).await?;
            let now: std::collections::BTreeSet<String> =
                rows.into_iter().filter(|r| r.volume == of).map(|r| r.object).collect();
            unknown.retain(|listed| !now.contains(&listed.object));
        }
        for orphan in unknown {
            if !is_there(&self.packer, volume, orphan).await? {
                continue;
            }
            let problem = self.orphan(volume, orphan).await?;
            self.problem(problem).await?;
        }
        for object in known.into_values() {
            if object.live.number == 0 {
                self.tally.trash += u64::from(object.stage != Stage::Open);
                continue;
            }
            self.tally.objects += 1;
            self.tally.object_bytes += object.bytes;
            let is_whole = listed.get(&object.object).is_some_and(|l| l.bytes == object.bytes);
            if !is_whole || self.ask.deep {
                self.object(&object, is_whole).await?;
            }
            self.progress().await?;
        }
        Ok(())
    }

    /// What the volume says that lies in this shard's part of it.
    async fn list(&self, volume: &str, prefix: &str) -> Audited<BTreeMap<String, Listed>> {
        let (mut all, mut after) = (BTreeMap::new(), String::new());
        loop {
            let page = within(VOLUME_STEP_MAX, self.packer.volumes.list(volume, prefix, &after, LIST)).await?;
            let is_last = page.len() < LIST;
            let next = page.iter().rev().find(|l| check_object_name(&l.object).is_ok()).map(|l| l.object.clone());
            all.extend(page.into_iter().map(|l| (l.object.clone(), l)));
            match next {
                Some(next) if !is_last && all.len() < NAMES_MAX && next < last_name(prefix) => after = next,
                _ => return Ok(all),
            }
        }
    }

    async fn orphan(&self, volume: &str, orphan: &Listed) -> Audited<Problem> {
        let (text, repaired) = adopt(&self.packer, self.ask.repair, self.group, volume, orphan).await;
        Ok(Problem { repaired, ..Problem::new(Kind::Orphan, text).on(volume, &orphan.object) })
    }

    /// Looks into an object; tells what is wrong, and what became of it.
    async fn object(&mut self, object: &ObjectAt, is_whole: bool) -> Audited<()> {
        // One pack a node is held in memory.
        let inner = self.inner.clone();
        let _one = inner.pack_slot.lock().await;
        let fetched = fetch(&self.packer, object).await;
        if fetched.is_err() {
            // A leader that was deposed meanwhile may have old rows: the next one may have deleted the object rightly.
            self.prove().await?;
        }
        let (group, number) = (self.group, object.number);
        let found = self.look(move |r| r.packed_bodies(group, number, 0, BODIES_MAX)).await?;
        let bodies = found.map(|(_, _, bodies)| bodies).unwrap_or_default();
        if bodies.is_empty() {
            // They were moved on, or went, meanwhile.
            return Ok(());
        }
        let (kind, text, bytes) = match fetched {
            Ok(bytes) => {
                let looked = bytes.clone();
                let checked = spawn_blocking(move || pack::verify(&looked)).await;
                let checked = checked.map_err(|e| Error::Internal(format!("verifying: {e}")))?;
                match (checked, is_whole) {
                    (Ok(_), _) => (None, String::new(), bytes),
                    (Err(bad @ pack::Bad::Body(_)), true) => (Some(Kind::DamagedBody), bad.to_string(), bytes),
                    (Err(bad), true) => (Some(Kind::DamagedPack), bad.to_string(), bytes),
                    (Err(bad), false) => (Some(Kind::WrongLength), bad.to_string(), bytes),
                }
            }
            Err(Fetched::Missing) => (Some(Kind::MissingObject), "it is not on the volume".into(), Default::default()),
            Err(Fetched::Length(bytes)) => {
                let text = format!("{} bytes of {}", bytes.len(), object.bytes);
                (Some(Kind::WrongLength), text, bytes)
            }
            Err(Fetched::Away(error)) => return Err(error),
        };
        let (good, bad) = sort(bodies, bytes).await?;
        self.tally.verified_bodies += good.len() as u64;
        if kind.is_some() || !bad.is_empty() {
            // Whoever leads it by now may know better.
            self.prove().await?;
        }
        match kind {
            None if bad.is_empty() => Ok(()),
            kind => {
                let kind = kind.unwrap_or(Kind::DamagedBody);
                self.mend(object, (kind, text), good, bad).await
            }
        }
    }

    /// Names the messages that have these bodies.
    pub(super) async fn owners(&self, bodies: &[PackedBody]) -> Audited<BTreeMap<zcluster_api::BlobId, String>> {
        let mut wanted: Namesakes = bodies.iter().map(|b| (b.id, Vec::new())).collect();
        let group = self.group;
        let found = self.look(move |r| r.namesakes(group, &mut wanted, NAMED).map(|()| wanted)).await?;
        let named = |owners: Vec<(zcluster_api::MailboxId, u64)>| {
            let one = |(mailbox, item): &(zcluster_api::MailboxId, u64)| format!("mailbox {} item {item}", mailbox.0);
            let mut text = owners.iter().map(one).collect::<Vec<_>>().join(", ");
            if owners.len() == NAMED {
                text.push_str(", perhaps more");
            }
            text
        };
        Ok(found.into_iter().map(|(id, owners)| (id, named(owners))).collect())
    }
}

/// Whether a name that a list showed is there.
pub(super) async fn is_there(packer: &Packer, volume: &str, listed: &Listed) -> Result<bool> {
    if listed.bytes == 0 || check_object_name(&listed.object).is_err() {
        return Ok(true);
    }
    match within(VOLUME_STEP_MAX, packer.volumes.fetch(volume, &listed.object, 0..1)).await {
        Ok(_) => Ok(true),
        Err(Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Has a shard take an object over that nobody knows: as one that was announced and never filled it goes the way of those,
/// which the shard's leader deletes when their time is up. What became of it, for people.
pub(super) async fn adopt(
    packer: &Packer,
    repair: bool,
    group: GroupId,
    volume: &str,
    orphan: &Listed,
) -> (String, bool) {
    let text = format!("{} bytes that no shard knows", orphan.bytes);
    let grace = packer.config.announced;
    let old = wall_ms().saturating_sub(orphan.changed_ms) > crate::packer::millis(grace);
    if !repair {
        return (text, false);
    }
    if !old {
        return (format!("{text}; left alone until it is {} hours old", grace.as_secs() / 3_600), false);
    }
    let announce = BodiesCommand::Announce { volume: volume.to_string(), object: orphan.object.clone() };
    match packer.propose_anywhere(group, announce).await {
        Ok(BodiesReceipt::Announced { .. }) => {
            (format!("{text}; it goes to the trash, and is deleted in {} hours", grace.as_secs() / 3_600), true)
        }
        Ok(_) => (format!("{text}; the shard gave another answer"), false),
        Err(error) => (format!("{text}; it stays: {error}"), false),
    }
}

/// Why an object is not at hand as it should be.
enum Fetched {
    Missing,
    /// What there is of it.
    Length(zcluster_api::Bytes),
    Away(Error),
}

async fn fetch(packer: &Packer, object: &ObjectAt) -> Result<zcluster_api::Bytes, Fetched> {
    let ObjectAt { volume, object, bytes, .. } = object;
    let read = |range: std::ops::Range<u64>| within(VOLUME_STEP_MAX, packer.volumes.fetch(volume, object, range));
    match read(0..*bytes).await {
        Ok(all) => match read(*bytes..bytes + 1).await {
            // Longer than it was written: what was written is there.
            Ok(_) => Err(Fetched::Length(all)),
            Err(Error::NotFound(_)) => Ok(all),
            Err(error) => Err(Fetched::Away(error)),
        },
        Err(Error::NotFound(_)) => {
            // Not there, or too short: as much as can be had of it, found by halving.
            if let Err(error) = read(0..1).await {
                let is_absent = matches!(error, Error::NotFound(_));
                return Err(if is_absent { Fetched::Missing } else { Fetched::Away(error) });
            }
            let (mut some, mut none) = (1, *bytes);
            while none - some > 1 {
                let middle = some + (none - some) / 2;
                match read(middle - 1..middle).await {
                    Ok(_) => some = middle,
                    Err(Error::NotFound(_)) => none = middle,
                    Err(error) => return Err(Fetched::Away(error)),
                }
            }
            match read(0..some).await {
                Ok(bytes) => Err(Fetched::Length(bytes)),
                Err(error) => Err(Fetched::Away(error)),
            }
        }
        Err(error) => Err(Fetched::Away(error)),
    }
}

/// The bodies of an object that are what their names say, and those that are not.
async fn sort(bodies: Vec<PackedBody>, bytes: zcluster_api::Bytes) -> Result<(Vec<Stored>, Vec<PackedBody>)> {
    let work = move || {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for body in bodies {
            let end = body.offset.saturating_add(body.len);
            let there = usize::try_from(end).is_ok_and(|end| end <= bytes.len());
            let stored = if there { bytes.slice(body.offset as usize..end as usize) } else { Default::default() };
            match there && check_stored(body.id, body.size, body.codec, &stored).is_ok() {
                true => good.push(Stored { id: body.id, size: body.size, codec: body.codec, bytes: stored }),
                false => bad.push(body),
            }
        }
        (good, bad)
    };
    spawn_blocking(work).await.map_err(|e| Error::Internal(format!("verifying: {e}")))
}
