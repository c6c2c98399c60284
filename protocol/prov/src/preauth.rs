//! Zimbra's preauth: a site's own login page vouches for a user with a key that it shares with the domain.

use aws_lc_rs::hmac;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A fresh key, as `zimbraPreAuthKey` holds it.
pub(crate) fn fresh_key() -> String {
    hex(&zcluster_runtime::random_bytes::<KEY_BYTES>())
}

/// HMAC-SHA1 over the values, in the order of their names (`account`, `admin`, `by`, `expires`, `timestamp`), with the key
/// as it is written.
pub(crate) fn compute(key: &str, values: &[&str]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    hex(hmac::sign(&key, values.join("|").as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_documented_example() {
        let key = "6b7ead4bd425836e8cf0079cd6c1a05acc127acd07c8ee4b61023e19250e929c";
        let values = ["john.doe@domain.com", "name", "0", "1135280708088"];
        assert_eq!(super::compute(key, &values), "b248f6cfd027edd45c5369f8490125204772f844");
        assert_eq!(super::fresh_key().len(), 64);
    }
}
