//! Tokens that are JSON Web Tokens (RFC 7519), signed with the issuer's keys (RFC 7517).

use crate::token::{TokenError, TokenHints, TokenUser, TokenVerifier};
use futures::future::{BoxFuture, FutureExt};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};
use std::str::FromStr;
use std::sync::RwLock;

/// Keys of one set.
const KEYS_MAX: usize = 64;

/// What tokens must say.
#[derive(Clone, Debug, Default)]
pub struct JwtConfig {
    /// `iss`, exactly.
    pub issuer: String,
    /// One of these must be in `aud`. Empty: every audience is welcome, which is for issuers that write none.
    pub audience: Vec<String>,
    /// The claim that holds an address of the account.
    pub username_claim: String,
    /// Scopes all of which must be granted.
    pub scopes: Vec<String>,
    /// The issuer's `openid-configuration` document, for clients that are refused.
    pub discovery: Option<String>,
    /// Seconds that the issuer's clock and ours may differ.
    pub leeway_seconds: i64,
}

impl JwtConfig {
    /// What a refused client is told.
    pub fn hints(&self) -> TokenHints {
        let scope = (!self.scopes.is_empty()).then(|| self.scopes.join(" "));
        TokenHints { scope, discovery: self.discovery.clone() }
    }

    /// Whom claims (of a token, or of an introspection's answer) belong to, if they hold now.
    ///
    /// # Errors
    /// `Invalid` or `Scope`.
    pub fn judge(&self, claims: &Map<String, Value>, now_ms: u64) -> Result<TokenUser, TokenError> {
        let now = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
        // RFC 7519 §4.1.4, §4.1.5; NumericDate may have a fraction.
        let date = |name: &str| claims.get(name).map(|v| v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)));
        match date("exp") {
            Some(Some(until)) if now < until.saturating_add(self.leeway_seconds) => {}
            _ => return Err(TokenError::Invalid),
        }
        match date("nbf") {
            None => {}
            Some(Some(from)) if now >= from.saturating_sub(self.leeway_seconds) => {}
            Some(_) => return Err(TokenError::Invalid),
        }
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(TokenError::Invalid);
        }
        let audience = words(claims.get("aud"), false);
        if !self.audience.is_empty() && !self.audience.iter().any(|a| audience.contains(&a.as_str())) {
            return Err(TokenError::Invalid);
        }
        // An address that nobody has proved to be his could be anybody's.
        if self.username_claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
            return Err(TokenError::Invalid);
        }
        // RFC 8693 §4.2 `scope` is one text; `scp` is what some issuers write.
        let mut granted = words(claims.get("scope"), true);
        granted.extend(words(claims.get("scp"), true));
        if !self.scopes.iter().all(|s| granted.contains(&s.as_str())) {
            return Err(TokenError::Scope);
        }
        let user = claims.get(&self.username_claim).and_then(Value::as_str).filter(|u| !u.is_empty());
        user.map(|u| TokenUser { user: u.to_string() }).ok_or(TokenError::Invalid)
    }
}

/// A claim that is a text or an array of texts.
fn words(claim: Option<&Value>, split: bool) -> Vec<&str> {
    let texts: Vec<&str> = match claim {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if split { texts.into_iter().flat_map(str::split_whitespace).collect() } else { texts }
}

/// Checks tokens by themselves.
pub struct JwtVerifier {
    config: JwtConfig,
    hints: TokenHints,
    keys: RwLock<Vec<Key>>,
}

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl JwtVerifier {
    /// Without keys no token is good.
    pub fn new(config: JwtConfig) -> Self {
        let hints = config.hints();
        JwtVerifier { config, hints, keys: RwLock::default() }
    }

    /// Takes the keys of a JSON Web Key Set; says how many are of use. Symmetric keys and those for encryption are not.
    ///
    /// # Errors
    /// When it is no key set or holds no usable key; the keys so far stay.
    pub fn set_keys(&self, jwks: &str) -> Result<usize, String> {
        // One at a time: a kind of key that we do not know must not make the others useless.
        let set: Value = serde_json::from_str(jwks).map_err(|e| e.to_string())?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or("there is no \"keys\" array")?;
        let keys: Vec<Key> = listed.iter().take(KEYS_MAX).filter_map(usable).collect();
        if keys.is_empty() {
            return Err("there is no usable key".into());
        }
        let count = keys.len();
        match self.keys.write() {
            Ok(mut current) => *current = keys,
            Err(poisoned) => *poisoned.into_inner() = keys,
        }
        Ok(count)
    }

    /// Whom a token belongs to at `now_ms`.
    ///
    /// # Errors
    /// `Invalid` or `Scope`.
    pub fn check(&self, token: &str, now_ms: u64) -> Result<TokenUser, TokenError> {
        let claims = self.signed_claims(token)?;
        self.config.judge(&claims, now_ms)
    }

    fn signed_claims(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Invalid)?;
        // RFC 7515 §4.1.11: extensions that must be understood, and are not.
        if header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        let keys = self.keys.read().map_err(|_| TokenError::Unavailable)?;
        // RFC 7515 §4.1.4: a key id chooses; without one, every key that fits the algorithm may be it.
        let fits = |k: &&Key| {
            k.algorithms.contains(&header.alg) && (header.kid.is_none() || k.id.is_none() || k.id == header.kid)
        };
        let mut validation = Validation::new(header.alg);
        // Claims are looked at by `judge`, against the clock of this project.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        keys.iter()
            .filter(fits)
            .find_map(|k| decode::<Map<String, Value>>(token, &k.key, &validation).ok())
            .map(|data| data.claims)
            .ok_or(TokenError::Invalid)
    }
}

