//! Emptying a volume: what lies there goes to the default volume or, where there is none, back into the shards.

use super::write::{Pack, Stored};
use super::{PACKS_PER_ROUND, Packer, Step};
use std::collections::BTreeSet;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::pack::{MOVED_MAX, RETURNED_BYTES_MAX, Returned};
use zcluster_api::{BodiesCommand, GroupId};
use zcluster_replica::Stage;
use zcluster_runtime::probe;

impl Packer {
    /// A round of emptying in one shard.
    pub(super) async fn drain(&self, group: GroupId) -> Step<()> {
        if self.drained.is_empty() {
            return Ok(());
        }
        let (drained, default) = (self.drained.clone(), self.default_volume());
        let holds = |stage| matches!(stage, Stage::Live | Stage::Sparse);
        let there = self.look(move |r| r.objects(group)).await?.into_iter();
        let there = there.filter(|o| drained.contains(&o.volume) && holds(o.stage));
        let mut left: Vec<u64> = there.map(|o| o.number).collect();
        for _ in 0..PACKS_PER_ROUND {
            let _one = self.inner.pack_slot.lock().await;
            self.goes_on(group)?;
            // Back into the shard one object after the other: each piece goes to the shard with its object's number.
            let some = if default.is_some() { left.clone() } else { left.first().copied().into_iter().collect() };
            let looked = some.len();
            let Some((volume, pack)) = self.collect(group, some, &BTreeSet::new()).await? else {
                if default.is_none() && looked > 0 {
                    left.remove(0);
                    continue;
                }
                break;
            };
            left.retain(|number| !pack.from.contains(number));
            match &default {
                Some(default) => self.write(group, default, pack).await?,
                None => self.give_back(group, pack).await?,
            }
            probe("packer.drained", &[u64::from(group.0)]);
            tracing::debug!(shard = group.0, volume, "part of a volume emptied");
        }
        Ok(())
    }

    /// Puts bodies into the shard again.
    async fn give_back(&self, group: GroupId, pack: Pack) -> Step<()> {
        for object in pack.from {
            let mut command = Pieces::default();
            for entry in &pack.entries {
                let bytes = pack.bytes.slice(entry.offset as usize..(entry.offset + entry.len) as usize);
                let body = Stored { id: entry.id, size: 0, codec: entry.codec, bytes };
                for piece in pieces(&body) {
                    if !command.takes(&piece) {
                        let pieces = std::mem::take(&mut command).0;
                        self.propose(group, BodiesCommand::Return { object, pieces }).await?;
                    }
                    command.0.push(piece);
                }
            }
            if !command.0.is_empty() {
                self.propose(group, BodiesCommand::Return { object, pieces: command.0 }).await?;
            }
        }
        Ok(())
    }
}

/// What one command carries.
#[derive(Default)]
struct Pieces(Vec<Returned>);

impl Pieces {
    fn takes(&self, piece: &Returned) -> bool {
        let bytes: usize = self.0.iter().map(|p| p.bytes.len()).sum();
        self.0.len() < MOVED_MAX && bytes + piece.bytes.len() <= RETURNED_BYTES_MAX
    }
}

/// A body in pieces, none longer than a chunk.
fn pieces(body: &Stored) -> Vec<Returned> {
    let (mut rest, mut out) = (body.bytes.clone(), Vec::new());
    while !rest.is_empty() {
        let bytes = rest.split_to(rest.len().min(CHUNK_MAX));
        let seq = u32::try_from(out.len()).unwrap_or(u32::MAX);
        out.push(Returned { id: body.id, seq, last: rest.is_empty(), bytes });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::{BlobId, Bytes, Codec};

    #[test]
    fn a_body_is_cut_where_chunks_end() {
        let of = |len: usize| {
            let bytes = Bytes::from(vec![1; len]);
            let all = pieces(&Stored { id: BlobId([1; 32]), size: 0, codec: Codec::Plain, bytes });
            all.into_iter().map(|p| (p.seq, p.last, p.bytes.len())).collect::<Vec<_>>()
        };
        assert_eq!(of(5), [(0, true, 5)]);
        assert_eq!(of(CHUNK_MAX), [(0, true, CHUNK_MAX)]);
        assert_eq!(of(CHUNK_MAX + 1), [(0, false, CHUNK_MAX), (1, true, 1)]);
    }
}
