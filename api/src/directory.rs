//! The directory: nodes, shard map, cluster config, domains, COS, accounts and where each mailbox lives.

use crate::error::{Error, Result};
use crate::ids::*;
use crate::sharing::Grantee;
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::time::Duration;

/// Values of one attribute.
pub type Values = Vec<String>;

/// Attributes under Zimbra's (LDAP's) names. Names compare without case: keys are lower case, and the spelling to show
/// stands beside the values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Attributes {
    #[n(0)]
    map: BTreeMap<String, Attribute>,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Attribute {
    /// Spelling to show.
    #[n(0)]
    pub name: String,
    /// Values, in order of adding.
    #[n(1)]
    pub values: Values,
}

impl Attributes {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }
    /// All values; empty when absent.
    pub fn all(&self, name: &str) -> &[String] {
        self.map.get(&name.to_ascii_lowercase()).map_or(&[], |a| &a.values)
    }
    /// The first value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }
    /// Sets the values; none removes the attribute.
    pub fn set(&mut self, name: &str, values: Values) {
        let key = name.to_ascii_lowercase();
        if values.is_empty() {
            self.map.remove(&key);
        } else {
            let shown = self.map.get(&key).map_or_else(|| name.to_string(), |a| a.name.clone());
            self.map.insert(key, Attribute { name: shown, values });
        }
    }
    /// All attributes, by lower-case name.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.map.values()
    }
    /// Whether the attribute is there.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }
}

/// How a modification treats an attribute's values (zmprov: `attr`, `+attr`, `-attr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ModifyKind {
    /// Exactly these (none or one empty value: remove the attribute).
    #[n(0)]
    Replace,
    /// Add these.
    #[n(1)]
    Add,
    /// Remove these.
    #[n(2)]
    Remove,
}

/// One modification.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Modification {
    /// Attribute name, any case.
    #[n(0)]
    pub name: String,
    /// How.
    #[n(1)]
    pub kind: ModifyKind,
    /// Values.
    #[n(2)]
    pub values: Values,
}

impl Modification {
    /// Replaces by one value.
    pub fn set(name: &str, value: impl Into<String>) -> Self {
        Modification { name: name.into(), kind: ModifyKind::Replace, values: vec![value.into()] }
    }
}

/// Whether the shard may serve the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum HomeState {
    /// Serving.
    #[n(0)]
    Active,
    /// The account is gone; the mailbox's contents are still to be removed.
    #[n(1)]
    Deleting,
}

/// Where a mailbox lives. Written at account creation, changed only by a move; never computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Home {
    /// The mailbox.
    #[n(0)]
    pub mailbox: MailboxId,
    /// Its shard's group.
    #[n(1)]
    pub group: GroupId,
    /// Raised at each move; starts at 1.
    #[n(2)]
    pub epoch: Epoch,
    /// Serving or not.
    #[n(3)]
    pub state: HomeState,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// `zimbraId`.
    #[n(0)]
    pub id: AccountId,
    /// Primary address, lower case.
    #[n(1)]
    pub name: String,
    /// Its own attributes (without inherited ones). `userPassword` holds a hash.
    #[n(2)]
    pub attrs: Attributes,
    /// Its mailbox.
    #[n(3)]
    pub home: Home,
    /// In replies: the COS's attributes that the account inherits, and its domain's `zimbraMailDomainQuota`.
    #[n(4)]
    pub cos: Option<Attributes>,
}

impl Account {
    /// The account's value, else its COS's.
    pub fn effective(&self, name: &str) -> Option<&str> {
        self.attrs.get(name).or_else(|| self.cos.as_ref().and_then(|c| c.get(name)))
    }
    /// `zimbraAccountStatus`; `active` when unset.
    pub fn status(&self) -> &str {
        self.effective("zimbraAccountStatus").unwrap_or("active")
    }
    /// The smaller of `zimbraMailQuota` and its domain's `zimbraMailDomainQuota`, in bytes; 0 = no limit.
    pub fn quota(&self) -> u64 {
        let bound = |name: &str| self.effective(name).and_then(|v| v.parse().ok()).unwrap_or(0);
        match (bound("zimbraMailQuota"), bound("zimbraMailDomainQuota")) {
            (0, domain) => domain,
            (own, 0) => own,
            (own, domain) => own.min(domain),
        }
    }
    /// `zimbraIsAdminAccount`.
    pub fn is_admin(&self) -> bool {
        self.effective("zimbraIsAdminAccount") == Some("TRUE")
    }
}

/// A duration attribute: a number with `ms`, `s`, `m`, `h`, `d` or `w` behind it, or of seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..unit_at)?.parse().ok()?;
    let factor = match text.get(unit_at..)? {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number.checked_mul(factor).map(Duration::from_secs)
}

/// A mail domain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Domain {
    /// `zimbraId`.
    #[n(0)]
    pub id: AccountId,
    /// Lower case.
    #[n(1)]
    pub name: String,
    /// Attributes.
    #[n(2)]
    pub attrs: Attributes,
}

