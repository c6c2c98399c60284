//! `[oauth]`: signing in with tokens.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Signing in with tokens (OAUTHBEARER, XOAUTH2); off without an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Oauth {
    /// Who makes the tokens: their `iss`.
    pub issuer: Option<String>,
    /// What must be among their `aud`.
    pub audience: Option<Vec<String>>,
    /// The claim that holds the account's address.
    pub username_claim: String,
    /// Scopes a token needs.
    pub scopes: Vec<String>,
    /// The issuer's keys, a JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// Where the issuer is asked about tokens (RFC 7662).
    pub introspection_url: Option<String>,
    /// As whom.
    pub client_id: Option<String>,
    /// With which secret.
    pub client_secret_file: Option<PathBuf>,
    /// The issuer's `openid-configuration`, told to clients.
    pub discovery_url: Option<String>,
}

impl Default for Oauth {
    fn default() -> Self {
        Oauth {
            issuer: None,
            audience: None,
            username_claim: "email".into(),
            scopes: Vec::new(),
            jwks_file: None,
            introspection_url: None,
            client_id: None,
            client_secret_file: None,
            discovery_url: None,
        }
    }
}

impl Oauth {
    pub(super) fn check(&self) -> Result<()> {
        if self.issuer.is_none() {
            return Ok(());
        }
        if self.audience.as_ref().is_none_or(Vec::is_empty) {
            bail!("oauth.audience must say whom tokens are for: without it those for other services would do");
        }
        if self.jwks_file.is_none() && self.introspection_url.is_none() {
            bail!("oauth: set jwks_file or introspection_url, by which tokens are checked");
        }
        if let Some(url) = &self.introspection_url
            && !url.starts_with("https://")
            && !url.starts_with("http://")
        {
            bail!("oauth.introspection_url is {url:?}: it must begin with https://");
        }
        if self.client_id.is_some() != self.client_secret_file.is_some() {
            bail!("oauth.client_id and oauth.client_secret_file belong together");
        }
        Ok(())
    }
}
