//! PLAIN's message (RFC 4616).

use super::{SaslError, text};
use zeroize::Zeroizing;

/// What a client said it is.
pub struct Credentials {
    /// Whom it wants to act as; `None` or empty: itself.
    pub authzid: Option<String>,
    /// Who it is.
    pub user: String,
    /// Its password.
    pub password: Zeroizing<Vec<u8>>,
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
pub(super) fn decode(message: &[u8]) -> Result<Credentials, SaslError> {
    let mut parts = message.split(|b| *b == 0);
    let (Some(authzid), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslError::Malformed);
    };
    if user.is_empty() {
        return Err(SaslError::Malformed);
    }
    let authzid = if authzid.is_empty() { None } else { Some(text(authzid)?.to_string()) };
    Ok(Credentials { authzid, user: text(user)?.to_string(), password: Zeroizing::new(password.to_vec()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4616_examples_and_nonsense() {
        let c = decode(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((c.authzid, c.user.as_str(), c.password.as_slice()), (None, "tim", &b"tanstaaftanstaaf"[..]));
        let c = decode(b"Ursel\0Kurt\0xipj3plmq").unwrap();
        assert_eq!((c.authzid.as_deref(), c.user.as_str()), (Some("Ursel"), "Kurt"));
        for bad in [&b""[..], b"tim", b"a\0b", b"\0\0pw", b"a\0b\0c\0d", b"\0\xff\0pw", b"\xff\0a\0pw"] {
            assert!(matches!(decode(bad), Err(SaslError::Malformed)), "{bad:?}");
        }
    }
}
