//! Carrying one piece of work to a group's leader: try, learn, wait, try again, until the deadline.

use crate::inner::Inner;
use crate::wire::{self, Miss, ReadHead, WriteHead};
use bytes::Bytes;
use std::time::Duration;
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Error, GroupId, MailboxReply, RequestId, Result, codec};
use zcluster_raft::{Group, ProposeError, ReadError};
use zcluster_replica::{MailboxRead, proposal};
use zcluster_rpc::{Lane, RpcError};
use zcluster_runtime::planted::{Bug, planted};
use zcluster_runtime::{Either, Instant, jitter, probe, random_bytes, select, sleep, timeout_at};

/// Redirections followed at once before the router waits: two nodes may point at each other for a moment.
const HOPS_MAX: u32 = 3;
/// How long a replica that could not catch up with a read in time is not asked again.
const LAGGING_FOR: Duration = Duration::from_secs(5);
/// How long a follower of this node may take to reach a read's position before the leader is asked instead.
const FOLLOWER_READ_MAX: Duration = Duration::from_millis(500);
/// How long one read barrier may take before another leader is looked for.
pub(crate) const BARRIER_MAX: Duration = Duration::from_secs(1);

/// What to carry.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Propose this entry.
    Write(Bytes),
    /// Answer this.
    Read(Box<MailboxRead>),
}

impl Work {
    /// Whether the work itself may rightly take longer than one try does.
    fn is_long(&self) -> bool {
        matches!(self, Work::Read(read) if read.query.is_search())
    }
    fn kind(&self) -> &'static str {
        match self {
            Work::Write(_) => "write",
            Work::Read(_) => "read",
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Done {
    /// The index applied at the leader, the reply, and whether that was this node.
    Written(u64, Bytes, bool),
    /// The answer.
    Read(MailboxReply),
}

/// Whom a piece of work is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    pub group: GroupId,
    pub request: RequestId,
    pub account: Option<AccountId>,
    pub deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// This node leads.
    Here,
    /// This node follows, and may answer reads.
    Follower,
    /// A peer.
    Peer(u64),
}

/// What one errand has learned.
#[derive(Default)]
struct Tried {
    tries: u32,
    hops: u32,
    failed: Option<Target>,
    told: Option<u64>,
    /// A try before may have had its effect.
    unknown: bool,
}

impl Inner {
    /// Carries `work` to the leader of the errand's group.
    ///
    /// # Errors
    /// What the shard answered, or `Unavailable` at the deadline.
    pub async fn carry(&self, errand: Errand, work: &Work) -> Result<Done> {
        let begun = Instant::now();
        let mut tried = Tried::default();
        let outcome = loop {
            let target = self.target(errand.group, work, &mut tried);
            // Proposed here, an entry needs no second try while this node leads, and when it ceases to, raft says so.
            let patient = work.is_long() || target == Some(Target::Here);
            let attempt = if patient { errand.deadline } else { Instant::now() + self.config.attempt };
            let attempt = attempt.min(errand.deadline);
            let result = match target {
                Some(target) => match timeout_at(attempt, self.attempt(target, &errand, work, attempt)).await {
                    Ok(result) => result,
                    Err(_) => Err(Miss::Unknown("no answer in time".into())),
                },
                None => Err(Miss::NotLeader(None)),
            };
            match result {
                Ok(done) => {
                    self.learned(errand.group, target);
                    note_success(&errand, work, &tried, target);
                    self.count(work, "ok", target);
                    break Ok(done);
                }
                Err(Miss::Api(e)) => {
                    self.count(work, "error", target);
                    break Err(e);
                }
                Err(miss) => {
                    tracing::debug!(shard = errand.group.0, request = %errand.request, ?target, %miss, "try failed");
                    if self.is_stopped() || errand.deadline.remaining().is_zero() {
                        self.count(work, "unavailable", target);
                        break Err(Error::Unavailable(format!("shard {}: {miss}", errand.group)));
                    }
                    tried.unknown |= matches!(miss, Miss::Unknown(_));
                    self.next_try(&errand, &mut tried, target, &miss).await;
                }
            }
        };
        metrics::histogram!("zcluster_router_call_seconds", "kind" => work.kind())
            .record(begun.elapsed().as_secs_f64());
        outcome
    }

    fn count(&self, work: &Work, outcome: &'static str, target: Option<Target>) {
        let place = match target {
            Some(Target::Peer(_)) => "remote",
            _ => "local",
        };
        metrics::counter!("zcluster_router_calls_total", "kind" => work.kind(), "outcome" => outcome, "where" => place)
            .increment(1);
    }

