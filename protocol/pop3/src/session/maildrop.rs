//! The Inbox as a session sees it.

use crate::Pop3;
use crate::config::{BLOBS_AHEAD, MESSAGES_MAX};
use crate::errors::{Failure, refused};
use std::collections::BTreeMap;
use zcluster_api::mailbox::{KeywordChange, MESSAGES_PER_PAGE_MAX, Message, UIDS_PER_COMMAND_MAX, Want, folders};
use zcluster_api::{AccountId, BlobRef, Error, Flags, MailboxCommand, MailboxQuery, MailboxReply, Result, Uid, UidSet};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub uid: u32,
    pub size: u64,
    pub deleted: bool,
    /// Unread at sign-in and retrieved since.
    pub newly_read: bool,
    unread: bool,
}

/// The messages at sign-in, oldest first; message `n` of the protocol is `entries[n - 1]`.
pub struct Maildrop {
    pub account: AccountId,
    uid_validity: u32,
    entries: Vec<Entry>,
    /// Body references of the next messages, by UID.
    blobs: BTreeMap<u32, BlobRef>,
}

impl Maildrop {
    /// Takes the snapshot.
    pub async fn open(service: &Pop3, account: AccountId) -> Result<Self> {
        let read = |query| service.mailboxes().read(service.call(account, query));
        let MailboxReply::Folders(found) = read(MailboxQuery::Folder(folders::INBOX)).await? else { return Err(odd()) };
        let inbox = found.first().ok_or_else(|| Error::NotFound("Inbox".into()))?;
        // Later arrivals belong to the next session.
        let last = inbox.uid_next.0.saturating_sub(1);
        let mut entries = Vec::with_capacity(MESSAGES_MAX.min(inbox.messages as usize));
        let mut next = Some(Uid(1));
        while let Some(Uid(first)) = next.take()
            && first <= last
            && entries.len() < MESSAGES_MAX
        {
            let page = read(page(UidSet::range(first, last), Want::default(), MESSAGES_PER_PAGE_MAX)).await?;
            let MailboxReply::Messages { messages, next: more } = page else { return Err(odd()) };
            entries.extend(messages.iter().map(Entry::of));
            next = more.filter(|n| n.0 > first);
        }
        if entries.len() >= MESSAGES_MAX {
            tracing::warn!(%account, messages = inbox.messages, "inbox is too large for pop3: newest messages not shown");
            entries.truncate(MESSAGES_MAX);
        }
        Ok(Maildrop { account, uid_validity: inbox.uid_validity, entries, blobs: BTreeMap::new() })
    }

    /// Count and octets of the messages not marked as deleted.
    pub fn totals(&self) -> (usize, u64) {
        self.alive().fold((0, 0), |(n, bytes), (_, e)| (n + 1, bytes + e.size))
    }

    /// The messages not marked as deleted, with their numbers.
    pub fn alive(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries.iter().enumerate().filter(|(_, e)| !e.deleted).map(|(i, e)| (i + 1, e))
    }

    /// Message `number`, unless it is marked as deleted.
    pub fn get(&mut self, number: u32) -> Result<&mut Entry, Failure> {
        let index = (number as usize).wrapping_sub(1);
        match self.entries.get_mut(index) {
            Some(e) if e.deleted => Err(refused(format!("message {number} is deleted"))),
            Some(e) => Ok(e),
            None => Err(refused("no such message")),
        }
    }

    /// The message's unique id (RFC 1939 §7 UIDL): stable over sessions, never re-used.
    pub fn unique_id(&self, entry: &Entry) -> String {
        format!("{}.{}", self.uid_validity, entry.uid)
    }

    /// Takes all marks back.
    pub fn reset(&mut self) {
        self.entries.iter_mut().for_each(|e| (e.deleted, e.newly_read) = (false, false));
    }

    /// Notes that message `number` was retrieved.
    pub fn retrieved(&mut self, number: u32) {
        if let Ok(entry) = self.get(number) {
            entry.newly_read = entry.unread;
        }
    }

    /// The body of message `number`. Those of the following messages are asked for along with it.
    pub async fn body(&mut self, service: &Pop3, number: u32) -> Result<BlobRef, Failure> {
        let uid = self.get(number)?.uid;
        if let Some(blob) = self.blobs.remove(&uid) {
            return Ok(blob);
        }
        let ahead = self.entries.iter().skip(number as usize - 1).filter(|e| !e.deleted).take(BLOBS_AHEAD);
        let uids: UidSet = ahead.map(|e| e.uid).collect();
        let want = Want { summary: false, blob: true };
        let query = page(uids, want, BLOBS_AHEAD as u32);
        let reply = service.mailboxes().read(service.call(self.account, query)).await?;
        let MailboxReply::Messages { messages, .. } = reply else { return Err(odd().into()) };
        self.blobs = messages.into_iter().filter_map(|m| m.blob.map(|b| (m.uid.0, b))).collect();
        self.blobs.remove(&uid).ok_or_else(|| refused("message was removed by another session"))
    }

    /// Removes what is marked as deleted (RFC 1939 §6); says how many messages were to go.
    pub async fn expunge(&self, service: &Pop3) -> Result<u64> {
        let uids: UidSet = self.entries.iter().filter(|e| e.deleted).map(|e| e.uid).collect();
        for uids in batches(&uids) {
            // By UID whatever their flags: DELE is a mark of this session and no `\Deleted`.
            let command = MailboxCommand::Expunge { folder: folders::INBOX, uids, only_deleted: false };
            service.mailboxes().write(service.call(self.account, command)).await?;
        }
        Ok(uids.len())
    }

    /// Marks as read what was retrieved and stays.
    pub async fn mark_read(&self, service: &Pop3) -> Result<()> {
        let read: UidSet = self.entries.iter().filter(|e| e.newly_read && !e.deleted).map(|e| e.uid).collect();
        for uids in batches(&read) {
            let command = MailboxCommand::Store {
                folder: folders::INBOX,
                uids,
                add: Flags::default(),
                remove: Flags::UNREAD,
                keywords: KeywordChange::Add(Vec::new()),
                unchanged_since: None,
            };
            service.mailboxes().write(service.call(self.account, command)).await?;
        }
        Ok(())
    }
}

impl Entry {
    fn of(message: &Message) -> Self {
        let unread = message.flags.contains(Flags::UNREAD);
        Entry { uid: message.uid.0, size: message.size, deleted: false, newly_read: false, unread }
    }
}

fn page(uids: UidSet, want: Want, limit: u32) -> MailboxQuery {
    MailboxQuery::Messages { folder: folders::INBOX, uids, want, changed_since: None, limit }
}

/// Sets small enough for one command each.
fn batches(uids: &UidSet) -> Vec<UidSet> {
    let uids: Vec<u32> = uids.iter().collect();
    uids.chunks(UIDS_PER_COMMAND_MAX as usize).map(|c| c.iter().copied().collect()).collect()
}

/// The reply is not the query's.
fn odd() -> Error {
    Error::Internal("reply of another query".into())
}
