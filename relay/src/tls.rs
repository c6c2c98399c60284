//! TLS to other hosts, and what their certificates must prove.

use crate::tlsa::{Match, Rules};
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Said when a host shows a certificate that its TLSA records do not name.
pub const NO_TLSA: &str = "no TLSA record fits the certificate";

/// What a host's certificate must prove.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Proof {
    /// Nothing: against those who only listen.
    #[default]
    None,
    /// One of these names, by an authority that the system trusts.
    Names(Vec<String>),
    /// The same is looked at, and told, but not demanded (MTA-STS in testing).
    Watched(Vec<String>),
    /// What DNS says; names for certificates below a named authority.
    Dane(Rules, Vec<String>),
}

/// Makes connections secret.
pub struct Tls {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Tls {
    /// Trusts the system's authorities and those in a PEM file.
    ///
    /// # Errors
    /// An unreadable file.
    pub fn new(ca_file: Option<&Path>) -> std::io::Result<Tls> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (taken, _) = roots.add_parsable_certificates(found.certs);
        if let Some(path) = ca_file {
            let pem = std::fs::read(path)?;
            let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
            let certificates = certificates.map_err(|e| std::io::Error::other(e.to_string()))?;
            roots.add_parsable_certificates(certificates);
        } else if taken == 0 {
            tracing::warn!("the system trusts no authorities: hosts that MTA-STS wants proven cannot be reached");
        }
        Ok(Tls { roots: Arc::new(roots), provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()) })
    }

    /// Greets a host as `name`. With [`Proof::Watched`], tells what would not have held.
    ///
    /// # Errors
    /// What did not hold.
    pub async fn connect(
        &self,
        stream: TcpStream,
        name: &str,
        proof: &Proof,
    ) -> std::io::Result<(TlsStream<TcpStream>, Option<Error>)> {
        let (proof, roots, provider) = (proof.clone(), self.roots.clone(), self.provider.clone());
        let verifier = Arc::new(Verifier { proof, roots, provider, watched: Mutex::default() });
        let watcher = verifier.clone();
        let config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_string()).map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let watched = watcher.watched.lock().take();
        Ok((stream, watched))
    }
}

#[derive(Debug)]
struct Verifier {
    proof: Proof,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    /// What did not hold and was not demanded.
    watched: Mutex<Option<Error>>,
}

impl Verifier {
    /// By the rules of the web, for one of the names.
    fn by_authority(
        &self,
        roots: Arc<RootCertStore>,
        (leaf, rest): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        names: &[String],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone()).build();
        let verifier = verifier.map_err(|e| Error::General(e.to_string()))?;
        let mut last = Error::General("no name to prove".into());
        for name in names {
            let Ok(name) = ServerName::try_from(name.as_str()) else { continue };
            match verifier.verify_server_cert(leaf, rest, &name, &[], now) {
                Ok(verified) => return Ok(verified),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.proof {
            Proof::None => Ok(ServerCertVerified::assertion()),
            Proof::Names(names) => self.by_authority(self.roots.clone(), (leaf, rest), names, now),
            Proof::Watched(names) => {
                *self.watched.lock() = self.by_authority(self.roots.clone(), (leaf, rest), names, now).err();
                Ok(ServerCertVerified::assertion())
            }
            Proof::Dane(rules, names) => match rules.matches(leaf, rest) {
                Match::Own => Ok(ServerCertVerified::assertion()),
                Match::Authority(authority) => {
                    let mut roots = RootCertStore::empty();
                    roots.add(authority.into_owned())?;
                    self.by_authority(Arc::new(roots), (leaf, rest), names, now)
                }
                Match::No => Err(Error::General(NO_TLSA.into())),
            },
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::rdata::TLSA;
    use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
    use tokio_rustls::TlsAcceptor;

    /// An authority and a host's certificate by it.
    fn certificates(host: &str) -> (CertificateDer<'static>, CertificateDer<'static>, rcgen::KeyPair) {
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(params, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec![host.into()]).unwrap().signed_by(&key, &issuer).unwrap();
        (ca.der().clone(), leaf.der().clone(), key)
    }

    async fn greet(tls: &Tls, chain: Vec<CertificateDer<'static>>, key: &rcgen::KeyPair, proof: Proof) -> bool {
        connected(tls, chain, key, proof).await.is_some()
    }

    /// What was watched; none without a connection.
    async fn connected(
        tls: &Tls,
        chain: Vec<CertificateDer<'static>>,
        key: &rcgen::KeyPair,
        proof: Proof,
    ) -> Option<Option<Error>> {
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(tls.provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        };
        let client = async {
            let stream = TcpStream::connect(address).await.unwrap();
            tls.connect(stream, "mx.example", &proof).await.ok().map(|(_, watched)| watched)
        };
        futures::join!(server, client).1
    }

    #[tokio::test]
    async fn each_proof_takes_what_it_should() {
        let (ca, leaf, key) = certificates("mx.example");
        let (other_ca, _, _) = certificates("mx.example");
        let mut tls = Tls::new(None).unwrap();
        let chain = || vec![leaf.clone(), ca.clone()];
        let names = |name: &str| Proof::Names(vec![name.into()]);
        assert!(greet(&tls, chain(), &key, Proof::None).await);
        assert!(!greet(&tls, chain(), &key, names("mx.example")).await, "an unknown authority");
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        tls.roots = Arc::new(roots);
        assert!(greet(&tls, chain(), &key, names("mx.example")).await);
        assert!(!greet(&tls, chain(), &key, names("other.example")).await, "another name");
        for (name, fits) in [("mx.example", true), ("other.example", false)] {
            let watched = connected(&tls, chain(), &key, Proof::Watched(vec![name.into()])).await;
            assert_eq!(watched.expect("it is only watched").is_none(), fits, "{name}");
        }

        let dane = |usage, certificate: &CertificateDer<'_>, name: &str| {
            let record = TLSA::new(usage, Selector::Full, Matching::Raw, certificate.to_vec());
            Proof::Dane(Rules::of(&[record]), vec![name.into()])
        };
        assert!(
            greet(&tls, chain(), &key, dane(CertUsage::DaneEe, &leaf, "other.example")).await,
            "names do not count"
        );
        assert!(!greet(&tls, chain(), &key, dane(CertUsage::DaneEe, &ca, "mx.example")).await);
        assert!(greet(&tls, chain(), &key, dane(CertUsage::DaneTa, &ca, "mx.example")).await);
        assert!(!greet(&tls, chain(), &key, dane(CertUsage::DaneTa, &ca, "other.example")).await);
        assert!(!greet(&tls, chain(), &key, dane(CertUsage::DaneTa, &other_ca, "mx.example")).await);
    }
}
