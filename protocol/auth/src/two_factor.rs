//! The second factor: codes by time, codes on paper, and passwords for programs that cannot ask for a code.
//!
//! Each code is good once in the whole cluster: what is stored says which window was used last and which paper codes are
//! left, and using one replaces exactly the value that was read ([`ModifyKind::Take`]), so that of two nodes that are
//! shown the same code one loses.

mod app;
mod totp;

pub use app::AppPassword;
pub(crate) use app::find as find_app_password;

use crate::authenticator::{AuthError, Authenticator};
use crate::sealed::Sealer;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::{BASE32_NOPAD, BASE32_NOPAD_NOCASE};
use totp::TotpConfig;
use zcluster_api::directory::{Account, Attributes, Modification, ModifyKind};
use zcluster_api::{AccountId, Actor, DirectoryCommand, Error, RequestId};
use zeroize::Zeroizing;

/// Where the secret is, with the window that was used last.
const SECRET: &str = "zimbraTwoFactorAuthSecret";
/// Where the codes on paper are.
const CODES: &str = "zimbraTwoFactorAuthScratchCodes";
const ENABLED: &str = "zimbraTwoFactorAuthEnabled";
/// Codes on paper at most, whatever `zimbraTwoFactorAuthNumScratchCodes` says.
const CODES_MAX: usize = 50;
/// Letters of such a code: 8 of base32 have 40 bits.
const CODE_LETTERS: std::ops::RangeInclusive<usize> = 8..=32;
/// Bytes of a secret (RFC 4226 §4).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=80;

/// Why something about the second factor was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecondFactorError {
    /// `zimbraFeatureTwoFactorAuthAvailable` is not TRUE, or it is on already.
    #[error("two-factor authentication cannot be enabled: {0}")]
    CannotEnable(&'static str),
    /// `zimbraFeatureTwoFactorAuthRequired` is TRUE.
    #[error("two-factor authentication is required for this account")]
    CannotDisable,
    /// The code does not belong to the secret.
    #[error("wrong code")]
    WrongCode,
    /// It is not on.
    #[error("two-factor authentication is not enabled")]
    NotEnabled,
    /// Names, numbers.
    #[error("{0}")]
    Invalid(String),
    /// The directory's answer.
    #[error(transparent)]
    Directory(#[from] Error),
}

impl SecondFactorError {
    /// Zimbra's code.
    pub fn code(&self) -> &'static str {
        match self {
            SecondFactorError::CannotEnable(_) => "account.CANNOT_ENABLE_TWO_FACTOR_AUTH",
            SecondFactorError::CannotDisable => "account.CANNOT_DISABLE_TWO_FACTOR_AUTH",
            SecondFactorError::WrongCode => "account.TWO_FACTOR_AUTH_FAILED",
            SecondFactorError::NotEnabled => "account.TWO_FACTOR_AUTH_INVALID_CONFIG",
            SecondFactorError::Invalid(_) => "service.INVALID_REQUEST",
            SecondFactorError::Directory(Error::Unavailable(_)) => "service.TEMPORARILY_UNAVAILABLE",
            SecondFactorError::Directory(_) => "service.FAILURE",
        }
    }
}

/// What a user needs to set a phone up.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The secret, base32: to type in.
    pub secret: String,
    /// The same as an `otpauth:` URI: to scan.
    pub uri: String,
}

/// Whether a code is asked for.
pub(crate) fn is_on(account: &Account) -> bool {
    account.attrs.get(ENABLED) == Some("TRUE")
}

/// Whether it must be set up before anything else.
pub(crate) fn must_set_up(account: &Account) -> bool {
    let says = |name: &str| account.effective(name) == Some("TRUE");
    says("zimbraFeatureTwoFactorAuthAvailable") && says("zimbraFeatureTwoFactorAuthRequired") && !is_on(account)
}

