//! Work that belongs to a group's leader is done by the elected leader of that term and by nobody else
//! (distributed.md §3.2: fencing). The software tells of such work with the probe `leader.acts` (group, term).

use super::one_leader_per_term::Leaders;
use super::{Check, broken};
use zcluster_api::NodeId;

const PROMISE: &str = "only_the_leader_acts";
/// The probe that tells of it: group, term.
pub const PROBE: &str = "leader.acts";

/// `node` does the leader's work in `term`.
///
/// # Errors
/// It was not elected.
pub fn acts(leaders: &Leaders, group: u32, term: u64, node: u32) -> Check {
    match leaders.of(term) {
        Some(leader) if NodeId(leader).number() == node => Ok(()),
        other => broken(
            PROMISE,
            format!("node {node} does the leader's work of group {group} in term {term}: {other:x?} was elected"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_that_acts_is_seen() {
        let mut leaders = Leaders::default();
        leaders.elected(3, NodeId::new(2, 1).0).unwrap();
        assert_eq!(acts(&leaders, 1, 3, 2), Ok(()));
        assert_eq!(acts(&leaders, 1, 3, 1).unwrap_err().promise, PROMISE);
        assert!(acts(&leaders, 1, 4, 2).is_err());
    }
}
