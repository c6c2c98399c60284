//! Why a call was refused, in Zimbra's words.

use zcluster_api::Error;
use zcluster_api::directory::ObjectKind;
use zcluster_schema::Problem;

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({text})")]
pub struct Failure {
    /// Zimbra's code: `account.NO_SUCH_ACCOUNT`.
    pub code: String,
    /// For people.
    pub text: String,
}

impl Failure {
    /// With a code and a text.
    pub fn new(code: &str, text: impl Into<String>) -> Failure {
        Failure { code: code.into(), text: text.into() }
    }
    /// The request makes no sense.
    pub fn invalid(text: impl Into<String>) -> Failure {
        Failure::new("service.INVALID_REQUEST", text)
    }
    /// The caller may not.
    pub fn denied(text: impl Into<String>) -> Failure {
        Failure::new("service.PERM_DENIED", text)
    }
    /// No such entry.
    pub fn missing(kind: ObjectKind, name: &str) -> Failure {
        let (code, what) = no_such(kind);
        Failure::new(code, format!("no such {what}: {name}"))
    }
    /// What an error of the inner API means, said of an entry of this kind and name.
    pub fn of(error: &Error, kind: ObjectKind, name: &str) -> Failure {
        match error {
            Error::NotFound(what) if what.starts_with("domain ") && kind != ObjectKind::Domain => {
                Failure::new("account.NO_SUCH_DOMAIN", format!("no such {}", what.replacen(' ', ": ", 1)))
            }
            Error::NotFound(what) if what.starts_with("COS ") => {
                Failure::new("account.NO_SUCH_COS", format!("no such cos: {}", what.trim_start_matches("COS ")))
            }
            Error::NotFound(what) if what.starts_with("alias ") => {
                Failure::new("account.NO_SUCH_ALIAS", format!("no such {}", what.replacen(' ', ": ", 1)))
            }
            Error::NotFound(_) => Failure::missing(kind, name),
            Error::Exists(what) => {
                let (code, text) = exists(kind);
                let shown = what.split_once(' ').map_or(what.as_str(), |(_, name)| name);
                Failure::new(code, format!("{text}: {shown}"))
            }
            Error::Conflict(text) if kind == ObjectKind::Domain && text.contains("has accounts") => {
                Failure::new("account.DOMAIN_NOT_EMPTY", format!("domain not empty: {name}"))
            }
            other => Failure::from(other),
        }
    }
}

impl From<&Error> for Failure {
    fn from(e: &Error) -> Failure {
        let code = match e {
            Error::Invalid(_) | Error::TooLarge(_) => "service.INVALID_REQUEST",
            Error::Denied(_) => "service.PERM_DENIED",
            Error::Unavailable(_) => "service.TEMPORARILY_UNAVAILABLE",
            Error::NotFound(_) => "service.NOT_FOUND",
            Error::Exists(_) | Error::Conflict(_) => "service.CONFLICT",
            Error::QuotaExceeded => "mail.QUOTA_EXCEEDED",
            Error::Internal(_) | Error::WrongHome { .. } => "service.FAILURE",
        };
        Failure::new(code, e.to_string())
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::from(&e)
    }
}

impl From<Problem> for Failure {
    fn from(p: Problem) -> Failure {
        match p {
            Problem::Name(text) => Failure::new("account.INVALID_ATTR_NAME", text),
            Problem::Value(text) => Failure::new("account.INVALID_ATTR_VALUE", text),
        }
    }
}

/// The word for a kind.
pub(crate) fn noun(kind: ObjectKind) -> &'static str {
    no_such(kind).1
}

