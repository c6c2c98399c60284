//! Workers that load a cluster through all of its nodes while tests kill some, each writing down what it was promised.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, PASSWORD, Port};
use super::imap::Imap;
use super::ledger::{Fate, Ledger};
use super::mail::{message, unique};
use super::smtp::{Delivery, Smtp};

/// Between two operations of a worker: the load must leave the cluster time to elect.
const PAUSE: Duration = Duration::from_millis(15);
/// Before a worker tries a dead node again.
const RETRY: Duration = Duration::from_millis(200);
/// Bytes of the messages.
pub const SIZE: usize = 2_000;
/// Messages whose flags each STORE worker changes.
const FLAGGED: usize = 4;
/// The flags whose combinations are stored.
const FLAGS: [&str; 4] = ["\\Answered", "\\Draft", "\\Flagged", "\\Seen"];

/// Everything that the workers write down.
#[derive(Default)]
pub struct Books {
    /// Deliveries by account.
    pub inbox: BTreeMap<String, Ledger>,
    /// APPENDs to the folder of that name.
    pub appended: Ledger,
    /// Destination UIDs of acknowledged COPYs, and how many COPYs ended unknown.
    pub copied: Mutex<Vec<u32>>,
    pub copies_unknown: AtomicUsize,
    /// STORE: by UID the flags that must be there, or those that may be there after an unknown outcome.
    pub flags: Mutex<BTreeMap<u32, Vec<Vec<String>>>>,
    /// Connections that broke: node and time.
    pub broken: Mutex<Vec<(usize, Instant, String)>>,
    /// STOREs that were acknowledged.
    pub stored: AtomicUsize,
}

/// The running workers.
pub struct Load {
    pub books: Arc<Books>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
struct Worker {
    node: usize,
    lmtp: u16,
    imap: u16,
    account: String,
    books: Arc<Books>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts deliveries to both accounts, and APPEND, STORE and COPY in the first one's folders, on every node.
    pub fn start(cluster: &Cluster, accounts: &[&str]) -> Self {
        let uids = prepare(cluster, accounts[0]);
        let books = Books {
            inbox: accounts.iter().map(|account| ((*account).to_owned(), Ledger::default())).collect(),
            ..Books::default()
        };
        let mut this = Self { books: Arc::new(books), stop: Arc::default(), threads: Vec::new() };
        for (index, node) in cluster.nodes.iter().enumerate() {
            for account in accounts {
                let worker = this.worker(node.number, cluster, account);
                this.spawn(worker, deliver);
            }
            let worker = this.worker(node.number, cluster, accounts[0]);
            this.spawn(worker.clone(), append);
            this.spawn(worker.clone(), copy);
            let mine = uids[index * FLAGGED..(index + 1) * FLAGGED].to_vec();
            this.spawn(worker, move |worker| store(worker, &mine));
        }
        this
    }

    fn worker(&self, node: usize, cluster: &Cluster, account: &str) -> Worker {
        Worker {
            node,
            lmtp: cluster.port(node, Port::Lmtp),
            imap: cluster.port(node, Port::Imap),
            account: account.to_owned(),
            books: self.books.clone(),
            stop: self.stop.clone(),
        }
    }

    fn spawn(&mut self, worker: Worker, work: impl FnOnce(&Worker) + Send + 'static) {
        self.threads.push(std::thread::spawn(move || work(&worker)));
    }

    /// Lets all workers end their operation.
    pub fn finish(self) -> Arc<Books> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a worker panicked");
        }
        self.books
    }
}

/// Creates the folders, and the messages whose flags are changed.
fn prepare(cluster: &Cluster, account: &str) -> Vec<u32> {
    let mut imap = cluster.imap(1, account);
    for folder in ["Appended", "Copied", "Flags", "Source"] {
        imap.must(&format!("CREATE {folder}")).unwrap();
    }
    assert!(imap.append("Source", &message(&unique("source"), SIZE)).unwrap().ok());
    for _ in 0..cluster.nodes.len() * FLAGGED {
        assert!(imap.append("Flags", &message(&unique("flags"), SIZE)).unwrap().ok());
    }
    imap.select("Flags").unwrap();
    imap.bodies().unwrap().into_keys().collect()
}

impl Worker {
    fn on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn broke(&self, what: &str, error: &std::io::Error) {
        self.books.broken.lock().unwrap().push((self.node, Instant::now(), format!("{what}: {error}")));
    }

    /// An IMAP session with the folder selected; none while the node is down.
    fn session(&self, folder: &str) -> Option<Imap> {
        let mut imap = Imap::try_login(self.imap, &self.account, PASSWORD).ok()?;
        imap.select(folder).ok()?;
        Some(imap)
    }

