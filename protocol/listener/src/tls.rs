//! Server-side TLS settings that can be changed while sessions run.

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

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
pub struct TlsSettings(Arc<ArcSwap<ServerConfig>>);

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

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|e| TlsError::File(path.display().to_string(), e))
}

fn build(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|e| TlsError::Pem("certificate", e.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| TlsError::Pem("key", e.to_string()))?;
    // RFC 8314 §4.1 wants TLS 1.2 or later: rustls knows nothing older.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(config)
}
