//! All clients against a cluster of one process, whose back end is in memory.

use super::{Phase, Servers, Stream, run};
use crate::history::{History, Outcome, Record, Reply, What};
use crate::plan::{ClientKind, ClientPlan, Op, TimedOp};
use crate::world::{self, Keep, Random, Summary};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use zcluster_api::{
    Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, Freshness, GroupId, RequestId, Result,
};
use zcluster_auth::{AuthConfig, Authenticator, HashParams, hash_password_with};
use zcluster_delivery::{Deliverer, DeliveryConfig};
use zcluster_imap::{Imap, ImapConfig};
use zcluster_listener::{Connection, Protocol};
use zcluster_smtp::{Backend, Budget, Smtp, SmtpConfig};
use zcluster_state::memory::Memory;

const NODE: u32 = 1;
const SECOND: u64 = 1_000_000_000;

struct Site {
    memory: Memory,
    imap: Arc<Imap>,
    lmtp: Arc<Smtp>,
}

impl Site {
    fn new(accounts: u32) -> Arc<Self> {
        let memory = Memory::new();
        for n in 0..accounts {
            let hash = hash_password_with(HashParams::cheap(), &format!("pw-{n}"));
            memory.add_account(&format!("u{n}@sim.example"), &hash);
        }
        let directory: Arc<dyn DirectoryApi> = Arc::new(memory.clone());
        let auth = Arc::new(Authenticator::new(directory.clone(), AuthConfig::cheap()));
        let config = ImapConfig { allow_plaintext_auth: true, ..ImapConfig::default() };
        let imap = Arc::new(Imap::new(Arc::new(memory.clone()), directory.clone(), auth.clone(), config));
        let backend = Backend {
            delivery: Arc::new(Deliverer::new(
                Arc::new(memory.clone()),
                directory.clone(),
                DeliveryConfig::new("sim.example"),
            )),
            directory,
            authenticator: auth,
            budget: Budget::new(16 * 1024 * 1024),
            edge: zcluster_smtp::Edge::default(),
        };
        let lmtp = Smtp::lmtp(SmtpConfig::new("sim.example"), backend);
        Arc::new(Site { memory, imap, lmtp })
    }

    fn serve(protocol: Arc<impl Protocol>) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        let (connection, client) = Connection::test_pair();
        world::spawn_on(NODE, async move { protocol.serve(connection).await });
        Box::pin(async move { Ok(Box::new(client) as Box<dyn Stream>) })
    }
}

impl Servers for Site {
    fn nodes(&self) -> Vec<u32> {
        vec![NODE]
    }
    fn lmtp(&self, _: u32) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Self::serve(self.lmtp.clone())
    }
    fn imap(&self, _: u32) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Self::serve(self.imap.clone())
    }
    fn directory(&self, _: u32) -> Option<Arc<dyn DirectoryApi>> {
        Some(Arc::new(Choosing(self.memory.clone())))
    }
}

/// Chooses the shard of new accounts, as routers do.
struct Choosing(Memory);

impl DirectoryApi for Choosing {
    fn read(&self, query: DirectoryQuery, freshness: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
        DirectoryApi::read(&self.0, query, freshness)
    }
    fn write(
        &self,
        actor: Actor,
        request: RequestId,
        mut command: DirectoryCommand,
    ) -> BoxFuture<'_, Result<DirectoryReply>> {
        if let DirectoryCommand::CreateAccount { group, .. } = &mut command {
            *group = GroupId(1);
        }
        DirectoryApi::write(&self.0, actor, request, command)
    }
}

fn draw_op(r: &mut Random, kind: ClientKind, known: u32) -> Op {
    let (folder, to) = (r.below(4) as u32, r.below(4) as u32);
    let (pick, name) = (r.below(50) as u32, r.below(3) as u32);
    match kind {
        ClientKind::Lmtp => Op::Deliver { accounts: vec![0, r.below(2) as u32], bytes: r.below(9_000) as u32 },
        ClientKind::Admin => match r.below(4) {
            0 => Op::CreateAccount { name },
            1 => Op::DeleteAccount { name },
            2 => Op::SetPassword { name },
            _ => Op::ReadAccount { name },
        },
        ClientKind::Imap { .. } => match r.below(16) {
            0 => Op::Append { folder, bytes: 700 },
            1..=3 => Op::Fetch { folder },
            4..=5 => Op::Store { folder, pick, flag: pick, set: pick % 3 > 0, unchanged_since: pick % 2 == 0 },
            6 => Op::Copy { folder, pick, to },
            7 => Op::Move { folder, pick, to },
            8 => Op::Expunge { folder, pick },
            9 => Op::Create { name },
            10 => Op::Rename { name, to },
            11 => Op::Delete { name },
            12 => Op::Idle { folder, ms: 900 },
            13 => Op::Search { folder, of: r.below(u64::from(known) + 1) as u32 },
            14 => Op::Status { folder },
            _ => Op::Reconnect,
        },
    }
}

