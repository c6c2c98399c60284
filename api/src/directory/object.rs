//! Every kind of entry in one form, for whoever treats them alike: search, LDAP, rights.

use super::{Account, Attributes, Filter, Home};
use crate::ids::AccountId;
use minicbor::{Decode, Encode};

/// Entries of one page at most.
pub const SEARCH_PAGE_MAX: u32 = 1_000;
/// Entries looked at for one page at most: a page may be empty and yet have a next one.
pub const SEARCH_EXAMINE_MAX: u32 = 10_000;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
#[repr(u8)]
pub enum ObjectKind {
    /// A person's account.
    #[n(0)]
    Account = 0,
    /// A calendar resource: an account of a room or a thing.
    #[n(1)]
    Resource = 1,
    /// A distribution list; its members are values of `zimbraMailForwardingAddress`.
    #[n(2)]
    DistributionList = 2,
    /// A group whose members are found by `memberURL`.
    #[n(3)]
    DynamicGroup = 3,
    /// A mail domain.
    #[n(4)]
    Domain = 4,
    /// A class of service.
    #[n(5)]
    Cos = 5,
    /// A server.
    #[n(6)]
    Server = 6,
    /// The global config: one.
    #[n(7)]
    Config = 7,
    /// Of an account: another mailbox to fetch from. Of a domain: an external directory.
    #[n(8)]
    DataSource = 8,
    /// Of an account: a persona.
    #[n(9)]
    Identity = 9,
    /// Of an account: a signature.
    #[n(10)]
    Signature = 10,
    /// An extension of the web client.
    #[n(11)]
    Zimlet = 11,
    /// What rights that hold everywhere are granted on: one.
    #[n(12)]
    GlobalGrant = 12,
    /// A chat component.
    #[n(13)]
    XmppComponent = 13,
    /// A MIME type and its handler.
    #[n(14)]
    MimeType = 14,
    /// Servers that stand in for each other.
    #[n(15)]
    AlwaysOnCluster = 15,
    /// A telephony service.
    #[n(16)]
    UcService = 16,
    /// Where a share's owner lives.
    #[n(17)]
    ShareLocator = 17,
    /// A named GAL filter of a domain.
    #[n(18)]
    AddressList = 18,
    /// A node of a hierarchical address book.
    #[n(19)]
    HabGroup = 19,
    /// An account's or list's further address, as LDAP shows it.
    #[n(20)]
    Alias = 20,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [ObjectKind; 21] = [
        ObjectKind::Account,
        ObjectKind::Resource,
        ObjectKind::DistributionList,
        ObjectKind::DynamicGroup,
        ObjectKind::Domain,
        ObjectKind::Cos,
        ObjectKind::Server,
        ObjectKind::Config,
        ObjectKind::DataSource,
        ObjectKind::Identity,
        ObjectKind::Signature,
        ObjectKind::Zimlet,
        ObjectKind::GlobalGrant,
        ObjectKind::XmppComponent,
        ObjectKind::MimeType,
        ObjectKind::AlwaysOnCluster,
        ObjectKind::UcService,
        ObjectKind::ShareLocator,
        ObjectKind::AddressList,
        ObjectKind::HabGroup,
        ObjectKind::Alias,
    ];

