//! What a client may ask, as types.

use super::sequence::{SeqNumber, SequenceSet};
use zcluster_api::mailbox::SpecialUse;
use zcluster_api::sharing::{Annotation, Depth, RightsChange};
use zcluster_api::sort::{SortCriterion, Threading};
use zcluster_api::{Flags, UidSet};

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
    /// RFC 4467 §7.
    UrlFetch(Vec<String>),
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

bit_set!(
    /// What STATUS is to tell.
    StatusItems {
        /// RFC 3501 §6.3.10.
        MESSAGES = 0;
        /// RFC 3501 §6.3.10.
        RECENT = 1;
        /// RFC 3501 §6.3.10.
        UIDNEXT = 2;
        /// RFC 3501 §6.3.10.
        UIDVALIDITY = 3;
        /// RFC 3501 §6.3.10.
        UNSEEN = 4;
        /// RFC 9051 §6.3.11.
        DELETED = 5;
        /// RFC 8438.
        SIZE = 6;
        /// RFC 7162 §3.1.7.
        HIGHESTMODSEQ = 7;
        /// RFC 7889 §3.
        APPENDLIMIT = 8;
        /// RFC 8474 §4.3.
        MAILBOXID = 9;
        /// RFC 9208 §4.1.4.
        DELETED_STORAGE = 16;
    }
);

bit_set!(
    /// LIST's selection options (RFC 5258 §3.1, RFC 6154 §2).
    ListSelect {
        /// Only subscribed ones.
        SUBSCRIBED = 0;
        /// No effect: there are no remote mailboxes.
        REMOTE = 1;
        /// Also parents of matching ones.
        RECURSIVEMATCH = 2;
        /// Only ones with a use.
        SPECIAL_USE = 3;
    }
);

bit_set!(
    /// LIST's return options (RFC 5258 §3.2, RFC 6154 §2, RFC 5819).
    ListReturn {
        /// `\Subscribed`.
        SUBSCRIBED = 0;
        /// `\HasChildren`, `\HasNoChildren`.
        CHILDREN = 1;
        /// Uses.
        SPECIAL_USE = 2;
        /// STATUS responses.
        STATUS = 3;
        /// MYRIGHTS responses (RFC 8440).
        MYRIGHTS = 8;
        /// METADATA responses (RFC 9590).
        METADATA = 9;
    }
);

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

/// LIST (RFC 3501 §6.3.8, RFC 5258).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Prefix of the patterns.
    pub reference: String,
    /// With `*` and `%`.
    pub patterns: Vec<String>,
    /// The extended form was used: the single empty pattern has no special meaning.
    pub extended: bool,
    /// Which mailboxes.
    pub select: ListSelect,
    /// What is told of them.
    pub ret: ListReturn,
    /// For `STATUS`.
    pub status: StatusItems,
    /// For `METADATA`: names of entries in lower case.
    pub metadata: Vec<String>,
}

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

/// `NOTIFY SET` (RFC 5465 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// STATUS of each watched mailbox at once.
    pub status: bool,
    /// In order: the first that a mailbox meets decides (RFC 5465 §3.1).
    pub groups: Vec<EventGroup>,
}

/// Mailboxes and what is to be told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGroup {
    /// Which.
    pub filter: MailboxFilter,
    /// What.
    pub events: Events,
    /// What to tell of new messages in the selected mailbox (RFC 5465 §5.2).
    pub fetch: Option<Box<Fetch>>,
}

/// Which mailboxes (RFC 5465 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    /// The selected one; `true`: EXPUNGE waits for a command that allows it.
    Selected(bool),
    /// Those that mail is delivered to.
    Inboxes,
    /// All of the user's own.
    Personal,
    /// Subscribed ones.
    Subscribed,
    /// These and all below.
    Subtree(Vec<String>),
    /// These.
    Mailboxes(Vec<String>),
}

bit_set!(
    /// RFC 5465 §5.
    Events {
        /// §5.2.
        MESSAGE_NEW = 0;
        /// §5.3.
        MESSAGE_EXPUNGE = 1;
        /// §5.1.
        FLAG_CHANGE = 2;
        /// §5.4.
        MAILBOX_NAME = 3;
        /// §5.5.
        SUBSCRIPTION_CHANGE = 4;
        /// AnnotationChange, MailboxMetadataChange, ServerMetadataChange, or one nobody knows: refused with BADEVENT.
        UNSUPPORTED = 5;
    }
);

/// Flags as a client names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagList {
    /// System flags and registered keywords, `\Seen` apart.
    pub flags: Flags,
    /// `\Seen`.
    pub seen: bool,
    /// Keywords.
    pub keywords: Vec<String>,
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

bit_set!(
    /// FETCH items without arguments.
    FetchItems {
        /// RFC 3501 §6.4.5.
        UID = 0;
        /// RFC 3501 §6.4.5.
        FLAGS = 1;
        /// RFC 3501 §6.4.5.
        INTERNALDATE = 2;
        /// RFC 3501 §6.4.5.
        SIZE = 3;
        /// RFC 3501 §6.4.5.
        ENVELOPE = 4;
        /// The short structure, `BODY` (RFC 3501 §6.4.5).
        BODY = 5;
        /// RFC 3501 §6.4.5.
        BODYSTRUCTURE = 6;
        /// RFC 7162 §3.1.4.2.
        MODSEQ = 7;
        /// RFC 8970.
        PREVIEW = 8;
        /// RFC 8514 §4.2.
        SAVEDATE = 9;
        /// RFC 8474 §5.1.
        EMAILID = 10;
        /// RFC 8474 §5.2.
        THREADID = 11;
    }
);

