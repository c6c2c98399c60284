//! The life of a node's process, step by step as the real node's assembly has it.

use super::machine::Machine;
use super::mail::Mail;
use super::peers::{Known, Services};
use super::storage::{self, Storage};
use super::{Cluster, founding};
use crate::disk::NodeFile;
use crate::plan::{RaftShape, VolumeShape};
use crate::warehouse::Door;
use crate::world;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zcluster_api::directory::NodeState;
use zcluster_api::{DirectoryQuery, DirectoryReply, NodeId};
use zcluster_raft::{Config, MultiRaft};
use zcluster_replica::{Replicas, TextConfig};
use zcluster_router::admission::{self, Topology};
use zcluster_router::{PackingConfig, Router, RouterConfig};
use zcluster_runtime::{Either, select, sleep, spawn, spawn_blocking, timeout};

/// Handing leaderships over may take so long before the node stops anyway.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(2);
/// The directory's nodes are looked at again at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What serves while a process runs.
pub struct Parts {
    /// Its raft id.
    pub id: NodeId,
    /// Its groups.
    pub raft: Arc<MultiRaft>,
    /// Its replicas.
    pub replicas: Arc<Replicas>,
    /// Its router.
    pub router: Arc<Router>,
}

/// Why a process ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It was asked to.
    Stopped,
    /// The node has left the cluster.
    Left,
    /// It could not go on.
    Failed {
        /// Why.
        reason: String,
        /// For a reason that is outside the node: nobody was there to get lost data from, no space.
        excused: bool,
    },
}

impl End {
    pub fn code(&self) -> u64 {
        match self {
            End::Stopped => 0,
            End::Left => 1,
            End::Failed { .. } => 2,
        }
    }
    pub fn failed(reason: impl ToString) -> End {
        End::Failed { reason: reason.to_string(), excused: false }
    }
    pub fn excused(reason: impl ToString) -> End {
        End::Failed { reason: reason.to_string(), excused: true }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Stopped => f.write_str("it was asked to"),
            End::Left => f.write_str("the node has left the cluster"),
            End::Failed { reason, .. } => f.write_str(reason),
        }
    }
}

/// Mailboxes are looked through for old messages so often: seconds instead of an hour.
const RETENTION_EVERY: Duration = Duration::from_secs(4);
/// Text indexes lag so far behind.
const TEXTS_EVERY: Duration = Duration::from_millis(700);
/// Sending a snapshot may take so long.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);

/// What raft is told.
fn raft_config(id: NodeId, shape: &RaftShape) -> Config {
    let heartbeat = Duration::from_millis(shape.heartbeat_ms);
    Config {
        heartbeat,
        heartbeat_quiet: heartbeat / 2,
        election_min: Duration::from_millis(shape.election_min_ms),
        election_max: Duration::from_millis(shape.election_max_ms),
        snapshot_every: shape.snapshot_every,
        keep_entries: shape.keep_entries,
        snapshot_lag: shape.snapshot_lag,
        // Snapshots are small here. One whose end was lost is sent again in time for the cluster to heal.
        snapshot_timeout: SNAPSHOT_TIMEOUT,
        // Gauges are for people.
        metrics_every: Duration::ZERO,
        ..Config::new(id.0)
    }
}

/// What the packer is told: everything in seconds instead of hours.
fn packing_config(shape: &VolumeShape) -> PackingConfig {
    PackingConfig {
        look_every: Duration::from_millis(500),
        after: Duration::from_millis(shape.after_ms),
        wait: Duration::from_secs(3),
        pack_min: shape.pack_bytes.0,
        pack_max: shape.pack_bytes.1,
        trash: Duration::from_millis(shape.trash_ms),
        announced: Duration::from_secs(15),
        put_max: Duration::from_secs(2),
        backoff: (Duration::from_millis(200), Duration::from_secs(2)),
        sparse_percent: 50,
        merge_count: 3,
        merge_every: Duration::from_secs(2),
    }
}

/// Runs the node until it is asked to stop, has left, or cannot go on.
pub(crate) async fn run(cluster: Arc<Cluster>, machine: Arc<Machine>, stop: oneshot::Receiver<()>) -> End {
    match serve(&cluster, &machine, stop).await {
        Ok(end) | Err(end) => end,
    }
}

/// What runs between start and stop.
struct Serving {
    parts: Arc<Parts>,
    mail: Mail,
    has_left: oneshot::Receiver<()>,
}

