//! The outbound queue: what a submitted message asks for on its way (RFC 3461, RFC 8689, RFC 6531), mail that leaves
//! the cluster without belonging to a user, and what an operator may see and do.
//!
//! Every shard has one reserved mailbox, [`QUEUE_MAILBOX`], whose outbox holds mail of no user (relayed mail, reports,
//! journal copies). It is addressed through [`queue_account`], an account that the directory does not know; queries and
//! commands about the queue of the whole shard go there too.

use crate::delivery::{Content, Outgoing, OutgoingKind, Settlement};
use crate::directory::{Account, Attributes, Home, HomeState};
use crate::ids::{AccountId, DeliveryKey, Epoch, GroupId, MailboxId};
use minicbor::{Decode, Encode};

/// The reserved mailbox of each shard; the directory counts up from 1 and never comes here.
pub const QUEUE_MAILBOX: MailboxId = MailboxId(i64::MAX as u64);
/// Messages that a shard's reserved mailbox may have waiting.
pub const QUEUE_MAX: u32 = 1_000_000;
/// Rows looked at for one [`QueueQuery`].
pub const QUEUE_ROWS_PER_PAGE: u32 = 10_000;
/// Messages shown by one [`QueueQuery`] at most.
pub const QUEUE_SHOWN_PER_PAGE: u32 = 500;
/// Bytes of an envelope id (RFC 3461 §4.4: 100 characters before encoding; xtext triples them at most).
pub const ENVID_BYTES_MAX: usize = 300;
/// Bytes of an original recipient (RFC 3461 §4.2: 500).
pub const ORCPT_BYTES_MAX: usize = 500;

/// How ids of queue accounts begin: a UUID of version 8 (RFC 9562 §5.8), which no account is given.
const QUEUE_ACCOUNT: [u8; 12] = *b"zclust\x80q\x80\0\0\0";

/// The account by which the queue of a shard is reached.
pub fn queue_account(group: GroupId) -> AccountId {
    let mut id = [0; 16];
    id[..12].copy_from_slice(&QUEUE_ACCOUNT);
    id[12..].copy_from_slice(&group.0.to_be_bytes());
    AccountId(id)
}

/// The account behind an id that [`queue_account`] made.
pub fn queue_of(id: AccountId) -> Option<Account> {
    let (start, group) = id.0.split_first_chunk::<12>()?;
    if *start != QUEUE_ACCOUNT {
        return None;
    }
    let group = GroupId(u32::from_be_bytes(group.try_into().ok()?));
    let home = Home { mailbox: QUEUE_MAILBOX, group, epoch: Epoch(1), state: HomeState::Active };
    Some(Account { id, name: format!("queue-{group}"), attrs: Attributes::new(), home, cos: None, domain: None })
}

/// When the sender wants to hear of a recipient (RFC 3461 §4.1). No value at all: of failures, and of delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Notify(#[n(0)] pub u8);

impl Notify {
    /// `NEVER`.
    pub const NEVER: Notify = Notify(0);
    /// `SUCCESS`.
    pub const SUCCESS: Notify = Notify(1);
    /// `FAILURE`.
    pub const FAILURE: Notify = Notify(2);
    /// `DELAY`.
    pub const DELAY: Notify = Notify(4);

    /// Whether all of `other` is among these.
    pub fn contains(self, other: Notify) -> bool {
        self.0 & other.0 == other.0
    }
    /// Both.
    #[must_use]
    pub fn with(self, other: Notify) -> Notify {
        Notify(self.0 | other.0)
    }
}

/// How much of a message a report returns (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Ret {
    /// `FULL`.
    #[n(0)]
    Full,
    /// `HDRS`.
    #[n(1)]
    Headers,
}

/// The content's kind, as MAIL's BODY said (RFC 6152, RFC 3030).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum BodyKind {
    /// `7BIT`, or nothing.
    #[n(0)]
    #[default]
    SevenBit,
    /// `8BITMIME`.
    #[n(1)]
    EightBit,
    /// `BINARYMIME`.
    #[n(2)]
    Binary,
}

/// What was asked about one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Default, Encode, Decode)]
pub struct RecipientTerms {
    /// The forward-path, as among the message's recipients.
    #[n(0)]
    pub address: String,
    /// `ORCPT`, still in xtext, with its type: `rfc822;bob@example.com`.
    #[n(1)]
    pub orcpt: Option<String>,
    /// `NOTIFY`.
    #[n(2)]
    pub notify: Option<Notify>,
}

