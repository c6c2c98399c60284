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
            if let Some(scheme) = zcluster_auth::scheme_not_supported(&value) {
                let text = format!("stored passwords of scheme {scheme} are not supported, or ask for too much work");
                return Err(refused(text));
            }
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

/// Whether the account may have this password, as its attributes (`zimbraPasswordMinLength` and so on) say.
///
/// # Errors
/// `account.INVALID_PASSWORD`, with the attribute that it violates.
pub(crate) fn check_strength(account: &Account, password: &str) -> Result<(), Failure> {
    zcluster_auth::check_password_strength(account, password).map_err(|v| Failure::new(v.code(), v.to_string()))
}

/// Everything that changes with an account's password: the history and the auth tokens, too.
pub(crate) async fn changes(account: Account, password: &str) -> Result<Vec<Modification>, Failure> {
    check_strength(&account, password)?;
    let password = password.to_string();
    let hash = move || zcluster_auth::password_changes(&account, &password, params(), zcluster_runtime::wall_ms());
    zcluster_runtime::spawn_blocking(hash).await.map_err(|e| Failure::new("service.FAILURE", e.to_string()))
}

impl Prov {
    /// What is stored of a password that a call gives, computed before or now.
    pub(crate) async fn hashed(&self, call: &crate::call::Call<'_>, password: &str) -> Result<Vec<String>, Failure> {
        match &call.hashed {
            Some(hashed) => hashed.clone(),
            None => values(password).await,
        }
    }
}
