//! Values that stand in the directory encrypted: TOTP secrets, scratch codes.
//!
//! AES-256-GCM under a key that is derived from the cluster CA's, which is in the directory too: what is protected is a
//! value that leaves it by itself (an LDIF dump, an LDAP search, a log), not a stolen copy of all of it. Account and
//! attribute are part of what is authenticated, so that a value cannot be moved to another place.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zcluster_api::AccountId;
use zeroize::Zeroizing;

/// What a sealed value begins with.
const PREFIX: &str = "{SEALED1}";
/// Bytes of a stored value.
const SEALED_BYTES_MAX: usize = 16 * 1_024;

/// Seals and opens.
pub(crate) struct Sealer([u8; 32]);

impl Sealer {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Sealer(key)
    }

    fn key(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0).ok().map(LessSafeKey::new)
    }

    /// The text to store.
    pub(crate) fn seal(&self, account: AccountId, attribute: &str, plain: &[u8]) -> Option<String> {
        let nonce: [u8; NONCE_LEN] = zcluster_runtime::random_bytes();
        let mut sealed = plain.to_vec();
        let place = Aad::from(place(account, attribute));
        self.key()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, &mut sealed).ok()?;
        Some(format!("{PREFIX}{}", STANDARD.encode([&nonce[..], &sealed].concat())))
    }

    /// What was sealed; nothing if it was not, not here, or not under this key.
    pub(crate) fn open(&self, account: AccountId, attribute: &str, stored: &str) -> Option<Zeroizing<Vec<u8>>> {
        let text = stored.strip_prefix(PREFIX).filter(|_| stored.len() <= SEALED_BYTES_MAX)?;
        let mut bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.key()?.open_in_place(nonce, Aad::from(place(account, attribute)), sealed).ok()?;
        Some(Zeroizing::new(plain.to_vec()))
    }
}

fn place(account: AccountId, attribute: &str) -> Vec<u8> {
    [&account.0[..], attribute.to_ascii_lowercase().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_where_it_was_sealed() {
        let (sealer, a, b) = (Sealer::new([7; 32]), AccountId([1; 16]), AccountId([2; 16]));
        let stored = sealer.seal(a, "zimbraTwoFactorAuthSecret", b"secret").unwrap();
        assert!(!stored.contains("secret"));
        assert_eq!(sealer.open(a, "ZIMBRAtwoFactorAuthSecret", &stored).unwrap().as_slice(), b"secret");
        assert_ne!(stored, sealer.seal(a, "zimbraTwoFactorAuthSecret", b"secret").unwrap());
        assert!(sealer.open(b, "zimbraTwoFactorAuthSecret", &stored).is_none());
        assert!(sealer.open(a, "zimbraTwoFactorAuthScratchCodes", &stored).is_none());
        assert!(Sealer::new([8; 32]).open(a, "zimbraTwoFactorAuthSecret", &stored).is_none());
        for bad in ["", "{SEALED1}", "{SEALED1}AAAA", "{SEALED1}!", "secret", &stored[..stored.len() - 4]] {
            assert!(sealer.open(a, "zimbraTwoFactorAuthSecret", bad).is_none(), "{bad}");
        }
    }
}
