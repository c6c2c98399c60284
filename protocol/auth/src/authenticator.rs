//! The way from a user name and a password to an account.

use crate::cache::Cache;
use crate::password::{HashParams, PASSWORD_BYTES_MAX, hash_password_with, verify_password};
use crate::sasl::Credentials;
use crate::throttle::Throttle;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use zcluster_api::directory::{Account, AccountBy, split_address};
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Error, Freshness};
use zcluster_runtime::Instant;
use zeroize::Zeroizing;

/// How long the default domain is believed without asking the directory again.
const DEFAULT_DOMAIN_TTL: Duration = Duration::from_secs(10);

/// Bounds and costs.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// What new hashes, and the one that unknown users are checked against, cost.
    pub hash: HashParams,
    /// Hashes computed at once.
    pub concurrency: usize,
    /// Sign-ins that may wait for that; more are told to try later.
    pub queue: usize,
    /// Verified passwords remembered.
    pub cache_entries: usize,
    /// How long.
    pub cache_ttl: Duration,
    /// Pairs of account and network whose failures are remembered; 0 = no throttling.
    pub throttle_entries: usize,
    /// The least time a refused sign-in takes: slows guessing on one connection, and hides why it was refused.
    pub failure_delay: Duration,
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            hash: HashParams::default(),
            concurrency: 2,
            queue: 256,
            cache_entries: 100_000,
            cache_ttl: Duration::from_secs(3_600),
            throttle_entries: 100_000,
            failure_delay: Duration::from_secs(1),
        }
    }
}

impl AuthConfig {
    /// For tests: cheap hashes, no delay.
    pub fn cheap() -> Self {
        AuthConfig { hash: HashParams::cheap(), failure_delay: Duration::ZERO, ..Self::default() }
    }
}

/// Why somebody may not sign in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Wrong password, no such user, or not allowed to act as another: not told apart.
    #[error("invalid credentials")]
    Invalid,
    /// The password is right, but the account's status forbids it.
    #[error("account is {0}")]
    Disabled(String),
    /// Too many failures, too many sign-ins at once, or no directory.
    #[error("temporary authentication failure, try again later")]
    TryLater,
}

/// Checks credentials against the directory.
pub struct Authenticator {
    directory: Arc<dyn DirectoryApi>,
    config: AuthConfig,
    cache: Cache,
    throttle: Throttle,
    hashing: Semaphore,
    waiting: AtomicUsize,
    /// Verified instead of a stored hash when there is none, so that the time taken tells nothing.
    dummy: String,
    default_domain: Mutex<Option<(Instant, Option<String>)>>,
}

impl Authenticator {
    /// An authenticator that asks `directory`.
    pub fn new(directory: Arc<dyn DirectoryApi>, config: AuthConfig) -> Self {
        Authenticator {
            directory,
            cache: Cache::new(config.cache_entries, config.cache_ttl),
            throttle: Throttle::new(config.throttle_entries),
            hashing: Semaphore::new(config.concurrency.max(1)),
            waiting: AtomicUsize::new(0),
            dummy: hash_password_with(config.hash, &zcluster_runtime::random_u64().to_string()),
            default_domain: Mutex::new(None),
            config,
        }
    }

