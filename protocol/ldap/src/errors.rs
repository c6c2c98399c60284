//! Result codes (RFC 4511 §4.1.9), and what of ours leads to which.

use crate::back_end::Failure;
use crate::codec::ber::Malformed;
use crate::dn::{Dn, DnError};
use zcluster_auth::AuthError;
use zcluster_listener::{ReadError, WriteError};

/// A result code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Code {
    Success = 0,
    OperationsError = 1,
    ProtocolError = 2,
    TimeLimitExceeded = 3,
    SizeLimitExceeded = 4,
    CompareFalse = 5,
    CompareTrue = 6,
    AuthMethodNotSupported = 7,
    AdminLimitExceeded = 11,
    UnavailableCriticalExtension = 12,
    ConfidentialityRequired = 13,
    SaslBindInProgress = 14,
    NoSuchAttribute = 16,
    UndefinedAttributeType = 17,
    InappropriateMatching = 18,
    ConstraintViolation = 19,
    AttributeOrValueExists = 20,
    InvalidAttributeSyntax = 21,
    NoSuchObject = 32,
    InvalidDnSyntax = 34,
    InappropriateAuthentication = 48,
    InvalidCredentials = 49,
    InsufficientAccessRights = 50,
    Busy = 51,
    Unavailable = 52,
    UnwillingToPerform = 53,
    /// In the answer's control of a virtual list view only.
    SortControlMissing = 60,
    OffsetRangeError = 61,
    NamingViolation = 64,
    ObjectClassViolation = 65,
    NotAllowedOnNonLeaf = 66,
    NotAllowedOnRdn = 67,
    EntryAlreadyExists = 68,
    ObjectClassModsProhibited = 69,
    /// draft-ietf-ldapext-ldapv3-vlv-09: why, says the control.
    VirtualListViewError = 76,
    Other = 80,
    /// RFC 3909.
    Canceled = 118,
    NoSuchOperation = 119,
    TooLate = 120,
    /// RFC 4528.
    AssertionFailed = 122,
}

impl Code {
    /// A word for metrics.
    pub fn result(self) -> &'static str {
        match self {
            Code::Success | Code::CompareFalse | Code::CompareTrue | Code::SaslBindInProgress => "ok",
            _ => "refused",
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Result code.
    pub code: Code,
    /// The nearest entry above one that is not there.
    pub matched: String,
    /// For people.
    pub text: String,
}

impl Outcome {
    /// Without a nearest entry.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Outcome { code, matched: String::new(), text: text.into() }
    }
    /// All went well.
    pub fn success() -> Self {
        Self::new(Code::Success, "")
    }
    /// An entry is not there, and which above it is.
    pub fn no_such_object(matched: Option<&Dn>) -> Self {
        let matched = matched.map(ToString::to_string).unwrap_or_default();
        Outcome { matched, ..Self::new(Code::NoSuchObject, "no such entry") }
    }
}

/// Why an operation does not go on.
#[derive(Debug)]
pub enum Stop {
    /// Say so.
    With(Outcome),
    /// The client does not want to hear of it any more.
    Abandoned,
    /// The reply has been given.
    Answered,
    /// The conversation ends.
    End(End),
}

/// How a conversation ends.
#[derive(Debug)]
pub enum End {
    /// The client said so, or has gone.
    Lost,
    /// We say so.
    Notice(Code, String),
}

impl From<Outcome> for Stop {
    fn from(o: Outcome) -> Self {
        Stop::With(o)
    }
}
impl From<End> for Stop {
    fn from(e: End) -> Self {
        Stop::End(e)
    }
}
impl From<WriteError> for End {
    fn from(_: WriteError) -> Self {
        End::Lost
    }
}
impl From<WriteError> for Stop {
    fn from(e: WriteError) -> Self {
        Stop::End(e.into())
    }
}
impl From<ReadError> for End {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::Shutdown => End::Notice(Code::Unavailable, "shutting down, try again later".into()),
            ReadError::Timeout => End::Notice(Code::Unavailable, "silent for too long".into()),
            ReadError::TooLong(_) | ReadError::Eof | ReadError::Injected | ReadError::Io(_) => End::Lost,
        }
    }
}
impl From<Malformed> for Stop {
    fn from(e: Malformed) -> Self {
        Stop::With(Outcome::new(Code::ProtocolError, e.0))
    }
}
impl From<DnError> for Stop {
    fn from(e: DnError) -> Self {
        Stop::With(Outcome::new(Code::InvalidDnSyntax, e.to_string()))
    }
}
impl From<Failure> for Stop {
    fn from(f: Failure) -> Self {
        Stop::With(failure(&f))
    }
}

