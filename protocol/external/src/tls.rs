//! Whom to believe.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why no certificates could be read.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is not there, or holds none.
    #[error("cannot read certificates from {0}: {1}")]
    Authorities(PathBuf, String),
    /// TLS itself.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// The system's certificate authorities, and those of a file.
pub(crate) fn client_config(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // Some systems carry some that are not understood.
        let _ = roots.add(certificate);
    }
    if let Some(path) = authorities {
        let bad = |why: String| TlsError::Authorities(path.to_path_buf(), why);
        let mut count = 0;
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))? {
            roots.add(certificate.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))?;
            count += 1;
        }
        if count == 0 {
            return Err(bad("there are none".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
