//! What the authority connects to: `tls-alpn-01` (RFC 8737) and `http-01` (RFC 8555 §8.3). Whichever node it comes to
//! asks the directory what to answer.

use super::settings::{Challenge, is_public};
use super::vault::Vault;
use anyhow::{Context, Result, bail};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::LazyConfigAcceptor;
use zcluster_runtime::{Either, select, sleep, spawn, timeout};

/// RFC 8737 §6.2.
const ALPN: &[u8] = b"acme-tls/1";
/// RFC 8555 §8.3.
const PATH: &str = "/.well-known/acme-challenge/";
/// How long one connection may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time; more wait in the kernel.
const AT_ONCE: usize = 64;
/// Bytes of a request's header.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// Pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open port, if there is one.
#[derive(Default)]
pub struct Answerer(Option<(SocketAddr, Challenge, oneshot::Sender<()>)>);

impl Answerer {
    /// Sees to it that this port is open, and no other. A port that cannot be had is logged, and tried again with the
    /// next call.
    pub async fn listen(&mut self, address: IpAddr, port: u16, challenge: Challenge, vault: &Vault) {
        let address = SocketAddr::new(address, port);
        if self.0.as_ref().is_some_and(|open| (open.0, open.1) == (address, challenge)) {
            return;
        }
        self.stop();
        if port == 0 {
            return;
        }
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%address, %error, "cannot listen for the challenges of ACME"),
        };
        tracing::info!(%address, ?challenge, "listening for the challenges of ACME");
        let (stop, stopped) = oneshot::channel();
        spawn(accept(listener, challenge, vault.clone(), stopped));
        self.0 = Some((address, challenge, stop));
    }

    /// Closes the port.
    pub fn stop(&mut self) {
        self.0 = None;
    }
}

/// Until the sender is gone.
async fn accept(listener: TcpListener, challenge: Challenge, vault: Vault, mut stopped: oneshot::Receiver<()>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (Ok(place), accepted) = (match select(next, &mut stopped).await {
            Either::Left(next) => next,
            Either::Right(_) => return,
        }) else {
            return;
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections for ACME");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let vault = vault.clone();
        spawn(async move {
            let answered = timeout(TIMEOUT, async {
                match challenge {
                    Challenge::TlsAlpn => over_tls(stream, &vault).await,
                    Challenge::Http => over_http(stream, &vault).await,
                }
            });
            match answered.await {
                Ok(Ok(Some(host))) => tracing::info!(%peer, %host, "a challenge was answered"),
                // Whoever scans the network comes by here.
                Ok(Ok(None)) => tracing::debug!(%peer, "not about a challenge"),
                Ok(Err(error)) => tracing::warn!(%peer, error = %format!("{error:#}"), "a challenge was not answered"),
                Err(_) => tracing::debug!(%peer, "not done in time"),
            }
            drop(place);
        });
    }
}

/// RFC 8737 §3: a handshake with a self-signed certificate that has the answer in it; nothing is said afterwards. `None`:
/// the client wants something else.
async fn over_tls(stream: TcpStream, vault: &Vault) -> Result<Option<String>> {
    let Ok(start) = LazyConfigAcceptor::new(Acceptor::default(), stream).await else { return Ok(None) };
    let (host, asks) = {
        let hello = start.client_hello();
        let host = hello.server_name().unwrap_or_default().to_ascii_lowercase();
        (host, hello.alpn().is_some_and(|mut all| all.any(|protocol| protocol == ALPN)))
    };
    if !asks || !is_public(&host) {
        return Ok(None);
    }
    let answer = vault.answer(&host).await?.with_context(|| format!("there is no order for {host}"))?;
    let config = proof(&host, &answer.digest)?;
    let mut stream = start.into_stream(Arc::new(config)).await?;
    // The client closes when it has seen enough.
    let _ = stream.read(&mut [0]).await;
    Ok(Some(host))
}

