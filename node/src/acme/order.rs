//! One order: the account at the authority, the challenge, the certificate.

use super::http::Client;
use super::settings::{Challenge, Settings};
use super::vault::{Answer, Issued, Vault};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// How long the authority may take to try a challenge, and to sign.
const PATIENCE: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(500)).backoff(1.5).timeout(Duration::from_secs(60));
/// What the authority says when it has had enough (RFC 8555 §6.7).
const RATE_LIMITED: &str = "urn:ietf:params:acme:error:rateLimited";
/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 1_000;

/// Why there is no certificate.
#[derive(Debug)]
pub struct Failed {
    /// In words.
    pub text: String,
    /// The authority wants no more orders for now.
    pub limited: bool,
}

impl Failed {
    /// It took too long.
    pub fn late() -> Self {
        Failed { text: "the authority took too long".into(), limited: false }
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        let mut text = format!("{error:#}");
        let limited = error.chain().any(|cause| {
            matches!(cause.downcast_ref::<Error>(), Some(Error::Api(p)) if p.r#type.as_deref() == Some(RATE_LIMITED))
        });
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        Failed { text, limited }
    }
}

/// The cluster's account at the authority; it is made when there is none.
///
/// # Errors
/// The authority's, the directory's.
pub async fn account(settings: &Settings, vault: &Vault) -> Result<Account> {
    let authority = &settings.authority;
    let client = || Client::new(authority, settings.server_certificate.as_deref());
    if let Some(credentials) = vault.account::<AccountCredentials>(authority).await? {
        return Account::builder_with_http(Box::new(client()?))
            .from_credentials(credentials)
            .await
            .with_context(|| format!("asking {authority}"));
    }
    let external = match &settings.external {
        Some((id, key)) => {
            let key = BASE64_URL_SAFE_NO_PAD.decode(key.trim_end_matches('='));
            Some(ExternalAccountKey::new(id.clone(), &key.context("zclusterAcmeExternalAccount: the key")?))
        }
        None => None,
    };
    let contact: Vec<&str> = settings.contacts.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_http(Box::new(client()?));
    let made = builder.create(&new, authority.clone(), external.as_ref()).await;
    let (account, credentials) = made.with_context(|| format!("an account at {authority}"))?;
    if !vault.add_account(authority, &credentials).await? {
        bail!("another node has just made an account");
    }
    tracing::info!(authority, "account made");
    Ok(account)
}

/// Gets a certificate for a name.
///
/// # Errors
/// Whatever is in the way.
pub async fn order(account: &Account, challenge: Challenge, name: &str, vault: &Vault) -> Result<Issued, Failed> {
    Ok(try_order(account, challenge, name, vault).await?)
}

async fn try_order(account: &Account, challenge: Challenge, name: &str, vault: &Vault) -> Result<Issued> {
    let identifiers = [Identifier::Dns(name.to_string())];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await.context("a new order")?;
    let kind = match challenge {
        Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
        Challenge::Http => ChallengeType::Http01,
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.context("an authorization")?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => continue,
            other => bail!("the authorization is {other:?}"),
        }
        let Some(mut handle) = authorization.challenge(kind.clone()) else {
            bail!("the authority does not offer the challenge {kind:?}");
        };
        let key_authorization = handle.key_authorization();
        let answer = Answer {
            token: handle.token.clone(),
            key_authorization: key_authorization.as_str().to_string(),
            digest: key_authorization.digest().as_ref().to_vec(),
        };
        // Once this is written, whichever node is asked finds it.
        vault.set_answer(name, &answer).await?;
        handle.set_ready().await.context("the challenge")?;
    }
    match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => bail!("the authority could not prove the name: {}", why(&mut order).await),
        Err(error) => {
            let why = why(&mut order).await;
            return Err(error).with_context(|| format!("the authority could not prove the name: {why}"));
        }
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_string()])?;
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await.context("the signing request")?;
    let chain_pem = order.poll_certificate(&PATIENCE).await.context("the certificate")?;
    let (not_before_ms, not_after_ms) = validity(&chain_pem)?;
    Ok(Issued { chain_pem, key_pem: key.serialize_pem(), not_before_ms, not_after_ms })
}

/// What the authority says of challenges that failed.
async fn why(order: &mut instant_acme::Order) -> String {
    let mut authorizations = order.authorizations();
    let mut out = Vec::new();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await {
            out.extend(state.challenges.iter().filter_map(|c| c.error.as_ref()).map(ToString::to_string));
        }
    }
    if out.is_empty() { "it does not say why".into() } else { out.join("; ") }
}

/// From when to when a certificate counts, Unix milliseconds.
fn validity(chain_pem: &str) -> Result<(u64, u64)> {
    let der = crate::pki::der(chain_pem)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|e| anyhow::anyhow!("the certificate: {e}"))?;
    let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
    let validity = certificate.validity();
    Ok((ms(validity.not_before.timestamp()), ms(validity.not_after.timestamp())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_the_leafs() {
        let mut params = CertificateParams::new(vec!["a.example".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        let (from, to) = validity(&pem).unwrap();
        assert_eq!((from, to - from), (1_767_225_600_000, 90 * 86_400_000));
        assert!(validity("nonsense").is_err());
    }
}
