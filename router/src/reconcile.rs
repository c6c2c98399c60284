//! Making groups what the map says. Every leader does it for its own groups, comparing what is with what should be and
//! taking one safe step; interrupted anywhere, the next look goes on from what is found.

use crate::inner::{Inner, acts_as_leader, leads};
use crate::planner;
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use zcluster_api::directory::{Node, NodeState};
use zcluster_api::{DirectoryCommand, DirectoryQuery, DirectoryReply, GroupId, RequestId};
use zcluster_raft::{AdminError, Group, GroupStatus};
use zcluster_runtime::{Instant, probe, random_bytes, select, sleep};

/// How long one group's new replicas are waited for before the next group has its turn; they go on catching up.
const CATCH_UP: Duration = Duration::from_secs(2);
/// How often a new replica's lag is looked at.
const LAG_EVERY: Duration = Duration::from_millis(50);
/// A preferred leader must have been up to date for so long before it is given the leadership: a node that has just
/// come back, or flaps, is left in peace.
const STABLE: Duration = Duration::from_secs(3);
/// Leaderships handed over in one look.
const TRANSFERS_MAX: usize = 16;
/// Accounts indexed by one command, and commands of one look, when the directory's index is built for what an earlier
/// version wrote.
const INDEX_BATCH: u32 = 500;
const INDEX_BATCHES: usize = 20;
/// Entries that a next leader may lack.
const TRANSFER_LAG: u64 = 64;

/// What the reconciler remembers between looks: since when a group's preferred leader has been fit.
#[derive(Default)]
pub(crate) struct Memory {
    /// The directory's index is known to be whole.
    indexed: AtomicBool,
    fit: Mutex<BTreeMap<GroupId, (u64, Instant)>>,
}

/// What a group should be.
struct Wanted {
    group: Group,
    voters: BTreeSet<u64>,
    learners: BTreeSet<u64>,
    /// Whom to lead; `None`: whoever does.
    leader: Option<u64>,
}

impl Inner {
    /// The nodes as this node knows them; empty before there is a cluster.
    pub fn nodes(&self) -> Vec<Node> {
        match self.replicas.read_directory(&DirectoryQuery::Nodes) {
            Ok(DirectoryReply::Nodes(nodes)) => nodes,
            _ => Vec::new(),
        }
    }

    /// What the groups led here should be.
    fn wanted(&self) -> Vec<Wanted> {
        let (nodes, shards) = (self.nodes(), self.shards());
        let led = self.raft.groups().into_iter().filter(leads);
        let wanted = led.filter_map(|group| {
            if group.id() == GroupId::DIRECTORY.0 {
                return directory_wanted(&nodes, group);
            }
            let shard = shards.iter().find(|s| s.group.0 == group.id())?;
            let voters: BTreeSet<u64> = shard.replicas.iter().map(|n| n.0).collect();
            let leader = shard.replicas.first().map(|n| n.0);
            (!voters.is_empty()).then_some(Wanted { group, voters, learners: BTreeSet::new(), leader })
        });
        wanted.collect()
    }

    /// One look at everything led here.
    pub async fn reconcile(&self, memory: &Memory) {
        let wanted = self.wanted();
        let mut steps = Vec::new();
        for w in &wanted {
            if !is_so(&w.group.status(), w) {
                steps.push(self.try_step(w));
            }
        }
        // Every group is looked at, so many at a time.
        futures::stream::iter(steps).buffer_unordered(self.config.moves_max.max(1)).collect::<()>().await;
        self.balance(memory, &wanted).await;
        if self.leads_directory() {
            self.admit_joined().await;
            self.write_plan().await;
            self.build_index(memory).await;
        }
    }

    async fn try_step(&self, wanted: &Wanted) {
        if let Err(error) = self.step(wanted).await {
            tracing::info!(shard = wanted.group.id(), %error, "membership step put off");
        }
    }

