//! One search over many mailboxes: each shard's leader searches its own, all at one position, and streams what it finds.

use crate::inner::Inner;
use crate::wire::{self, DiscoverFrame, DiscoverHead, TextsHead};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use zcluster_api::directory::NodeState;
use zcluster_api::{Error, Find, GroupId, MailboxId, MailboxQuery, NodeId, Result, codec};
use zcluster_replica::{DISCOVER_MAX, Discovered, MailboxRead, Sought, TextState, Told};
use zcluster_rpc::{Frames, Lane, RpcError};
use zcluster_runtime::{Instant, jitter, sleep};

/// How long a leader may take to prove that it leads.
const PROOF_MAX: Duration = Duration::from_secs(2);
/// Mailboxes asked about in one request.
const ASKED_MAX: usize = 5_000;
/// Mailboxes with hits that wait to be taken.
const WAITING_MAX: usize = 32;
/// A node may take so long to say how far its indexes are.
const TEXTS_MAX: Duration = Duration::from_secs(5);

/// How far the text indexes of a node are.
#[derive(Clone, Debug)]
pub struct NodeTexts {
    /// The node.
    pub node: NodeId,
    /// By shard; `None` when it did not answer.
    pub shards: Option<BTreeMap<GroupId, TextState>>,
}

impl Inner {
    /// See [`crate::Router::discover`].
    pub fn discover(
        self: &Arc<Self>,
        group: GroupId,
        mut mailboxes: Vec<Sought>,
        find: Find,
        timeout: Duration,
    ) -> BoxStream<'static, Result<Discovered>> {
        mailboxes.sort_unstable();
        let deadline = Instant::now() + timeout;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let inner = self.clone();
        zcluster_runtime::spawn(async move {
            for part in mailboxes.chunks(ASKED_MAX) {
                if let Err(e) = inner.discover_part(group, part, &find, deadline, &sender).await {
                    let _ = sender.send(Err(e)).await;
                    return;
                }
            }
        });
        futures::stream::unfold(
            receiver,
            |mut receiver| async move { receiver.recv().await.map(|next| (next, receiver)) },
        )
        .boxed()
    }

    async fn discover_part(
        &self,
        group: GroupId,
        mut rest: &[Sought],
        find: &Find,
        deadline: Instant,
        sender: &mpsc::Sender<Result<Discovered>>,
    ) -> Result<()> {
        let mut wait = self.config.backoff_min;
        loop {
            let head = DiscoverHead {
                group,
                mailboxes: rest.to_vec(),
                find: find.clone(),
                timeout_ms: u64::try_from(deadline.remaining().as_millis()).unwrap_or(u64::MAX),
            };
            let to = self.group(group).and_then(|g| g.leader()).or_else(|| self.hints.lock().get(&group).copied());
            let to = to.or_else(|| self.members(group).into_iter().next());
            let mut frames = match to {
                Some(me) if me == self.me() => self.discover_here(head).ok(),
                Some(peer) => {
                    let body = wire::request(&head, &[]);
                    let within = deadline.remaining().min(self.config.attempt);
                    self.network.stream(peer, Lane::Data, wire::DISCOVER, body, within).await.ok()
                }
                None => None,
            };
            while let Some(Ok(frame)) = match &mut frames {
                Some(frames) => zcluster_runtime::timeout(deadline.remaining(), frames.next()).await.ok().flatten(),
                None => None,
            } {
                let DiscoverFrame { mailbox, hits, total, position, error } = codec::decode(&frame)?;
                if let Some(error) = error {
                    match error {
                        Error::Unavailable(_) => break,
                        other => return Err(other),
                    }
                }
                let Some(mailbox) = mailbox else { return Ok(()) };
                rest = &rest[rest.partition_point(|(of, _)| *of <= mailbox)..];
                if sender.send(Ok(Discovered { mailbox, hits, total, position })).await.is_err() {
                    return Ok(());
                }
                wait = self.config.backoff_min;
            }
            if deadline.remaining().is_zero() || self.is_stopped() {
                return Err(Error::Unavailable(format!("shard {group} does not answer")));
            }
            // It stopped leading, or died: the next one goes on behind what was told.
            sleep(jitter(wait).min(deadline.remaining())).await;
            wait = wait.saturating_mul(2).min(self.config.backoff_max);
        }
    }

    /// What this node finds as the leader of a shard.
    fn discover_here(&self, head: DiscoverHead) -> Result<Frames, RpcError> {
        let group = self.group(head.group);
        let group = group.filter(crate::inner::leads).ok_or_else(|| RpcError::Remote("not the leader".into()))?;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let replicas = self.replicas.clone();
        zcluster_runtime::spawn(async move {
            let DiscoverHead { group: id, mut mailboxes, find, timeout_ms } = head;
            let deadline = Instant::now() + Duration::from_millis(timeout_ms);
            mailboxes.truncate(DISCOVER_MAX);
            if let Err(e) = group.read_barrier(PROOF_MAX).await {
                let _ = sender.send(failed(Error::Unavailable(format!("shard {id}: {e}")))).await;
                return;
            }
            let (told, mut found) = mpsc::channel(WAITING_MAX);
            let (this, sought) = (replicas.clone(), find.clone());
            let work = zcluster_runtime::spawn_blocking(move || {
                let mut tell = |what| told.blocking_send(what).is_ok();
                this.discover(id, &mailboxes, &sought, &mut tell)
            });
            let pass_on = async {
                while let Some(told) = found.recv().await {
                    let frame = match told {
                        Told::Found(found) => frame(found),
                        Told::Elsewhere(mailbox, epoch) => {
                            let query = MailboxQuery::Find(find.clone());
                            let read = MailboxRead { group: id, mailbox, epoch, quota: 0, actor: None, query };
                            let reply =
                                zcluster_runtime::timeout(deadline.remaining(), replicas.read_mailbox(read)).await;
                            match reply.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".into()))) {
                                Ok(zcluster_api::MailboxReply::Hits { hits, total, .. }) if total > 0 => {
                                    frame(Discovered { mailbox, hits, total, position: None })
                                }
                                Ok(_) | Err(Error::WrongHome { .. } | Error::NotFound(_)) => continue,
                                Err(e) => failed(e),
                            }
                        }
                    };
                    if sender.send(frame).await.is_err() {
                        // The search ends when it finds that nobody takes what it tells.
                        found.close();
                        return;
                    }
                }
            };
            // Blocking work begins when it is first asked for: together, or neither comes to an end.
            let (done, ()) = futures::future::join(work, pass_on).await;
            let end = match done.unwrap_or_else(|e| Err(Error::Internal(format!("discover: {e}")))) {
                Ok(()) => DiscoverFrame { mailbox: None, hits: Vec::new(), total: 0, position: None, error: None },
                Err(e) => failed(e),
            };
            let _ = sender.send(end).await;
        });
        let frames = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|frame: DiscoverFrame| (Ok(codec::encode(&frame).into()), receiver))
        });
        Ok(frames.boxed())
    }

    /// How far this node's text indexes are; a mailbox is indexed anew.
    pub async fn texts_here(&self, head: TextsHead) -> Vec<(u32, Result<TextState, String>)> {
        let replicas = self.replicas.clone();
        let groups = self.raft.groups().into_iter().map(|group| GroupId(group.id()));
        let groups = groups.filter(|id| *id != GroupId::DIRECTORY && head.group.is_none_or(|only| only == *id));
        let groups: Vec<GroupId> = groups.collect();
        let work = move || {
            let one = |group: GroupId| {
                if let Some(mailbox) = head.anew {
                    replicas.reindex(group, mailbox)?;
                }
                replicas.text_state(group)?.ok_or_else(|| Error::Unavailable("no text indexes are kept here".into()))
            };
            groups.into_iter().map(|group| (group.0, one(group).map_err(|e| e.to_string()))).collect()
        };
        zcluster_runtime::spawn_blocking(work).await.unwrap_or_default()
    }

    /// See [`crate::Router::texts`].
    pub async fn texts(&self, group: Option<GroupId>, anew: Option<MailboxId>) -> Vec<NodeTexts> {
        let nodes = self.nodes().into_iter().filter(|n| n.state != NodeState::Removed).map(|n| n.id);
        let asked = nodes.map(|node| async move {
            let head = TextsHead { group, anew };
            let told = if node.0 == self.me() {
                Some(self.texts_here(head).await)
            } else {
                let body = codec::encode(&head).into();
                let answer = self.network.call(node.0, Lane::Data, wire::TEXTS, body, TEXTS_MAX).await.ok();
                let answer = answer.and_then(|a| wire::open_answer(a).ok());
                answer.and_then(|a| codec::decode::<Vec<(u32, Result<TextState, String>)>>(&a).ok())
            };
            let state = |told: Result<TextState, String>| {
                told.unwrap_or_else(|why| TextState { trouble: Some(why), ..TextState::default() })
            };
            let shards = told.map(|told| told.into_iter().map(|(group, told)| (GroupId(group), state(told))).collect());
            NodeTexts { node, shards }
        });
        futures::future::join_all(asked).await
    }
}

fn frame(found: Discovered) -> DiscoverFrame {
    let Discovered { mailbox, hits, total, position } = found;
    DiscoverFrame { mailbox: Some(mailbox), hits, total, position, error: None }
}

fn failed(error: Error) -> DiscoverFrame {
    DiscoverFrame { mailbox: None, hits: Vec::new(), total: 0, position: None, error: Some(error) }
}

/// The serving side.
pub(crate) fn serve(inner: &Arc<Inner>, head: DiscoverHead) -> Result<Frames, RpcError> {
    inner.discover_here(head)
}