/// What a message asks for on its way.
#[derive(Clone, Debug, PartialEq, Eq, Default, Encode, Decode)]
pub struct Terms {
    /// `RET`.
    #[n(0)]
    pub ret: Option<Ret>,
    /// `ENVID`, still in xtext.
    #[n(1)]
    pub envid: Option<String>,
    /// `SMTPUTF8` (RFC 6531).
    #[n(2)]
    pub smtputf8: bool,
    /// `REQUIRETLS` (RFC 8689).
    #[n(3)]
    pub require_tls: bool,
    /// `BODY`.
    #[n(4)]
    pub body: BodyKind,
    /// Recipients about whom something was asked.
    #[n(5)]
    pub recipients: Vec<RecipientTerms>,
}

impl Terms {
    /// What was asked about a recipient.
    pub fn of(&self, address: &str) -> Option<&RecipientTerms> {
        self.recipients.iter().find(|r| r.address == address)
    }
}

/// Puts one message into a mailbox's outbox, once per key, as one or several rows (one for each destination, so that
/// each is tried and settled by itself).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Enqueue {
    /// The bytes.
    #[n(0)]
    pub content: Content,
    /// The rows, 1 to [`crate::delivery::OUTGOING_MAX`].
    #[n(1)]
    pub sends: Vec<Send>,
    /// A second command with the same key within the window does nothing.
    #[n(2)]
    pub delivery_key: DeliveryKey,
    /// The rows that are due at once are claimed with the same command, for so long, milliseconds, at most
    /// [`CLAIM_MS_MAX`]: they belong to whoever leads the shard in the term of the command's log entry, when that is
    /// applied there. `None`: they are due, and wait for a claim.
    #[n(3)]
    pub claim_ms: Option<u64>,
}

/// How long a claim lasts unless it is renewed, milliseconds. After a leader's death its messages wait so long.
pub const CLAIM_MS: u64 = 20_000;
/// The longest that a command may claim what it queues, milliseconds.
pub const CLAIM_MS_MAX: u64 = 60_000;
/// Messages that one command may claim.
pub const CLAIMS_PER_COMMAND_MAX: usize = 256;
/// Tries that one command may settle.
pub const SETTLEMENTS_PER_COMMAND_MAX: usize = 256;

/// A claim on one of several messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OutgoingClaim {
    /// Which message.
    #[n(0)]
    pub place: QueuePlace,
    /// Its `due_ms` as the claimer saw it.
    #[n(1)]
    pub due_ms: u64,
}

/// What one of several tries led to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PlacedSettlement {
    /// Whose outbox the message is in.
    #[n(0)]
    pub mailbox: MailboxId,
    /// What came of the try; without reports.
    #[n(1)]
    pub settlement: Settlement,
}

/// In place of a time: until an operator releases the message.
pub const HELD_MS: u64 = u64::MAX;

/// One row to be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Send {
    /// Why.
    #[n(0)]
    pub kind: OutgoingKind,
    /// Reverse-path; empty is the null one.
    #[n(1)]
    pub sender: String,
    /// Forward-paths, 1 to [`crate::delivery::OUTGOING_RECIPIENTS_MAX`].
    #[n(2)]
    pub recipients: Vec<String>,
    /// What it asks for.
    #[n(3)]
    pub terms: Option<Terms>,
    /// Not to be sent before then, Unix milliseconds (RFC 4865); 0: at once; [`HELD_MS`]: not before it is released.
    #[n(4)]
    pub not_before_ms: u64,
}

/// What an operator does to a waiting message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum QueueAction {
    /// It waits until it is released.
    #[n(0)]
    Hold,
    /// It is due at once.
    #[n(1)]
    Release,
    /// It is due at once, unless it is held or being tried now.
    #[n(2)]
    Retry,
    /// It is removed; nobody is told.
    #[n(3)]
    Delete,
}

