//! Whole nodes without a process: raft, replicas and router on logs and engines in memory.

use crate::net::Hub;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::*;
use zcluster_api::mailbox::{NewMessage, Parsed, folders};
use zcluster_api::*;
use zcluster_raft::log::MemoryLog;
use zcluster_raft::{Config, LogEngine, MultiRaft};
use zcluster_replica::{MemoryEngine, Replicas};
use zcluster_router::{PackingConfig, Router, RouterConfig};
use zcluster_rpc::{Frames, RpcError, Service};
use zcluster_runtime::{Instant, random_bytes, sleep};

pub const LONG: Duration = Duration::from_secs(30);

struct Both(Arc<dyn Service>, Arc<dyn Service>);

impl Service for Both {
    fn call(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        if method < 100 { self.0.call(from, method, body) } else { self.1.call(from, method, body) }
    }
    fn stream(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        if method < 100 { self.0.stream(from, method, body) } else { self.1.stream(from, method, body) }
    }
}

pub struct NodeUp {
    pub raft: Arc<MultiRaft>,
    pub replicas: Arc<Replicas>,
    pub router: Arc<Router>,
    pub log: Arc<dyn LogEngine>,
    pub engine: Arc<MemoryEngine>,
}

pub struct Cluster {
    pub hub: Arc<Hub>,
    pub nodes: BTreeMap<u32, NodeUp>,
}

pub fn id(n: u32) -> u64 {
    NodeId::new(n, 1).0
}

pub fn record(n: u32, state: NodeState) -> Node {
    Node {
        id: NodeId::new(n, 1),
        rpc: format!("127.0.0.1:{n}"),
        advertise: "127.0.0.1".into(),
        ports: BTreeMap::new(),
        state,
        zone: String::new(),
        version: "test".into(),
    }
}

fn config(node: u64) -> Config {
    Config {
        heartbeat: Duration::from_millis(60),
        heartbeat_quiet: Duration::from_millis(30),
        election_min: Duration::from_millis(250),
        election_max: Duration::from_millis(500),
        ..Config::new(node)
    }
}

impl Cluster {
    /// A cluster of `n` nodes with `shards` shards, three replicas each where there are three nodes.
    pub async fn start(n: u32, shards: u32) -> Self {
        let mut cluster = Cluster { hub: Hub::new(), nodes: BTreeMap::new() };
        cluster.boot(1, Arc::new(MemoryLog::new()), MemoryEngine::new()).await;
        let facts = zcluster_api::directory::Cluster {
            id: "test".into(),
            shards,
            replication: 3,
            ca_cert_pem: String::new(),
            ca_key_pem: String::new(),
            config: Attributes::new(),
        };
        let first = &cluster.nodes[&1].router;
        first.bootstrap_first_node(facts.clone(), record(1, NodeState::Active), AccountId([1; 16])).await.unwrap();
        // Again, as after an interruption.
        first.bootstrap_first_node(facts, record(1, NodeState::Active), AccountId([1; 16])).await.unwrap();
        for joiner in 2..=n {
            cluster.join(joiner).await;
        }
        cluster.settled().await;
        let domain = DirectoryCommand::CreateDomain { id: AccountId([2; 16]), name: "x.org".into(), attrs: vec![] };
        cluster.system(1, domain).await.unwrap();
        cluster
    }

    pub async fn boot(&mut self, n: u32, log: Arc<dyn LogEngine>, engine: Arc<MemoryEngine>) {
        let network = self.hub.network(id(n));
        let raft = MultiRaft::open(config(id(n)), log.clone(), network.clone()).unwrap();
        let replicas = Replicas::with_engine(engine.clone(), raft.fatal()).unwrap();
        let packing = PackingConfig {
            look_every: Duration::from_millis(100),
            after: Duration::ZERO,
            wait: Duration::ZERO,
            trash: Duration::from_millis(300),
            announced: Duration::from_secs(3),
            put_max: Duration::from_millis(500),
            merge_count: 4,
            merge_every: Duration::from_millis(200),
            backoff: (Duration::from_millis(50), Duration::from_millis(400)),
            ..PackingConfig::default()
        };
        let settings = RouterConfig { reconcile_every: Duration::from_millis(100), ..RouterConfig::new(NodeId(id(n))) };
        let settings = RouterConfig { packing, retention_every: Duration::from_millis(200), ..settings };
        self.hub.attach(id(n), raft.service());
        let router = Router::start(settings, raft.clone(), replicas.clone(), network).await.unwrap();
        self.hub.attach(id(n), Arc::new(Both(raft.service(), router.service())));
        router.run_background();
        self.nodes.insert(n, NodeUp { raft, replicas, router, log, engine });
    }

    pub async fn join(&mut self, n: u32) {
        self.boot(n, Arc::new(MemoryLog::new()), MemoryEngine::new()).await;
        let by = *self.nodes.keys().next().unwrap();
        self.system(by, DirectoryCommand::PutNode(record(n, NodeState::Joining), None)).await.unwrap();
    }

    /// Kills a node as SIGKILL would; gives back what is on its disks.
    pub async fn kill(&mut self, n: u32) -> (Arc<dyn LogEngine>, Arc<MemoryEngine>) {
        self.hub.detach(id(n));
        let node = self.nodes.remove(&n).unwrap();
        node.router.stop();
        node.engine.crash();
        // The old process must not write to the disk it left behind.
        let _ = node.raft.shutdown().await;
        node.engine.crash();
        (node.log, node.engine)
    }