fn plans(seed: u64) -> Vec<ClientPlan> {
    let mut r = Random::new(seed, 99);
    let imap = |account| ClientKind::Imap { account };
    let kinds = [ClientKind::Lmtp, ClientKind::Lmtp, imap(0), imap(0), imap(1), ClientKind::Admin];
    let mut id = 0;
    let mut plan = |kind| {
        let mut timed = |wait_ms| {
            id += 1;
            TimedOp { wait_ms, id, op: draw_op(&mut r, kind, id) }
        };
        ClientPlan { kind, ops: (0..60).map(|n| timed(n * 37 % 500)).collect() }
    };
    kinds.into_iter().map(&mut plan).collect()
}

fn live(seed: u64) -> (Summary, Arc<History>) {
    let guard = world::enter(seed, Keep::default());
    world::start_node(NODE);
    let (history, phase) = (History::new(), Arc::new(Phase::new()));
    let shared = history.clone();
    world::spawn_on(world::OUTSIDE, async move {
        let site = world::within(NODE, || Site::new(2));
        run(site, plans(seed), shared, phase).await;
        world::event("all done", &[]);
        world::count("all done");
        world::stop();
    });
    world::run_until(1_000 * SECOND);
    (guard.summary(), history)
}

fn done(records: &[Record]) -> impl Iterator<Item = (&What, &Reply)> {
    records.iter().filter_map(|r| match &r.outcome {
        Outcome::Done(reply) => Some((&r.what, reply)),
        _ => None,
    })
}

#[test]
fn all_operations_are_carried_out() {
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 1..6 {
        let (summary, history) = live(seed);
        assert!(summary.violations.is_empty(), "seed {seed}: {:?}", summary.violations);
        assert_eq!(summary.counters.get("all done"), Some(&1), "seed {seed}: {:?}", summary.counters);
        assert!(history.stuck_ops().is_empty());
        let records = history.records();
        let open: Vec<&Record> = records.iter().filter(|r| r.ret.is_none()).collect();
        assert!(open.is_empty(), "seed {seed}: {open:?}");
        assert!(!summary.counters.contains_key("client.told_server_bug"), "seed {seed}");
        for (what, _) in done(&records) {
            let name = format!("{what:?}");
            *kinds.entry(name.split(' ').next().unwrap_or_default().to_string()).or_default() += 1;
        }
    }
    assert_eq!(kinds.len(), 18, "some kind of operation never succeeded: {kinds:?}");
}

#[test]
fn replies_carry_what_checkers_need() {
    let records: Vec<Record> = (1..6).flat_map(|seed| live(seed).1.records()).collect();
    let fetched = done(&records).filter_map(|(_, reply)| match reply {
        Reply::Fetched { messages, .. } => Some(messages),
        _ => None,
    });
    assert!(fetched.flatten().all(|m| m.message.is_some() && m.modseq > 0));
    let any = |what: fn(&Reply) -> bool| assert!(done(&records).any(|(_, reply)| what(reply)));
    any(|r| matches!(r, Reply::Stored { modified: true, after: None }));
    any(|r| matches!(r, Reply::Stored { modified: false, after: Some(_) }));
    any(|r| matches!(r, Reply::Stored { modified: false, after: None }));
    any(|r| matches!(r, Reply::Copied { copied: Some(_) }));
    any(|r| matches!(r, Reply::Copied { copied: None }));
    any(|r| matches!(r, Reply::Expunged { gone: true }));
    any(|r| matches!(r, Reply::Found { uids } if !uids.is_empty()));
    any(|r| matches!(r, Reply::Idled { exists, .. } if exists.len() > 1));
    any(|r| matches!(r, Reply::Account { password: Some(_), .. }));
}

#[test]
fn the_same_seed_is_the_same_day() {
    assert_eq!(live(3).0.hash, live(3).0.hash);
    assert_ne!(live(3).0.hash, live(4).0.hash);
}
