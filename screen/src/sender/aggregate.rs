//! What DMARC found, for whoever counts it (RFC 7489 §7.2).

use super::Mode;
use mail_auth::dmarc::URI;
use mail_auth::report::{
    ActionDisposition, PolicyOverride, PolicyOverrideReason, PolicyPublished, Record, SPFDomainScope,
};
use mail_auth::{DkimOutput, DmarcOutput, DmarcResult, SpfOutput};
use std::net::IpAddr;

/// Domains above an author's that are looked at (RFC 9989 §4.10 has eight).
pub(super) const LABELS_MAX: usize = 8;

/// Hears what became of each message whose author's domain wants to be told.
pub trait Witness: Send + Sync {
    /// A message was judged.
    fn saw(&self, judged: Judged);
}

/// A message that was judged by a policy.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The policy as it is published; its domain is whom a report is for.
    pub policy: PolicyPublished,
    /// Where that domain wants reports.
    pub rua: Vec<URI>,
    /// What was found and done, without a count.
    pub record: Record,
}

/// What there is to know of a message.
pub(super) struct Evidence<'a> {
    pub ip: IpAddr,
    /// The reverse-path; empty for the null one.
    pub sender: &'a str,
    /// The first author's address.
    pub author: &'a str,
    pub dkim: &'a [DkimOutput<'a>],
    /// That of HELO when there is no sender.
    pub spf: &'a SpfOutput,
    pub dmarc: &'a DmarcOutput,
    pub mode: Mode,
    /// A trusted forwarder vouches for it.
    pub vouched: bool,
}

impl Evidence<'_> {
    /// By the policy of `domain`. None: nobody wants to know.
    pub fn judged(&self, domain: &str) -> Option<Judged> {
        let published = self.dmarc.dmarc_record().filter(|record| !record.rua().is_empty())?;
        let scope = if self.sender.is_empty() { SPFDomainScope::Helo } else { SPFDomainScope::MailFrom };
        let mut record = Record::new()
            .with_source_ip(self.ip)
            .with_header_from(super::domain_of(self.author).to_lowercase())
            .with_envelope_from(super::domain_of(self.sender).to_lowercase())
            .with_dkim_output(self.dkim)
            .with_spf_output(self.spf, scope)
            .with_dmarc_output(self.dmarc);
        // Why a signature failed differs with each message, and would make a row of each.
        record.auth_results.dkim.iter_mut().for_each(|dkim| dkim.human_result = None);
        let wanted = matches!(record.action_disposition(), ActionDisposition::Quarantine | ActionDisposition::Reject);
        let failed = matches!(self.dmarc.result(), DmarcResult::Fail(_));
        let reason = match (wanted, self.vouched, self.mode) {
            (true, ..) if !failed => Some((PolicyOverride::Other, "it could not be judged in time")),
            (true, true, _) => Some((PolicyOverride::TrustedForwarder, "a trusted ARC seal says that it had passed")),
            (true, false, Mode::Report) => Some((PolicyOverride::LocalPolicy, "policies are not enforced here")),
            _ => None,
        };
        if let Some((kind, why)) = reason {
            record = record
                .with_action_disposition(ActionDisposition::None)
                .with_policy_override_reason(PolicyOverrideReason::new(kind).with_comment(why));
        }
        let policy = PolicyPublished::from_record(domain.trim_end_matches('.').to_lowercase(), published);
        Some(Judged { policy, rua: published.rua().to_vec(), record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_auth::common::parse::TxtRecordParser;
    use mail_auth::dmarc::Dmarc;
    use std::sync::Arc;

    fn judged(record: &str, mode: Mode, vouched: bool) -> Option<Judged> {
        let published = Dmarc::parse(record.as_bytes()).unwrap();
        let failed = || DmarcResult::Fail(mail_auth::Error::NotAligned);
        let dmarc = DmarcOutput::new("a.example".into())
            .with_record(Arc::new(published))
            .with_spf_result(failed())
            .with_dkim_result(failed());
        let spf = SpfOutput::new("b.example".into());
        let (sender, author, ip) = ("x@B.example", "y@A.example", "192.0.2.1".parse().unwrap());
        Evidence { ip, sender, author, dkim: &[], spf: &spf, dmarc: &dmarc, mode, vouched }.judged("A.example")
    }

    #[test]
    fn who_wants_no_report_is_not_counted() {
        assert!(judged("v=DMARC1; p=reject", Mode::Enforce, false).is_none());
        let found = judged("v=DMARC1; p=none; rua=mailto:r@a.example!10k", Mode::Enforce, false).unwrap();
        assert_eq!((found.rua[0].uri.as_str(), found.rua[0].max_size), ("r@a.example", 10 * 1024));
        assert_eq!((found.policy.domain.as_str(), found.record.envelope_from()), ("a.example", "b.example"));
    }

    #[test]
    fn what_the_policy_wants_and_is_not_done_has_a_reason() {
        let record = "v=DMARC1; p=none; rua=mailto:r@a.example";
        let found = judged(record, Mode::Report, false).unwrap().record;
        assert_eq!((found.action_disposition(), found.policy_override_reason().len()), (ActionDisposition::None, 0));
    }
}