/// The certificate that proves a name.
fn proof(host: &str, digest: &[u8]) -> Result<ServerConfig> {
    if digest.len() != 32 {
        bail!("an answer of {} bytes", digest.len());
    }
    let mut params = CertificateParams::new(vec![host.to_string()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let der = rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // Not by a way that looks into the certificate: nobody knows its critical extension.
    let key = provider.key_provider.load_private_key(der)?;
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// RFC 8555 §8.3: one request, one answer. `None`: the client wants something else.
async fn over_http(mut stream: TcpStream, vault: &Vault) -> Result<Option<String>> {
    let mut request = Vec::new();
    let head = loop {
        if let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") {
            break &request[..end];
        }
        if request.len() >= REQUEST_BYTES_MAX || stream.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
    };
    let asked = asked(head);
    let found = match asked.clone() {
        Some((host, token)) => {
            let answer = vault.answer(&host).await?.filter(|answer| answer.token == token);
            answer.map(|answer| (host, answer.key_authorization))
        }
        None => None,
    };
    let (line, body) = match &found {
        Some((_, body)) => ("200 OK", body.as_str()),
        None => ("404 Not Found", "not found\n"),
    };
    let answer = format!(
        "HTTP/1.1 {line}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    match (found, asked) {
        (Some((host, _)), _) => Ok(Some(host)),
        (None, Some((host, _))) => bail!("there is no such challenge for {host}"),
        (None, None) => Ok(None),
    }
}

/// Host and token of a request for a challenge.
fn asked(head: &[u8]) -> Option<(String, String)> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if method != "GET" || !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    let token = target.strip_prefix(PATH)?;
    let mut hosts = lines.filter_map(|l| l.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = hosts.next()?.1.trim().to_ascii_lowercase();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host);
    (is_public(host) && !token.is_empty() && hosts.next().is_none()).then(|| (host.to_string(), token.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use x509_parser::prelude::{FromDer, X509Certificate};

    #[test]
    fn requests_for_challenges() {
        for (head, want) in [
            (
                "GET /.well-known/acme-challenge/t_1-x HTTP/1.1\r\nHost: Mail.Example.com",
                Some(("mail.example.com", "t_1-x")),
            ),
            ("GET /.well-known/acme-challenge/t HTTP/1.0\r\nX: y\r\nhost:a.example:80", Some(("a.example", "t"))),
            ("GET /.well-known/acme-challenge/ HTTP/1.1\r\nHost: a.example", None),
            ("GET /.well-known/acme-challenge/t HTTP/1.1", None),
            ("GET /.well-known/acme-challenge/t HTTP/1.1\r\nHost: a.example\r\nHost: b.example", None),
            ("GET /.well-known/acme-challenge/t HTTP/1.1\r\nHost: ../../x", None),
            ("POST /.well-known/acme-challenge/t HTTP/1.1\r\nHost: a.example", None),
            ("GET / HTTP/1.1\r\nHost: a.example", None),
            ("", None),
        ] {
            let want = want.map(|(host, token): (&str, &str)| (host.to_string(), token.to_string()));
            assert_eq!(asked(head.as_bytes()), want, "{head}");
        }
    }

    #[test]
    fn the_proof_is_a_critical_extension() {
        let certificate = CertificateParams::new(vec!["a.example".into()]).unwrap();
        assert!(proof("a.example", &[7; 31]).is_err());
        assert_eq!(proof("a.example", &[7; 32]).unwrap().alpn_protocols, [ALPN.to_vec()]);
        let mut params = certificate;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; 32])];
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, parsed) = X509Certificate::from_der(made.der()).unwrap();
        let extension = parsed.extensions().iter().find(|e| e.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(extension.critical);
        assert_eq!(extension.value, [&[0x04, 32][..], &[7; 32]].concat());
    }

    proptest! {
        #[test]
        fn never_panics(head in proptest::collection::vec(any::<u8>(), 0..200), text in "(GET )?(/.well-known/acme-challenge/)?[a-z/.]{0,9}( HTTP/1.1)?(\r\n[Hh]ost: ?[a-z.:0-9]{0,20}){0,2}") {
            let _ = (asked(&head), asked(text.as_bytes()));
        }
    }
}
