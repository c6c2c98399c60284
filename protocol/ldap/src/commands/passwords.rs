//! Passwords that are set.

use crate::errors::{Code, Stop, refused};
use zcluster_auth::{HashParams, PASSWORD_BYTES_MAX, is_password_hash, password_values};
use zeroize::Zeroizing;

/// What is stored of the values of `userPassword` that a client sends: a hash stays what it is, anything else is
/// hashed.
///
/// # Errors
/// No password, one that is too long, or a hash of a kind that could never be verified.
pub async fn to_stored(values: &[Vec<u8>]) -> Result<Vec<String>, Stop> {
    let mut stored = Vec::new();
    for value in values {
        let Ok(text) = std::str::from_utf8(value) else {
            return refused(Code::InvalidAttributeSyntax, "a password must be UTF-8");
        };
        if is_password_hash(text) {
            stored.push(text.to_string());
            continue;
        }
        // RFC 2307 §5.3: a scheme in braces says that it is a hash. To hash it once more would lock its owner out.
        let scheme = text.strip_prefix('{').and_then(|t| t.split_once('}')).map(|(scheme, _)| scheme);
        if scheme.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-./_".contains(&b)))
        {
            return refused(Code::ConstraintViolation, "a password hash of a kind that cannot be verified");
        }
        stored.extend(hash(text).await?);
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
    let hashed = zcluster_runtime::spawn_blocking(move || password_values(HashParams::default(), &password)).await;
    match hashed {
        Ok(values) => Ok(values),
        Err(_) => refused(Code::Other, "hashing the password failed"),
    }
}
