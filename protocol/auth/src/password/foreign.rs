//! Hashes that other servers made: verified, and replaced by ours at the next sign-in.
//!
//! Each may cost no more than a stated bound, whatever it asks for: what stands in a directory may have come from anyone
//! who may import into it.

use super::md5_crypt;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, pbkdf2};
use base64::Engine;
use base64::alphabet::STANDARD as LETTERS;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;
use md5::{Digest, Md5};
use sha_crypt::{PasswordVerifier, ShaCrypt};
use std::num::NonZeroU32;
use std::str::FromStr;
use yescrypt::Yescrypt;

/// Rounds of SHA-crypt (its own default is 5,000): about as long as 32 passes of the most that argon2 may ask for.
const SHA_CRYPT_ROUNDS_MAX: u32 = 500_000;
/// Cost of bcrypt: 2^14 rounds, about a second.
const BCRYPT_COST_MAX: u32 = 14;
/// Iterations of PBKDF2; OWASP's recommendation for SHA-1 is 1,300,000.
const PBKDF2_ITERATIONS_MAX: u32 = 2_000_000;
/// Memory of yescrypt, bytes.
const YESCRYPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of a salt or a derived key.
const SALT_BYTES_MAX: usize = 256;
/// Bytes of a stored value.
const STORED_BYTES_MAX: usize = 1_024;

