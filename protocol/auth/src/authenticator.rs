//! The way from a user name and a password, a proof or a token to an account.

mod admission;
mod audit;
mod evidence;
mod hashing;
mod new_password;
mod sessions;

pub use new_password::ChangeError;
pub use sessions::IssuedToken;

use crate::cache::Cache;
use crate::cache::Proof;
use crate::channel::Service;
use crate::external::ExternalDirectory;
use crate::failures::{Herald, News, Peer};
use crate::lockout::Lockouts;
use crate::mechanism::Offer;
use crate::password::{HashParams, hash_password_with};
use crate::provision::Provisioner;
use crate::sasl::Credentials;
use crate::scram_keys::{KEY_BYTES, ScramKeys, mac};
use crate::throttle::Throttle;
use crate::token::{TokenError, TokenHints, TokenVerifier};
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use zcluster_api::directory::{Account, Attributes};
use zcluster_api::{AccountId, DirectoryApi};
use zcluster_runtime::Instant;
use zeroize::Zeroizing;

/// Bytes of a made-up salt; as many as [`crate::password_values`] draws.
const SALT_BYTES: usize = 16;

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
    /// Whether SCRAM is offered. Accounts whose passwords came from elsewhere as hashes have no keys for it, and there
    /// are clients that try nothing else once they have seen it.
    pub scram: bool,
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
            scram: true,
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
    /// The credentials are right, but the account's status (or its domain's) forbids it: `locked`, `closed`, `pending`,
    /// `lockout` or `maintenance`, of which the last will pass.
    #[error("account is {0}")]
    Disabled(String),
    /// The credentials are right, but the account may not use this protocol.
    #[error("this service is not enabled for the account")]
    SwitchedOff,
    /// The credentials are right, but the password has to be changed first: it is too old, or an administrator says so.
    #[error("password must be changed")]
    ChangePassword,
    /// The password is right; a code of the second factor is wanted as well.
    #[error("two-factor code required")]
    CodeRequired,
    /// The password is right; the account may do nothing before it has a second factor.
    #[error("two-factor authentication must be set up")]
    SetupRequired,
    /// Too many failures, too many sign-ins at once, or no directory.
    #[error("temporary authentication failure, try again later")]
    TryLater,
}

/// Somebody's attempt to sign in, for metrics, logs and the throttle.
pub(crate) struct Attempt<'a> {
    pub begun: Instant,
    pub service: Service,
    pub mechanism: &'static str,
    pub peer: IpAddr,
    /// Who it says it is.
    pub user: &'a str,
    /// Why it fails, for the audit trail alone: clients are not told so much.
    pub reason: OnceLock<&'static str>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(service: Service, mechanism: &'static str, peer: IpAddr, user: &'a str) -> Self {
        Attempt { begun: Instant::now(), service, mechanism, peer, user, reason: OnceLock::new() }
    }

    /// The first word counts.
    pub(crate) fn because(&self, reason: &'static str) {
        let _ = self.reason.set(reason);
    }
}

/// Whom a SCRAM exchange is about.
pub(crate) struct Candidate {
    /// The normalised address, if there can be such an account.
    pub user: Option<String>,
    /// The account, if there is one with keys.
    pub account: Option<Account>,
    /// Its keys, or made-up ones.
    pub keys: ScramKeys,
}

/// Checks credentials against the directory.
pub struct Authenticator {
    directory: Arc<dyn DirectoryApi>,
    config: AuthConfig,
    tokens: Option<Arc<dyn TokenVerifier>>,
    external: Option<Arc<dyn ExternalDirectory>>,
    provisioner: Option<Provisioner>,
    herald: OnceLock<Arc<dyn Herald>>,
    cache: Cache,
    throttle: Throttle,
    lockouts: Lockouts,
    hashing: Semaphore,
    waiting: AtomicUsize,
    /// Verified instead of a stored hash when there is none, so that the time taken tells nothing.
    dummy: String,
    settings: Mutex<Option<(Instant, Settings)>>,
    /// Accounts whose sign-in was taken down lately.
    noted: audit::Noted,
    /// Makes up salts until the cluster's own secret is known.
    own_secret: [u8; KEY_BYTES],
}

