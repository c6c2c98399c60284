//! What goes into a group's log and what comes out of applying it.

use crate::mailbox::DueOutgoing;
use minicbor::{Decode, Encode};
use zcluster_api::directory::Home;
use zcluster_api::mailbox::Traits;
use zcluster_api::{
    AccountId, BodiesCommand, BodiesReceipt, DirectoryCommand, DirectoryReply, Epoch, Error, MailboxCommand, MailboxId,
    ModSeq, Receipt, RequestId,
};

/// The only time and the only order a state machine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Position in the group's log.
    pub index: u64,
    /// Unix milliseconds by the proposer's clock, made monotone over the group.
    pub wall_ms: u64,
}

/// One log entry's payload. On the wire: [`zcluster_api::codec`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Proposal {
    /// The intention: the same id again is answered with the same reply.
    #[n(0)]
    pub request: RequestId,
    /// The proposer's clock, Unix milliseconds.
    #[n(1)]
    pub wall_ms: u64,
    /// What to change.
    #[n(2)]
    pub what: Change,
}

/// A change to a group's state.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// To the directory (group 0).
    #[n(0)]
    Directory(#[n(0)] DirectoryCommand),
    /// To a mailbox (other groups).
    #[n(1)]
    Mailbox {
        /// Which.
        #[n(0)]
        mailbox: MailboxId,
        /// The home epoch the proposer knows.
        #[n(1)]
        epoch: Epoch,
        /// The account's quota in bytes when it was proposed; 0 = none.
        #[n(2)]
        quota: u64,
        /// What to do.
        #[n(3)]
        command: MailboxCommand,
        /// The account that asks for it, when it is not the owner: its rights decide.
        #[n(4)]
        actor: Option<AccountId>,
        /// What its account was like when it was proposed; nothing from whoever does not know.
        #[n(5)]
        traits: Option<Traits>,
    },
    /// To where bodies are (groups other than 0).
    #[n(2)]
    Bodies(#[n(0)] BodiesCommand),
}

/// The answer to a [`Proposal`]. On the wire: [`zcluster_api::codec`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// To [`Change::Mailbox`].
    #[n(0)]
    Mailbox(#[n(0)] Result<Receipt, Error>),
    /// To [`Change::Directory`].
    #[n(1)]
    Directory(#[n(0)] Result<DirectoryReply, Error>),
    /// To [`Change::Bodies`].
    #[n(2)]
    Bodies(#[n(0)] Result<BodiesReceipt, Error>),
}

/// What an applied proposal should set in motion. Hints for the leader; the tables are the truth, and a new leader
/// reads them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An account was deleted: send `DeleteMailbox` to its home until it says that nothing is left, then
    /// `MailboxDeleted` (see `DirectoryQuery::DeletingHomes`).
    EmptyMailbox(Home),
    /// Nodes changed.
    NodesChanged,
    /// The shard map changed.
    ShardsChanged,
    /// The outbox holds a message that may be due earlier than any it has held there: at this time, Unix milliseconds,
    /// or later (see [`crate::due_outgoing`]).
    OutboxDue(u64),
    /// A message was claimed as it was queued, until its `due_ms`. Whoever leads the shard in the term of the log entry may
    /// send it, and nobody else: there is one leader in a term.
    OutboxClaimed(DueOutgoing),
}

/// What applying did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// For the proposer.
    pub reply: Reply,
    /// Mailboxes whose mod-sequence rose, and to what; empty for a repeated request.
    pub changed: Vec<(MailboxId, ModSeq)>,
    /// Hints.
    pub effects: Vec<Effect>,
    /// The request was known: this is the reply it was given before, and nothing was changed.
    pub repeated: bool,
}
