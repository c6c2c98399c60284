//! Sending what shards' outboxes hold: the shard's leader claims a message, has it carried, and reports what came of it.
//! The outbox is the truth: a leader that dies leaves a claim that runs out, and the next leader finds the message due.
//!
//! Each of these steps is an entry of the shard's log, so they are few: a submitted message is claimed by the very command
//! that queues it, what is found due is claimed together, and what ends while a settlement is under way is settled together.

use crate::due::Schedule;
use crate::inner::{Inner, acts_as_leader, leads};
use crate::mailbox::derived;
use crate::settler::{STEP_MAX, Settler, queue_home};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zcluster_api::delivery::{Content, Outgoing, Settlement};
use zcluster_api::directory::{Home, HomeState};
use zcluster_api::queue::{CLAIM_MS, OutgoingClaim, PlacedSettlement, QueuePlace};
use zcluster_api::{Bytes, Carried, Carrier, Error, GroupId, Letter, MailboxCommand, Receipt, RequestId, Result};
use zcluster_replica::{ClaimedOutgoing, DueOutgoing};
use zcluster_runtime::{Either, Instant, probe, random_bytes, select, sleep, spawn, timeout, wall_ms, watch};

/// All outboxes are looked at least so often, whatever is known of them.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether this node has come to lead a shard.
const LEAD_EVERY: Duration = Duration::from_secs(1);
/// Messages taken from one outbox at a look.
const PER_LOOK: usize = 100;
/// Messages that one node carries at a time.
const CARRIED_MAX: usize = 512;
/// Messages claimed for this node as they were queued that wait for such a place. What is beyond is found due when its
/// claim has run out.
const WAITING_MAX: usize = 8_192;
/// Bytes of them held in memory, KiB.
const MEMORY_KIB: u32 = 128 * 1024;
/// How long carrying one message may take: another host may take ten minutes to say that it has it.
const CARRY_MAX: Duration = Duration::from_secs(30 * 60);
/// How long a renewal may take.
const RENEW_MAX: Duration = Duration::from_secs(3);
/// How often a claim is renewed while its message is carried.
const RENEW_EVERY: Duration = Duration::from_secs(6);
/// A body that cannot be read now is tried again after this.
const UNREADABLE_WAIT: Duration = Duration::from_secs(60);

/// Whose a claim is.
#[derive(PartialEq, Eq)]
enum Whose {
    Ours,
    Others,
    /// The term in which it was made is not known of here yet.
    Unknown,
}

/// A message, wherever it is due.
#[derive(Clone, Copy)]
struct Due {
    group: GroupId,
    at: DueOutgoing,
}

impl Due {
    fn home(&self) -> Home {
        Home { mailbox: self.at.mailbox, group: self.group, epoch: self.at.epoch, state: HomeState::Active }
    }
}

/// What a node's outbox work shares.
struct Work {
    inner: Arc<Inner>,
    carrier: Arc<dyn Carrier>,
    settler: Arc<Settler>,
    room: Arc<Semaphore>,
    /// Messages under way from here, so that a second look does not take them up again.
    under_way: Mutex<BTreeSet<(GroupId, u64)>>,
    /// Something due was left because there was no room.
    starved: AtomicBool,
    /// Changes when there is room again for what was left.
    room_again: watch::Sender<u64>,
    /// Room for the bytes of carried messages, KiB.
    memory: Semaphore,
}

/// A message that is being carried, as long as it is: its place among those, and its mark that it is under way.
struct Place {
    work: Arc<Work>,
    name: (GroupId, u64),
    room: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.work.under_way.lock().remove(&self.name);
        drop(self.room.take());
        if self.work.starved.swap(false, Ordering::Relaxed) {
            self.work.room_again.send_if_modified(|n| {
                *n += 1;
                true
            });
        }
    }
}

/// Whether there is a place for a message.
enum Room {
    Yes(Place),
    /// It has one.
    UnderWay,
    No,
}