/// Whether programs may have passwords of their own.
pub(crate) fn allows_app_passwords(account: &Account) -> bool {
    account.effective("zimbraFeatureAppSpecificPasswordsEnabled") != Some("FALSE")
}

/// The changes that take everything about the second factor away.
fn removal() -> Vec<Modification> {
    let mut changes: Vec<Modification> =
        [SECRET, CODES, app::ATTRIBUTE].iter().map(|name| Modification::set(name, "")).collect();
    changes.push(Modification::set(ENABLED, "FALSE"));
    changes
}

/// `old` makes room for `new` (nothing: for none), unless somebody was faster.
fn replaced(name: &str, old: &str, new: Option<String>) -> Vec<Modification> {
    let one = |kind, value: String| Modification { name: name.into(), kind, values: vec![value] };
    let mut changes = vec![one(ModifyKind::Take, old.to_string())];
    changes.extend(new.map(|value| one(ModifyKind::Add, value)));
    changes
}

/// The stored form of a secret: the window used last before it.
fn sealed_secret(sealer: &Sealer, account: AccountId, window: u64, secret: &[u8]) -> Option<String> {
    sealer.seal(account, SECRET, &Zeroizing::new([&window.to_be_bytes()[..], secret].concat()))
}

fn opened_secret(sealer: &Sealer, account: &Account) -> Option<(u64, Zeroizing<Vec<u8>>)> {
    let plain = sealer.open(account.id, SECRET, account.attrs.get(SECRET)?)?;
    let (window, secret) = plain.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*window), Zeroizing::new(secret.to_vec())))
}

fn scratch_codes(account: &Account, config: &Attributes) -> Vec<String> {
    let number = |value: Option<&str>| value.and_then(|v| v.parse::<usize>().ok());
    let count = number(account.effective("zimbraTwoFactorAuthNumScratchCodes")).unwrap_or(10).clamp(1, CODES_MAX);
    let letters = number(config.get("zimbraTwoFactorScratchCodeLength")).unwrap_or(0);
    let letters = letters.clamp(*CODE_LETTERS.start(), *CODE_LETTERS.end());
    let draw = |_| BASE32_NOPAD.encode(&zcluster_runtime::random_bytes::<20>())[..letters].to_string();
    (0..count).map(draw).collect()
}

impl Authenticator {
    /// Whether `code` is one that the account's owner may use now; it is used up then.
    ///
    /// # Errors
    /// `TryLater` when the directory does not take it down.
    pub(crate) async fn use_code(&self, account: &Account, code: &str) -> Result<bool, AuthError> {
        let settings = self.settings().await.ok_or(AuthError::TryLater)?;
        let sealer = Sealer::new(settings.sealing);
        let Some((last, secret)) = opened_secret(&sealer, account) else {
            tracing::warn!(account = %account.name, "the second factor's secret cannot be read: set it up anew");
            return Ok(false);
        };
        let totp = TotpConfig::new(&settings.config);
        let changes = if let Some(window) = totp.window_of(&secret, code, zcluster_runtime::wall_ms(), last) {
            let old = account.attrs.get(SECRET).unwrap_or_default();
            let new = sealed_secret(&sealer, account.id, window, &secret).ok_or(AuthError::TryLater)?;
            replaced(SECRET, old, Some(new))
        } else if let Some(changes) = scratch_code_used(&sealer, account, code) {
            changes
        } else {
            return Ok(false);
        };
        match self.change(account.id, changes).await {
            Ok(()) => Ok(true),
            Err(Error::Conflict(_)) => Ok(false),
            Err(error) => {
                tracing::warn!(account = %account.name, %error, "cannot take down that a code was used");
                Err(AuthError::TryLater)
            }
        }
    }

