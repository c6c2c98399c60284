//! kill -9 of one node at a time under deliveries, APPEND, STORE, COPY and IDLE.

use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, Port};
use crate::support::imap::Imap;
use crate::support::load::{Books, Load};
use crate::support::smtp::{Delivery, Smtp};
use crate::support::{eventually, full};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
/// A write must be acknowledged again within this time at the 99th percentile (DESIGN: timers).
const BOUND: Duration = Duration::from_secs(4);
/// In the short form a few kills say nothing about a percentile: the slowest of them may take this long.
const SHORT_BOUND: Duration = Duration::from_secs(8);

#[test]
fn nothing_acknowledged_is_lost_or_doubled_when_single_nodes_are_killed() {
    let kills = if full() { 20 } else { 4 };
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster, &[ALICE, BOB]);
    let mut gaps = Vec::new();
    for round in 0..kills {
        std::thread::sleep(Duration::from_millis(1500));
        // Mostly the node that hurts: the primary of the mailbox that is written to. Sometimes a bystander.
        let primary = cluster.primary_of(ALICE);
        let victim = if round % 4 == 3 { cluster.another(primary) } else { primary };
        let watcher = Watcher::start(&cluster, cluster.another(victim));
        let (gap, killed_at) = kill_and_measure(&mut cluster, &load.books, victim);
        println!(
            "kill {}: node {victim}{}, next acknowledged write after {} ms",
            round + 1,
            if victim == primary { " (primary)" } else { "" },
            gap.as_millis()
        );
        gaps.push(gap);
        watcher.must_see_new_mail();
        std::thread::sleep(Duration::from_secs(1));
        no_other_connection_broke(&load.books, victim, killed_at);
        cluster.serve(victim);
        cluster.await_ready(Duration::from_secs(60));
    }
    let books = load.finish();
    for node in 1..=3 {
        books.audit(&cluster, node);
    }
    report(&mut gaps);
}

/// Kills the node, and waits for the first delivery to Alice that began after the kill and was acknowledged.
fn kill_and_measure(cluster: &mut Cluster, books: &Books, victim: usize) -> (Duration, Instant) {
    let killed_at = Instant::now();
    cluster.kill9(victim);
    let first_ack = || {
        let times = books.inbox[ALICE].times();
        times.into_iter().filter(|(started, _)| *started >= killed_at).map(|(_, acknowledged)| acknowledged).min()
    };
    eventually("an acknowledged write after the kill", Duration::from_secs(60), || first_ack().is_some());
    (first_ack().unwrap().duration_since(killed_at), killed_at)
}

/// Clients of the nodes that live must not notice more than a pause.
fn no_other_connection_broke(books: &Books, victim: usize, since: Instant) {
    let broken = books.broken.lock().unwrap();
    let others: Vec<_> = broken.iter().filter(|(node, at, _)| *node != victim && *at >= since).collect();
    assert!(others.is_empty(), "connections to nodes that live broke when node {victim} was killed: {others:?}");
}

fn report(gaps: &mut [Duration]) {
    gaps.sort();
    let at = |quantile: f64| gaps[((gaps.len() - 1) as f64 * quantile).round() as usize].as_millis();
    println!(
        "from kill -9 to the next acknowledged write, {} kills: min {} ms, p50 {} ms, p90 {} ms, p99 {} ms, max {} ms",
        gaps.len(),
        at(0.0),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    let bound = if full() { BOUND } else { SHORT_BOUND };
    assert!(at(0.99) <= bound.as_millis(), "p99 is above {bound:?}");
}

/// A connection in IDLE on a node that lives.
struct Watcher {
    imap: Imap,
    before: usize,
}

impl Watcher {
    fn start(cluster: &Cluster, node: usize) -> Self {
        let mut imap = cluster.imap(node, ALICE);
        let before = imap.select("INBOX").unwrap();
        imap.idle().unwrap();
        Self { imap, before }
    }

    /// The same connection, still in IDLE after the kill, must hear of what was delivered since.
    fn must_see_new_mail(mut self) {
        let seen = self.imap.await_exists(self.before + 1, Duration::from_secs(30));
        seen.expect("IDLE on a node that lives goes on after the kill");
        assert!(self.imap.done().expect("the IDLE connection stays open").ok());
    }
}

#[test]
fn idle_hears_of_a_message_that_comes_after_its_primary_died() {
    let mut cluster = Cluster::start(3);
    let primary = cluster.primary_of(BOB);
    let (watching, sending) = {
        let mut others = (1..=3).filter(|&node| node != primary);
        (others.next().unwrap(), others.next().unwrap())
    };
    let watcher = {
        let mut imap = cluster.imap(watching, BOB);
        let before = imap.select("INBOX").unwrap();
        imap.idle().unwrap();
        Watcher { imap, before }
    };
    cluster.kill9(primary);
    let mut lmtp = Smtp::lmtp(cluster.port(sending, Port::Lmtp)).unwrap();
    let message = crate::support::mail::message("after the primary died", 500);
    assert_eq!(lmtp.deliver(BOB, &message), Delivery::Acknowledged, "one delivery waits out the election");
    watcher.must_see_new_mail();
}
