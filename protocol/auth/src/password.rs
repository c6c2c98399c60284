//! Stored password hashes: argon2id as we write it, SCRAM's keys beside it, and what other servers wrote.

mod foreign;
mod md5_crypt;

use self::foreign::Foreign;
use crate::prepare::{differently_prepared, prepared};
use crate::scram_keys::ScramKeys;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Bytes of a password; longer ones are wrong.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Memory a stored hash may ask for, KiB; more is taken for an attack on the node.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Passes over that memory a stored hash may ask for.
const PASSES_MAX: u32 = 32;
/// Lanes a stored hash may ask for.
const LANES_MAX: u32 = 16;

/// What stored passwords cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashParams {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Iterations of SCRAM's keys, which clients have to go through as well; some refuse more than 65,536.
    pub scram_iterations: u32,
}

impl Default for HashParams {
    /// OWASP's recommendation (RFC 9106 §4 allows more where memory is plentiful): 19 MiB, two passes.
    fn default() -> Self {
        HashParams { memory_kib: 19 * 1024, passes: 2, scram_iterations: 32_768 }
    }
}

impl HashParams {
    /// As cheap as the algorithms allow: for tests only.
    pub fn cheap() -> Self {
        HashParams { memory_kib: 8, passes: 1, scram_iterations: 4_096 }
    }

    fn argon2(self) -> Argon2<'static> {
        let params = Params::new(self.memory_kib, self.passes, 1, None).unwrap_or_default();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }
}

/// All that is to be stored of a password, as values of `userPassword`: a hash, and the keys that SCRAM needs. Takes
/// tens of milliseconds: not on an event loop.
pub fn password_values(params: HashParams, password: &str) -> Vec<String> {
    let salt: [u8; 16] = zcluster_runtime::random_bytes();
    let keys = ScramKeys::derive(password, &salt, params.scram_iterations);
    vec![hash_password_with(params, password), keys.to_string()]
}

/// A hash to store, with the default cost; without SCRAM's keys. Takes tens of milliseconds: not on an event loop.
pub fn hash_password(password: &str) -> String {
    hash_password_with(HashParams::default(), password)
}

/// A hash to store, with the given cost, as a PHC string.
pub fn hash_password_with(params: HashParams, password: &str) -> String {
    let salt: [u8; 16] = zcluster_runtime::random_bytes();
    // A 16-byte salt and parameters checked by `Params::new` leave nothing to go wrong; an empty string verifies
    // nothing, should it happen all the same.
    params
        .argon2()
        .hash_password_with_salt(prepared(password).as_bytes(), &salt)
        .map(|h| h.to_string())
        .unwrap_or_default()
}

/// Whether a value of `userPassword` is a hash that [`verify_password`] understands (rather than a plain password).
pub fn is_password_hash(stored: &str) -> bool {
    bounded_argon2(stored).is_some() || Foreign::parse(stored).is_some() || ScramKeys::parse(stored).is_some()
}

/// The scheme of a value that is written like a hash but is none that [`verify_password`] understands: for importers, who
/// must not take it for a password.
pub fn scheme_not_supported(stored: &str) -> Option<String> {
    if is_password_hash(stored) {
        return None;
    }
    if let Some((scheme, _)) = foreign::scheme(stored) {
        return Some(scheme);
    }
    let (name, rest) = stored.strip_prefix('$')?.split_once('$')?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (plain && !rest.is_empty()).then(|| name.to_string())
}

/// Whether a stored hash should make room for one of ours: it is of another kind, or weaker than `params` ask for.
pub(crate) fn is_outdated(stored: &str, params: HashParams) -> bool {
    if ScramKeys::parse(stored).is_some() {
        return false;
    }
    let ours = stored.starts_with("$argon2id$").then(|| bounded_argon2(stored)).flatten();
    let strength = ours.and_then(|hash| Params::try_from(&hash).ok());
    strength.is_none_or(|p| p.m_cost() < params.memory_kib || p.t_cost() < params.passes)
}