/// A refusal.
pub fn refused<T>(code: Code, text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::With(Outcome::new(code, text)))
}

/// The directory's word (Zimbra's code) as a result.
pub fn failure(f: &Failure) -> Outcome {
    let code = match f.code.as_str() {
        "account.ACCOUNT_EXISTS"
        | "account.ALIAS_EXISTS"
        | "account.COS_EXISTS"
        | "account.DATA_SOURCE_EXISTS"
        | "account.DISTRIBUTION_LIST_EXISTS"
        | "account.DOMAIN_EXISTS"
        | "account.IDENTITY_EXISTS"
        | "account.SERVER_EXISTS"
        | "account.SIGNATURE_EXISTS"
        | "account.ZIMLET_EXISTS"
        | "account.XMPP_COMPONENT_EXISTS"
        | "account.ALWAYSONCLUSTER_EXISTS"
        | "account.UC_SERVICE_EXISTS"
        | "account.SHARE_LOCATOR_EXISTS"
        | "account.GROUP_EXISTS"
        | "account.ADDRESS_LIST_EXISTS"
        | "account.HAB_GROUP_EXISTS"
        | "account.MIME_TYPE_EXISTS"
        | "service.ALREADY_EXISTS" => Code::EntryAlreadyExists,
        "account.NO_SUCH_MEMBER" | "account.NO_SUCH_GRANT" | "account.NO_SUCH_ATTR_VALUE" => Code::NoSuchAttribute,
        "account.INVALID_ATTR_NAME" => Code::UndefinedAttributeType,
        "account.INVALID_ATTR_VALUE" | "account.IDENTITY_TOO_MANY" | "account.TOO_MANY_IDENTITIES" => {
            Code::ConstraintViolation
        }
        "account.INVALID_PASSWORD"
        | "account.PASSWORD_CHANGE_TOO_SOON"
        | "account.PASSWORD_RECENTLY_USED"
        | "account.PASSWORD_LOCKED"
        | "account.TOO_MANY_ACCOUNTS" => Code::ConstraintViolation,
        "account.AUTH_FAILED" | "account.CHANGE_PASSWORD" => Code::InvalidCredentials,
        "account.DOMAIN_NOT_EMPTY" => Code::NotAllowedOnNonLeaf,
        "service.PERM_DENIED" | "service.AUTH_REQUIRED" => Code::InsufficientAccessRights,
        "account.TOO_MANY_SEARCH_RESULTS" => Code::SizeLimitExceeded,
        "service.TEMPORARILY_UNAVAILABLE" | "account.MAINTENANCE_MODE" => Code::Unavailable,
        "service.INVALID_REQUEST" | "service.UNSUPPORTED" => Code::UnwillingToPerform,
        "service.TOO_LARGE" => Code::AdminLimitExceeded,
        "service.FAILURE" => Code::Other,
        "service.NOT_FOUND" => Code::NoSuchObject,
        "service.CONFLICT" => Code::Busy,
        code if code.starts_with("account.NO_SUCH_") => Code::NoSuchObject,
        code if code.ends_with("_EXISTS") => Code::EntryAlreadyExists,
        _ => Code::UnwillingToPerform,
    };
    Outcome::new(code, format!("{}: {}", f.code, clean(&f.text)))
}

/// A refused sign-in. Why is not told, but for what will pass or what the owner should know.
pub fn auth_refusal(error: &AuthError) -> Outcome {
    match error {
        AuthError::Invalid => Outcome::new(Code::InvalidCredentials, "invalid credentials"),
        AuthError::Disabled(status) => {
            Outcome::new(Code::InvalidCredentials, format!("the account is {}", clean(status)))
        }
        AuthError::SwitchedOff => Outcome::new(Code::InvalidCredentials, "LDAP is switched off for this account"),
        AuthError::ChangePassword => Outcome::new(Code::InvalidCredentials, "the password must be changed first"),
        AuthError::CodeRequired | AuthError::SetupRequired => {
            Outcome::new(Code::InvalidCredentials, "a second factor is required: use an app password")
        }
        AuthError::TryLater => Outcome::new(Code::Busy, "try again later"),
    }
}

/// Text from elsewhere, bounded and in one line.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