async fn serve(cluster: &Arc<Cluster>, machine: &Arc<Machine>, stop: oneshot::Receiver<()>) -> Result<End, End> {
    let Storage { mut file, log, replicas, fatal } = storage::open(cluster, machine).await?;
    let id = NodeId::new(file.number, file.incarnation);
    let network = Known::new(cluster.wires().network(id.0), &file);
    admission::greet(network.as_ref(), &network.peers()).await.map_err(refused)?;
    file.started = true;
    machine.disk.write_node_file(file.clone());

    let config = raft_config(id, &cluster.shape().raft);
    let raft = MultiRaft::open(config, log, network.clone()).map_err(End::failed)?;
    let started = start(cluster, machine, file, raft.clone(), replicas.clone(), network);
    let Serving { parts, mail, has_left } = match select(fatal.wait(), started).await {
        Either::Left(reason) => return Err(End::failed(reason)),
        Either::Right(started) => started?,
    };
    machine.set_serving(parts.clone());
    world::event("node.serves", &[id.0]);
    world::note(machine.number, "node", || format!("serves as incarnation {}", id.incarnation()));

    let until_stop = async {
        match select(stop, has_left).await {
            Either::Left(Ok(())) => End::Stopped,
            Either::Right(Ok(())) => End::Left,
            // Whoever could ask is gone.
            Either::Left(Err(_)) | Either::Right(Err(_)) => std::future::pending().await,
        }
    };
    let end = match select(fatal.wait(), until_stop).await {
        // No flush, no goodbye: what the disk holds is what counts now.
        Either::Left(reason) => return Err(End::failed(reason)),
        Either::Right(end) => end,
    };
    take_apart(parts, mail).await?;
    Ok(end)
}

/// A peer says that this node is none (any more).
fn refused(why: String) -> End {
    if why.contains("has left the cluster") { End::Left } else { End::excused(why) }
}

async fn start(
    cluster: &Arc<Cluster>,
    machine: &Arc<Machine>,
    file: NodeFile,
    raft: Arc<MultiRaft>,
    replicas: Arc<Replicas>,
    network: Arc<Known>,
) -> Result<Serving, End> {
    let id = NodeId::new(file.number, file.incarnation);
    let volume = cluster.shape().volume.as_ref();
    let config = RouterConfig::new(id);
    let packing = volume.map_or(config.packing, packing_config);
    let config = RouterConfig { packing, retention_every: RETENTION_EVERY, ..config };
    let router = Router::start(config, raft.clone(), replicas.clone(), network.clone()).await.map_err(End::failed)?;
    replicas.run_texts(TextConfig { every: TEXTS_EVERY, parallel: 2 });
    machine.set_attached(id);
    cluster.wires().attach(id.0, Services::new(&raft, &router, network.clone()));
    if let Some(bootstrap) = machine.bootstrap() {
        founding::bootstrap(id, bootstrap, &router).await.map_err(End::failed)?;
        machine.set_bootstrap(None);
    }
    router.run_background();
    if let Some(warehouse) = cluster.warehouse() {
        router.run_packer(Arc::new(Door(warehouse.clone())));
    }
    let (left, has_left) = oneshot::channel();
    spawn(follow(machine.clone(), file, replicas.clone(), network, left));
    let mail = Mail::start(cluster, machine.number, &router).await;
    Ok(Serving { parts: Arc::new(Parts { id, raft, replicas, router }), mail, has_left })
}

/// The order of the real node's end.
async fn take_apart(parts: Arc<Parts>, mail: Mail) -> Result<(), End> {
    let hand_over = timeout(HAND_OVER_TIMEOUT, parts.router.hand_over());
    if let (Err(_), ()) = futures::join!(hand_over, mail.stop()) {
        world::count("node.hand_over_timeout");
    }
    parts.router.stop();
    parts.raft.shutdown().await.map_err(End::failed)?;
    let replicas = parts.replicas.clone();
    let flushed = spawn_blocking(move || replicas.flush()).await;
    flushed.map_err(End::failed)?.map_err(End::failed)
}

/// Keeps what is known of peers in step with the directory, on the wires and on the disk.
async fn follow(
    machine: Arc<Machine>,
    mut file: NodeFile,
    replicas: Arc<Replicas>,
    network: Arc<Known>,
    left: oneshot::Sender<()>,
) {
    let me = NodeId::new(file.number, file.incarnation);
    let mut topology = replicas.topology();
    loop {
        let nodes = match replicas.read_directory(&DirectoryQuery::Nodes) {
            Ok(DirectoryReply::Nodes(nodes)) => nodes,
            _ => Vec::new(),
        };
        let seen = Topology::of(me.0, nodes);
        if seen.left {
            let _ = left.send(());
            return;
        }
        network.set_removed(seen.removed);
        if let Some(peers) = seen.peers.filter(|peers| *peers != file.peers) {
            network.set_peers(peers.clone());
            file.peers = peers;
            machine.disk.write_node_file(file.clone());
        }
        let _ = select(topology.changed(), sleep(LOOK_EVERY)).await;
    }
}

/// A node as the directory should know it.
pub(crate) fn candidate(number: u32) -> admission::Candidate {
    admission::Candidate {
        rpc: format!("node{number}.{}:7007", super::DOMAIN),
        advertise: format!("node{number}.{}", super::DOMAIN),
        ports: [("imap".to_string(), 143), ("lmtp".to_string(), 7025)].into(),
        zone: String::new(),
        version: "simulated".into(),
    }
}

/// The first node's record.
pub(crate) fn first_record(id: NodeId) -> zcluster_api::directory::Node {
    let admission::Candidate { rpc, advertise, ports, zone, version } = candidate(id.number());
    zcluster_api::directory::Node { id, rpc, advertise, ports, state: NodeState::Active, zone, version }
}