/// Whether `password` is what `stored` was made of. Costs what `stored` says: not on an event loop.
pub fn verify_password(stored: &str, password: &[u8]) -> bool {
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    if let Some(keys) = ScramKeys::parse(stored) {
        return keys.are_of(password);
    }
    // As it came first: hashes from elsewhere were made of passwords that nobody prepared.
    is_hash_of(stored, password)
        || differently_prepared(password).is_some_and(|other| is_hash_of(stored, other.as_bytes()))
}

fn is_hash_of(stored: &str, password: &[u8]) -> bool {
    if let Some(hash) = bounded_argon2(stored) {
        return Argon2::default().verify_password(password, &hash).is_ok();
    }
    Foreign::parse(stored).is_some_and(|hash| hash.is_of(password))
}

fn bounded_argon2(stored: &str) -> Option<PasswordHash> {
    let stored = foreign::inner(stored);
    if !stored.starts_with("$argon2") {
        return None;
    }
    let hash = PasswordHash::new(stored).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let bounded = params.m_cost() <= MEMORY_KIB_MAX && params.t_cost() <= PASSES_MAX && params.p_cost() <= LANES_MAX;
    (bounded && hash.hash.is_some()).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn argon2_round_trip() {
        let stored = hash_password_with(HashParams::cheap(), "näive pässword");
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert!(verify_password(&stored, "näive pässword".as_bytes()));
        assert!(!verify_password(&stored, b"other"));
        assert!(!verify_password(&stored, b""));
        assert_ne!(stored, hash_password_with(HashParams::cheap(), "näive pässword"), "salted");
        assert!(hash_password("x").starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }

    #[test]
    fn salted_sha_as_openldap_writes_it() {
        // printf 'secretsalt' | openssl dgst -sha1 -binary, then the salt, then base64.
        let make = |scheme: &str, algorithm| {
            let mut bytes = digest::digest(algorithm, b"secretsalt").as_ref().to_vec();
            bytes.extend_from_slice(b"salt");
            format!("{{{scheme}}}{}", STANDARD.encode(bytes))
        };
        for (scheme, algorithm) in
            [("SSHA", &digest::SHA1_FOR_LEGACY_USE_ONLY), ("ssha256", &digest::SHA256), ("SSHA512", &digest::SHA512)]
        {
            let stored = make(scheme, algorithm);
            assert!(is_password_hash(&stored));
            assert!(verify_password(&stored, b"secret"), "{stored}");
            assert!(!verify_password(&stored, b"Secret"));
        }
        assert!(verify_password("{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0", b"secret"));
    }

    #[test]
    fn what_is_stored_of_a_password() {
        let values = password_values(HashParams::cheap(), "n\u{e4}ive");
        assert_eq!(values.len(), 2);
        for value in &values {
            assert!(is_password_hash(value), "{value}");
            assert!(verify_password(value, "n\u{e4}ive".as_bytes()));
            assert!(verify_password(value, "na\u{308}ive".as_bytes()), "decomposed");
            assert!(!verify_password(value, b"naive") && !verify_password(value, b""));
        }
    }

    #[test]
    fn nonsense_and_greedy_hashes_verify_nothing() {
        let greedy = "$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for stored in ["", "secret", "{SSHA}", "{SSHA}!!!!", "{SSHA}AAAA", "{CRYPT}x", "$argon2id$", "$1$x$y", greedy] {
            assert!(!is_password_hash(stored), "{stored}");
            assert!(!verify_password(stored, b"secret"), "{stored}");
            assert!(!verify_password(stored, stored.as_bytes()), "{stored}");
        }
        let stored = hash_password_with(HashParams::cheap(), &"x".repeat(2000));
        assert!(!verify_password(&stored, "x".repeat(2000).as_bytes()), "too long");
    }
}