impl Work {
    /// Takes up what was claimed for this node and what is due in the shards led here.
    fn look(self: &Arc<Self>, schedule: &mut Schedule, waiting: &mut VecDeque<(Instant, ClaimedOutgoing)>) {
        let now_ms = wall_ms();
        for (group, due_ms) in self.inner.replicas.take_outbox_due() {
            schedule.hint(group, due_ms, now_ms);
        }
        self.take_up_claimed(waiting);
        for id in schedule.ready(now_ms) {
            let term = self.inner.group(id).filter(leads).map(|group| group.leadership().borrow().term);
            if schedule.confirm(id, term) {
                self.look_into(schedule, id);
            }
        }
    }

    /// What was claimed as it was queued is this node's if it leads in the term in which that was agreed on: there is but
    /// one leader in a term.
    fn take_up_claimed(self: &Arc<Self>, waiting: &mut VecDeque<(Instant, ClaimedOutgoing)>) {
        let now = Instant::now();
        let new = self.inner.replicas.take_outbox_claimed();
        let room = WAITING_MAX.saturating_sub(waiting.len());
        waiting.extend(
            new.into_iter().filter(|claimed| self.whose(claimed) != Whose::Others).map(|c| (now, c)).take(room),
        );
        for _ in 0..waiting.len() {
            let Some((since, claimed)) = waiting.pop_front() else { break };
            match self.whose(&claimed) {
                Whose::Others => {}
                // An election that is not told of here yet.
                Whose::Unknown if claimed.at.due_ms > wall_ms() => waiting.push_back((since, claimed)),
                Whose::Unknown => {}
                Whose::Ours => match self.place(claimed.group, claimed.at.number) {
                    Room::Yes(place) => self.spawn_send(place, since, Due { group: claimed.group, at: claimed.at }),
                    Room::UnderWay => {}
                    Room::No => return waiting.push_front((since, claimed)),
                },
            }
        }
    }

    fn whose(&self, claimed: &ClaimedOutgoing) -> Whose {
        let Some(group) = self.inner.group(claimed.group) else { return Whose::Others };
        let now = *group.leadership().borrow();
        match now.term.cmp(&claimed.term) {
            std::cmp::Ordering::Less => Whose::Unknown,
            std::cmp::Ordering::Equal if leads(&group) => Whose::Ours,
            std::cmp::Ordering::Equal if now.leader.is_none() => Whose::Unknown,
            _ => Whose::Others,
        }
    }

    fn look_into(self: &Arc<Self>, schedule: &mut Schedule, id: GroupId) {
        loop {
            let look = schedule.look(id, wall_ms(), PER_LOOK);
            let mut idle = |number| !self.under_way.lock().contains(&(id, number));
            let Ok(page) = self.inner.replicas.due_outgoing(id, look, &mut idle) else { return };
            schedule.seen(id, look, &page);
            let (mut found, mut full) = (Vec::new(), false);
            for at in &page.due {
                match self.place(id, at.number) {
                    Room::Yes(place) => found.push((Due { group: id, at: *at }, place)),
                    Room::UnderWay => {}
                    Room::No => {
                        // Again when there is room.
                        schedule.hint(id, at.due_ms, look.now_ms);
                        full = true;
                        break;
                    }
                }
            }
            if !found.is_empty() {
                spawn(self.clone().claim_all(id, found));
            }
            if full || page.due.len() < PER_LOOK {
                return;
            }
        }
    }