    /// Runs `step` on a session that is opened again whenever it breaks.
    fn steps(&self, folder: &str, mut step: impl FnMut(&mut Imap) -> std::io::Result<()>) {
        let mut session = None;
        while self.on() {
            let Some(imap) = session.as_mut() else {
                session = self.session(folder);
                if session.is_none() {
                    std::thread::sleep(RETRY);
                }
                continue;
            };
            if let Err(error) = step(imap) {
                self.broke("imap", &error);
                session = None;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn deliver(worker: &Worker) {
    let ledger = &worker.books.inbox[&worker.account];
    let mut session: Option<Smtp> = None;
    while worker.on() {
        let Some(smtp) = session.as_mut() else {
            session = Smtp::lmtp(worker.lmtp).ok();
            if session.is_none() {
                std::thread::sleep(RETRY);
            }
            continue;
        };
        let id = unique("deliver");
        let started = Instant::now();
        match smtp.deliver(&worker.account, &message(&id, SIZE)) {
            Delivery::Acknowledged => ledger.note(&id, Fate::Acknowledged, started),
            Delivery::Refused(0, error) => {
                ledger.note(&id, Fate::Refused, started);
                worker.broke("lmtp", &std::io::Error::other(error));
                session = None;
            }
            Delivery::Refused(..) => ledger.note(&id, Fate::Refused, started),
            Delivery::Unknown(error) => {
                ledger.note(&id, Fate::Unknown, started);
                worker.broke("lmtp", &std::io::Error::other(error));
                session = None;
            }
        }
        std::thread::sleep(PAUSE);
    }
}

fn append(worker: &Worker) {
    worker.steps("INBOX", |imap| {
        let id = unique("append");
        let started = Instant::now();
        let answer = imap.append("Appended", &message(&id, SIZE));
        let fate = match &answer {
            Ok(answer) if answer.ok() => Fate::Acknowledged,
            Ok(_) => Fate::Refused,
            Err(_) => Fate::Unknown,
        };
        worker.books.appended.note(&id, fate, started);
        answer.map(drop)
    });
}

fn copy(worker: &Worker) {
    worker.steps("Source", |imap| {
        let answer = imap.ask("UID COPY 1:* Copied");
        match &answer {
            Ok(answer) if answer.ok() => {
                let uid = answer.tagged.split("COPYUID ").nth(1).and_then(|rest| rest.split(']').next());
                let uid = uid.and_then(|words| words.split(' ').nth(2)).and_then(|word| word.parse().ok());
                worker.books.copied.lock().unwrap().push(uid.expect("COPYUID (RFC 4315) names the new message"));
            }
            _ => {
                worker.books.copies_unknown.fetch_add(1, Ordering::Relaxed);
            }
        }
        answer.map(drop)
    });
}

/// Only this worker changes these messages. One whose outcome is unknown is left alone from then on: a late retry
/// may still apply it, and it must then show the old flags or the new ones.
fn store(worker: &Worker, uids: &[u32]) {
    let mut left = uids.to_vec();
    let mut turn = 0_usize;
    worker.steps("Flags", |imap| {
        turn += 1;
        let Some(&uid) = left.get(turn % left.len().max(1)) else { return Ok(()) };
        let wanted: Vec<String> = FLAGS
            .iter()
            .enumerate()
            .filter(|(bit, _)| turn >> bit & 1 == 1)
            .map(|(_, flag)| (*flag).to_owned())
            .collect();
        let answer = imap.ask(&format!("UID STORE {uid} FLAGS.SILENT ({})", wanted.join(" ")));
        let mut flags = worker.books.flags.lock().unwrap();
        if answer.as_ref().is_ok_and(super::imap::Answer::ok) {
            flags.insert(uid, vec![wanted]);
            worker.books.stored.fetch_add(1, Ordering::Relaxed);
        } else {
            flags.entry(uid).or_insert_with(|| vec![Vec::new()]).push(wanted);
            left.retain(|&other| other != uid);
        }
        answer.map(drop)
    });
}

impl Books {
    /// Reads everything through one node and compares it with what was promised.
    pub fn audit(&self, cluster: &Cluster, node: usize) {
        for (account, ledger) in &self.inbox {
            let mut imap = cluster.imap(node, account);
            ledger.audit(&imap.ids("INBOX").unwrap()).must_be_clean(&format!("node {node}, INBOX of {account}"));
        }
        let account = self.inbox.keys().next().unwrap();
        let mut imap = cluster.imap(node, account);
        self.appended.audit(&imap.ids("Appended").unwrap()).must_be_clean(&format!("node {node}, APPEND"));
        self.audit_copies(&mut imap, node);
        self.audit_flags(&mut imap, node);
    }

    fn audit_copies(&self, imap: &mut Imap, node: usize) {
        imap.select("Copied").unwrap();
        let present = imap.bodies().unwrap();
        let promised = self.copied.lock().unwrap();
        let unknown = self.copies_unknown.load(Ordering::Relaxed);
        println!("node {node}, COPY: {} acknowledged, {unknown} unknown, {} there", promised.len(), present.len());
        let lost: Vec<&u32> = promised.iter().filter(|uid| !present.contains_key(uid)).collect();
        assert!(lost.is_empty(), "acknowledged copies are lost: {lost:?}");
        assert!(present.len() <= promised.len() + unknown, "copies were doubled");
        let mut sorted = promised.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), promised.len(), "two copies were promised the same UID");
    }

    fn audit_flags(&self, imap: &mut Imap, node: usize) {
        imap.select("Flags").unwrap();
        let allowed = self.flags.lock().unwrap();
        println!("node {node}, STORE: {} acknowledged", self.stored.load(Ordering::Relaxed));
        for (&uid, flags) in allowed.iter() {
            let found = imap.flags(uid).unwrap();
            assert!(flags.contains(&found), "message {uid} shows {found:?}, allowed are {flags:?}");
        }
    }
}
