//! Asking every shard's leader, and the volumes for what belongs to none.

use super::shard;
use super::{PROBLEMS_MAX, Problem, ProblemKind as Kind, Tally, VerifyAsk, VerifyNews, VerifyShard, strangers};
use crate::inner::Inner;
use crate::packer::Packer;
use crate::wire;
use futures::channel::mpsc;
use futures::stream::{self, BoxStream};
use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::{Error, GroupId, codec};
use zcluster_rpc::{Frames, Lane, RpcError};
use zcluster_runtime::{Instant, sleep};

/// Shards looked at at a time.
const AT_A_TIME: usize = 4;
/// A shard whose leader goes away is asked again so often.
const TRIES: u32 = 8;
const AGAIN: Duration = Duration::from_secs(2);
/// A leader's stream must begin in this time.
const BEGIN_MAX: Duration = Duration::from_secs(10);
/// How often the sum is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What the shards have told so far.
#[derive(Default)]
struct Sums {
    shards: BTreeMap<GroupId, Tally>,
    rest: Tally,
    told: Option<Instant>,
}

impl Sums {
    fn all(&self) -> Tally {
        let mut sum = self.rest;
        self.shards.values().for_each(|tally| sum.add(tally));
        sum
    }
}

impl Inner {
    /// Has everything looked at; ends with [`VerifyNews::Done`]. Ends early when the stream is dropped.
    pub fn verify(self: &Arc<Self>, ask: VerifyAsk) -> BoxStream<'static, VerifyNews> {
        let (mut out, news) = mpsc::channel(64);
        let inner = self.clone();
        zcluster_runtime::spawn(async move {
            let sums = Arc::new(Mutex::new(Sums::default()));
            let groups: Vec<GroupId> = inner.shards().into_iter().map(|s| s.group).collect();
            let each = stream::iter(groups.clone()).for_each_concurrent(AT_A_TIME, |group| {
                let (inner, ask, sums, out) = (inner.clone(), ask.clone(), sums.clone(), out.clone());
                async move { inner.verify_one(group, ask, &sums, out).await }
            });
            each.await;
            let volumes = inner.volumes.get().map(|v| v.names()).unwrap_or_default();
            let wanted = volumes.into_iter().filter(|v| ask.volume.as_ref().is_none_or(|only| only == v));
            for volume in wanted {
                let Some(packer) = Packer::new(&inner) else { break };
                let rest = match strangers::look(&packer, &volume, &ask, &groups, &mut out).await {
                    Ok(tally) => tally,
                    Err(error) => unanswered(&mut out, None, format!("volume {volume}: {error}")).await,
                };
                sums.lock().rest.add(&rest);
            }
            let all = sums.lock().all();
            let _ = out.send(VerifyNews::Done(all)).await;
        });
        news.boxed()
    }

    async fn verify_one(
        self: &Arc<Self>,
        group: GroupId,
        ask: VerifyAsk,
        sums: &Mutex<Sums>,
        mut out: mpsc::Sender<VerifyNews>,
    ) {
        // A leader that goes away is followed by one that finds the same: it is told once.
        let mut told = BTreeSet::new();
        let mut why = String::from("it has no leader");
        for tried in 0..TRIES {
            if tried > 0 {
                sleep(AGAIN).await;
            }
            if self.is_stopped() || out.is_closed() {
                return;
            }
            match self.verify_at_leader(group, &ask).await {
                Ok(frames) => match self.follow(group, frames, sums, &mut out, &mut told).await {
                    Ok(()) => return,
                    Err(error) => why = error.to_string(),
                },
                Err(error) => why = error.to_string(),
            }
        }
        let tally = unanswered(&mut out, Some(group.0), why).await;
        sums.lock().shards.entry(group).or_default().add(&tally);
    }

    async fn verify_at_leader(self: &Arc<Self>, group: GroupId, ask: &VerifyAsk) -> Result<Frames, RpcError> {
        let what = VerifyShard { group, ask: ask.clone() };
        let leader = self.group(group).and_then(|g| g.leader()).or_else(|| self.hints.lock().get(&group).copied());
        if leader == Some(self.me()) {
            return shard::serve(self, what);
        }
        let mut nodes = self.members(group);
        nodes.retain(|node| *node != self.me());
        nodes.sort_by_key(|node| Some(*node) != leader);
        let mut last = RpcError::Remote("it has no leader".into());
        for node in nodes {
            match self.network.stream(node, Lane::Bulk, wire::VERIFY, wire::request(&what, &[]), BEGIN_MAX).await {
                Ok(frames) => return Ok(frames),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn follow(
        &self,
        group: GroupId,
        mut frames: Frames,
        sums: &Mutex<Sums>,
        out: &mut mpsc::Sender<VerifyNews>,
        told: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        let gone = |e: RpcError| Error::Unavailable(e.to_string());
        while let Some(frame) = frames.next().await {
            match codec::decode::<VerifyNews>(&frame.map_err(gone)?)? {
                VerifyNews::Problem(problem) => {
                    let is_new = (told.len() as u64) < PROBLEMS_MAX && told.insert(problem.to_string());
                    if is_new && out.send(VerifyNews::Problem(problem)).await.is_err() {
                        return Ok(());
                    }
                }
                VerifyNews::Progress(tally) => {
                    let all = {
                        let mut sums = sums.lock();
                        sums.shards.insert(group, tally);
                        let due = sums.told.is_none_or(|at| at.elapsed() >= TOLD_EVERY);
                        due.then(|| {
                            sums.told = Some(Instant::now());
                            sums.all()
                        })
                    };
                    if let Some(all) = all {
                        let _ = out.send(VerifyNews::Progress(all)).await;
                    }
                }
                VerifyNews::Done(tally) => {
                    sums.lock().shards.insert(group, tally);
                    return Ok(());
                }
            }
        }
        Err(Error::Unavailable("its leader went away".into()))
    }
}

/// Tells that nothing can be said.
async fn unanswered(out: &mut mpsc::Sender<VerifyNews>, shard: Option<u32>, why: String) -> Tally {
    let problem = Problem { shard, ..Problem::new(Kind::Unanswered, why) };
    let _ = out.send(VerifyNews::Problem(problem)).await;
    Tally { problems: 1, ..Tally::default() }
}
