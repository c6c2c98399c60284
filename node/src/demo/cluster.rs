//! The demo's nodes.

use super::children::NodeProcess;
use super::{ACCOUNTS, DOMAIN, PASSWORD};
use crate::admin::client::{CallError, Client};
use crate::admin::status::StatusReply;
use crate::admin::{ProvRequest, TokenReply, TokenRequest};
use crate::cli::Demo;
use crate::commands::init::NewCluster;
use crate::commands::{init, join};
use crate::config::Overrides;
use crate::datadir::DataDir;
use crate::ports::Ports;
use anyhow::{Context, Result, bail};
use futures::future::select_all;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use zcluster_prov::Reply;
use zcluster_runtime::{Instant, sleep};

/// Distance between two nodes' base ports.
const PORTS_PER_NODE: u16 = 100;
/// Leaderships move to the nodes that the shard map prefers within seconds; the demo waits so long for it.
const SPREAD_TIMEOUT: Duration = Duration::from_secs(12);
/// The whole cluster may take so long to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Replicas a shard gets where there are enough nodes.
const REPLICAS: usize = 3;

/// One node.
pub struct Member {
    /// 1, 2, 3 as people count; also its node number.
    pub number: u16,
    /// Its ports.
    pub ports: Ports,
    /// Its data directory.
    pub data: PathBuf,
    overrides: Overrides,
    log: PathBuf,
    process: Option<NodeProcess>,
}

impl Member {
    /// Its process id; 0 when it does not run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, NodeProcess::pid)
    }
}

/// A node that ended by itself.
pub struct Ended {
    /// Which.
    pub number: u16,
    /// How.
    pub status: ExitStatus,
    /// Where it says why.
    pub log: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
}

/// All of them.
pub struct Cluster {
    home: PathBuf,
    shards: u32,
    /// By number.
    pub members: Vec<Member>,
}

impl Cluster {
    /// Nothing runs yet.
    ///
    /// # Errors
    /// Ports that do not fit.
    pub fn new(args: &Demo, home: &Path) -> Result<Cluster> {
        let member = |number: u16| -> Result<Member> {
            let base = args.base_port.checked_add(PORTS_PER_NODE * (number - 1)).context("--base-port is too high")?;
            Ok(Member {
                number,
                ports: Ports::at_base(base)?,
                data: home.join(format!("node{number}")),
                overrides: Overrides {
                    base_port: Some(base),
                    listen: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                    ..Overrides::default()
                },
                log: home.join(format!("node{number}.log")),
                process: None,
            })
        };
        let members = (1..=args.nodes).map(member).collect::<Result<Vec<_>>>()?;
        Ok(Cluster { home: home.to_path_buf(), shards: args.shards, members })
    }

    /// Where everything is.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// How many nodes run.
    pub fn running(&self) -> usize {
        self.members.iter().filter(|m| m.process.is_some()).count()
    }

    /// Makes the cluster (or takes up what an earlier run left in the directory) and waits until it is complete.
    ///
    /// # Errors
    /// A node did not start, or not in time.
    pub async fn start(&mut self) -> Result<()> {
        let until = Instant::now() + READY_TIMEOUT;
        if DataDir::at(&self.members[0].data).read_node().is_err() {
            let admin = format!("{}@{DOMAIN}", ACCOUNTS[0]);
            let new =
                NewCluster { shards: self.shards, domain: Some(DOMAIN.into()), admin: Some((admin, PASSWORD.into())) };
            init::create(&self.members[0].data, self.members[0].overrides.clone(), new).await?;
        }
        // Nodes of an earlier run need each other: all at once. New ones come in order.
        let known = self.members.iter().filter(|m| DataDir::at(&m.data).read_node().is_ok()).count();
        for index in 0..known {
            self.serve(index)?;
        }
        self.await_answer(until).await?;
        for index in known..self.members.len() {
            self.join(index).await?;
        }
        self.allow_password().await?;
        for account in ACCOUNTS {
            self.create_account(&format!("{account}@{DOMAIN}")).await?;
        }
        self.await_complete(until).await?;
        self.await_spread().await
    }

    fn serve(&mut self, index: usize) -> Result<()> {
        let member = &mut self.members[index];
        member.process = Some(NodeProcess::start(&member.data, member.log.clone())?);
        Ok(())
    }

    async fn join(&mut self, index: usize) -> Result<()> {
        let token: TokenReply = self.client(0)?.post("/v1/token", &TokenRequest { hours: 1 }).await?;
        let member = &self.members[index];
        let joined = join::create(&token.address, &token.token, &member.data, member.overrides.clone()).await?;
        if joined.number != u32::from(member.number) {
            bail!("node {} was given the number {}: use an empty --data", member.number, joined.number);
        }
        self.serve(index)
    }

    /// A way to a node's admin service.
    ///
    /// # Errors
    /// Not joined yet.
    pub fn client(&self, index: usize) -> Result<Client> {
        Client::local(&self.members[index].data)
    }

