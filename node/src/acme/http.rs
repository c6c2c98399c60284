//! The authority, reached over HTTPS.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use std::pin::Pin;
use std::time::Duration;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one answer at most; a certificate chain has some thousand.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Asks the authority.
pub struct Client(reqwest::Client);

impl Client {
    /// One that trusts the system's certificates, and `extra` (PEM).
    ///
    /// # Errors
    /// A certificate that is none; an address that is not `https`.
    pub fn new(authority: &str, extra: Option<&str>) -> Result<Self> {
        if !authority.starts_with("https://") {
            bail!("zclusterAcmeDirectory is {authority:?}: it must begin with https://");
        }
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT).https_only(true);
        if let Some(pem) = extra {
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
            let certificates = certificates.context("zclusterAcmeServerCertificate")?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Client(builder.build().context("a client for the authority")?))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move { ask(client, request).await.map_err(|e| Error::Other(e.into())) })
    }
}

async fn ask(client: reqwest::Client, request: http::Request<BodyWrapper<Bytes>>) -> Result<BytesResponse> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let asked = client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
    let mut response = asked.send().await?;
    let mut head = http::Response::builder().status(response.status());
    if let Some(headers) = head.headers_mut() {
        headers.clone_from(response.headers());
    }
    let mut answer = Vec::new();
    while let Some(piece) = response.chunk().await? {
        answer.extend_from_slice(&piece);
        if answer.len() > ANSWER_BYTES_MAX {
            bail!("the authority's answer is too long");
        }
    }
    Ok(BytesResponse::from(head.body(Full::new(Bytes::from(answer)))?))
}