/// Which messages; all that is set must hold.
#[derive(Clone, Debug, PartialEq, Eq, Default, Encode, Decode)]
pub struct QueueFilter {
    /// This number.
    #[n(0)]
    pub number: Option<u64>,
    /// This reverse-path, without regard to case; empty: the null one.
    #[n(1)]
    pub sender: Option<String>,
    /// A recipient with this address, without regard to case.
    #[n(2)]
    pub recipient: Option<String>,
    /// A recipient in this domain, without regard to case.
    #[n(3)]
    pub domain: Option<String>,
    /// Held ones, or those that are not.
    #[n(4)]
    pub held: Option<bool>,
}

impl QueueFilter {
    /// Whether a message is meant.
    pub fn matches(&self, message: &Outgoing) -> bool {
        let has = |f: &dyn Fn(&str) -> bool| message.recipients.iter().any(|r| f(r));
        self.number.is_none_or(|n| n == message.number)
            && self.sender.as_ref().is_none_or(|s| s.eq_ignore_ascii_case(&message.sender))
            && self.recipient.as_ref().is_none_or(|a| has(&|r| a.eq_ignore_ascii_case(r)))
            && self.domain.as_ref().is_none_or(|d| has(&|r| domain_of(r).eq_ignore_ascii_case(d)))
            && self.held.is_none_or(|held| held == message.held)
    }
}

/// What is behind the last `@`; empty without one.
pub fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// A place in a shard's queue: mailbox, number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct QueuePlace {
    /// Whose outbox.
    #[n(0)]
    pub mailbox: MailboxId,
    /// Which message.
    #[n(1)]
    pub number: u64,
}

/// A page of a shard's queue.
#[derive(Clone, Debug, PartialEq, Eq, Default, Encode, Decode)]
pub struct QueueQuery {
    /// Behind this one; none: from the first.
    #[n(0)]
    pub after: Option<QueuePlace>,
    /// Which.
    #[n(1)]
    pub filter: QueueFilter,
    /// At most so many; [`QUEUE_SHOWN_PER_PAGE`] bounds it.
    #[n(2)]
    pub limit: u32,
}

/// A message of a shard's queue.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct QueueEntry {
    /// Whose outbox has it.
    #[n(0)]
    pub mailbox: MailboxId,
    /// The message.
    #[n(1)]
    pub message: Outgoing,
}

/// Answer to [`QueueQuery`].
#[derive(Clone, Debug, PartialEq, Eq, Default, Encode, Decode)]
pub struct QueuePage {
    /// By mailbox and number.
    #[n(0)]
    pub entries: Vec<QueueEntry>,
    /// Where to go on; none: this was all.
    #[n(1)]
    pub next: Option<QueuePlace>,
}

/// Waiting messages for one destination.
#[derive(Clone, Debug, PartialEq, Eq, Default, Encode, Decode)]
pub struct QueueCount {
    /// The recipients' domain.
    #[n(0)]
    pub domain: String,
    /// Messages.
    #[n(1)]
    pub messages: u64,
    /// Recipients.
    #[n(2)]
    pub recipients: u64,
    /// Bytes.
    #[n(3)]
    pub bytes: u64,
    /// Messages held.
    #[n(4)]
    pub held: u64,
    /// Messages tried before.
    #[n(5)]
    pub deferred: u64,
    /// When the oldest was put there, Unix milliseconds.
    #[n(6)]
    pub oldest_ms: u64,
}

/// A page of a shard's counts; a destination may be on several pages.
#[derive(Clone, Debug, PartialEq, Eq, Default, Encode, Decode)]
pub struct QueueSummary {
    /// By domain.
    #[n(0)]
    pub counts: Vec<QueueCount>,
    /// Where to go on; none: this was all.
    #[n(1)]
    pub next: Option<QueuePlace>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_accounts_are_told_from_others() {
        let account = queue_of(queue_account(GroupId(77))).unwrap();
        assert_eq!((account.home.group, account.home.mailbox), (GroupId(77), QUEUE_MAILBOX));
        assert_eq!(queue_of(AccountId([0; 16])), None);
        let id = queue_account(GroupId(1)).to_string();
        assert_eq!((&id[14..15], &id[19..20]), ("8", "8"), "a UUID of version 8: {id}");
    }

    #[test]
    fn notify_words_combine() {
        let both = Notify::SUCCESS.with(Notify::DELAY);
        assert!(both.contains(Notify::SUCCESS) && !both.contains(Notify::FAILURE));
        assert!(!Notify::NEVER.contains(Notify::FAILURE));
    }
}
