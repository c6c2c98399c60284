//! Server-side TLS settings that can be changed while sessions run.

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or without the wanted section.
    #[error("the {0} is not usable PEM: {1}")]
    Pem(&'static str, String),
    /// The file holds no certificate.
    #[error("there is no certificate in the certificate file")]
    NoCertificate,
    /// Key and certificate do not match, or the key's kind is not supported.
    #[error("certificate and key do not work together: {0}")]
    Rejected(#[from] rustls::Error),
    /// Unreadable file.
    #[error("cannot read {0}: {1}")]
    File(String, std::io::Error),
}

/// Certificates and keys for client connections; clones share them, and what [`TlsSettings::reload_pem`],
/// [`TlsSettings::set_named`] and [`TlsSettings::set_issued`] change is so for all handshakes that follow. A client that
/// names a host (SNI, RFC 6066 §3) gets the certificate that is made out to it, everybody else the first one.
#[derive(Clone)]
pub struct TlsSettings(Arc<Shared>, Option<Arc<dyn ClientCertVerifier>>);

struct Shared {
    now: ArcSwap<Snapshot>,
    /// What `now` is made from; locked by whoever changes it.
    parts: Mutex<Parts>,
}

#[derive(Clone)]
struct Parts {
    first: NamedCertificate,
    named: Vec<NamedCertificate>,
    issued: Vec<NamedCertificate>,
    /// Stands in for the first one.
    own: Option<NamedCertificate>,
}

impl Parts {
    fn new(first: NamedCertificate) -> Self {
        Parts { first, named: Vec::new(), issued: Vec::new(), own: None }
    }
}

/// A certificate with its key and the host names it is made out to; clones share it.
#[derive(Clone, Debug)]
pub struct NamedCertificate(Arc<Certified>);

#[derive(Debug)]
struct Certified {
    key: Arc<CertifiedKey>,
    /// The leaf's hash for `tls-server-end-point`.
    end_point: Option<Vec<u8>>,
    /// Lower case, wildcards as they are written.
    names: Vec<String>,
}

impl NamedCertificate {
    /// From a certificate chain (leaf first) and its private key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|e| TlsError::Pem("certificate", e.to_string()))?;
        let Some(leaf) = chain.first() else { return Err(TlsError::NoCertificate) };
        let (end_point, names) = (end_point(leaf), host_names(leaf));
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| TlsError::Pem("key", e.to_string()))?;
        let key = Arc::new(CertifiedKey::from_der(chain, key, &provider())?);
        Ok(NamedCertificate(Arc::new(Certified { key, end_point, names })))
    }

    /// The host names it is made out to (`subjectAltName`), in lower case.
    pub fn names(&self) -> &[String] {
        &self.0.names
    }
}

/// What one handshake uses.
struct Snapshot {
    config: Arc<ServerConfig>,
    choice: Arc<Choice>,
}

/// Finds the certificate for a host name.
#[derive(Debug)]
struct Choice {
    first: NamedCertificate,
    by_name: BTreeMap<String, NamedCertificate>,
}

impl Choice {
    fn of(&self, host: Option<&str>) -> &NamedCertificate {
        let Some(host) = host.map(str::to_ascii_lowercase) else { return &self.first };
        // RFC 9525 §6.3: a wildcard stands for exactly the leftmost label.
        let wild = || host.split_once('.').and_then(|(_, parent)| self.by_name.get(&format!("*.{parent}")));
        self.by_name.get(&host).or_else(wild).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.of(hello.server_name()).0.key.clone())
    }
}

