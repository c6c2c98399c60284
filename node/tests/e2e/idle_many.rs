//! Thousands of connections in IDLE on one node.

use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, PASSWORD, Port};
use crate::support::full;
use crate::support::imap::Imap;
use crate::support::mail::message;
use crate::support::smtp::{Delivery, Smtp};

const ALICE: &str = "alice@example.com";
/// What one idle connection may cost in this unoptimised build; the bench measures the release one against 32 KiB.
const BOUND_KIB: f64 = 64.0;
/// Threads that open connections.
const OPENERS: usize = 8;

#[test]
fn thousands_of_idle_connections_are_cheap_and_still_hear_of_mail() {
    let wanted = if full() { 10_000 } else { 2_000 };
    let limit = raise_file_limit();
    // Both sides hold one descriptor a connection.
    let count = wanted.min(limit.saturating_sub(500));
    assert!(count >= 500, "the file limit of {limit} is too low for this test: raise it with `ulimit -n`");
    if count < wanted {
        println!("the file limit of {limit} allows {count} of {wanted} connections");
    }
    let cluster = Cluster::start(1);
    let port = cluster.port(1, Port::Imap);
    drop(open(port, 50));
    std::thread::sleep(Duration::from_secs(1));
    let before = cluster.node(1).rss_kib();
    let started = Instant::now();
    let openers: Vec<_> = (0..OPENERS).map(|_| std::thread::spawn(move || open(port, count / OPENERS))).collect();
    let mut sessions: Vec<Imap> = openers.into_iter().flat_map(|opener| opener.join().unwrap()).collect();
    let took = started.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    let each = (cluster.node(1).rss_kib() as f64 - before as f64) / sessions.len() as f64;
    println!("{} idle connections opened in {took:?}: {each:.1} KiB of resident memory each", sessions.len());
    assert!(each < BOUND_KIB, "{each:.1} KiB per idle connection");

    let mut lmtp = Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap();
    let started = Instant::now();
    assert_eq!(lmtp.deliver(ALICE, &message("to all of them", 1_000)), Delivery::Acknowledged);
    for session in &mut sessions {
        session.await_exists(1, Duration::from_secs(30)).unwrap();
    }
    println!("all of them heard of a new message within {:?}", started.elapsed());
    assert!(sessions[0].done().unwrap().ok());
}

fn open(port: u16, count: usize) -> Vec<Imap> {
    (0..count)
        .map(|_| {
            let mut imap = Imap::try_login(port, ALICE, PASSWORD).unwrap();
            imap.select("INBOX").unwrap();
            imap.idle().unwrap();
            imap
        })
        .collect()
}

/// Raises the soft limit of open files to the hard one, for this process and the nodes that it starts.
fn raise_file_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid, exclusive pointer to a local structure.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}
