//! A primary that is stopped (SIGSTOP) and resumed: it wakes up believing that it still leads.

use std::time::Duration;

use crate::support::cluster::{Cluster, Port};
use crate::support::imap::Imap;
use crate::support::mail::{message, unique};
use crate::support::smtp::{Delivery, Smtp};
use crate::support::{eventually, full};

const ALICE: &str = "alice@example.com";
/// Longer than every election and every lease.
const PAUSE: Duration = Duration::from_secs(10);

#[test]
fn a_primary_that_was_stopped_answers_nothing_stale_and_loses_nothing() {
    let mut cluster = Cluster::start(3);
    let mut lmtp = Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap();
    let first = unique("first");
    assert_eq!(lmtp.deliver(ALICE, &message(&first, 1_000)), Delivery::Acknowledged);
    let mut acknowledged = vec![first];
    for round in 0..if full() { 5 } else { 2 } {
        println!("round {}", round + 1);
        one_pause(&mut cluster, &mut acknowledged, round);
    }
    for node in 1..=3 {
        let present = cluster.imap(node, ALICE).ids("INBOX").unwrap();
        for id in &acknowledged {
            assert_eq!(present.get(id), Some(&1), "{id} on node {node}");
        }
    }
}

fn one_pause(cluster: &mut Cluster, acknowledged: &mut Vec<String>, round: u32) {
    let primary = cluster.primary_of(ALICE);
    let other = cluster.another(primary);
    let keyword = format!("round{round}");
    // The session on the primary knows the state before the pause.
    let mut on_primary = cluster.imap(primary, ALICE);
    on_primary.select("INBOX").unwrap();
    let uid = *on_primary.bodies().unwrap().keys().next().unwrap();
    assert!(!on_primary.flags(uid).unwrap().contains(&keyword));
    let mut lmtp_of_primary = Smtp::lmtp(cluster.port(primary, Port::Lmtp)).unwrap();
    cluster.stop(primary);

    // The others go on without it.
    let mut imap: Imap = cluster.imap(other, ALICE);
    imap.select("INBOX").unwrap();
    let mut lmtp = Smtp::lmtp(cluster.port(other, Port::Lmtp)).unwrap();
    let during = unique("during");
    eventually("a delivery while the primary is stopped", Duration::from_secs(20), || {
        lmtp.deliver(ALICE, &message(&during, 1_000)) == Delivery::Acknowledged
    });
    acknowledged.push(during);
    eventually("a STORE while the primary is stopped", Duration::from_secs(20), || {
        imap.ask(&format!("UID STORE {uid} +FLAGS.SILENT ({keyword})")).unwrap().ok()
    });
    let messages = imap.select("INBOX").unwrap();

    // These commands lie in the stopped node's socket: the first thing that it does when it wakes is to answer them.
    let fetch = on_primary.send(&format!("UID FETCH {uid} (UID FLAGS)")).unwrap();
    let status = on_primary.send("STATUS INBOX (MESSAGES)").unwrap();
    let woken = unique("woken");
    let waking = std::thread::spawn(move || {
        let fate = lmtp_of_primary.deliver(ALICE, &message(&woken, 1_000));
        (woken, fate)
    });
    std::thread::sleep(PAUSE);
    cluster.cont(primary);

    let answer = on_primary.answer(&fetch).expect("the session on the stopped primary goes on");
    if answer.ok() {
        assert!(answer.says(&keyword), "the resumed primary answered with stale flags: {answer:?}");
    }
    let answer = on_primary.answer(&status).expect("the session on the stopped primary goes on");
    if answer.ok() {
        let count = status_count(&answer.untagged);
        assert!(count.is_some_and(|count| count >= messages), "{count:?} messages, {messages} were acknowledged");
    }
    let (id, fate) = waking.join().unwrap();
    println!("the delivery that waited in the stopped primary: {fate:?}");
    if fate == Delivery::Acknowledged {
        acknowledged.push(id);
    }
    assert!(on_primary.flags(uid).unwrap().contains(&keyword));
}

fn status_count(untagged: &[Vec<u8>]) -> Option<usize> {
    let lines = untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned());
    let line = lines.into_iter().find(|line| line.contains("STATUS"))?;
    line.split("MESSAGES ").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
