//! Node to node: identity, who answers which method, greeting peers at the start.

use crate::datadir::{DataDir, NodeFile};
use crate::join;
use anyhow::{Result, bail};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use zcluster_api::directory::{Node, NodeState};
use zcluster_api::{Actor, DirectoryApi, DirectoryCommand, NodeId};
use zcluster_raft::MultiRaft;
use zcluster_router::Router;
use zcluster_rpc::server::TWO_PROCESSES;
use zcluster_rpc::{
    FaultSwitch, Frames, Identity, Lane, Network, RpcError, ServerConfig, Service, TonicNetwork, node_number,
};
use zcluster_runtime::{Instant, sleep};

/// The router's methods begin here; raft's are below.
const ROUTER_FIRST: u16 = 100;
/// The node's methods begin here.
const NODE_FIRST: u16 = 200;
/// Is anybody running under my id?
const HELLO: u16 = NODE_FIRST;
/// My disk lost data: know me under my new id. Body: the old id.
const REJOIN: u16 = NODE_FIRST + 1;
/// One greeting's time.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer may take so long to notice that this node's previous process is gone.
const OLD_PROCESS_TIMEOUT: Duration = Duration::from_secs(8);
/// Pause between two greetings, and between two requests to be admitted anew.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long a node tries to be admitted anew.
const REJOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// The way to peers and from them.
pub struct Peers {
    /// Calls them.
    pub network: Arc<TonicNetwork>,
    identity: Arc<Identity>,
}

impl Peers {
    /// With the addresses that were known when the node last ran.
    ///
    /// # Errors
    /// Unusable certificates.
    pub fn new(dir: &DataDir, node: &NodeFile, faults: Option<FaultSwitch>) -> Result<Peers> {
        let pair = dir.node_pair()?;
        let identity = Identity::new(&node.cluster, node.id(), &dir.ca_pem()?, &pair.cert_pem, &pair.key_pem)?;
        let identity = Arc::new(identity);
        let network = Arc::new(TonicNetwork::new(identity.clone(), faults));
        network.set_peers(others(&node.peers, node.number));
        Ok(Peers { network, identity })
    }

    /// Asks the peers whether they know this node as running elsewhere, or as replaced.
    ///
    /// # Errors
    /// They do: says what to do.
    pub async fn greet(&self) -> Result<()> {
        let peers = self.network.peers();
        let greetings = peers.iter().map(|(id, address)| self.greet_one(*id, address));
        futures::future::try_join_all(greetings).await.map(drop)
    }

