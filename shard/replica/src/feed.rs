//! The change feed: who wants to hear of a mailbox's changes on this node.
//!
//! A mailbox nobody follows costs nothing; one that is followed costs one entry and one watch channel, however many
//! follow it. What is told is a hint (the newest mod-sequence), the tables are the truth.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::{GroupId, MailboxId, ModSeq};
use zcluster_runtime::watch;

type Key = (GroupId, MailboxId);

/// The followed mailboxes of a node.
#[derive(Default)]
pub struct Feed {
    followed: Mutex<BTreeMap<Key, watch::Sender<ModSeq>>>,
}

/// One follower of one mailbox.
pub struct Subscription {
    feed: Arc<Feed>,
    key: Key,
    // `None` only while being dropped.
    changes: Option<watch::Receiver<ModSeq>>,
}

impl Feed {
    /// Nobody follows anything.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
    /// Follows a mailbox. What it had before is not told: subscribe first, then read its position.
    pub fn subscribe(self: &Arc<Self>, group: GroupId, mailbox: MailboxId) -> Subscription {
        let key = (group, mailbox);
        let mut followed = self.followed.lock();
        let sender = followed.entry(key).or_insert_with(|| watch::channel(ModSeq(0)).0);
        Subscription { feed: self.clone(), key, changes: Some(sender.subscribe()) }
    }
    /// Tells of a change. Called after the change can be read.
    pub fn publish(&self, group: GroupId, mailbox: MailboxId, modseq: ModSeq) {
        if let Some(sender) = self.followed.lock().get(&(group, mailbox)) {
            sender.send_if_modified(|m| {
                let newer = modseq > *m;
                *m = modseq.max(*m);
                newer
            });
        }
    }
    /// Tells the followers of a group's mailboxes where these are now: after a snapshot replaced the state.
    pub fn refresh(&self, group: GroupId, mut position: impl FnMut(MailboxId) -> Option<ModSeq>) {
        let range = (group, MailboxId(0))..=(group, MailboxId(u64::MAX));
        let mailboxes: Vec<MailboxId> = self.followed.lock().range(range).map(|((_, m), _)| *m).collect();
        for mailbox in mailboxes {
            if let Some(modseq) = position(mailbox) {
                self.publish(group, mailbox, modseq);
            }
        }
    }
    /// How many mailboxes are followed.
    pub fn len(&self) -> usize {
        self.followed.lock().len()
    }
    /// Whether no mailbox is followed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Subscription {
    /// Waits for a change not yet heard of and returns the newest mod-sequence.
    pub async fn changed(&mut self) -> ModSeq {
        let Some(changes) = &mut self.changes else { return std::future::pending().await };
        match changes.changed().await {
            Ok(()) => *changes.borrow(),
            // The feed holds the sender as long as there is a subscription.
            Err(watch::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut followed = self.feed.followed.lock();
        self.changes = None;
        if followed.get(&self.key).is_some_and(|s| s.receiver_count() == 0) {
            followed.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: GroupId = GroupId(1);
    const M: MailboxId = MailboxId(7);

    #[tokio::test]
    async fn tells_rises_once_and_forgets_the_unfollowed() {
        let feed = Feed::new();
        feed.publish(G, M, ModSeq(1));
        let mut a = feed.subscribe(G, M);
        let b = feed.subscribe(G, M);
        assert_eq!(feed.len(), 1);
        feed.publish(G, M, ModSeq(5));
        feed.publish(G, M, ModSeq(4));
        feed.publish(G, MailboxId(8), ModSeq(9));
        assert_eq!(a.changed().await, ModSeq(5));
        feed.refresh(G, |m| Some(ModSeq(m.0)));
        assert_eq!(a.changed().await, ModSeq(7));
        drop(b);
        assert_eq!(feed.len(), 1);
        drop(a);
        assert!(feed.is_empty());
    }
}
