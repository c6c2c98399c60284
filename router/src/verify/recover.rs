//! Bodies that are not where they should be, looked for elsewhere: on other nodes, whose replica may lag and still have
//! them or whose cache may, and in other shards, where the same content has its own copy.

use super::shard::{Audit, Audited};
use super::{Problem, ProblemKind as Kind};
use crate::inner::Inner;
use crate::packer::{Stored, fill};
use crate::wire::{self, BodyHead};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::NodeState;
use zcluster_api::pack::MOVED_MAX;
use zcluster_api::volume::OBJECT_MAX;
use zcluster_api::{BlobId, BlobRef, Codec, Error, GroupId, Place, Result, codec};
use zcluster_replica::{ObjectAt, PackedBody, as_stored};
use zcluster_rpc::Lane;
use zcluster_runtime::{spawn_blocking, timeout};

/// A node may take so long to say what it has, and to give a body.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const BODY_MAX: Duration = Duration::from_secs(60);

/// Answers [`wire::HAVE`]. Blocks.
pub(crate) fn have(inner: &Arc<Inner>, wanted: &[BlobId]) -> Vec<(BlobId, GroupId)> {
    let mut out = Vec::new();
    let groups = inner.raft.groups().into_iter().map(|g| GroupId(g.id())).filter(|g| *g != GroupId::DIRECTORY);
    for group in groups {
        for id in wanted.iter().take(MOVED_MAX) {
            if matches!(inner.replicas.body_place(group, *id), Ok(Some(_))) {
                out.push((*id, group));
            }
        }
    }
    out
}

impl Inner {
    fn alive(&self) -> Vec<u64> {
        let nodes = self.nodes().into_iter().filter(|n| n.state != NodeState::Removed);
        nodes.map(|n| n.id.0).collect()
    }

    async fn have_at(self: &Arc<Self>, node: u64, wanted: &[BlobId]) -> Vec<(BlobId, GroupId)> {
        if node == self.me() {
            let (inner, wanted) = (self.clone(), wanted.to_vec());
            return spawn_blocking(move || have(&inner, &wanted)).await.unwrap_or_default();
        }
        let body: Bytes = codec::encode(&wanted.to_vec()).into();
        let answer = self.network.call(node, Lane::Bulk, wire::HAVE, body, ANSWER_MAX).await.ok();
        let answer = answer.and_then(|a| wire::open_answer(a).ok());
        answer.and_then(|a| codec::decode(&a).ok()).unwrap_or_default()
    }

    /// A body's bytes from one node, if they are what its name says.
    async fn body_at(self: &Arc<Self>, node: u64, group: GroupId, blob: BlobRef) -> Option<Bytes> {
        let (id, size) = (blob.id, blob.size);
        let head = BodyHead { group, blob, from: 0, to: size };
        let frames = match node == self.me() {
            true => crate::body::serve(self.clone(), head).await.ok()?,
            false => {
                let body = wire::request(&head, &[]);
                self.network.stream(node, Lane::Bulk, wire::BODY, body, ANSWER_MAX).await.ok()?
            }
        };
        let whole = timeout(BODY_MAX, whole(frames, size)).await.ok()??;
        (blake3::hash(&whole).as_bytes() == &id.0).then_some(whole)
    }
}

async fn whole(mut frames: zcluster_rpc::Frames, size: u64) -> Option<Bytes> {
    let mut out = BytesMut::new();
    while let Some(piece) = frames.next().await {
        out.extend_from_slice(&piece.ok()?);
        if out.len() as u64 > size {
            return None;
        }
    }
    (out.len() as u64 == size).then(|| out.freeze())
}

