//! DKIM (RFC 6376, RFC 8463): signatures by the keys among a domain's attributes, and new keys.
//!
//! A domain has its keys in `DKIMSelector` and `DKIMKey` (PKCS#8 or PKCS#1, PEM), of which Zimbra has one each; here they
//! may have several values, the first selector with the first key and so on, and each key signs: RSA and Ed25519 beside
//! each other, as receivers that know only one of them need. `DKIMDomain` (`d=`) and `DKIMIdentity` (`i=`) as in Zimbra.

use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{Canonicalization, DkimSigner};
use parking_lot::Mutex;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::directory::Attributes;
use zcluster_delivery::Signer;

/// Fields that are signed where a message has them: RFC 6376 §5.4.1, and what makes a message a reply, a list's or an
/// attachment's carrier. Those that it lacks are not: a mailing list may add them.
pub(crate) const SIGNED: [&str; 21] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Post",
    "Autocrypt",
    "Auto-Submitted",
];
/// Keys kept parsed.
const CACHED_MAX: usize = 4_096;

/// A private key.
pub(crate) enum Key {
    Rsa(RsaKey<Sha256>),
    Ed25519(Ed25519Key),
}

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey(pub String);

impl Key {
    fn parse(pem: &str) -> Result<Key, BadKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| BadKey(e.to_string()))?;
        if let PrivateKeyDer::Pkcs8(pkcs8) = &der
            && let Ok(key) = Ed25519Key::from_pkcs8_maybe_unchecked_der(pkcs8.secret_pkcs8_der())
        {
            return Ok(Key::Ed25519(key));
        }
        RsaKey::from_key_der(der).map(Key::Rsa).map_err(|e| BadKey(e.to_string()))
    }

    fn sign(&self, selector: &str, (domain, identity): (&str, Option<&str>), raw: &[u8]) -> Option<String> {
        match self {
            Key::Rsa(key) => signature(Borrowed(key), selector, (domain, identity), raw),
            Key::Ed25519(key) => signature(Borrowed(key), selector, (domain, identity), raw),
        }
    }
}

/// A signer wants its key for itself; ours are kept.
pub(crate) struct Borrowed<'a, K>(pub(crate) &'a K);

impl<K: SigningKey> SigningKey for Borrowed<'_, K> {
    type Hasher = K::Hasher;
    fn sign(&self, input: impl mail_auth::common::headers::Writable) -> mail_auth::Result<Vec<u8>> {
        self.0.sign(input)
    }
    fn algorithm(&self) -> mail_auth::common::crypto::Algorithm {
        self.0.algorithm()
    }
}

fn signature<K: SigningKey>(
    key: K,
    selector: &str,
    (domain, identity): (&str, Option<&str>),
    raw: &[u8],
) -> Option<String> {
    let has = |name: &str| zcluster_mail::fields(raw).any(|f| f.is(name));
    // `From` once more than there are: none can be added (§5.4).
    let present = SIGNED.into_iter().filter(|name| has(name));
    let signer = DkimSigner::from_key(key)
        .domain(domain)
        .selector(selector)
        .headers(present.chain(["From"]))
        .header_canonicalization(Canonicalization::Relaxed)
        .body_canonicalization(Canonicalization::Relaxed);
    let signer = match identity {
        Some(identity) => signer.agent_user_identifier(identity),
        None => signer,
    };
    signer.sign(raw).ok().map(|signature| signature.to_header())
}

/// Signs by the keys of the directory.
#[derive(Default)]
pub struct Dkim {
    /// By BLAKE3 of the text; one that is none stays known as such.
    known: Mutex<BTreeMap<[u8; 32], Option<Arc<Key>>>>,
}

impl Dkim {
    /// A signer that has seen no key yet.
    pub fn new() -> Arc<Dkim> {
        Arc::new(Dkim::default())
    }

    pub(crate) fn key(&self, domain: &str, pem: &str) -> Option<Arc<Key>> {
        let name = *blake3::hash(pem.as_bytes()).as_bytes();
        if let Some(known) = self.known.lock().get(&name) {
            return known.clone();
        }
        let key = Key::parse(pem);
        if let Err(BadKey(error)) = &key {
            tracing::warn!(domain, error, "DKIMKey is unusable: messages leave without its signature");
        }
        let key = key.ok().map(Arc::new);
        let mut known = self.known.lock();
        if known.len() >= CACHED_MAX {
            known.clear();
        }
        known.insert(name, key.clone());
        key
    }
}