    /// A secret for the account, to be given to [`Self::enable_second_factor`] with a code of it; nothing is stored.
    ///
    /// # Errors
    /// [`SecondFactorError`].
    pub async fn begin_second_factor(&self, account: &Account) -> Result<Enrolment, SecondFactorError> {
        may_enable(account)?;
        let settings = self.known_settings().await?;
        let totp = TotpConfig::new(&settings.config);
        let drawn: [u8; 80] = zcluster_runtime::random_bytes();
        let secret = &drawn[..totp.secret_bytes().clamp(*SECRET_BYTES.start(), *SECRET_BYTES.end())];
        let issuer = account.name.rsplit_once('@').map_or("", |(_, domain)| domain);
        Ok(Enrolment { secret: BASE32_NOPAD.encode(secret), uri: totp.uri(secret, &account.name, issuer) })
    }

    /// Switches the second factor on, once a code shows that the phone has the secret; gives the codes for paper. All
    /// auth tokens end.
    ///
    /// # Errors
    /// [`SecondFactorError`].
    pub async fn enable_second_factor(
        &self,
        account: &Account,
        secret: &str,
        code: &str,
    ) -> Result<Vec<String>, SecondFactorError> {
        may_enable(account)?;
        let settings = self.known_settings().await?;
        let no_secret = || SecondFactorError::Invalid("not a secret: 16 to 80 bytes in base32".into());
        let secret = BASE32_NOPAD_NOCASE.decode(secret.trim().as_bytes()).map_err(|_| no_secret())?;
        let secret = Zeroizing::new(secret);
        if !SECRET_BYTES.contains(&secret.len()) {
            return Err(no_secret());
        }
        let totp = TotpConfig::new(&settings.config);
        let window =
            totp.window_of(&secret, code, zcluster_runtime::wall_ms(), 0).ok_or(SecondFactorError::WrongCode)?;
        let sealer = Sealer::new(settings.sealing);
        let codes = scratch_codes(account, &settings.config);
        let fault = || Error::Internal("cannot seal".into());
        let mut changes = vec![
            Modification::set(SECRET, sealed_secret(&sealer, account.id, window, &secret).ok_or_else(fault)?),
            Modification::set(CODES, sealer.seal(account.id, CODES, codes.join(",").as_bytes()).ok_or_else(fault)?),
            Modification::set(ENABLED, "TRUE"),
        ];
        changes.push(crate::auth_token::raised_validity(account));
        self.change(account.id, changes).await?;
        Ok(codes)
    }

    /// Switches it off and forgets secret, paper codes and app passwords. `by_admin`: also where it is required.
    ///
    /// # Errors
    /// [`SecondFactorError`].
    pub async fn disable_second_factor(&self, account: &Account, by_admin: bool) -> Result<(), SecondFactorError> {
        if !is_on(account) {
            return Err(SecondFactorError::NotEnabled);
        }
        if !by_admin && account.effective("zimbraFeatureTwoFactorAuthRequired") == Some("TRUE") {
            return Err(SecondFactorError::CannotDisable);
        }
        Ok(self.change(account.id, removal()).await?)
    }

    /// New codes for paper; the old ones are void.
    ///
    /// # Errors
    /// [`SecondFactorError`].
    pub async fn new_scratch_codes(&self, account: &Account) -> Result<Vec<String>, SecondFactorError> {
        if !is_on(account) {
            return Err(SecondFactorError::NotEnabled);
        }
        let settings = self.known_settings().await?;
        let codes = scratch_codes(account, &settings.config);
        let sealed = Sealer::new(settings.sealing).seal(account.id, CODES, codes.join(",").as_bytes());
        let sealed = sealed.ok_or_else(|| Error::Internal("cannot seal".into()))?;
        self.change(account.id, vec![Modification::set(CODES, sealed)]).await?;
        Ok(codes)
    }

