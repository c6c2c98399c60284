//! A sum over the rows of each generation of each group, kept up to date with every change: two replicas that hold the
//! same rows have the same sum, however they came to them.

use crate::audit;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::GroupId;
use zcluster_replica::layout;

/// A row's hash: of its key without group and generation, and of its value.
pub(super) fn row(key: &[u8], value: &[u8]) -> u128 {
    audit::row_hash(layout::split(key).map_or(key, |(_, _, own)| own), value)
}

/// The sums of all generations that have rows.
#[derive(Default)]
pub(super) struct Sums(BTreeMap<(GroupId, u32), Sum>);

#[derive(Default)]
struct Sum {
    rows: u64,
    sum: u128,
}

impl Sums {
    /// A row of this hash is there now.
    pub fn add(&mut self, key: &[u8], hash: u128) {
        let Some((group, generation, _)) = layout::split(key) else { return };
        let sum = self.0.entry((group, generation)).or_default();
        sum.rows += 1;
        sum.sum = sum.sum.wrapping_add(hash);
    }
    /// A row of this hash is gone.
    pub fn remove(&mut self, key: &[u8], hash: u128) {
        let Some((group, generation, _)) = layout::split(key) else { return };
        let Some(sum) = self.0.get_mut(&(group, generation)) else { return };
        sum.rows -= 1;
        sum.sum = sum.sum.wrapping_sub(hash);
        if sum.rows == 0 {
            self.0.remove(&(group, generation));
        }
    }
    /// A generation's sum; 0 where no rows are.
    pub fn get(&self, group: GroupId, generation: u32) -> u128 {
        self.0.get(&(group, generation)).map_or(0, |s| s.sum)
    }
    /// Groups that have any rows.
    pub fn groups(&self) -> BTreeSet<GroupId> {
        self.0.keys().map(|(group, _)| *group).collect()
    }
}