    /// A place for a message, if there is room.
    fn place(self: &Arc<Self>, group: GroupId, number: u64) -> Room {
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            self.starved.store(true, Ordering::Relaxed);
            return Room::No;
        };
        let name = (group, number);
        if !self.under_way.lock().insert(name) {
            return Room::UnderWay;
        }
        Room::Yes(Place { work: self.clone(), name, room: Some(room) })
    }

    /// Claims messages that are due, all with one command, and sends those that it got.
    async fn claim_all(self: Arc<Self>, group: GroupId, found: Vec<(Due, Place)>) {
        let begun = Instant::now();
        let until_ms = found.iter().map(|(due, _)| due.at.due_ms).fold(wall_ms(), u64::max) + CLAIM_MS;
        let got = match self.claim(group, &found, until_ms).await {
            Ok(got) => got,
            Err(error) => {
                tracing::info!(shard = group.0, count = found.len(), %error, "outgoing messages left where they are");
                return;
            }
        };
        for (due, place) in found {
            if got.binary_search(&due.at.number).is_ok() {
                let at = DueOutgoing { due_ms: until_ms, ..due.at };
                self.spawn_send(place, begun, Due { group, at });
            }
        }
    }

    fn spawn_send(self: &Arc<Self>, place: Place, since: Instant, due: Due) {
        let work = self.clone();
        spawn(async move {
            if let Err(error) = work.send(due, since).await {
                tracing::info!(shard = due.group.0, number = due.at.number, %error, "outgoing message left where it is");
            }
            drop(place);
        });
    }

    /// Sends a message that is claimed until its `due_ms`, since about `since`.
    async fn send(&self, due: Due, since: Instant) -> Result<()> {
        let mut claim = due.at.due_ms;
        let acts = self.inner.group(due.group).is_some_and(|group| acts_as_leader(&group));
        if !acts || self.inner.is_stopped() {
            return Ok(());
        }
        // The claim was applied here before it was told of. What was settled, held or removed since is nobody's to send.
        let found = self.inner.replicas.outgoing(due.group, due.at.mailbox, due.at.number)?;
        let Some(message) = found.filter(|message| message.due_ms == claim && !message.held) else { return Ok(()) };
        // A message larger than all the room takes all of it.
        let kib = u32::try_from(message.blob.size / 1024 + 1).unwrap_or(u32::MAX).min(MEMORY_KIB);
        let _memory = self.memory.acquire_many(kib).await.map_err(|e| Error::Internal(e.to_string()))?;
        // Who had to wait, or stood still, may have lost the claim, and must not send beside its next owner.
        let is_old = since.elapsed() > RENEW_EVERY || claim < wall_ms() + CLAIM_MS / 2;
        if is_old && !self.renew(due, &mut claim).await {
            return Ok(());
        }
        let raw = match self.bytes(due.group, &message).await {
            Ok(raw) => raw,
            Err(error) => {
                let note = format!("4.3.0 {error}");
                let carried = Carried { retry_after: UNREADABLE_WAIT, note, ..Carried::default() };
                return self.settle(due, claim, carried).await;
            }
        };
        probe("outbox.carried", &[u64::from(due.group.0), message.number]);
        let letter = Letter { group: due.group, message, raw };
        let carried = timeout(CARRY_MAX, self.holding(due, &mut claim, letter)).await;
        let late =
            |_| Carried { retry_after: UNREADABLE_WAIT, note: "4.4.7 took too long".into(), ..Carried::default() };
        self.settle(due, claim, carried.unwrap_or_else(late)).await
    }

    /// Carries a letter, and renews its claim as long as that takes.
    async fn holding(&self, due: Due, claim: &mut u64, letter: Letter) -> Carried {
        let mut carried = self.carrier.carry(letter);
        loop {
            match select(&mut carried, sleep(RENEW_EVERY)).await {
                Either::Left(done) => return done,
                Either::Right(()) => {
                    self.renew(due, claim).await;
                }
            }
        }
    }

    /// Moves a claim's end on; says whether it did. One that was lost meanwhile stays lost: the settlement will find out.
    async fn renew(&self, due: Due, claim: &mut u64) -> bool {
        let (number, due_ms) = (due.at.number, *claim);
        let until_ms = wall_ms().max(due_ms) + CLAIM_MS;
        let command = MailboxCommand::ClaimOutgoing { number, due_ms, until_ms };
        let (request, deadline) = (RequestId(random_bytes()), Instant::now() + RENEW_MAX);
        if let Ok(Receipt::Claimed(Some(message))) =
            self.inner.write_home(&due.home(), request, None, command, deadline).await
        {
            *claim = message.due_ms;
            return true;
        }
        false
    }

    /// The numbers of those that are ours now, rising.
    async fn claim(&self, group: GroupId, found: &[(Due, Place)], until_ms: u64) -> Result<Vec<u64>> {
        let acts = self.inner.group(group).is_some_and(|group| acts_as_leader(&group));
        if !acts || self.inner.is_stopped() {
            return Ok(Vec::new());
        }
        let claim = |at: DueOutgoing| OutgoingClaim {
            place: QueuePlace { mailbox: at.mailbox, number: at.number },
            due_ms: at.due_ms,
        };
        let claims = found.iter().map(|(due, _)| claim(due.at)).collect();
        let command = MailboxCommand::ClaimOutgoings { claims, until_ms };
        let (request, deadline) = (RequestId(random_bytes()), Instant::now() + STEP_MAX);
        match self.inner.write_home(&queue_home(group), request, None, command, deadline).await? {
            Receipt::ClaimedSome(got) => Ok(got),
            other => Err(Error::Internal(format!("unexpected receipt {other:?}"))),
        }
    }

    async fn write(&self, due: Due, request: RequestId, command: MailboxCommand) -> Result<Receipt> {
        self.inner.write_home(&due.home(), request, None, command, Instant::now() + STEP_MAX).await
    }

    async fn bytes(&self, group: GroupId, message: &Outgoing) -> Result<Bytes> {
        let stream = self.inner.replicas.body(group, &message.blob, 0..message.blob.size).await?;
        let mut stream = stream.ok_or_else(|| Error::Unavailable("the body is not here".into()))?;
        let mut all = Vec::with_capacity(usize::try_from(message.blob.size).unwrap_or_default());
        while let Some(piece) = stream.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all.into())
    }

    async fn settle(&self, due: Due, claim: u64, carried: Carried) -> Result<()> {
        let Carried { done, retry_after, note, reports, warned } = carried;
        let (mut contents, mut outgoing) = (Vec::new(), Vec::new());
        for (body, new) in reports {
            // Reports are short; one that is not is better lost than the message it is about sent for ever.
            let Some(body) = body.inline() else { continue };
            outgoing.push(zcluster_api::delivery::NewOutgoing { content: contents.len() as u32, ..new });
            contents.push(Content { body, parsed: None });
        }
        let retry_ms = wall_ms() + u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX / 2);
        let number = due.at.number;
        let settlement = Settlement { number, claim, done, retry_ms, note, contents, outgoing, warned };
        if settlement.outgoing.is_empty() {
            let settlement = Settlement { contents: Vec::new(), ..settlement };
            return self.settler.settle(due.group, PlacedSettlement { mailbox: due.at.mailbox, settlement }).await;
        }
        let request = RequestId(random_bytes());
        let first = self.write(due, request, MailboxCommand::SettleOutgoing(Box::new(settlement.clone()))).await;
        match first {
            // A full outbox takes no report, but must still be emptied.
            Err(Error::TooLarge(_)) => {
                let without = Settlement { contents: Vec::new(), outgoing: Vec::new(), ..settlement };
                let command = MailboxCommand::SettleOutgoing(Box::new(without));
                self.write(due, derived(request, 1), command).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }
}

