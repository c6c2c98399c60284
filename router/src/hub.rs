//! Following mailboxes: one stream of hints per session, one upstream per mailbox and node.
//!
//! A node that hosts a replica of the mailbox's shard follows that replica's own change feed: no call leaves the node,
//! and a change of leader is not even noticed. Otherwise one stream per mailbox to a node that hosts one, shared by
//! all sessions here. Either is a hint to ask again; what is asked passes a read barrier.

use crate::inner::Inner;
use crate::wire::{self, WatchHead};
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use zcluster_api::directory::{AccountBy, Home, HomeState};
use zcluster_api::{AccountId, Epoch, Error, GroupId, MailboxId, ModSeq};
use zcluster_replica::Subscription;
use zcluster_rpc::{Frames, Lane, RpcError};
use zcluster_runtime::{Either, Instant, jitter, probe, select, sleep, timeout, watch};

/// How often a watched stream tells that it is still there.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(10);
/// A stream that is silent for longer is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Wait before an upstream is tried again.
const RECONNECT: Duration = Duration::from_millis(200);
/// How long one look-up of a watched account's home may take.
const LOCATE: Duration = Duration::from_secs(15);

type Key = (GroupId, MailboxId);

/// Who follows what on this node.
#[derive(Default)]
pub(crate) struct Hub {
    accounts: Mutex<BTreeMap<AccountId, Watched>>,
    upstreams: Mutex<BTreeMap<Key, watch::Sender<ModSeq>>>,
}

/// One account that sessions here follow.
struct Watched {
    /// Bumped when its followers must look for its home again.
    moved: watch::Sender<u64>,
    home: Option<(GroupId, Epoch)>,
}

/// A session's entry for an account.
struct Registration {
    hub: Arc<Hub>,
    account: AccountId,
    moved: Option<watch::Receiver<u64>>,
}

/// A session's share in an upstream.
struct Share {
    hub: Arc<Hub>,
    key: Key,
    modseq: Option<watch::Receiver<ModSeq>>,
}

impl Hub {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn register(self: &Arc<Self>, account: AccountId) -> Registration {
        let mut accounts = self.accounts.lock();
        let entry = accounts.entry(account).or_insert_with(|| Watched { moved: watch::channel(0).0, home: None });
        Registration { hub: self.clone(), account, moved: Some(entry.moved.subscribe()) }
    }

    fn found(&self, account: AccountId, home: &Home) {
        if let Some(watched) = self.accounts.lock().get_mut(&account) {
            watched.home = Some((home.group, home.epoch));
        }
    }

    /// Makes the followers of accounts for which `stale(account, home)` holds look again.
    pub fn sweep(&self, stale: impl Fn(AccountId, Option<(GroupId, Epoch)>) -> bool) {
        let watched: Vec<_> = self.accounts.lock().iter().map(|(a, w)| (*a, w.home)).collect();
        for (account, home) in watched {
            if stale(account, home)
                && let Some(w) = self.accounts.lock().get(&account)
            {
                w.moved.send_if_modified(|n| {
                    *n += 1;
                    true
                });
            }
        }
    }

    /// The shared upstream of a mailbox, begun if need be.
    fn upstream(self: &Arc<Self>, inner: &Arc<Inner>, key: Key, since: ModSeq) -> Share {
        let mut upstreams = self.upstreams.lock();
        if let Some(sender) = upstreams.get(&key) {
            return Share { hub: self.clone(), key, modseq: Some(sender.subscribe()) };
        }
        let (sender, modseq) = watch::channel(since);
        upstreams.insert(key, sender.clone());
        // The task ends when nobody listens: there is a listener before it begins.
        zcluster_runtime::spawn(upstream(Arc::downgrade(inner), key, sender));
        Share { hub: self.clone(), key, modseq: Some(modseq) }
    }
}

impl Registration {
    async fn moved(&mut self) {
        let Some(moved) = &mut self.moved else { return std::future::pending().await };
        // The hub holds the sender as long as there is a registration.
        let _ = moved.changed().await;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut accounts = self.hub.accounts.lock();
        self.moved = None;
        if accounts.get(&self.account).is_some_and(|w| w.moved.receiver_count() == 0) {
            accounts.remove(&self.account);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut upstreams = self.hub.upstreams.lock();
        self.modseq = None;
        // The upstream's task sees that nobody listens any more at its next frame.
        if upstreams.get(&self.key).is_some_and(|s| s.receiver_count() == 0) {
            upstreams.remove(&self.key);
        }
    }
}

enum Source {
    Local(Subscription),
    Shared(Share),
}

impl Source {
    async fn changed(&mut self) -> ModSeq {
        match self {
            Source::Local(s) => s.changed().await,
            Source::Shared(s) => {
                let Some(modseq) = &mut s.modseq else { return std::future::pending().await };
                match modseq.changed().await {
                    Ok(()) => *modseq.borrow(),
                    Err(watch::Closed) => std::future::pending().await,
                }
            }
        }
    }
}

struct Watcher {
    inner: Arc<Inner>,
    account: AccountId,
    seen: ModSeq,
    registration: Registration,
    source: Option<Source>,
}

/// See [`zcluster_api::MailboxApi::watch`].
pub(crate) fn watch_mailbox(inner: &Arc<Inner>, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
    let registration = inner.hub.register(account);
    let watcher = Watcher { inner: inner.clone(), account, seen: since, registration, source: None };
    futures::stream::unfold(watcher, |mut w| async move { w.next().await.map(|m| (m, w)) }).boxed()
}

impl Watcher {
    async fn next(&mut self) -> Option<ModSeq> {
        loop {
            if self.inner.is_stopped() {
                return None;
            }
            let now = match &mut self.source {
                None => self.locate().await?,
                Some(source) => {
                    match select(source.changed(), self.registration.moved()).await {
                        Either::Left(modseq) => modseq,
                        // Or the router was stopped: see above.
                        Either::Right(()) => {
                            self.source = None;
                            continue;
                        }
                    }
                }
            };
            if now > self.seen {
                self.seen = now;
                return Some(now);
            }
        }
    }

