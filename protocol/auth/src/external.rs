//! Sign-in against another directory (OpenLDAP, Active Directory), as the domain's `zimbraAuthMech` and `zimbraAuthLdap...`
//! say. What is dialled is told from outside ([`ExternalDirectory`]); what is asked is made here, from templates whose
//! variables are escaped for where they stand.

mod template;

pub(crate) use template::{in_dn, in_filter};

use crate::authenticator::AuthError;
use futures::future::BoxFuture;
use zcluster_api::directory::{Account, Attributes};

/// Servers of one directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExternalServer {
    /// `ldap://host:port` or `ldaps://...`, in the order in which they are tried.
    pub urls: Vec<String>,
    /// StartTLS before anything else.
    pub start_tls: bool,
}

/// What is looked for in another directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalQuery {
    /// Distinguished name.
    pub base: String,
    /// Whether only `base` itself is asked for.
    pub base_only: bool,
    /// RFC 4515 filter.
    pub filter: String,
    /// Attributes wanted; none: only the names.
    pub attributes: Vec<String>,
    /// Entries at most; more are an error.
    pub limit: usize,
}

/// An entry of another directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalEntry {
    /// Distinguished name.
    pub dn: String,
    /// Attributes that are text.
    pub attrs: Attributes,
}

/// Why another directory gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// None of its servers.
    #[error("external directory cannot be reached: {0}")]
    Unreachable(String),
    /// It refused the question, or the domain's settings make none.
    #[error("external directory: {0}")]
    Refused(String),
}

/// The way to other directories.
pub trait ExternalDirectory: Send + Sync + 'static {
    /// Whether `password` is the one of `dn` (or of a name that the server takes instead). An empty password is never
    /// sent: servers take it for an anonymous bind, which succeeds (RFC 4513 §5.1.2).
    fn bind<'a>(
        &'a self,
        server: &'a ExternalServer,
        dn: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, Result<bool, ExternalError>>;

    /// Looks for entries, bound as `(dn, password)` or anonymously.
    fn search<'a>(
        &'a self,
        server: &'a ExternalServer,
        bind: Option<(&'a str, &'a str)>,
        query: &'a ExternalQuery,
    ) -> BoxFuture<'a, Result<Vec<ExternalEntry>, ExternalError>>;
}

/// Where an account's password is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mech {
    /// Here.
    Zimbra,
    /// There.
    Ldap,
    /// Nowhere that this server knows.
    Unknown(String),
}

impl Mech {
    /// `zimbraAuthMech`, for administration `zimbraAuthMechAdmin` where it is set.
    pub(crate) fn of(domain: &Attributes, admin: bool) -> Self {
        let special = domain.get("zimbraAuthMechAdmin").filter(|_| admin);
        match special.or_else(|| domain.get("zimbraAuthMech")).unwrap_or("zimbra") {
            "zimbra" | "" => Mech::Zimbra,
            "ldap" | "ad" => Mech::Ldap,
            other => Mech::Unknown(other.to_string()),
        }
    }
}

/// Whether the account's own password counts when the other directory does not take it: `zimbraAuthFallbackToLocal`, and
/// always for administrators, so that nobody locks himself out.
pub(crate) fn falls_back(domain: &Attributes, account: Option<&Account>) -> bool {
    domain.get("zimbraAuthFallbackToLocal") == Some("TRUE") || account.is_some_and(Account::is_admin)
}

/// Whether `password` is the one of `address` (an account of the domain, or about to be one) in the domain's directory.
///
/// # Errors
/// [`ExternalError`].
pub(crate) async fn check(
    external: &dyn ExternalDirectory,
    domain: &Attributes,
    account: Option<&Account>,
    address: &str,
    password: &str,
) -> Result<bool, ExternalError> {
    if password.is_empty() {
        return Ok(false);
    }
    let server = server(domain)?;
    let Some(dn) = name_to_bind(external, &server, domain, account, address).await? else { return Ok(false) };
    external.bind(&server, &dn, password).await
}

fn server(domain: &Attributes) -> Result<ExternalServer, ExternalError> {
    // Several URLs may stand in one value, as in Zimbra.
    let urls = domain.all("zimbraAuthLdapURL").iter().flat_map(|v| v.split_whitespace()).map(str::to_string).collect();
    let server = ExternalServer { urls, start_tls: domain.get("zimbraAuthLdapStartTlsEnabled") == Some("TRUE") };
    if server.urls.is_empty() {
        return Err(ExternalError::Refused("the domain has no zimbraAuthLdapURL".into()));
    }
    Ok(server)
}

/// The account's own name there, else the one a search finds, else the one the template makes.
async fn name_to_bind(
    external: &dyn ExternalDirectory,
    server: &ExternalServer,
    domain: &Attributes,
    account: Option<&Account>,
    address: &str,
) -> Result<Option<String>, ExternalError> {
    if let Some(dn) = account.and_then(|a| a.attrs.get("zimbraAuthLdapExternalDn")) {
        return Ok(Some(dn.to_string()));
    }
    if let Some(filter) = domain.get("zimbraAuthLdapSearchFilter") {
        let query = ExternalQuery {
            base: in_dn(domain.get("zimbraAuthLdapSearchBase").unwrap_or_default(), address),
            base_only: false,
            filter: in_filter(filter, address),
            attributes: Vec::new(),
            limit: 2,
        };
        let found = external.search(server, bind_of(domain, "zimbraAuthLdapSearchBind"), &query).await?;
        return match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.dn.clone())),
            _ => Err(ExternalError::Refused(format!("zimbraAuthLdapSearchFilter finds several entries for {address}"))),
        };
    }
    match domain.get("zimbraAuthLdapBindDn") {
        Some(template) => Ok(Some(in_dn(template, address))),
        None => Err(ExternalError::Refused(
            "the domain has neither zimbraAuthLdapSearchFilter nor zimbraAuthLdapBindDn".into(),
        )),
    }
}

/// `<prefix>Dn` and `<prefix>Password`; without the name: anonymously.
pub(crate) fn bind_of<'a>(domain: &'a Attributes, prefix: &str) -> Option<(&'a str, &'a str)> {
    let dn = domain.get(&format!("{prefix}Dn")).filter(|dn| !dn.is_empty())?;
    Some((dn, domain.get(&format!("{prefix}Password")).unwrap_or_default()))
}

impl From<ExternalError> for AuthError {
    fn from(error: ExternalError) -> Self {
        tracing::warn!(%error, "cannot sign in through another directory");
        AuthError::TryLater
    }
}