/// Standard letters; with or without padding, as servers differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &LETTERS,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A hash that is not ours, parsed and found to be within bounds.
pub(super) enum Foreign<'a> {
    /// Digest of password and salt; the salt may be empty.
    Digest { how: Plain, expected: Vec<u8>, salt: Vec<u8> },
    /// `$1$` and `$apr1$`: magic, salt, what is behind it.
    Md5Crypt { magic: &'static str, salt: &'a str, expected: &'a str },
    /// `$5$`, `$6$`.
    ShaCrypt(&'a str),
    /// `$2a$`, `$2b$`, `$2y$`.
    Bcrypt(&'a str),
    /// `$y$`.
    Yescrypt(&'a str),
    /// PBKDF2.
    Pbkdf2 { algorithm: pbkdf2::Algorithm, iterations: NonZeroU32, salt: Vec<u8>, expected: Vec<u8> },
}

/// A plain digest.
#[derive(Clone, Copy)]
pub(super) enum Plain {
    Md5,
    Sha(&'static digest::Algorithm),
}

impl Plain {
    fn bytes(self) -> usize {
        match self {
            Plain::Md5 => 16,
            Plain::Sha(algorithm) => algorithm.output_len(),
        }
    }
}

/// `{SCHEME}rest`, the scheme in upper case.
pub(super) fn scheme(stored: &str) -> Option<(String, &str)> {
    let (scheme, rest) = stored.strip_prefix('{')?.split_once('}')?;
    let plain = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    plain.then(|| (scheme.to_ascii_uppercase(), rest))
}

/// What `{ARGON2}` and the schemes that only repeat what `crypt`'s own prefix says stand before.
pub(super) fn inner(stored: &str) -> &str {
    match scheme(stored) {
        Some((name, rest)) if rest.starts_with('$') && name != "PBKDF2" => match name.as_str() {
            "CRYPT" | "MD5" | "MD5-CRYPT" | "SHA256-CRYPT" | "SHA512-CRYPT" | "BLF-CRYPT" | "BCRYPT" | "ARGON2"
            | "ARGON2I" | "ARGON2ID" => rest,
            _ => stored,
        },
        _ => stored,
    }
}

impl<'a> Foreign<'a> {
    pub(super) fn parse(stored: &'a str) -> Option<Self> {
        if stored.len() > STORED_BYTES_MAX {
            return None;
        }
        let stored = inner(stored);
        if let Some(rest) = stored.strip_prefix('$') {
            return Self::modular(stored, rest);
        }
        let (name, rest) = scheme(stored)?;
        if let Some(variant) = name.strip_prefix("PBKDF2") {
            return ldap_pbkdf2(variant, rest);
        }
        let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        let (salted, how) = match name.as_str() {
            "SSHA" | "SSHA1" => (true, Plain::Sha(sha1)),
            "SSHA256" => (true, Plain::Sha(&digest::SHA256)),
            "SSHA384" => (true, Plain::Sha(&digest::SHA384)),
            "SSHA512" => (true, Plain::Sha(&digest::SHA512)),
            "SMD5" => (true, Plain::Md5),
            "SHA" | "SHA1" => (false, Plain::Sha(sha1)),
            "SHA256" => (false, Plain::Sha(&digest::SHA256)),
            "SHA384" => (false, Plain::Sha(&digest::SHA384)),
            "SHA512" => (false, Plain::Sha(&digest::SHA512)),
            "MD5" | "LDAP-MD5" => (false, Plain::Md5),
            "PLAIN-MD5" => return hexadecimal(rest),
            "PKCS5S2" => return atlassian(rest),
            _ => return None,
        };
        let mut expected = BASE64.decode(rest).ok()?;
        let salt = expected.split_off(how.bytes().min(expected.len()));
        let fits = expected.len() == how.bytes() && salt.is_empty() != salted && salt.len() <= SALT_BYTES_MAX;
        fits.then_some(Foreign::Digest { how, expected, salt })
    }

    /// `$name$...`, as `crypt` and passlib write it.
    fn modular(stored: &'a str, rest: &'a str) -> Option<Self> {
        let (name, rest) = rest.split_once('$')?;
        match name {
            "1" => Self::md5_crypt("$1$", rest),
            "apr1" => Self::md5_crypt("$apr1$", rest),
            "5" | "6" => sha_crypt_is_bounded(name, rest).then_some(Foreign::ShaCrypt(stored)),
            "2a" | "2b" | "2y" => bcrypt_is_bounded(rest).then_some(Foreign::Bcrypt(stored)),
            "y" => yescrypt_is_bounded(rest).then_some(Foreign::Yescrypt(stored)),
            "pbkdf2" => passlib_pbkdf2(pbkdf2::PBKDF2_HMAC_SHA1, rest),
            "pbkdf2-sha256" => passlib_pbkdf2(pbkdf2::PBKDF2_HMAC_SHA256, rest),
            "pbkdf2-sha512" => passlib_pbkdf2(pbkdf2::PBKDF2_HMAC_SHA512, rest),
            _ => None,
        }
    }

    fn md5_crypt(magic: &'static str, rest: &'a str) -> Option<Self> {
        let (salt, expected) = rest.split_once('$')?;
        (salt.is_ascii() && expected.len() == 22).then_some(Foreign::Md5Crypt { magic, salt, expected })
    }

    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Foreign::Digest { how, expected, salt } => same(&plain(*how, password, salt), expected),
            Foreign::Md5Crypt { magic, salt, expected } => {
                same(md5_crypt::digest(password, magic, salt).as_bytes(), expected.as_bytes())
            }
            Foreign::ShaCrypt(stored) => ShaCrypt::default().verify_password(password, *stored).is_ok(),
            // As every other bcrypt, it takes the first 72 bytes.
            Foreign::Bcrypt(stored) => bcrypt::verify(password, stored).unwrap_or(false),
            Foreign::Yescrypt(stored) => Yescrypt::default().verify_password(password, *stored).is_ok(),
            Foreign::Pbkdf2 { algorithm, iterations, salt, expected } => {
                pbkdf2::verify(*algorithm, *iterations, salt, password, expected).is_ok()
            }
        }
    }
}

fn same(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

fn plain(how: Plain, password: &[u8], salt: &[u8]) -> Vec<u8> {
    match how {
        Plain::Md5 => Md5::new().chain_update(password).chain_update(salt).finalize().to_vec(),
        Plain::Sha(algorithm) => {
            let mut context = digest::Context::new(algorithm);
            context.update(password);
            context.update(salt);
            context.finish().as_ref().to_vec()
        }
    }
}

/// Dovecot's `{PLAIN-MD5}`.
fn hexadecimal<'a>(rest: &str) -> Option<Foreign<'a>> {
    let expected = HEXLOWER_PERMISSIVE.decode(rest.as_bytes()).ok()?;
    (expected.len() == Plain::Md5.bytes()).then_some(Foreign::Digest { how: Plain::Md5, expected, salt: Vec::new() })
}

fn sha_crypt_is_bounded(name: &str, rest: &str) -> bool {
    let (rounds, rest) = match rest.strip_prefix("rounds=").map(|r| r.split_once('$')) {
        Some(Some((rounds, rest))) => (rounds.parse().unwrap_or(u32::MAX), rest),
        Some(None) => return false,
        None => (0, rest),
    };
    let length = if name == "5" { 43 } else { 86 };
    rounds <= SHA_CRYPT_ROUNDS_MAX && rest.split_once('$').is_some_and(|(_, digest)| digest.len() == length)
}

fn bcrypt_is_bounded(rest: &str) -> bool {
    rest.split_once('$').is_some_and(|(cost, digest)| {
        cost.parse::<u32>().is_ok_and(|c| (4..=BCRYPT_COST_MAX).contains(&c)) && digest.len() == 53
    })
}

/// Three characters name flavour, N and r; more would be parameters that `crypt` does not write by itself.
fn yescrypt_is_bounded(rest: &str) -> bool {
    let Some((parameters, rest)) = rest.split_once('$') else { return false };
    let parsed = yescrypt::Params::from_str(parameters).ok().filter(|_| parameters.len() == 3);
    let bounded = parsed.is_some_and(|p| {
        p.p() == 1 && p.n().checked_mul(u64::from(p.r()) * 128).is_some_and(|bytes| bytes <= YESCRYPT_BYTES_MAX)
    });
    bounded && rest.split_once('$').is_some_and(|(_, digest)| digest.len() == 43)
}

fn derived<'a>(
    algorithm: pbkdf2::Algorithm,
    iterations: &str,
    salt: Vec<u8>,
    expected: Vec<u8>,
) -> Option<Foreign<'a>> {
    let iterations = NonZeroU32::new(iterations.parse().ok()?).filter(|n| n.get() <= PBKDF2_ITERATIONS_MAX)?;
    let bounded = (1..=SALT_BYTES_MAX).contains(&salt.len()) && (16..=64).contains(&expected.len());
    bounded.then_some(Foreign::Pbkdf2 { algorithm, iterations, salt, expected })
}

/// passlib's and OpenLDAP's: `iterations$salt$key`, base64 with `.` for `+` and without padding.
fn passlib_pbkdf2<'a>(algorithm: pbkdf2::Algorithm, rest: &str) -> Option<Foreign<'a>> {
    let mut parts = rest.split('$');
    let (Some(iterations), Some(salt), Some(key), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let decode = |text: &str| BASE64.decode(text.replace('.', "+")).ok();
    derived(algorithm, iterations, decode(salt)?, decode(key)?)
}

/// `{PBKDF2}`, `{PBKDF2-SHA256}`, ...; Dovecot writes the first as `$1$salt$iterations$hex`.
fn ldap_pbkdf2<'a>(variant: &str, rest: &str) -> Option<Foreign<'a>> {
    let algorithm = match variant {
        "" | "-SHA1" => pbkdf2::PBKDF2_HMAC_SHA1,
        "-SHA256" => pbkdf2::PBKDF2_HMAC_SHA256,
        "-SHA384" => pbkdf2::PBKDF2_HMAC_SHA384,
        "-SHA512" => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return None,
    };
    let Some(dovecot) = rest.strip_prefix("$1$").filter(|_| variant.is_empty()) else {
        return passlib_pbkdf2(algorithm, rest);
    };
    let mut parts = dovecot.split('$');
    let (Some(salt), Some(iterations), Some(key), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    derived(algorithm, iterations, salt.as_bytes().to_vec(), HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok()?)
}

/// Atlassian's `{PKCS5S2}`: base64 of a salt of 16 bytes and a key of 32, 10,000 iterations.
fn atlassian<'a>(rest: &str) -> Option<Foreign<'a>> {
    let mut salt = BASE64.decode(rest).ok().filter(|bytes| bytes.len() == 48)?;
    let key = salt.split_off(16);
    derived(pbkdf2::PBKDF2_HMAC_SHA1, "10000", salt, key)
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
