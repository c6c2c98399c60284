//! All groups of one node.

use crate::group::{Group, Inner};
use crate::log::Op;
use crate::log_store::LogStore;
use crate::network::{Factory, Peers};
use crate::service::RaftService;
use crate::state_machine::{Machine, Progress};
use crate::types::{C, from_raft};
use crate::{AdminError, Config, Fatal, Leadership, LogEngine, LogId, StateMachine, gauges};
use openraft::errors::{InitializeError, RaftError};
use openraft::metrics::RaftServerMetrics;
use openraft::{EmptyNode, Raft, ServerState};
use openraft_rt::WatchReceiver as _;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;
use zcluster_rpc::{Network, Service};
use zcluster_runtime::{Either, probe, watch};

/// This node's groups.
pub struct MultiRaft {
    config: Arc<Config>,
    openraft: Arc<openraft::Config>,
    log: Arc<dyn LogEngine>,
    network: Arc<dyn Network>,
    groups: Mutex<BTreeMap<u32, Slot>>,
    housekeeping: AtomicBool,
}

enum Slot {
    /// Reading its log.
    Starting,
    Running(Group),
    /// Its core is asked to stop.
    Stopping,
}

impl MultiRaft {
    /// Checks the settings and makes ready to start groups.
    ///
    /// # Errors
    /// Settings that contradict each other.
    pub fn open(config: Config, log: Arc<dyn LogEngine>, network: Arc<dyn Network>) -> io::Result<Arc<Self>> {
        let openraft = Arc::new(config.openraft()?);
        Ok(Arc::new(Self {
            config: Arc::new(config),
            openraft,
            log,
            network,
            groups: Mutex::default(),
            housekeeping: AtomicBool::new(false),
        }))
    }

    /// This node's raft id.
    pub fn node(&self) -> u64 {
        self.config.node
    }

