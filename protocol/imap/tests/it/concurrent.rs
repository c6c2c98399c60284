//! Several sessions on one folder, random commands, and what each client must believe: sequence numbers as a client keeps
//! them, a cache that QRESYNC brings up to date (RFC 3501 §7.4.1, RFC 7162).

use crate::support::{Client, Site, message, number_after};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Quick,
    UidOnly,
}

const KINDS: [Kind; 4] = [Kind::Plain, Kind::Quick, Kind::Plain, Kind::UidOnly];

#[derive(Clone, Debug)]
enum Op {
    Append,
    Store { a: u32, b: u32, uid: bool, deleted: bool, silent: bool },
    Expunge,
    UidExpunge(u32, u32),
    Fetch { a: u32, b: u32, uid: bool },
    Search { uid: bool },
    Noop,
    Copy { a: u32, uid: bool },
    Move { a: u32, b: u32, uid: bool },
    Idle,
    Leave,
}

fn op() -> impl Strategy<Value = (usize, Op)> {
    let n = 1u32..9;
    let op = prop_oneof![
        4 => Just(Op::Append),
        4 => (n.clone(), 0u32..4, any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(a, d, uid, deleted, silent)| Op::Store { a, b: a + d, uid, deleted, silent }),
        2 => Just(Op::Expunge),
        1 => (n.clone(), 0u32..20).prop_map(|(a, d)| Op::UidExpunge(a, a + d)),
        4 => (n.clone(), 0u32..4, any::<bool>()).prop_map(|(a, d, uid)| Op::Fetch { a, b: a + d, uid }),
        2 => any::<bool>().prop_map(|uid| Op::Search { uid }),
        2 => Just(Op::Noop),
        1 => (n.clone(), any::<bool>()).prop_map(|(a, uid)| Op::Copy { a, uid }),
        2 => (n, 0u32..3, any::<bool>()).prop_map(|(a, d, uid)| Op::Move { a, b: a + d, uid }),
        1 => Just(Op::Idle),
        2 => Just(Op::Leave),
    ];
    (0usize..KINDS.len(), op)
}

/// A client with what it believes.
struct Believer {
    client: Client,
    kind: Kind,
    /// The n-th message's UID, 0 while it is not known.
    uids: Vec<u32>,
    /// What it keeps while it is away: UIDs with their flags, UIDVALIDITY, mod-sequence.
    kept: Option<(BTreeMap<u32, String>, u64, u64)>,
}

fn range(a: u32, b: u32) -> String {
    if a == b { a.to_string() } else { format!("{a}:{b}") }
}

fn members(set: &str) -> Vec<u32> {
    let number = |s: &str| s.parse::<u32>().expect("a number");
    let runs = set.split(',').map(|r| r.split_once(':').unwrap_or((r, r))).map(|(a, b)| number(a)..=number(b));
    runs.flatten().collect()
}

/// (`UID` of a FETCH response, its flags if told).
fn fetched(rest: &str) -> (Option<u32>, Option<String>) {
    let uid = rest.find("UID ").map(|_| number_after(rest, "UID") as u32);
    let flags = rest.find("FLAGS (").map(|at| {
        let inner = &rest[at + 7..];
        let mut flags: Vec<&str> = inner[..inner.find(')').expect("closed")].split(' ').collect();
        flags.retain(|f| !f.is_empty() && *f != "\\Recent");
        flags.join(" ")
    });
    (uid, flags)
}

impl Believer {
    async fn new(site: &Site, kind: Kind) -> Self {
        let mut client = site.alice().await;
        match kind {
            Kind::Plain => {}
            Kind::Quick => drop(client.ok("ENABLE QRESYNC").await),
            Kind::UidOnly => drop(client.ok("ENABLE UIDONLY").await),
        }
        let mut b = Believer { client, kind, uids: Vec::new(), kept: None };
        b.select(None).await;
        b
    }

    async fn select(&mut self, parameters: Option<String>) -> String {
        self.uids.clear();
        let command = format!("SELECT INBOX{}", parameters.map(|p| format!(" {p}")).unwrap_or_default());
        self.run(&command, true).await
    }

    /// Runs a command and takes its responses in. `shifts`: EXPUNGE may come.
    async fn run(&mut self, command: &str, shifts: bool) -> String {
        let reply = self.client.run(command).await;
        assert!(!reply.contains("# BAD"), "{command}: {reply}");
        for line in reply.lines() {
            self.take(line, shifts, command);
        }
        reply
    }