/// What matters of the cluster's own facts.
#[derive(Clone)]
pub(crate) struct Settings {
    /// `zimbraDefaultDomainName`.
    default_domain: Option<String>,
    /// The same on all nodes and known to nobody else.
    secret: [u8; KEY_BYTES],
    /// The same, for what is stored encrypted.
    pub(crate) sealing: [u8; KEY_BYTES],
    /// The global config.
    pub(crate) config: Arc<Attributes>,
}

impl Authenticator {
    /// An authenticator that asks `directory`.
    pub fn new(directory: Arc<dyn DirectoryApi>, config: AuthConfig) -> Self {
        Authenticator {
            directory,
            tokens: None,
            external: None,
            provisioner: None,
            herald: OnceLock::new(),
            noted: audit::Noted::default(),
            cache: Cache::new(config.cache_entries, config.cache_ttl),
            throttle: Throttle::new(config.throttle_entries),
            lockouts: Lockouts::new(config.throttle_entries),
            hashing: Semaphore::new(config.concurrency.max(1)),
            waiting: AtomicUsize::new(0),
            dummy: hash_password_with(config.hash, &zcluster_runtime::random_u64().to_string()),
            settings: Mutex::new(None),
            own_secret: zcluster_runtime::random_bytes(),
            config,
        }
    }

    /// The same, and OAUTHBEARER and XOAUTH2 on offer with tokens that `verifier` finds good.
    #[must_use]
    pub fn with_tokens(mut self, verifier: Arc<dyn TokenVerifier>) -> Self {
        self.tokens = Some(verifier);
        self
    }

    /// The same, and domains may have their passwords checked in other directories, and accounts come from there.
    #[must_use]
    pub fn with_external(mut self, external: Arc<dyn ExternalDirectory>, provisioner: Provisioner) -> Self {
        self.external = Some(external);
        self.provisioner = Some(provisioner);
        self
    }

    /// Tells other nodes of failures from now on. Only the first one counts.
    pub fn set_herald(&self, herald: Arc<dyn Herald>) {
        let _ = self.herald.set(herald);
    }

    pub(crate) fn directory(&self) -> &dyn DirectoryApi {
        &*self.directory
    }

    pub(crate) fn offer(&self) -> Offer {
        Offer { scram: self.config.scram, tokens: self.tokens.is_some() }
    }

    pub(crate) fn token_hints(&self) -> TokenHints {
        self.tokens.as_ref().map(|t| t.hints().clone()).unwrap_or_default()
    }