    async fn greet_one(&self, peer: u64, address: &str) -> Result<()> {
        let until = Instant::now() + OLD_PROCESS_TIMEOUT;
        loop {
            let answer = self.network.call(peer, Lane::Data, HELLO, Bytes::new(), HELLO_TIMEOUT).await;
            let Err(RpcError::Refused(why)) = answer else { return Ok(()) };
            // That the peer has another id by now is no reason to stay away.
            let about_us = why.contains(TWO_PROCESSES) || why.contains("join again") || why.contains("belongs to");
            if !about_us {
                tracing::info!(peer, why, "a peer refused the greeting");
                return Ok(());
            }
            if !why.contains(TWO_PROCESSES) || until.remaining().is_zero() {
                bail!("node {} at {address} refuses this node: {why}", node_number(peer));
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Answers peers from now on.
    pub fn serve(
        &self,
        listener: TcpListener,
        raft: &Arc<MultiRaft>,
        router: &Arc<Router>,
        faults: Option<FaultSwitch>,
    ) {
        let directory: Arc<dyn DirectoryApi> = router.clone();
        let joining = directory.clone();
        let network = self.network.clone();
        let config = ServerConfig {
            identity: self.identity.clone(),
            service: Arc::new(Services { raft: raft.service(), router: router.service(), directory }),
            join: Some(Arc::new(move |address, body| {
                tracing::info!(%address, "a node asks to join");
                let directory = joining.clone();
                async move {
                    let outcome = join::admit(directory, body).await;
                    if let Err(error) = &outcome {
                        tracing::warn!(%address, %error, "a request to join was refused");
                    }
                    outcome
                }
                .boxed()
            })),
            members: Arc::new(move || network.members()),
            faults,
        };
        let fatal = raft.fatal();
        zcluster_runtime::spawn(async move {
            if let Err(e) = zcluster_rpc::serve(listener, config).await {
                fatal.report(format!("the node-to-node service ended: {e}"));
            }
        });
    }
}

/// All but node `number`.
pub fn others(peers: &BTreeMap<u64, String>, number: u32) -> BTreeMap<u64, String> {
    peers.iter().filter(|(id, _)| node_number(**id) != number).map(|(id, a)| (*id, a.clone())).collect()
}

/// Makes a node whose disk lost data known under its new id.
///
/// # Errors
/// No peer answered in time, or they refused.
pub async fn rejoin(dir: &DataDir, node: &NodeFile, old: u64, faults: Option<FaultSwitch>) -> Result<()> {
    let peers = Peers::new(dir, node, faults)?;
    let until = Instant::now() + REJOIN_TIMEOUT;
    let mut last = "no peer answered".to_string();
    while !until.remaining().is_zero() {
        for peer in peers.network.peers().keys() {
            let body = Bytes::copy_from_slice(&old.to_be_bytes());
            match peers.network.call(*peer, Lane::Data, REJOIN, body, REJOIN_TIMEOUT).await {
                Ok(_) => return Ok(()),
                Err(e) => last = e.to_string(),
            }
        }
        sleep(RETRY_PAUSE).await;
    }
    bail!("{last}")
}

/// Sends each method to whom it belongs.
struct Services {
    raft: Arc<dyn Service>,
    router: Arc<dyn Service>,
    directory: Arc<dyn DirectoryApi>,
}

impl Service for Services {
    fn call(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        match method {
            0..ROUTER_FIRST => self.raft.call(from, method, body),
            ROUTER_FIRST..NODE_FIRST => self.router.call(from, method, body),
            HELLO => futures::future::ready(Ok(Bytes::from_static(env!("CARGO_PKG_VERSION").as_bytes()))).boxed(),
            REJOIN => admit_anew(self.directory.clone(), from, body).boxed(),
            _ => futures::future::ready(Err(RpcError::Remote(format!("no such method: {method}")))).boxed(),
        }
    }

    fn stream(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        match method {
            0..ROUTER_FIRST => self.raft.stream(from, method, body),
            ROUTER_FIRST..NODE_FIRST => self.router.stream(from, method, body),
            _ => futures::future::ready(Err(RpcError::Remote(format!("no such method: {method}")))).boxed(),
        }
    }
}

/// Gives a node whose disk lost data its new place: the old id is out for good, the new one joins.
async fn admit_anew(directory: Arc<dyn DirectoryApi>, from: u64, body: Bytes) -> Result<Bytes, RpcError> {
    let refused = |text: &str| RpcError::Refused(text.to_string());
    let old: [u8; 8] = body.as_ref().try_into().map_err(|_| refused("not a request to rejoin"))?;
    let old = u64::from_be_bytes(old);
    if node_number(old) != node_number(from) || old >= from {
        return Err(refused("a node may only replace its own older incarnation"));
    }
    let nodes = join::nodes(directory.as_ref()).await?;
    if nodes.iter().any(|n| n.id.0 == from) {
        return Ok(Bytes::new());
    }
    let same_number = |n: &&Node| n.id.number() == node_number(from) && n.state != NodeState::Removed;
    let Some(record) = nodes.iter().filter(same_number).max_by_key(|n| n.id) else {
        return Err(refused("the cluster knows no such node (any more): join again with an empty data directory"));
    };
    tracing::warn!(old, new = from, "a node's disk lost data; it joins anew");
    let write = |node: Node| directory.write(Actor::System, join::request_id(), DirectoryCommand::PutNode(node));
    let failed = |e: zcluster_api::Error| RpcError::Remote(e.to_string());
    write(Node { state: NodeState::Removed, ..record.clone() }).await.map_err(failed)?;
    write(Node { id: NodeId(from), state: NodeState::Joining, ..record.clone() }).await.map_err(failed)?;
    Ok(Bytes::new())
}
