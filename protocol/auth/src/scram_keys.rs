//! What is stored of a password for SCRAM-SHA-256, in the form of RFC 5803.

use crate::password::PASSWORD_BYTES_MAX;
use crate::prepare::prepared;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::num::NonZeroU32;

/// Bytes of SHA-256's output, and of every key here.
pub(crate) const KEY_BYTES: usize = 32;
/// Iterations a stored value may ask for: RFC 7677 §4 wants at least 4,096; many more are taken for an attack.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;
/// Bytes of a salt.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 1..=64;
/// RFC 5803 §2's name of the scheme.
const SCHEME: &str = "SCRAM-SHA-256";

/// StoredKey and ServerKey (RFC 5802 §3) with what they were made with. Whoever has them cannot sign in with them alone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ScramKeys {
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub stored: [u8; KEY_BYTES],
    pub server: [u8; KEY_BYTES],
}

impl ScramKeys {
    /// Costs what `iterations` says: not on an event loop.
    pub(crate) fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let (client, server) = Self::client_and_server(password, salt, iterations);
        ScramKeys { iterations, salt: salt.to_vec(), stored: hash(&client), server }
    }

    /// ClientKey and ServerKey (RFC 5802 §3).
    pub(crate) fn client_and_server(
        password: &str,
        salt: &[u8],
        iterations: u32,
    ) -> ([u8; KEY_BYTES], [u8; KEY_BYTES]) {
        let mut salted = [0; KEY_BYTES];
        let count = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, count, salt, prepared(password).as_bytes(), &mut salted);
        (mac(&salted, b"Client Key"), mac(&salted, b"Server Key"))
    }

    /// From a stored value.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        if let Some(dovecot) = value.strip_prefix("{SCRAM-SHA-256}") {
            let mut parts = dovecot.split(',');
            let mut next = || parts.next();
            let made = Self::from_parts(next()?, next()?, next()?, next()?);
            return if next().is_none() { made } else { None };
        }
        let mut parts = value.split('$');
        let (Some(scheme), Some(info), Some(keys), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let (iterations, salt) = info.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        Self::from_parts(iterations, salt, stored, server)
    }

    fn from_parts(iterations: &str, salt: &str, stored: &str, server: &str) -> Option<Self> {
        let iterations = iterations.parse().ok().filter(|n| ITERATIONS.contains(n))?;
        let salt = STANDARD.decode(salt).ok().filter(|s| SALT_BYTES.contains(&s.len()))?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        Some(ScramKeys { iterations, salt, stored: key(stored)?, server: key(server)? })
    }

    /// Whether they were made of this password. Costs what they say: not on an event loop.
    pub(crate) fn are_of(&self, password: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(password) else { return false };
        if text.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let made = ScramKeys::derive(text, &self.salt, self.iterations);
        verify_slices_are_equal(&made.stored, &self.stored).is_ok()
    }
}

/// RFC 5803 §2: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, in base64.
impl fmt::Display for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] = [&self.salt[..], &self.stored, &self.server].map(|b| STANDARD.encode(b));
        write!(f, "{SCHEME}${}:{salt}${stored}:{server}", self.iterations)
    }
}

/// SHA-256.
pub(crate) fn hash(data: &[u8]) -> [u8; KEY_BYTES] {
    array(digest::digest(&digest::SHA256, data).as_ref())
}

/// HMAC-SHA-256.
pub(crate) fn mac(key: &[u8], data: &[u8]) -> [u8; KEY_BYTES] {
    array(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref())
}

/// The algorithms here give just so many bytes.
fn array(bytes: &[u8]) -> [u8; KEY_BYTES] {
    let mut out = [0; KEY_BYTES];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_round_trip() {
        let keys = ScramKeys::derive("pencil", &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4_096);
        let text = keys.to_string();
        // The values of RFC 7677 §3's user as other implementations store them.
        assert_eq!(
            text,
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
             wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert!(ScramKeys::parse(&text) == Some(keys.clone()));
        assert!(keys.are_of(b"pencil") && !keys.are_of(b"Pencil") && !keys.are_of(b"\xff"));
    }

    #[test]
    fn nonsense_and_greedy_values_are_none() {
        let good = ScramKeys::derive("x", b"salt", 4_096).to_string();
        for bad in [
            String::new(),
            "SCRAM-SHA-256".into(),
            good.replace("SCRAM-SHA-256", "SCRAM-SHA-1"),
            good.replace("4096", "1"),
            good.replace("4096", "4294967295"),
            good.replace("c2FsdA==", ""),
            good.replace("c2FsdA==", "!"),
            format!("{good}$"),
            good[..good.len() - 4].into(),
        ] {
            assert!(ScramKeys::parse(&bad).is_none(), "{bad}");
        }
    }
}
