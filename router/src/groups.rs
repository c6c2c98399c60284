//! Which groups run on this node: those the shard map names it in, and those it still has until they let it go.

use crate::inner::Inner;
use crate::wire;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::Shard;
use zcluster_api::{DirectoryQuery, DirectoryReply, GroupId, codec};
use zcluster_raft::Group;
use zcluster_replica::Replicas;
use zcluster_rpc::Lane;
use zcluster_runtime::{Instant, probe, select, sleep};

/// The shard map is read again at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same while a replica here waits to be let go: its followers hear nothing any more.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// How long a node asks a group's leader whether it may go.
const ASK: Duration = Duration::from_secs(2);

impl Inner {
    /// The shard map as this node knows it; empty before there is one.
    pub fn shards(&self) -> Vec<Shard> {
        match self.replicas.read_directory(&DirectoryQuery::Shards) {
            Ok(DirectoryReply::Shards(shards)) => shards,
            _ => Vec::new(),
        }
    }

    /// Starts a group here unless it runs.
    ///
    /// # Errors
    /// The disk.
    pub async fn ensure_group(&self, group: GroupId) -> io::Result<Group> {
        // One at a time: two starts of one group would open two machines.
        let _one = self.starting.lock().await;
        if let Some(running) = self.group(group) {
            return Ok(running);
        }
        let machine = self.replicas.machine(group)?;
        let started = self.raft.start_group(group.0, machine).await?;
        tracing::debug!(shard = group.0, "group started");
        Ok(started)
    }

    /// Starts everything that should run here.
    ///
    /// # Errors
    /// The disk.
    pub async fn start_groups(&self) -> io::Result<()> {
        self.ensure_group(GroupId::DIRECTORY).await?;
        let mut on_disk: BTreeSet<GroupId> = self.replicas.on_disk()?.into_iter().collect();
        // A power cut may have taken all of a young replica's rows, but not its log: it still is a voter, and may be the
        // last one that has what was acknowledged.
        on_disk.extend(self.raft.logs().into_iter().map(GroupId));
        for group in on_disk.clone() {
            if self.replicas.is_condemned(group)? {
                // Its removal was interrupted. Started without its log it would be a voter without a memory.
                self.drop_group(group).await?;
                on_disk.remove(&group);
            }
        }
        let shards = self.shards();
        let mine = shards.iter().filter(|s| s.replicas.contains(&self.config.node));
        for group in mine.map(|s| s.group).chain(on_disk).collect::<BTreeSet<_>>() {
            self.ensure_group(group).await?;
        }
        for shard in shards.iter().filter(|s| self.is_founder(s)) {
            self.found(shard.group).await;
        }
        Ok(())
    }

    /// Whether this node is to give the shard its first membership: the map's first version names one node, and only
    /// that one may (a second founder would be a second group of the same name).
    fn is_founder(&self, shard: &Shard) -> bool {
        shard.version == 1 && shard.replicas == [self.config.node]
    }

    /// Gives a group its first membership, this node. Does nothing when it has one.
    pub async fn found(&self, group: GroupId) {
        if let Err(error) = self.raft.initialize(group.0, BTreeSet::from([self.me()])).await {
            tracing::warn!(shard = group.0, %error, "group not founded yet");
        }
    }

    /// Starts groups newly named here, and removes those that have let this node go.
    /// Says whether some are still waiting to be let go.
    async fn follow_map(&self) -> io::Result<bool> {
        let shards = self.shards();
        let mut named = BTreeSet::from([GroupId::DIRECTORY]);
        for shard in shards.iter().filter(|s| s.replicas.contains(&self.config.node)) {
            named.insert(shard.group);
            let new = self.group(shard.group).is_none();
            self.ensure_group(shard.group).await?;
            if new && self.is_founder(shard) {
                self.found(shard.group).await;
            }
        }
        let known: BTreeSet<GroupId> = shards.iter().map(|s| s.group).collect();
        let mut waiting = false;
        for group in self.raft.groups() {
            let id = GroupId(group.id());
            // A group that the map does not know at all is none to judge: the directory here may be behind.
            if named.contains(&id) || !known.contains(&id) {
                continue;
            }
            waiting |= !(self.may_leave(id, group.status().term).await && self.remove_group(id).await?);
        }
        Ok(waiting)
    }

