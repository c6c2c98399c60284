//! The beginning: the first node makes the cluster, the others join, accounts are created.

use super::machine::Bootstrap;
use super::{Cluster, DOMAIN, process};
use crate::disk::NodeFile;
use crate::world;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zcluster_api::directory::{Attributes, Cluster as Facts, Modification};
use zcluster_api::{AccountId, Actor, DirectoryApi, DirectoryCommand, Error, GroupId, NodeId, RequestId, Result};
use zcluster_auth::{HashParams, hash_password_with};
use zcluster_router::Router;
use zcluster_runtime::random_bytes;

/// Replicas that a shard has as soon as there are enough nodes.
const REPLICATION: u32 = 3;
/// How long founding may take, true time.
const FOUNDED_WITHIN: Duration = Duration::from_secs(120);
/// How long accounts that keep what they delete keep it: most of a history, not all of it.
const DUMPSTER_LIFETIME: &str = "20s";
/// How often it is looked whether a node serves.
const LOOK: Duration = Duration::from_millis(5);

/// What the first start of the first node does.
pub(super) async fn bootstrap(id: NodeId, bootstrap: Bootstrap, router: &Arc<Router>) -> Result<()> {
    let mut config = Attributes::new();
    config.set("zimbraDefaultDomainName", vec![DOMAIN.to_string()]);
    let facts = Facts {
        id: "simulated".into(),
        shards: bootstrap.shards,
        replication: REPLICATION,
        ca_cert_pem: String::new(),
        ca_key_pem: String::new(),
        config,
    };
    router.bootstrap_first_node(facts, process::first_record(id), AccountId(*b"cos-the-default-")).await
}

impl Cluster {
    /// Founds the cluster on calm wires and disks: boots the first node, lets the others join, waits until every group
    /// is where it belongs, creates the domain and the accounts. From its end on the plan's knobs hold.
    pub async fn found(self: &Arc<Self>) {
        let begun = world::now();
        let first = self.add_machine(1);
        first.disk.write_node_file(NodeFile { number: 1, ..NodeFile::default() });
        first.set_bootstrap(Some(Bootstrap { shards: self.shape().shards }));
        self.switch_on(&first);
        while self.parts(1).is_none() {
            world::sleep(LOOK).await;
        }
        for _ in 1..self.shape().nodes {
            self.join_node().await;
        }
        if let Err(what) = self.settled(FOUNDED_WITHIN).await {
            world::violate("founds", what);
            return;
        }
        self.create_accounts().await;
        if let Err(what) = self.settled(FOUNDED_WITHIN).await {
            world::violate("founds", what);
        }
        self.founded.store(true, Ordering::Relaxed);
        self.apply_knobs();
        world::event("founded", &[world::now() - begun]);
        world::note(world::OUTSIDE, "node", || {
            format!("the cluster is founded after {} ms", (world::now() - begun) / 1_000_000)
        });
    }

    async fn create_accounts(self: &Arc<Self>) {
        let domain = AccountId(*b"domain-simulated");
        let mut commands = vec![];
        for n in 0..self.shape().accounts {
            let hash = hash_password_with(HashParams::cheap(), &format!("pw-{n}"));
            let mut attrs = vec![Modification::set("userPassword", hash)];
            if n % 2 == 1 {
                // What these delete stays for a while.
                attrs.push(Modification::set("zimbraDumpsterEnabled", "TRUE"));
                attrs.push(Modification::set("zimbraMailDumpsterLifetime", DUMPSTER_LIFETIME));
            }
            commands.push(DirectoryCommand::CreateAccount {
                id: self.account(n),
                name: format!("u{n}@{DOMAIN}"),
                attrs,
                // The router chooses a shard.
                group: GroupId::DIRECTORY,
            });
        }
        let done = self.ask(1, move |parts| async move {
            let domain = DirectoryCommand::CreateDomain { id: domain, name: DOMAIN.into(), attrs: Vec::new() };
            write(&parts.router, domain).await?;
            let writes = commands.into_iter().map(|c| write(&parts.router, c));
            futures::future::try_join_all(writes).await.map(drop)
        });
        if !matches!(done.await, Some(Ok(()))) {
            world::violate("founds", "the accounts cannot be created");
        }
    }
}

async fn write(router: &Arc<Router>, command: DirectoryCommand) -> Result<()> {
    match DirectoryApi::write(router.as_ref(), Actor::System, RequestId(random_bytes()), command).await {
        Ok(_) | Err(Error::Exists(_)) => Ok(()),
        Err(e) => Err(e),
    }
}
