//! Accounts that come out of another directory (`zimbraAutoProv...` of the domain): at their first sign-in (LAZY), by
//! themselves (EAGER), or when an administrator says so (MANUAL).

use crate::external::{
    ExternalDirectory, ExternalEntry, ExternalError, ExternalQuery, ExternalServer, bind_of, in_dn, in_filter,
};
use crate::status::{generalized_time, generalized_time_ms};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{
    Account, AccountBy, Attribute, Attributes, Domain, Modification, duration, split_address,
};
use zcluster_api::{
    AccountId, Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness, GroupId,
    RequestId,
};
use zcluster_schema::Problem;

/// Entries that one poll looks at.
const EXAMINED_MAX: usize = 100_000;
/// Entries that a manual search shows.
const SHOWN_MAX: usize = 1_000;
/// Where nobody set `zimbraAutoProvBatchSize`.
const BATCH: usize = 20;
/// Accounts that one poll makes, whatever it says.
const BATCH_MAX: usize = 10_000;
/// Where nobody set `zimbraAutoProvPollingInterval`.
const POLLING_INTERVAL: Duration = Duration::from_secs(15 * 60);
const LAST_POLLED: &str = "zimbraAutoProvLastPolledTimestamp";
/// How far back a poll looks behind the one before: the other directory's clock and ours differ.
const OVERLAP_MS: u64 = 5 * 60 * 1_000;

/// Chooses a shard for a new mailbox.
pub type ChooseShard = Arc<dyn Fn() -> zcluster_api::Result<GroupId> + Send + Sync>;

/// Why an account was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// The other directory.
    #[error(transparent)]
    External(#[from] ExternalError),
    /// Ours.
    #[error(transparent)]
    Directory(#[from] Error),
    /// The domain's settings, or an entry that does not fit them.
    #[error("{0}")]
    Settings(String),
}

/// What one poll did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Entries seen.
    pub seen: usize,
    /// Accounts made.
    pub made: usize,
    /// Entries that could not be made accounts; the log says why.
    pub failed: usize,
    /// Whether there are more, for the next poll.
    pub more: bool,
}

/// Makes accounts of entries.
#[derive(Clone)]
pub struct Provisioner {
    directory: Arc<dyn DirectoryApi>,
    external: Arc<dyn ExternalDirectory>,
    choose_shard: ChooseShard,
}

impl Provisioner {
    /// With the two directories, and where mailboxes go.
    pub fn new(
        directory: Arc<dyn DirectoryApi>,
        external: Arc<dyn ExternalDirectory>,
        choose_shard: ChooseShard,
    ) -> Self {
        Provisioner { directory, external, choose_shard }
    }

    /// LAZY: an account for somebody whose password the other directory has just taken. Nothing if the domain does not
    /// want that, or there is no entry.
    pub(crate) async fn at_sign_in(&self, domain: &Domain, address: &str) -> Result<Option<Account>, ProvisionError> {
        if !is_mode(domain, "LAZY") || !domain.attrs.all("zimbraAutoProvAuthMech").iter().any(|m| m == "LDAP") {
            return Ok(None);
        }
        match self.find(domain, address).await? {
            Some(entry) => self.create(domain, &entry, Some(address)).await.map(Some),
            None => Ok(None),
        }
    }

