//! The first start of a new cluster: what `init` was told is done, again after an interruption until it is all done.

use super::membership;
use crate::config::Config;
use crate::datadir::{DataDir, NodeFile};
use crate::join::request_id;
use crate::pki::Pair;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Cluster, Modification, NodeState};
use zcluster_api::{AccountId, Actor, DirectoryApi, DirectoryCommand, Error, GroupId, NodeId};
use zcluster_directory::defaults;
use zcluster_router::Router;
use zcluster_runtime::{Instant, sleep};

/// Replicas that a shard has as soon as there are enough nodes.
const REPLICATION: u32 = 3;
/// How long the single node may take to be able to write.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What `init` leaves for the first start. Holds the CA's key: it moves into the replicated directory.
#[derive(Serialize, Deserialize)]
pub struct Bootstrap {
    ca_cert_pem: String,
    ca_key_pem: String,
    shards: u32,
    default_cos: [u8; 16],
    domain: Option<(String, [u8; 16])>,
    admin: Option<FirstAdmin>,
}

/// The first administrator.
#[derive(Serialize, Deserialize)]
pub struct FirstAdmin {
    /// Address.
    pub address: String,
    /// What is stored of the password.
    pub password: Vec<String>,
    /// `zimbraId`.
    pub id: [u8; 16],
}

impl Bootstrap {
    /// Its name in the data directory.
    pub const FILE: &str = "bootstrap.json";

    /// With fresh ids, which stay the same however often it is tried.
    pub fn new(ca: &Pair, shards: u32, domain: Option<String>, admin: Option<FirstAdmin>) -> Bootstrap {
        Bootstrap {
            ca_cert_pem: ca.cert_pem.clone(),
            ca_key_pem: ca.key_pem.clone(),
            shards,
            default_cos: defaults::default_cos_id().0,
            domain: domain.map(|d| (d, zcluster_runtime::random_bytes())),
            admin,
        }
    }
}

/// Does what is left to do; nothing on a node that is no first node or has done it.
///
/// # Errors
/// The directory refused, or the node could not write in time.
pub async fn finish(dir: &DataDir, node: &NodeFile, config: &Config, router: &Arc<Router>) -> Result<()> {
    if !dir.has(Bootstrap::FILE) {
        return Ok(());
    }
    let bootstrap: Bootstrap = dir.read_json(Bootstrap::FILE)?;
    let mut global = defaults::global_config();
    if let Some((domain, _)) = &bootstrap.domain {
        global.set("zimbraDefaultDomainName", vec![domain.clone()]);
    }
    let cluster = Cluster {
        id: node.cluster.clone(),
        shards: bootstrap.shards,
        replication: REPLICATION,
        ca_cert_pem: bootstrap.ca_cert_pem,
        ca_key_pem: bootstrap.ca_key_pem,
        config: global,
    };
    let record = membership::record(NodeId(node.id()), NodeState::Active, config);
    tracing::info!(cluster = cluster.id, shards = cluster.shards, "the cluster is made");
    router
        .bootstrap_first_node(cluster, record, AccountId(bootstrap.default_cos))
        .await
        .context("making the cluster")?;
    let command = DirectoryCommand::ModifyCos { name: "default".into(), changes: defaults::cos() };
    until_done(router, command).await.context("the defaults of the COS default")?;
    // Its id is not all hexadecimal in Zimbra, so that it gets one of its own here.
    let (id, name) = (zcluster_directory::fresh_id(), defaults::EXTERNAL_COS.to_string());
    let command = DirectoryCommand::CreateCos { id, name, attrs: defaults::external_cos() };
    until_done(router, command).await.context("the COS of guests")?;
    if let Some((name, id)) = bootstrap.domain {
        let command = DirectoryCommand::CreateDomain { id: AccountId(id), name: name.clone(), attrs: Vec::new() };
        until_done(router, command).await.with_context(|| format!("creating the domain {name}"))?;
    }
    if let Some(admin) = bootstrap.admin {
        let attrs = vec![
            Modification { values: admin.password, ..Modification::set("userPassword", "") },
            Modification::set("zimbraIsAdminAccount", "TRUE"),
        ];
        // Group 0: the router chooses a shard.
        let group = GroupId::DIRECTORY;
        let command =
            DirectoryCommand::CreateAccount { id: AccountId(admin.id), name: admin.address.clone(), attrs, group };
        until_done(router, command).await.with_context(|| format!("creating {}", admin.address))?;
    }
    dir.remove(Bootstrap::FILE)
}

async fn until_done(router: &Arc<Router>, command: DirectoryCommand) -> Result<()> {
    let until = Instant::now() + TIMEOUT;
    loop {
        match router.write(Actor::System, request_id(), command.clone()).await {
            // There from an attempt before this one.
            Ok(_) | Err(Error::Exists(_)) => return Ok(()),
            Err(Error::Unavailable(_)) if !until.remaining().is_zero() => sleep(RETRY_PAUSE).await,
            Err(e) => return Err(e.into()),
        }
    }
}