    /// Makes a password for one program and shows it, for the only time.
    ///
    /// # Errors
    /// [`SecondFactorError`].
    pub async fn new_app_password(&self, account: &Account, name: &str) -> Result<String, SecondFactorError> {
        let refuse = |text: &str| Err(SecondFactorError::Invalid(text.into()));
        if !allows_app_passwords(account) {
            return refuse("app passwords are not allowed (zimbraFeatureAppSpecificPasswordsEnabled)");
        }
        if !is_on(account) && !must_set_up(account) {
            return Err(SecondFactorError::NotEnabled);
        }
        if !app::is_name(name) {
            return refuse("a name has 1 to 128 bytes and no control characters");
        }
        let there = app_passwords(account);
        if there.iter().any(|app| app.name == name) {
            return refuse("there is an app password of that name");
        }
        if there.len() >= app::count_max(account) {
            return refuse("too many app passwords (zimbraMaxAppSpecificPasswords)");
        }
        let settings = self.known_settings().await?;
        let (password, stored) = app::make(account, &settings.config, name, zcluster_runtime::wall_ms());
        let add = Modification { name: app::ATTRIBUTE.into(), kind: ModifyKind::Add, values: vec![stored] };
        self.change(account.id, vec![add]).await?;
        Ok(password)
    }

    /// Makes a program's password void; connections that it has opened stay.
    ///
    /// # Errors
    /// `Invalid`: no such name.
    pub async fn revoke_app_password(&self, account: &Account, name: &str) -> Result<(), SecondFactorError> {
        let values = account.attrs.all(app::ATTRIBUTE).iter();
        let values: Vec<String> =
            values.filter(|v| app::parse(v).is_some_and(|(a, _)| a.name == name)).cloned().collect();
        if values.is_empty() {
            return Err(SecondFactorError::Invalid(format!("no app password {name:?}")));
        }
        let remove = Modification { name: app::ATTRIBUTE.into(), kind: ModifyKind::Remove, values };
        Ok(self.change(account.id, vec![remove]).await?)
    }

    pub(crate) async fn change(&self, id: AccountId, changes: Vec<Modification>) -> Result<(), Error> {
        let request = RequestId(zcluster_runtime::random_bytes());
        let command = DirectoryCommand::ModifyAccount { id, changes };
        self.directory().write(Actor::System, request, command).await.map(|_| ())
    }

    async fn known_settings(&self) -> Result<crate::authenticator::Settings, Error> {
        self.settings().await.ok_or_else(|| Error::Unavailable("no directory".into()))
    }
}

/// The account's app passwords, without the passwords.
pub fn app_passwords(account: &Account) -> Vec<AppPassword> {
    account.attrs.all(app::ATTRIBUTE).iter().filter_map(|v| app::parse(v)).map(|(app, _)| app).collect()
}

fn may_enable(account: &Account) -> Result<(), SecondFactorError> {
    if account.effective("zimbraFeatureTwoFactorAuthAvailable") != Some("TRUE") {
        return Err(SecondFactorError::CannotEnable("zimbraFeatureTwoFactorAuthAvailable is not TRUE"));
    }
    if is_on(account) { Err(SecondFactorError::CannotEnable("it is enabled already")) } else { Ok(()) }
}

/// The change that uses a paper code up, if it is one.
fn scratch_code_used(sealer: &Sealer, account: &Account, code: &str) -> Option<Vec<Modification>> {
    let stored = account.attrs.get(CODES)?;
    let plain = sealer.open(account.id, CODES, stored)?;
    let codes = std::str::from_utf8(&plain).ok()?.split(',');
    let typed: String =
        code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_ascii_uppercase();
    let is_it = |c: &str| verify_slices_are_equal(c.as_bytes(), typed.as_bytes()).is_ok();
    let (used, left): (Vec<&str>, Vec<&str>) = codes.partition(|c| is_it(c));
    if used.is_empty() || typed.len() < *CODE_LETTERS.start() {
        return None;
    }
    let rest = match left.is_empty() {
        true => None,
        false => Some(sealer.seal(account.id, CODES, left.join(",").as_bytes())?),
    };
    Some(replaced(CODES, stored, rest))
}
