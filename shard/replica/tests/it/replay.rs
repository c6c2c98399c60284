//! What a crash leaves is the state at some earlier position, and the log brings back the rest.

use crate::support::*;
use zcluster_api::{MailboxQuery, MailboxReply, ModSeq};
use zcluster_raft::{Entry, EntryKind, Fatal, LogId};
use zcluster_replica::{MemoryEngine, Replicas};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_is_the_same_after_replay() {
    let tmp = tempfile::tempdir().unwrap();
    let log = log(120);
    let live = rocks(&tmp.path().join("live"));
    let mut machine = live.machine(GROUP).unwrap();
    apply(&mut machine, &log[..50]);
    live.flush().unwrap();
    assert_eq!(machine.durable_index().unwrap(), Some(49));
    apply(&mut machine, &log[50..]);
    assert_eq!(machine.durable_index().unwrap(), Some(49));
    let (at, hash) = live.state_hash(GROUP).unwrap();
    assert_eq!(at, Some(119));

    power_cut(&tmp.path().join("live"), &tmp.path().join("cut"));
    let back = rocks(&tmp.path().join("cut"));
    let mut machine = back.machine(GROUP).unwrap();
    let applied = machine.applied().unwrap();
    assert_eq!(applied.last, Some(LogId { term: 1, index: 49 }));
    assert_eq!(applied.membership.unwrap().1, "members");
    assert_eq!(machine.durable_index().unwrap(), Some(49));
    assert_ne!(back.state_hash(GROUP).unwrap().1, hash);
    // A hole in the log must never go unnoticed.
    assert!(machine.apply(log[51..52].to_vec()).is_err());
    let mut machine = back.machine(GROUP).unwrap();
    apply(&mut machine, &log[50..]);
    assert_eq!(back.state_hash(GROUP).unwrap(), (at, hash));
    let query = MailboxQuery::Info;
    assert_eq!(ask(&back, query.clone()).await, ask(&live, query).await);
}

#[tokio::test]
async fn equal_logs_make_equal_replicas_on_any_engine_and_in_any_runs() {
    let tmp = tempfile::tempdir().unwrap();
    let log = log(90);
    let a = rocks(tmp.path());
    apply(&mut a.machine(GROUP).unwrap(), &log);
    let b = Replicas::with_engine(MemoryEngine::new(), Fatal::new()).unwrap();
    let mut machine = b.machine(GROUP).unwrap();
    machine.apply(log.clone()).unwrap();
    assert_eq!(a.state_hash(GROUP).unwrap(), b.state_hash(GROUP).unwrap());
    // Applying the last entry's request once more, at a new position, repeats its reply and adds nothing.
    let EntryKind::Normal(payload) = log[88].kind.clone() else { panic!("a delivery") };
    let again = Entry { id: LogId { term: 1, index: 90 }, kind: EntryKind::Normal(payload) };
    let before = b.modseq(GROUP, BOX).unwrap();
    machine.apply(vec![again]).unwrap();
    assert_eq!(b.modseq(GROUP, BOX).unwrap(), before);
}

#[tokio::test]
async fn followers_hear_of_changes_once_they_can_be_read() {
    let replicas = Replicas::with_engine(MemoryEngine::new(), Fatal::new()).unwrap();
    let mut machine = replicas.machine(GROUP).unwrap();
    let log = log(8);
    apply(&mut machine, &log[..5]);
    assert_eq!(replicas.modseq(GROUP, zcluster_api::MailboxId(99)).unwrap(), None);
    let before = replicas.modseq(GROUP, BOX).unwrap().unwrap();
    let mut subscription = replicas.subscribe(GROUP, BOX);
    assert_eq!(replicas.followed(), 1);
    apply(&mut machine, &log[5..]);
    let told = subscription.changed().await;
    assert!(told > before);
    let Ok(MailboxReply::Info { modseq, messages, .. }) = ask(&replicas, MailboxQuery::Info).await else { panic!() };
    assert_eq!((modseq, messages), (told, 5));
    assert_ne!(modseq, ModSeq(0));
}

#[tokio::test]
async fn a_removed_group_leaves_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let replicas = rocks(tmp.path());
    apply(&mut replicas.machine(GROUP).unwrap(), &log(30));
    assert!(!replicas.is_condemned(GROUP).unwrap());
    assert_eq!(replicas.on_disk().unwrap(), vec![GROUP]);
    replicas.condemn(GROUP).unwrap();
    // Interrupted here, the next start knows.
    power_cut(tmp.path(), &tmp.path().join("cut"));
    assert!(rocks(&tmp.path().join("cut")).is_condemned(GROUP).unwrap());
    replicas.remove(GROUP).unwrap();
    assert!(replicas.on_disk().unwrap().is_empty());
    assert!(!replicas.is_condemned(GROUP).unwrap());
    assert_eq!(replicas.machine(GROUP).unwrap().applied().unwrap().last, None);
}