    /// The entry of an address: by `zimbraAutoProvLdapSearchFilter`, else by the name that `zimbraAutoProvLdapBindDn`
    /// makes.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn find(&self, domain: &Domain, address: &str) -> Result<Option<ExternalEntry>, ProvisionError> {
        let attrs = &domain.attrs;
        let query = match (attrs.get("zimbraAutoProvLdapSearchFilter"), attrs.get("zimbraAutoProvLdapBindDn")) {
            (Some(filter), _) => query(domain, in_filter(filter, address), 2),
            (None, Some(template)) => ExternalQuery {
                base: in_dn(template, address),
                base_only: true,
                ..query(domain, "(objectClass=*)".into(), 2)
            },
            (None, None) => {
                return Err(settings("neither zimbraAutoProvLdapSearchFilter nor zimbraAutoProvLdapBindDn"));
            }
        };
        let mut found = self.search_external(domain, &query).await?;
        if found.len() > 1 {
            return Err(settings(&format!("zimbraAutoProvLdapSearchFilter finds several entries for {address}")));
        }
        Ok(found.pop())
    }

    /// MANUAL: entries that a filter of the administrator's fits (`searchAutoProvDirectory`).
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn search(&self, domain: &Domain, filter: &str) -> Result<Vec<ExternalEntry>, ProvisionError> {
        self.search_external(domain, &query(domain, filter.to_string(), SHOWN_MAX)).await
    }

    /// MANUAL: the entry of this name (`autoProvAccount dn`).
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn entry(&self, domain: &Domain, dn: &str) -> Result<Option<ExternalEntry>, ProvisionError> {
        let query =
            ExternalQuery { base: dn.to_string(), base_only: true, ..query(domain, "(objectClass=*)".into(), 1) };
        Ok(self.search_external(domain, &query).await?.pop())
    }

    /// An account for an entry, named `address` or as the entry says.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn create(
        &self,
        domain: &Domain,
        entry: &ExternalEntry,
        address: Option<&str>,
    ) -> Result<Account, ProvisionError> {
        let name = account_name(domain, entry, address)?;
        let attrs = mapped(domain, entry)?;
        let group = (self.choose_shard)()?;
        let id = AccountId(zcluster_runtime::random_bytes());
        let command = DirectoryCommand::CreateAccount { id: as_uuid(id), name: name.clone(), attrs, group };
        match self.directory.write(Actor::System, request(), command).await.and_then(DirectoryReply::into_account) {
            Ok(account) => {
                tracing::info!(account = %account.name, dn = %entry.dn, "account provisioned from another directory");
                Ok(account)
            }
            // Another node was faster.
            Err(Error::Exists(_)) if address.is_some() => self.known(&name).await?.ok_or_else(|| settings("vanished")),
            Err(error) => Err(error.into()),
        }
    }

    /// EAGER: makes accounts of the entries that are new since the last poll, up to `zimbraAutoProvBatchSize`. To be
    /// called by one node at a time.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn poll(&self, domain: &Domain, now_ms: u64) -> Result<Polled, ProvisionError> {
        let attrs = &domain.attrs;
        let filter = attrs.get("zimbraAutoProvLdapSearchFilter");
        let filter = filter.ok_or_else(|| settings("EAGER needs zimbraAutoProvLdapSearchFilter"))?;
        // `%n` and the like mean one user; here all are wanted.
        let filter = every(filter);
        let since = attrs.get(LAST_POLLED).and_then(generalized_time_ms).map(|ms| ms.saturating_sub(OVERLAP_MS));
        let filter = match since {
            Some(ms) => format!("(&{filter}(createTimestamp>={}))", generalized_time(ms)),
            None => filter,
        };
        let batch = attrs.get("zimbraAutoProvBatchSize").and_then(|v| v.parse().ok()).unwrap_or(BATCH);
        let entries = self.search_external(domain, &query(domain, filter, EXAMINED_MAX)).await?;
        let mut polled = Polled { seen: entries.len(), ..Polled::default() };
        for entry in &entries {
            if polled.made >= batch.clamp(1, BATCH_MAX) {
                polled.more = true;
                break;
            }
            match self.create_if_new(domain, entry).await {
                Ok(made) => polled.made += usize::from(made),
                // The directory does not answer: later.
                Err(ProvisionError::Directory(error @ Error::Unavailable(_))) => return Err(error.into()),
                Err(error) => {
                    polled.failed += 1;
                    tracing::warn!(dn = %entry.dn, %error, "cannot provision an account");
                }
            }
        }
        if !polled.more {
            let changes = vec![Modification::set(LAST_POLLED, generalized_time(now_ms))];
            let command = DirectoryCommand::ModifyDomain { name: domain.name.clone(), changes };
            self.directory.write(Actor::System, request(), command).await?;
        }
        Ok(polled)
    }

    async fn create_if_new(&self, domain: &Domain, entry: &ExternalEntry) -> Result<bool, ProvisionError> {
        let name = account_name(domain, entry, None)?;
        if self.known(&name).await?.is_some() {
            return Ok(false);
        }
        match self.create(domain, entry, None).await {
            Ok(_) => Ok(true),
            Err(ProvisionError::Directory(Error::Exists(_))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn known(&self, name: &str) -> Result<Option<Account>, ProvisionError> {
        let query = DirectoryQuery::Account(AccountBy::Address(name.to_string()));
        match self.directory.read(query, Freshness::Recent).await.and_then(DirectoryReply::into_account) {
            Ok(account) => Ok(Some(account)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn search_external(
        &self,
        domain: &Domain,
        query: &ExternalQuery,
    ) -> Result<Vec<ExternalEntry>, ProvisionError> {
        let attrs = &domain.attrs;
        let urls = attrs.all("zimbraAutoProvLdapURL").iter().flat_map(|v| v.split_whitespace()).map(str::to_string);
        let start_tls = attrs.get("zimbraAutoProvLdapStartTlsEnabled") == Some("TRUE");
        let server = ExternalServer { urls: urls.collect(), start_tls };
        if server.urls.is_empty() {
            return Err(settings("the domain has no zimbraAutoProvLdapURL"));
        }
        Ok(self.external.search(&server, bind_of(attrs, "zimbraAutoProvLdapAdminBind"), query).await?)
    }
}

/// Whether it is time to poll a domain (`zimbraAutoProvPollingInterval`, which is a server's, else the global config's).
pub fn poll_is_due(domain: &Domain, interval: Option<&str>, now_ms: u64) -> bool {
    let interval = interval.and_then(duration).unwrap_or(POLLING_INTERVAL);
    let last = domain.attrs.get(LAST_POLLED).and_then(generalized_time_ms);
    let due = last.map_or(0, |at| at.saturating_add(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)));
    is_mode(domain, "EAGER") && !interval.is_zero() && due <= now_ms
}

fn is_mode(domain: &Domain, mode: &str) -> bool {
    domain.attrs.all("zimbraAutoProvMode").iter().any(|m| m == mode)
}

fn settings(text: &str) -> ProvisionError {
    ProvisionError::Settings(text.to_string())
}

fn request() -> RequestId {
    RequestId(zcluster_runtime::random_bytes())
}

/// RFC 9562's version 4.
fn as_uuid(mut id: AccountId) -> AccountId {
    id.0[6] = id.0[6] & 0x0f | 0x40;
    id.0[8] = id.0[8] & 0x3f | 0x80;
    id
}

fn query(domain: &Domain, filter: String, limit: usize) -> ExternalQuery {
    let base =
        in_dn(domain.attrs.get("zimbraAutoProvLdapSearchBase").unwrap_or_default(), &format!("@{}", domain.name));
    let mut attributes: Vec<String> = map(domain).map(|(from, _)| from.to_string()).collect();
    attributes.extend(domain.attrs.get("zimbraAutoProvAccountNameMap").map(str::to_string));
    attributes.push("mail".into());
    ExternalQuery { base, base_only: false, filter, attributes, limit }
}

/// A filter for one user made one for all: what has a variable becomes a presence test.
fn every(filter: &str) -> String {
    let mut out = String::new();
    for piece in filter.split_inclusive(['(', ')']) {
        let (text, end) = piece.split_at(piece.len() - usize::from(piece.ends_with(['(', ')'])));
        match text.split_once('=') {
            Some((name, value)) if ["%n", "%u"].iter().any(|v| value.contains(v)) => {
                out.push_str(name.trim_end_matches(['~', '>', '<']));
                out.push_str("=*");
            }
            _ => out.push_str(text),
        }
        out.push_str(end);
    }
    out
}

/// `theirs=ours` each; what does not look so is passed over.
fn map(domain: &Domain) -> impl Iterator<Item = (&str, &str)> {
    domain
        .attrs
        .all("zimbraAutoProvAttrMap")
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(a, b)| (a.trim(), b.trim()))
}

/// Our attributes of an entry, as the schema wants them; of those that take one value, the first.
fn mapped(domain: &Domain, entry: &ExternalEntry) -> Result<Vec<Modification>, ProvisionError> {
    let mut attrs = Attributes::new();
    for (theirs, ours) in map(domain) {
        let bad = |why: &str| settings(&format!("zimbraAutoProvAttrMap {theirs}={ours}: {why}"));
        let refused = |problem: Problem| match problem {
            Problem::Name(why) | Problem::Value(why) => bad(&why),
        };
        let definition = zcluster_schema::check_name(ours).map_err(refused)?;
        if zcluster_schema::is_secret(ours) {
            return Err(bad("secrets are not taken over"));
        }
        let mut all = attrs.all(ours).to_vec();
        for value in entry.attrs.all(theirs).iter().filter(|v| !v.is_empty()) {
            all.push(zcluster_schema::check(definition, value).map_err(refused)?);
        }
        all.truncate(if definition.single { 1 } else { all.len() });
        attrs.set(definition.name, all);
    }
    let set = |a: &Attribute| Modification { values: a.values.clone(), ..Modification::set(&a.name, "") };
    Ok(attrs.iter().map(set).collect())
}

/// `zimbraAutoProvAccountNameMap` names the attribute that holds the name before the `@`; without it, the address that
/// somebody signed in with, or the entry's `mail`, counts.
fn account_name(domain: &Domain, entry: &ExternalEntry, address: Option<&str>) -> Result<String, ProvisionError> {
    let local = match domain.attrs.get("zimbraAutoProvAccountNameMap") {
        Some(name) => {
            let value = entry.attrs.get(name).ok_or_else(|| settings(&format!("{} has no {name}", entry.dn)))?;
            value.split('@').next().unwrap_or_default()
        }
        None => {
            let address = address.or_else(|| entry.attrs.get("mail"));
            let address = address.ok_or_else(|| settings(&format!("{} has no mail", entry.dn)))?;
            address.rsplit_once('@').map_or(address, |(local, _)| local)
        }
    };
    let name = format!("{local}@{}", domain.name);
    split_address(&name).map(|(local, domain)| format!("{local}@{domain}")).map_err(ProvisionError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_for_one_become_filters_for_all() {
        for (one, all) in [
            ("(uid=%u)", "(uid=*)"),
            ("(&(objectClass=person)(|(mail=%n)(uid=%u)))", "(&(objectClass=person)(|(mail=*)(uid=*)))"),
            ("(&(cn>=%u)(!(x=1)))", "(&(cn=*)(!(x=1)))"),
            ("(objectClass=person)", "(objectClass=person)"),
            ("", ""),
        ] {
            assert_eq!(every(one), all);
        }
    }

    #[test]
    fn when_to_poll() {
        let mut domain = Domain { id: AccountId([0; 16]), name: "x".into(), attrs: Attributes::new() };
        assert!(!poll_is_due(&domain, None, 0));
        domain.attrs.set("zimbraAutoProvMode", vec!["LAZY".into(), "EAGER".into()]);
        assert!(poll_is_due(&domain, None, 0));
        domain.attrs.set(LAST_POLLED, vec!["20260101000000Z".into()]);
        let now = 1_767_225_600_000;
        assert!(!poll_is_due(&domain, None, now + 899_999) && poll_is_due(&domain, None, now + 900_000));
        assert!(poll_is_due(&domain, Some("1m"), now + 60_000) && !poll_is_due(&domain, Some("0"), now * 2));
    }
}
