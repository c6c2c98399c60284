//! Zimbra's auth tokens: `KEYVERSION_HMAC_DATA`, the data in hexadecimal, the keys in the global config.
//!
//! A token says whose it is and until when. It ends earlier when it is no longer listed among the account's
//! `zimbraAuthTokens` (signing out), or when the account's `zimbraAuthTokenValidityValue` has moved on (a new password,
//! "sign out everywhere"): both are in the directory, so that they count on all nodes at once. The HMAC is SHA-256 where
//! Zimbra's oldest releases had SHA-1: tokens of a Zimbra that moved here are not taken over, its users sign in again.

use crate::scram_keys::mac;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use std::fmt::Write;
use zcluster_api::AccountId;
use zcluster_api::directory::{Account, Attributes, Modification, ModifyKind};

/// Bytes of a token.
pub const AUTH_TOKEN_BYTES_MAX: usize = 2_048;
/// Where keys are: `version:created:key`, milliseconds and hexadecimal.
pub(crate) const KEYS: &str = "zimbraAuthTokenKey";
/// Where an account's tokens are: `id|expires|version`.
pub(crate) const ISSUED: &str = "zimbraAuthTokens";
const VALIDITY: &str = "zimbraAuthTokenValidityValue";
/// Tokens of an account; the one that would end first makes room.
const ISSUED_MAX: usize = 100;
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Keys of the cluster: a rotation drops the oldest.
const KEYS_MAX: usize = 3;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthToken {
    /// Whose it is.
    pub account: AccountId,
    /// Unix milliseconds.
    pub expires_ms: u64,
    /// Whether it was given for administration.
    pub admin: bool,
    /// Its number among the account's.
    pub token_id: u32,
    /// The account's `zimbraAuthTokenValidityValue` then.
    pub validity: u64,
    /// The software that made it.
    pub version: String,
}

/// A key that signs tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenKey {
    version: u64,
    created_ms: u64,
    key: Vec<u8>,
}

impl TokenKey {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split(':');
        let (version, created_ms) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let key = HEXLOWER_PERMISSIVE.decode(parts.next()?.as_bytes()).ok().filter(|k| k.len() >= KEY_BYTES / 2)?;
        parts.next().is_none().then_some(TokenKey { version, created_ms, key })
    }
}

impl std::fmt::Display for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.version, self.created_ms, HEXLOWER.encode(&self.key))
    }
}

/// The cluster's keys, the one that signs last.
pub(crate) fn keys(config: &Attributes) -> Vec<TokenKey> {
    let mut keys: Vec<TokenKey> = config.all(KEYS).iter().filter_map(|v| TokenKey::parse(v)).collect();
    keys.sort();
    keys
}

/// The change to the global config that adds a key, and drops those that are too old to have signed a living token.
/// Tokens that older keys have signed stay good until then.
pub(crate) fn new_key(config: &Attributes, now_ms: u64) -> (TokenKey, Vec<Modification>) {
    let old = keys(config);
    let version = old.last().map_or(0, |k| k.version + 1);
    let key = TokenKey { version, created_ms: now_ms, key: zcluster_runtime::random_bytes::<KEY_BYTES>().to_vec() };
    let add = Modification { name: KEYS.into(), kind: ModifyKind::Add, values: vec![key.to_string()] };
    let kept = old.len().min(KEYS_MAX - 1);
    let gone: Vec<String> = old[..old.len() - kept].iter().map(ToString::to_string).collect();
    let mut changes = vec![add];
    if !gone.is_empty() {
        changes.push(Modification { name: KEYS.into(), kind: ModifyKind::Remove, values: gone });
    }
    (key, changes)
}

/// Whether a text names a key that is newer than those known.
pub(crate) fn may_have_newer_key(text: &str, keys: &[TokenKey]) -> bool {
    let version = text.split('_').next().and_then(|v| v.parse::<u64>().ok()).filter(|_| text.matches('_').count() == 2);
    version.is_some_and(|v| keys.last().is_none_or(|k| v > k.version))
}

