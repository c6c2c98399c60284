//! The state is a function of the log: applied from the first entry on to empty tables, the committed entries give the
//! very rows that the replicas have, and give them again when it is done again (DESIGN §3: apply knows no clock, chance,
//! threads, hash order or floats). It also holds the replicas against a machine that never crashed and never took a
//! snapshot.

use super::{Check, broken};
use crate::audit::{self, row_hash};
use std::collections::BTreeMap;
use zcluster_api::{GroupId, codec};
use zcluster_raft::{Entry, EntryKind};
use zcluster_state::memory::MemoryKv;
use zcluster_state::{Kv, KvRead, Proposal, Table, Visit};

const PROMISE: &str = "replay_gives_the_same_state";

/// Replays every group whose entries are all known; others are counted as `replay.skipped`.
///
/// # Errors
/// A replay gives other rows than a replica had.
pub fn check() -> Check {
    for group in audit::groups() {
        match audit::committed_entries(group) {
            Some(entries) => {
                crate::world::count("replay.group");
                compare(group, &entries, &audit::states(group))?;
            }
            None => crate::world::count("replay.skipped"),
        }
    }
    Ok(())
}

/// `states` are the hashes of the rows that replicas had, by position.
fn compare(group: GroupId, entries: &[Entry], states: &BTreeMap<u64, u128>) -> Check {
    let sums = replay(group, entries);
    if sums != replay(group, entries) {
        return broken(PROMISE, format!("group {group}: a second replay gives other rows than the first"));
    }
    for (at, sum) in sums.iter().enumerate() {
        match states.get(&(at as u64)) {
            Some(rows) if rows != sum => {
                let text =
                    format!("group {group}: applied up to {at}, a replay has rows {sum:032x}, replicas {rows:032x}");
                return broken(PROMISE, text);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The hash of the rows after no entries, after the first, and so on.
fn replay(group: GroupId, entries: &[Entry]) -> Vec<u128> {
    let mut tables = Tables::default();
    let mut sums = vec![tables.sum];
    for entry in entries {
        if let EntryKind::Normal(payload) = &entry.kind
            && let Ok(proposal) = codec::decode::<Proposal>(payload)
        {
            zcluster_state::apply(&mut tables, group, entry.id.index, &proposal);
        }
        sums.push(tables.sum);
    }
    sums
}

/// Tables in memory that know the hash of their rows.
#[derive(Default)]
struct Tables {
    rows: MemoryKv,
    sum: u128,
}

impl Tables {
    fn hash(table: Table, key: &[u8], value: &[u8]) -> u128 {
        let mut full = Vec::with_capacity(1 + key.len());
        full.push(table.code());
        full.extend_from_slice(key);
        row_hash(&full, value)
    }
    fn forget(&mut self, table: Table, key: &[u8]) {
        if let Some(old) = self.rows.get(table, key) {
            self.sum = self.sum.wrapping_sub(Self::hash(table, key, &old));
        }
    }
}

impl KvRead for Tables {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.rows.get(table, key)
    }
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        self.rows.scan(table, from, to, visit);
    }
    fn scan_back(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        self.rows.scan_back(table, from, to, visit);
    }
}

impl Kv for Tables {
    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.forget(table, key);
        self.sum = self.sum.wrapping_add(Self::hash(table, key, &value));
        self.rows.put(table, key, value);
    }
    fn delete(&mut self, table: Table, key: &[u8]) {
        self.forget(table, key);
        self.rows.delete(table, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::{DirectoryCommand, RequestId};
    use zcluster_raft::LogId;
    use zcluster_state::Change;

    fn entries() -> Vec<Entry> {
        let take = |index: u64| {
            let what = Change::Directory(DirectoryCommand::TakeNodeNumber);
            let proposal = Proposal { request: RequestId([index as u8; 16]), wall_ms: index, what };
            Entry { id: LogId { term: 1, index }, kind: EntryKind::Normal(codec::encode(&proposal).into()) }
        };
        let mut entries = vec![Entry { id: LogId { term: 1, index: 0 }, kind: EntryKind::Blank }];
        entries.extend((1..6).map(take));
        entries
    }

    #[test]
    fn other_rows_are_seen() {
        let entries = entries();
        let sums = replay(GroupId(0), &entries);
        assert_eq!((sums.len(), sums[0], sums[1]), (7, 0, 0));
        assert!(sums[1..].windows(2).all(|w| w[0] != w[1]));
        let mut states: BTreeMap<u64, u128> = sums.iter().copied().enumerate().map(|(i, s)| (i as u64, s)).collect();
        assert_eq!(compare(GroupId(0), &entries, &states), Ok(()));
        states.insert(3, 1);
        assert!(compare(GroupId(0), &entries, &states).unwrap_err().text.contains("up to 3"));
    }
}
