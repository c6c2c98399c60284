//! Settling tries: what a shard's tries led to while one settlement of it is under way goes into the next, all in one
//! entry of its log. Nothing waits for anything but the settlement before it.

use crate::inner::Inner;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zcluster_api::delivery::Settlement;
use zcluster_api::directory::{Home, HomeState};
use zcluster_api::queue::{PlacedSettlement, QUEUE_MAILBOX, SETTLEMENTS_PER_COMMAND_MAX};
use zcluster_api::{Epoch, Error, GroupId, MailboxCommand, Receipt, RequestId, Result};
use zcluster_runtime::{Instant, probe, random_bytes, spawn};

/// A step in the log may take this long.
pub(crate) const STEP_MAX: Duration = Duration::from_secs(30);

/// Bytes of one command with several settlements, about: far below what an entry of the log may have.
const BATCH_BYTES_MAX: usize = 512 * 1024;

/// Where commands about the outboxes of a whole shard go.
pub(crate) fn queue_home(group: GroupId) -> Home {
    Home { mailbox: QUEUE_MAILBOX, group, epoch: Epoch(1), state: HomeState::Active }
}

type Waiting = (PlacedSettlement, oneshot::Sender<Result<()>>);

/// Writes settlements of a shard to its log.
type Write = Box<dyn Fn(GroupId, Vec<PlacedSettlement>) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The settlements of a node.
pub(crate) struct Settler {
    write: Write,
    /// Shards with a settlement under way, and what waits for the next.
    shards: Mutex<BTreeMap<GroupId, Vec<Waiting>>>,
}

impl Settler {
    pub fn new(inner: Arc<Inner>) -> Arc<Self> {
        Self::with(Box::new(move |group, settlements| Box::pin(write(inner.clone(), group, settlements))))
    }

    fn with(write: Write) -> Arc<Self> {
        Arc::new(Settler { write, shards: Mutex::default() })
    }

    /// Settles a try that has no report for its sender.
    ///
    /// # Errors
    /// `Unavailable`: the outcome is unknown.
    pub async fn settle(self: &Arc<Self>, group: GroupId, settlement: PlacedSettlement) -> Result<()> {
        let (tell, told) = oneshot::channel();
        let is_first = {
            let mut shards = self.shards.lock();
            let is_first = !shards.contains_key(&group);
            shards.entry(group).or_default().push((settlement, tell));
            is_first
        };
        if is_first {
            // A task of its own: whoever began it may be gone before it has settled for the others.
            spawn(self.clone().work(group));
        }
        told.await.unwrap_or_else(|_| Err(Error::Unavailable("this node stops".into())))
    }

    async fn work(self: Arc<Self>, group: GroupId) {
        loop {
            let batch: Vec<Waiting> = {
                let mut shards = self.shards.lock();
                let Some(waiting) = shards.get_mut(&group) else { return };
                if waiting.is_empty() {
                    shards.remove(&group);
                    return;
                }
                let many = as_many_as_fit(waiting.iter().map(|(s, _)| weight(&s.settlement)));
                waiting.drain(..many).collect()
            };
            if batch.len() > 1 {
                probe("outbox.settled_together", &[u64::from(group.0), batch.len() as u64]);
            }
            metrics::histogram!("zcluster_outbox_settled_together").record(batch.len() as f64);
            let (settlements, tell): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let outcome = (self.write)(group, settlements).await;
            for waiting in tell {
                let _ = waiting.send(outcome.clone());
            }
        }
    }
}

/// Bytes that a settlement takes in the log, about.
fn weight(settlement: &Settlement) -> usize {
    settlement.note.len() + settlement.done.iter().map(|recipient| recipient.len() + 4).sum::<usize>() + 64
}

/// How many of these go into one command: at least one.
fn as_many_as_fit(weights: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = |weight: &usize| {
        let fits = bytes == 0 || bytes + weight <= BATCH_BYTES_MAX;
        bytes += weight;
        fits
    };
    weights.take(SETTLEMENTS_PER_COMMAND_MAX).take_while(fits).count()
}