impl AuthToken {
    /// The token's text.
    pub(crate) fn encode(&self, key: &TokenKey) -> String {
        let mut data = String::new();
        let mut put = |name: &str, value: &str| {
            let _ = write!(data, "{name}={}:{value};", value.len());
        };
        put("id", &self.account.to_string());
        put("exp", &self.expires_ms.to_string());
        if self.admin {
            put("admin", "1");
        }
        put("vv", &self.validity.to_string());
        put("type", "zimbra");
        put("tid", &self.token_id.to_string());
        put("version", &self.version);
        let data = HEXLOWER.encode(data.as_bytes());
        format!("{}_{}_{data}", key.version, HEXLOWER.encode(&mac(&key.key, data.as_bytes())))
    }

    /// What a text says, if one of `keys` has signed it. Whether it still counts is another question.
    pub(crate) fn decode(text: &str, keys: &[TokenKey]) -> Option<Self> {
        let mut parts = Some(text).filter(|t| t.len() <= AUTH_TOKEN_BYTES_MAX)?.split('_');
        let (version, hmac, data) = (parts.next()?.parse::<u64>().ok()?, parts.next()?, parts.next()?);
        let hmac = HEXLOWER.decode(hmac.as_bytes()).ok().filter(|_| parts.next().is_none())?;
        // Two nodes that made a key at the same time may have given it one number.
        let mut candidates = keys.iter().filter(|k| k.version == version);
        candidates.find(|k| verify_slices_are_equal(&mac(&k.key, data.as_bytes()), &hmac).is_ok())?;
        Self::parse(&HEXLOWER.decode(data.as_bytes()).ok()?)
    }

    /// `name=length:value;` each; what is not known is passed over.
    fn parse(data: &[u8]) -> Option<Self> {
        let mut rest = std::str::from_utf8(data).ok()?;
        let (mut id, mut expires, mut admin, mut kind, mut token_id, mut validity) = (None, None, false, "", 0, 0);
        let mut version = "";
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=')?;
            let (length, after) = after.split_once(':')?;
            let (value, after) = after.split_at_checked(length.parse().ok()?)?;
            rest = after.strip_prefix(';')?;
            match name {
                "id" => id = value.parse().ok(),
                "exp" => expires = value.parse().ok(),
                "admin" => admin = value == "1",
                "type" => kind = value,
                "tid" => token_id = value.parse().ok()?,
                "vv" => validity = value.parse().ok()?,
                "version" => version = value,
                _ => {}
            }
        }
        let version = version.to_string();
        let token = AuthToken { account: id?, expires_ms: expires?, admin, token_id, validity, version };
        (kind == "zimbra").then_some(token)
    }

    fn registration(&self) -> String {
        format!("{}|{}|{}", self.token_id, self.expires_ms, self.version)
    }

    /// Whether it still counts for its account.
    pub(crate) fn is_live(&self, account: &Account, config: &Attributes, now_ms: u64) -> bool {
        let says = |name: &str, default: &str| config.get(name).unwrap_or(default).to_string();
        let numbered = says("zimbraAuthTokenValidityValueEnabled", "TRUE") != "FALSE";
        // Below 2, Zimbra asks for no registration.
        let registered = says("zimbraLowestSupportedAuthVersion", "2").parse() != Ok(1_u32);
        now_ms < self.expires_ms
            && account.id == self.account
            && (!numbered || self.validity == validity(account))
            && (!registered || account.attrs.all(ISSUED).contains(&self.registration()))
            && (!self.admin || may_administer(account))
    }

    /// The change to the account that makes it count; those that have ended go.
    pub(crate) fn issued(&self, account: &Account, now_ms: u64) -> Vec<Modification> {
        let expires = |value: &String| value.split('|').nth(1).and_then(|v| v.parse().ok()).unwrap_or(0_u64);
        let mut live: Vec<&String> = account.attrs.all(ISSUED).iter().collect();
        live.sort_by_key(|value| expires(value));
        let ended =
            live.partition_point(|value| expires(value) <= now_ms).max((live.len() + 1).saturating_sub(ISSUED_MAX));
        let change = |kind, values| Modification { name: ISSUED.into(), kind, values };
        let mut changes = Vec::new();
        if ended > 0 {
            changes.push(change(ModifyKind::Remove, live[..ended].iter().map(|v| (*v).clone()).collect()));
        }
        changes.push(change(ModifyKind::Add, vec![self.registration()]));
        changes
    }

    /// The change to the account that ends it.
    pub(crate) fn revoked(&self) -> Modification {
        Modification { name: ISSUED.into(), kind: ModifyKind::Remove, values: vec![self.registration()] }
    }
}

