//! What shows that somebody is who he says: a password here, in another directory, or a program's own; and a code.

use super::hashing::Match;
use super::{Attempt, AuthError, Authenticator};
use crate::external::{self, Mech};
use crate::password::{is_outdated, password_values};
use crate::sasl::Credentials;
use crate::scram_keys::ScramKeys;
use crate::two_factor;
use zcluster_api::directory::{Account, Domain, Modification, ModifyKind};
use zcluster_api::{AccountId, Error};

/// How long a password that another directory has taken is believed: at most twice this.
const EXTERNAL_MS: u64 = 60_000;

/// What there is.
enum Evidence {
    Nothing,
    /// The account's password; with the stored value if ours should take its place.
    Password(Option<String>),
    /// A program's password.
    App,
    /// The password that another directory has.
    External,
}

impl Authenticator {
    /// Who it is, and whether by a password that is kept here (and may be too old).
    pub(super) async fn authenticate(
        &self,
        attempt: &Attempt<'_>,
        credentials: &Credentials,
        code: Option<&str>,
    ) -> Result<(Account, bool), AuthError> {
        let password = &credentials.password;
        let user = self.full_address(&credentials.user).await;
        // Only what can be an address is counted, so that the table's keys stay short.
        let Some(user) = user else {
            attempt.because("no such account");
            self.burn(password).await?;
            return Err(AuthError::Invalid);
        };
        if !self.throttle.allows(&user, attempt.peer) {
            attempt.because("throttled");
            return Err(AuthError::TryLater);
        }
        let account = self.lookup(&user).await?;
        let domain = self.domain(account.as_ref().map_or(&user, |a| &a.name)).await?;
        let mut evidence = self.weigh(attempt, account.as_ref(), domain.as_ref(), &user, password).await?;
        let account = match (account, &evidence, &domain) {
            (None, Evidence::External, Some(domain)) => self.provisioned(domain, &user).await?,
            (account, ..) => account,
        };
        if let Some(account) = &account
            && !self.has_second_factor(attempt, account, &evidence, code).await?
        {
            evidence = Evidence::Nothing;
        }
        let right = !matches!(evidence, Evidence::Nothing);
        let wrong = account.as_ref().map(|a| self.cache.proof(a.id, "tried in vain", password));
        let account = self.tally(attempt, &user, account, right, wrong).await?;
        if let Evidence::Password(Some(outdated)) = &evidence {
            self.upgrade(&account, outdated, password).await;
        }
        Ok((account, matches!(evidence, Evidence::Password(_))))
    }

    async fn weigh(
        &self,
        attempt: &Attempt<'_>,
        account: Option<&Account>,
        domain: Option<&Domain>,
        user: &str,
        password: &[u8],
    ) -> Result<Evidence, AuthError> {
        let guarded = account.filter(|a| two_factor::is_on(a) || two_factor::must_set_up(a));
        if let Some(account) = guarded.filter(|_| !attempt.service.asks_for_codes()) {
            let now_ms = zcluster_runtime::wall_ms();
            let allowed = two_factor::allows_app_passwords(account);
            if allowed && two_factor::find_app_password(account, password, now_ms).is_some() {
                return Ok(Evidence::App);
            }
            attempt.because("no app password");
            self.burn(password).await?;
            return Ok(Evidence::Nothing);
        }
        let mech = domain.map_or(Mech::Zimbra, |d| Mech::of(&d.attrs, attempt.service.asks_for_codes()));
        let (Some(domain), false) = (domain, mech == Mech::Zimbra) else {
            return self.local(account, password).await;
        };
        let asked = match (&mech, &self.external) {
            (Mech::Ldap, Some(external)) => self.ask(&**external, domain, account, user, password).await,
            (Mech::Unknown(name), _) => {
                tracing::error!(domain = %domain.name, "zimbraAuthMech {name:?} is not supported: zimbra, ldap and ad are");
                Err(AuthError::TryLater)
            }
            _ => Err(AuthError::TryLater),
        };
        if matches!(asked, Ok(true)) {
            return Ok(Evidence::External);
        }
        if external::falls_back(&domain.attrs, account)
            && let there @ Evidence::Password(_) = self.local(account, password).await?
        {
            return Ok(there);
        }
        match asked {
            Ok(_) => Ok(Evidence::Nothing),
            Err(error) => {
                attempt.because("external directory does not answer");
                Err(error)
            }
        }
    }

    async fn local(&self, account: Option<&Account>, password: &[u8]) -> Result<Evidence, AuthError> {
        Ok(match self.matching(account, password).await? {
            Match::None => Evidence::Nothing,
            Match::Remembered => Evidence::Password(None),
            Match::Stored(value) => Evidence::Password(Some(value).filter(|v| is_outdated(v, self.config.hash))),
        })
    }

