//! A failover in the middle of what somebody else's program does: the cluster, the mailbox, its primary, and the node
//! that the program talks to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, PASSWORD, Port};
use super::imap::Imap;
use super::mail::unique;
use super::smtp::{Delivery, Smtp};
use super::tools::{finish_within, output_of_success};

/// How long a program may take to begin with its work, and to end it.
const BEGIN: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(90);

/// Bytes of a message: a few hundred of them do not fit into the buffers of a connection.
const SIZE: usize = 16_000;

/// Three nodes and one account that everything is about.
pub struct Scene {
    pub cluster: Cluster,
    pub account: &'static str,
    /// The node that leads the mailbox's shard, which is killed.
    pub primary: usize,
    /// The node that the program talks to.
    pub via: usize,
    /// The third.
    pub other: usize,
}

impl Scene {
    pub fn start(account: &'static str) -> Self {
        let cluster = Cluster::start(3);
        let primary = cluster.primary_of(account);
        let mut others = (1..=3).filter(|&node| node != primary);
        let (via, other) = (others.next().unwrap(), others.next().unwrap());
        Self { cluster, account, primary, via, other }
    }

    /// A folder for a program's files.
    pub fn home(&self, name: &str) -> PathBuf {
        let home = self.cluster.folder.join(name);
        std::fs::create_dir_all(&home).unwrap();
        home
    }

    /// A listener of the node that the program talks to.
    pub fn port(&self, port: Port) -> u16 {
        self.cluster.port(self.via, port)
    }

    /// kill -9 of the mailbox's primary.
    pub fn kill_primary(&mut self) {
        println!(
            "killing node {}, the primary of {}; the client talks to node {}",
            self.primary, self.account, self.via
        );
        self.cluster.kill9(self.primary);
    }

    /// Brings the dead node back and looks who is primary now. The program may have to talk to another node then.
    pub fn heal(&mut self) {
        self.cluster.serve(self.primary);
        self.cluster.await_ready(Duration::from_secs(60));
        self.primary = self.cluster.primary_of(self.account);
        let mut others = (1..=3).filter(|&node| node != self.primary);
        (self.via, self.other) = (others.next().unwrap(), others.next().unwrap());
    }

    /// Runs a program to its end, which must be a good one, and kills the primary as soon as `begun` says that it is in
    /// the middle of its work.
    pub fn run_with_failover(&mut self, command: Command, begun: impl FnMut() -> bool) -> Vec<u8> {
        let running = spawn(command);
        self.fail_over_when(&running, begun);
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The same for a program that is driven by the test.
    pub fn fail_over_when<T>(&mut self, running: &JoinHandle<T>, mut begun: impl FnMut() -> bool) {
        let deadline = Instant::now() + BEGIN;
        while !begun() && !running.is_finished() {
            assert!(Instant::now() < deadline, "the program has not begun its work within {BEGIN:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!running.is_finished(), "the program had ended before anybody was killed");
        self.kill_primary();
    }

    /// Delivers so many messages over LMTP; returns their ids.
    pub fn deliver(&self, prefix: &str, count: usize) -> Vec<String> {
        let mut lmtp = Smtp::lmtp(self.port(Port::Lmtp)).unwrap();
        (0..count)
            .map(|_| {
                let id = unique(prefix);
                let message = super::mail::message(&id, SIZE);
                assert_eq!(lmtp.deliver(self.account, &message), Delivery::Acknowledged);
                id
            })
            .collect()
    }

    /// A session on the third node, where no program is.
    pub fn imap(&self) -> Imap {
        self.cluster.imap(self.other, self.account)
    }

    /// The ids in a folder and how often each is there, as the third node tells.
    pub fn ids(&self, folder: &str) -> BTreeMap<String, usize> {
        let answer = self.imap().ids(folder);
        answer.unwrap_or_else(|error| panic!("{folder} of {}: {error}", self.account))
    }

    /// `user:password` as curl wants it.
    pub fn login(&self) -> String {
        format!("{}:{PASSWORD}", self.account)
    }
}

/// Starts a program that must succeed.
pub fn spawn(mut command: Command) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let output = finish_within(&mut command, END);
        output_of_success(&command, output)
    })
}

/// Each of these must be there, once, and nothing else.
pub fn must_be_exactly(what: &str, found: &BTreeMap<String, usize>, expected: &[String]) {
    let lost: Vec<&String> = expected.iter().filter(|id| !found.contains_key(*id)).collect();
    let doubled: Vec<&String> = found.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id).collect();
    let strange: Vec<&String> = found.keys().filter(|id| !expected.contains(id)).collect();
    println!("{what}: {} expected, {} there", expected.len(), found.len());
    assert!(
        lost.is_empty() && doubled.is_empty() && strange.is_empty(),
        "{what}: lost {lost:?}, doubled {doubled:?}, strange {strange:?}"
    );
}
