//! Questions to the directory, and answers.

use super::{Account, Cluster, Cos, Domain, Home, Node, Object, ObjectBy, Page, Search, Secret, Shard};
use crate::error::{Error, Result};
use crate::ids::*;
use minicbor::{Decode, Encode};

/// How an account is named.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AccountBy {
    /// `zimbraId`.
    #[n(0)]
    Id(#[n(0)] AccountId),
    /// Primary address or alias, any case.
    #[n(1)]
    Address(#[n(0)] String),
    /// A domain's name, any case: the account whose `zimbraMailCatchAllAddress` is `@domain`.
    #[n(8)]
    CatchAll(#[n(0)] String),
}

/// A question to the directory.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DirectoryQuery {
    /// -> `Cluster`
    #[n(0)]
    Cluster,
    /// -> `Nodes`
    #[n(1)]
    Nodes,
    /// -> `Shards`
    #[n(2)]
    Shards,
    /// -> `Domain` or `NotFound`
    #[n(3)]
    Domain(#[n(0)] String),
    /// -> `Domains`
    #[n(4)]
    Domains,
    /// -> `Cos` or `NotFound`
    #[n(5)]
    Cos(#[n(0)] String),
    /// -> `CosList`
    #[n(6)]
    CosList,
    /// With its COS's attributes. -> `Account` or `NotFound`
    #[n(7)]
    Account(#[n(0)] AccountBy),
    /// By address, a page. -> `Accounts`
    #[n(8)]
    Accounts {
        /// Only this domain.
        #[n(0)]
        domain: Option<String>,
        /// Continue behind this address.
        #[n(1)]
        after: Option<String>,
        /// At most so many (at most 1,000).
        #[n(2)]
        limit: u32,
    },
    /// Homes still to be emptied. -> `Homes`
    #[n(9)]
    DeletingHomes,
    /// Mailboxes per shard. -> `Counts`
    #[n(10)]
    MailboxCounts,
    /// Who shares folders with an account, by id, a page. -> `Sharers`
    #[n(11)]
    SharedWith {
        /// With whom.
        #[n(0)]
        account: AccountId,
        /// Continue behind this owner.
        #[n(1)]
        after: Option<AccountId>,
        /// At most so many (and never more than [`crate::sharing::SHARERS_PER_PAGE_MAX`]).
        #[n(2)]
        limit: u32,
    },
    /// Any entry. -> `Object` or `NotFound`
    #[n(12)]
    Object(#[n(0)] ObjectBy),
    /// Entries that a filter fits, a page. -> `Page`
    #[n(13)]
    Search(#[n(0)] Box<Search>),
    /// Accounts of a domain by their own `zimbraCOSId` (none: the nil id). -> `CosCounts`
    #[n(14)]
    AccountCounts(#[n(0)] String),
    /// -> `Secret` or `NotFound`
    #[n(32)]
    Secret(#[n(0)] String),
    /// Names of secrets in order, a page. -> `Secrets`
    #[n(33)]
    Secrets {
        /// Only those whose names begin so.
        #[n(0)]
        prefix: String,
        /// Continue behind this name.
        #[n(1)]
        after: Option<String>,
        /// At most so many (and never more than [`super::SECRETS_PER_PAGE_MAX`]).
        #[n(2)]
        limit: u32,
    },
}

/// The answer to a [`DirectoryQuery`] or [`DirectoryCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DirectoryReply {
    /// Nothing to tell.
    #[n(0)]
    Done,
    /// A node number.
    #[n(1)]
    Number(#[n(0)] u32),
    /// The cluster.
    #[n(2)]
    Cluster(#[n(0)] Cluster),
    /// Nodes.
    #[n(3)]
    Nodes(#[n(0)] Vec<Node>),
    /// Shard map.
    #[n(4)]
    Shards(#[n(0)] Vec<Shard>),
    /// One domain.
    #[n(5)]
    Domain(#[n(0)] Domain),
    /// Domains by name.
    #[n(6)]
    Domains(#[n(0)] Vec<Domain>),
    /// One COS.
    #[n(7)]
    Cos(#[n(0)] Cos),
    /// All COS by name.
    #[n(8)]
    CosList(#[n(0)] Vec<Cos>),
    /// One account.
    #[n(9)]
    Account(#[n(0)] Box<Account>),
    /// A page of accounts.
    #[n(10)]
    Accounts(#[n(0)] Vec<Account>),
    /// Homes.
    #[n(11)]
    Homes(#[n(0)] Vec<Home>),
    /// (shard, mailboxes).
    #[n(12)]
    Counts(#[n(0)] Vec<(GroupId, u64)>),
    /// (owner, primary address).
    #[n(13)]
    Sharers(#[n(0)] Vec<(AccountId, String)>),
    /// One entry.
    #[n(14)]
    Object(#[n(0)] Box<Object>),
    /// Entries found.
    #[n(15)]
    Page(#[n(0)] Page),
    /// For each command of a batch: why it failed.
    #[n(16)]
    Outcomes(#[n(0)] Vec<Option<Error>>),
    /// (COS id, accounts).
    #[n(17)]
    CosCounts(#[n(0)] Vec<(AccountId, u64)>),
    /// What a secret's version is now; 0: it is gone. A version is never used twice.
    #[n(32)]
    Version(#[n(0)] u64),
    /// A secret and its version.
    #[n(33)]
    Secret(#[n(0)] Secret, #[n(1)] u64),
    /// (name, version).
    #[n(34)]
    Secrets(#[n(0)] Vec<(String, u64)>),
}

impl DirectoryReply {
    /// The entry, when this is one.
    ///
    /// # Errors
    /// `Internal` otherwise.
    pub fn into_object(self) -> Result<Object> {
        match self {
            DirectoryReply::Object(o) => Ok(*o),
            other => Err(Error::Internal(format!("expected an entry, got {other:?}"))),
        }
    }
    /// The page, when this is one.
    ///
    /// # Errors
    /// `Internal` otherwise.
    pub fn into_page(self) -> Result<Page> {
        match self {
            DirectoryReply::Page(p) => Ok(p),
            other => Err(Error::Internal(format!("expected a page, got {other:?}"))),
        }
    }
    /// The account, when this is one.
    ///
    /// # Errors
    /// `Internal` otherwise.
    pub fn into_account(self) -> Result<Account> {
        match self {
            DirectoryReply::Account(a) => Ok(*a),
            other => Err(Error::Internal(format!("expected an account, got {other:?}"))),
        }
    }
}
