//! What the directory says of who signs in.

use super::{AuthError, Authenticator, Settings};
use crate::channel::Service;
use crate::scram_keys::mac;
use crate::status;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Account, AccountBy, Domain, split_address};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Freshness};
use zcluster_runtime::Instant;

/// How long the cluster's settings are believed without asking the directory again.
const SETTINGS_TTL: Duration = Duration::from_secs(10);

impl Authenticator {
    /// Whether an account whose credentials were right may come in, perhaps as another.
    pub(super) async fn admit(
        &self,
        account: Account,
        authzid: Option<&str>,
        service: Service,
    ) -> Result<Account, AuthError> {
        let account = self.active(account).await?;
        let own = account.id;
        let account = match authzid {
            None | Some("") => account,
            Some(other) => self.act_as(account, other).await?,
        };
        if !status::is_enabled(&account, service) {
            return Err(AuthError::SwitchedOff);
        }
        // When an administrator was there says nothing of the account's owner.
        if account.id == own {
            self.note_sign_in(&account).await;
        }
        Ok(account)
    }

    async fn act_as(&self, account: Account, other: &str) -> Result<Account, AuthError> {
        let Some(address) = self.full_address(other).await else { return Err(AuthError::Invalid) };
        let target = self.lookup(&address).await?.ok_or(AuthError::Invalid)?;
        if target.id == account.id {
            return Ok(account);
        }
        if !account.is_admin() {
            return Err(AuthError::Invalid);
        }
        tracing::info!(target: "audit", admin = %account.name, account = %target.name, "administrator acts as another account");
        self.active(target).await
    }

    /// The domain of an address.
    pub(super) async fn domain(&self, address: &str) -> Result<Option<Domain>, AuthError> {
        let name = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        // This node's own copy is at least as fresh as the account that was just read.
        match self.directory.read(DirectoryQuery::Domain(name.to_string()), Freshness::Local).await {
            Ok(DirectoryReply::Domain(domain)) => Ok(Some(domain)),
            Ok(_) | Err(Error::NotFound(_)) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, "cannot look up a domain to sign in");
                Err(AuthError::TryLater)
            }
        }
    }

    /// The account, if its status and its domain's let it sign in.
    pub(super) async fn active(&self, account: Account) -> Result<Account, AuthError> {
        let domain = self.domain(&account.name).await?;
        match status::status(&account, domain.as_ref().map(|d| &d.attrs), zcluster_runtime::wall_ms()) {
            "active" => Ok(account),
            status => Err(AuthError::Disabled(status.to_string())),
        }
    }

    /// The normalised address, or nothing when it cannot be one.
    pub(super) async fn full_address(&self, user: &str) -> Option<String> {
        let user = user.trim();
        let full = if user.contains('@') {
            Cow::Borrowed(user)
        } else {
            Cow::Owned(format!("{user}@{}", self.settings().await?.default_domain?))
        };
        split_address(&full).ok().map(|(local, domain)| format!("{local}@{domain}"))
    }

    /// What was known of the cluster's settings is asked again.
    pub(super) fn forget_settings(&self) {
        if let Ok(mut known) = self.settings.lock() {
            *known = None;
        }
    }

    pub(crate) async fn settings(&self) -> Option<Settings> {
        if let Ok(known) = self.settings.lock()
            && let Some((at, settings)) = &*known
            && at.elapsed() < SETTINGS_TTL
        {
            return Some(settings.clone());
        }
        self.settings_now(Freshness::Local).await
    }

    /// The same, asked for at once.
    pub(super) async fn settings_now(&self, freshness: Freshness) -> Option<Settings> {
        let reply = self.directory.read(DirectoryQuery::Cluster, freshness).await;
        let Ok(DirectoryReply::Cluster(cluster)) = reply else { return None };
        let settings = Settings {
            default_domain: cluster.config.get("zimbraDefaultDomainName").map(str::to_string),
            secret: mac(cluster.ca_key_pem.as_bytes(), b"zcluster: what SCRAM shows for accounts that are not there"),
            sealing: mac(cluster.ca_key_pem.as_bytes(), b"zcluster: secrets of second factors"),
            config: Arc::new(cluster.config),
        };
        if let Ok(mut known) = self.settings.lock() {
            *known = Some((Instant::now(), settings.clone()));
        }
        Some(settings)
    }

    pub(super) async fn lookup(&self, address: &str) -> Result<Option<Account>, AuthError> {
        let query = DirectoryQuery::Account(AccountBy::Address(address.to_string()));
        match self.directory.read(query, Freshness::Recent).await.and_then(DirectoryReply::into_account) {
            Ok(account) => Ok(Some(account)),
            Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, "cannot look up an account to sign in");
                Err(AuthError::TryLater)
            }
        }
    }
}
