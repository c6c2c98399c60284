//! Who checks bearer tokens: the issuer's keys from a file, the issuer itself (RFC 7662), or both, each for its kind.

use crate::config::Oauth;
use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use zcluster_auth::{JwtConfig, JwtVerifier, TokenError, TokenHints, TokenUser, TokenVerifier};
use zcluster_runtime::{Instant, spawn_blocking, wall_ms};

/// How often it is looked whether the key file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Bytes of a key file.
const KEYS_BYTES_MAX: u64 = 1024 * 1024;
/// How long the issuer may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of its answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Questions to it at a time.
const ASK_AT_ONCE: usize = 32;
/// How long an answer that says nothing about it holds, seconds.
const ANSWER_HOLDS: u64 = 60;
/// How far the issuer's clock may be off.
const LEEWAY_SECONDS: i64 = 60;

/// What the settings ask for; nothing without an issuer.
///
/// # Errors
/// A key file or secret that cannot be read or used.
pub fn verifier(settings: &Oauth) -> Result<Option<Arc<dyn TokenVerifier>>> {
    let Some(issuer) = settings.issuer.clone() else { return Ok(None) };
    let config = JwtConfig {
        issuer,
        audience: settings.audience.clone().unwrap_or_default(),
        username_claim: settings.username_claim.clone(),
        scopes: settings.scopes.clone(),
        discovery: settings.discovery_url.clone(),
        leeway_seconds: LEEWAY_SECONDS,
    };
    let keys = settings.jwks_file.as_deref().map(|path| Keys::new(path, config.clone())).transpose()?;
    let issuer =
        settings.introspection_url.clone().map(|url| Issuer::new(url, settings, config.clone())).transpose()?;
    Ok(Some(Arc::new(Verifier { hints: config.hints(), keys, issuer })))
}

struct Verifier {
    hints: TokenHints,
    keys: Option<Keys>,
    issuer: Option<Issuer>,
}

impl TokenVerifier for Verifier {
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<TokenUser, TokenError>> {
        async move {
            // RFC 7519 §3: a signed token has three parts. Others say nothing by themselves.
            let signed = token.split('.').count() == 3;
            match (&self.keys, &self.issuer) {
                (Some(keys), issuer) if signed || issuer.is_none() => keys.verify(token).await,
                (_, Some(issuer)) => issuer.verify(token).await,
                _ => Err(TokenError::Unavailable),
            }
        }
        .boxed()
    }

    fn hints(&self) -> &TokenHints {
        &self.hints
    }
}

/// The issuer's keys, in a file that changes when they are rotated.
struct Keys {
    path: PathBuf,
    verifier: JwtVerifier,
    /// When it was last looked at, and what it held.
    seen: Mutex<(Instant, String)>,
}

impl Keys {
    fn new(path: &Path, config: JwtConfig) -> Result<Keys> {
        let verifier = JwtVerifier::new(config);
        let text = read(path).with_context(|| format!("cannot read oauth.jwks_file {}", path.display()))?;
        let usable = verifier.set_keys(&text).map_err(anyhow::Error::msg);
        usable.with_context(|| format!("oauth.jwks_file {} is of no use", path.display()))?;
        Ok(Keys { path: path.to_path_buf(), verifier, seen: Mutex::new((Instant::now(), text)) })
    }

    async fn verify(&self, token: &str) -> Result<TokenUser, TokenError> {
        self.look().await;
        self.verifier.check(token, wall_ms())
    }