    /// Takes note of a failed try and waits as long as makes sense before the next.
    async fn next_try(&self, errand: &Errand, tried: &mut Tried, target: Option<Target>, miss: &Miss) {
        metrics::counter!("zcluster_router_retries_total").increment(1);
        tried.failed = target;
        if target == Some(Target::Follower) {
            let until = Instant::now() + LAGGING_FOR;
            self.lagging.lock().insert(errand.group, until);
            return;
        }
        if planted(Bug::CachedRouteTrusted) {
            return sleep(jitter(self.config.backoff_max).min(errand.deadline.remaining())).await;
        }
        if let Some(hint) = self.hints.lock().remove(&errand.group) {
            probe("router.hint.dropped", &[u64::from(errand.group.0), hint]);
        }
        if let Miss::NotLeader(Some(leader)) = miss
            && target != Some(Target::Peer(*leader))
            && tried.hops < HOPS_MAX
        {
            probe("router.redirected", &[u64::from(errand.group.0), *leader]);
            tried.hops += 1;
            tried.told = Some(*leader);
            return;
        }
        tried.hops = 0;
        let doubled = self.config.backoff_min.saturating_mul(1 << tried.tries.min(16));
        tried.tries += 1;
        let wait = jitter(doubled.min(self.config.backoff_max)).min(errand.deadline.remaining());
        match self.group(errand.group) {
            // An election's end is worth waking up for.
            Some(group) => drop(select(sleep(wait), other_leader(group, None)).await),
            None => sleep(wait).await,
        }
    }

    fn learned(&self, group: GroupId, target: Option<Target>) {
        if let Some(Target::Peer(leader)) = target
            && (self.group(group).is_none() || planted(Bug::CachedRouteTrusted))
        {
            self.hints.lock().insert(group, leader);
        }
    }

    /// Whom to ask next.
    fn target(&self, group: GroupId, work: &Work, tried: &mut Tried) -> Option<Target> {
        let peer = |id: u64| if id == self.me() { Target::Here } else { Target::Peer(id) };
        if let Some(told) = tried.told.take() {
            return Some(peer(told));
        }
        if planted(Bug::CachedRouteTrusted)
            && let Some(hint) = self.hints.lock().get(&group).copied()
        {
            return Some(peer(hint));
        }
        if let Some(local) = self.group(group) {
            let led = *local.leadership().borrow();
            if led.is_leader {
                return Some(Target::Here);
            }
            if let Some(leader) = led.leader {
                if matches!(work, Work::Read(_)) && self.may_follow(group) {
                    return Some(Target::Follower);
                }
                if tried.failed != Some(peer(leader)) {
                    return Some(peer(leader));
                }
            }
        }
        if let Some(hint) = self.hints.lock().get(&group).copied() {
            return Some(peer(hint));
        }
        let members: Vec<u64> = self.members(group).into_iter().filter(|m| *m != self.me()).collect();
        let at = (tried.tries as usize).checked_rem(members.len())?;
        members.get(at).copied().map(peer)
    }

    fn may_follow(&self, group: GroupId) -> bool {
        let mut lagging = self.lagging.lock();
        match lagging.get(&group) {
            Some(until) if !until.remaining().is_zero() => false,
            Some(_) => {
                lagging.remove(&group);
                true
            }
            None => true,
        }
    }