/// Whether the account may have tokens for administration.
pub(crate) fn may_administer(account: &Account) -> bool {
    account.is_admin() || account.attrs.get("zimbraIsDelegatedAdminAccount") == Some("TRUE")
}

/// The account's `zimbraAuthTokenValidityValue`.
pub(crate) fn validity(account: &Account) -> u64 {
    account.attrs.get(VALIDITY).and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// The change that ends all tokens of an account.
pub(crate) fn raised_validity(account: &Account) -> Modification {
    // As far as the schema's integers go, then from the beginning.
    let next = validity(account) + 1;
    Modification::set(VALIDITY, if next > i32::MAX as u64 { 0 } else { next }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> AuthToken {
        AuthToken {
            account: AccountId([0xab; 16]),
            expires_ms: 1_767_225_600_000,
            admin: true,
            token_id: 7,
            validity: 3,
            version: "1.0".into(),
        }
    }

    fn a_key() -> TokenKey {
        TokenKey::parse(&format!("2:1767225600000:{}", "00ff".repeat(16))).unwrap()
    }

    #[test]
    fn is_written_as_zimbra_writes_it() {
        let text = token().encode(&a_key());
        let mut parts = text.split('_');
        let (version, hmac, data) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        assert_eq!(version, "2");
        let plain = String::from_utf8(HEXLOWER.decode(data.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            plain,
            "id=36:abababab-abab-abab-abab-abababababab;exp=13:1767225600000;admin=1:1;vv=1:3;type=6:zimbra;tid=1:7;\
             version=3:1.0;"
        );
        // printf %s DATA | openssl dgst -sha256 -mac HMAC -macopt hexkey:00ff...
        assert_eq!(hmac, OPENSSL);
        assert_eq!(AuthToken::decode(&text, &[a_key()]), Some(token()));
    }

    const OPENSSL: &str = "3d27b86b6976c3fe4d2f0663f13c0806387b93c16c6652dfd63cb56d453e9a17";

    #[test]
    fn keys_rotate_and_old_ones_count_for_a_while() {
        let mut config = Attributes::new();
        let mut texts = Vec::new();
        for n in 0..5 {
            let (key, changes) = new_key(&config, n);
            assert_eq!(key.version, n);
            for change in changes {
                let mut values = config.all(KEYS).to_vec();
                match change.kind {
                    ModifyKind::Add => values.extend(change.values),
                    _ => values.retain(|v| !change.values.contains(v)),
                }
                config.set(KEYS, values);
            }
            texts.push(token().encode(keys(&config).last().unwrap()));
        }
        assert_eq!(config.all(KEYS).len(), KEYS_MAX);
        let good: Vec<bool> = texts.iter().map(|t| AuthToken::decode(t, &keys(&config)).is_some()).collect();
        assert_eq!(good, [false, false, true, true, true]);
        for bad in ["", "x:1:00", "1:x:00", "1:1:zz", "1:1:00", &format!("1:1:{}:", "00".repeat(32))] {
            assert_eq!(TokenKey::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_token(text in "\\PC{0,200}", cut in 0_usize..200, letter in "[0-9a-f_]") {
            prop_assert_eq!(AuthToken::decode(&text, &[a_key()]), None);
            let _ = AuthToken::parse(text.as_bytes());
            let good = token().encode(&a_key());
            let at = cut % good.len();
            let mut changed = good.clone();
            changed.replace_range(at..=at, &letter);
            prop_assert_eq!(AuthToken::decode(&changed, &[a_key()]).is_some(), changed == good);
            prop_assert_eq!(AuthToken::decode(&good[..at], &[a_key()]), None);
        }
    }
}