impl TlsSettings {
    /// From a certificate chain (leaf first) and its private key.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let parts = Parts::new(NamedCertificate::from_pem(chain, key)?);
        let now = ArcSwap::from_pointee(Snapshot::of(&parts)?);
        Ok(TlsSettings(Arc::new(Shared { now, parts: Mutex::new(parts) }), None))
    }

    /// From two PEM files; they may be the same.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be read or used.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(chain)?, &read(key)?)
    }

    /// Uses another first certificate from the next handshake on; the old one stays when the new one is no good.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn reload_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let first = NamedCertificate::from_pem(chain, key)?;
        self.change(|parts| parts.first = first)
    }

    /// Like [`Self::reload_pem`], from files.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be read or used.
    pub fn reload_files(&self, chain: &Path, key: &Path) -> Result<(), TlsError> {
        self.reload_pem(&read(chain)?, &read(key)?)
    }

    /// Uses these certificates for the hosts they are made out to, from the next handshake on, and none of those set
    /// before. Of two for one name the first one counts.
    ///
    /// # Errors
    /// [`TlsError`] when TLS itself cannot be set up; then nothing is changed.
    pub fn set_named(&self, named: Vec<NamedCertificate>) -> Result<(), TlsError> {
        self.change(|parts| parts.named = named)
    }

    /// The same for certificates that an authority issued to the cluster; those of [`Self::set_named`] count first. `own`
    /// is shown in place of the first certificate.
    ///
    /// # Errors
    /// [`TlsError`] when TLS itself cannot be set up; then nothing is changed.
    pub fn set_issued(&self, issued: Vec<NamedCertificate>, own: Option<NamedCertificate>) -> Result<(), TlsError> {
        self.change(|parts| (parts.issued, parts.own) = (issued, own))
    }

    fn change(&self, how: impl FnOnce(&mut Parts)) -> Result<(), TlsError> {
        let mut parts = self.0.parts.lock();
        let mut new = parts.clone();
        how(&mut new);
        self.0.now.store(Arc::new(Snapshot::of(&new)?));
        *parts = new;
        Ok(())
    }

    /// The same certificates and keys, and clients are asked for a certificate of one of these authorities (PEM). One that
    /// has none is let in all the same; one that shows another's is not.
    ///
    /// # Errors
    /// [`TlsError`] when the authorities cannot be used.
    pub fn with_client_authorities(&self, pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(pem) {
            roots.add(authority.map_err(|e| TlsError::Pem("authority's certificate", e.to_string()))?)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()));
        let verifier = verifier.allow_unauthenticated().build();
        let verifier = verifier.map_err(|e| TlsError::Pem("authority's certificate", e.to_string()))?;
        Ok(TlsSettings(self.0.clone(), Some(verifier)))
    }

    /// For one handshake, with what tells its channel binding `tls-server-end-point` afterwards.
    pub(crate) fn acceptor(&self) -> (TlsAcceptor, EndPoints) {
        let now = self.0.now.load();
        // Made for each handshake: only LDAP's ports ask for certificates, and what the server shows may have changed.
        let asking = self.1.as_ref().and_then(|verifier| config(&now.choice, Some(verifier.clone())).ok());
        (TlsAcceptor::from(asking.map_or_else(|| now.config.clone(), Arc::new)), EndPoints(now.choice.clone()))
    }
}

/// The channel bindings of the certificates that a handshake chose from.
pub(crate) struct EndPoints(Arc<Choice>);

impl EndPoints {
    /// The one of the certificate that a client was shown that asked for `host`.
    pub(crate) fn of(&self, host: Option<&str>) -> Option<Vec<u8>> {
        self.0.of(host).0.end_point.clone()
    }
}

impl Snapshot {
    fn of(parts: &Parts) -> Result<Self, TlsError> {
        let mut by_name = BTreeMap::new();
        for certificate in parts.named.iter().chain(&parts.issued) {
            for name in certificate.names() {
                by_name.entry(name.clone()).or_insert_with(|| certificate.clone());
            }
        }
        let choice = Arc::new(Choice { first: parts.own.as_ref().unwrap_or(&parts.first).clone(), by_name });
        Ok(Snapshot { config: Arc::new(config(&choice, None)?), choice })
    }
}

fn config(choice: &Arc<Choice>, clients: Option<Arc<dyn ClientCertVerifier>>) -> Result<ServerConfig, rustls::Error> {
    // RFC 8314 §4.1 wants TLS 1.2 or later: rustls knows nothing older.
    let builder = ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(builder.with_cert_resolver(choice.clone()))
}

fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|e| TlsError::File(path.display().to_string(), e))
}

/// The DNS names in `subjectAltName` (RFC 5280 §4.2.1.6).
fn host_names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(dns).collect()
}

/// The addresses in a certificate's `subjectAltName` (`rfc822Name`).
pub(crate) fn addresses(certificate: &[u8]) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let address = |name: &GeneralName<'_>| match name {
        GeneralName::RFC822Name(address) => Some((*address).to_string()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(address).collect()
}

