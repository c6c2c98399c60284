//! Reports: of a refused message to its sender, of a failed script to its owner.

use super::{Stamp, mailbox, stamped};
use crate::encode;
use crate::outcome::RuntimeError;
use crate::run::Envelope;

/// Bytes of the original header that a report shows.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// The header of the original message, whole lines, as far as a report shows it.
fn original_header(original: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in zcluster_mail::fields(original) {
        if out.len() + field.raw.len() > HEADER_BYTES_MAX {
            break;
        }
        // Lines end as those of a report do.
        for line in field.raw.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            out.extend(line.strip_suffix(b"\r").unwrap_or(line).iter().map(|b| if *b == 0 { b'?' } else { *b }));
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// A value of a report's field: on one line.
fn value(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_string()
}

/// The message that tells a sender that `reject` or `ereject` refused the mail: a disposition notification (RFC 5429
/// §2.2, RFC 8098). Goes to the envelope's sender; there is nothing to send when that is the null sender.
pub fn render_reject(reason: &str, original: &[u8], envelope: &Envelope, stamp: &Stamp<'_>) -> Vec<u8> {
    let header = zcluster_mail::fields(original).find(|f| f.is("message-id"));
    let mut about = format!("Reporting-UA: {}; zcluster Sieve\r\n", value(stamp.server));
    if let Some(original_to) = &envelope.orig_to {
        about.push_str(&format!("Original-Recipient: rfc822; {}\r\n", value(original_to)));
    }
    about.push_str(&format!("Final-Recipient: rfc822; {}\r\n", value(&envelope.to)));
    if let Some(id) = header {
        about.push_str(&format!("Original-Message-ID: {}\r\n", value(&zcluster_mail::decode_words(id.value))));
    }
    about.push_str("Disposition: automatic-action/MDN-sent-automatically; deleted\r\n");
    let text = format!(
        "Your message to <{}> was automatically rejected. The following reason was given:\n\n{reason}\n",
        value(&envelope.to)
    );
    let mut out = String::new();
    out.push_str(&encode::folded("From", &mailbox(&envelope.to)));
    out.push_str(&encode::folded("To", &mailbox(&envelope.from)));
    out.push_str("Subject: Automatically rejected mail\r\n");
    out.push_str("Auto-Submitted: auto-replied (rejected)\r\n");
    out.push_str(&stamped(stamp));
    report(
        out,
        "disposition-notification",
        stamp,
        &[("", &text), ("message/disposition-notification", &about)],
        original,
    )
}

/// A mail that tells a script's owner that it failed, and that the message is in the inbox.
pub fn render_script_error(
    error: &RuntimeError,
    script: &str,
    owner: &str,
    original: &[u8],
    stamp: &Stamp<'_>,
) -> Vec<u8> {
    let text = format!(
        "Your mail filter \"{}\" failed for the message whose header is attached:\n\n  {error}\n\n\
         The message was kept in your inbox as it came; nothing else that the filter wanted to do with it was done.\n",
        value(script)
    );
    let mut out = String::new();
    out.push_str(&encode::folded(
        "From",
        &encode::mailbox(Some("Mail filter"), &format!("postmaster@{}", value(stamp.server))),
    ));
    out.push_str(&encode::folded("To", &mailbox(owner)));
    out.push_str("Subject: Your mail filter failed\r\n");
    out.push_str("Auto-Submitted: auto-generated\r\n");
    out.push_str(&stamped(stamp));
    report(out, "", stamp, &[("", &text)], original)
}

/// A multipart of texts (an empty type is plain text for people) and the original's header.
fn report(mut out: String, kind: &str, stamp: &Stamp<'_>, texts: &[(&str, &str)], original: &[u8]) -> Vec<u8> {
    let boundary: String = stamp.boundary.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    let boundary = format!("=_{boundary}");
    match kind {
        "" => out.push_str("Content-Type: multipart/mixed;\r\n"),
        kind => out.push_str(&format!("Content-Type: multipart/report; report-type={kind};\r\n")),
    }
    out.push_str(&format!(" boundary=\"{boundary}\"\r\n\r\n"));
    for (media_type, text) in texts {
        out.push_str(&format!("--{boundary}\r\n"));
        if media_type.is_empty() {
            out.push_str(&encode::text_entity(text));
        } else {
            let encoding = if text.is_ascii() { "7bit" } else { "8bit" };
            out.push_str(&format!("Content-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{text}"));
        }
        out.push_str("\r\n");
    }
    let header = original_header(original);
    let encoding = if header.is_ascii() { "7bit" } else { "8bit" };
    out.push_str(&format!(
        "--{boundary}\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    ));
    let mut out = out.into_bytes();
    out.extend(header);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}
