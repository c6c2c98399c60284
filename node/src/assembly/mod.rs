//! Puts a node together, runs it, takes it apart.

pub mod bootstrap;
mod membership;
mod network;
mod process;
mod server_entry;
mod services;
mod storage;

use crate::config::Config;
use crate::datadir::{DataDir, NodeFile};
use crate::telemetry;
use anyhow::{Context, Result, anyhow, bail};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use zcluster_api::NodeId;
use zcluster_raft::MultiRaft;
use zcluster_router::{Router, RouterConfig};
use zcluster_rpc::FaultSwitch;
use zcluster_runtime::{Either, select, timeout};

/// Handing leaderships over may take so long before the node stops anyway.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(2);

/// How this process runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Offer the admin call that cuts this node off.
    pub fault_injection: bool,
    /// Stop when the parent process ends.
    pub with_parent: bool,
}

/// Why a service cannot listen, and what to do.
pub fn cannot_listen(service: &str, address: SocketAddr, e: &io::Error) -> anyhow::Error {
    let advice = match e.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process uses the port: stop it, or choose another with ports.{service} or --base-port")
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; --base-port moves them all".to_string()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: correct --listen or node.listen".to_string()
        }
        _ => e.to_string(),
    };
    anyhow!("cannot listen on {address} for {service}: {advice}")
}

async fn bind(config: &Config, service: &str, port: u16) -> Result<TcpListener> {
    let address = config.bind(port);
    TcpListener::bind(address).await.map_err(|e| cannot_listen(service, address, &e))
}

/// Reads the site's own attributes, before anything asks for one.
fn extend_schema(config: &Config) -> Result<()> {
    let Some(path) = &config.node.schema_extension else { return Ok(()) };
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read node.schema_extension {shown}"))?;
    let count = zcluster_schema::extend(&text).map_err(|e| anyhow!("{shown}: {e}"))?;
    tracing::info!(count, "attributes of the site's own");
    Ok(())
}

/// Runs the node until it is asked to stop.
///
/// # Errors
/// Why it could not start, or could not go on.
pub async fn run(dir: DataDir, mut node: NodeFile, config: Config, options: Options) -> Result<()> {
    process::prepare(options.with_parent);
    let metrics = telemetry::start_metrics()?;
    let signals = process::Signals::new()?;
    let rpc_listener = bind(&config, "rpc", config.ports.rpc).await?;
    let admin_listener = bind(&config, "admin", config.ports.admin).await?;
    let faults = options.fault_injection.then(FaultSwitch::new);

    extend_schema(&config)?;
    let storage = storage::open(&dir, &mut node, &config, faults.clone()).await?;
    let id = NodeId(node.id());
    tracing::info!(cluster = node.cluster, node = node.number, incarnation = node.incarnation, "node starts");
    let volumes = crate::volumes::stores(&dir, &config);
    let peers = network::Peers::new(&dir, &node, volumes.clone(), faults.clone())?;
    peers.greet().await?;
    node.started = true;
    dir.write_node(&node)?;

    let raft = MultiRaft::open(storage.raft_config(id, &config), storage.log.clone(), peers.network.clone())?;
    let fatal = storage.fatal.clone();
    let started = async {
        let network: Arc<dyn zcluster_rpc::Network> = peers.network.clone();
        let router = Router::start(RouterConfig::new(id), raft.clone(), storage.replicas.clone(), network).await?;
        peers.serve(rpc_listener, &raft, &router, faults.clone());
        bootstrap::finish(&dir, &node, &config, &router).await?;
        router.run_background();
        router.run_packer(volumes.clone());
        storage.run_texts(&config);
        let has_left = membership::start(&dir, &node, &config, &router, &storage.replicas, &peers.network);
        server_entry::start(node.number, &config, router.clone());
        zcluster_runtime::spawn(zcluster_volume::follow::run(volumes, router.clone()));
        let services = services::start(
            &dir,
            &node,
            &config,
            router.clone(),
            &peers,
            storage.texts.clone(),
            admin_listener,
            metrics,
            faults.clone(),
        )
        .await?;
        anyhow::Ok((router, services, has_left))
    };
    let (router, services, has_left) = match select(fatal.wait(), started).await {
        Either::Left(reason) => bail!("this node cannot go on: {reason}"),
        Either::Right(started) => started?,
    };
    process::tell_ready();
    tracing::info!(node = node.number, "node serves");

    let until_stop = async {
        match select(signals.until_stop(|| services.reload()), has_left).await {
            Either::Left(signal) => signal,
            Either::Right(Ok(())) => "node has left the cluster",
            Either::Right(Err(_)) => std::future::pending().await,
        }
    };
    match select(fatal.wait(), until_stop).await {
        // No flush, no goodbye: what the disk holds is what counts now.
        Either::Left(reason) => bail!("this node cannot go on: {reason}"),
        Either::Right(why) => tracing::info!(why, "node stops"),
    }
    process::tell_stopping();
    let hand_over = timeout(HAND_OVER_TIMEOUT, router.hand_over());
    if let (Err(_), ()) = futures::join!(hand_over, services.stop()) {
        tracing::warn!("not every leadership was handed over in time");
    }
    router.stop();
    raft.shutdown().await?;
    storage.close().await?;
    tracing::info!("node stopped");
    Ok(())
}
