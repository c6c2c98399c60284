//! Which certificates a host's TLSA records allow (RFC 6698, RFC 7671, RFC 7672).

use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// How a record names a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    /// An authority that signed the host's (DANE-TA).
    Authority,
    /// The host's own (DANE-EE).
    Own,
}

/// One usable record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    usage: Usage,
    /// Only the key, not the whole certificate.
    key_only: bool,
    how: How,
    data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Exact,
    Sha256,
    Sha512,
}

impl Rule {
    /// None: not one that mail uses (RFC 7672 §3.1.3 leaves PKIX-TA and PKIX-EE out), or damaged.
    fn of(record: &TLSA) -> Option<Rule> {
        let usage = match record.cert_usage {
            CertUsage::DaneTa => Usage::Authority,
            CertUsage::DaneEe => Usage::Own,
            _ => return None,
        };
        let key_only = match record.selector {
            Selector::Full => false,
            Selector::Spki => true,
            _ => return None,
        };
        let how = match record.matching {
            Matching::Raw => How::Exact,
            Matching::Sha256 => How::Sha256,
            Matching::Sha512 => How::Sha512,
            _ => return None,
        };
        let len = record.cert_data.len();
        let fit = match how {
            How::Exact => len > 0,
            How::Sha256 => len == 32,
            How::Sha512 => len == 64,
        };
        fit.then(|| Rule { usage, key_only, how, data: record.cert_data.clone() })
    }

    fn names(&self, certificate: &CertificateDer<'_>) -> bool {
        let part = match self.key_only {
            false => certificate.as_ref().to_vec(),
            true => match X509Certificate::from_der(certificate) {
                Ok((_, parsed)) => parsed.tbs_certificate.subject_pki.raw.to_vec(),
                Err(_) => return false,
            },
        };
        let digest = |algorithm| aws_lc_rs::digest::digest(algorithm, &part).as_ref().to_vec();
        let value = match self.how {
            How::Exact => part,
            How::Sha256 => digest(&aws_lc_rs::digest::SHA256),
            How::Sha512 => digest(&aws_lc_rs::digest::SHA512),
        };
        value == self.data
    }
}

/// What a chain must fulfil.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rules(Vec<Rule>);

/// How a chain fulfils it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// The host's certificate is named: neither its name nor its dates count (RFC 7672 §3.1.1).
    Own,
    /// One above it is named: the host's must be signed through it, for the right name and time (RFC 7672 §3.1.2).
    Authority(CertificateDer<'a>),
    /// Not at all.
    No,
}

impl Rules {
    /// The usable ones among a host's records.
    pub fn of(records: &[TLSA]) -> Rules {
        Rules(records.iter().filter_map(Rule::of).collect())
    }

    /// Without a usable record, TLS is needed but proves nothing (RFC 7672 §2.2).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares a chain, leaf first.
    pub fn matches<'a>(&self, leaf: &CertificateDer<'a>, rest: &[CertificateDer<'a>]) -> Match<'a> {
        if self.0.iter().any(|rule| rule.usage == Usage::Own && rule.names(leaf)) {
            return Match::Own;
        }
        let authorities = || self.0.iter().filter(|rule| rule.usage == Usage::Authority);
        // The leaf may be its own authority.
        let named = rest.iter().chain([leaf]).find(|c| authorities().any(|rule| rule.names(c)));
        named.map_or(Match::No, |c| Match::Authority(c.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate(name: &str) -> CertificateDer<'static> {
        rcgen::generate_simple_self_signed(vec![name.to_string()]).unwrap().cert.der().clone()
    }

    fn record(usage: CertUsage, selector: Selector, matching: Matching, data: Vec<u8>) -> TLSA {
        TLSA::new(usage, selector, matching, data)
    }

    fn sha256(bytes: &[u8]) -> Vec<u8> {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
    }

    #[test]
    fn the_named_certificate_and_no_other() {
        let (a, b) = (certificate("a.example"), certificate("b.example"));
        let key = X509Certificate::from_der(&a).unwrap().1.tbs_certificate.subject_pki.raw.to_vec();
        for (selector, part) in [(Selector::Full, a.to_vec()), (Selector::Spki, key)] {
            let digest512 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &part).as_ref().to_vec();
            let all = [(Matching::Raw, part.clone()), (Matching::Sha256, sha256(&part)), (Matching::Sha512, digest512)];
            for (matching, data) in all {
                let rules = Rules::of(&[record(CertUsage::DaneEe, selector, matching, data.clone())]);
                assert_eq!(
                    (rules.matches(&a, &[]), rules.matches(&b, std::slice::from_ref(&a))),
                    (Match::Own, Match::No)
                );
                let rules = Rules::of(&[record(CertUsage::DaneTa, selector, matching, data)]);
                assert_eq!(rules.matches(&b, std::slice::from_ref(&a)), Match::Authority(a.clone()));
                assert_eq!(rules.matches(&b, &[]), Match::No);
            }
        }
    }

    #[test]
    fn what_mail_does_not_use_is_left_out() {
        let data = sha256(b"x");
        for usage in [CertUsage::PkixTa, CertUsage::PkixEe, CertUsage::Unassigned(9), CertUsage::Private] {
            assert!(Rules::of(&[record(usage, Selector::Spki, Matching::Sha256, data.clone())]).is_empty());
        }
        let short = record(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, data[..31].to_vec());
        assert!(Rules::of(&[short]).is_empty(), "a digest of the wrong length");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_answered(
            usage in any::<u8>(), selector in any::<u8>(), matching in any::<u8>(),
            data in prop::collection::vec(any::<u8>(), 0..70), cert in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let record = TLSA::new(CertUsage::from(usage), Selector::from(selector), Matching::from(matching), data);
            let cert = CertificateDer::from(cert);
            let _ = Rules::of(&[record]).matches(&cert, std::slice::from_ref(&cert));
        }
    }
}