    pub async fn restart(&mut self, n: u32, (log, engine): (Arc<dyn LogEngine>, Arc<MemoryEngine>)) {
        self.boot(n, log, engine).await;
    }

    pub fn router(&self, n: u32) -> Arc<Router> {
        self.nodes[&n].router.clone()
    }

    pub async fn system(&self, n: u32, command: DirectoryCommand) -> Result<DirectoryReply> {
        DirectoryApi::write(&*self.nodes[&n].router, Actor::System, RequestId(random_bytes()), command).await
    }

    pub fn shards(&self, n: u32) -> Vec<Shard> {
        match self.nodes[&n].replicas.read_directory(&DirectoryQuery::Shards) {
            Ok(DirectoryReply::Shards(shards)) => shards,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until every node is active and every group is what the map says, as all nodes see it.
    pub async fn settled(&self) {
        let by = *self.nodes.keys().next().unwrap();
        until("the cluster settles", || async {
            let Ok(status) = self.nodes[&by].router.status(Duration::from_secs(1)).await else { return false };
            let active: BTreeSet<u64> = status.nodes.iter().map(|n| n.node.id.0).collect();
            let want = active.len().min(3);
            let up: BTreeSet<u64> = self.nodes.keys().map(|n| id(*n)).collect();
            let of = |n: &u64| {
                status.groups.iter().flat_map(|g| &g.shard).filter(|s| s.replicas.contains(&NodeId(*n))).count()
            };
            let able = status.nodes.iter().filter(|n| n.node.state == NodeState::Active).map(|n| n.node.id.0);
            let loads: Vec<usize> = able.map(|n| of(&n)).collect();
            let even = loads.iter().max().zip(loads.iter().min()).is_some_and(|(a, b)| a - b <= 1);
            even && up.is_subset(&active)
                && status.nodes.iter().all(|n| n.node.state != NodeState::Joining)
                && status.groups.iter().all(|g| {
                    let Some(shard) = &g.shard else { return g.voters.len() == want && g.leader.is_some() };
                    let (a, b): (BTreeSet<_>, BTreeSet<_>) =
                        (g.voters.iter().collect(), shard.replicas.iter().collect());
                    a == b && g.learners.is_empty() && g.leader.is_some() && shard.replicas.len() == want
                })
        })
        .await;
    }

    pub async fn account(&self, by: u32, name: &str) -> Account {
        let id = AccountId(random_bytes());
        let name = format!("{name}@x.org");
        let command = DirectoryCommand::CreateAccount { id, name, attrs: vec![], group: GroupId(0) };
        self.system(by, command).await.unwrap().into_account().unwrap()
    }

    /// The node that leads a group, as most of the nodes that run it say.
    pub async fn leader(&self, group: GroupId) -> u32 {
        let begun = Instant::now();
        loop {
            for (n, node) in &self.nodes {
                if node.raft.group(group.0).is_some_and(|g| g.leadership().borrow().is_leader) {
                    return *n;
                }
            }
            assert!(begun.elapsed() < LONG, "group {group} has no leader");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until all replicas of a group are at one position and compares their contents.
    pub async fn same_state(&self, group: GroupId) {
        until("replicas are equal", || async {
            let running = self.nodes.values().filter(|n| n.raft.group(group.0).is_some());
            let hashes: BTreeSet<_> = running.map(|n| n.replicas.state_hash(group).unwrap()).collect();
            let positions: BTreeSet<_> = hashes.iter().map(|h| h.0).collect();
            assert!(hashes.len() == positions.len(), "replicas of {group} differ at one position");
            hashes.len() == 1
        })
        .await;
    }
}

/// Waits until `holds`.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LONG, "not in time: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

pub fn call<T>(account: &Account, body: T) -> Call<T> {
    let (account, request) = (account.id, RequestId(random_bytes()));
    Call { actor: Actor::Delivery, account, request, timeout: LONG, body }
}

pub fn raw(text: &str) -> Bytes {
    format!("Subject: {text}\r\n\r\n{text}\r\n").into()
}

pub fn prepared(raw: &Bytes) -> PreparedBody {
    let id = BlobId(*blake3::hash(raw).as_bytes());
    PreparedBody { id, size: raw.len() as u64, codec: Codec::Plain, stored: raw.clone() }
}

pub fn add(body: Body) -> MailboxCommand {
    MailboxCommand::AddMessage(NewMessage {
        folder: folders::INBOX,
        flags: Flags::UNREAD,
        keywords: vec![],
        internal_ms: 1_700_000_000_000,
        parsed: Parsed::default(),
        body,
        delivery_key: None,
    })
}

pub async fn deliver(router: &Router, account: &Account, text: &str) -> Result<Receipt> {
    let body = prepared(&raw(text)).inline().unwrap();
    MailboxApi::write(router, call(account, add(body))).await
}

pub async fn messages(router: &Router, account: &Account) -> Result<Vec<mailbox::Message>> {
    let query = MailboxQuery::Messages {
        folder: folders::INBOX,
        uids: UidSet::range(1, u32::MAX),
        want: mailbox::Want { summary: false, blob: true },
        changed_since: None,
        limit: 1000,
    };
    match MailboxApi::read(router, call(account, query)).await? {
        MailboxReply::Messages { messages, .. } => Ok(messages),
        other => panic!("{other:?}"),
    }
}
