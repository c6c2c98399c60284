//! Several sessions change one mailbox at random; each client's picture of it, made from what it is told, must hold.

use crate::support::{Client, Site, message};
use proptest::prelude::*;

/// A client that believes what it is told.
struct Believer {
    client: Client,
    /// UIDs by sequence number, as far as told.
    uids: Vec<Option<u32>>,
}

impl Believer {
    async fn new(site: &Site) -> Self {
        let mut b = Believer { client: site.alice().await, uids: Vec::new() };
        b.run("SELECT INBOX", true).await;
        b
    }

    /// Runs a command and takes in every untagged response. `expunges`: whether they may come (RFC 3501 §7.4.1).
    async fn run(&mut self, command: &str, expunges: bool) {
        let reply = self.client.run(command).await;
        for line in reply.lines() {
            let mut words = line.split(' ');
            let (Some("*"), Some(n), Some(what)) = (words.next(), words.next(), words.next()) else { continue };
            let Ok(n) = n.parse::<usize>() else { continue };
            match what {
                "EXISTS" => {
                    assert!(n >= self.uids.len(), "{command}: {line} of {}", self.uids.len());
                    self.uids.resize(n, None);
                }
                "EXPUNGE" => {
                    assert!(expunges, "{command}: {line}");
                    self.uids.remove(n - 1);
                }
                "FETCH" => self.fetched(command, line, n),
                _ => {}
            }
        }
        assert!(!reply.contains("# BAD"), "{command} with {} messages: {reply}", self.uids.len());
    }

    fn fetched(&mut self, command: &str, line: &str, n: usize) {
        let uid = line.split("UID ").nth(1).and_then(|r| r.split([' ', ')']).next()).and_then(|u| u.parse().ok());
        let Some(uid) = uid else { return };
        let known = self.uids.get_mut(n - 1).unwrap_or_else(|| panic!("{command}: {line}"));
        assert!(known.is_none_or(|k| k == uid), "{command}: {line}, but number {n} is {known:?}");
        *known = Some(uid);
    }

    async fn act(&mut self, action: u8, a: usize, b: usize) {
        let len = self.uids.len();
        let (first, last) = if len == 0 { (0, 0) } else { (a % len + 1, b % len + 1) };
        let none = len == 0;
        match action {
            0 | 1 => {
                let reply = self.client.append("INBOX", &message("x", "y")).await;
                let counts = reply.lines().filter_map(|l| l.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok());
                let gone: Vec<usize> = reply
                    .lines()
                    .filter_map(|l| l.strip_prefix("* ")?.strip_suffix(" EXPUNGE")?.parse().ok())
                    .collect();
                for n in gone {
                    self.uids.remove(n - 1);
                }
                counts.for_each(|n| self.uids.resize(n, None));
            }
            2 if !none => self.run(&format!("STORE {first}:{last} +FLAGS (\\Deleted)"), false).await,
            3 if !none => self.run(&format!("STORE {first} FLAGS.SILENT (\\Seen)"), false).await,
            4 => self.run("EXPUNGE", true).await,
            5 if !none => self.run(&format!("FETCH {first}:{last} (UID FLAGS)"), false).await,
            6 => self.run("UID FETCH 1:* (FLAGS)", true).await,
            7 if !none => self.run(&format!("MOVE {first} Trash"), true).await,
            8 if !none => self.run(&format!("COPY {first}:{last} INBOX"), true).await,
            9 => self.run("SEARCH UNSEEN", false).await,
            10 => self.run("UID SEARCH DELETED", true).await,
            11 => self.run("UID STORE 1:* -FLAGS (\\Deleted)", true).await,
            _ => self.run("NOOP", true).await,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_clients_are_told_is_true(
        acts in prop::collection::vec((0usize..3, 0u8..13, 0usize..30, 0usize..30), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let site = Site::new();
            let mut clients = [Believer::new(&site).await, Believer::new(&site).await, Believer::new(&site).await];
            for (who, action, a, b) in acts {
                clients[who].act(action, a, b).await;
            }
            let mut fresh = Believer::new(&site).await;
            fresh.run("UID FETCH 1:* (UID)", true).await;
            for client in &mut clients {
                client.run("NOOP", true).await;
                client.run("UID FETCH 1:* (UID)", true).await;
                assert_eq!(client.uids, fresh.uids);
            }
        });
    }
}