fn no_such(kind: ObjectKind) -> (&'static str, &'static str) {
    match kind {
        ObjectKind::Account => ("account.NO_SUCH_ACCOUNT", "account"),
        ObjectKind::Resource => ("account.NO_SUCH_CALENDAR_RESOURCE", "calendar resource"),
        ObjectKind::DistributionList => ("account.NO_SUCH_DISTRIBUTION_LIST", "distribution list"),
        ObjectKind::DynamicGroup => ("account.NO_SUCH_GROUP", "group"),
        ObjectKind::Domain => ("account.NO_SUCH_DOMAIN", "domain"),
        ObjectKind::Cos => ("account.NO_SUCH_COS", "cos"),
        ObjectKind::Server => ("account.NO_SUCH_SERVER", "server"),
        ObjectKind::Config => ("account.NO_SUCH_CONFIG", "config"),
        ObjectKind::DataSource => ("account.NO_SUCH_DATA_SOURCE", "data source"),
        ObjectKind::Identity => ("account.NO_SUCH_IDENTITY", "identity"),
        ObjectKind::Signature => ("account.NO_SUCH_SIGNATURE", "signature"),
        ObjectKind::Zimlet => ("account.NO_SUCH_ZIMLET", "zimlet"),
        ObjectKind::GlobalGrant => ("account.NO_SUCH_GRANT", "global grant"),
        ObjectKind::XmppComponent => ("account.NO_SUCH_XMPP_COMPONENT", "XMPP component"),
        ObjectKind::MimeType => ("account.NO_SUCH_MIME_TYPE", "MIME type"),
        ObjectKind::AlwaysOnCluster => ("account.NO_SUCH_ALWAYSONCLUSTER", "always-on cluster"),
        ObjectKind::UcService => ("account.NO_SUCH_UC_SERVICE", "UC service"),
        ObjectKind::ShareLocator => ("account.NO_SUCH_SHARE_LOCATOR", "share locator"),
        ObjectKind::AddressList => ("account.NO_SUCH_ADDRESS_LIST", "address list"),
        ObjectKind::HabGroup => ("account.NO_SUCH_HAB_GROUP", "HAB group"),
        ObjectKind::Alias => ("account.NO_SUCH_ALIAS", "alias"),
    }
}

fn exists(kind: ObjectKind) -> (&'static str, &'static str) {
    match kind {
        ObjectKind::Account | ObjectKind::Resource | ObjectKind::Alias => {
            ("account.ACCOUNT_EXISTS", "email address already exists")
        }
        ObjectKind::DistributionList | ObjectKind::DynamicGroup => {
            ("account.DISTRIBUTION_LIST_EXISTS", "email address already exists")
        }
        ObjectKind::Domain => ("account.DOMAIN_EXISTS", "domain already exists"),
        ObjectKind::Cos => ("account.COS_EXISTS", "cos already exists"),
        ObjectKind::Server => ("account.SERVER_EXISTS", "server already exists"),
        ObjectKind::DataSource => ("account.DATA_SOURCE_EXISTS", "data source already exists"),
        ObjectKind::Identity => ("account.IDENTITY_EXISTS", "identity already exists"),
        ObjectKind::Signature => ("account.SIGNATURE_EXISTS", "signature already exists"),
        ObjectKind::Zimlet => ("account.ZIMLET_EXISTS", "zimlet already exists"),
        ObjectKind::XmppComponent => ("account.IM_COMPONENT_EXISTS", "XMPP component already exists"),
        ObjectKind::AlwaysOnCluster => ("account.ALWAYSONCLUSTER_EXISTS", "always-on cluster already exists"),
        ObjectKind::UcService => ("account.UC_SERVICE_EXISTS", "UC service already exists"),
        ObjectKind::ShareLocator => ("account.SHARE_LOCATOR_EXISTS", "share locator already exists"),
        ObjectKind::AddressList => ("account.ADDRESS_LIST_EXISTS", "address list already exists"),
        ObjectKind::HabGroup => ("account.HAB_GROUP_EXISTS", "HAB group already exists"),
        ObjectKind::Config | ObjectKind::GlobalGrant | ObjectKind::MimeType => {
            ("service.ALREADY_EXISTS", "already exists")
        }
    }
}
