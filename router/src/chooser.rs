//! Which shard a new mailbox goes to: power of two choices over the counts, so that no shard is rushed by everybody at
//! once and no rehash is ever needed (distributed.md §5).

use crate::inner::Inner;
use std::collections::BTreeMap;
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, GroupId, Result};
use zcluster_runtime::random_below;

/// The less loaded of two shards drawn with `draw(bound)`.
fn choose(shards: &[GroupId], counts: &BTreeMap<GroupId, u64>, mut draw: impl FnMut(u64) -> u64) -> Option<GroupId> {
    let mut pick = || shards.get(usize::try_from(draw(shards.len() as u64)).ok()?).copied();
    let (a, b) = (pick()?, pick()?);
    let load = |g: GroupId| counts.get(&g).copied().unwrap_or(0);
    Some(if load(b) < load(a) { b } else { a })
}

impl Inner {
    /// A number that rises with every change of this node's copy of the directory, and is the same on every node that has
    /// the same.
    pub fn directory_version(&self) -> u64 {
        self.replicas.directory_version_now()
    }

    /// A shard for a new mailbox, by what this node knows.
    ///
    /// # Errors
    /// `Unavailable` when there is no shard yet.
    pub fn choose_shard(&self) -> Result<GroupId> {
        self.choose_shards(1)?.pop().ok_or_else(none_yet)
    }

    /// Shards for so many new mailboxes, as if each had been chosen when those before it were there.
    pub fn choose_shards(&self, many: usize) -> Result<Vec<GroupId>> {
        let shards: Vec<GroupId> = match self.replicas.read_directory(&DirectoryQuery::Shards)? {
            DirectoryReply::Shards(s) => s.into_iter().map(|s| s.group).collect(),
            other => return Err(Error::Internal(format!("expected shards, got {other:?}"))),
        };
        let mut counts: BTreeMap<GroupId, u64> = match self.replicas.read_directory(&DirectoryQuery::MailboxCounts)? {
            DirectoryReply::Counts(c) => c.into_iter().collect(),
            other => return Err(Error::Internal(format!("expected counts, got {other:?}"))),
        };
        (0..many)
            .map(|_| {
                let chosen = choose(&shards, &counts, random_below).ok_or_else(none_yet)?;
                *counts.entry(chosen).or_default() += 1;
                Ok(chosen)
            })
            .collect()
    }
}

fn none_yet() -> Error {
    Error::Unavailable("there is no shard yet".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_the_emptier_of_two() {
        let shards: Vec<GroupId> = (1..=4).map(GroupId).collect();
        let mut counts = BTreeMap::new();
        let mut state = 1u64;
        for _ in 0..4000 {
            let chosen = choose(&shards, &counts, |n| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) % n
            });
            *counts.entry(chosen.unwrap()).or_default() += 1;
        }
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert!(most - least <= 20, "{counts:?}");
        assert_eq!(choose(&[], &counts, |_| 0), None);
    }
}