/// The channel binding `tls-server-end-point` (RFC 5929 §4.1): the certificate's hash, by the function that its
/// signature uses, or SHA-256 where that is MD5 or SHA-1. Nothing where there is no such function (Ed25519).
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let signed_with = &parsed.signature_algorithm;
    let id = &signed_with.algorithm;
    let algorithm = if *id == oid::OID_PKCS1_RSASSAPSS {
        let Ok(SignatureAlgorithm::RSASSA_PSS(params)) = SignatureAlgorithm::try_from(signed_with) else { return None };
        match params.hash_algorithm_oid() {
            hash if *hash == oid::OID_NIST_HASH_SHA384 => &digest::SHA384,
            hash if *hash == oid::OID_NIST_HASH_SHA512 => &digest::SHA512,
            _ => &digest::SHA256,
        }
    } else if *id == oid::OID_PKCS1_SHA384WITHRSA || *id == oid::OID_SIG_ECDSA_WITH_SHA384 {
        &digest::SHA384
    } else if *id == oid::OID_PKCS1_SHA512WITHRSA || *id == oid::OID_SIG_ECDSA_WITH_SHA512 {
        &digest::SHA512
    } else if [
        oid::OID_PKCS1_SHA256WITHRSA,
        oid::OID_SIG_ECDSA_WITH_SHA256,
        oid::OID_PKCS1_SHA1WITHRSA,
        oid::OID_PKCS1_MD5WITHRSAENC,
    ]
    .contains(id)
    {
        &digest::SHA256
    } else {
        return None;
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_out_to(names: &[&str]) -> NamedCertificate {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        NamedCertificate::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn each_host_gets_its_certificate() {
        let (first, a, b) = (
            made_out_to(&["first"]),
            made_out_to(&["Mx.A.example", "a.example"]),
            made_out_to(&["*.b.example", "a.example"]),
        );
        let c = made_out_to(&["c.example", "a.example"]);
        let mut parts = Parts::new(first.clone());
        (parts.named, parts.issued) = (vec![a.clone(), b.clone()], vec![c.clone()]);
        let snapshot = Snapshot::of(&parts).unwrap();
        for (host, want) in [
            (None, &first),
            (Some("elsewhere.example"), &first),
            (Some("MX.a.example"), &a),
            (Some("a.example"), &a),
            (Some("c.example"), &c),
            (Some("x.b.example"), &b),
            (Some("x.y.b.example"), &first),
            (Some("b.example"), &first),
        ] {
            assert_eq!(snapshot.choice.of(host).0.end_point, want.0.end_point, "{host:?}");
        }
        parts.own = Some(c.clone());
        assert_eq!(Snapshot::of(&parts).unwrap().choice.of(None).0.end_point, c.0.end_point);
    }

    #[test]
    fn what_cannot_be_used_changes_nothing() {
        let pem = |name: &str| {
            let made = rcgen::generate_simple_self_signed(vec![name.to_string()]).unwrap();
            (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
        };
        let (one, other) = (pem("one"), pem("other"));
        let settings = TlsSettings::from_pem(&one.0, &one.1).unwrap();
        let shown = |host: &str| settings.acceptor().1.of(Some(host));
        let before = shown("one");
        assert!(matches!(settings.reload_pem(&other.0, &one.1), Err(TlsError::Rejected(_))));
        assert!(matches!(NamedCertificate::from_pem(b"", &one.1), Err(TlsError::NoCertificate)));
        assert_eq!(shown("one"), before);
        settings.set_named(vec![NamedCertificate::from_pem(&other.0, &other.1).unwrap()]).unwrap();
        settings.reload_pem(&other.0, &other.1).unwrap();
        assert_eq!(shown("one"), shown("other"));
    }

    #[test]
    fn the_end_point_is_hashed_as_the_certificate_is_signed() {
        for (kind, want) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(&digest::SHA256)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(&digest::SHA384)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let key = rcgen::KeyPair::generate_for(kind).unwrap();
            let certificate = rcgen::CertificateParams::new(vec!["x".into()]).unwrap().self_signed(&key).unwrap();
            let der = certificate.der();
            let want = want.map(|algorithm| digest::digest(algorithm, der).as_ref().to_vec());
            assert_eq!(end_point(der), want);
        }
        assert_eq!(end_point(b"nonsense"), None);
    }
}