    /// Takes new keys over. One sign-in looks; others meanwhile use what is there.
    async fn look(&self) {
        let Ok(mut seen) = self.seen.try_lock() else { return };
        if seen.0.elapsed() < LOOK_EVERY {
            return;
        }
        seen.0 = Instant::now();
        let (path, shown) = (self.path.clone(), self.path.display());
        let text = match spawn_blocking(move || read(&path)).await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return tracing::warn!(file = %shown, %error, "cannot read the token keys; the old stay"),
            Err(_) => return,
        };
        if text == seen.1 {
            return;
        }
        match self.verifier.set_keys(&text) {
            Ok(keys) => tracing::info!(file = %shown, keys, "token keys read again"),
            Err(error) => tracing::error!(file = %shown, error, "token keys are of no use; the old stay"),
        }
        seen.1 = text;
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(KEYS_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The issuer, asked about each token (RFC 7662).
struct Issuer {
    url: String,
    credentials: Option<(String, String)>,
    client: reqwest::Client,
    config: JwtConfig,
    places: Semaphore,
}

impl Issuer {
    fn new(url: String, settings: &Oauth, config: JwtConfig) -> Result<Issuer> {
        let credentials = match (&settings.client_id, &settings.client_secret_file) {
            (Some(id), Some(path)) => {
                let secret = read(path).with_context(|| format!("cannot read {}", path.display()))?;
                Some((id.clone(), secret.trim().to_string()))
            }
            _ => None,
        };
        let client = reqwest::Client::builder().timeout(ASK_TIMEOUT).build().context("a client for the issuer")?;
        Ok(Issuer { url, credentials, client, config, places: Semaphore::new(ASK_AT_ONCE) })
    }

    async fn verify(&self, token: &str) -> Result<TokenUser, TokenError> {
        let asked = zcluster_runtime::timeout(ASK_TIMEOUT, async {
            let _place = self.places.acquire().await?;
            self.ask(token).await
        });
        let answer = match asked.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(url = %self.url, error = %format!("{error:#}"), "cannot ask about a token");
                return Err(TokenError::Unavailable);
            }
            Err(_) => {
                tracing::warn!(url = %self.url, "no answer about a token in time");
                return Err(TokenError::Unavailable);
            }
        };
        judge(answer, &self.config, wall_ms())
    }

    /// RFC 7662 §2.1.
    async fn ask(&self, token: &str) -> Result<Map<String, Value>> {
        let body = format!("token={}&token_type_hint=access_token", utf8_percent_encode(token, NON_ALPHANUMERIC));
        let mut request = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(body);
        if let Some((id, secret)) = &self.credentials {
            request = request.basic_auth(id, Some(secret));
        }
        let mut response = request.send().await?.error_for_status()?;
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await? {
            answer.extend_from_slice(&piece);
            anyhow::ensure!(answer.len() <= ANSWER_BYTES_MAX, "the answer is too long");
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// RFC 7662 §2.2: what an answer leaves out has been looked at by the issuer, to whom we are known.
fn judge(mut answer: Map<String, Value>, config: &JwtConfig, now_ms: u64) -> Result<TokenUser, TokenError> {
    if answer.get("active") != Some(&Value::Bool(true)) {
        return Err(TokenError::Invalid);
    }
    let mut assume = |name: &str, value: Value| {
        answer.entry(name).or_insert(value);
    };
    assume("exp", (now_ms / 1_000 + ANSWER_HOLDS).into());
    assume("iss", config.issuer.clone().into());
    assume("aud", config.audience.clone().into());
    config.judge(&answer, now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_of_an_issuer() {
        let config = JwtConfig {
            issuer: "https://id.example.com".into(),
            audience: vec!["mail".into()],
            username_claim: "username".into(),
            ..JwtConfig::default()
        };
        let of = |answer: Value| judge(answer.as_object().cloned().unwrap(), &config, 1_000_000);
        let alice = Ok(TokenUser { user: "alice@example.com".into() });
        assert_eq!(of(json!({"active": true, "username": "alice@example.com"})), alice);
        assert_eq!(of(json!({"active": true, "username": "alice@example.com", "aud": "mail", "exp": 1_001})), alice);
        for bad in [
            json!({"active": false}),
            json!({"username": "alice@example.com"}),
            json!({"active": "true", "username": "alice@example.com"}),
            json!({"active": true}),
            json!({"active": true, "username": "alice@example.com", "exp": 100}),
            json!({"active": true, "username": "alice@example.com", "aud": "other"}),
            json!({"active": true, "username": "alice@example.com", "iss": "https://elsewhere.example.com"}),
        ] {
            assert_eq!(of(bad.clone()), Err(TokenError::Invalid), "{bad}");
        }
    }

    #[test]
    fn key_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwks.json");
        let settings = Oauth { issuer: Some("x".into()), jwks_file: Some(path.clone()), ..Oauth::default() };
        assert!(verifier(&Oauth::default()).unwrap().is_none());
        assert!(verifier(&settings).is_err(), "no file");
        std::fs::write(&path, "{\"keys\":[]}").unwrap();
        assert!(verifier(&settings).is_err(), "no key");
        let key = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
        std::fs::write(&path, format!("{{\"keys\":[{key}]}}")).unwrap();
        assert!(verifier(&settings).unwrap().is_some());
    }
}