    /// LDAP object classes (data model §11).
    pub fn object_classes(self) -> &'static [&'static str] {
        match self {
            ObjectKind::Account => &["inetOrgPerson", "zimbraAccount", "amavisAccount"],
            ObjectKind::Resource => &["inetOrgPerson", "zimbraAccount", "amavisAccount", "zimbraCalendarResource"],
            ObjectKind::DistributionList => &["zimbraDistributionList", "zimbraMailRecipient"],
            ObjectKind::DynamicGroup => &["groupOfURLs", "dgIdentityAux", "zimbraGroup"],
            ObjectKind::Domain => &["dcObject", "organization", "zimbraDomain", "amavisAccount"],
            ObjectKind::Cos => &["zimbraCOS"],
            ObjectKind::Server => &["zimbraServer"],
            ObjectKind::Config => &["organizationalRole", "zimbraGlobalConfig"],
            ObjectKind::DataSource => &["zimbraDataSource"],
            ObjectKind::Identity => &["zimbraIdentity"],
            ObjectKind::Signature => &["zimbraSignature"],
            ObjectKind::Zimlet => &["zimbraZimletEntry"],
            ObjectKind::GlobalGrant => &["organizationalRole", "zimbraAclTarget"],
            ObjectKind::XmppComponent => &["zimbraXMPPComponent"],
            ObjectKind::MimeType => &["zimbraMimeEntry"],
            ObjectKind::AlwaysOnCluster => &["zimbraAlwaysOnCluster"],
            ObjectKind::UcService => &["zimbraUCService"],
            ObjectKind::ShareLocator => &["zimbraShareLocator"],
            ObjectKind::AddressList => &["zimbraAddressList"],
            ObjectKind::HabGroup => &["organizationalUnit", "zimbraHabGroup"],
            ObjectKind::Alias => &["zimbraAlias"],
        }
    }

    /// Whether its name is an address, unique with all other addresses.
    pub fn has_address(self) -> bool {
        matches!(
            self,
            ObjectKind::Account | ObjectKind::Resource | ObjectKind::DistributionList | ObjectKind::DynamicGroup
        )
    }

    /// Whether it belongs to another entry.
    pub fn has_parent(self) -> bool {
        matches!(
            self,
            ObjectKind::DataSource
                | ObjectKind::Identity
                | ObjectKind::Signature
                | ObjectKind::AddressList
                | ObjectKind::HabGroup
        )
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Kinds(#[n(0)] pub u32);

impl Kinds {
    /// Every kind but `Alias`, which shows again what is there already.
    pub const ALL: Kinds = Kinds((1 << ObjectKind::Alias as u32) - 1);
    /// What has a mailbox.
    pub const ACCOUNTS: Kinds = Kinds(1 | 1 << ObjectKind::Resource as u32);
    /// Lists and groups.
    pub const GROUPS: Kinds = Kinds(1 << ObjectKind::DistributionList as u32 | 1 << ObjectKind::DynamicGroup as u32);

    /// These.
    pub fn of(kinds: &[ObjectKind]) -> Kinds {
        Kinds(kinds.iter().fold(0, |set, k| set | 1 << *k as u32))
    }
    /// Whether it is among them.
    pub fn has(self, kind: ObjectKind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }
    /// Both.
    #[must_use]
    pub fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

/// An entry of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Object {
    /// What it is.
    #[n(0)]
    pub kind: ObjectKind,
    /// `zimbraId`; the nil id for the global config.
    #[n(1)]
    pub id: AccountId,
    /// Name: an address, a domain, or what its kind has.
    #[n(2)]
    pub name: String,
    /// What it belongs to.
    #[n(3)]
    pub parent: Option<AccountId>,
    /// Its own attributes.
    #[n(4)]
    pub attrs: Attributes,
    /// An account's mailbox.
    #[n(5)]
    pub home: Option<Home>,
}

impl From<Account> for Object {
    fn from(account: Account) -> Object {
        let kind = if account.is_resource() { ObjectKind::Resource } else { ObjectKind::Account };
        Object {
            kind,
            id: account.id,
            name: account.name,
            parent: None,
            attrs: account.attrs,
            home: Some(account.home),
        }
    }
}

impl Object {
    /// The domain of its address or, of a domain, itself.
    pub fn domain(&self) -> Option<&str> {
        match self.kind {
            ObjectKind::Domain => Some(&self.name),
            kind if kind.has_address() || kind == ObjectKind::Alias => self.name.rsplit_once('@').map(|(_, d)| d),
            _ => None,
        }
    }
}

/// How an entry is named.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ObjectBy {
    /// `zimbraId`, of any kind.
    #[n(0)]
    Id(#[n(0)] AccountId),
    /// Any entry with this address, also an alias.
    #[n(1)]
    Address(#[n(0)] String),
    /// Name within its kind, any case; for `Config` and `GlobalGrant` the name does not matter.
    #[n(2)]
    Name {
        /// Kind.
        #[n(0)]
        kind: ObjectKind,
        /// Name.
        #[n(1)]
        name: String,
        /// What it belongs to.
        #[n(2)]
        parent: Option<AccountId>,
    },
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Search {
    /// Kinds wanted.
    #[n(0)]
    pub kinds: Kinds,
    /// Only what is in this domain (and the domain itself, if domains are wanted).
    #[n(1)]
    pub domain: Option<String>,
    /// Only what belongs to this entry.
    #[n(2)]
    pub parent: Option<AccountId>,
    /// What it must be.
    #[n(3)]
    pub filter: Filter,
    /// Where the page before ended ([`Page::next`]).
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub after: Option<Vec<u8>>,
    /// Entries of the page, 1 to [`SEARCH_PAGE_MAX`].
    #[n(5)]
    pub limit: u32,
}

/// A page of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Page {
    /// The entries: each once, also over all pages, as long as it does not change meanwhile.
    #[n(0)]
    pub objects: Vec<Object>,
    /// Where to go on; none: this was all.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub next: Option<Vec<u8>>,
}