/// How a piece of the body is asked for, and so named in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// `BODY[...]` and `BODY.PEEK[...]`.
    Body,
    /// `RFC822`.
    Rfc822,
    /// `RFC822.HEADER`.
    Rfc822Header,
    /// `RFC822.TEXT`.
    Rfc822Text,
    /// `BINARY[...]` and `BINARY.PEEK[...]` (RFC 3516 §4.2): transfer encoding taken away.
    Binary,
    /// `BINARY.SIZE[...]` (RFC 3516 §4.3).
    BinarySize,
}

/// Which part of the part (RFC 3501 §6.4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// All of it.
    Whole,
    /// `HEADER`.
    Header,
    /// `HEADER.FIELDS (...)`.
    Fields(Vec<String>),
    /// `HEADER.FIELDS.NOT (...)`.
    FieldsNot(Vec<String>),
    /// `TEXT`.
    Text,
    /// `MIME`.
    Mime,
}

/// A piece of the body to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyItem {
    /// Its form.
    pub form: BodyForm,
    /// Does not set `\Seen`.
    pub peek: bool,
    /// Part numbers.
    pub path: Vec<u32>,
    /// Which part of it.
    pub text: SectionText,
    /// `<first.count>`.
    pub partial: Option<(u32, u32)>,
}

/// FETCH and UID FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The set holds UIDs.
    pub uid: bool,
    /// Messages.
    pub set: SequenceSet,
    /// Items without arguments.
    pub items: FetchItems,
    /// Pieces of the body.
    pub bodies: Vec<BodyItem>,
    /// RFC 7162 §3.1.4.1.
    pub changed_since: Option<u64>,
    /// Tell what went as well (RFC 7162 §3.2.6).
    pub vanished: bool,
    /// Of the set only these (RFC 9394 §3.3).
    pub partial: Option<Partial>,
}

/// How STORE changes flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// `FLAGS`.
    Replace,
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
}

/// STORE and UID STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The set holds UIDs.
    pub uid: bool,
    /// Messages.
    pub set: SequenceSet,
    /// How.
    pub mode: StoreMode,
    /// No FETCH responses.
    pub silent: bool,
    /// Flags.
    pub flags: FlagList,
    /// RFC 7162 §3.1.3.
    pub unchanged_since: Option<u64>,
}

bit_set!(
    /// SEARCH's result options (RFC 4731 §3.1, RFC 5182 §2).
    SearchReturn {
        /// The lowest.
        MIN = 0;
        /// The highest.
        MAX = 1;
        /// All, as a set.
        ALL = 2;
        /// How many.
        COUNT = 3;
        /// Keep the result for `$`.
        SAVE = 4;
        /// Some of them, by position (RFC 9394).
        PARTIAL = 5;
        /// Tell changes of the result from now on (RFC 5267 §4.3).
        UPDATE = 6;
        /// A hint that the search will come again (RFC 5267 §4.2).
        CONTEXT = 7;
    }
);

/// Positions in a result, from 1 (RFC 9394 §4 `partial-range`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The ends as written.
    pub from: u32,
    /// The other one.
    pub to: u32,
    /// Counted from the end.
    pub backwards: bool,
}

impl Partial {
    /// The positions, from 0, within a result of `len`.
    pub fn within(self, len: usize) -> std::ops::Range<usize> {
        let (low, high) = (self.from.min(self.to) as usize, self.from.max(self.to) as usize);
        if self.backwards {
            len.saturating_sub(high)..(len + 1).saturating_sub(low).min(len)
        } else {
            low.saturating_sub(1).min(len)..high.min(len)
        }
    }
}

impl std::fmt::Display for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.backwards { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.from, self.to)
    }
}

/// THREAD and UID THREAD (RFC 5256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Tell UIDs.
    pub uid: bool,
    /// How.
    pub threading: Threading,
    /// What to look for.
    pub key: SearchKey,
}

/// SEARCH and SORT, with UID or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Tell UIDs.
    pub uid: bool,
    /// `RETURN`; `None`: the plain SEARCH response.
    pub ret: Option<SearchReturn>,
    /// For `PARTIAL`.
    pub partial: Option<Partial>,
    /// SORT's criteria.
    pub order: Option<Vec<SortCriterion>>,
    /// What to look for.
    pub key: SearchKey,
}

/// A search key (RFC 3501 §6.4.4), alike ones folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// All of these.
    And(Vec<SearchKey>),
    /// Either.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// Not this.
    Not(Box<SearchKey>),
    /// Sequence numbers.
    Numbers(SequenceSet),
    /// UIDs.
    Uids(SequenceSet),
    /// These bits set (`\Seen` is the absence of `UNREAD`).
    Flags(Flags),
    /// Has the keyword.
    Keyword(String),
    /// `\Recent` to this session.
    Recent,
    /// Size greater.
    Larger(u64),
    /// Size less.
    Smaller(u64),
    /// INTERNALDATE's day in `[from, to)`.
    Internal(i64, i64),
    /// Came in within (`true`) or before the last so many seconds (RFC 5032).
    Within(u64, bool),
    /// `Date:`'s day in `[from, to)`.
    Sent(i64, i64),
    /// SAVEDATE's day in `[from, to)` (RFC 8514).
    Saved(i64, i64),
    /// A header field contains.
    Header(String, String),
    /// Header or body contains.
    Text(String),
    /// Body contains.
    Body(String),
    /// RFC 7162 §3.1.5.
    ModSeq(u64),
    /// RFC 8474 §6.
    EmailId(String),
    /// RFC 8474 §6.
    ThreadId(String),
}
