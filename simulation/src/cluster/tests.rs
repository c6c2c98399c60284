//! A whole cluster, small: it is founded, serves, survives, settles, and does so twice in the same way.

use super::*;
use crate::plan::RaftShape;
use crate::world::{Keep, OUTSIDE, Summary};
use std::time::Duration;
use zcluster_api::mailbox::{NewMessage, Parsed, folders};
use zcluster_api::*;
use zcluster_runtime::random_bytes;

/// The longest that a test's world may last.
const END: u64 = 600_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn shape(nodes: u32, shards: u32) -> Shape {
    Shape {
        nodes,
        shards,
        accounts: 3,
        raft: RaftShape {
            heartbeat_ms: 400,
            election_min_ms: 800,
            election_max_ms: 1_200,
            snapshot_every: 200,
            keep_entries: 100,
            snapshot_lag: 500,
        },
        clocks: vec![
            ClockShape { offset_ms: 10_000, ppm: 200, wall_error_ms: 40 },
            ClockShape { offset_ms: 7_000_000, ppm: -300, wall_error_ms: -900 },
            ClockShape { offset_ms: 3, ppm: 0, wall_error_ms: 5_000 },
        ],
        volume: None,
    }
}

pub(crate) fn knobs() -> Knobs {
    Knobs { drop_request: 5_000, drop_answer: 5_000, delay: 10_000, latency_us: (300, 2_000), ..CALM }
}

/// Runs `work` in a world of its own, and fails on whatever was broken.
pub(crate) fn in_world<F: Future<Output = ()> + Send + 'static>(seed: u64, work: impl FnOnce() -> F) -> Summary {
    let guard = world::enter(seed, Keep { notes: true, ..Keep::default() });
    crate::audit::begin();
    let work = work();
    world::spawn_on(OUTSIDE, async move {
        work.await;
        world::stop();
    });
    world::run_until(END);
    let summary = guard.summary();
    if !summary.violations.is_empty() || !world::is_over() {
        for n in &summary.notes {
            eprintln!("{:>9} ms  node {}  {:<8} {}", n.at / 1_000_000, n.node, n.kind, n.text);
        }
    }
    assert!(world::is_over(), "the test's work has not ended");
    assert_eq!(summary.violations, []);
    summary
}

pub(crate) async fn deliver(cluster: &Arc<Cluster>, node: u32, account: u32, text: &str) -> Option<Result<Receipt>> {
    let raw: bytes::Bytes = format!("Subject: {text}\r\n\r\n{text}\r\n").into();
    let id = cluster.account(account);
    let work = move |parts: Arc<Parts>| async move {
        let prepared = PreparedBody {
            id: BlobId(*blake3::hash(&raw).as_bytes()),
            size: raw.len() as u64,
            codec: Codec::Plain,
            stored: raw,
        };
        let message = NewMessage {
            folder: folders::INBOX,
            flags: Flags::UNREAD,
            keywords: vec![],
            internal_ms: 1_700_000_000_000,
            parsed: Parsed::default(),
            body: prepared.inline().ok_or_else(|| Error::Internal("too large".into()))?,
            delivery_key: None,
        };
        let body = MailboxCommand::AddMessage(message);
        let (actor, request) = (Actor::Delivery, RequestId(random_bytes()));
        let call = Call { actor, account: id, request, timeout: Duration::from_secs(20), body };
        MailboxApi::write(parts.router.as_ref(), call).await
    };
    cluster.ask(node, work).await
}

pub(crate) async fn count(cluster: &Arc<Cluster>, node: u32, account: u32) -> Option<usize> {
    let id = cluster.account(account);
    let work = move |parts: Arc<Parts>| async move {
        let query = MailboxQuery::Messages {
            folder: folders::INBOX,
            uids: UidSet::range(1, u32::MAX),
            want: mailbox::Want { summary: false, blob: false },
            changed_since: None,
            limit: 1000,
        };
        let (actor, request) = (Actor::Delivery, RequestId(random_bytes()));
        let call = Call { actor, account: id, request, timeout: Duration::from_secs(20), body: query };
        match MailboxApi::read(parts.router.as_ref(), call).await {
            Ok(MailboxReply::Messages { messages, .. }) => Some(messages.len()),
            _ => None,
        }
    };
    cluster.ask(node, work).await.flatten()
}

/// Waits until the cluster is as it should be, or says what is not.
pub(crate) async fn settle(cluster: &Arc<Cluster>) {
    if let Err(what) = cluster.settled(PATIENCE).await {
        world::violate("converges", what);
    }
}

fn smoke(seed: u64) -> Summary {
    in_world(seed, || async {
        let cluster = Cluster::new(&shape(3, 2), &knobs());
        cluster.found().await;
        assert!(deliver(&cluster, 1, 0, "first").await.is_some_and(|r| r.is_ok()));
        assert_eq!(count(&cluster, 2, 0).await, Some(1));
        let leader = cluster.leader_of(1).map(|r| r.node).unwrap();
        let machine = cluster.machine(leader).unwrap();
        assert!(cluster.power_cut(&machine, true));
        let other = leader % 3 + 1;
        assert!(deliver(&cluster, other, 0, "second").await.is_some_and(|r| r.is_ok()));
        assert!(deliver(&cluster, other, 1, "third").await.is_some_and(|r| r.is_ok()));
        cluster.heal_all().await;
        settle(&cluster).await;
        assert_eq!(count(&cluster, leader, 0).await, Some(2));
    })
}

#[test]
fn a_cluster_is_founded_survives_a_crash_and_settles_always_alike() {
    let begun = crate::wall::Stopwatch::start();
    let (a, b) = (smoke(7), smoke(7));
    eprintln!("twice {} polls, {} ms simulated, {:?}", a.polls, a.elapsed / 1_000_000, begun.elapsed());
    assert_eq!(a.hash, b.hash);
    assert_eq!(a.marks, b.marks);
    assert_ne!(smoke(8).hash, a.hash);
}