    fn take(&mut self, line: &str, shifts: bool, command: &str) {
        let Some(rest) = line.strip_prefix("* ") else { return };
        if let Some(set) = rest.strip_prefix("VANISHED ") {
            // Those that went before the mailbox was opened are not in the view.
            if set.starts_with("(EARLIER) ") {
                return;
            }
            assert!(shifts && self.kind != Kind::Plain, "{command}: {line}");
            for uid in members(set) {
                let at = self.position(uid);
                assert!(at.is_some(), "{command}: {line} is news: {:?}", self.uids);
                at.map(|at| self.uids.remove(at));
            }
            return;
        }
        let mut words = rest.splitn(3, ' ');
        let (Some(Ok(n)), Some(word)) = (words.next().map(str::parse::<u32>), words.next()) else { return };
        let rest = words.next().unwrap_or_default();
        match word {
            "EXISTS" => {
                assert!(n as usize >= self.uids.len(), "{command}: EXISTS may not fall: {line} after {:?}", self.uids);
                self.uids.resize(n as usize, 0);
            }
            "EXPUNGE" => {
                assert!(shifts && self.kind == Kind::Plain, "{command}: {line}");
                assert!(n >= 1 && n as usize <= self.uids.len(), "{command}: {line}");
                self.uids.remove(n as usize - 1);
            }
            "FETCH" => {
                assert!(self.kind != Kind::UidOnly && n >= 1 && n as usize <= self.uids.len(), "{command}: {line}");
                if let (Some(uid), _) = fetched(rest) {
                    let known = &mut self.uids[n as usize - 1];
                    assert!(*known == 0 || *known == uid, "{command}: {line}, but {n} is {known}");
                    *known = uid;
                }
            }
            "UIDFETCH" => assert_eq!(self.kind, Kind::UidOnly, "{command}: {line}"),
            _ => {}
        }
    }

    /// Where a message is, or one of the places where it may be.
    fn position(&self, uid: u32) -> Option<usize> {
        let known = self.uids.iter().position(|u| *u == uid);
        known.or_else(|| {
            let from = self.uids.iter().rposition(|u| *u != 0 && *u < uid).map_or(0, |at| at + 1);
            self.uids.get(from).filter(|u| **u == 0).map(|_| from)
        })
    }

    async fn step(&mut self, op: &Op) {
        let by_uid = |uid: bool| if uid || self.kind == Kind::UidOnly { "UID " } else { "" };
        // Numbers beyond the last are BAD, and none of our business here.
        let last = self.uids.len() as u32;
        let fits = |b: u32, uid: bool| uid || self.kind == Kind::UidOnly || b <= last;
        match op {
            Op::Append => {
                let text = message("s", "t");
                let reply = self.client.append("INBOX", &text).await;
                reply.lines().for_each(|l| self.take(l, true, "APPEND"));
            }
            Op::Store { a, b, uid, deleted, silent } if fits(*b, *uid) => {
                let flag = if *deleted { "\\Deleted" } else { "\\Flagged" };
                let silent = if *silent { ".SILENT" } else { "" };
                let prefix = by_uid(*uid);
                let command = format!("{prefix}STORE {} +FLAGS{silent} ({flag})", range(*a, *b));
                self.run(&command, !prefix.is_empty()).await;
            }
            Op::Expunge => drop(self.run("EXPUNGE", true).await),
            Op::UidExpunge(a, b) => drop(self.run(&format!("UID EXPUNGE {}", range(*a, *b)), true).await),
            Op::Fetch { a, b, uid } if fits(*b, *uid) => {
                let prefix = by_uid(*uid);
                self.run(&format!("{prefix}FETCH {} (UID FLAGS)", range(*a, *b)), !prefix.is_empty()).await;
            }
            Op::Search { uid } => {
                let prefix = by_uid(*uid);
                let reply = self.run(&format!("{prefix}SEARCH DELETED"), !prefix.is_empty()).await;
                if prefix.is_empty() {
                    let found = reply.lines().find_map(|l| l.strip_prefix("* SEARCH")).unwrap_or_default();
                    let numbers = found.split_whitespace().map(|n| n.parse::<usize>().expect("a number"));
                    assert!(numbers.into_iter().all(|n| n >= 1 && n <= self.uids.len()), "{reply}");
                }
            }
            Op::Noop => drop(self.run("NOOP", true).await),
            Op::Copy { a, uid } if fits(*a, *uid) => {
                drop(self.run(&format!("{}COPY {a} INBOX", by_uid(*uid)), true).await)
            }
            Op::Move { a, b, uid } if fits(*b, *uid) => {
                let reply = self.run(&format!("{}MOVE {} Trash", by_uid(*uid), range(*a, *b)), true).await;
                let (code, gone) = (reply.find("[COPYUID"), reply.find(" EXPUNGE").or(reply.find("VANISHED")));
                assert!(code.is_none() || gone.is_none() || code < gone, "COPYUID comes first: {reply}");
            }
            Op::Idle => {
                self.client.send("i IDLE\r\nDONE\r\n").await;
                let reply = self.client.until_tagged("i").await;
                reply.lines().for_each(|l| self.take(l, true, "IDLE"));
            }
            Op::Leave => self.leave_or_return().await,
            _ => {}
        }
    }

