//! What an operator does with commands: lets nodes join and leave, and clears away what is left of attempts that
//! failed. Each command is carried out by the process of some member, as `zcluster join` and `zcluster leave` are.

use super::Cluster;
use super::machine::Machine;
use super::process::{Parts, candidate};
use crate::disk::NodeFile;
use crate::world::{self, OUTSIDE, Stream};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use zcluster_api::directory::NodeState;
use zcluster_api::{Actor, Error, NodeId};
use zcluster_router::admission;
use zcluster_runtime::{Either, select};

/// How long an operator waits for a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long each node may take to report.
const STATUS_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Pause between two attempts, and between two looks at the progress.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Attempts to join before the operator gives up.
const JOIN_ATTEMPTS: u32 = 20;
/// A node that has left ends by itself within this time, or is stopped by the operator.
const END_WITHIN: Duration = Duration::from_secs(15);

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Done,
    Refused,
    Unknown,
}

impl Cluster {
    /// Has the process of a node that serves do some work, in its context. `None` when it ended meanwhile or took too
    /// long (the work may go on).
    pub async fn ask<T, F>(&self, node: u32, work: impl FnOnce(Arc<Parts>) -> F + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let parts = self.parts(node)?;
        let (tx, rx) = oneshot::channel();
        world::spawn_on(node, async move {
            let _ = tx.send(work(parts).await);
        });
        match select(rx, world::sleep(COMMAND_TIMEOUT)).await {
            Either::Left(answer) => answer.ok(),
            Either::Right(()) => None,
        }
    }

    /// A member whose process serves, other than `but`, drawn from the director's chance.
    pub(crate) fn some_member(&self, but: u32) -> Option<u32> {
        let up: Vec<u32> = self.up().into_iter().filter(|n| *n != but).collect();
        world::draw(Stream::Director, |r| r.pick(&up).copied())
    }

    /// A new machine becomes a node. `None` when nobody could admit it.
    pub(crate) async fn join_node(self: &Arc<Self>) -> Option<u32> {
        self.joining.fetch_add(1, Ordering::Relaxed);
        let joined = self.try_to_join().await;
        self.joining.fetch_sub(1, Ordering::Relaxed);
        joined
    }

    async fn try_to_join(self: &Arc<Self>) -> Option<u32> {
        for _ in 0..JOIN_ATTEMPTS {
            let Some(by) = self.some_member(OUTSIDE) else {
                world::sleep(RETRY_PAUSE).await;
                continue;
            };
            let admitted = self.ask(by, |parts| async move {
                let directory = parts.router.as_ref();
                let draft = candidate(0);
                // The address is of the machine, which has no number yet: a name of its own.
                let unique = format!("new-{}", zcluster_runtime::random_u64());
                let number = admission::reserve(directory, &unique).await?;
                let new = admission::Candidate { rpc: candidate(number).rpc, ..draft };
                let peers = admission::admit(directory, number, new).await?;
                Ok::<_, Error>((number, peers))
            });
            match admitted.await {
                Some(Ok((number, peers))) => {
                    let machine = self.add_machine(number);
                    machine.disk.write_node_file(NodeFile { number, peers, ..NodeFile::default() });
                    world::event("node.joins", &[u64::from(number)]);
                    world::note(number, "node", || format!("was admitted by node {by}"));
                    self.switch_on(&machine);
                    return Some(number);
                }
                // A member may be cut off, or the outcome unknown: the next attempt takes another number.
                Some(Err(_)) | None => world::sleep(RETRY_PAUSE).await,
            }
        }
        None
    }

    /// Drains the node and removes it when it holds nothing any more, however long that takes. False when the cluster
    /// refuses (nobody could take its share).
    pub(crate) async fn leave_node(self: &Arc<Self>, machine: &Arc<Machine>) -> bool {
        let number = machine.number;
        loop {
            match self.command_state(number, NodeState::Draining).await {
                Told::Done => break,
                Told::Refused => return false,
                // It may have been carried out: an operator asks again until it is known.
                Told::Unknown => world::sleep(RETRY_PAUSE).await,
            }
        }
        world::event("node.drains", &[u64::from(number)]);
        // Refused as long as the node holds replicas.
        while self.command_state(number, NodeState::Removed).await != Told::Done {
            if machine.has_left() {
                break;
            }
            world::sleep(RETRY_PAUSE).await;
        }
        world::event("node.removed", &[u64::from(number)]);
        world::note(number, "node", || "has left the cluster".into());
        self.bury(machine).await;
        true
    }

    /// The process of a node that has left ends by itself. One that was cut off does not hear of it: it is stopped.
    async fn bury(self: &Arc<Self>, machine: &Arc<Machine>) {
        let turn = machine.turn();
        let ends = async {
            while machine.is_up() && machine.turn() == turn {
                world::sleep(RETRY_PAUSE).await;
            }
        };
        machine.set_left();
        if let Either::Right(()) = select(ends, world::sleep(END_WITHIN)).await {
            world::count("node.left_unaware");
            self.stop(machine).await;
        }
    }

    /// One command on some member; it may be tried again.
    async fn command_state(&self, number: u32, state: NodeState) -> Told {
        let Some(by) = self.some_member(number) else { return Told::Unknown };
        let done = self.ask(by, move |parts| async move {
            admission::set_state(&parts.router, Actor::System, number, state, STATUS_TIMEOUT).await
        });
        match done.await {
            Some(Ok(())) => Told::Done,
            Some(Err(Error::Conflict(why))) if self.is_done(number, state, &why) => Told::Done,
            Some(Err(Error::Unavailable(_) | Error::Internal(_))) | None => Told::Unknown,
            Some(Err(_)) => Told::Refused,
        }
    }

    /// An attempt whose answer was lost may have been carried out.
    fn is_done(&self, number: u32, state: NodeState, why: &str) -> bool {
        state == NodeState::Removed && why.contains("there is no node") && self.is_removed(number)
    }

    fn is_removed(&self, number: u32) -> bool {
        let Some((nodes, _)) = self.directory_now() else { return false };
        let mut records = nodes.iter().filter(|n| n.id.number() == number).peekable();
        records.peek().is_some() && records.all(|n| n.state == NodeState::Removed)
    }

    /// After everything is mended: removes records of nodes that nobody ever started (an answer to a request to join
    /// was lost).
    pub(super) fn tidy_up(self: &Arc<Self>) {
        let cluster = self.clone();
        world::spawn_on(OUTSIDE, async move {
            loop {
                for number in cluster.phantoms() {
                    world::count("node.phantom");
                    if cluster.command_state(number, NodeState::Draining).await == Told::Done {
                        cluster.command_state(number, NodeState::Removed).await;
                    }
                }
                world::sleep(RETRY_PAUSE).await;
            }
        });
    }

    fn phantoms(&self) -> Vec<u32> {
        // Whoever is being admitted right now has a record, and will have a machine.
        if self.joining.load(Ordering::Relaxed) > 0 {
            return Vec::new();
        }
        let Some((nodes, _)) = self.directory_now() else { return Vec::new() };
        let present = nodes.into_iter().filter(|n| n.state != NodeState::Removed).map(|n| n.id);
        present.map(NodeId::number).filter(|n| self.machine(*n).is_none()).collect()
    }
}
