//! Node to node: identity, who answers which method, greeting peers at the start.

use crate::datadir::{DataDir, NodeFile};
use crate::failures::{self, Hearing};
use crate::join;
use crate::volumes;
use anyhow::Result;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::net::TcpListener;
use zcluster_api::{DirectoryApi, Error};
use zcluster_raft::MultiRaft;
use zcluster_router::{Router, admission};
use zcluster_rpc::{FaultSwitch, Frames, Identity, RpcError, ServerConfig, Service, TonicNetwork};
use zcluster_volume::{CacheConfig, Limits, Stores};

/// The router's methods begin here; raft's are below.
const ROUTER_FIRST: u16 = 100;
/// The node's methods begin here.
const NODE_FIRST: u16 = 200;
/// The way to peers and from them.
pub struct Peers {
    /// Calls them.
    pub network: Arc<TonicNetwork>,
    /// Who takes their news of failed sign-ins.
    pub hearing: Hearing,
    /// What they may ask about.
    pub volumes: Arc<Stores>,
    identity: Arc<Identity>,
}

impl Peers {
    /// With the addresses that were known when the node last ran.
    ///
    /// # Errors
    /// Unusable certificates.
    pub fn new(dir: &DataDir, node: &NodeFile, volumes: Arc<Stores>, faults: Option<FaultSwitch>) -> Result<Peers> {
        let pair = dir.node_pair()?;
        let identity = Identity::new(&node.cluster, node.id(), &dir.ca_pem()?, &pair.cert_pem, &pair.key_pem)?;
        let identity = Arc::new(identity);
        let network = Arc::new(TonicNetwork::new(identity.clone(), faults));
        network.set_peers(admission::others(&node.peers, node.number));
        Ok(Peers { network, hearing: Hearing::default(), volumes, identity })
    }

    /// Asks the peers whether they know this node as running elsewhere, or as replaced.
    ///
    /// # Errors
    /// They do: says what to do.
    pub async fn greet(&self) -> Result<()> {
        admission::greet(self.network.as_ref(), &self.network.peers()).await.map_err(anyhow::Error::msg)
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
        let (hearing, volumes, node) = (self.hearing.clone(), self.volumes.clone(), self.identity.id);
        let config = ServerConfig {
            identity: self.identity.clone(),
            service: Arc::new(Services {
                raft: raft.service(),
                router: router.service(),
                directory,
                hearing,
                volumes,
                node,
            }),
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

/// Makes a node whose disk lost data known under its new id.
///
/// # Errors
/// No peer answered in time, or they refused.
pub async fn rejoin(dir: &DataDir, node: &NodeFile, old: u64, faults: Option<FaultSwitch>) -> Result<()> {
    let peers = Peers::new(dir, node, Stores::new(Limits::default(), CacheConfig::default()), faults)?;
    admission::rejoin(peers.network.as_ref(), &peers.network.peers(), old).await.map_err(anyhow::Error::msg)
}

/// Sends each method to whom it belongs.
struct Services {
    raft: Arc<dyn Service>,
    router: Arc<dyn Service>,
    directory: Arc<dyn DirectoryApi>,
    hearing: Hearing,
    volumes: Arc<Stores>,
    /// This node.
    node: u64,
}

impl Service for Services {
    fn call(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        match method {
            0..ROUTER_FIRST => self.raft.call(from, method, body),
            ROUTER_FIRST..NODE_FIRST => self.router.call(from, method, body),
            admission::HELLO => {
                futures::future::ready(Ok(Bytes::from_static(env!("CARGO_PKG_VERSION").as_bytes()))).boxed()
            }
            volumes::ASK => volumes::answer(&self.volumes, self.node, &body),
            failures::NEWS => failures::hear(&self.hearing, &body),
            admission::REJOIN => admit_anew(self.directory.clone(), from, body).boxed(),
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

/// Gives a node whose disk lost data its new place.
async fn admit_anew(directory: Arc<dyn DirectoryApi>, from: u64, body: Bytes) -> Result<Bytes, RpcError> {
    let old = body.as_ref().try_into().map(u64::from_be_bytes);
    let old = old.map_err(|_| RpcError::Refused("not a request to rejoin".into()))?;
    match admission::admit_anew(directory.as_ref(), old, from).await {
        Ok(()) => Ok(Bytes::new()),
        Err(Error::Denied(why)) => Err(RpcError::Refused(why)),
        Err(e) => Err(RpcError::Remote(e.to_string())),
    }
}