    /// Leaves the folder, remembering it; or comes back and catches up.
    async fn leave_or_return(&mut self) {
        match (self.kind, self.kept.take()) {
            (Kind::Quick, Some(kept)) => self.come_back(kept).await,
            (Kind::Quick, None) => {
                self.run("NOOP", true).await;
                let reply = self.run("UID FETCH 1:* (FLAGS MODSEQ)", true).await;
                self.run("NOOP", true).await;
                let status = self.client.ok("STATUS INBOX (UIDVALIDITY)").await;
                let mut cache = BTreeMap::new();
                // The lowest position that all of it is true at.
                let mut modseq = 1;
                for line in reply.lines().filter(|l| l.contains(" FETCH (")) {
                    let (uid, flags) = fetched(line);
                    cache.insert(uid.expect("a UID"), flags.expect("flags"));
                    modseq = modseq.max(number_after(line, "MODSEQ"));
                }
                cache.retain(|uid, _| self.uids.contains(uid));
                self.client.ok("UNSELECT").await;
                self.kept = Some((cache, number_after(&status, "UIDVALIDITY"), modseq));
            }
            _ => drop(self.select(None).await),
        }
    }

    async fn come_back(&mut self, (mut cache, validity, modseq): (BTreeMap<u32, String>, u64, u64)) {
        let reply = self.select(Some(format!("(QRESYNC ({validity} {modseq}))"))).await;
        for line in reply.lines() {
            if let Some(set) = line.strip_prefix("* VANISHED (EARLIER) ") {
                members(set).iter().for_each(|uid| drop(cache.remove(uid)));
            } else if line.contains(" FETCH (") {
                let (uid, flags) = fetched(line);
                cache.insert(uid.expect("a UID"), flags.expect("flags"));
            }
        }
        // Nobody else is at work meanwhile: what the cache says now is the folder.
        let all = self.run("UID FETCH 1:* (FLAGS)", true).await;
        let truth: BTreeMap<u32, String> = all
            .lines()
            .filter(|l| l.contains(" FETCH ("))
            .map(fetched)
            .map(|(uid, flags)| (uid.expect("a UID"), flags.expect("flags")))
            .collect();
        assert_eq!(cache, truth, "{reply}");
    }

    /// Whether the client believes what is.
    async fn settle(&mut self, truth: &[u32]) {
        if let Some(kept) = self.kept.take() {
            self.come_back(kept).await;
        }
        self.run("NOOP", true).await;
        assert_eq!(self.uids.len(), truth.len(), "{:?}: {:?}", self.kind, self.uids);
        if self.kind != Kind::UidOnly && !truth.is_empty() {
            self.run("FETCH 1:* (UID)", false).await;
            assert_eq!(self.uids, truth, "{:?}", self.kind);
        }
    }
}

fn uids_of(reply: &str) -> Vec<u32> {
    reply.lines().filter(|l| l.contains(" FETCH (")).filter_map(|l| fetched(l).0).collect()
}

async fn walk(ops: &[(usize, Op)]) {
    let site = Site::new();
    let mut believers = Vec::new();
    for kind in KINDS {
        believers.push(Believer::new(&site, kind).await);
    }
    for (who, op) in ops {
        let b = &mut believers[*who];
        // Who is away has come back first.
        if !matches!(op, Op::Leave)
            && let Some(kept) = b.kept.take()
        {
            b.come_back(kept).await;
        }
        b.step(op).await;
    }
    let all = site.inbox().await.ok("UID FETCH 1:* (UID)").await;
    let truth = uids_of(&all);
    for b in &mut believers {
        b.settle(&truth).await;
    }
}

#[test]
fn every_client_believes_what_is() {
    let mut runner = TestRunner::new(Config::with_cases(96));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let walks = prop::collection::vec(op(), 1..60);
    let outcome = runner.run(&walks, |ops| {
        runtime.block_on(walk(&ops));
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