    /// Takes a group from what it is to what it should be, as far as it goes now.
    async fn step(&self, wanted: &Wanted) -> Result<(), AdminError> {
        let group = &wanted.group;
        if !acts_as_leader(group) {
            return Err(AdminError::NotLeader { leader: group.leader() });
        }
        let now = group.status();
        let mut members: BTreeSet<u64> = now.voters.union(&now.learners).copied().collect();
        let mut added = BTreeSet::new();
        for node in wanted.voters.union(&wanted.learners) {
            if members.insert(*node) {
                tracing::info!(shard = group.id(), node, "replica added");
                group.add_learner(*node).await?;
                added.insert(*node);
            }
        }
        // A leader that has to go adds the others first and hands over: it cannot remove itself and see it through.
        let mut voters = wanted.voters.clone();
        let leaving = !voters.contains(&self.me());
        if leaving {
            voters.insert(self.me());
        }
        if group.status().joint || group.status().voters != voters {
            if !self.caught_up(group, &voters, &added).await {
                return Ok(());
            }
            let keep: Vec<u64> = voters.iter().copied().collect();
            tracing::info!(shard = group.id(), voters = ?keep, "voters change");
            let promoted = voters.difference(&group.status().voters).count() as u64;
            group.change_voters(voters).await?;
            if promoted > 0 {
                probe("reconciler.promoted", &[u64::from(group.id()), promoted]);
            }
        }
        if leaving {
            if let Some(next) = fittest(&group.status(), &wanted.voters) {
                group.transfer_leader(next).await?;
            }
            return Ok(());
        }
        let unwanted: BTreeSet<u64> = group.status().learners.difference(&wanted.learners).copied().collect();
        if !unwanted.is_empty() {
            group.remove_learners(unwanted).await?;
        }
        Ok(())
    }

    /// Waits until those of `voters` that have no vote yet lack little. A vote for a replica without data would make
    /// the group wait for it. One that was there before and never answered is not waited for: it may be down.
    async fn caught_up(&self, group: &Group, voters: &BTreeSet<u64>, added: &BTreeSet<u64>) -> bool {
        let until = Instant::now() + CATCH_UP;
        loop {
            let now = group.status();
            let lags: Vec<(u64, Option<u64>)> = voters.difference(&now.voters).map(|n| (*n, lag(&now, *n))).collect();
            if lags.iter().all(|(_, lag)| lag.is_some_and(|lag| lag <= self.config.promote_lag)) {
                return true;
            }
            let silent = lags.iter().any(|(node, lag)| lag.is_none() && !added.contains(node));
            let over = until.remaining().is_zero() || self.is_stopped() || !group.leadership().borrow().is_leader;
            if silent || over {
                return false;
            }
            sleep(LAG_EVERY).await;
        }
    }

    /// Gives leaderships to the nodes the map prefers, gently.
    async fn balance(&self, memory: &Memory, wanted: &[Wanted]) {
        let mut due = Vec::new();
        {
            let mut fit = memory.fit.lock();
            let mut still = BTreeMap::new();
            for w in wanted {
                let (id, status) = (GroupId(w.group.id()), w.group.status());
                let Some(to) = w.leader.filter(|l| *l != self.me() && is_so(&status, w)) else { continue };
                if lag(&status, to).is_none_or(|lag| lag > TRANSFER_LAG) {
                    continue;
                }
                let since = fit.get(&id).filter(|(node, _)| *node == to).map_or_else(Instant::now, |(_, since)| *since);
                still.insert(id, (to, since));
                if since.elapsed() >= STABLE && due.len() < TRANSFERS_MAX {
                    due.push((w.group.clone(), to));
                }
            }
            *fit = still;
        }
        for (group, to) in due {
            if !acts_as_leader(&group) {
                continue;
            }
            tracing::debug!(shard = group.id(), to, "leadership goes to its preferred node");
            if let Err(error) = group.transfer_leader(to).await {
                tracing::info!(shard = group.id(), to, %error, "leadership not handed over");
            }
        }
    }

    /// Joining nodes that follow the directory become active, and so get their share.
    async fn admit_joined(&self) {
        let Some(directory) = self.group(GroupId::DIRECTORY) else { return };
        let status = directory.status();
        for node in self.nodes().into_iter().filter(|n| n.state == NodeState::Joining) {
            if lag(&status, node.id.0).is_some_and(|lag| lag <= self.config.promote_lag) {
                if !acts_as_leader(&directory) {
                    return;
                }
                let id = node.id;
                // Only as long as it is joining: it may be told to leave at this very moment.
                let command = DirectoryCommand::PutNode(Node { state: NodeState::Active, ..node }, Some(node.state));
                match self.system_write(command).await {
                    Ok(_) => tracing::info!(node = id.0, "node is active"),
                    Err(error) => tracing::info!(node = id.0, %error, "node not active yet"),
                }
            }
        }
    }

