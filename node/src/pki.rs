//! The cluster's own CA, the nodes' certificates and the self-signed pair for clients.

use anyhow::{Context, Result, bail};
use chrono::Datelike;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zcluster_rpc::node_dns_name;

/// How long the CA is valid, years.
const CA_YEARS: i32 = 10;
/// How long a node's certificate is valid, years. It is renewed at a start when less than a third is left.
const NODE_YEARS: i32 = 2;
/// How long the self-signed client certificate is valid, years.
const CLIENT_YEARS: i32 = 10;

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Pair {
    /// Certificate.
    pub cert_pem: String,
    /// Private key.
    pub key_pem: String,
}

fn valid_for(params: &mut CertificateParams, years: i32) {
    let today = chrono::DateTime::from_timestamp_millis(zcluster_runtime::wall_ms() as i64).unwrap_or_default();
    // A day back, for clocks that go wrong; the 28th exists in every month.
    let from = today - chrono::Duration::days(1);
    let day = from.day().min(28) as u8;
    params.not_before = rcgen::date_time_ymd(from.year(), from.month() as u8, day);
    params.not_after = rcgen::date_time_ymd(from.year() + years, from.month() as u8, day);
}

fn named(common_name: &str, organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name.push(DnType::OrganizationName, organization);
    name
}

fn fresh_serial() -> SerialNumber {
    let mut serial: [u8; 16] = zcluster_runtime::random_bytes();
    // RFC 5280 §4.1.2.2: positive.
    serial[0] &= 0x7f;
    SerialNumber::from_slice(&serial)
}

/// A new CA for the cluster.
///
/// # Errors
/// When no key can be made.
pub fn new_ca(cluster: &str) -> Result<Pair> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("zcluster CA", cluster);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(fresh_serial());
    valid_for(&mut params, CA_YEARS);
    let cert = params.self_signed(&key)?;
    Ok(Pair { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
}

fn issuer(ca: &Pair) -> Result<Issuer<'static, KeyPair>> {
    let key = KeyPair::from_pem(&ca.key_pem).context("the cluster CA's key is unusable")?;
    Issuer::from_ca_cert_pem(&ca.cert_pem, key).context("the cluster CA's certificate is unusable")
}

fn node_params(cluster: &str, number: u32) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![node_dns_name(number, cluster)])?;
    params.distinguished_name = named(&format!("node {number}"), cluster);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.serial_number = Some(fresh_serial());
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, NODE_YEARS);
    Ok(params)
}

/// A key and certificate for node `number`.
///
/// # Errors
/// When the CA is unusable.
pub fn new_node(ca: &Pair, cluster: &str, number: u32) -> Result<Pair> {
    let key = KeyPair::generate()?;
    let cert = node_params(cluster, number)?.signed_by(&key, &issuer(ca)?)?;
    Ok(Pair { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
}

/// A new key and a request to have it certified. What the request says of names does not matter: the signer decides.
///
/// # Errors
/// When no key can be made.
pub fn new_request() -> Result<(KeyPair, String)> {
    let key = KeyPair::generate()?;
    let request = CertificateParams::new(vec!["joining.zcluster.internal".to_string()])?.serialize_request(&key)?;
    Ok((key, request.pem()?))
}

/// Certifies the request's key as node `number`'s.
///
/// # Errors
/// A request that does not parse or was not signed with its own key.
pub fn sign_request(ca: &Pair, cluster: &str, number: u32, request_pem: &str) -> Result<String> {
    let mut request =
        CertificateSigningRequestParams::from_pem(request_pem).context("the certificate request is unusable")?;
    request.params = node_params(cluster, number)?;
    Ok(request.signed_by(&issuer(ca)?)?.pem())
}

/// A self-signed pair for client connections to `names`.
///
/// # Errors
/// Names that no certificate can hold.
pub fn self_signed(names: &[String]) -> Result<Pair> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = named(names.first().map_or("localhost", String::as_str), "zcluster self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.serial_number = Some(fresh_serial());
    valid_for(&mut params, CLIENT_YEARS);
    let cert = params.self_signed(&key)?;
    Ok(Pair { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
}

/// A PEM certificate as DER.
///
/// # Errors
/// When it is none.
pub fn der(cert_pem: &str) -> Result<CertificateDer<'static>> {
    match CertificateDer::from_pem_slice(cert_pem.as_bytes()) {
        Ok(der) => Ok(der),
        Err(e) => bail!("not a PEM certificate: {e}"),
    }
}

/// Whether less than a third of a certificate's time is left.
///
/// # Errors
/// When it does not parse.
pub fn wants_renewal(cert_pem: &str) -> Result<bool> {
    let der = der(cert_pem)?;
    let (_, cert) = x509_parser::parse_x509_certificate(&der).context("the node's certificate does not parse")?;
    let validity = cert.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let now = (zcluster_runtime::wall_ms() / 1_000) as i64;
    Ok(to - now < (to - from) / 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_rpc::Identity;

    #[test]
    fn a_joining_nodes_key_is_certified_under_the_signers_name_for_it() {
        let ca = new_ca("c-1").unwrap();
        let first = new_node(&ca, "c-1", 1).unwrap();
        Identity::new("c-1", 1 << 16, &ca.cert_pem, &first.cert_pem, &first.key_pem).unwrap();
        let (key, request) = new_request().unwrap();
        let cert = sign_request(&ca, "c-1", 7, &request).unwrap();
        Identity::new("c-1", 7 << 16, &ca.cert_pem, &cert, &key.serialize_pem()).unwrap();
        assert!(Identity::new("c-1", 8 << 16, &ca.cert_pem, &cert, &key.serialize_pem()).is_err(), "another number");
        assert!(Identity::new("c-2", 7 << 16, &ca.cert_pem, &cert, &key.serialize_pem()).is_err(), "another cluster");
        assert!(sign_request(&ca, "c-1", 7, "junk").is_err());
    }

    #[test]
    fn fresh_certificates_need_no_renewal() {
        let ca = new_ca("c").unwrap();
        assert!(!wants_renewal(&new_node(&ca, "c", 1).unwrap().cert_pem).unwrap());
        assert!(!wants_renewal(&ca.cert_pem).unwrap());
    }
}