fn usable(value: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let possible: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(p) if p.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(p) if p.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        // A secret that is shared with us could also be used to make tokens.
        _ => return None,
    };
    let algorithms = match jwk.common.key_algorithm {
        Some(said) => {
            let said = algorithm(said)?;
            possible.iter().copied().filter(|a| *a == said).collect()
        }
        None => possible.to_vec(),
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key { id: jwk.common.key_id, algorithms, key })
}

fn algorithm(name: KeyAlgorithm) -> Option<Algorithm> {
    Algorithm::from_str(&name.to_string()).ok()
}

impl TokenVerifier for JwtVerifier {
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<TokenUser, TokenError>> {
        let result = self.check(token, zcluster_runtime::wall_ms());
        futures::future::ready(result).boxed()
    }

    fn hints(&self) -> &TokenHints {
        &self.hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    const NOW_MS: u64 = 1_800_000_000_000;
    const NOW: u64 = NOW_MS / 1_000;

    fn config() -> JwtConfig {
        JwtConfig {
            issuer: "https://id.example.com".into(),
            audience: vec!["mail".into()],
            username_claim: "email".into(),
            scopes: vec!["imap".into()],
            discovery: None,
            leeway_seconds: 60,
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id.example.com", "aud": ["other", "mail"], "exp": NOW + 300, "nbf": NOW - 5,
            "scope": "openid imap", "email": "alice@example.com",
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut all = claims();
        all[name] = value;
        all
    }

    struct Issuer {
        key: EncodingKey,
        header: Header,
    }

    impl Issuer {
        fn ed25519(id: &str) -> (Issuer, Value) {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
            let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
            let x = URL_SAFE_NO_PAD.encode(pair.public_key());
            let mut header = Header::new(Algorithm::EdDSA);
            header.kid = Some(id.into());
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig", "alg": "EdDSA"});
            (Issuer { key: EncodingKey::from_ed_der(pkcs8.as_ref()), header }, jwk)
        }

        fn token(&self, claims: &Value) -> String {
            encode(&self.header, claims, &self.key).unwrap()
        }
    }

    #[test]
    fn claims_must_hold() {
        let (issuer, jwk) = Issuer::ed25519("k1");
        let verifier = JwtVerifier::new(config());
        assert_eq!(verifier.check(&issuer.token(&claims()), NOW_MS), Err(TokenError::Invalid), "no keys yet");
        assert_eq!(verifier.set_keys(&json!({"keys": [jwk]}).to_string()), Ok(1));
        let check = |claims: &Value| verifier.check(&issuer.token(claims), NOW_MS);
        let alice = Ok(TokenUser { user: "alice@example.com".into() });
        for good in [
            claims(),
            with("aud", json!("mail")),
            with("exp", json!(NOW - 59)),
            with("exp", json!(NOW as f64 + 0.5)),
            with("extra", json!({"a": [1]})),
            with("scope", json!(["imap"])),
            with("email_verified", json!(true)),
        ] {
            assert_eq!(check(&good), alice, "{good}");
        }
        for bad in [
            with("iss", json!("https://elsewhere.example.com")),
            with("aud", json!("other")),
            with("aud", Value::Null),
            with("exp", json!(NOW - 61)),
            with("exp", json!("soon")),
            with("exp", Value::Null),
            with("nbf", json!(NOW + 61)),
            with("email", json!("")),
            with("email", json!(["alice@example.com"])),
            with("email_verified", json!(false)),
        ] {
            assert_eq!(check(&bad), Err(TokenError::Invalid), "{bad}");
        }
        assert_eq!(check(&with("scope", json!("openid imaps"))), Err(TokenError::Scope));
    }

    #[test]
    fn signatures_must_be_the_issuers() {
        let (one, jwk_one) = Issuer::ed25519("k1");
        let (two, jwk_two) = Issuer::ed25519("k2");
        let verifier = JwtVerifier::new(config());
        let unknown = json!({"kty": "new", "kid": "k9"});
        let secret = json!({"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "k3", "alg": "HS256"});
        let encryption = json!({"kty": "OKP", "crv": "Ed25519", "x": jwk_two["x"], "kid": "k2", "use": "enc"});
        let set = json!({"keys": [unknown, secret, encryption, jwk_one]}).to_string();
        assert_eq!(verifier.set_keys(&set), Ok(1));
        let good = one.token(&claims());
        assert!(verifier.check(&good, NOW_MS).is_ok());
        assert!(verifier.check(&two.token(&claims()), NOW_MS).is_err());
        // A symmetric key of the set, and the public key taken for one.
        let shared = EncodingKey::from_secret(b"secretsecretsecretsecret");
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("k3".into());
        assert!(verifier.check(&encode(&header, &claims(), &shared).unwrap(), NOW_MS).is_err());
        let public = URL_SAFE_NO_PAD.decode(jwk_one["x"].as_str().unwrap()).unwrap();
        header.kid = Some("k1".into());
        let confused = encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
        assert!(verifier.check(&confused, NOW_MS).is_err());
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let unsigned = format!("{}.{}.", part("{\"alg\":\"none\"}"), part(&claims().to_string()));
        for bad in ["", "a", "a.b", "a.b.c", "..", &unsigned, &good[..good.len() - 2], &format!("{good}x")] {
            assert!(verifier.check(bad, NOW_MS).is_err(), "{bad}");
        }
        // A rotated set replaces the old; nonsense does not.
        assert_eq!(verifier.set_keys(&json!({"keys": [jwk_two]}).to_string()), Ok(1));
        for bad in ["", "{}", "{\"keys\":[]}", "[]"] {
            assert!(verifier.set_keys(bad).is_err(), "{bad}");
        }
        assert!(verifier.check(&good, NOW_MS).is_err());
        assert!(verifier.check(&two.token(&claims()), NOW_MS).is_ok());
    }

    #[test]
    fn rsa_and_ecdsa() {
        let verifier = JwtVerifier::new(config());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|b| URL_SAFE_NO_PAD.encode(b));
        let ec = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
        let rsa_pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = rsa_pair.public_key();
        let [n, e] =
            [public.modulus(), public.exponent()].map(|b| URL_SAFE_NO_PAD.encode(b.big_endian_without_leading_zero()));
        let rsa = json!({"kty": "RSA", "n": n, "e": e, "alg": "RS256"});
        verifier.set_keys(&json!({"keys": [ec, rsa]}).to_string()).unwrap();
        let ec_key = EncodingKey::from_ec_der(pkcs8.as_ref());
        let token = encode(&Header::new(Algorithm::ES256), &claims(), &ec_key).unwrap();
        assert!(verifier.check(&token, NOW_MS).is_ok());
        let signed = |algorithm: &str, encoding: &'static dyn aws_lc_rs::signature::RsaEncoding| {
            let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
            let message = format!("{}.{}", part(json!({"alg": algorithm})), part(claims()));
            let mut signature = vec![0; rsa_pair.public_modulus_len()];
            rsa_pair.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        assert!(verifier.check(&signed("RS256", &aws_lc_rs::signature::RSA_PKCS1_SHA256), NOW_MS).is_ok());
        let unwanted = signed("PS256", &aws_lc_rs::signature::RSA_PSS_SHA256);
        assert!(verifier.check(&unwanted, NOW_MS).is_err(), "the key says RS256");
    }
}
