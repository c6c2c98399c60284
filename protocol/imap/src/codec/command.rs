//! What a client may ask, as types.

macro_rules! bit_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $n:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub u32);
        impl $name {
            $($(#[$bit_doc])* pub const $bit: $name = $name(1 << $n);)*
            /// Whether all of `other` is in.
            pub fn has(self, other: $name) -> bool { self.0 & other.0 == other.0 }
            /// Whether some of `other` is in.
            pub fn any(self, other: $name) -> bool { self.0 & other.0 != 0 }
            /// Both together.
            #[must_use]
            pub const fn with(self, other: $name) -> $name { $name(self.0 | other.0) }
            /// Adds `other`.
            pub fn add(&mut self, other: $name) { self.0 |= other.0; }
            /// Whether nothing is in.
            pub fn is_empty(self) -> bool { self.0 == 0 }
        }
    };
}

mod fetch;
mod list;
mod notify;
mod search;

pub use fetch::{BodyForm, BodyItem, Fetch, FetchItems, FlagList, SectionText, Store, StoreMode};
pub use list::{List, ListReturn, ListSelect, StatusItems};
pub use notify::{EventGroup, Events, MailboxFilter, Notify};
pub use search::{MultiSearch, Partial, Search, SearchKey, SearchReturn, Thread};

use super::sequence::{SeqNumber, SequenceSet};
use zcluster_api::UidSet;
use zcluster_api::mailbox::SpecialUse;
use zcluster_api::sharing::{Annotation, Depth, RightsChange};

/// A command with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What the tagged response begins with.
    pub tag: String,
    /// What is asked.
    pub request: Request,
}

/// What is asked. Mailbox names are UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// RFC 3501 §6.1.1.
    Capability,
    /// RFC 3501 §6.1.2.
    Noop,
    /// RFC 3501 §6.1.3.
    Logout,
    /// RFC 3501 §6.2.1.
    StartTls,
    /// RFC 2971 §3.1: names and values.
    Id(Vec<(String, Option<String>)>),
    /// RFC 3501 §6.2.2.
    Authenticate {
        /// Mechanism in upper case.
        mechanism: String,
        /// Base64 of the first message (RFC 4959); `=` is the empty one.
        initial: Option<Vec<u8>>,
    },
    /// RFC 3501 §6.2.3.
    Login {
        /// Account name.
        user: String,
        /// Password.
        password: String,
    },
    /// RFC 5161: names in upper case.
    Enable(Vec<String>),
    /// RFC 2342.
    Namespace,
    /// RFC 3501 §6.3.8, RFC 5258.
    List(Box<List>),
    /// RFC 3501 §6.3.9.
    Lsub {
        /// Prefix of the pattern.
        reference: String,
        /// With `*` and `%`.
        pattern: String,
    },
    /// RFC 3501 §6.3.10.
    Status {
        /// Which.
        mailbox: String,
        /// What.
        items: StatusItems,
    },
    /// RFC 3501 §6.3.1 and §6.3.2.
    Select {
        /// Which.
        mailbox: String,
        /// EXAMINE.
        read_only: bool,
        /// `(CONDSTORE)` (RFC 7162 §3.1.8).
        condstore: bool,
        /// `(QRESYNC (...))` (RFC 7162 §3.2.5).
        qresync: Option<Box<Qresync>>,
    },
    /// RFC 3691.
    Unselect,
    /// RFC 3501 §6.4.2.
    Close,
    /// RFC 3501 §6.4.1.
    Check,
    /// RFC 3501 §6.3.3; with the use of RFC 6154 §3.
    Create {
        /// Name.
        mailbox: String,
        /// `USE`.
        special_use: Option<SpecialUse>,
    },
    /// RFC 3501 §6.3.4.
    Delete(String),
    /// RFC 3501 §6.3.5.
    Rename {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// RFC 3501 §6.3.6.
    Subscribe(String),
    /// RFC 3501 §6.3.7.
    Unsubscribe(String),
    /// RFC 3501 §6.3.11, RFC 3502, RFC 4469, up to the first literal of a message.
    Append(Append),
    /// RFC 8508, up to the first literal of the message.
    Replace(Box<Replace>),
    /// RFC 4978: the mechanism in upper case.
    Compress(String),
    /// RFC 4467 §7: pairs of a URL and a mechanism.
    GenUrlAuth(Vec<(String, String)>),
    /// RFC 4467 §7, RFC 5524.
    UrlFetch(Vec<UrlFetch>),
    /// RFC 4467 §7.
    ResetKey {
        /// Only this mailbox's.
        mailbox: Option<String>,
        /// Only for these mechanisms, in upper case.
        mechanisms: Vec<String>,
    },
    /// RFC 9208 §4.1.1: the root.
    SetQuota(String),
    /// RFC 3501 §6.4.5.
    Fetch(Box<Fetch>),
    /// RFC 3501 §6.4.6.
    Store(Box<Store>),
    /// RFC 3501 §6.4.7, RFC 6851.
    Copy {
        /// The set holds UIDs.
        uid: bool,
        /// Messages.
        set: SequenceSet,
        /// Target.
        mailbox: String,
        /// MOVE instead.
        moving: bool,
    },
    /// RFC 3501 §6.4.3; with a set: UID EXPUNGE (RFC 4315 §2.1).
    Expunge(Option<SequenceSet>),
    /// RFC 3501 §6.4.4.
    Search(Box<Search>),
    /// RFC 7377 §2.
    MultiSearch(Box<MultiSearch>),
    /// RFC 5256 §3.
    Thread(Box<Thread>),
    /// RFC 5267 §4.3.5: tags.
    CancelUpdate(Vec<String>),
    /// RFC 2177.
    Idle,
    /// RFC 5465; nothing: `NOTIFY NONE`.
    Notify(Option<Box<Notify>>),
    /// RFC 9208 §4.1.2.
    GetQuota(String),
    /// RFC 9208 §4.1.3.
    GetQuotaRoot(String),
    /// RFC 4314 §3.1.
    SetAcl {
        /// Which.
        mailbox: String,
        /// Who; with `-` in front: what is denied.
        identifier: String,
        /// How.
        change: RightsChange,
    },
    /// RFC 4314 §3.2.
    DeleteAcl {
        /// Which.
        mailbox: String,
        /// Who.
        identifier: String,
    },
    /// RFC 4314 §3.3.
    GetAcl(String),
    /// RFC 4314 §3.4.
    ListRights {
        /// Which.
        mailbox: String,
        /// Who.
        identifier: String,
    },
    /// RFC 4314 §3.5.
    MyRights(String),
    /// RFC 5464 §4.2.
    GetMetadata(Box<GetMetadata>),
    /// RFC 5464 §4.3.
    SetMetadata(Box<SetMetadata>),
}