async fn write(inner: Arc<Inner>, group: GroupId, settlements: Vec<PlacedSettlement>) -> Result<()> {
    let command = MailboxCommand::SettleOutgoings(settlements);
    let (request, deadline) = (RequestId(random_bytes()), Instant::now() + STEP_MAX);
    match inner.write_home(&queue_home(group), request, None, command, deadline).await? {
        Receipt::Done => Ok(()),
        other => Err(Error::Internal(format!("unexpected receipt {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use zcluster_api::MailboxId;

    /// What was written, one after the other.
    type Written = Arc<Mutex<Vec<(GroupId, Vec<u64>)>>>;

    fn settlement(number: u64) -> PlacedSettlement {
        let settlement = Settlement {
            number,
            claim: 0,
            done: vec![],
            retry_ms: 0,
            note: String::new(),
            contents: vec![],
            outgoing: vec![],
            warned: false,
        };
        PlacedSettlement { mailbox: MailboxId(1), settlement }
    }

    /// A log that notes which numbers were written together, and takes each write when it is let.
    struct Log {
        written: Written,
        go_on: Arc<tokio::sync::Semaphore>,
        settler: Arc<Settler>,
    }

    fn log(fails: fn(&[u64]) -> bool) -> Log {
        let written = Written::default();
        let go_on = Arc::new(tokio::sync::Semaphore::new(0));
        let (noted, gate) = (written.clone(), go_on.clone());
        let settler = Settler::with(Box::new(move |group, settlements| {
            let numbers: Vec<u64> = settlements.iter().map(|s| s.settlement.number).collect();
            noted.lock().push((group, numbers.clone()));
            let gate = gate.clone();
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                if fails(&numbers) { Err(Error::Unavailable("no quorum".into())) } else { Ok(()) }
            })
        }));
        Log { written, go_on, settler }
    }

    #[tokio::test]
    async fn what_ends_meanwhile_goes_together() {
        const A: GroupId = GroupId(1);
        const B: GroupId = GroupId(2);
        let log = log(|numbers| numbers.contains(&3));
        let begin = |group, number| {
            let settler = log.settler.clone();
            spawn(async move { settler.settle(group, settlement(number)).await })
        };
        let first = begin(A, 1);
        while log.written.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        // Another shard waits for nobody.
        let (rest, other) = (vec![begin(A, 2), begin(A, 3), begin(A, 4)], begin(B, 5));
        while log.written.lock().len() < 2 {
            tokio::task::yield_now().await;
        }
        log.go_on.add_permits(3);
        assert_eq!((first.await.unwrap(), other.await.unwrap()), (Ok(()), Ok(())));
        // Their outcome is one: none of them knows more than the others.
        assert!(join_all(rest).await.into_iter().all(|outcome| outcome.unwrap().is_err()));
        assert_eq!(*log.written.lock(), [(A, vec![1]), (B, vec![5]), (A, vec![2, 3, 4])]);
        // And after it.
        log.go_on.add_permits(1);
        assert_eq!(log.settler.settle(A, settlement(6)).await, Ok(()));
        assert!(log.settler.shards.lock().is_empty());
    }

    #[test]
    fn a_command_has_a_size() {
        let fit = |weights: &[usize]| as_many_as_fit(weights.iter().copied());
        assert_eq!((fit(&[]), fit(&[1, 2]), fit(&[BATCH_BYTES_MAX + 1, 1])), (0, 2, 1));
        assert_eq!((fit(&[BATCH_BYTES_MAX, 1]), fit(&[1, BATCH_BYTES_MAX - 1, 1])), (1, 2));
        assert_eq!(fit(&[1; 1_000]), SETTLEMENTS_PER_COMMAND_MAX);
        let all = vec!["a".repeat(320); 100];
        assert!(weight(&Settlement { done: all, ..settlement(1).settlement }) > 32_000);
    }

    #[tokio::test]
    async fn a_command_takes_so_many_and_the_next_the_rest() {
        let log = log(|_| false);
        let many = SETTLEMENTS_PER_COMMAND_MAX as u64 + 5;
        let all: Vec<_> = (0..many)
            .map(|number| {
                let settler = log.settler.clone();
                spawn(async move { settler.settle(GroupId(1), settlement(number)).await })
            })
            .collect();
        log.go_on.add_permits(many as usize);
        assert!(join_all(all).await.into_iter().all(|outcome| outcome.unwrap().is_ok()));
        let mut written: Vec<u64> = log.written.lock().iter().flat_map(|(_, numbers)| numbers.clone()).collect();
        assert!(log.written.lock().iter().all(|(_, numbers)| numbers.len() <= SETTLEMENTS_PER_COMMAND_MAX));
        written.sort_unstable();
        assert_eq!(written, (0..many).collect::<Vec<_>>());
    }
}
