//! Reports of how TLS went (RFC 8460).

use super::mail::{Letter, gzip};
use super::{DESTINATIONS_MAX, Head, is_address};
use bytes::Bytes;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::mta_sts::{ReportUri, TlsRpt};
use mail_auth::report::tlsrpt::{DateRange, Policy, TlsReport};
use serde_json::Value;

/// Where a domain wants its reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub mail: Vec<String>,
    pub https: Vec<String>,
}

/// The record at `_smtp._tls` (RFC 8460 §3); none, or several: the domain wants none.
pub fn wanted(texts: &[String]) -> Wanted {
    let mut records = texts.iter().filter(|t| t.starts_with("v=TLSRPTv1")).map(|t| TlsRpt::parse(t.as_bytes()));
    let (Some(Ok(record)), None) = (records.next(), records.next()) else { return Wanted::default() };
    let mut wanted = Wanted::default();
    for uri in record.rua.into_iter().take(DESTINATIONS_MAX) {
        match uri {
            ReportUri::Mail(address) if is_address(&address) => wanted.mail.push(address),
            ReportUri::Http(url) if url.starts_with("https://") => wanted.https.push(url),
            _ => {}
        }
    }
    wanted
}

/// The report, compressed.
pub fn report(head: &Head<'_>, policies: Vec<Policy>) -> Vec<u8> {
    let report = TlsReport {
        organization_name: Some(head.organization.to_string()),
        date_range: DateRange::from_timestamps(head.begin as i64, head.end as i64),
        contact_info: Some(head.contact.to_string()),
        report_id: format!("{}@{}", head.id, head.host),
        policies,
    };
    let mut value = serde_json::to_value(report).unwrap_or_default();
    without_nulls(&mut value);
    gzip(value.to_string().as_bytes())
}

/// RFC 8460 §4.4 knows members that are not there, but no null.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, v| !v.is_null() && v.as_array().is_none_or(|a| !a.is_empty()));
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(all) => all.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// The report as mail (RFC 8460 §5.3). It puts delivery above TLS (RFC 8689): what it tells of must not keep it away.
pub fn letter(head: &Head<'_>, to: &[String], attached: &[u8]) -> Bytes {
    let (submitter, domain, host, id) = (head.submitter(), head.domain, head.host, head.id);
    Letter {
        from: head.contact,
        to,
        subject: format!("Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}@{host}>"),
        fields: format!("TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\nTLS-Required: No\r\n"),
        content_type: "multipart/report; report-type=\"tlsrpt\"",
        text: format!(
            "This is an aggregate report of TLS with the mail hosts of {domain}\r\nfrom {} ({host}).\r\n",
            head.organization
        ),
        attached_type: "application/tlsrpt+gzip",
        name: head.file("json.gz"),
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
    use crate::reports::Tally;
    use mail_auth::report::tlsrpt::{FailureDetails, PolicyDetails, PolicyType, ResultType};
    use proptest::prelude::*;

    #[test]
    fn records_as_the_rfc_writes_them() {
        let of = |texts: &[&str]| wanted(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["v=TLSRPTv1;rua=mailto:reports@example.com"]).mail, ["reports@example.com"]);
        let both = of(&["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.example,https://c.example/v1"]);
        assert_eq!((both.mail.len(), both.https), (1, vec!["https://c.example/v1".to_string()]));
        for none in
            [&["v=TLSRPTv2; rua=mailto:a@b"][..], &["v=TLSRPTv1; rua=mailto:a@b", "v=TLSRPTv1; rua=mailto:c@d"], &[]]
        {
            assert_eq!(of(none), Wanted::default(), "{none:?}");
        }
        assert!(of(&["v=TLSRPTv1; rua=mailto:a@b%0d%0aX:y"]).mail.is_empty());
    }

    #[test]
    fn reports_are_read_by_others_and_have_no_nulls() {
        let tally = Tally::in_memory();
        let policy = PolicyDetails::new(PolicyType::Sts, "a.example");
        tally.tls_failure(&policy, FailureDetails::new(ResultType::CertificateExpired));
        let host = "n1.example";
        let head = Head {
            organization: "Us",
            contact: "tls@us.example",
            host,
            domain: "a.example",
            begin: 86_400,
            end: 172_799,
            id: "abc",
            now_ms: 172_800_000,
        };
        let gz = report(&head, tally.tls_of("a.example"));
        let raw = letter(&head, &["r@a.example".into()], &gz);
        let text = String::from_utf8_lossy(&raw);
        assert!(text.contains("filename=\"us.example!a.example!86400!172799!abc.json.gz\""), "{text}");
        let read = TlsReport::parse_rfc5322(&raw, 1 << 20).unwrap();
        assert_eq!(read.policies, tally.tls_of("a.example"));
        let mut json = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&gz[..]), &mut json).unwrap();
        assert!(!json.contains("null") && json.contains("\"start-datetime\":\"1970-01-02T00:00:00Z\""), "{json}");
    }

    proptest! {
        #[test]
        fn any_record_is_answered(text in "v=TLSRPTv1;( ?rua=(mailto:|https:|x)\\PC{0,20}[,;!]?){0,4}\\PC{0,10}") {
            for address in wanted(&[text]).mail {
                prop_assert!(is_address(&address));
            }
        }
    }
}
