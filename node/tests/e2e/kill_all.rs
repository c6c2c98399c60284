//! kill -9 of every node at once, under load.

use std::time::Duration;

use crate::support::cluster::Cluster;
use crate::support::load::{Load, SIZE};
use crate::support::mail;

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

#[test]
fn every_acknowledged_message_survives_a_kill_of_all_nodes() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster, &[ALICE, BOB]);
    std::thread::sleep(Duration::from_secs(5));
    for number in 1..=3 {
        cluster.kill9(number);
    }
    let books = load.finish();
    for number in 1..=3 {
        cluster.serve(number);
    }
    cluster.await_ready(Duration::from_secs(90));
    for node in 1..=3 {
        books.audit(&cluster, node);
        for (account, ledger) in &books.inbox {
            let mut imap = cluster.imap(node, account);
            imap.select("INBOX").unwrap();
            let stored = imap.bodies().unwrap();
            let promised = ledger.acknowledged_ids();
            assert!(promised.len() > 20, "the load was no load: {} messages", promised.len());
            for id in promised {
                let sent = mail::message(&id, SIZE);
                // Delivery puts trace fields (RFC 5321 §4.4) in front; everything after them is what was sent.
                assert!(
                    stored.values().any(|message| message.ends_with(&sent)),
                    "{id} is not byte-identical on node {node}"
                );
            }
        }
    }
}
