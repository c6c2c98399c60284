//! Reports of what came in a domain's name (RFC 7489 §7.2, RFC 9990).

use super::mail::{Letter, gzip};
use super::tally::DmarcCounts;
use super::{DESTINATIONS_MAX, Head, REPORT_BYTES_MAX, is_address};
use crate::dns::{Dns, Unresolved};
use bytes::Bytes;
use mail_auth::report::Report;
use zcluster_api::queue::domain_of;

/// The addresses that want a report of this size about `domain` and may: those of other domains only when these say so
/// (RFC 7489 §7.1).
///
/// # Errors
/// DNS cannot say now.
pub async fn addresses(dns: &Dns, domain: &str, counts: &DmarcCounts, bytes: usize) -> Result<Vec<String>, Unresolved> {
    let mut all = Vec::new();
    for uri in counts.rua.iter().filter(|uri| is_address(&uri.uri)).take(DESTINATIONS_MAX) {
        if uri.max_size > 0 && bytes > uri.max_size {
            continue;
        }
        let at = domain_of(&uri.uri).to_ascii_lowercase();
        let own = at == domain || at.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        let may = own || {
            let texts = dns.texts(&format!("{domain}._report._dmarc.{at}")).await?;
            texts.iter().any(|t| says_dmarc(t))
        };
        match may {
            true => all.push(uri.uri.clone()),
            false => tracing::info!(domain, address = uri.uri, "DMARC report not sent: its receiver does not want it"),
        }
    }
    Ok(all)
}

/// `v=DMARC1`, with or without more (RFC 7489 §7.1, step 4 on).
fn says_dmarc(text: &str) -> bool {
    let version = text.split(';').next().unwrap_or_default();
    version.split_once('=').is_some_and(|(name, value)| name.trim() == "v" && value.trim() == "DMARC1")
}

/// The report, compressed; less of it when it would be too large.
pub fn report(head: &Head<'_>, counts: &DmarcCounts) -> Vec<u8> {
    let mut records: Vec<_> = counts.records().map(|(record, count)| record.with_count(count)).collect();
    let mut left_out = counts.left_out;
    loop {
        let mut report = Report::new()
            .with_version(1.0)
            .with_org_name(head.organization)
            .with_email(head.contact)
            .with_report_id(format!("{}@{}", head.id, head.host))
            .with_date_range_begin(head.begin)
            .with_date_range_end(head.end)
            .with_policy_published(counts.policy.clone());
        if left_out > 0 {
            report = report.with_error(format!("{left_out} messages are left out"));
        }
        report.record = records.clone();
        let gz = gzip(report.to_xml().as_bytes());
        if gz.len() <= REPORT_BYTES_MAX || records.is_empty() {
            return gz;
        }
        let rest = records.split_off(records.len() / 2);
        left_out += rest.iter().map(|r| u64::from(r.count())).sum::<u64>();
    }
}

/// The report as mail.
pub fn letter(head: &Head<'_>, to: &[String], attached: &[u8]) -> Bytes {
    let (submitter, domain, host, id) = (head.submitter(), head.domain, head.host, head.id);
    Letter {
        from: head.contact,
        to,
        subject: format!("Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}@{host}>"),
        fields: String::new(),
        content_type: "multipart/mixed",
        text: format!(
            "This is a DMARC aggregate report about mail in the name of {domain}\r\nfrom {} ({host}).\r\n",
            head.organization
        ),
        attached_type: "application/gzip",
        name: head.file("xml.gz"),
        attached,
        id,
        host,
        now_ms: head.now_ms,
    }
    .compose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::{DmarcSeen, Tally};
    use mail_auth::dmarc::URI;
    use mail_auth::report::{ActionDisposition, DmarcResult, PolicyPublished, Record};

    #[test]
    fn reports_are_read_by_others() {
        let tally = Tally::in_memory();
        let policy = PolicyPublished { domain: "a.example".into(), ..PolicyPublished::default() };
        for (ip, times) in [("192.0.2.1", 3), ("192.0.2.2", 1)] {
            let record = Record::new()
                .with_source_ip(ip.parse().unwrap())
                .with_action_disposition(ActionDisposition::Quarantine)
                .with_dmarc_spf_result(DmarcResult::Fail)
                .with_header_from("a.example")
                .with_envelope_from("b.example");
            let seen =
                DmarcSeen { policy: policy.clone(), rua: vec![URI { uri: "r@a.example".into(), max_size: 0 }], record };
            (0..times).for_each(|_| tally.dmarc(seen.clone()));
        }
        let pending = tally.pending();
        let Some(super::super::tally::Due::Dmarc(counts)) = tally.take(&pending[0]) else { panic!() };
        let head = Head {
            organization: "Us&<co>",
            contact: "dmarc@us.example",
            host: "n1.example",
            domain: "a.example",
            begin: 86_400,
            end: 172_799,
            id: "abc",
            now_ms: 172_800_000,
        };
        let raw = letter(&head, &["r@a.example".into()], &report(&head, &counts));
        let read = Report::parse_rfc5322(&raw, 1 << 20).unwrap();
        assert_eq!((read.org_name(), read.domain()), ("Us&<co>", "a.example"));
        let rows: Vec<_> = read.records().iter().map(|r| (r.source_ip().unwrap().to_string(), r.count())).collect();
        assert_eq!(rows, [("192.0.2.1".to_string(), 3), ("192.0.2.2".to_string(), 1)]);
    }

    #[test]
    fn only_a_dmarc_record_lets_in() {
        assert!(says_dmarc("v=DMARC1") && says_dmarc("v=DMARC1; rua=mailto:x@y") && says_dmarc("v = DMARC1 ;"));
        assert!(!says_dmarc("v=DMARC10") && !says_dmarc("") && !says_dmarc("v=spf1 -all"));
    }
}