    /// The account that `user` (an address or alias in any case, or a bare name in the default domain) and `password`
    /// belong to, if it may sign in to `service`.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn verify(
        &self,
        user: &str,
        password: &[u8],
        peer: IpAddr,
        service: Service,
    ) -> Result<Account, AuthError> {
        let credentials =
            Credentials { authzid: None, user: user.to_string(), password: Zeroizing::new(password.to_vec()) };
        self.verify_credentials(&credentials, peer, service, "password").await
    }

    /// Like [`Self::verify`] for the outcome of a SASL exchange. An administrator may act as any account; others only
    /// as themselves (RFC 4616 §2).
    pub(crate) async fn verify_credentials(
        &self,
        credentials: &Credentials,
        peer: IpAddr,
        service: Service,
        mechanism: &'static str,
    ) -> Result<Account, AuthError> {
        let attempt = Attempt::new(service, mechanism, peer, &credentials.user);
        let result = self.check_password(&attempt, credentials, None).await;
        self.conclude(&attempt, result).await
    }

    /// Like [`Self::verify`] where a code of the second factor may come along, for accounts that have one.
    ///
    /// # Errors
    /// [`AuthError`]; `CodeRequired` when there should have been one.
    pub async fn verify_with_code(
        &self,
        user: &str,
        password: &[u8],
        code: Option<&str>,
        peer: IpAddr,
        service: Service,
    ) -> Result<Account, AuthError> {
        let credentials =
            Credentials { authzid: None, user: user.to_string(), password: Zeroizing::new(password.to_vec()) };
        let attempt = Attempt::new(service, "password", peer, user);
        let result = self.check_password(&attempt, &credentials, code).await;
        self.conclude(&attempt, result).await
    }

    async fn check_password(
        &self,
        attempt: &Attempt<'_>,
        credentials: &Credentials,
        code: Option<&str>,
    ) -> Result<Account, AuthError> {
        let (account, by_password) = self.authenticate(attempt, credentials, code).await?;
        if by_password && crate::policy::must_change(&account, zcluster_runtime::wall_ms()) {
            // Its status has the first word.
            self.admit(account, None, attempt.service).await?;
            return Err(AuthError::ChangePassword);
        }
        self.admit(account, credentials.authzid.as_deref(), attempt.service).await
    }

    /// Whom a SCRAM exchange is about. An account without keys, and one that does not exist, get made-up keys: the same
    /// ones each time and on each node.
    pub(crate) async fn scram_candidate(&self, user: &str, peer: IpAddr) -> Result<Candidate, AuthError> {
        let address = self.full_address(user).await;
        let account = match &address {
            Some(address) if !self.throttle.allows(address, peer) => return Err(AuthError::TryLater),
            Some(address) => match self.lookup(address).await? {
                Some(account) if self.takes_scram(&account).await? => Some(account),
                _ => None,
            },
            None => None,
        };
        let made_up = self.made_up_keys(address.as_deref().unwrap_or(user)).await;
        let keys = account.as_ref().and_then(|a| a.attrs.all("userPassword").iter().find_map(|v| ScramKeys::parse(v)));
        Ok(match keys {
            Some(keys) => Candidate { user: address, account, keys },
            None => Candidate { user: address, account: None, keys: made_up },
        })
    }

    async fn made_up_keys(&self, user: &str) -> ScramKeys {
        let secret = self.settings().await.map_or(self.own_secret, |s| s.secret);
        let draw = |what: &str| mac(&secret, format!("{what} {user}").as_bytes());
        let salt = draw("salt").get(..SALT_BYTES).unwrap_or_default().to_vec();
        let iterations = self.config.hash.scram_iterations;
        ScramKeys { iterations, salt, stored: draw("stored"), server: draw("server") }
    }

    /// What follows a SCRAM exchange's last message. `attempt.user` is the candidate's address, if it has one.
    pub(crate) async fn proven(
        &self,
        attempt: &Attempt<'_>,
        account: Option<Account>,
        right: bool,
        authzid: Option<&str>,
    ) -> Result<Account, AuthError> {
        if attempt.user.is_empty() {
            attempt.because("no such account");
            return Err(AuthError::Invalid);
        }
        // Exchanges that were begun side by side must not outrun the throttle.
        if !self.throttle.allows(attempt.user, attempt.peer) {
            attempt.because("throttled");
            return Err(AuthError::TryLater);
        }
        let account = self.tally(attempt, attempt.user, account, right, None).await?;
        if crate::policy::must_change(&account, zcluster_runtime::wall_ms()) {
            self.admit(account, None, attempt.service).await?;
            return Err(AuthError::ChangePassword);
        }
        self.admit(account, authzid, attempt.service).await
    }

    /// The account that a bearer token belongs to; `attempt.user` says as whom the client wants to act (empty: as
    /// itself). With the error comes what is wrong with the token, if that is it.
    pub(crate) async fn verify_token(
        &self,
        attempt: &Attempt<'_>,
        token: &str,
    ) -> Result<Account, (AuthError, Option<TokenError>)> {
        let (result, why) = match self.check_token(attempt, token).await {
            Ok(account) => (Ok(account), None),
            Err((error, why)) => (Err(error), why),
        };
        self.conclude(attempt, result).await.map_err(|error| (error, why))
    }

    async fn check_token(
        &self,
        attempt: &Attempt<'_>,
        token: &str,
    ) -> Result<Account, (AuthError, Option<TokenError>)> {
        let plainly = |error| (error, None);
        let Some(verifier) = &self.tokens else { return Err(plainly(AuthError::Invalid)) };
        // What is not an address is counted for the place alone.
        let claimed = self.full_address(attempt.user).await.unwrap_or_default();
        if !self.throttle.allows(&claimed, attempt.peer) {
            attempt.because("throttled");
            return Err(plainly(AuthError::TryLater));
        }
        // An empty token only asks what a good one is (RFC 7628 §4.3).
        let checked = if token.is_empty() { Err(TokenError::Invalid) } else { verifier.verify(token).await };
        let found = match checked {
            Ok(found) => match self.full_address(&found.user).await {
                Some(address) => self.lookup(&address).await.map_err(plainly)?,
                None => None,
            },
            Err(TokenError::Unavailable) => return Err(plainly(AuthError::TryLater)),
            Err(why) => {
                attempt.because("bad token");
                if !token.is_empty() {
                    self.count_failure(&claimed, attempt.peer, None);
                }
                return Err((AuthError::Invalid, Some(why)));
            }
        };
        let Some(account) = found else {
            attempt.because("token of nobody");
            self.count_failure(&claimed, attempt.peer, None);
            return Err((AuthError::Invalid, Some(TokenError::Invalid)));
        };
        self.throttle.succeeded(&claimed, attempt.peer);
        self.admit(account, Some(attempt.user), attempt.service).await.map_err(plainly)
    }

    /// Counts, tells and, if it is a refusal, slows down.
    pub(crate) async fn conclude(
        &self,
        attempt: &Attempt<'_>,
        result: Result<Account, AuthError>,
    ) -> Result<Account, AuthError> {
        match result {
            Ok(account) => {
                self.count(attempt, "ok");
                attempt.tell(&account.name, "ok", "");
                Ok(account)
            }
            Err(error) => Err(self.refuse(attempt, error).await),
        }
    }

    /// The same for what is a refusal.
    pub(crate) async fn refuse(&self, attempt: &Attempt<'_>, error: AuthError) -> AuthError {
        self.count(
            attempt,
            match &error {
                AuthError::Invalid => "invalid",
                AuthError::Disabled(_) => "disabled",
                AuthError::SwitchedOff => "switched_off",
                AuthError::ChangePassword => "change_password",
                AuthError::CodeRequired | AuthError::SetupRequired => "second_factor",
                AuthError::TryLater => "later",
            },
        );
        let reason = attempt.reason.get().map_or_else(|| error.to_string(), |reason| (*reason).to_string());
        attempt.tell(attempt.user, "refused", &reason);
        zcluster_runtime::sleep_until(attempt.begun + self.config.failure_delay).await;
        error
    }

    fn count(&self, attempt: &Attempt<'_>, result: &'static str) {
        metrics::counter!("zcluster_auth_total",
            "protocol" => attempt.service.name(), "mechanism" => attempt.mechanism, "result" => result)
        .increment(1);
    }

    /// Notes in all books whether the credentials were right; the account if they were.
    async fn tally(
        &self,
        attempt: &Attempt<'_>,
        user: &str,
        account: Option<Account>,
        right: bool,
        wrong: Option<Proof>,
    ) -> Result<Account, AuthError> {
        match account {
            Some(account) if right => {
                if self.throttle.succeeded(user, attempt.peer) {
                    self.tell(user, attempt.peer, Some(account.id), true);
                }
                Ok(self.lockouts.succeeded(&*self.directory, account).await)
            }
            account => {
                attempt.because(if account.is_some() { "wrong password" } else { "no such account" });
                self.count_failure(user, attempt.peer, account.as_ref());
                if let Some(account) = account {
                    self.lockouts.failed(&*self.directory, &account, attempt.service, wrong).await;
                }
                Err(AuthError::Invalid)
            }
        }
    }

    fn count_failure(&self, user: &str, peer: IpAddr, account: Option<&Account>) {
        self.throttle.failed(user, peer);
        self.tell(user, peer, account.map(|a| a.id), false);
    }

    fn tell(&self, user: &str, peer: IpAddr, account: Option<AccountId>, success: bool) {
        if let Some(herald) = self.herald.get() {
            herald.tell(News { user: user.to_string(), peer: Peer(peer), account, success });
        }
    }

    /// Takes another node's word.
    pub(crate) fn heard(&self, news: &News) {
        let Peer(peer) = news.peer;
        if news.success {
            self.throttle.forgive(&news.user, peer);
        } else {
            self.throttle.failed(&news.user, peer);
        }
        match news.account {
            Some(account) if news.success => self.lockouts.heard_success(account),
            Some(account) => self.lockouts.heard(account),
            None => {}
        }
    }
}
