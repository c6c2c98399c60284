//! A node that is cut off from the others, with the fault switch in its transport.

use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, PASSWORD, Port, path, run};
use crate::support::eventually;
use crate::support::imap::Imap;
use crate::support::mail::{message, unique};
use crate::support::smtp::{Delivery, Smtp};

const ALICE: &str = "alice@example.com";
/// Longer than the deadline of any call inside the cluster.
const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn the_minority_refuses_writes_the_majority_goes_on_and_they_agree_afterwards() {
    let cluster = Cluster::start_with(3, &["--enable-fault-injection"]);
    let mut lmtp = Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap();
    let mut acknowledged = vec![unique("before")];
    assert_eq!(lmtp.deliver(ALICE, &message(&acknowledged[0], 1_000)), Delivery::Acknowledged);
    // The worst case: the primary itself is cut off.
    let alone = cluster.primary_of(ALICE);
    let majority = cluster.another(alone);
    isolate(&cluster, alone);
    println!("node {alone} is cut off");

    let (lmtp_port, imap_port) = (cluster.port(alone, Port::Lmtp), cluster.port(alone, Port::Imap));
    let refused = std::thread::spawn(move || minority_refuses_writes(lmtp_port));
    let unread = std::thread::spawn(move || minority_refuses_reads(imap_port));

    let mut lmtp = Smtp::lmtp(cluster.port(majority, Port::Lmtp)).unwrap();
    let id = unique("majority");
    eventually("the majority takes mail", Duration::from_secs(20), || {
        lmtp.deliver(ALICE, &message(&id, 1_000)) == Delivery::Acknowledged
    });
    acknowledged.push(id);
    refused.join().expect("the minority refuses writes");
    unread.join().expect("the minority refuses reads");

    heal(&cluster);
    for node in 1..=3 {
        eventually("the healed cluster shows every acknowledged message", Duration::from_secs(30), || {
            let Ok(present) = cluster.imap(node, ALICE).ids("INBOX") else { return false };
            assert!(present.values().all(|&times| times == 1), "doubled: {present:?}");
            acknowledged.iter().all(|id| present.contains_key(id))
        });
    }
    let mut lmtp = Smtp::lmtp(cluster.port(alone, Port::Lmtp)).unwrap();
    eventually("the node that was cut off takes mail", Duration::from_secs(20), || {
        lmtp.deliver(ALICE, &message(&unique("after"), 1_000)) == Delivery::Acknowledged
    });
}

/// A write is refused with a temporary error, inside the deadline, and the connection goes on.
fn minority_refuses_writes(port: u16) {
    let mut lmtp = Smtp::lmtp(port).unwrap();
    let started = Instant::now();
    let fate = lmtp.deliver(ALICE, &message(&unique("minority"), 1_000));
    println!("minority, delivery: {fate:?} after {:?}", started.elapsed());
    let Delivery::Refused(code, text) = fate else { panic!("the minority answered {fate:?}") };
    assert!((400..500).contains(&code), "not a temporary error: {text}");
    assert!(started.elapsed() < PATIENCE, "the refusal took {:?}", started.elapsed());
    lmtp.command("NOOP", 250).unwrap();
}

/// A read fails in time; it never shows the state from before the partition as if it were current.
fn minority_refuses_reads(port: u16) {
    // What was written elsewhere may come at any time: give the majority's first write a moment to be there.
    std::thread::sleep(Duration::from_secs(5));
    let mut imap = Imap::open(port).unwrap();
    let login = imap.ask(&format!("LOGIN \"{ALICE}\" \"{PASSWORD}\"")).unwrap();
    println!("minority, LOGIN: {}", login.tagged);
    if !login.ok() {
        return;
    }
    let started = Instant::now();
    let answer = imap.ask("SELECT INBOX").unwrap();
    println!("minority, SELECT: {} after {:?}", answer.tagged, started.elapsed());
    assert!(!answer.ok(), "a folder was shown that may be stale: {answer:?}");
    assert!(started.elapsed() < PATIENCE);
    assert!(imap.ask("NOOP").unwrap().ok(), "the session goes on");
}

fn isolate(cluster: &Cluster, alone: usize) {
    for node in &cluster.nodes {
        let blocked: Vec<String> = cluster
            .nodes
            .iter()
            .filter(|other| other.number != node.number && (node.number == alone || other.number == alone))
            .map(|other| other.number.to_string())
            .collect();
        run(&["fault", "--data", path(&node.data), "--block", &blocked.join(",")]);
    }
}

fn heal(cluster: &Cluster) {
    for node in &cluster.nodes {
        run(&["fault", "--data", path(&node.data)]);
    }
}
