//! Brings the certificates that were issued to the listeners.

use super::vault::{Issued, Vault};
use anyhow::Result;
use std::collections::BTreeMap;
use zcluster_listener::{NamedCertificate, TlsSettings};

/// What the listeners have been given.
pub struct Shown {
    tls: TlsSettings,
    /// Whose certificate is for clients that name no host.
    own: Option<String>,
    known: BTreeMap<String, (u64, Option<NamedCertificate>)>,
}

impl Shown {
    /// Nothing yet.
    pub fn new(tls: TlsSettings, own: Option<String>) -> Self {
        Shown { tls, own, known: BTreeMap::new() }
    }

    /// Reads what is new; it counts from the next handshake on. One that cannot be used is logged once, and the one before
    /// it stays.
    ///
    /// # Errors
    /// The directory's.
    pub async fn refresh(&mut self, vault: &Vault) -> Result<()> {
        let versions = vault.certificate_versions().await?;
        let mut is_new = self.known.len() != versions.len();
        let mut found = BTreeMap::new();
        for (host, version) in versions {
            let before = self.known.remove(&host);
            if let Some(before) = &before
                && before.0 == version
            {
                found.insert(host, before.clone());
                continue;
            }
            is_new = true;
            let certificate = match vault.certificate(&host).await? {
                Some(Issued { chain_pem, key_pem, .. }) => {
                    match NamedCertificate::from_pem(chain_pem.as_bytes(), key_pem.as_bytes()) {
                        Ok(certificate) => {
                            tracing::info!(%host, "certificate in use");
                            Some(certificate)
                        }
                        Err(error) => {
                            tracing::error!(%host, %error, "an issued certificate cannot be used");
                            before.and_then(|(_, certificate)| certificate)
                        }
                    }
                }
                None => continue,
            };
            found.insert(host, (version, certificate));
        }
        self.known = found;
        if is_new {
            let all = self.known.values().filter_map(|(_, certificate)| certificate.clone()).collect();
            let own = self.own.as_ref().and_then(|own| self.known.get(own)).and_then(|(_, c)| c.clone());
            self.tls.set_issued(all, own)?;
        }
        Ok(())
    }
}
