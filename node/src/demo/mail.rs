//! A handful of messages, so that there is something to look at.

use super::cluster::Cluster;
use super::smtp::Smtp;
use super::{ACCOUNTS, DOMAIN};
use anyhow::{Context, Result};

/// A sample: from, to (indexes of accounts), subject as written in the header, type, body.
struct Sample(usize, usize, &'static str, &'static str, &'static str);

const PLAIN: &str = "text/plain; charset=utf-8";

const SAMPLES: [Sample; 6] = [
    Sample(
        0,
        1,
        "Welcome to zcluster",
        PLAIN,
        "Hello Alice,\n\nyour mailbox lives on three nodes. Kill one of them; it stays.\n\nadmin\n",
    ),
    Sample(
        0,
        2,
        "Welcome to zcluster",
        PLAIN,
        "Hello Bob,\n\nyour mailbox lives on three nodes. Kill one of them; it stays.\n\nadmin\n",
    ),
    Sample(1, 2, "Lunch on Thursday?", PLAIN, "Hi Bob,\n\nthe new place by the river, at noon?\n\nAlice\n"),
    Sample(
        2,
        1,
        "Re: Lunch on Thursday?",
        PLAIN,
        "Gladly. I shall book a table for two.\n\n> the new place by the river, at noon?\n\nBob\n",
    ),
    Sample(
        2,
        1,
        "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=",
        "text/html; charset=utf-8",
        "<html><body><h1>Gr\u{fc}\u{df}e aus K\u{f6}ln</h1><p>Der <b>Dom</b> steht noch. \u{2614}</p></body></html>\n",
    ),
    Sample(
        1,
        2,
        "Figures for the third quarter",
        "multipart/mixed; boundary=\"quarter\"",
        "This is a message in MIME format.\n--quarter\nContent-Type: text/plain; charset=utf-8\n\nBob, the figures are \
         attached.\n--quarter\nContent-Type: text/csv; name=\"q3.csv\"\nContent-Disposition: attachment; \
         filename=\"q3.csv\"\n\nmonth,mailboxes\nJuly,1200\nAugust,1350\nSeptember,1710\n--quarter--\n",
    ),
];

/// Delivers the samples through one node after the other.
///
/// # Errors
/// A node refused.
pub async fn deliver_samples(cluster: &Cluster) -> Result<()> {
    let address = |index: usize| format!("{}@{DOMAIN}", ACCOUNTS[index]);
    for (n, Sample(from, to, subject, kind, body)) in SAMPLES.iter().enumerate() {
        let member = &cluster.members[n % cluster.members.len()];
        let (from, to) = (address(*from), address(*to));
        let header = header(&from, &to, subject, &format!("sample-{n}@{DOMAIN}"));
        let message = format!("{header}MIME-Version: 1.0\nContent-Type: {kind}\n\n{body}");
        let lmtp = n % 2 == 1;
        let port = if lmtp { member.ports.lmtp } else { member.ports.smtp };
        let mut smtp = Smtp::connect(port, lmtp).await?;
        smtp.deliver(&from, &to, &message).await.with_context(|| format!("node {}", member.number))?;
    }
    Ok(())
}

/// The header of a message, dated now (RFC 5322 §3.6).
pub fn header(from: &str, to: &str, subject: &str, id: &str) -> String {
    let now = chrono::DateTime::from_timestamp_millis(zcluster_runtime::wall_ms() as i64).unwrap_or_default();
    format!("From: <{from}>\nTo: <{to}>\nSubject: {subject}\nDate: {}\nMessage-ID: <{id}>\n", now.to_rfc2822())
}
