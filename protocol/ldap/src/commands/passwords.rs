//! Passwords that are set. In the clear they must be as the account's attributes want them (`zimbraPasswordMinLength` and
//! so on); what is stored of them is computed here, and what changes with them goes along.

use crate::back_end::Directory;
use crate::errors::{Code, Stop, refused};
use zcluster_api::Actor;
use zcluster_api::directory::{Account, Modification, ModifyKind, Object, ObjectKind};
use zcluster_auth::{
    HashParams, PASSWORD_BYTES_MAX, Violation, check_new_password, check_password_strength, first_password_changes,
    is_password_hash, password_values, stored_password_changes,
};
use zcluster_directory::{Failure, PasswordRules};
use zeroize::Zeroizing;

/// A value of `userPassword` that a client sends.
pub enum Given {
    /// A hash stays what it is.
    Hash(String),
    /// A password.
    Clear(Zeroizing<String>),
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads the values of `userPassword` that a client sends.
///
/// # Errors
/// No text, or a hash of a kind that could never be verified.
pub fn read(values: &[Vec<u8>]) -> Result<Vec<Given>, Stop> {
    let mut out = Vec::new();
    for value in values {
        let Ok(text) = std::str::from_utf8(value) else {
            return refused(Code::InvalidAttributeSyntax, "a password must be UTF-8");
        };
        if is_password_hash(text) {
            out.push(Given::Hash(text.to_string()));
            continue;
        }
        // RFC 2307 §5.3: a scheme in braces says that it is a hash. To hash it once more would lock its owner out.
        let scheme = text.strip_prefix('{').and_then(|t| t.split_once('}')).map(|(scheme, _)| scheme);
        if scheme.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-./_".contains(&b)))
        {
            return refused(Code::ConstraintViolation, "a password hash of a kind that cannot be verified");
        }
        out.push(Given::Clear(Zeroizing::new(text.to_string())));
    }
    Ok(out)
}

/// A password that can be no hash: where the protocol says that it is one (RFC 3062).
///
/// # Errors
/// No text.
pub fn clear_text(value: &[u8]) -> Result<Given, Stop> {
    match std::str::from_utf8(value) {
        Ok(text) => Ok(Given::Clear(Zeroizing::new(text.to_string()))),
        Err(_) => refused(Code::ConstraintViolation, "a password must be UTF-8"),
    }
}

fn clear(given: &[Given]) -> impl Iterator<Item = &Zeroizing<String>> {
    given.iter().filter_map(|g| match g {
        Given::Clear(password) => Some(password),
        Given::Hash(_) => None,
    })
}

/// What is stored of these values.
///
/// # Errors
/// No password, or one that is too long.
pub async fn stored(given: Vec<Given>) -> Result<Vec<String>, Stop> {
    let mut stored = Vec::new();
    for given in given {
        match given {
            Given::Hash(hash) => stored.push(hash),
            Given::Clear(password) => stored.extend(hash(&password).await?),
        }
    }
    Ok(stored)
}

/// The values to store for a new password.
///
/// # Errors
/// No password, or one that is too long.
pub async fn hash(password: &str) -> Result<Vec<String>, Stop> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return refused(Code::ConstraintViolation, format!("a password has 1 to {PASSWORD_BYTES_MAX} bytes"));
    }
    let password = Zeroizing::new(password.to_string());
    apart(move || password_values(HashParams::default(), &password)).await
}

/// Work that costs what a hash costs: not on the event loop.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stop> {
    match zcluster_runtime::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(_) => refused(Code::Other, "hashing the password failed"),
    }
}

async fn check(account: &Account, rules: PasswordRules, password: &Zeroizing<String>) -> Result<(), Stop> {
    let checked = match rules {
        PasswordRules::Strength => check_password_strength(account, password),
        PasswordRules::All => {
            let (account, password) = (account.clone(), password.clone());
            apart(move || check_new_password(&account, &password, zcluster_runtime::wall_ms())).await?
        }
    };
    checked.map_err(|v| violation(&v))
}

/// A password that will not do.
pub fn violation(violation: &Violation) -> Stop {
    Failure::new(violation.code(), violation.to_string()).into()
}

/// A new account's passwords, put among its attributes; gives what goes with them, which nobody may set by itself.
///
/// # Errors
/// It may not be made; a password will not do.
pub async fn first(
    directory: &dyn Directory,
    actor: Actor,
    (kind, name): (ObjectKind, &str),
    attrs: &mut Vec<Modification>,
    given: Vec<Given>,
) -> Result<Vec<Modification>, Stop> {
    let mut with = Vec::new();
    if clear(&given).next().is_some() {
        let account = directory.for_first_password(actor, kind, name, attrs).await?;
        for password in clear(&given) {
            check(&account, PasswordRules::Strength, password).await?;
        }
        with = first_password_changes(zcluster_runtime::wall_ms());
    }
    if !given.is_empty() {
        attrs.push(replace(stored(given).await?));
    }
    Ok(with)
}

/// The same of an account that is there.
///
/// # Errors
/// Whoever asks may not set it; a password will not do.
pub async fn new(
    directory: &dyn Directory,
    actor: Actor,
    object: &Object,
    changes: &mut Vec<Modification>,
    given: Vec<Given>,
) -> Result<Vec<Modification>, Stop> {
    let mut with = Vec::new();
    if !given.is_empty() {
        let (account, rules) = directory.for_password(actor, object, changes).await?;
        for given in &given {
            match given {
                Given::Clear(password) => check(&account, rules, password).await?,
                Given::Hash(_) if rules == PasswordRules::All => {
                    return refused(Code::InsufficientAccessRights, "a hash cannot be held against the password rules");
                }
                Given::Hash(_) => {}
            }
        }
        with = stored_password_changes(&account, Vec::new(), zcluster_runtime::wall_ms());
        with.retain(|m| m.name != "userPassword" && !changes.iter().any(|c| c.name.eq_ignore_ascii_case(&m.name)));
    }
    changes.push(replace(stored(given).await?));
    Ok(with)
}

fn replace(values: Vec<String>) -> Modification {
    Modification { name: "userPassword".into(), kind: ModifyKind::Replace, values }
}