impl Request {
    /// Whether the command reads on by itself: its messages come in literals that no buffer holds.
    pub fn reads_on(&self) -> bool {
        matches!(self, Request::Append(_) | Request::Replace(_))
    }

    /// The command's name, for metrics and logs.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Capability => "capability",
            Request::Noop => "noop",
            Request::Logout => "logout",
            Request::StartTls => "starttls",
            Request::Id(_) => "id",
            Request::Authenticate { .. } => "authenticate",
            Request::Login { .. } => "login",
            Request::Enable(_) => "enable",
            Request::Namespace => "namespace",
            Request::List(_) => "list",
            Request::Lsub { .. } => "lsub",
            Request::Status { .. } => "status",
            Request::Select { read_only: false, .. } => "select",
            Request::Select { read_only: true, .. } => "examine",
            Request::Unselect => "unselect",
            Request::Close => "close",
            Request::Check => "check",
            Request::Create { .. } => "create",
            Request::Delete(_) => "delete",
            Request::Rename { .. } => "rename",
            Request::Subscribe(_) => "subscribe",
            Request::Unsubscribe(_) => "unsubscribe",
            Request::Append(_) => "append",
            Request::Replace(_) => "replace",
            Request::Compress(_) => "compress",
            Request::GenUrlAuth(_) => "genurlauth",
            Request::UrlFetch(_) => "urlfetch",
            Request::ResetKey { .. } => "resetkey",
            Request::SetQuota(_) => "setquota",
            Request::Fetch(_) => "fetch",
            Request::Store(_) => "store",
            Request::Copy { moving: false, .. } => "copy",
            Request::Copy { moving: true, .. } => "move",
            Request::Expunge(_) => "expunge",
            Request::Search(search) => {
                if search.order.is_some() {
                    "sort"
                } else {
                    "search"
                }
            }
            Request::MultiSearch(_) => "esearch",
            Request::Thread(_) => "thread",
            Request::CancelUpdate(_) => "cancelupdate",
            Request::Idle => "idle",
            Request::Notify(_) => "notify",
            Request::GetQuota(_) => "getquota",
            Request::GetQuotaRoot(_) => "getquotaroot",
            Request::SetAcl { .. } => "setacl",
            Request::DeleteAcl { .. } => "deleteacl",
            Request::GetAcl(_) => "getacl",
            Request::ListRights { .. } => "listrights",
            Request::MyRights(_) => "myrights",
            Request::GetMetadata(_) => "getmetadata",
            Request::SetMetadata(_) => "setmetadata",
        }
    }
}

/// What a client knew of a mailbox when it was there last (RFC 7162 §3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qresync {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// HIGHESTMODSEQ.
    pub modseq: u64,
    /// The UIDs it has; `None`: all that may be.
    pub known: Option<UidSet>,
    /// Sequence numbers and the UIDs they stood for, equally many (RFC 7162 §3.2.5.2).
    pub matches: Option<(UidSet, UidSet)>,
}

/// What URLFETCH wants of one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlFetch {
    /// Which.
    pub url: String,
    /// In the form of RFC 5524, with these; `None`: its bytes, as RFC 4467 has it.
    pub wants: Option<UrlWants>,
}

bit_set!(
    /// What of a URL is wanted (RFC 5524 §3.1).
    UrlWants {
        /// The bytes as they are.
        BODY = 0;
        /// Without transfer encoding.
        BINARY = 1;
        /// The structure of the part.
        BODYPARTSTRUCTURE = 2;
    }
);

/// GETMETADATA (RFC 5464 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMetadata {
    /// Which; empty: the server.
    pub mailbox: String,
    /// Names in lower case.
    pub entries: Vec<String>,
    /// What else below them.
    pub depth: Depth,
    /// Longer values are left out, bytes.
    pub max_size: Option<u64>,
}

/// SETMETADATA (RFC 5464 §4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMetadata {
    /// Which; empty: the server.
    pub mailbox: String,
    /// Names in lower case, and values.
    pub entries: Vec<Annotation>,
}

/// APPEND up to the end of its first line, or of the line that names the mailbox if a literal does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Target.
    pub mailbox: String,
    /// What stands behind the name, unread: see [`super::parse_append`].
    pub rest: Vec<u8>,
}

/// REPLACE and UID REPLACE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The number is a UID.
    pub uid: bool,
    /// The message that is to go.
    pub number: SeqNumber,
    /// The message that is to come.
    pub append: Append,
}
