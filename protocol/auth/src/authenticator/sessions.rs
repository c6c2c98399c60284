//! Auth tokens: issuing, redeeming, revoking; and signing in with a portal's signature.

use super::{Attempt, AuthError, Authenticator};
use crate::auth_token::{self, AuthToken, TokenKey};
use crate::channel::Service;
use crate::preauth::PreAuth;
use std::net::IpAddr;
use std::time::Duration;
use zcluster_api::directory::{Account, AccountBy, Filter, Kinds, Page, Search, duration};
use zcluster_api::{AccountId, Actor, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness, RequestId};

/// `zimbraAuthTokenLifetime` where nobody set it.
const LIFETIME: Duration = Duration::from_secs(2 * 86_400);
/// `zimbraAdminAuthTokenLifetime` where nobody set it.
const ADMIN_LIFETIME: Duration = Duration::from_secs(12 * 3_600);
/// Whatever the attributes say.
const LIFETIME_MAX: Duration = Duration::from_secs(366 * 86_400);

/// A token that was made.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// Its text.
    pub text: String,
    /// Unix milliseconds.
    pub expires_ms: u64,
    /// From now on.
    pub lifetime_ms: u64,
}

impl Authenticator {
    /// A token for an account that has signed in; `admin`: for administration, which only administrators get.
    ///
    /// # Errors
    /// `Invalid` for who may not administer; `TryLater` without the directory.
    pub async fn issue_token(&self, account: &Account, admin: bool) -> Result<IssuedToken, AuthError> {
        if admin && !auth_token::may_administer(account) {
            return Err(AuthError::Invalid);
        }
        let settings = self.settings().await.ok_or(AuthError::TryLater)?;
        let key = match auth_token::keys(&settings.config).pop() {
            Some(key) => key,
            None => self.add_token_key(true).await?,
        };
        let (attribute, default) = match admin {
            true => ("zimbraAdminAuthTokenLifetime", ADMIN_LIFETIME),
            false => ("zimbraAuthTokenLifetime", LIFETIME),
        };
        let lifetime = account.effective(attribute).and_then(duration).unwrap_or(default).min(LIFETIME_MAX);
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let now_ms = zcluster_runtime::wall_ms();
        let token = AuthToken {
            account: account.id,
            expires_ms: now_ms.saturating_add(lifetime_ms),
            admin,
            token_id: u32::from_be_bytes(zcluster_runtime::random_bytes()) >> 1,
            validity: auth_token::validity(account),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        self.change(account.id, token.issued(account, now_ms)).await.map_err(later)?;
        Ok(IssuedToken { text: token.encode(&key), expires_ms: token.expires_ms, lifetime_ms })
    }

    /// Whose token it is, if it still counts anywhere in the cluster and the account may sign in.
    ///
    /// # Errors
    /// `Invalid` for every kind of bad token; [`AuthError`].
    pub async fn redeem_token(&self, text: &str) -> Result<(Account, AuthToken), AuthError> {
        let token = self.decode(text).await?;
        let account = self.account_by(AccountBy::Id(token.account)).await?.ok_or(AuthError::Invalid)?;
        let settings = self.settings().await.ok_or(AuthError::TryLater)?;
        if !token.is_live(&account, &settings.config, zcluster_runtime::wall_ms()) {
            return Err(AuthError::Invalid);
        }
        Ok((self.active(account).await?, token))
    }

    /// Ends one token, on all nodes.
    ///
    /// # Errors
    /// `Invalid`: it is none of ours; `TryLater`.
    pub async fn revoke_token(&self, text: &str) -> Result<(), AuthError> {
        let token = self.decode(text).await?;
        self.change(token.account, vec![token.revoked()]).await.map_err(later)
    }

    /// Ends all of an account's tokens, on all nodes.
    ///
    /// # Errors
    /// The directory's.
    pub async fn revoke_all_tokens(&self, account: &Account) -> Result<(), Error> {
        let none = zcluster_api::directory::Modification::set(auth_token::ISSUED, "");
        self.change(account.id, vec![auth_token::raised_validity(account), none]).await
    }

    /// A new key signs from now on; tokens of the two keys before stay good. Gives the new key's version.
    ///
    /// # Errors
    /// `TryLater`.
    pub async fn rotate_token_key(&self) -> Result<u64, AuthError> {
        self.add_token_key(false).await.map(|key| key.version())
    }

    /// `first`: only if there is none.
    async fn add_token_key(&self, first: bool) -> Result<TokenKey, AuthError> {
        let reply = self.directory.read(DirectoryQuery::Cluster, Freshness::Linearizable).await;
        let Ok(DirectoryReply::Cluster(cluster)) = reply else { return Err(AuthError::TryLater) };
        if let Some(key) = auth_token::keys(&cluster.config).pop().filter(|_| first) {
            self.forget_settings();
            return Ok(key);
        }
        let (key, changes) = auth_token::new_key(&cluster.config, zcluster_runtime::wall_ms());
        let request = RequestId(zcluster_runtime::random_bytes());
        let written = self.directory.write(Actor::System, request, DirectoryCommand::ModifyConfig(changes)).await;
        written.map_err(later)?;
        self.forget_settings();
        tracing::info!(target: "audit", version = key.version(), "new key for auth tokens");
        Ok(key)
    }

    async fn decode(&self, text: &str) -> Result<AuthToken, AuthError> {
        let settings = self.settings().await.ok_or(AuthError::TryLater)?;
        let keys = auth_token::keys(&settings.config);
        if let Some(token) = AuthToken::decode(text, &keys) {
            return Ok(token);
        }
        // Another node may have made a new key; what names no newer one costs no look into the directory.
        if !auth_token::may_have_newer_key(text, &keys) {
            return Err(AuthError::Invalid);
        }
        let settings = self.settings_now(Freshness::Recent).await.ok_or(AuthError::TryLater)?;
        AuthToken::decode(text, &auth_token::keys(&settings.config)).ok_or(AuthError::Invalid)
    }

    /// The account that a portal says has signed in there (`zimbraPreAuthKey` of the account's domain).
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn verify_preauth(
        &self,
        request: &PreAuth,
        signature: &str,
        peer: IpAddr,
        service: Service,
    ) -> Result<Account, AuthError> {
        let attempt = Attempt::new(service, "preauth", peer, &request.account);
        let result = self.check_preauth(&attempt, request, signature).await;
        self.conclude(&attempt, result).await
    }

    async fn check_preauth(
        &self,
        attempt: &Attempt<'_>,
        request: &PreAuth,
        signature: &str,
    ) -> Result<Account, AuthError> {
        let by = match request.by.as_str() {
            "name" => self.full_address(&request.account).await.map(AccountBy::Address),
            "id" => request.account.parse().ok().map(AccountBy::Id),
            "foreignPrincipal" => self.by_foreign_principal(&request.account).await?.map(AccountBy::Id),
            _ => None,
        };
        let Some(by) = by else {
            attempt.because("no such account");
            self.count_failure("", attempt.peer, None);
            return Err(AuthError::Invalid);
        };
        let claimed = if let AccountBy::Address(address) = &by { address.clone() } else { String::new() };
        if !self.throttle.allows(&claimed, attempt.peer) {
            attempt.because("throttled");
            return Err(AuthError::TryLater);
        }
        let account = self.account_by(by).await?;
        let domain = match &account {
            Some(account) => self.domain(&account.name).await?,
            None => None,
        };
        let key = domain.as_ref().and_then(|d| d.attrs.get("zimbraPreAuthKey")).unwrap_or_default();
        let signed = request.is_signed(key, signature, zcluster_runtime::wall_ms());
        let ended = request.expires_ms != 0 && request.expires_ms <= zcluster_runtime::wall_ms();
        let Some(account) = account.filter(|_| signed && !ended) else {
            attempt.because("bad preauth signature");
            self.count_failure(&claimed, attempt.peer, None);
            return Err(AuthError::Invalid);
        };
        if request.admin && !auth_token::may_administer(&account) {
            return Err(AuthError::Invalid);
        }
        self.admit(account, None, attempt.service).await
    }

    /// The account whose `zimbraForeignPrincipal` it is, if it is one's only.
    async fn by_foreign_principal(&self, name: &str) -> Result<Option<AccountId>, AuthError> {
        if name.is_empty() {
            return Ok(None);
        }
        let search = Search {
            kinds: Kinds::ACCOUNTS,
            domain: None,
            parent: None,
            filter: Filter::equal("zimbraForeignPrincipal", name),
            after: None,
            limit: 2,
        };
        match self.directory.read(DirectoryQuery::Search(Box::new(search)), Freshness::Local).await {
            Ok(DirectoryReply::Page(Page { objects, .. })) => match objects.as_slice() {
                [one] => Ok(Some(one.id)),
                _ => Ok(None),
            },
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, "cannot look up an account");
                Err(AuthError::TryLater)
            }
        }
    }

    async fn account_by(&self, by: AccountBy) -> Result<Option<Account>, AuthError> {
        let query = DirectoryQuery::Account(by);
        match self.directory.read(query, Freshness::Recent).await.and_then(DirectoryReply::into_account) {
            Ok(account) => Ok(Some(account)),
            Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, "cannot look up an account");
                Err(AuthError::TryLater)
            }
        }
    }
}

fn later(error: Error) -> AuthError {
    tracing::warn!(%error, "cannot keep an auth token");
    AuthError::TryLater
}