    /// Writes what the planner wants changed into the map.
    /// Indexes what an earlier version of this software wrote without an index.
    async fn build_index(&self, memory: &Memory) {
        for _ in 0..INDEX_BATCHES {
            if memory.indexed.load(Relaxed) || !self.leads_directory() {
                return;
            }
            match self.system_write(DirectoryCommand::BuildIndex { limit: INDEX_BATCH }).await {
                Ok(DirectoryReply::Number(0)) => memory.indexed.store(true, Relaxed),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "the directory's index is not built yet");
                    return;
                }
            }
        }
    }

    async fn write_plan(&self) {
        let Ok(DirectoryReply::Cluster(cluster)) = self.replicas.read_directory(&DirectoryQuery::Cluster) else {
            return;
        };
        for shard in planner::plan(&self.nodes(), &self.shards(), cluster.replication) {
            if !self.group(GroupId::DIRECTORY).is_some_and(|directory| acts_as_leader(&directory)) {
                return;
            }
            let (group, expect) = (shard.group, shard.version - 1);
            if let Err(error) = self.system_write(DirectoryCommand::PutShard { shard, expect }).await {
                // Somebody else wrote, or this node leads no more: the next look starts from what there is then.
                tracing::info!(shard = group.0, %error, "shard map not changed");
                return;
            }
            probe("planner.moved", &[u64::from(group.0), expect + 1]);
        }
    }

    /// A directory command of the cluster itself.
    pub async fn system_write(&self, command: DirectoryCommand) -> zcluster_api::Result<DirectoryReply> {
        self.directory_write(zcluster_api::Actor::System, RequestId(random_bytes()), command).await
    }

    /// Hands every leadership held here to the fittest other voter.
    pub async fn hand_over(&self) {
        for group in self.raft.groups() {
            let status = group.status();
            if !group.leadership().borrow().is_leader {
                continue;
            }
            let Some(to) = fittest(&status, &status.voters) else { continue };
            if let Err(error) = group.transfer_leader(to).await {
                tracing::warn!(shard = group.id(), to, %error, "leadership not handed over");
            }
        }
    }
}

fn directory_wanted(nodes: &[Node], group: Group) -> Option<Wanted> {
    let status = group.status();
    let voters = planner::directory_voters(nodes, &status.voters);
    if voters.is_empty() {
        return None;
    }
    let present = nodes.iter().filter(|n| n.state != NodeState::Removed).map(|n| n.id.0);
    let learners = present.filter(|n| !voters.contains(n)).collect();
    Some(Wanted { group, voters, learners, leader: None })
}

fn is_so(now: &GroupStatus, wanted: &Wanted) -> bool {
    !now.joint && now.voters == wanted.voters && now.learners == wanted.learners
}

/// Entries that a member lacks, as its leader knows; `None` when it has never answered.
fn lag(status: &GroupStatus, node: u64) -> Option<u64> {
    if node == status.node {
        return Some(0);
    }
    status.followers.iter().find(|f| f.node == node && f.matched.is_some()).map(|f| f.lag)
}

/// The one of `among` (other than the leader) that lacks least.
fn fittest(status: &GroupStatus, among: &BTreeSet<u64>) -> Option<u64> {
    let others = among.iter().filter(|n| **n != status.node);
    let known = others.filter_map(|n| lag(status, *n).map(|lag| (lag, *n)));
    known.filter(|(lag, _)| *lag <= TRANSFER_LAG).min().map(|(_, n)| n)
}

/// Looks and steps until the router stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let (mut topology, mut stopped) = (inner.replicas.topology(), inner.stopped.subscribe());
    let memory = Memory::default();
    while !inner.is_stopped() {
        inner.reconcile(&memory).await;
        select(topology.changed(), select(sleep(inner.config.reconcile_every), stopped.changed())).await;
    }
}
