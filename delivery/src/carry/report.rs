//! Delivery status notifications (RFC 3461 §6, RFC 3464): a text for people, fields for programs, the header that came.

use super::Failure;
use crate::plan::Ids;
use std::fmt::Write;
use zcluster_api::Letter;

/// Bytes of the original's header that are returned.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// The report about recipients that will never have the letter.
pub(super) fn report(letter: &Letter, failed: &[(String, Failure)], now_ms: u64, hostname: &str) -> Vec<u8> {
    let ids = Ids::new(hostname);
    let stamp = ids.stamp(hostname);
    let (boundary, id) = (stamp.boundary, stamp.message_id);
    let date = zcluster_mail::rfc5322_date(now_ms as i64);
    let arrived = zcluster_mail::rfc5322_date(letter.message.queued_ms as i64);
    let mut out = format!(
        "From: Mail Delivery System <MAILER-DAEMON@{hostname}>\r\n\
         To: <{to}>\r\n\
         Subject: Undelivered Mail Returned to Sender\r\n\
         Date: {date}\r\n\
         Message-ID: <{id}>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         This is the mail system at {hostname}.\r\n\r\n\
         Your message could not be delivered to:\r\n\r\n",
        to = letter.message.sender,
    );
    for (recipient, failure) in failed {
        let _ = write!(out, "<{recipient}>: {} {}\r\n", failure.status, one_line(&failure.text));
    }
    let _ = write!(
        out,
        "\r\n--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; {hostname}\r\nArrival-Date: {arrived}\r\n"
    );
    for (recipient, failure) in failed {
        let status = if failure.permanent { failure.status.clone() } else { gave_up(&failure.status) };
        let _ = write!(
            out,
            "\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: {status}\r\n\
             Diagnostic-Code: smtp; {} {}\r\n",
            failure.status,
            one_line(&failure.text)
        );
        if let Some(host) = &failure.host {
            let _ = write!(out, "Remote-MTA: dns; {host}\r\n");
        }
    }
    let _ = write!(out, "\r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(header_of(&letter.raw));
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

/// A temporary status that was waited for in vain stays what it was, but as a failure (RFC 3463 §2).
fn gave_up(status: &str) -> String {
    status.strip_prefix('4').map_or_else(|| status.to_string(), |rest| format!("5{rest}"))
}

/// What other hosts say must not write fields of ours.
fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).take(500).collect()
}

/// The header, whole lines, within bounds.
fn header_of(raw: &[u8]) -> &[u8] {
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n").map_or(raw.len(), |at| at + 2);
    let header = &raw[..end];
    if header.len() <= HEADER_BYTES_MAX {
        return header;
    }
    let cut = header[..HEADER_BYTES_MAX].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    &header[..cut]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_stay_in_their_line() {
        assert_eq!(one_line("a\r\nX: y"), "a  X: y");
        assert_eq!(gave_up("4.2.2"), "5.2.2");
        assert_eq!(header_of(b"A: b\r\nC: d\r\n\r\nbody"), b"A: b\r\nC: d\r\n");
        assert_eq!(header_of(b"A: b"), b"A: b");
    }
}