/// Sends until the router stops.
pub(crate) async fn run(inner: Arc<Inner>, carrier: Arc<dyn Carrier>) {
    let (mut grown, mut stopped) = (inner.replicas.outboxes(), inner.stopped.subscribe());
    let room = Arc::new(Semaphore::new(CARRIED_MAX));
    let work = Arc::new(Work {
        inner: inner.clone(),
        carrier,
        settler: Settler::new(inner.clone()),
        room,
        under_way: Mutex::default(),
        starved: AtomicBool::new(false),
        room_again: watch::channel(0).0,
        memory: Semaphore::new(MEMORY_KIB as usize),
    });
    let mut room_again = work.room_again.subscribe();
    let (mut schedule, mut waiting) = (Schedule::default(), VecDeque::new());
    let (mut leads_at, mut all_at) = (Instant::now(), Instant::now());
    while !inner.is_stopped() {
        if leads_at.remaining().is_zero() {
            leads_at = Instant::now() + LEAD_EVERY;
            let led = inner.raft.groups().into_iter().filter(leads);
            let led = led.map(|group| (GroupId(group.id()), group.leadership().borrow().term));
            schedule.led(led.filter(|(id, _)| *id != GroupId::DIRECTORY));
        }
        if all_at.remaining().is_zero() {
            all_at = Instant::now() + LOOK_EVERY;
            schedule.forget_all();
        }
        work.look(&mut schedule, &mut waiting);
        let wait = schedule.wait(wall_ms()).min(leads_at.remaining());
        select(select(grown.changed(), room_again.changed()), select(sleep(wait), stopped.changed())).await;
    }
}
