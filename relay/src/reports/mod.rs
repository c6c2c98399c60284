//! What domains are told about their mail: how TLS with their hosts went (RFC 8460), and what came in their name
//! (RFC 7489 §7.2, in the XML of RFC 9990).
//!
//! Each node counts what it saw ([`Tally`]) and once a day sends a report of its own to each domain that asks for one
//! ([`Reporter`]); docs/decisions/0021 says why.

mod dmarc;
mod mail;
mod reporter;
mod session;
mod tally;
mod tls;

pub(crate) use mail_auth::report::tlsrpt::{PolicyDetails, PolicyType, ResultType};
pub(crate) use session::Session;

pub use reporter::{Outcome, ReportSettings, Reporter, Sent};
pub use tally::{DmarcCounts, DmarcSeen, Kind, Pending, Tally};

use zcluster_api::queue::domain_of;

/// Addresses of one report.
const DESTINATIONS_MAX: usize = 5;
/// Bytes of a compressed report.
const REPORT_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Whether an address can be said in a header and an envelope.
pub fn is_address(address: &str) -> bool {
    let fit = |b: u8| b.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&b);
    let (local, domain) = address.rsplit_once('@').unwrap_or_default();
    !local.is_empty() && address.len() <= 320 && address.bytes().all(fit) && is_domain(domain)
}

/// Whether a domain can be said in a header and a file name.
fn is_domain(domain: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    !domain.is_empty() && domain.len() <= 253 && domain.bytes().all(fit)
}

/// Who reports, about what.
struct Head<'a> {
    organization: &'a str,
    contact: &'a str,
    host: &'a str,
    domain: &'a str,
    /// Unix seconds.
    begin: u64,
    /// Unix seconds.
    end: u64,
    /// Letters and digits.
    id: &'a str,
    now_ms: u64,
}

impl Head<'_> {
    /// The domain that reports.
    fn submitter(&self) -> &str {
        domain_of(self.contact)
    }

    /// RFC 8460 §5.1, RFC 7489 §7.2.1.1. Each node is a reporter: the id tells their files apart.
    fn file(&self, extension: &str) -> String {
        format!("{}!{}!{}!{}!{}.{extension}", self.submitter(), self.domain, self.begin, self.end, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_said_is_no_address() {
        assert!(is_address("reports@a.example") && is_address("a+b=c@x-1.example"));
        for bad in ["", "a", "@x", "a@", "a@x\r\nBcc: y@z", "a@x y", "<a@x>", "a@[192.0.2.1]", "ü@x", "a,b@x"] {
            assert!(!is_address(bad), "{bad}");
        }
        assert!(!is_domain("a/../b") && !is_domain("a\r\nX: y"));
    }
}