impl Audit {
    /// Looks for a body everywhere; where it was found.
    async fn find(
        &self,
        body: &PackedBody,
        place: &Place,
        elsewhere: &BTreeMap<BlobId, BTreeSet<(GroupId, u64)>>,
    ) -> Option<(Stored, String)> {
        if body.size > OBJECT_MAX {
            return None;
        }
        let blob = |place: Place| BlobRef { id: body.id, size: body.size, place, at: None };
        // A replica that does not know the body believes what it is told; with this it has none.
        let none = Place::Shard { codec: Codec::Plain, stored: 0, chunks: 0 };
        let mut places: Vec<(u64, GroupId, Place)> =
            self.inner.alive().into_iter().map(|node| (node, self.group, place.clone())).collect();
        let others = elsewhere.get(&body.id).into_iter().flatten().filter(|(group, _)| *group != self.group);
        places.extend(others.map(|(group, node)| (*node, *group, none.clone())));
        for (node, group, place) in places {
            if let Some(raw) = self.inner.body_at(node, group, blob(place)).await {
                let packed = spawn_blocking(move || as_stored(&raw)).await.ok()?;
                let (codec, bytes) = packed;
                let number = zcluster_api::NodeId(node).number();
                let from = if group == self.group { String::new() } else { format!(" in shard {group}") };
                return Some((Stored { id: body.id, size: body.size, codec, bytes }, format!("node {number}{from}")));
            }
        }
        None
    }

    /// Which nodes have these bodies, and in which shards.
    async fn elsewhere(&self, bodies: &[PackedBody]) -> BTreeMap<BlobId, BTreeSet<(GroupId, u64)>> {
        let mut out: BTreeMap<BlobId, BTreeSet<(GroupId, u64)>> = BTreeMap::new();
        for some in bodies.chunks(MOVED_MAX) {
            let wanted: Vec<BlobId> = some.iter().map(|b| b.id).collect();
            for node in self.inner.alive() {
                for (id, group) in self.inner.have_at(node, &wanted).await {
                    out.entry(id).or_default().insert((group, node));
                }
            }
        }
        out
    }

    /// Tells what is wrong with an object, and puts its bodies into a new one as far as they are to be had.
    pub(super) async fn mend(
        &mut self,
        object: &ObjectAt,
        (kind, text): (Kind, String),
        good: Vec<Stored>,
        bad: Vec<PackedBody>,
    ) -> Audited<()> {
        let ObjectAt { number, volume, object: name, .. } = object;
        let of_object = |text: String| Problem::new(kind, text).on(volume, name);
        if !self.ask.repair {
            let count = bad.len();
            if kind != Kind::DamagedBody {
                let text = format!("{text}; {count} of {} bodies in it cannot be read", count + good.len());
                self.problem(of_object(text)).await?;
            }
            for body in bad.iter().filter(|_| kind == Kind::DamagedBody) {
                let text = "its bytes are not those of the body";
                let problem = Problem::new(Kind::DamagedBody, text).on(volume, name);
                self.problem(Problem { body: Some(body.id.to_string()), ..problem }).await?;
            }
            if kind == Kind::DamagedBody && bad.is_empty() {
                let text = format!("{text}; nobody needs that one any more");
                self.problem(of_object(text)).await?;
            }
            return Ok(());
        }
        let elsewhere = self.elsewhere(&bad).await;
        let (kept, mut saved, mut lost, mut stored) = (good.len(), Vec::new(), Vec::new(), good);
        let mut at_hand: u64 = stored.iter().map(|s| s.bytes.len() as u64).sum();
        for body in bad {
            let (offset, len, codec) = (body.offset, body.len, body.codec);
            let place = Place::Object { volume: volume.clone(), object: name.clone(), offset, len, codec };
            match self.find(&body, &place, &elsewhere).await {
                Some((found, from)) => {
                    at_hand += found.bytes.len() as u64;
                    saved.push((body, from));
                    stored.push(found);
                }
                None => lost.push(body),
            }
            // What was found must not fill the memory.
            if at_hand > self.packer.config.pack_max {
                self.put_back(*number, volume, std::mem::take(&mut stored)).await?;
                at_hand = 0;
            }
        }
        self.put_back(*number, volume, stored).await?;
        let owners = self.owners(&lost).await?;
        if kind != Kind::DamagedBody || (saved.is_empty() && lost.is_empty()) {
            let repaired = lost.is_empty();
            let text = format!(
                "{text}; {kept} bodies were read from it, {} found elsewhere, {} are lost",
                saved.len(),
                lost.len()
            );
            self.problem(Problem { repaired, ..of_object(text) }).await?;
        }
        for (body, from) in saved.iter().filter(|_| kind == Kind::DamagedBody) {
            let text = format!("its bytes were not those of the body; put back from {from}");
            let problem = Problem::new(Kind::DamagedBody, text).on(volume, name);
            self.problem(Problem { body: Some(body.id.to_string()), repaired: true, ..problem }).await?;
        }
        for body in lost {
            let whose = owners.get(&body.id).cloned().unwrap_or_default();
            let text = format!("LOST: on no node, in no cache and in no other shard; {whose}");
            let problem = Problem::new(Kind::DamagedBody, text).on(volume, name);
            self.problem(Problem { body: Some(body.id.to_string()), ..problem }).await?;
        }
        Ok(())
    }

