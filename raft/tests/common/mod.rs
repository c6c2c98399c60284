//! A cluster in one process: nodes, an in-memory network with switches, and a small state machine with a disk.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(missing_docs, reason = "test support")]

pub mod machine;
pub mod net;

use bytes::Bytes;
use machine::{Disk, TestMachine};
use net::Hub;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zcluster_raft::log::{MemoryLog, RocksLog, RocksOptions};
use zcluster_raft::{Config, Fatal, Group, LogEngine, MultiRaft};

pub const GROUP: u32 = 7;
pub const LONG: Duration = Duration::from_secs(20);

/// Shorter timers than in production, so that tests are quick.
pub fn config(node: u64) -> Config {
    Config {
        heartbeat: Duration::from_millis(100),
        heartbeat_quiet: Duration::from_millis(40),
        election_min: Duration::from_millis(400),
        election_max: Duration::from_millis(700),
        ..Config::new(node)
    }
}

pub struct Node {
    pub multi: Arc<MultiRaft>,
    pub log: Arc<dyn LogEngine>,
    pub disk: Disk,
    pub dir: Option<PathBuf>,
}

pub struct Cluster {
    pub hub: Arc<Hub>,
    pub nodes: BTreeMap<u64, Node>,
    tmp: tempfile::TempDir,
    rocks: bool,
    tune: fn(&mut Config),
    copies: u64,
}

impl Cluster {
    pub async fn memory(ids: &[u64]) -> Self {
        Self::start(ids, false, |_| {}).await
    }

    pub async fn rocks(ids: &[u64]) -> Self {
        Self::start(ids, true, |_| {}).await
    }

    /// Starts nodes with one group; nobody is a member yet.
    pub async fn start(ids: &[u64], rocks: bool, tune: fn(&mut Config)) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let mut cluster = Self { hub: Hub::new(), nodes: BTreeMap::new(), tmp, rocks, tune, copies: 0 };
        for id in ids {
            let dir = cluster.tmp.path().join(format!("n{id}"));
            cluster.boot(*id, dir, Disk::default()).await;
        }
        cluster
    }

    pub async fn boot(&mut self, id: u64, dir: PathBuf, disk: Disk) {
        let log: Arc<dyn LogEngine> = if self.rocks {
            let options = RocksOptions { write_buffer_bytes: 1 << 20, ..RocksOptions::default() };
            Arc::new(RocksLog::open(&dir, options, Fatal::new()).unwrap())
        } else {
            Arc::new(MemoryLog::new())
        };
        self.boot_with(id, log, self.rocks.then_some(dir), disk).await;
    }

    pub async fn boot_with(&mut self, id: u64, log: Arc<dyn LogEngine>, dir: Option<PathBuf>, disk: Disk) {
        let mut config = config(id);
        (self.tune)(&mut config);
        let multi = MultiRaft::open(config, log.clone(), self.hub.network(id)).unwrap();
        self.hub.attach(id, multi.service());
        multi.start_group(GROUP, Box::new(TestMachine::open(disk.clone()))).await.unwrap();
        self.nodes.insert(id, Node { multi, log, disk, dir });
    }

    /// The first voters.
    pub async fn initialize(&self, voters: &[u64]) {
        let first = voters[0];
        self.nodes[&first].multi.initialize(GROUP, set(voters)).await.unwrap();
    }

    pub fn group(&self, id: u64) -> Group {
        self.nodes[&id].multi.group(GROUP).unwrap()
    }

    /// Waits until one of `ids` leads and the others of them know it.
    pub async fn leader_of(&self, ids: &[u64]) -> u64 {
        let deadline = zcluster_runtime::Instant::now() + LONG;
        loop {
            let leaders: BTreeSet<Option<u64>> = ids.iter().map(|id| self.group(*id).leader()).collect();
            if let Some(Some(leader)) = leaders.first()
                && leaders.len() == 1
                && ids.contains(leader)
                && self.group(*leader).leadership().borrow().is_leader
            {
                return *leader;
            }
            assert!(zcluster_runtime::Instant::now() < deadline, "no leader among {ids:?}: {leaders:?}");
            zcluster_runtime::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Proposes on whoever leads until it is acknowledged.
    pub async fn put(&self, ids: &[u64], what: &str) -> u64 {
        for _ in 0..100 {
            let leader = self.leader_of(ids).await;
            match self.group(leader).propose(Bytes::copy_from_slice(what.as_bytes()), Duration::from_secs(2)).await {
                Ok(reply) => return u64::from_be_bytes(reply[..8].try_into().unwrap()),
                Err(_) => zcluster_runtime::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("nobody took {what}");
    }

    /// What a node has applied.
    pub fn values(&self, id: u64) -> Vec<Bytes> {
        self.nodes[&id].disk.live()
    }

    pub async fn wait_value(&self, id: u64, what: &str) {
        let deadline = zcluster_runtime::Instant::now() + LONG;
        while !self.values(id).iter().any(|v| v == what.as_bytes()) {
            assert!(zcluster_runtime::Instant::now() < deadline, "node {id} never applied {what}");
            zcluster_runtime::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills a node as SIGKILL would: it says nothing more, and its disk is as it was at that moment. Returns what is
    /// needed to boot it again.
    pub async fn kill(&mut self, id: u64) -> (PathBuf, Disk) {
        self.hub.detach(id);
        let node = self.nodes.remove(&id).unwrap();
        let disk = node.disk.crash();
        self.copies += 1;
        let copy = self.tmp.path().join(format!("n{id}-{}", self.copies));
        if let Some(dir) = &node.dir {
            copy_dir(dir, &copy);
        }
        // The old process lives on in the shadows, but nobody hears it.
        let _ = node.multi.shutdown().await;
        (copy, disk)
    }
}

pub fn set(ids: &[u64]) -> BTreeSet<u64> {
    ids.iter().copied().collect()
}

pub fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "LOCK" {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}