    /// The nodes that should have a group, from the local directory replica.
    pub fn members(&self, group: GroupId) -> Vec<u64> {
        let query = if group == GroupId::DIRECTORY { DirectoryQuery::Nodes } else { DirectoryQuery::Shards };
        match self.replicas.read_directory(&query) {
            Ok(DirectoryReply::Nodes(nodes)) => nodes.iter().map(|n| n.id.0).collect(),
            Ok(DirectoryReply::Shards(shards)) => {
                let shard = shards.into_iter().find(|s| s.group == group);
                shard.map(|s| s.replicas.iter().map(|n| n.0).collect()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    async fn attempt(&self, target: Target, errand: &Errand, work: &Work, until: Instant) -> Result<Done, Miss> {
        let forgetful;
        let (errand, work) = match work {
            Work::Write(payload) if planted(Bug::RetryWithoutRequestId) => {
                let request = RequestId(random_bytes());
                let renamed = proposal::renamed(payload, request).map_err(Miss::Api)?;
                forgetful = (Errand { request, ..*errand }, Work::Write(renamed));
                (&forgetful.0, &forgetful.1)
            }
            _ => (errand, work),
        };
        match (target, work) {
            (Target::Here, Work::Write(payload)) => {
                let (applied, reply) = self.propose_here(errand.group, payload.clone(), until.remaining()).await?;
                Ok(Done::Written(applied, reply, true))
            }
            (Target::Here, Work::Read(read)) => self.read_here(read, until.remaining()).await.map(Done::Read),
            (Target::Follower, Work::Read(read)) => {
                let wait = until.remaining().min(FOLLOWER_READ_MAX);
                self.read_following(read, wait).await.map(Done::Read)
            }
            (Target::Follower, Work::Write(_)) => Err(Miss::NotLeader(None)),
            (Target::Peer(to), Work::Write(payload)) => {
                let (group, request, account) = (errand.group, errand.request, errand.account);
                let head = WriteHead { group, request, timeout_ms: millis(until), account };
                let reply = self.ask(to, group, wire::WRITE, wire::request(&head, payload), until).await?;
                let (applied, reply) = wire::open_written(reply)?;
                Ok(Done::Written(applied, reply, false))
            }
            (Target::Peer(to), Work::Read(read)) => {
                let head = ReadHead {
                    group: errand.group,
                    request: errand.request,
                    timeout_ms: millis(until),
                    account: errand.account,
                    mailbox: read.mailbox,
                    epoch: read.epoch,
                    quota: read.quota,
                    query: read.query.clone(),
                    actor: read.actor,
                };
                let reply = self.ask(to, errand.group, wire::READ, wire::request(&head, &[]), until).await?;
                codec::decode(&reply).map(Done::Read).map_err(Miss::Api)
            }
        }
    }

    /// Asks a peer; gives up early when another leader shows up here.
    async fn ask(&self, to: u64, group: GroupId, method: u16, body: Bytes, until: Instant) -> Result<Bytes, Miss> {
        let Ok(_permit) = self.forwards.acquire().await else { return Err(Miss::Refused("stopping".into())) };
        let call = self.network.call(to, Lane::Data, method, body, until.remaining());
        let answer = match self.group(group) {
            None => call.await,
            Some(local) => match select(call, other_leader(local, Some(to))).await {
                Either::Left(answer) => answer,
                Either::Right(()) => return Err(Miss::Unknown("the leader changed".into())),
            },
        };
        wire::open_answer(answer.map_err(rpc_miss)?)
    }

    /// Proposes an entry here.
    ///
    /// # Errors
    /// Why not.
    pub async fn propose_here(&self, group: GroupId, mut payload: Bytes, wait: Duration) -> Result<(u64, Bytes), Miss> {
        let Some(local) = self.group(group) else { return Err(Miss::NotLeader(None)) };
        if planted(Bug::UidBeforeCommit) {
            payload = self.replicas.carry_uid(self.me(), group, payload);
        }
        match local.propose(payload, wait).await {
            // Applied here before the answer came.
            Ok(reply) => Ok((self.replicas.status(group).applied.unwrap_or(0), reply)),
            Err(ProposeError::NotLeader { leader }) => Err(Miss::NotLeader(leader)),
            Err(ProposeError::Refused(why)) => Err(Miss::Refused(why)),
            Err(ProposeError::Unknown(why)) => Err(Miss::Unknown(why)),
            Err(ProposeError::Stopped) => Err(Miss::Unknown("the group is stopped".into())),
        }
    }

    /// Answers a query as the group's leader.
    ///
    /// # Errors
    /// Why not.
    pub async fn read_here(&self, read: &MailboxRead, wait: Duration) -> Result<MailboxReply, Miss> {
        let Some(local) = self.group(read.group) else { return Err(Miss::NotLeader(None)) };
        local.read_barrier(wait.min(BARRIER_MAX)).await.map_err(read_miss)?;
        self.replicas.read_mailbox(read.clone()).await.map_err(Miss::Api)
    }

    /// Answers a query from a follower here, at a position that the leader named.
    async fn read_following(&self, read: &MailboxRead, wait: Duration) -> Result<MailboxReply, Miss> {
        let Some(local) = self.group(read.group) else { return Err(Miss::NotLeader(None)) };
        local.read_barrier_anywhere(wait).await.map_err(read_miss)?;
        self.replicas.read_mailbox(read.clone()).await.map_err(Miss::Api)
    }
}

/// Tells a simulator of the ways in which an errand can end well.
fn note_success(errand: &Errand, work: &Work, tried: &Tried, target: Option<Target>) {
    let group = u64::from(errand.group.0);
    if target == Some(Target::Follower) {
        probe("router.read.follower", &[group]);
    }
    if tried.unknown && matches!(work, Work::Write(_)) {
        probe("router.retry.answered", &[group]);
    }
    if tried.failed.is_some_and(|failed| failed != Target::Follower && Some(failed) != target) {
        // The caller, an IMAP session for one, noticed nothing but a delay.
        probe("router.failover.survived", &[group]);
    }
}

fn millis(until: Instant) -> u64 {
    u64::try_from(until.remaining().as_millis()).unwrap_or(u64::MAX).max(1)
}

fn read_miss(e: ReadError) -> Miss {
    match e {
        ReadError::NotLeader { leader } => Miss::NotLeader(leader),
        ReadError::Unavailable => Miss::Refused("no quorum in time".into()),
    }
}

fn rpc_miss(e: RpcError) -> Miss {
    match e {
        RpcError::Unreachable(..) | RpcError::Refused(_) => Miss::Refused(e.to_string()),
        RpcError::Lost(_) | RpcError::Remote(_) => Miss::Unknown(e.to_string()),
    }
}

/// Ends when a leader other than `than` becomes known here.
pub(crate) async fn other_leader(group: Group, than: Option<u64>) {
    let mut leadership = group.leadership();
    let before = *leadership.borrow_and_update();
    while leadership.changed().await.is_ok() {
        let now = *leadership.borrow();
        let news = (now.term, now.leader) != (before.term, before.leader);
        if news && now.leader.is_some() && now.leader != than {
            return;
        }
    }
    // The group was stopped here: nothing more to learn.
    std::future::pending().await
}
