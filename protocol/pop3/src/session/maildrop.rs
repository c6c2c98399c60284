//! The Inbox (and perhaps Junk) as a session sees it.

use super::policy::{Deletion, Policy};
use crate::Pop3;
use crate::config::{BLOBS_AHEAD, MESSAGES_MAX};
use crate::errors::{Failure, refused};
use std::collections::BTreeMap;
use zcluster_api::directory::Account;
use zcluster_api::mailbox::{KeywordChange, MESSAGES_PER_PAGE_MAX, Message, UIDS_PER_COMMAND_MAX, Want, folders};
use zcluster_api::{
    AccountId, BlobRef, Error, Flags, FolderId, MailboxCommand, MailboxQuery, MailboxReply, Result, Uid, UidSet,
};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub uid: u32,
    pub size: u64,
    /// It is in Junk rather than in the Inbox.
    junk: bool,
    pub deleted: bool,
    /// Unread at sign-in and retrieved since.
    pub newly_read: bool,
    unread: bool,
}

// What a maildrop of `MESSAGES_MAX` costs hangs on it.
const _: () = assert!(size_of::<Entry>() == 16);

/// The messages at sign-in, oldest first, those of Junk behind the others; message `n` of the protocol is
/// `entries[n - 1]`.
pub struct Maildrop {
    pub account: AccountId,
    deletion: Deletion,
    /// Of the Inbox and of Junk.
    uid_validity: [u32; 2],
    entries: Vec<Entry>,
    /// Body references of the next messages.
    blobs: BTreeMap<(bool, u32), BlobRef>,
}

impl Maildrop {
    /// Takes the snapshot.
    pub async fn open(service: &Pop3, account: &Account) -> Result<Self> {
        let policy = Policy::of(account);
        let mut maildrop = Maildrop {
            account: account.id,
            deletion: policy.deletion,
            uid_validity: [0; 2],
            entries: Vec::new(),
            blobs: BTreeMap::new(),
        };
        maildrop.load(service, false, &policy).await?;
        if policy.include_junk {
            maildrop.load(service, true, &policy).await?;
        }
        Ok(maildrop)
    }

    async fn load(&mut self, service: &Pop3, junk: bool, policy: &Policy) -> Result<()> {
        let (account, folder) = (self.account, folder(junk));
        let read = |query| service.mailboxes().read(service.call(account, query));
        let MailboxReply::Folders(found) = read(MailboxQuery::Folder(folder)).await? else { return Err(odd()) };
        let info = found.first().ok_or_else(|| Error::NotFound("folder".into()))?;
        self.uid_validity[usize::from(junk)] = info.uid_validity;
        // Later arrivals belong to the next session.
        let last = info.uid_next.0.saturating_sub(1);
        let room = MESSAGES_MAX.saturating_sub(self.entries.len());
        self.entries.reserve_exact(room.min(info.messages as usize));
        let mut next = Some(Uid(1));
        while let Some(Uid(first)) = next.take()
            && first <= last
            && self.entries.len() < MESSAGES_MAX
        {
            let query = page(folder, UidSet::range(first, last), Want::default(), MESSAGES_PER_PAGE_MAX);
            let MailboxReply::Messages { messages, next: more } = read(query).await? else { return Err(odd()) };
            self.entries.extend(messages.iter().filter(|m| policy.shows(m)).map(|m| Entry::of(m, junk)));
            next = more.filter(|n| n.0 > first);
        }
        if self.entries.len() >= MESSAGES_MAX {
            tracing::warn!(%account, messages = info.messages, "too much mail for pop3: newest messages not shown");
            self.entries.truncate(MESSAGES_MAX);
        }
        Ok(())
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
        let prefix = if entry.junk { "j" } else { "" };
        format!("{prefix}{}.{}", self.uid_validity[usize::from(entry.junk)], entry.uid)
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
        let Entry { uid, junk, .. } = *self.get(number)?;
        if let Some(blob) = self.blobs.remove(&(junk, uid)) {
            return Ok(blob);
        }
        let behind = self.entries.iter().skip(number as usize - 1);
        let ahead = behind.filter(|e| !e.deleted && e.junk == junk).take(BLOBS_AHEAD);
        let uids: UidSet = ahead.map(|e| e.uid).collect();
        let want = Want { summary: false, blob: true };
        let query = page(folder(junk), uids, want, BLOBS_AHEAD as u32);
        let reply = service.mailboxes().read(service.call(self.account, query)).await?;
        let MailboxReply::Messages { messages, .. } = reply else { return Err(odd().into()) };
        self.blobs = messages.into_iter().filter_map(|m| m.blob.map(|b| ((junk, m.uid.0), b))).collect();
        self.blobs.remove(&(junk, uid)).ok_or_else(|| refused("message was removed by another session"))
    }

    /// Does with what is marked as deleted what the account wants (RFC 1939 §6); says how many messages that were.
    pub async fn delete_marked(&self, service: &Pop3) -> Result<u64> {
        let mut count = 0;
        for junk in [false, true] {
            let uids = self.uids(junk, |e| e.deleted);
            for uids in batches(&uids) {
                self.write(service, self.deletion.command(folder(junk), uids)).await?;
            }
            count += uids.len();
        }
        Ok(count)
    }

    /// Marks as read what was retrieved and stays.
    pub async fn mark_read(&self, service: &Pop3) -> Result<()> {
        for junk in [false, true] {
            for uids in batches(&self.uids(junk, |e| e.newly_read && !e.deleted)) {
                self.write(service, store(folder(junk), uids, Flags::default(), Flags::UNREAD)).await?;
            }
        }
        Ok(())
    }

    fn uids(&self, junk: bool, wanted: impl Fn(&Entry) -> bool) -> UidSet {
        self.entries.iter().filter(|e| e.junk == junk && wanted(e)).map(|e| e.uid).collect()
    }

    async fn write(&self, service: &Pop3, command: MailboxCommand) -> Result<()> {
        service.mailboxes().write(service.call(self.account, command)).await.map(|_| ())
    }
}

impl Entry {
    fn of(message: &Message, junk: bool) -> Self {
        let unread = message.flags.contains(Flags::UNREAD);
        Entry { uid: message.uid.0, size: message.size, junk, deleted: false, newly_read: false, unread }
    }
}

fn folder(junk: bool) -> FolderId {
    if junk { folders::JUNK } else { folders::INBOX }
}

fn page(folder: FolderId, uids: UidSet, want: Want, limit: u32) -> MailboxQuery {
    MailboxQuery::Messages { folder, uids, want, changed_since: None, limit }
}

/// Adds and removes flags.
pub(super) fn store(folder: FolderId, uids: UidSet, add: Flags, remove: Flags) -> MailboxCommand {
    let keywords = KeywordChange::Add(Vec::new());
    MailboxCommand::Store { folder, uids, add, remove, keywords, unchanged_since: None }
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
