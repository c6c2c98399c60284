//! Changes to the directory.

use super::{Cluster, Modification, Node, NodeState, ObjectKind, Shard};
use crate::ids::*;
use crate::sharing::Grantee;
use minicbor::{Decode, Encode};

/// A change to the directory.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DirectoryCommand {
    /// The first command of a cluster; again with the same id: no change. -> `Done`
    #[n(0)]
    InitCluster {
        /// Facts.
        #[n(0)]
        cluster: Cluster,
        /// The first node.
        #[n(1)]
        node: Node,
        /// `zimbraId` of the COS `default`.
        #[n(2)]
        default_cos: AccountId,
    },
    /// Adds a node or changes what is known of it; with a second value only as long as the node is in that state
    /// (`Conflict` otherwise), so that nobody undoes a decision that he has not seen. An id that was removed stays so
    /// (`Conflict`). -> `Done`
    #[n(1)]
    PutNode(#[n(0)] Node, #[n(1)] Option<NodeState>),
    /// Next free node number, taken. -> `Number`
    #[n(2)]
    TakeNodeNumber,
    /// Remembers a join token by its SHA-256 until `expires_ms`. -> `Done`
    #[n(3)]
    AddToken {
        /// SHA-256 of the secret.
        #[cbor(n(0), with = "minicbor::bytes")]
        hash: [u8; 32],
        /// Unix milliseconds.
        #[n(1)]
        expires_ms: u64,
    },
    /// Uses a token up. `Denied` when it is unknown, used or expired. -> `Done`
    #[n(4)]
    UseToken {
        /// SHA-256 of the secret.
        #[cbor(n(0), with = "minicbor::bytes")]
        hash: [u8; 32],
    },
    /// Sets a shard's replicas if its version still is `expect` (0 = not there yet). -> `Done` or `Conflict`
    #[n(5)]
    PutShard {
        /// New value; its version must be `expect + 1`.
        #[n(0)]
        shard: Shard,
        /// Version compared.
        #[n(1)]
        expect: u64,
    },
    /// Changes global config. -> `Done`
    #[n(6)]
    ModifyConfig(#[n(0)] Vec<Modification>),
    /// -> `Domain`
    #[n(7)]
    CreateDomain {
        /// `zimbraId`, drawn by the edge.
        #[n(0)]
        id: AccountId,
        /// Name, any case.
        #[n(1)]
        name: String,
        /// Attributes.
        #[n(2)]
        attrs: Vec<Modification>,
    },
    /// -> `Domain`
    #[n(8)]
    ModifyDomain {
        /// Which.
        #[n(0)]
        name: String,
        /// Changes.
        #[n(1)]
        changes: Vec<Modification>,
    },
    /// `Conflict` while it has accounts. -> `Done`
    #[n(9)]
    DeleteDomain(#[n(0)] String),
    /// -> `Cos`
    #[n(10)]
    CreateCos {
        /// `zimbraId`.
        #[n(0)]
        id: AccountId,
        /// Name.
        #[n(1)]
        name: String,
        /// Attributes.
        #[n(2)]
        attrs: Vec<Modification>,
    },
    /// -> `Cos`
    #[n(11)]
    ModifyCos {
        /// Which.
        #[n(0)]
        name: String,
        /// Changes.
        #[n(1)]
        changes: Vec<Modification>,
    },
    /// Its accounts fall back on `default`. -> `Done`
    #[n(12)]
    DeleteCos(#[n(0)] String),
    /// -> `Account`. `NotFound` (domain), `Exists` (address), `Invalid` (name, attribute).
    #[n(13)]
    CreateAccount {
        /// `zimbraId`.
        #[n(0)]
        id: AccountId,
        /// Address, any case.
        #[n(1)]
        name: String,
        /// Attributes; `userPassword` must be a hash already.
        #[n(2)]
        attrs: Vec<Modification>,
        /// The shard the router chose for its mailbox.
        #[n(3)]
        group: GroupId,
    },
    /// -> `Account`
    #[n(14)]
    ModifyAccount {
        /// Which.
        #[n(0)]
        id: AccountId,
        /// Changes; `userPassword` must be a hash already.
        #[n(1)]
        changes: Vec<Modification>,
    },
    /// The addresses are free at once; the home stays as `Deleting` until `MailboxDeleted`. -> `Done`
    #[n(15)]
    DeleteAccount(#[n(0)] AccountId),
    /// The shard has removed the contents. -> `Done`
    #[n(16)]
    MailboxDeleted(#[n(0)] MailboxId),
    /// -> `Account`
    #[n(17)]
    RenameAccount {
        /// Which.
        #[n(0)]
        id: AccountId,
        /// New address.
        #[n(1)]
        name: String,
    },
    /// -> `Account`
    #[n(18)]
    AddAlias {
        /// Whose.
        #[n(0)]
        id: AccountId,
        /// Address.
        #[n(1)]
        alias: String,
    },
    /// -> `Account`
    #[n(19)]
    RemoveAlias {
        /// Whose.
        #[n(0)]
        id: AccountId,
        /// Address.
        #[n(1)]
        alias: String,
    },
    /// Notes with whom an account shares folders. Only an index, for finding owners: rights are decided by the owner's
    /// mailbox alone. News older than what is known is passed over. -> `Done`
    #[n(20)]
    SetShares {
        /// Whose folders.
        #[n(0)]
        owner: AccountId,
        /// With whom.
        #[n(1)]
        grantees: Vec<Grantee>,
        /// The owner's mailbox's mod-sequence when it was so.
        #[n(2)]
        modseq: ModSeq,
    },
    /// Adds an entry that is no account, domain or COS. Lists and groups have addresses; names of what belongs to an
    /// account are unique there, others in their kind. -> `Object`. `NotFound` (domain, parent), `Exists`, `Invalid`.
    #[n(21)]
    CreateEntry {
        /// What.
        #[n(0)]
        kind: ObjectKind,
        /// `zimbraId`, drawn by the edge.
        #[n(1)]
        id: AccountId,
        /// Name, any case.
        #[n(2)]
        name: String,
        /// The account or list that it belongs to.
        #[n(3)]
        parent: Option<AccountId>,
        /// Attributes.
        #[n(4)]
        attrs: Vec<Modification>,
    },
    /// Changes such an entry. -> `Object`
    #[n(22)]
    ModifyEntry {
        /// Which.
        #[n(0)]
        id: AccountId,
        /// Changes.
        #[n(1)]
        changes: Vec<Modification>,
    },
    /// Removes such an entry and what belongs to it; its addresses are free at once. -> `Done`
    #[n(23)]
    DeleteEntry(#[n(0)] AccountId),
    /// -> `Object`
    #[n(24)]
    RenameEntry {
        /// Which.
        #[n(0)]
        id: AccountId,
        /// New name.
        #[n(1)]
        name: String,
    },
    /// Begins to rename a domain: the new name exists at once, with the old one's id and attributes; the old one lives
    /// on, shut down, until [`DirectoryCommand::RenameDomainStep`] has moved all addresses. -> `Domain` (the new one)
    #[n(25)]
    RenameDomain {
        /// Which.
        #[n(0)]
        name: String,
        /// New name.
        #[n(1)]
        new_name: String,
    },
    /// Moves up to `limit` addresses of a domain that is being renamed. -> `Number` of addresses moved; 0 = it is over,
    /// and the old name is gone.
    #[n(26)]
    RenameDomainStep {
        /// The old name.
        #[n(0)]
        name: String,
        /// Addresses at most, 1 to 1,000.
        #[n(1)]
        limit: u32,
    },
    /// Indexes entries that were written before there was an index, up to `limit` of them. -> `Number` done; 0 = none left.
    #[n(27)]
    BuildIndex {
        /// Entries at most, 1 to 1,000.
        #[n(0)]
        limit: u32,
    },
    /// Gives a COS another name; it keeps its id. -> `Cos`
    #[n(29)]
    RenameCos {
        /// Which.
        #[n(0)]
        name: String,
        /// New name.
        #[n(1)]
        new_name: String,
    },
    /// Carries out several commands, each by itself: one that fails changes nothing. None of them a `Batch`. -> `Outcomes`
    #[n(28)]
    Batch(#[n(0)] Vec<DirectoryCommand>),
}