impl Signer for Dkim {
    fn sign(&self, domain: &str, attrs: &Attributes, raw: &[u8]) -> String {
        let signing_domain = attrs.get("DKIMDomain").unwrap_or(domain);
        let mut out = String::new();
        for (selector, pem) in attrs.all("DKIMSelector").iter().zip(attrs.all("DKIMKey")) {
            let Some(key) = self.key(domain, pem) else { continue };
            match key.sign(selector, (signing_domain, attrs.get("DKIMIdentity")), raw) {
                Some(field) => out.push_str(&field),
                None => tracing::warn!(domain, selector, "message could not be signed"),
            }
            metrics::counter!("zcluster_dkim_signatures_total").increment(1);
        }
        out
    }

    fn seal(&self, domain: &str, attrs: &Attributes, results: &str, raw: &[u8]) -> String {
        crate::arc::seal(self, domain, attrs, results, raw)
    }
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, 2048 bits.
    Rsa,
    /// Ed25519 (RFC 8463).
    Ed25519,
}

/// A private key (PKCS#8, PEM) and what DNS is to say of it (RFC 6376 §3.6.1).
///
/// # Errors
/// When the system has no randomness.
pub fn record_of(pem: &str) -> Result<String, BadKey> {
    let encode = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    match Key::parse(pem)? {
        Key::Ed25519(key) => Ok(format!("v=DKIM1; k=ed25519; p={}", encode(&key.public_key()))),
        Key::Rsa(key) => Ok(format!("v=DKIM1; k=rsa; p={}", encode(&spki(&key.public_key())))),
    }
}

/// A SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) around an RSAPublicKey, as RFC 6376 §3.6.1 wants `p=`.
fn spki(rsa_public_key: &[u8]) -> Vec<u8> {
    /// rsaEncryption with NULL parameters.
    const ALGORITHM: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
    let wrap = |tag: u8, content: &[u8]| {
        let len = content.len();
        let mut out = vec![tag];
        match len {
            0..=127 => out.push(len as u8),
            128..=255 => out.extend([0x81, len as u8]),
            _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
        }
        out.extend_from_slice(content);
        out
    };
    let mut bits = vec![0];
    bits.extend_from_slice(rsa_public_key);
    wrap(0x30, &[&ALGORITHM[..], &wrap(3, &bits)].concat())
}

/// A new private key, PKCS#8 in PEM.
///
/// # Errors
/// When the crypto library cannot make one.
pub fn generate(kind: KeyKind) -> Result<String, BadKey> {
    let der = match kind {
        KeyKind::Ed25519 => Ed25519Key::generate_pkcs8().map_err(|e| BadKey(e.to_string()))?,
        KeyKind::Rsa => rsa_key()?,
    };
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    let mut out = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str("-----END PRIVATE KEY-----\n");
    Ok(out)
}

fn rsa_key() -> Result<Vec<u8>, BadKey> {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048);
    let key = key.map_err(|e| BadKey(e.to_string()))?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|e| BadKey(e.to_string()))?;
    Ok(der.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_auth::common::parse::TxtRecordParser;
    use mail_auth::common::verify::VerifySignature;

    const RAW: &[u8] = b"From: A <a@example.org>\r\nTo: b@x\r\nSubject: s\r\n\r\nHello.\r\n";

    #[test]
    fn each_key_signs_and_its_record_fits() {
        for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
            let pem = generate(kind).unwrap();
            let record = record_of(&pem).unwrap();
            mail_auth::common::verify::DomainKey::parse(record.as_bytes()).expect("the record");
            let mut attrs = Attributes::new();
            attrs.set("DKIMSelector", vec!["s1".into(), "s2".into()]);
            attrs.set("DKIMKey", vec![pem, "no key".into()]);
            let fields = Dkim::new().sign("example.org", &attrs, RAW);
            assert_eq!(fields.matches("DKIM-Signature:").count(), 1, "{fields}");
            assert!(fields.contains("h=Subject:To:From:From;") && !fields.contains("List-Id"), "{fields}");
            assert!(
                fields.contains("d=example.org") && fields.contains("s=s1") && fields.ends_with("\r\n"),
                "{fields}"
            );
            let message = [fields.as_bytes(), RAW].concat();
            let parsed = mail_auth::AuthenticatedMessage::parse(&message).unwrap();
            let signature = &parsed.dkim_headers[0].header;
            assert_eq!(signature.domain(), "example.org");
        }
    }

    #[test]
    fn no_key_no_signature() {
        assert_eq!(Dkim::new().sign("example.org", &Attributes::new(), RAW), "");
        assert!(record_of("garbage").is_err());
    }
}