    /// Starts a group: reads its log and vote, applies again what the machine had not flushed, and takes part from
    /// then on.
    ///
    /// # Errors
    /// The log or the machine cannot be read, or the group runs already.
    pub async fn start_group(self: &Arc<Self>, group: u32, machine: Box<dyn StateMachine>) -> io::Result<Group> {
        match self.groups.lock().entry(group) {
            std::collections::btree_map::Entry::Occupied(_) => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("group {group} runs already")));
            }
            std::collections::btree_map::Entry::Vacant(slot) => slot.insert(Slot::Starting),
        };
        match self.build(group, machine).await {
            Ok((started, leadership)) => {
                self.groups.lock().insert(group, Slot::Running(started.clone()));
                started.0.progress.running.store(true, Ordering::Release);
                started.0.raft.run();
                zcluster_runtime::spawn(follow(started.0.clone(), leadership, self.fatal()));
                if started.0.owes().is_some() {
                    zcluster_runtime::spawn(hold_back(Arc::downgrade(&started.0)));
                }
                if !self.housekeeping.swap(true, Ordering::AcqRel) {
                    zcluster_runtime::spawn(gauges::keep_house(Arc::downgrade(self), self.config.metrics_every));
                }
                Ok(started)
            }
            Err(e) => {
                self.groups.lock().remove(&group);
                Err(e)
            }
        }
    }

    async fn build(
        &self,
        group: u32,
        machine: Box<dyn StateMachine>,
    ) -> io::Result<(Group, watch::Sender<Leadership>)> {
        let config = self.config.clone();
        let progress = Arc::new(Progress::new());
        let machine = Machine::new(group, machine, config.clone(), progress.clone())?;
        let log = LogStore::new(self.log.clone(), group, config.max_payload_bytes, progress.clone());
        log.drop_contradiction(machine.last()).await?;
        let peers = Arc::new(Peers {
            group,
            network: self.network.clone(),
            progress: progress.clone(),
            append_timeout: config.election_max,
            pipeline: config.max_pipeline,
        });
        let mut settings = self.openraft.clone();
        if self.log.state(group).owes().is_some() {
            Arc::make_mut(&mut settings).enable_elect = false;
        }
        let raft: Raft<C, Machine> =
            Raft::build(config.node, settings, Factory(peers.clone()), log, machine).await.map_err(io::Error::other)?;
        let (sender, leadership) = watch::channel(Leadership::default());
        let inner = Inner {
            id: group,
            config,
            raft,
            log: self.log.clone(),
            peers,
            progress,
            leadership,
            proposals: Default::default(),
            appends: Default::default(),
            gate: Default::default(),
            snapshot: Default::default(),
            propose_seconds: metrics::histogram!("zcluster_raft_propose_seconds"),
        };
        Ok((Group(Arc::new(inner)), sender))
    }

    /// A group that runs here.
    pub fn group(&self, group: u32) -> Option<Group> {
        match self.groups.lock().get(&group) {
            Some(Slot::Running(g)) => Some(g.clone()),
            _ => None,
        }
    }

    pub(crate) fn inner(&self, group: u32) -> Option<Arc<Inner>> {
        self.group(group).map(|g| g.0)
    }

    /// All groups that run here, by number.
    pub fn groups(&self) -> Vec<Group> {
        let running = |slot: &Slot| match slot {
            Slot::Running(g) => Some(g.clone()),
            Slot::Starting | Slot::Stopping => None,
        };
        self.groups.lock().values().filter_map(running).collect()
    }

    /// Groups of which this node has a log, whether they run or not.
    pub fn logs(&self) -> Vec<u32> {
        self.log.groups().into_iter().filter(|g| self.log.state(*g).last.is_some()).collect()
    }

    /// Gives a new group its first voters; on one node only, which must be among them. Does nothing when the group has
    /// a membership.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn initialize(&self, group: u32, voters: BTreeSet<u64>) -> Result<(), AdminError> {
        let group = self.group(group).ok_or(AdminError::Stopped)?;
        let voters: BTreeMap<u64, EmptyNode> = voters.into_iter().map(|n| (n, EmptyNode {})).collect();
        match group.0.raft.initialize(voters).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::APIError(e)) => Err(AdminError::Refused(e.to_string())),
            Err(RaftError::Fatal(_)) => Err(AdminError::Stopped),
        }
    }

    /// What answers the peers' raft calls (methods 0-99).
    pub fn service(self: &Arc<Self>) -> Arc<dyn Service> {
        Arc::new(RaftService(Arc::downgrade(self)))
    }

    /// Stops a group; its log stays.
    ///
    /// # Errors
    /// The group's core had died.
    pub async fn stop_group(&self, group: u32) -> io::Result<()> {
        let running = {
            let mut groups = self.groups.lock();
            match groups.get_mut(&group) {
                Some(slot @ Slot::Running(_)) => std::mem::replace(slot, Slot::Stopping),
                _ => return Ok(()),
            }
        };
        let Slot::Running(running) = running else { return Ok(()) };
        let result = running.stop().await;
        self.groups.lock().remove(&group);
        result
    }

    /// Stops a group and drops its log from this node. The group must have forgotten this node before: a voter that
    /// comes back without its log may undo what was acknowledged. Its vote and the length of its log are remembered:
    /// should the group call this node again, members that never heard of the removal may ask it for a vote that it
    /// could only give with the log it had (see [`LogState::owes`](crate::log::LogState::owes)).
    ///
    /// # Errors
    /// The disk.
    pub async fn delete_group(&self, group: u32) -> io::Result<()> {
        self.stop_group(group).await?;
        let (tx, rx) = oneshot::channel();
        let done = Box::new(move |result| {
            let _ = tx.send(result);
        });
        let state = self.log.state(group);
        self.log.submit(group, Op::Delete { left: state.left.max(state.last) }, Some(done));
        rx.await.map_err(|_| io::Error::other("the log was closed"))?
    }

    /// Stops all groups and waits until the log is on disk.
    ///
    /// # Errors
    /// The disk.
    pub async fn shutdown(&self) -> io::Result<()> {
        let all: Vec<u32> = self.groups.lock().keys().copied().collect();
        for group in all {
            if let Err(e) = self.stop_group(group).await {
                tracing::warn!(group, error = %e, "stopping a group failed");
            }
        }
        let log = self.log.clone();
        zcluster_runtime::spawn_blocking(move || log.close()).await.map_err(io::Error::other)?
    }

    /// Reports that a group's core died or a disk write failed: the process must stop.
    pub fn fatal(&self) -> Fatal {
        self.log.fatal().clone()
    }
}