/// A class of service.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cos {
    /// `zimbraId`.
    #[n(0)]
    pub id: AccountId,
    /// Name; `default` always exists.
    #[n(1)]
    pub name: String,
    /// Attributes that accounts inherit.
    #[n(2)]
    pub attrs: Attributes,
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum NodeState {
    /// Known, catching up.
    #[n(0)]
    Joining,
    /// Taking its share.
    #[n(1)]
    Active,
    /// Giving its share away.
    #[n(2)]
    Draining,
    /// Gone; its id is never used again.
    #[n(3)]
    Removed,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Node {
    /// Raft id (number and disk incarnation).
    #[n(0)]
    pub id: NodeId,
    /// What peers dial for node-to-node traffic, `host:port`.
    #[n(1)]
    pub rpc: String,
    /// Host name or address shown to clients and operators.
    #[n(2)]
    pub advertise: String,
    /// Service name -> port (`imap`, `lmtp`, ...).
    #[n(3)]
    pub ports: BTreeMap<String, u16>,
    /// State.
    #[n(4)]
    pub state: NodeState,
    /// Failure domain; replicas of a shard avoid sharing one.
    #[n(5)]
    pub zone: String,
    /// Software version it last started with.
    #[n(6)]
    pub version: String,
}

/// Which nodes hold a shard.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Shard {
    /// The group.
    #[n(0)]
    pub group: GroupId,
    /// Nodes that should be voters; the first is the preferred leader.
    #[n(1)]
    pub replicas: Vec<NodeId>,
    /// Raised at each change; changes compare it first.
    #[n(2)]
    pub version: u64,
}

/// The cluster's own facts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cluster {
    /// Random name made at `init` (UUID text).
    #[n(0)]
    pub id: String,
    /// Number of mailbox shards.
    #[n(1)]
    pub shards: u32,
    /// Replicas a shard should have.
    #[n(2)]
    pub replication: u32,
    /// The cluster CA's certificate, PEM.
    #[n(3)]
    pub ca_cert_pem: String,
    /// The cluster CA's key, PEM, so that any node can admit another. Never shown.
    #[n(4)]
    pub ca_key_pem: String,
    /// Global config attributes (`zimbra...`).
    #[n(5)]
    pub config: Attributes,
}

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
    /// Keeps a secret of the cluster under a name, or (without a value) forgets it; with a version only as long as that
    /// is what is kept (0: nothing), `Conflict` otherwise. `Invalid` for a bad name, `TooLarge`. -> `Version`
    #[n(32)]
    PutSecret {
        /// 1 to [`SECRET_NAME_BYTES_MAX`] bytes of visible ASCII.
        #[n(0)]
        name: String,
        /// At most [`SECRET_BYTES_MAX`].
        #[n(1)]
        value: Option<Secret>,
        /// Version compared.
        #[n(2)]
        expect: Option<u64>,
    },
}

/// Bytes of a [`Secret`]'s name at most.
pub const SECRET_NAME_BYTES_MAX: usize = 400;
/// Bytes of a [`Secret`] at most.
pub const SECRET_BYTES_MAX: usize = 256 * 1024;
/// Names in one `Secrets` reply at most.
pub const SECRETS_PER_PAGE_MAX: u32 = 1_000;

/// What the cluster keeps for itself, like a certificate's key: on every node, and shown to nobody. It is no attribute,
/// so no way to read attributes leads to it; in logs it is only its length.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Secret(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

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
        /// At most so many (and never more than [`SECRETS_PER_PAGE_MAX`]).
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

/// Splits and normalises an address: `(local part, domain)` in lower case.
///
/// # Errors
/// `Invalid` unless it is a plain `local@domain` with non-empty parts, no spaces or control characters, and at most
/// 64 + 1 + 255 bytes (RFC 5321 §4.5.3.1).
pub fn split_address(address: &str) -> Result<(String, String)> {
    let bad = || Error::Invalid(format!("address {address:?}"));
    let (local, domain) = address.rsplit_once('@').ok_or_else(bad)?;
    let plain = |s: &str| {
        !s.is_empty() && !s.chars().any(|c| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"".contains(c))
    };
    if !plain(local) || local.contains('@') || !plain(domain) || local.len() > 64 || domain.len() > 255 {
        return Err(bad());
    }
    Ok((local.to_lowercase(), domain.trim_end_matches('.').to_lowercase()))
}

#[cfg(test)]
mod duration_tests {
    use super::duration;

    #[test]
    fn durations() {
        for (text, want) in [
            ("30d", Some(2_592_000_000)),
            ("1h", Some(3_600_000)),
            ("5", Some(5_000)),
            ("500ms", Some(500)),
            ("", None),
            ("d", None),
            ("5x", None),
            ("1w", Some(604_800_000)),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_millis()), want, "{text}");
        }
    }
}