    /// The account that `user` (an address or alias in any case, or a bare name in the default domain) and `password`
    /// belong to, if it may sign in. `protocol` is for logs and metrics.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn verify(
        &self,
        user: &str,
        password: &[u8],
        peer: IpAddr,
        protocol: &'static str,
    ) -> Result<Account, AuthError> {
        let credentials =
            Credentials { authzid: None, user: user.to_string(), password: Zeroizing::new(password.to_vec()) };
        self.verify_credentials(&credentials, peer, protocol).await
    }

    /// Like [`Self::verify`] for the outcome of a SASL exchange. An administrator may act as any account; others only
    /// as themselves (RFC 4616 §2).
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn verify_credentials(
        &self,
        credentials: &Credentials,
        peer: IpAddr,
        protocol: &'static str,
    ) -> Result<Account, AuthError> {
        let begun = Instant::now();
        let result = self.check(credentials, peer).await;
        let label = match &result {
            Ok(_) => "ok",
            Err(AuthError::Invalid) => "invalid",
            Err(AuthError::Disabled(_)) => "disabled",
            Err(AuthError::TryLater) => "later",
        };
        metrics::counter!("zcluster_auth_total", "protocol" => protocol, "result" => label).increment(1);
        match &result {
            Ok(account) => tracing::debug!(protocol, %peer, account = %account.name, "signed in"),
            Err(error) => {
                tracing::info!(protocol, %peer, user = %credentials.user.escape_debug(), %error, "sign-in refused");
                zcluster_runtime::sleep_until(begun + self.config.failure_delay).await;
            }
        }
        result
    }

    async fn check(&self, credentials: &Credentials, peer: IpAddr) -> Result<Account, AuthError> {
        let user = self.full_address(&credentials.user).await;
        // Only what can be an address is counted, so that the table's keys stay short.
        let Some(user) = user else {
            self.burn(&credentials.password).await?;
            return Err(AuthError::Invalid);
        };
        if !self.throttle.allows(&user, peer) {
            return Err(AuthError::TryLater);
        }
        let account = self.lookup(&user).await?;
        if !self.password_is_right(account.as_ref(), &credentials.password).await? {
            self.throttle.failed(&user, peer);
            return Err(AuthError::Invalid);
        }
        let account = account.ok_or(AuthError::Invalid)?;
        self.throttle.succeeded(&user, peer);
        let account = may_sign_in(account)?;
        match credentials.authzid.as_deref() {
            None | Some("") => Ok(account),
            Some(other) => self.act_as(account, other).await,
        }
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
        tracing::info!(admin = %account.name, account = %target.name, "administrator acts as another account");
        may_sign_in(target)
    }

    /// The normalised address, or nothing when it cannot be one.
    async fn full_address(&self, user: &str) -> Option<String> {
        let user = user.trim();
        let full =
            if user.contains('@') { user.to_string() } else { format!("{user}@{}", self.default_domain().await?) };
        split_address(&full).ok().map(|(local, domain)| format!("{local}@{domain}"))
    }

    /// `zimbraDefaultDomainName`.
    async fn default_domain(&self) -> Option<String> {
        if let Ok(known) = self.default_domain.lock()
            && let Some((at, domain)) = &*known
            && at.elapsed() < DEFAULT_DOMAIN_TTL
        {
            return domain.clone();
        }
        let reply = self.directory.read(DirectoryQuery::Cluster, Freshness::Local).await;
        let Ok(DirectoryReply::Cluster(cluster)) = reply else { return None };
        let domain = cluster.config.get("zimbraDefaultDomainName").map(str::to_string);
        if let Ok(mut known) = self.default_domain.lock() {
            *known = Some((Instant::now(), domain.clone()));
        }
        domain
    }

    async fn lookup(&self, address: &str) -> Result<Option<Account>, AuthError> {
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

    async fn password_is_right(&self, account: Option<&Account>, password: &[u8]) -> Result<bool, AuthError> {
        let stored = account.and_then(|a| a.attrs.get("userPassword").map(|stored| (a.id, stored)));
        let Some((id, stored)) = stored.filter(|_| !password.is_empty()) else {
            self.burn(password).await?;
            return Ok(false);
        };
        let proof = self.cache.proof(id, stored, password);
        if self.cache.knows(&proof) {
            return Ok(true);
        }
        let right = self.hash_in_turn(stored.to_string(), password).await?;
        if right {
            self.cache.remember(proof);
        }
        Ok(right)
    }

    /// Spends the time a check would take.
    async fn burn(&self, password: &[u8]) -> Result<(), AuthError> {
        self.hash_in_turn(self.dummy.clone(), password).await.map(|_| ())
    }

    async fn hash_in_turn(&self, stored: String, password: &[u8]) -> Result<bool, AuthError> {
        let _turn = Waiting::enter(&self.waiting, self.config.queue + self.config.concurrency)?;
        let _permit = self.hashing.acquire().await.map_err(|_| AuthError::TryLater)?;
        let password = Zeroizing::new(password[..password.len().min(PASSWORD_BYTES_MAX + 1)].to_vec());
        zcluster_runtime::spawn_blocking(move || verify_password(&stored, &password))
            .await
            .map_err(|_| AuthError::TryLater)
    }
}

/// A place among those that compute or wait; given back when dropped (a client may hang up meanwhile).
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, max: usize) -> Result<Self, AuthError> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let place = Waiting(count);
        if before >= max { Err(AuthError::TryLater) } else { Ok(place) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Zimbra's account statuses: only `active` signs in (and `lockout` is what a password policy sets).
fn may_sign_in(account: Account) -> Result<Account, AuthError> {
    match account.status() {
        "active" => Ok(account),
        status => Err(AuthError::Disabled(status.to_string())),
    }
}
