//! Server-side TLS settings that can be changed while sessions run.

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{FromDer, X509Certificate};
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

/// A certificate and key for client connections; clones share them, and [`TlsSettings::reload_pem`] changes them for
/// all handshakes that follow.
#[derive(Clone)]
pub struct TlsSettings(Arc<ArcSwap<Identity>>);

/// What one handshake uses.
struct Identity {
    config: Arc<ServerConfig>,
    /// The leaf's hash for `tls-server-end-point`.
    end_point: Option<Vec<u8>>,
}

impl TlsSettings {
    /// From a certificate chain (leaf first) and its private key.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(TlsSettings(Arc::new(ArcSwap::from_pointee(build(chain, key)?))))
    }

    /// From two PEM files; they may be the same.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be read or used.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(chain)?, &read(key)?)
    }

    /// Uses another certificate from the next handshake on; the old one stays when the new one is no good.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn reload_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.0.store(Arc::new(build(chain, key)?));
        Ok(())
    }

    /// Like [`Self::reload_pem`], from files.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be read or used.
    pub fn reload_files(&self, chain: &Path, key: &Path) -> Result<(), TlsError> {
        self.reload_pem(&read(chain)?, &read(key)?)
    }

    /// For one handshake, with what its channel binding `tls-server-end-point` is.
    pub(crate) fn acceptor(&self) -> (TlsAcceptor, Option<Vec<u8>>) {
        let identity = self.0.load();
        (TlsAcceptor::from(identity.config.clone()), identity.end_point.clone())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|e| TlsError::File(path.display().to_string(), e))
}

fn build(chain: &[u8], key: &[u8]) -> Result<Identity, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|e| TlsError::Pem("certificate", e.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let end_point = chain.first().and_then(|leaf| end_point(leaf));
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| TlsError::Pem("key", e.to_string()))?;
    // RFC 8314 §4.1 wants TLS 1.2 or later: rustls knows nothing older.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Identity { config: Arc::new(config), end_point })
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
