//! The extensions, by the names that `require` and ManageSieve's capability line use.

macro_rules! extensions {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// An extension.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Ext { $($variant),* }

        impl Ext {
            pub const ALL: &[Ext] = &[$(Ext::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Ext::$variant => $name),* }
            }
        }
    };
}

extensions! {
    FileInto = "fileinto",
    Reject = "reject",
    Ereject = "ereject",
    Envelope = "envelope",
    EncodedCharacter = "encoded-character",
    Copy = "copy",
    Body = "body",
    Regex = "regex",
    Relational = "relational",
    Octet = "comparator-i;octet",
    AsciiCasemap = "comparator-i;ascii-casemap",
    AsciiNumeric = "comparator-i;ascii-numeric",
    UnicodeCasemap = "comparator-i;unicode-casemap",
    Subaddress = "subaddress",
    Variables = "variables",
    Vacation = "vacation",
    VacationSeconds = "vacation-seconds",
    Imap4Flags = "imap4flags",
    Date = "date",
    Index = "index",
    Mailbox = "mailbox",
    MboxMetadata = "mboxmetadata",
    ServerMetadata = "servermetadata",
    Environment = "environment",
    EditHeader = "editheader",
    Duplicate = "duplicate",
    Mime = "mime",
    ForEveryPart = "foreverypart",
    ExtractText = "extracttext",
    Replace = "replace",
    Enclose = "enclose",
    SpamTest = "spamtest",
    SpamTestPlus = "spamtestplus",
    VirusTest = "virustest",
    Include = "include",
    Ihave = "ihave",
    SpecialUse = "special-use",
    Fcc = "fcc",
    Enotify = "enotify",
    Notify = "notify",
    MailboxId = "mailboxid",
}

impl Ext {
    /// Names are compared byte by byte (RFC 5228 §3.2 gives no comparator; all are lower case).
    pub fn named(name: &str) -> Option<Ext> {
        Self::ALL.iter().copied().find(|e| e.name() == name)
    }
}

/// Which extensions a script may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExtSet(u64);

impl ExtSet {
    pub fn insert(&mut self, ext: Ext) {
        self.0 |= 1 << ext as u64;
    }
    pub fn contains(self, ext: Ext) -> bool {
        self.0 & (1 << ext as u64) != 0
    }
}

/// What follows `SIEVE` in ManageSieve's capabilities (RFC 5804 §1.7), joined by spaces: every extension that
/// `compile` accepts.
pub fn capabilities() -> Vec<&'static str> {
    Ext::ALL.iter().map(|e| e.name()).collect()
}

/// What follows `NOTIFY` (RFC 5804 §1.7): URI schemes that `notify` takes.
pub fn notify_methods() -> &'static [&'static str] {
    &["mailto"]
}