/// Follows a group's core: publishes who leads, cuts the log when it has grown, and reports the core's death.
async fn follow(inner: Arc<Inner>, leadership: watch::Sender<Leadership>, fatal: Fatal) {
    let mut server = inner.raft.server_metrics();
    let mut cut = inner.progress.cut.subscribe();
    loop {
        let now = leadership_of(&server.borrow_and_update());
        let before = *leadership.borrow();
        if leadership.send_if_modified(|old| std::mem::replace(old, now) != now) {
            note_succession(&inner, before, now);
        }
        match zcluster_runtime::select(server.changed(), cut.changed()).await {
            Either::Left(Ok(())) => {}
            Either::Left(Err(_)) => break,
            Either::Right(_) => {
                let _ = inner.raft.trigger().snapshot().await;
            }
        }
    }
    let term = leadership.borrow().term;
    leadership.send_replace(Leadership { term, leader: None, is_leader: false });
    // The core says why it ended; being asked to is the only good reason.
    let end = inner.raft.metrics().borrow_watched().running_state.clone();
    match end {
        Ok(()) => fatal.report(format!("the core of group {} died", inner.id)),
        Err(openraft::errors::Fatal::Stopped) => {}
        Err(e) => fatal.report(format!("the core of group {} died: {e}", inner.id)),
    }
}

impl Inner {
    /// Where this replica's log must reach before it may take part in elections (see
    /// [`LogState::owes`](crate::log::LogState::owes)).
    pub(crate) fn owes(&self) -> Option<LogId> {
        self.log.state(self.id).owes()
    }
}

/// Lets a replica that was removed once stand for election as soon as its log is as long again as it was: until then it
/// may find itself a voter in an old membership that it is only now reading.
async fn hold_back(inner: Weak<Inner>) {
    probe("raft.removed.returned", &inner.upgrade().map(|i| [u64::from(i.id)]).unwrap_or_default());
    loop {
        let Some(inner) = inner.upgrade() else { return };
        if inner.owes().is_none() {
            return inner.raft.runtime_config().elect(true);
        }
        let pause = inner.config.heartbeat;
        drop(inner);
        zcluster_runtime::sleep(pause).await;
    }
}

/// Tells a simulator of elections, above all of those that leave this node with entries nobody has committed yet.
fn note_succession(inner: &Inner, before: Leadership, now: Leadership) {
    // A new leader has been in its term since it became a candidate.
    let is_new = now.term > before.term || now.leader != before.leader;
    let Some(leader) = now.leader.filter(|_| is_new) else { return };
    probe("raft.leader.changed", &[u64::from(inner.id), now.term, leader]);
    let metrics = inner.raft.data_metrics();
    let (last, committed) = {
        let m = metrics.borrow_watched();
        (m.last_log.as_ref().map(from_raft), m.local_committed.as_ref().map(from_raft))
    };
    let end = |id: Option<LogId>| id.map_or(0, |l| l.index + 1);
    // The new leader's first entry is no part of the tail.
    let own = u64::from(last.is_some_and(|l| l.term == now.term));
    let tail = end(last).saturating_sub(end(committed) + own);
    if tail > 0 {
        probe("raft.leader.changed_with_tail", &[u64::from(inner.id), now.term, tail]);
    }
}

fn leadership_of(m: &RaftServerMetrics<C>) -> Leadership {
    Leadership {
        term: m.vote.leader_id.term,
        leader: m.current_leader,
        is_leader: m.state == ServerState::Leader && m.current_leader == Some(m.id),
    }
}