    fn check_processes(&mut self) -> Result<()> {
        for member in &mut self.members {
            if let Some(process) = &mut member.process
                && let Some(status) = process.has_ended()
            {
                bail!("node {} did not start ({status}):\n{}", member.number, process.tail());
            }
        }
        Ok(())
    }

    /// Waits until the first node answers: its cluster is there then.
    async fn await_answer(&mut self, until: Instant) -> Result<()> {
        let client = self.client(0)?;
        loop {
            self.check_processes()?;
            match client.get::<StatusReply>("/v1/status").await {
                Ok(status) if status.directory.leader.is_some() => return Ok(()),
                Ok(_) => {}
                Err(e) if until.remaining().is_zero() => return Err(e),
                Err(_) => {}
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until every node is active and every shard has all its replicas.
    async fn await_complete(&mut self, until: Instant) -> Result<()> {
        let client = self.client(0)?;
        loop {
            self.check_processes()?;
            if let Ok(status) = client.get::<StatusReply>("/v1/status").await
                && self.is_complete(&status)
            {
                return Ok(());
            }
            if until.remaining().is_zero() {
                bail!("the cluster is not complete after {READY_TIMEOUT:?}: see the logs in {}", self.home.display());
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until every node leads about its share of the shards; what is not so in time comes later.
    async fn await_spread(&mut self) -> Result<()> {
        let (client, until) = (self.client(0)?, Instant::now() + SPREAD_TIMEOUT);
        let least = self.shards as usize / self.members.len();
        while !until.remaining().is_zero() {
            self.check_processes()?;
            let status = client.get::<StatusReply>("/v1/status").await;
            if status.is_ok_and(|s| s.nodes.iter().all(|n| n.leads.len() >= least)) {
                break;
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn is_complete(&self, status: &StatusReply) -> bool {
        let wanted = self.members.len().min(REPLICAS);
        let active = status.nodes.iter().filter(|n| n.up && n.state == "active").count();
        let full = |g: &crate::admin::status::GroupView| g.is_well() && g.voters.len() >= wanted && g.live >= wanted;
        active == self.members.len()
            && status.shards.len() == self.shards as usize
            && full(&status.directory)
            && status.shards.iter().all(full)
    }

    /// Lets accounts have the demo's password, which is shorter than a site would want.
    ///
    /// # Errors
    /// The cluster refused.
    pub async fn allow_password(&self) -> Result<()> {
        let length = PASSWORD.len().to_string();
        let args = ["modifyCos", "default", "zimbraPasswordMinLength", &length].map(str::to_string).to_vec();
        self.client(0)?.post::<Reply>("/v1/prov", &ProvRequest { args }).await.map(drop)
    }

    /// Creates an account unless it is there.
    ///
    /// # Errors
    /// The cluster refused.
    pub async fn create_account(&self, name: &str) -> Result<()> {
        let args = ["createAccount", name, PASSWORD].map(str::to_string).to_vec();
        match self.client(0)?.post::<Reply>("/v1/prov", &ProvRequest { args }).await {
            Err(e) if e.downcast_ref::<CallError>().is_some_and(|e| e.code == "account.ACCOUNT_EXISTS") => Ok(()),
            other => other.map(drop),
        }
    }

    /// The cluster as any running node sees it.
    ///
    /// # Errors
    /// No node answers.
    pub async fn status(&self) -> Result<StatusReply> {
        let mut last = None;
        for index in (0..self.members.len()).filter(|i| self.members[*i].process.is_some()) {
            match self.client(index)?.get::<StatusReply>("/v1/status").await {
                Ok(status) => return Ok(status),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no node runs")))
    }

    /// Kills a node like a power cut would.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn kill(&mut self, number: u16) -> Result<()> {
        for member in self.members.iter_mut().filter(|m| m.number == number) {
            if let Some(mut process) = member.process.take() {
                process.kill().await?;
            }
        }
        Ok(())
    }

    /// Waits until a node ends by itself; it counts as gone from then on.
    pub async fn any_ended(&mut self) -> Ended {
        let waits = self.members.iter_mut().filter_map(|member| {
            let process = member.process.as_mut()?;
            let (number, log, data) = (member.number, member.log.clone(), member.data.clone());
            Some(Box::pin(async move {
                match process.ended().await {
                    Ok(status) => Ended { number, status, log, data },
                    // The operating system lost our child: nothing to wait for.
                    Err(_) => std::future::pending().await,
                }
            }))
        });
        let ended = select_all(waits.collect::<Vec<_>>()).await.0;
        for member in self.members.iter_mut().filter(|m| m.number == ended.number) {
            member.process = None;
        }
        ended
    }

    /// Stops every node.
    pub async fn stop(&mut self) {
        let mut processes: Vec<NodeProcess> = self.members.iter_mut().filter_map(|m| m.process.take()).collect();
        processes.iter().for_each(NodeProcess::terminate);
        futures::future::join_all(processes.iter_mut().map(NodeProcess::stopped)).await;
    }
}