    /// Whether the domain's own directory takes the password. Who has no account is asked for only where accounts come
    /// from there.
    async fn ask(
        &self,
        external: &dyn external::ExternalDirectory,
        domain: &Domain,
        account: Option<&Account>,
        user: &str,
        password: &[u8],
    ) -> Result<bool, AuthError> {
        let wanted = account.is_some() || domain.attrs.all("zimbraAutoProvMode").iter().any(|m| m == "LAZY");
        let (true, Ok(text)) = (wanted, std::str::from_utf8(password)) else { return Ok(false) };
        let address = account.map_or(user, |a| &a.name);
        // The time is part of it: what is remembered is forgotten soon, so that a password changed there counts here.
        let bucket = zcluster_runtime::wall_ms() / EXTERNAL_MS;
        let id = account.map_or(AccountId([0; 16]), |a| a.id);
        let proof = |bucket| self.cache.proof(id, &format!("external {bucket} {address}"), password);
        if account.is_some() && (self.cache.knows(&proof(bucket)) || self.cache.knows(&proof(bucket.saturating_sub(1))))
        {
            return Ok(true);
        }
        let right = external::check(external, &domain.attrs, account, address, text).await?;
        if right && account.is_some() {
            self.cache.remember(proof(bucket));
        }
        Ok(right)
    }

    async fn provisioned(&self, domain: &Domain, user: &str) -> Result<Option<Account>, AuthError> {
        let Some(provisioner) = &self.provisioner else { return Ok(None) };
        provisioner.at_sign_in(domain, user).await.map_err(|error| {
            tracing::warn!(user, %error, "cannot provision an account at its first sign-in");
            AuthError::TryLater
        })
    }

    /// Whether nothing more is wanted, or the code is right; a code that is missing is asked for, once the password is
    /// right.
    async fn has_second_factor(
        &self,
        attempt: &Attempt<'_>,
        account: &Account,
        evidence: &Evidence,
        code: Option<&str>,
    ) -> Result<bool, AuthError> {
        if matches!(evidence, Evidence::Nothing | Evidence::App) || !attempt.service.asks_for_codes() {
            return Ok(true);
        }
        if two_factor::must_set_up(account) {
            return Err(AuthError::SetupRequired);
        }
        if !two_factor::is_on(account) {
            return Ok(true);
        }
        let Some(code) = code.filter(|c| !c.is_empty()) else { return Err(AuthError::CodeRequired) };
        let right = self.use_code(account, code).await?;
        if !right {
            attempt.because("wrong two-factor code");
        }
        Ok(right)
    }

    /// Whether SCRAM's keys may be used for the account: they are of the password that is kept here.
    pub(super) async fn takes_scram(&self, account: &Account) -> Result<bool, AuthError> {
        if two_factor::is_on(account) || two_factor::must_set_up(account) {
            return Ok(false);
        }
        let domain = self.domain(&account.name).await?;
        Ok(domain
            .is_none_or(|d| Mech::of(&d.attrs, false) == Mech::Zimbra || external::falls_back(&d.attrs, Some(account))))
    }

    /// Replaces a hash of another kind, or a weaker one, by ours; only if it still is what is stored, so that a password
    /// that was changed meanwhile stays. That it fails is no reason to refuse anybody.
    async fn upgrade(&self, account: &Account, outdated: &str, password: &[u8]) {
        let Ok(text) = std::str::from_utf8(password).map(str::to_string) else { return };
        let params = self.config.hash;
        let Ok(mut values) = self.in_turn(move || password_values(params, &text)).await else { return };
        if account.attrs.all("userPassword").iter().any(|v| ScramKeys::parse(v).is_some()) {
            values.truncate(1);
        }
        let change = |kind, values| Modification { name: "userPassword".into(), kind, values };
        let others = account.attrs.all("userPassword").iter().filter(|v| *v != outdated);
        let stored: Vec<String> = others.chain(&values).cloned().collect();
        let changes = vec![change(ModifyKind::Take, vec![outdated.to_string()]), change(ModifyKind::Add, values)];
        match self.change(account.id, changes).await {
            Ok(()) => {
                // The next sign-in shall not cost a hash again.
                self.remember(account, &stored, password);
                tracing::debug!(account = %account.name, "stored password upgraded");
            }
            Err(Error::Conflict(_)) => {}
            Err(error) => tracing::warn!(account = %account.name, %error, "cannot upgrade a stored password"),
        }
    }
}
