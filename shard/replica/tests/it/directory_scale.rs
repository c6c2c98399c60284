//! The directory with many accounts, over RocksDB: what an account costs, and where the time goes. Prints, asserts no
//! times: `cargo test --release -p zcluster-replica --test it directory_scale -- --ignored --nocapture`;
//! `ZCLUSTER_ACCOUNTS` says how many.

// A measurement needs the machine's clock, and is told from outside how much to measure.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use bytes::Bytes;
use std::path::Path;
use std::time::Instant;
use zcluster_api::directory::*;
use zcluster_api::*;
use zcluster_raft::{Entry, EntryKind, Fatal, LogId};
use zcluster_replica::{Replicas, RocksConfig, proposal};

const DIRECTORY: GroupId = GroupId(0);
const BATCH: u64 = 500;

struct Log(u64);

impl Log {
    fn entry(&mut self, command: DirectoryCommand) -> Entry {
        self.0 += 1;
        let payload = proposal::directory(super::support::request(self.0), 1_700_000_000_000 + self.0, command);
        Entry { id: LogId { term: 1, index: self.0 }, kind: EntryKind::Normal(payload) }
    }
}

/// What an account of a real site has of its own, about.
fn account(n: u64, domains: u64) -> DirectoryCommand {
    let name = format!("user{n}@d{}.example", n % domains);
    let set = |name: &str, value: String| Modification::set(name, value);
    let attrs = vec![
        set("cn", format!("First{} Last{n}", n % 997)),
        set("sn", format!("Last{n}")),
        set("givenName", format!("First{}", n % 997)),
        set("displayName", format!("First{} Last{n}", n % 997)),
        set("userPassword", "{SSHA}2jmj7l5rSw0yVb/vlWAYkK/YBwkAAAAA".into()),
        set("zimbraCOSId", AccountId([(n % 50) as u8 + 1; 16]).to_string()),
        set("zimbraMailStatus", "enabled".into()),
        set("zimbraAccountStatus", "active".into()),
        set("zimbraPasswordModifiedTime", "20240101000000Z".into()),
        set("telephoneNumber", format!("+49 30 {n:07}")),
        set("company", "Example".into()),
    ];
    let mut id = [0x11; 16];
    id[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    DirectoryCommand::CreateAccount { id: AccountId(id), name, attrs, group: GroupId((n % 64) as u32 + 1) }
}

fn founding(log: &mut Log, domains: u64) -> Vec<Entry> {
    let node = Node {
        id: NodeId::new(1, 0),
        rpc: "127.0.0.1:1".into(),
        advertise: "localhost".into(),
        ports: Default::default(),
        state: NodeState::Active,
        zone: String::new(),
        version: String::new(),
    };
    let cluster = Cluster {
        id: "c".into(),
        shards: 64,
        replication: 3,
        ca_cert_pem: String::new(),
        ca_key_pem: String::new(),
        config: Attributes::new(),
    };
    let init = DirectoryCommand::InitCluster { cluster, node, default_cos: AccountId([0xEE; 16]) };
    let mut all =
        vec![Entry { id: LogId { term: 0, index: 0 }, kind: EntryKind::Membership(Bytes::from_static(b"m")) }];
    all.push(log.entry(init));
    for n in 0..50u8 {
        let id = AccountId([n + 1; 16]);
        all.push(log.entry(DirectoryCommand::CreateCos { id, name: format!("cos{n}"), attrs: vec![] }));
    }
    for n in 0..domains {
        let mut id = [0x22; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let name = format!("d{n}.example");
        all.push(log.entry(DirectoryCommand::CreateDomain { id: AccountId(id), name, attrs: vec![] }));
    }
    all
}

fn du(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap());
    files.map(|f| if f.path().is_dir() { du(&f.path()) } else { f.metadata().map_or(0, |m| m.len()) }).sum()
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn per_second(what: &str, many: u64, mut one: impl FnMut(u64)) {
    let began = Instant::now();
    (0..many).for_each(&mut one);
    let took = began.elapsed();
    println!("{what}: {:.0}/s, {:.1} us each", many as f64 / took.as_secs_f64(), took.as_micros() as f64 / many as f64);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn many_accounts() {
    let accounts: u64 = std::env::var("ZCLUSTER_ACCOUNTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let domains = (accounts / 1_000).max(1);
    let tmp = tempfile::tempdir().unwrap();
    let replicas = Replicas::open(tmp.path(), &RocksConfig::default(), Fatal::new()).unwrap();
    let mut machine = replicas.machine(DIRECTORY).unwrap();
    let mut log = Log(0);
    machine.apply(founding(&mut log, domains)).unwrap();
    let before = rss_kib();
    let began = Instant::now();
    let mut logged = 0;
    for first in (0..accounts).step_by(BATCH as usize) {
        let commands: Vec<DirectoryCommand> =
            (first..(first + BATCH).min(accounts)).map(|n| account(n, domains)).collect();
        let entry = log.entry(DirectoryCommand::Batch(commands));
        if let EntryKind::Normal(payload) = &entry.kind {
            logged += payload.len() as u64;
        }
        machine.apply(vec![entry]).unwrap();
    }
    println!(
        "applied {accounts} accounts: {:.0}/s, {} bytes of log each",
        accounts as f64 / began.elapsed().as_secs_f64(),
        logged / accounts
    );
    replicas.flush().unwrap();
    println!("RSS {} KiB -> {} KiB", before, rss_kib());
    println!("on disk: {} bytes an account", du(tmp.path()) / accounts);

    let name = |n: u64| {
        let n = n.wrapping_mul(0x9E37_79B9) % accounts;
        format!("user{n}@d{}.example", n % domains)
    };
    per_second("account by address", 20_000, |n| {
        replicas.read_account(&AccountBy::Address(name(n))).unwrap();
    });
    per_second("entry by address", 20_000, |n| {
        replicas.read_directory(&DirectoryQuery::Object(ObjectBy::Address(name(n)))).unwrap();
    });
    let page = |filter: Filter, kinds: Kinds| {
        let search = Search { kinds, domain: None, parent: None, filter, after: None, limit: 10 };
        replicas.read_directory(&DirectoryQuery::Search(Box::new(search))).unwrap().into_page().unwrap()
    };
    per_second("search (mail=x)", 20_000, |n| {
        assert_eq!(page(Filter::equal("mail", name(n)), Kinds::ACCOUNTS).objects.len(), 1);
    });
    per_second("search (mail=x), all kinds", 2_000, |n| {
        assert_eq!(page(Filter::equal("mail", name(n)), Kinds::ALL).objects.len(), 1);
    });
    per_second("search (sn=Last1234*)", 2_000, |n| {
        let initial = format!("Last{}", 1_000 + n);
        let filter = Filter::Substring { attr: "sn".into(), initial, any: vec![], end: String::new() };
        page(filter, Kinds::ACCOUNTS);
    });
    per_second("search (zimbraCOSId=x), first page", 50, |n| {
        page(Filter::equal("zimbraCOSId", AccountId([(n % 50) as u8 + 1; 16]).to_string()), Kinds::ACCOUNTS);
    });
    println!("RSS {} KiB", rss_kib());
}
