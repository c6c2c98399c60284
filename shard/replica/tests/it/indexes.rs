//! What searches keep of folders, over the life of a replica: as the log goes on, across a snapshot, a removal, a bound.

use crate::support::*;
use std::sync::Arc;
use zcluster_api::mailbox::{KeywordChange, folders};
use zcluster_api::sort::{SortBy, SortCriterion, Threading};
use zcluster_api::*;
use zcluster_raft::Fatal;
use zcluster_replica::{MemoryEngine, Replicas};

/// Replicas that answer each search a second time without an index, and panic where the answers differ.
fn doubted() -> Arc<Replicas> {
    let replicas = Replicas::with_engine(MemoryEngine::new(), Fatal::new()).unwrap();
    replicas.doubt_indexes();
    replicas
}

fn folders_kept(replicas: &Replicas) -> (u64, u64) {
    let figures = replicas.figures();
    let of = |name| figures.iter().find(|(n, _)| *n == name).unwrap().1;
    (of("folder_indexes"), of("folder_index_bytes"))
}

/// Asks everything; returns how many messages match.
async fn search(replicas: &Arc<Replicas>) -> u64 {
    let (folder, within) = (folders::INBOX, None);
    let unread = SearchExpr::Flags(Flags::UNREAD);
    let criterion = |by, reverse| SortCriterion { by, reverse };
    let by = vec![criterion(SortBy::Subject, true), criterion(SortBy::Date, false)];
    let expr = SearchExpr::All;
    let sort = MailboxQuery::Sort { folder, within: within.clone(), expr: expr.clone(), by };
    let MailboxReply::Sorted { uids: sorted, .. } = ask(replicas, sort).await.unwrap() else { panic!() };
    let threading = Threading::References;
    let thread = MailboxQuery::Thread { folder, within: within.clone(), expr, threading };
    let MailboxReply::Threads(nodes) = ask(replicas, thread).await.unwrap() else { panic!() };
    assert_eq!(nodes.iter().filter(|n| n.uid != 0).count(), sorted.len());
    let search = MailboxQuery::Search { folder, within, expr: unread };
    let MailboxReply::Found { uids, .. } = ask(replicas, search).await.unwrap() else { panic!() };
    uids.len()
}

fn seen(index: u64, uid: u32) -> zcluster_raft::Entry {
    command(
        index,
        MailboxCommand::Store {
            folder: folders::INBOX,
            uids: UidSet::range(uid, uid),
            add: Flags::default(),
            remove: Flags::UNREAD,
            keywords: KeywordChange::Add(vec![]),
            unchanged_since: None,
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_follows_the_log() {
    let replicas = doubted();
    let mut machine = replicas.machine(GROUP).unwrap();
    let log = log(120);
    apply(&mut machine, &log[..40]);
    let mut found = Vec::new();
    for entry in &log[40..] {
        machine.apply(vec![entry.clone()]).unwrap();
        found.push(search(&replicas).await);
    }
    assert!(found.windows(2).any(|w| w[0] < w[1]) && found.windows(2).any(|w| w[0] > w[1]), "{found:?}");
    let before = *found.last().unwrap();
    machine.apply(vec![seen(120, 20)]).unwrap();
    assert_eq!(search(&replicas).await, before - 1);
    let (count, bytes) = folders_kept(&replicas);
    assert!(count == 1 && bytes > 56 * before, "{count} of {bytes} bytes");
    replicas.limit_indexes(bytes as usize - 1);
    assert_eq!(folders_kept(&replicas), (0, 0));
    assert_eq!(search(&replicas).await, before - 1);
    assert_eq!(folders_kept(&replicas), (0, 0), "one may take half of the room");
    replicas.limit_indexes(2 * bytes as usize);
    search(&replicas).await;
    assert_eq!(folders_kept(&replicas), (1, bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_the_state_it_was_read_from() {
    let (from, to) = (doubted(), doubted());
    let (mut sender, mut receiver) = (from.machine(GROUP).unwrap(), to.machine(GROUP).unwrap());
    let log = log(200);
    apply(&mut receiver, &log[..50]);
    let few = search(&to).await;
    apply(&mut sender, &log);
    let source = sender.snapshot().unwrap();
    let mut sink = receiver.begin_install(source.manifest()).unwrap();
    let mut n = 0;
    while let Some(chunk) = source.chunk(n).unwrap() {
        sink.put(n, chunk).unwrap();
        n += 1;
    }
    receiver.finish_install(sink, source.applied()).unwrap();
    assert_eq!(folders_kept(&to), (0, 0));
    assert!(search(&to).await > few);
    assert_eq!(search(&to).await, search(&from).await);
    drop(receiver);
    to.remove(GROUP).unwrap();
    assert_eq!(folders_kept(&to), (0, 0));
    // Another history under the same name, with the same mod-sequences.
    let mut receiver = to.machine(GROUP).unwrap();
    apply(&mut receiver, &log[..20]);
    let all = search(&to).await;
    drop(receiver);
    to.remove(GROUP).unwrap();
    let mut receiver = to.machine(GROUP).unwrap();
    apply(&mut receiver, &log[..3]);
    for (index, n) in (3..).zip(9..) {
        if receiver.applied().unwrap().last.unwrap().index >= 19 {
            break;
        }
        receiver.apply(vec![delivery(index, &mail(n))]).unwrap();
    }
    assert_eq!(search(&to).await, all + 4, "two entries of the first history expunged where this one delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_that_was_not_asked_for_longest_goes() {
    let replicas = doubted();
    let mut machine = replicas.machine(GROUP).unwrap();
    apply(&mut machine, &log(60));
    let copy = MailboxCommand::Copy { from: folders::INBOX, uids: UidSet::range(1, 100), to: folders::TRASH };
    machine.apply(vec![command(60, copy)]).unwrap();
    let all = |folder| MailboxQuery::Search { folder, within: None, expr: SearchExpr::Larger(0) };
    ask(&replicas, all(folders::INBOX)).await.unwrap();
    ask(&replicas, all(folders::TRASH)).await.unwrap();
    let (count, bytes) = folders_kept(&replicas);
    assert_eq!(count, 2);
    // Room for two such folders, and not for three.
    replicas.limit_indexes(bytes as usize + 64);
    let copy = MailboxCommand::Copy { from: folders::INBOX, uids: UidSet::range(1, 100), to: folders::SENT };
    machine.apply(vec![command(61, copy)]).unwrap();
    ask(&replicas, all(folders::INBOX)).await.unwrap();
    ask(&replicas, all(folders::SENT)).await.unwrap();
    assert_eq!(folders_kept(&replicas).0, 2);
}
