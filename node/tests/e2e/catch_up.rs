//! A node that was away comes back, catches up, and is then good enough to carry the cluster.

use std::time::Duration;

use crate::support::cluster::{Cluster, Port};
use crate::support::eventually;
use crate::support::imap::Imap;
use crate::support::mail::{message, unique};
use crate::support::smtp::{Delivery, Smtp};

const ALICE: &str = "alice@example.com";

#[test]
fn a_killed_node_catches_up_and_then_carries_a_quorum() {
    let mut cluster = Cluster::start(3);
    cluster.kill9(3);
    let mut lmtp = Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap();
    let ids: Vec<String> = (0..200).map(|_| unique("away")).collect();
    for id in &ids {
        assert_eq!(lmtp.deliver(ALICE, &message(id, 2_000)), Delivery::Acknowledged);
    }
    cluster.serve(3);
    cluster.await_ready(Duration::from_secs(60));
    // Two of three is a quorum only if the one that was away counts.
    cluster.kill9(1);
    let late = unique("late");
    let mut lmtp = Smtp::lmtp(cluster.port(3, Port::Lmtp)).unwrap();
    eventually("a delivery through the node that was away", Duration::from_secs(30), || {
        lmtp.deliver(ALICE, &message(&late, 2_000)) == Delivery::Acknowledged
    });
    for node in [2, 3] {
        let mut imap: Imap = cluster.imap(node, ALICE);
        let present = imap.ids("INBOX").unwrap();
        for id in ids.iter().chain([&late]) {
            assert_eq!(present.get(id), Some(&1), "{id} on node {node}");
        }
    }
}