    /// Puts bodies into new packs, by the packer's ordinary way, and so out of the object that they were in.
    async fn put_back(&self, number: u64, volume: &str, stored: Vec<Stored>) -> Result<()> {
        let to = match self.packer.drained.contains(volume) {
            true => self.packer.default_volume().unwrap_or_else(|| volume.to_string()),
            false => volume.to_string(),
        };
        let packs = spawn_blocking(move || {
            let (mut packs, mut rest) = (Vec::new(), std::collections::VecDeque::from(stored));
            while let Some(pack) = fill_from(&mut rest, number) {
                packs.push(pack);
            }
            packs
        });
        for pack in packs.await.map_err(|e| Error::Internal(format!("verifying: {e}")))? {
            self.packer.write(self.group, &to, pack).await.map_err(|t| t.error())?;
        }
        Ok(())
    }

    /// Bodies of the shard itself that this replica cannot give.
    pub(super) async fn repair_shard_bodies(&mut self, damaged: Vec<PackedBody>) -> Audited<()> {
        let default = self.packer.default_volume();
        let elsewhere = if self.ask.repair { self.elsewhere(&damaged).await } else { BTreeMap::new() };
        let none = Place::Shard { codec: Codec::Plain, stored: 0, chunks: 0 };
        for body in damaged {
            let name = Some(body.id.to_string());
            let mut problem = Problem::new(Kind::DamagedShardBody, "the leader's copy is missing or damaged");
            if self.ask.repair {
                let found = self.find(&body, &none, &elsewhere).await;
                problem.text += &match (found, &default) {
                    (None, _) => {
                        let owners = self.owners(std::slice::from_ref(&body)).await?;
                        let whose = owners.get(&body.id).cloned().unwrap_or_default();
                        format!("; LOST: on no node and in no other shard; {whose}")
                    }
                    (Some((_, from)), None) => format!(
                        "; {from} has it, and without a default volume it cannot be put anywhere: take this node out and in again"
                    ),
                    (Some((stored, from)), Some(volume)) => {
                        let inner = self.inner.clone();
                        let _one = inner.pack_slot.lock().await;
                        let pack = fill(std::iter::once(stored), Vec::new());
                        if let Some(pack) = pack {
                            self.packer.write(self.group, volume, pack).await.map_err(|t| t.error())?;
                        }
                        problem.repaired = true;
                        format!("; put on volume {volume} from {from}")
                    }
                };
            }
            self.problem(Problem { body: name, ..problem }).await?;
        }
        Ok(())
    }
}

/// As many bodies as a pack takes.
fn fill_from(rest: &mut std::collections::VecDeque<Stored>, number: u64) -> Option<crate::packer::Pack> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while let Some(next) = rest.front() {
        if !some.is_empty()
            && (bytes + next.bytes.len() > zcluster_volume::pack::MAX || some.len() >= crate::packer::BODIES_MAX)
        {
            break;
        }
        bytes += next.bytes.len();
        some.extend(rest.pop_front());
    }
    fill(some.into_iter(), vec![number])
}
