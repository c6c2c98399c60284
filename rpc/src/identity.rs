//! Who a node is, and the TLS settings that follow from it.
//!
//! Every node holds a certificate signed by the cluster's own CA for the name [`node_dns_name`]. A client asks for
//! exactly that name, so ordinary certificate verification proves that it reaches the expected node of the expected
//! cluster; a server reads the name out of the client's certificate.

use crate::RpcError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;

/// What all node names end in.
pub const NODE_DOMAIN: &str = "zcluster.internal";
/// The HTTP/2 protocol name that both sides insist on.
const ALPN: &[u8] = b"h2";

/// The node number within a raft node id.
pub fn node_number(id: u64) -> u32 {
    (id >> 16) as u32
}

/// The name in node `number`'s certificate.
pub fn node_dns_name(number: u32, cluster: &str) -> String {
    format!("node-{number}.{cluster}.{NODE_DOMAIN}")
}

/// The inverse of [`node_dns_name`].
pub fn parse_node_dns_name(name: &str) -> Option<(u32, &str)> {
    let rest = name.strip_suffix(NODE_DOMAIN)?.strip_suffix('.')?;
    let (node, cluster) = rest.split_once('.')?;
    let digits = node.strip_prefix("node-")?;
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits && !cluster.is_empty()).then_some((number, cluster))
}

/// A node's name, keys and TLS settings.
pub struct Identity {
    /// The cluster's id.
    pub cluster: String,
    /// Raft node id: number and disk incarnation.
    pub id: u64,
    /// Random for each start of the process: tells two processes with one id apart.
    pub boot: u64,
    /// The cluster CA.
    pub ca: CertificateDer<'static>,
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
}

impl Identity {
    /// Builds the TLS settings of raft node `id`.
    ///
    /// # Errors
    /// `Refused` with the reason when a PEM does not parse, or the certificate is not this node's or not the CA's.
    pub fn new(cluster: &str, id: u64, ca_pem: &str, cert_pem: &str, key_pem: &str) -> Result<Self, RpcError> {
        let refused = |what: &str, e: &dyn std::fmt::Display| RpcError::Refused(format!("{what}: {e}"));
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(|e| refused("cluster CA", &e))?;
        let cert = CertificateDer::from_pem_slice(cert_pem.as_bytes()).map_err(|e| refused("node certificate", &e))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|e| refused("node key", &e))?;
        let named = certificate_node(&cert).ok_or_else(|| refused("node certificate", &"names no node"))?;
        if named != (node_number(id), cluster.to_string()) {
            let text = format!("is for node {} of cluster {}", named.0, named.1);
            return Err(refused("node certificate", &text));
        }
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone()).map_err(|e| refused("cluster CA", &e))?;
        let roots = Arc::new(roots);
        // The chain carries the CA too, so that a joining node can compare its hash with the token's.
        let chain = vec![cert, ca.clone()];
        let tls = |e: rustls::Error| refused("node certificate", &e);
        let provider = provider();
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(tls)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|e| refused("cluster CA", &e))?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(tls)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Identity {
            cluster: cluster.to_string(),
            id,
            boot: zcluster_runtime::random_u64(),
            ca,
            client: Arc::new(client),
            server: Arc::new(server),
        })
    }
}

/// The one cryptography provider.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The TLS protocol list of a joining client.
pub(crate) fn alpn() -> Vec<Vec<u8>> {
    vec![ALPN.to_vec()]
}

/// The node number and cluster that a (verified) certificate names.
pub fn certificate_node(cert: &CertificateDer<'_>) -> Option<(u32, String)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(cert).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        x509_parser::extensions::GeneralName::DNSName(dns) => {
            parse_node_dns_name(dns).map(|(number, cluster)| (number, cluster.to_string()))
        }
        _ => None,
    })
}

/// SHA-256 (of a certificate, a token), through the TLS provider's own hash.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use rustls::crypto::hash::Hash;
    let suite = provider().cipher_suites.iter().find_map(|s| match s {
        rustls::SupportedCipherSuite::Tls13(s) if s.common.suite == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256 => {
            Some(s.common.hash_provider)
        }
        _ => None,
    });
    let mut out = [0; 32];
    if let Some(hash) = suite {
        let hash: &dyn Hash = hash;
        out.copy_from_slice(hash.hash(bytes).as_ref());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_round_trip_and_look_alikes_do_not_parse() {
        let name = node_dns_name(7, "abc-def");
        assert_eq!(parse_node_dns_name(&name), Some((7, "abc-def")));
        for bad in ["node-7.zcluster.internal", "node-07.c.zcluster.internal", "node-+7.c.zcluster.internal", "x", ""] {
            assert_eq!(parse_node_dns_name(bad), None, "{bad}");
        }
    }
}
