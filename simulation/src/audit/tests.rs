use super::*;
use crate::world::Keep;
use bytes::Bytes;
use zcluster_api::NodeId;
use zcluster_raft::EntryKind;
use zcluster_raft::log::Vote;

const GROUP: u32 = 3;

fn id(term: u64, index: u64) -> LogId {
    LogId { term, index }
}
fn entry(term: u64, index: u64, text: &'static str) -> Entry {
    Entry { id: id(term, index), kind: EntryKind::Normal(Bytes::from_static(text.as_bytes())) }
}
fn append(term: u64, index: u64, text: &'static str) -> Op {
    Op::Append(vec![entry(term, index, text)])
}
fn vote(term: u64, node: u32, committed: bool) -> Op {
    Op::Vote(Vote { term, node: NodeId::new(node, 1).0, committed })
}
/// Submits and syncs.
fn does(node: u32, ops: &[Op]) {
    for op in ops {
        log_op(node, GROUP, op);
        log_synced(node, GROUP, op);
    }
}

/// Runs a history in a world of its own; the promises it broke.
fn broken(history: impl FnOnce()) -> Vec<&'static str> {
    let guard = world::enter(1, Keep::default());
    begin();
    (1..4).for_each(world::start_node);
    history();
    guard.summary().violations.iter().map(|v| v.promise).collect()
}

/// Node 1 leads term 1, two entries are on nodes 1 and 2 and committed.
fn healthy() {
    does(1, &[vote(1, 1, false), vote(1, 1, true), append(1, 0, "a"), append(1, 1, "b")]);
    does(2, &[vote(1, 1, false), vote(1, 1, true), append(1, 0, "a"), append(1, 1, "b")]);
    does(1, &[Op::Committed(id(1, 1))]);
    state_written(1, GroupId(GROUP), Some(id(1, 1)), 42);
    does(2, &[Op::Committed(id(1, 1))]);
}

#[test]
fn a_healthy_history_breaks_nothing() {
    let promises = broken(|| {
        healthy();
        state_written(2, GroupId(GROUP), Some(id(1, 0)), 41);
        state_written(2, GroupId(GROUP), Some(id(1, 1)), 42);
        does(2, &[vote(2, 2, true), append(2, 2, "c"), Op::Purge(id(1, 0))]);
        does(1, &[append(1, 2, "x"), vote(2, 2, true), Op::TruncateAfter(Some(id(1, 1))), append(2, 2, "c")]);
        does(3, &[vote(2, 2, true), append(1, 0, "a"), append(1, 1, "b"), append(2, 2, "c")]);
        does(2, &[Op::Committed(id(2, 2))]);
        assert_eq!(committed_entries(GroupId(GROUP)).unwrap().len(), 3);
        assert_eq!(states(GroupId(GROUP)).len(), 2);
    });
    assert!(promises.is_empty(), "{promises:?}");
}

#[test]
fn a_leader_that_goes_on_after_losing_its_tail_is_caught() {
    let promises = broken(|| {
        does(1, &[vote(1, 1, true), append(1, 0, "a")]);
        log_op(1, GROUP, &append(1, 1, "b"));
        does(2, &[vote(1, 1, true), append(1, 0, "a"), append(1, 1, "b")]);
        log_opening(1);
        let vote = Vote { term: 1, node: NodeId::new(1, 1).0, committed: true };
        log_recovered(1, GROUP, LogState { vote: Some(vote), last: Some(id(1, 0)), ..LogState::default() });
        does(1, &[append(1, 1, "other")]);
    });
    assert_eq!(promises, ["one_payload_per_position"]);
}

#[test]
fn two_leaders_are_caught() {
    assert_eq!(
        broken(|| {
            does(1, &[vote(1, 1, true)]);
            does(2, &[vote(1, 2, true)]);
        }),
        ["one_leader_per_term"]
    );
}

#[test]
fn an_incomplete_leader_is_caught() {
    let promises = broken(|| {
        healthy();
        does(3, &[vote(1, 1, true), append(1, 0, "a"), vote(2, 3, true), append(2, 1, "c")]);
    });
    assert_eq!(promises, ["leaders_have_all_that_is_committed"]);
}

#[test]
fn a_forgotten_vote_and_a_forgotten_entry_are_caught() {
    let forgotten = |state: LogState| {
        broken(|| {
            healthy();
            log_opening(2);
            log_recovered(2, GROUP, state);
        })
    };
    let vote = Some(Vote { term: 1, node: NodeId::new(1, 1).0, committed: true });
    assert_eq!(forgotten(LogState { last: Some(id(1, 1)), ..LogState::default() }), ["votes_are_never_taken_back"]);
    assert_eq!(forgotten(LogState { vote, last: Some(id(1, 0)), ..LogState::default() }), ["what_was_synced_stays"]);
    assert!(forgotten(LogState { vote, last: Some(id(1, 1)), ..LogState::default() }).is_empty());
    // A group that should be there and is not even mentioned.
    let unmentioned = broken(|| {
        healthy();
        log_opening(2);
        does(2, &[append(1, 2, "c")]);
    });
    assert_eq!(unmentioned.first(), Some(&"votes_are_never_taken_back"));
    let wiped = broken(|| {
        healthy();
        log_wiped(2);
        does(2, &[append(1, 0, "a")]);
    });
    assert!(wiped.is_empty(), "{wiped:?}");
}

#[test]
fn cutting_and_applying_too_early_are_caught() {
    let too_early = broken(|| {
        healthy();
        does(1, &[append(1, 2, "c"), Op::Purge(id(1, 2))]);
    });
    assert_eq!(too_early, ["committed_is_forever"]);
    let applied = broken(|| {
        healthy();
        state_written(2, GroupId(GROUP), Some(id(1, 2)), 7);
    });
    assert_eq!(applied, ["committed_is_forever"]);
    let gap = broken(|| {
        healthy();
        does(1, &[Op::Purge(id(1, 1))]);
        log_opening(1);
        let vote = Vote { term: 1, node: NodeId::new(1, 1).0, committed: true };
        let (purged, last) = (Some(id(1, 1)), Some(id(1, 1)));
        log_recovered(1, GROUP, LogState { vote: Some(vote), purged, last, ..LogState::default() });
        state_recovered(1, GroupId(GROUP), None, 0);
        does(1, &[append(1, 2, "c")]);
    });
    assert_eq!(gap, ["nothing_is_cut_before_it_is_kept"]);
}

#[test]
fn unequal_replicas_are_caught() {
    let promises = broken(|| {
        healthy();
        state_written(2, GroupId(GROUP), Some(id(1, 1)), 43);
    });
    assert_eq!(promises, ["replicas_are_equal"]);
}

#[test]
fn acting_without_being_elected_is_caught() {
    let acts = |node: u32| {
        broken(|| {
            healthy();
            world::within(node, || zcluster_runtime::probe("leader.acts", &[GROUP.into(), 1]));
        })
    };
    assert!(acts(1).is_empty());
    assert_eq!(acts(2), ["only_the_leader_acts"]);
}
