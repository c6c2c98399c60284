//! The messages of OAUTHBEARER (RFC 7628) and XOAUTH2 (as Google documents it).

use super::SaslError;
use crate::token::{TokenError, TokenHints};
use serde_json::{Map, Value};

/// `kvsep`.
const SEPARATOR: char = '\u{1}';

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavor {
    /// RFC 7628.
    OauthBearer,
    /// Google's.
    Xoauth2,
}

/// What the client says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bearer<'a> {
    /// Whose mailbox it wants; `None`: the token's.
    pub user: Option<String>,
    /// Its token; empty when it only wants to know what a token must be like (RFC 7628 §4.3).
    pub token: &'a str,
}

/// Parses the client's message.
pub(super) fn parse(flavor: Flavor, message: &str) -> Result<Bearer<'_>, SaslError> {
    match flavor {
        Flavor::OauthBearer => oauth_bearer(message),
        Flavor::Xoauth2 => xoauth2(message),
    }
}

/// RFC 7628 §3.1: `gs2-header kvsep *kvpair kvsep`, each pair `key "=" value kvsep`.
fn oauth_bearer(message: &str) -> Result<Bearer<'_>, SaslError> {
    let bad = || SaslError::Malformed;
    let (header, pairs) = message.split_once(SEPARATOR).ok_or_else(bad)?;
    let mut parts = header.split(',');
    let (Some(flag), Some(authzid), Some(""), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(bad());
    };
    // There is no variant that binds (§3.1).
    if flag != "n" && flag != "y" {
        return Err(bad());
    }
    let user = match authzid {
        "" => None,
        _ => Some(unescaped(authzid.strip_prefix("a=").ok_or_else(bad)?)?),
    };
    // `host`, `port` and others only matter to kinds of tokens that sign requests.
    let pairs = pairs.strip_suffix(SEPARATOR).ok_or_else(bad)?;
    let mut auth = None;
    for pair in pairs.split_terminator(SEPARATOR) {
        let (key, value) = pair.split_once('=').ok_or_else(bad)?;
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(bad());
        }
        if key == "auth" && auth.replace(value).is_some() {
            return Err(bad());
        }
    }
    Ok(Bearer { user, token: token(auth.unwrap_or_default())? })
}

/// `user=` address `^Aauth=Bearer ` token `^A^A`.
fn xoauth2(message: &str) -> Result<Bearer<'_>, SaslError> {
    let bad = || SaslError::Malformed;
    let (user, auth) = message.strip_prefix("user=").and_then(|m| m.split_once(SEPARATOR)).ok_or_else(bad)?;
    let auth = auth.strip_prefix("auth=").and_then(|a| a.strip_suffix("\u{1}\u{1}")).ok_or_else(bad)?;
    let user = (!user.is_empty()).then(|| user.to_string());
    Ok(Bearer { user, token: token(auth)? })
}

/// RFC 6750 §2.1: `"Bearer" 1*SP b64token`.
fn token(auth: &str) -> Result<&str, SaslError> {
    if auth.is_empty() {
        return Ok("");
    }
    let (scheme, token) = auth.split_once(' ').ok_or(SaslError::Malformed)?;
    let token = token.trim_start_matches(' ');
    let core = token.trim_end_matches('=');
    let plain = core.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
    if !scheme.eq_ignore_ascii_case("bearer") || core.is_empty() || !plain {
        return Err(SaslError::Malformed);
    }
    Ok(token)
}

/// RFC 5801 §4: comma and equals sign are written `=2C` and `=3D`. Addresses often hold neither, and clients forget it.
fn unescaped(text: &str) -> Result<String, SaslError> {
    let name = text.replace("=2C", ",").replace("=3D", "=");
    if name.is_empty() { Err(SaslError::Malformed) } else { Ok(name) }
}

/// What a refused client is told: RFC 7628 §3.2.2, and Google's form with HTTP's status.
pub(super) fn refusal(flavor: Flavor, why: TokenError, hints: &TokenHints) -> String {
    let status = match (flavor, why) {
        (Flavor::OauthBearer, TokenError::Scope) => "insufficient_scope",
        (Flavor::OauthBearer, _) => "invalid_token",
        (Flavor::Xoauth2, TokenError::Scope) => "403",
        (Flavor::Xoauth2, _) => "401",
    };
    let mut json = Map::new();
    let mut put = |name: &str, value: &str| drop(json.insert(name.into(), Value::String(value.into())));
    put("status", status);
    if flavor == Flavor::Xoauth2 {
        put("schemes", "bearer");
    }
    if let Some(scope) = &hints.scope {
        put("scope", scope);
    }
    if let (Flavor::OauthBearer, Some(discovery)) = (flavor, &hints.discovery) {
        put("openid-configuration", discovery);
    }
    Value::Object(json).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_7628_examples() {
        // §4.1, §4.3.
        let message = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}\
                       auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}";
        let got = parse(Flavor::OauthBearer, message).unwrap();
        assert_eq!(got.user.as_deref(), Some("user@example.com"));
        assert_eq!(got.token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        let message = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}auth=\u{1}\u{1}";
        assert_eq!(parse(Flavor::OauthBearer, message).unwrap().token, "");
        assert_eq!(parse(Flavor::OauthBearer, "n,,\u{1}\u{1}").unwrap(), Bearer { user: None, token: "" });
        let hints = TokenHints {
            scope: Some("example_scope".into()),
            discovery: Some("https://example.com/.well-known/openid-configuration".into()),
        };
        assert_eq!(
            refusal(Flavor::OauthBearer, TokenError::Invalid, &hints),
            "{\"openid-configuration\":\"https://example.com/.well-known/openid-configuration\",\
             \"scope\":\"example_scope\",\"status\":\"invalid_token\"}"
        );
        assert_eq!(
            refusal(Flavor::Xoauth2, TokenError::Invalid, &hints),
            "{\"schemes\":\"bearer\",\"scope\":\"example_scope\",\"status\":\"401\"}"
        );
    }

    #[test]
    fn xoauth2_as_google_writes_it() {
        let message =
            "user=someuser@example.com\u{1}auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\u{1}\u{1}";
        let got = parse(Flavor::Xoauth2, message).unwrap();
        assert_eq!(got.user.as_deref(), Some("someuser@example.com"));
        assert_eq!(got.token, "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
    }

    #[test]
    fn malformed_messages() {
        for bad in [
            "",
            "n,,",
            "n,,\u{1}",
            "n,\u{1}\u{1}",
            "p=tls-exporter,,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,b=x,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}x",
            "n,,\u{1}auth=Basic x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Bearer x y\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}auth=Bearer y\u{1}\u{1}",
            "n,,\u{1}h0st=x\u{1}\u{1}",
            "n,,\u{1}nothing\u{1}\u{1}",
        ] {
            assert_eq!(parse(Flavor::OauthBearer, bad).err(), Some(SaslError::Malformed), "{bad:?}");
        }
        for bad in [
            "",
            "user=x",
            "user=x\u{1}auth=Bearer y\u{1}",
            "auth=Bearer y\u{1}\u{1}",
            "user=x\u{1}auth=Bearer ä\u{1}\u{1}",
        ] {
            assert_eq!(parse(Flavor::Xoauth2, bad).err(), Some(SaslError::Malformed), "{bad:?}");
        }
    }
}