    /// Finds the home and begins to follow it; returns where it is now as far as known. `None`: the mailbox is gone.
    async fn locate(&mut self) -> Option<ModSeq> {
        let home = match self.inner.account(self.account, Instant::now() + LOCATE).await {
            Ok(account) if account.home.state == HomeState::Active => account.home,
            Ok(_) | Err(Error::NotFound(_)) => return None,
            Err(error) => {
                tracing::debug!(account = %self.account, %error, "watched mailbox not located");
                sleep(jitter(RECONNECT)).await;
                return Some(self.seen);
            }
        };
        self.inner.hub.found(self.account, &home);
        if self.inner.group(home.group).is_some() {
            // Subscribe first, then look: a change in between is told twice rather than not at all.
            self.source = Some(Source::Local(self.inner.replicas.subscribe(home.group, home.mailbox)));
            return Some(self.inner.replicas.modseq(home.group, home.mailbox).ok().flatten().unwrap_or_default());
        }
        let share = self.inner.hub.upstream(&self.inner, (home.group, home.mailbox), self.seen);
        let now = share.modseq.as_ref().map(|m| *m.borrow());
        self.source = Some(Source::Shared(share));
        now
    }
}

/// Keeps a stream to some replica of the mailbox open as long as somebody here listens.
async fn upstream(inner: Weak<Inner>, (group, mailbox): Key, sender: watch::Sender<ModSeq>) {
    let mut turn = 0usize;
    let mut followed = None;
    loop {
        let Some(inner) = inner.upgrade().filter(|i| !i.is_stopped() && sender.receiver_count() > 0) else { return };
        let mut members = inner.members(group);
        members.retain(|m| *m != inner.me());
        let hint = inner.hints.lock().get(&group).copied().filter(|_| turn == 0);
        let Some(to) = hint.or_else(|| members.get(turn.checked_rem(members.len())?).copied()) else {
            sleep(jitter(RECONNECT)).await;
            continue;
        };
        turn += 1;
        let head = WatchHead { group, mailbox, since: *sender.borrow() };
        let opened = inner.network.stream(to, Lane::Data, wire::WATCH, wire::request(&head, &[]), inner.config.attempt);
        drop(inner);
        match opened.await {
            Ok(mut frames) => {
                if followed.replace(to).is_some_and(|before| before != to) {
                    probe("router.watch.moved", &[u64::from(group.0), to]);
                }
                follow(&mut frames, &sender).await;
            }
            Err(error) => tracing::debug!(shard = group.0, node = to, %error, "change stream not opened"),
        }
        sleep(jitter(RECONNECT)).await;
    }
}

/// Passes on what the stream tells until it ends, falls silent, or nobody listens.
async fn follow(frames: &mut Frames, sender: &watch::Sender<ModSeq>) {
    while let Ok(Some(Ok(frame))) = timeout(SILENCE_MAX, frames.next()).await {
        if sender.receiver_count() == 0 {
            return;
        }
        let Some(told) = frame.first_chunk::<8>().map(|b| ModSeq(u64::from_le_bytes(*b))) else { return };
        sender.send_if_modified(|m| {
            let newer = told > *m;
            *m = told.max(*m);
            newer
        });
    }
}

/// The serving side of an upstream: mod-sequences above `since`, and a sign of life now and then.
pub(crate) fn serve(inner: &Arc<Inner>, head: &WatchHead) -> Result<Frames, RpcError> {
    let (group, mailbox) = (head.group, head.mailbox);
    if inner.group(group).is_none() {
        return Err(RpcError::Remote(format!("shard {group} is not here")));
    }
    let subscription = inner.replicas.subscribe(group, mailbox);
    let state = (inner.clone(), subscription, head.since, true);
    let frames = futures::stream::unfold(state, move |(inner, mut subscription, mut seen, first)| async move {
        let news = if first {
            inner.replicas.modseq(group, mailbox).ok().flatten().unwrap_or_default()
        } else {
            match select(subscription.changed(), sleep(jitter(KEEPALIVE))).await {
                Either::Left(modseq) => modseq,
                Either::Right(()) if inner.is_stopped() || inner.group(group).is_none() => return None,
                Either::Right(()) => seen,
            }
        };
        seen = seen.max(news);
        Some((Ok(bytes::Bytes::copy_from_slice(&seen.0.to_le_bytes())), (inner, subscription, seen, false)))
    });
    Ok(frames.boxed())
}

/// Whether a watched account is not where its followers look for it, by this node's directory replica.
pub(crate) fn is_stale(inner: &Inner, account: AccountId, home: Option<(GroupId, Epoch)>) -> bool {
    // `None`: its followers are looking right now.
    let Some(home) = home else { return false };
    match inner.accounts.get(&AccountBy::Id(account)) {
        Ok(a) => a.home.state != HomeState::Active || (a.home.group, a.home.epoch) != home,
        Err(Error::NotFound(_)) => true,
        Err(_) => false,
    }
}
