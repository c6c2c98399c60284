//! A compiled script: every argument checked and in its place.

use crate::context::Location;
use crate::diagnostic::Pos;
use crate::matching::Match;
use crate::text::{Text, VarName};

pub(crate) type Texts = Vec<Text>;

#[derive(Clone, Debug)]
pub(crate) struct Stmt {
    pub pos: Pos,
    pub kind: StmtKind,
}

#[derive(Clone, Debug)]
pub(crate) enum StmtKind {
    If {
        arms: Vec<(TestNode, Vec<Stmt>)>,
        otherwise: Vec<Stmt>,
    },
    Stop,
    Return,
    Keep {
        flags: Option<Texts>,
    },
    Discard,
    FileInto {
        target: TargetText,
        copy: bool,
        flags: Option<Texts>,
    },
    Redirect {
        address: Text,
        copy: bool,
    },
    Reject {
        reason: Text,
        ereject: bool,
    },
    Set {
        variable: VarName,
        /// Highest precedence first.
        modifiers: Vec<Modifier>,
        value: Text,
    },
    Flags {
        op: FlagOp,
        variable: Option<VarName>,
        flags: Texts,
    },
    Vacation(Box<VacationStmt>),
    Notify(Box<NotifyStmt>),
    Denotify {
        /// Compared with the notifications' ids.
        id: Option<(Match, Text)>,
        importance: Option<u8>,
    },
    AddHeader {
        last: bool,
        name: Text,
        value: Text,
    },
    DeleteHeader {
        index: Option<Index>,
        matching: Match,
        name: Text,
        values: Option<Texts>,
    },
    Include {
        location: Location,
        once: bool,
        optional: bool,
        name: Text,
    },
    Global(Vec<String>),
    ForEveryPart {
        name: Option<String>,
        body: Vec<Stmt>,
    },
    Break {
        name: Option<String>,
    },
    Replace {
        mime: bool,
        subject: Option<Text>,
        from: Option<Text>,
        text: Text,
    },
    Enclose {
        subject: Option<Text>,
        headers: Texts,
        text: Text,
    },
    ExtractText {
        modifiers: Vec<Modifier>,
        first: Option<u64>,
        variable: VarName,
    },
    /// RFC 5463 §5.
    Raise(Text),
    /// What does not compile, but need not if `ihave` keeps it from being reached.
    Bad(String),
}

/// RFC 5229 §4.1 and later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modifier {
    Lower,
    Upper,
    LowerFirst,
    UpperFirst,
    QuoteWildcard,
    QuoteRegex,
    EncodeUrl,
    Length,
}

impl Modifier {
    pub fn precedence(self) -> u8 {
        match self {
            Modifier::Lower | Modifier::Upper => 40,
            Modifier::LowerFirst | Modifier::UpperFirst => 30,
            Modifier::QuoteWildcard | Modifier::QuoteRegex => 20,
            Modifier::EncodeUrl => 15,
            Modifier::Length => 10,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagOp {
    Set,
    Add,
    Remove,
}

#[derive(Clone, Debug)]
pub(crate) struct TargetText {
    pub mailbox: Text,
    pub mailbox_id: Option<Text>,
    pub special_use: Option<Text>,
    pub create: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct FccText {
    pub target: TargetText,
    pub flags: Option<Texts>,
}

#[derive(Clone, Debug)]
pub(crate) struct VacationStmt {
    /// Within the limits.
    pub seconds: u64,
    pub subject: Option<Text>,
    pub from: Option<Text>,
    pub addresses: Texts,
    pub mime: bool,
    pub handle: Option<Text>,
    pub reason: Text,
    pub fcc: Option<FccText>,
}

#[derive(Clone, Debug)]
pub(crate) struct NotifyStmt {
    /// The old `notify` has other rules for what is said.
    pub legacy: bool,
    pub from: Option<Text>,
    /// 1 high, 2 normal, 3 low; RFC 5435 lets it be computed.
    pub importance: Text,
    pub options: Texts,
    pub message: Option<Text>,
    pub method: Text,
    /// The old one's `:id`.
    pub id: Option<Text>,
    pub fcc: Option<FccText>,
}

/// RFC 5260 §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// From 1.
    pub number: u64,
    pub last: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TestNode {
    pub pos: Pos,
    pub kind: TestKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressPart {
    All,
    LocalPart,
    Domain,
    User,
    Detail,
}

/// RFC 5703 §4: where the headers are, and what of them.
#[derive(Clone, Debug)]
pub(crate) struct Mime {
    pub any_child: bool,
    pub what: MimeWhat,
}

#[derive(Clone, Debug)]
pub(crate) enum MimeWhat {
    /// The whole value.
    Value,
    Type,
    Subtype,
    ContentType,
    Param(Texts),
}

#[derive(Clone, Debug)]
pub(crate) enum Transform {
    Raw,
    Content(Texts),
    Text,
}

#[derive(Clone, Debug)]
pub(crate) enum Zone {
    Local,
    Original,
    /// `+hhmm`.
    Given(Text),
}

#[derive(Clone, Debug)]
pub(crate) enum TestKind {
    Constant(bool),
    Not(Box<TestNode>),
    AllOf(Vec<TestNode>),
    AnyOf(Vec<TestNode>),
    Address {
        mime: Option<Mime>,
        index: Option<Index>,
        part: AddressPart,
        matching: Match,
        headers: Texts,
        keys: Texts,
    },
    Header {
        mime: Option<Mime>,
        index: Option<Index>,
        matching: Match,
        headers: Texts,
        keys: Texts,
    },
    Exists {
        mime: Option<Mime>,
        headers: Texts,
    },
    Size {
        over: bool,
        limit: u64,
    },
    Envelope {
        part: AddressPart,
        matching: Match,
        parts: Texts,
        keys: Texts,
    },
    Body {
        transform: Transform,
        matching: Match,
        keys: Texts,
    },
    String {
        matching: Match,
        sources: Texts,
        keys: Texts,
    },
    HasFlag {
        matching: Match,
        variables: Vec<VarName>,
        keys: Texts,
    },
    /// Without header: `currentdate`.
    Date {
        index: Option<Index>,
        zone: Zone,
        header: Option<Text>,
        part: Text,
        matching: Match,
        keys: Texts,
    },
    MailboxExists(Texts),
    MailboxIdExists(Texts),
    SpecialUseExists {
        mailbox: Option<Text>,
        attributes: Texts,
    },
    Metadata {
        mailbox: Option<Text>,
        annotation: Text,
        matching: Match,
        keys: Texts,
    },
    MetadataExists {
        mailbox: Option<Text>,
        annotations: Texts,
    },
    Environment {
        matching: Match,
        item: Text,
        keys: Texts,
    },
    Duplicate {
        source: DuplicateSource,
        handle: Option<Text>,
        seconds: u64,
        last: bool,
    },
    SpamTest {
        percent: bool,
        matching: Match,
        keys: Texts,
    },
    VirusTest {
        matching: Match,
        keys: Texts,
    },
    ValidNotifyMethod(Texts),
    NotifyMethodCapability {
        uri: Text,
        capability: Text,
        matching: Match,
        keys: Texts,
    },
    Bad(String),
}

#[derive(Clone, Debug)]
pub(crate) enum DuplicateSource {
    MessageId,
    Header(Text),
    UniqueId(Text),
}
