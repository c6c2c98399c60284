//! The one surface: two traits with closed enums of queries and commands.

use crate::body::{BlobRef, Body, PreparedBody};
use crate::delivery::{NewOutgoing, Outgoing};
use crate::directory::{DirectoryCommand, DirectoryQuery, DirectoryReply};
use crate::error::Result;
use crate::ids::{AccountId, GroupId, ModSeq, RequestId};
use crate::mailbox::{MailboxCommand, MailboxQuery, MailboxReply, Receipt};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::ops::Range;
use std::time::Duration;

/// Who asks; checked against rights where it is not the mailbox's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in account.
    Account(AccountId),
    /// An administrator of the whole cluster.
    Admin(AccountId),
    /// A delivery edge (LMTP, SMTP).
    Delivery,
    /// The cluster itself.
    System,
}

/// A question or command on its way.
#[derive(Clone, Debug)]
pub struct Call<T> {
    /// Who asks.
    pub actor: Actor,
    /// Whose mailbox.
    pub account: AccountId,
    /// The intention's id. A caller that repeats a write because it does not know the outcome repeats this id.
    pub request: RequestId,
    /// How long the caller waits, over all retries.
    pub timeout: Duration,
    /// The question or command.
    pub body: T,
}

/// Pieces of a body, in order.
pub type BodyStream = BoxStream<'static, Result<Bytes>>;

/// Everything a front-end may do with mailboxes.
pub trait MailboxApi: Send + Sync + 'static {
    /// Answers at a position not older than the call's begin (linearizable).
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>>;

    /// Answers once a quorum has the command on disk and it is applied. `Unavailable` = unknown outcome.
    fn write(&self, call: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>>;

    /// Makes a body ready to be named in [`MailboxCommand::AddMessage`] for this account: small ones at once, large
    /// ones by writing their chunks into the account's shard under the call's request id.
    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>>;

    /// Streams the bytes `range` (of the uncompressed message) of a body; each piece at most 256 KiB. A stream error
    /// ends it.
    fn get(&self, call: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>>;

    /// Yields the mailbox's mod-sequence each time it has risen above what was yielded before (first: above `since`);
    /// several rises may be told as one. A hint to ask [`MailboxQuery::Changes`]. Survives any failover; ends only
    /// when the mailbox is gone or the node stops.
    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq>;
}

/// How fresh a directory answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// From the local replica, but a "no such" answer is confirmed by `Linearizable` first.
    Local,
    /// From the local replica as it is: for what is asked right behind a question whose "no such" was confirmed.
    AsIs,
    /// Not older than the call's begin; falls back on the local replica (and says so in the log) when no leader
    /// answers within the timeout.
    Recent,
    /// Not older than the call's begin, or `Unavailable`.
    Linearizable,
}

/// Everything a front-end may do with the directory.
pub trait DirectoryApi: Send + Sync + 'static {
    /// Answers from this node's replica of the directory.
    fn read(&self, query: DirectoryQuery, freshness: Freshness) -> BoxFuture<'_, Result<DirectoryReply>>;

    /// Rises with every change that this node's replica has applied: the key of what is made from local reads and kept.
    /// None: unknown, nothing may be kept.
    fn version(&self) -> Option<u64> {
        None
    }

    /// Answers once a quorum has the command on disk and this node has applied it, so that the caller's next local
    /// read sees it.
    fn write(
        &self,
        actor: Actor,
        request: RequestId,
        command: DirectoryCommand,
    ) -> BoxFuture<'_, Result<DirectoryReply>>;
}

/// A claimed message of an outbox, for whoever carries it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The shard: with the message's number, a name that no other message ever has.
    pub group: GroupId,
    /// The message.
    pub message: Outgoing,
    /// Its bytes.
    pub raw: Bytes,
}

/// What came of carrying a [`Letter`].
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// Recipients that have it, or never will.
    pub done: Vec<String>,
    /// When to try again for the others.
    pub retry_after: Duration,
    /// Why they failed.
    pub note: String,
    /// Reports for the sender, to be put into the outbox.
    pub reports: Vec<(PreparedBody, NewOutgoing)>,
    /// One of the reports tells the sender that the message is late.
    pub warned: bool,
}

/// Takes outgoing messages to where they go: other mailboxes, other hosts. Called by the leader of the shard that has
/// the message; perhaps again, after a failover, for one that was carried already, so what it hands over it hands over
/// under the letter's name.
pub trait Carrier: Send + Sync + 'static {
    /// Tries once.
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Carried>;
}