    /// Whether the group's leader says that this node is no member any more. The map alone is not enough: it says
    /// what should be, and a voter that vanishes before it is voted out costs a quorum. Nor is the word of a leader
    /// of a term before one that this node has seen: it may have been deposed long ago, and its successor may count
    /// this node's log among those that have what was acknowledged. `seen`: the last term that this replica knew.
    async fn may_leave(&self, group: GroupId, seen: u64) -> bool {
        // The map here may be behind one that names this node again.
        if self.directory_barrier(Instant::now() + ASK).await.is_err() || self.members(group).contains(&self.me()) {
            return false;
        }
        for peer in self.members(group).into_iter().filter(|p| *p != self.me()) {
            let asked = self.network.call(peer, Lane::Data, wire::REPORT, Bytes::new(), ASK).await;
            let report = asked.ok().and_then(|a| wire::open_answer(a).ok());
            let Some(report) = report.and_then(|r| codec::decode::<crate::NodeReport>(&r).ok()) else { continue };
            let led = report.replicas.into_iter().find(|r| r.group == group.0 && r.part == crate::Part::Leader);
            if let Some(led) = led.filter(|l| l.term >= seen) {
                let me = self.me();
                return !led.joint && !led.voters.contains(&me) && !led.learners.contains(&me);
            }
        }
        false
    }

    /// Removes a group whose leader let this node go. False when it may not be removed after all.
    async fn remove_group(&self, group: GroupId) -> io::Result<bool> {
        let one = self.starting.lock().await;
        let Some(running) = self.group(group) else { return Ok(false) };
        let seen = running.status().term;
        drop(running);
        // From here on this replica acknowledges nothing. It may have been called back since the leader was asked, and
        // what it acknowledged as a member again must not be thrown away: so the leader is asked once more.
        self.raft.stop_group(group.0).await?;
        if !self.may_leave(group, seen).await {
            drop(one);
            self.ensure_group(group).await?;
            probe("router.removal.withdrawn", &[u64::from(group.0)]);
            return Ok(false);
        }
        self.on_disk(group, Replicas::condemn).await?;
        self.drop_group(group).await?;
        self.hub.sweep(|_, home| home.is_some_and(|(g, _)| g == group));
        tracing::info!(shard = group.0, "replica removed from this node");
        Ok(true)
    }

    /// Drops a condemned group's log, then its state.
    async fn drop_group(&self, group: GroupId) -> io::Result<()> {
        self.raft.delete_group(group.0).await?;
        self.on_disk(group, Replicas::remove).await
    }

    async fn on_disk(&self, group: GroupId, work: fn(&Replicas, GroupId) -> io::Result<()>) -> io::Result<()> {
        let replicas = self.replicas.clone();
        let done = zcluster_runtime::spawn_blocking(move || work(&replicas, group)).await;
        done.map_err(io::Error::other)?
    }
}

/// Follows the shard map until the router stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let (mut topology, mut stopped) = (inner.replicas.topology(), inner.stopped.subscribe());
    while !inner.is_stopped() {
        let pause = match inner.follow_map().await {
            Ok(false) => LOOK_EVERY,
            Ok(true) => LOOK_SOON,
            Err(error) => return inner.raft.fatal().report(format!("groups of this node: {error}")),
        };
        select(topology.changed(), select(sleep(pause), stopped.changed())).await;
    }
}

/// Looks now and then whether watched mailboxes are where their followers look for them.
pub(crate) async fn sweep(inner: Arc<Inner>) {
    const SWEEP_EVERY: Duration = Duration::from_secs(30);
    const SWEEP_GAP: Duration = Duration::from_secs(1);
    let (mut deletions, mut stopped) = (inner.replicas.deletions(), inner.stopped.subscribe());
    while !inner.is_stopped() {
        let begun = Instant::now();
        inner.hub.sweep(|account, home| crate::hub::is_stale(&inner, account, home));
        select(deletions.changed(), select(sleep(SWEEP_EVERY), stopped.changed())).await;
        select(zcluster_runtime::sleep_until(begun + SWEEP_GAP), stopped.changed()).await;
    }
}
