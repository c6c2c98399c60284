//! Passwords: what is stored of them, and which are strong enough.

use crate::prov::Prov;
use zcluster_api::directory::{Account, Modification};
use zcluster_auth::PASSWORD_BYTES_MAX;
use zcluster_directory::Failure;

fn refused(text: impl Into<String>) -> Failure {
    Failure::new("account.INVALID_PASSWORD", text)
}

/// What is stored of a password. Hashing costs tens of milliseconds by design: not on the event loop.
pub(crate) async fn values(password: &str) -> Result<Vec<String>, Failure> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(refused(format!("invalid password: it must have 1 to {PASSWORD_BYTES_MAX} bytes")));
    }
    let password = password.to_string();
    let hash = move || zcluster_auth::password_values(params(), &password);
    zcluster_runtime::spawn_blocking(hash).await.map_err(|e| Failure::new("service.FAILURE", e.to_string()))
}

/// Tests make many accounts.
fn params() -> zcluster_auth::HashParams {
    if cfg!(test) { zcluster_auth::HashParams::cheap() } else { zcluster_auth::HashParams::default() }
}

/// The change that sets it.
pub(crate) fn change(values: Vec<String>) -> Modification {
    Modification { values, ..Modification::set("userPassword", "") }
}

/// Passwords given as an attribute: hashes are taken as they are.
pub(crate) async fn hash_all(changes: &mut [Modification]) -> Result<(), Failure> {
    for change in changes.iter_mut().filter(|m| m.name.eq_ignore_ascii_case("userPassword")) {
        let mut stored = Vec::new();
        for value in std::mem::take(&mut change.values) {
            if value.is_empty() || zcluster_auth::is_password_hash(&value) {
                stored.push(value);
            } else {
                stored.extend(values(&value).await?);
            }
        }
        change.values = stored;
    }
    Ok(())
}

/// Whether the account may have this password: `zimbraPasswordMinLength` and its like, of the account or its COS.
///
/// # Errors
/// `account.INVALID_PASSWORD`, with the attribute that it violates.
pub(crate) fn check_strength(account: &Account, password: &str) -> Result<(), Failure> {
    let limit = |name: &str| account.effective(name).and_then(|v| v.parse::<usize>().ok()).filter(|n| *n > 0);
    let count = |is: fn(char) -> bool| password.chars().filter(|c| is(*c)).count();
    let length = password.chars().count();
    if let Some(max) = limit("zimbraPasswordMaxLength").filter(|max| length > *max) {
        return Err(refused(format!("invalid password: too long (zimbraPasswordMaxLength={max})")));
    }
    let punctuation = |c: char| c.is_ascii_punctuation();
    let least: [(&str, usize, &str); 7] = [
        ("zimbraPasswordMinLength", length, "too short"),
        ("zimbraPasswordMinUpperCaseChars", count(char::is_uppercase), "not enough upper case characters"),
        ("zimbraPasswordMinLowerCaseChars", count(char::is_lowercase), "not enough lower case characters"),
        ("zimbraPasswordMinNumericChars", count(|c| c.is_ascii_digit()), "not enough numeric characters"),
        ("zimbraPasswordMinPunctuationChars", count(punctuation), "not enough punctuation characters"),
        ("zimbraPasswordMinAlphaChars", count(char::is_alphabetic), "not enough alpha characters"),
        (
            "zimbraPasswordMinDigitsOrPuncs",
            count(|c| c.is_ascii_digit() || c.is_ascii_punctuation()),
            "not enough numeric or punctuation characters",
        ),
    ];
    match least.iter().find_map(|(name, has, text)| limit(name).filter(|min| has < min).map(|min| (name, min, text))) {
        Some((name, min, text)) => Err(refused(format!("invalid password: {text} ({name}={min})"))),
        None => Ok(()),
    }
}

impl Prov {
    /// What is stored of a password that a call gives, computed before or now.
    pub(crate) async fn hashed(
        &self,
        call: &crate::call::Call<'_>,
        password: &str,
    ) -> Result<Vec<String>, Failure> {
        match &call.hashed {
            Some(hashed) => hashed.clone(),
            None => values(password).await,
        }
    }
}
