//! Signing in from a portal that has done so already: an HMAC with the domain's `zimbraPreAuthKey`.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// How far a portal's clock may be off.
pub(crate) const TOLERANCE_MS: u64 = 5 * 60 * 1_000;
/// Bytes of a new key, which is used as the text of its hexadecimal digits.
const KEY_BYTES: usize = 32;
/// Letters that a key must have: less is easily guessed.
const KEY_LETTERS_MIN: usize = 32;

/// What a portal signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreAuth {
    /// The account, named as `by` says.
    pub account: String,
    /// `name`, `id` or `foreignPrincipal`.
    pub by: String,
    /// When it was signed, Unix milliseconds.
    pub timestamp_ms: u64,
    /// When the session shall end, Unix milliseconds; 0: as every other.
    pub expires_ms: u64,
    /// For administration.
    pub admin: bool,
}

impl PreAuth {
    /// The signature, hexadecimal: HMAC-SHA1 over `account|by|expires|timestamp`, for administration with `1` behind the
    /// account.
    pub fn sign(&self, key: &str) -> String {
        HEXLOWER.encode(self.tag(key).as_ref())
    }

    fn tag(&self, key: &str) -> hmac::Tag {
        let PreAuth { account, by, timestamp_ms, expires_ms, admin } = self;
        let text = match admin {
            true => format!("{account}|1|{by}|{expires_ms}|{timestamp_ms}"),
            false => format!("{account}|{by}|{expires_ms}|{timestamp_ms}"),
        };
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes()), text.as_bytes())
    }

    /// Whether `signature` is right, and fresh.
    pub(crate) fn is_signed(&self, key: &str, signature: &str, now_ms: u64) -> bool {
        // A separator inside would let one text be signed as another.
        let plain = !self.account.contains('|') && !self.by.contains('|');
        let signature = HEXLOWER_PERMISSIVE.decode(signature.trim().as_bytes()).unwrap_or_default();
        let right = verify_slices_are_equal(self.tag(key).as_ref(), &signature).is_ok();
        plain && right && key.len() >= KEY_LETTERS_MIN && self.timestamp_ms.abs_diff(now_ms) <= TOLERANCE_MS
    }
}

/// A new value of `zimbraPreAuthKey`.
pub fn new_preauth_key() -> String {
    HEXLOWER.encode(&zcluster_runtime::random_bytes::<KEY_BYTES>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "6b7ead4bd425836e8cf0079cd6c1a05acc127acd07c8ee4b61023e19250e929c";

    #[test]
    fn openssl_signs_the_same() {
        // printf %s 'alice@example.com|name|0|1767225600000' | openssl dgst -sha1 -hmac KEY
        let mut it = PreAuth {
            account: "alice@example.com".into(),
            by: "name".into(),
            timestamp_ms: 1_767_225_600_000,
            expires_ms: 0,
            admin: false,
        };
        let signature = "f8fa84bef92cd69e14db3014607a1b130f6fec8d";
        assert_eq!(it.sign(KEY), signature);
        for (off, good) in [(0, true), (TOLERANCE_MS, true), (TOLERANCE_MS + 1, false)] {
            assert_eq!(it.is_signed(KEY, signature, it.timestamp_ms + off), good);
            assert_eq!(it.is_signed(KEY, &signature.to_uppercase(), it.timestamp_ms - off), good);
        }
        for bad in ["", "00", &signature[..38], "zz"] {
            assert!(!it.is_signed(KEY, bad, it.timestamp_ms), "{bad}");
        }
        assert!(!it.is_signed("short", &it.sign("short"), it.timestamp_ms));
        assert!(!it.is_signed(&new_preauth_key(), signature, it.timestamp_ms));
        it.admin = true;
        assert_eq!(it.sign(KEY), "4b27cbb710c93c4716a47bba6c6eda1fb197a32b");
        assert!(!it.is_signed(KEY, signature, it.timestamp_ms));
        let sly = PreAuth { account: "alice@example.com|1".into(), admin: false, ..it.clone() };
        assert_eq!(sly.sign(KEY), it.sign(KEY));
        assert!(!sly.is_signed(KEY, &sly.sign(KEY), it.timestamp_ms), "an account is not more than it says");
    }
}
