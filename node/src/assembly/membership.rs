//! Following who the peers are, and telling the cluster where this node is.

use crate::config::Config;
use crate::datadir::{DataDir, NodeFile};
use crate::join::request_id;
use crate::pki::{self, Pair};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zcluster_api::directory::{Node, NodeState};
use zcluster_api::{Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, NodeId};
use zcluster_replica::Replicas;
use zcluster_router::Router;
use zcluster_router::admission::Topology;
use zcluster_rpc::TonicNetwork;
use zcluster_runtime::{select, sleep, spawn};

/// Looked at again at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often the node's certificate is looked at.
const RENEW_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// Pause after the own record could not be written.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Starts both, for the life of the process. The channel tells when this node has left the cluster.
pub fn start(
    dir: &DataDir,
    node: &NodeFile,
    config: &Config,
    router: &Arc<Router>,
    replicas: &Arc<Replicas>,
    network: &Arc<TonicNetwork>,
) -> oneshot::Receiver<()> {
    let (left, has_left) = oneshot::channel();
    spawn(follow(dir.clone(), node.clone(), replicas.clone(), network.clone(), left));
    spawn(tell(NodeId(node.id()), config.clone(), router.clone(), replicas.clone()));
    spawn(renew(dir.clone(), node.number, replicas.clone()));
    has_left
}

/// Renews this node's certificate when little of its time is left. The new one is used from the next start on; the old
/// one is good for months then.
async fn renew(dir: DataDir, number: u32, replicas: Arc<Replicas>) {
    loop {
        if let Err(error) = renew_if_due(&dir, number, &replicas) {
            tracing::error!(error = format!("{error:#}"), "this node's certificate cannot be renewed");
        }
        sleep(RENEW_EVERY).await;
    }
}

fn renew_if_due(dir: &DataDir, number: u32, replicas: &Replicas) -> anyhow::Result<()> {
    if !pki::wants_renewal(&dir.node_pair()?.cert_pem)? {
        return Ok(());
    }
    let Ok(DirectoryReply::Cluster(cluster)) = replicas.read_directory(&DirectoryQuery::Cluster) else {
        anyhow::bail!("the directory is not here yet");
    };
    let ca = Pair { cert_pem: cluster.ca_cert_pem, key_pem: cluster.ca_key_pem };
    dir.write_cluster_tls(&ca.cert_pem, &pki::new_node(&ca, &cluster.id, number)?)?;
    tracing::warn!("this node's certificate was renewed: restart it within the next months");
    Ok(())
}

fn known(replicas: &Replicas) -> Vec<Node> {
    match replicas.read_directory(&DirectoryQuery::Nodes) {
        Ok(DirectoryReply::Nodes(nodes)) => nodes,
        _ => Vec::new(),
    }
}

/// Keeps the network's addresses, and those in the data directory, in step with the directory.
async fn follow(
    dir: DataDir,
    mut node: NodeFile,
    replicas: Arc<Replicas>,
    network: Arc<TonicNetwork>,
    left: oneshot::Sender<()>,
) {
    let mut topology = replicas.topology();
    loop {
        let Topology { left: has_left, removed, peers } = Topology::of(node.id(), known(&replicas));
        if has_left {
            let _ = left.send(());
            return;
        }
        network.set_removed(removed);
        if let Some(peers) = peers.filter(|peers| *peers != node.peers) {
            network.set_peers(peers.clone());
            node.peers = peers;
            let (dir, node) = (dir.clone(), node.clone());
            let written = zcluster_runtime::spawn_blocking(move || dir.write_node(&node)).await;
            if let Ok(Err(error)) = written {
                tracing::error!(error = %format!("{error:#}"), "cannot write node.json");
            }
        }
        let _ = select(topology.changed(), sleep(LOOK_EVERY)).await;
    }
}

/// Writes this node's place into the directory when it has changed.
async fn tell(id: NodeId, config: Config, router: Arc<Router>, replicas: Arc<Replicas>) {
    let mut topology = replicas.topology();
    loop {
        let own = known(&replicas).into_iter().find(|n| n.id == id);
        let Some(old) = own else {
            let _ = select(topology.changed(), sleep(LOOK_EVERY)).await;
            continue;
        };
        let now = record(id, old.state, &config);
        if now == old {
            return;
        }
        // Its state is not its own to change: what it knows of it may be old.
        let command = DirectoryCommand::PutNode(now, Some(old.state));
        let written = router.write(Actor::System, request_id(), command).await;
        match written {
            Ok(_) => tracing::info!(rpc = config.rpc_address(), "this node's place is updated in the directory"),
            Err(error) => tracing::info!(%error, "cannot update this node's place yet"),
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// This node as the directory should know it.
pub fn record(id: NodeId, state: NodeState, config: &Config) -> Node {
    Node {
        id,
        rpc: config.rpc_address(),
        advertise: config.advertise(),
        ports: config.ports.to_map(),
        state,
        zone: config.node.zone.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}
