//! Delivery status notifications (RFC 3461 §6, RFC 3464, RFC 6533): a text for people, fields for programs, and of the
//! message its header, or all of it where its sender asked for that.

use super::{Failure, Taken};
use crate::plan::Ids;
use std::fmt::Write;
use zcluster_api::Letter;
use zcluster_api::queue::Ret;

/// Bytes of the original's header that are returned.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// A message larger than this comes back without its body (Postfix's `bounce_size_limit`).
const FULL_BYTES_MAX: usize = 50_000;

/// What became of a recipient.
pub(super) enum What {
    /// Will never have it.
    Failed(Failure),
    /// Does not have it yet.
    Delayed(Failure),
    /// Another host has it that will not report.
    Relayed(Taken),
    /// Has it.
    Delivered,
}

/// Something to tell.
pub(super) struct Event {
    pub recipient: String,
    pub what: What,
}

impl What {
    fn action(&self) -> &'static str {
        match self {
            What::Failed(_) => "failed",
            What::Delayed(_) => "delayed",
            What::Relayed(_) => "relayed",
            What::Delivered => "delivered",
        }
    }

    fn status(&self) -> String {
        match self {
            What::Failed(f) if !f.permanent => gave_up(&f.status),
            What::Failed(f) | What::Delayed(f) => f.status.clone(),
            What::Relayed(_) | What::Delivered => "2.0.0".into(),
        }
    }

    fn words(&self) -> String {
        match self {
            What::Failed(f) | What::Delayed(f) => format!("{} {}", f.status, one_line(&f.text)),
            What::Relayed(t) => format!("relayed to {}, which does not report", t.host.as_deref().unwrap_or("a host")),
            What::Delivered => "delivered".into(),
        }
    }
}

/// The report; `until_ms`: until when what is delayed is tried.
pub(super) fn report(letter: &Letter, events: &[Event], (now_ms, until_ms): (u64, u64), hostname: &str) -> Vec<u8> {
    let ids = Ids::new(hostname);
    let stamp = ids.stamp(hostname);
    let (boundary, id) = (stamp.boundary, stamp.message_id);
    let date = zcluster_mail::rfc5322_date(now_ms as i64);
    let mut out = format!(
        "From: Mail Delivery System <MAILER-DAEMON@{hostname}>\r\n\
         To: <{to}>\r\n\
         Subject: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <{id}>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         This is the mail system at {hostname}.\r\n",
        to = letter.message.sender,
        subject = subject(events),
    );
    text(&mut out, events, until_ms);
    fields(&mut out, letter, events, (boundary, hostname, until_ms));
    original(&mut out, letter, boundary)
}

fn has(events: &[Event], action: &str) -> bool {
    events.iter().any(|e| e.what.action() == action)
}

fn subject(events: &[Event]) -> &'static str {
    if has(events, "failed") {
        "Undelivered Mail Returned to Sender"
    } else if has(events, "delayed") {
        "Delayed Mail (still being retried)"
    } else {
        "Successful Mail Delivery Report"
    }
}

fn text(out: &mut String, events: &[Event], until_ms: u64) {
    let until = zcluster_mail::rfc5322_date(until_ms as i64);
    let sections = [
        ("failed", "Your message could not be delivered to:".to_string()),
        (
            "delayed",
            format!(
                "Your message could not be delivered yet. It will be tried until\r\n{until}; you need not send it again:"
            ),
        ),
        ("relayed", "Your message was handed to the host of:".to_string()),
        ("delivered", "Your message was delivered to:".to_string()),
    ];
    for (action, heading) in sections {
        if has(events, action) {
            let _ = write!(out, "\r\n{heading}\r\n\r\n");
        }
        for event in events.iter().filter(|e| e.what.action() == action) {
            let _ = write!(out, "<{}>: {}\r\n", event.recipient, event.what.words());
        }
    }
}

fn fields(out: &mut String, letter: &Letter, events: &[Event], (boundary, hostname, until_ms): (&str, &str, u64)) {
    // RFC 6533 §3: addresses beyond ASCII have a type and a media type of their own.
    let global = events.iter().any(|e| !e.recipient.is_ascii());
    let media = if global { "message/global-delivery-status" } else { "message/delivery-status" };
    let arrived = zcluster_mail::rfc5322_date(letter.message.queued_ms as i64);
    let _ = write!(out, "\r\n--{boundary}\r\nContent-Type: {media}\r\n\r\nReporting-MTA: dns; {hostname}\r\n");
    let terms = letter.message.terms.as_deref();
    if let Some(envid) = terms.and_then(|t| t.envid.as_deref()) {
        let _ = write!(out, "Original-Envelope-Id: {}\r\n", one_line(&xtext(envid)));
    }
    let _ = write!(out, "X-Zcluster-Queue-Id: {}.{}\r\n", letter.group.0, letter.message.number);
    let _ = write!(out, "Arrival-Date: {arrived}\r\n");
    for Event { recipient, what } in events {
        out.push_str("\r\n");
        let orcpt = terms.and_then(|t| t.of(recipient)).and_then(|r| r.orcpt.as_deref());
        if let Some((kind, address)) = orcpt.and_then(|o| o.split_once(';')) {
            let _ = write!(out, "Original-Recipient: {}; {}\r\n", one_line(kind), one_line(&xtext(address)));
        }
        let kind = if recipient.is_ascii() { "rfc822" } else { "utf-8" };
        let (action, status) = (what.action(), what.status());
        let _ = write!(out, "Final-Recipient: {kind}; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n");
        let host = match what {
            What::Failed(f) | What::Delayed(f) => {
                // RFC 3464 §2.3.6: `smtp` is for what an SMTP server said.
                let kind = if f.host.is_some() { "smtp" } else { "X-Zcluster" };
                let _ = write!(out, "Diagnostic-Code: {kind}; {}\r\n", one_line(&f.text));
                f.host.as_deref()
            }
            What::Relayed(t) => {
                let _ = write!(out, "Diagnostic-Code: smtp; {}\r\n", one_line(&t.text));
                t.host.as_deref()
            }
            What::Delivered => None,
        };
        if let Some(host) = host {
            let _ = write!(out, "Remote-MTA: dns; {}\r\n", one_line(host));
        }
        if matches!(what, What::Delayed(_)) {
            let _ = write!(out, "Will-Retry-Until: {}\r\n", zcluster_mail::rfc5322_date(until_ms as i64));
        }
    }
}

/// Ends the report with what is returned of the message.
fn original(out: &mut String, letter: &Letter, boundary: &str) -> Vec<u8> {
    let full = letter.message.terms.as_ref().is_some_and(|t| t.ret == Some(Ret::Full));
    let full = full && letter.raw.len() <= FULL_BYTES_MAX;
    let part = if full { &letter.raw[..] } else { header_of(&letter.raw) };
    let media = match (full, part.is_ascii()) {
        (true, true) => "message/rfc822",
        (true, false) => "message/rfc822\r\nContent-Transfer-Encoding: 8bit",
        (false, true) => "text/rfc822-headers",
        (false, false) => "message/global-headers\r\nContent-Transfer-Encoding: 8bit",
    };
    let _ = write!(out, "\r\n--{boundary}\r\nContent-Type: {media}\r\n\r\n");
    let mut out = std::mem::take(out).into_bytes();
    out.extend_from_slice(part);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

/// A temporary status that was waited for in vain stays what it was, but as a failure (RFC 3463 §2).
fn gave_up(status: &str) -> String {
    status.strip_prefix('4').map_or_else(|| status.to_string(), |rest| format!("5{rest}"))
}

/// What others say must not write fields of ours.
fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).take(500).collect()
}

/// What xtext stands for (RFC 3461 §4).
fn xtext(text: &str) -> String {
    let (mut out, bytes) = (Vec::with_capacity(text.len()), text.as_bytes());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (b, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'+', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(b);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
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
    use proptest::prelude::*;
    use zcluster_api::delivery::{Outgoing, OutgoingKind};
    use zcluster_api::queue::{RecipientTerms, Terms};
    use zcluster_api::{BlobId, BlobRef, Bytes, Codec, GroupId, Place};

    #[test]
    fn texts_of_others_stay_in_their_line() {
        assert_eq!(one_line("a\r\nX: y"), "a  X: y");
        assert_eq!(gave_up("4.2.2"), "5.2.2");
        assert_eq!(header_of(b"A: b\r\nC: d\r\n\r\nbody"), b"A: b\r\nC: d\r\n");
        assert_eq!(header_of(b"A: b"), b"A: b");
        assert_eq!((xtext("a+2Bb+3D+"), xtext("+0D+0AX")), ("a+b=+".into(), "\r\nX".into()));
    }

    fn letter(ret: Option<Ret>) -> Letter {
        let place = Place::Shard { codec: Codec::Plain, stored: 1, chunks: 1 };
        let asked =
            RecipientTerms { address: "a@x".into(), orcpt: Some("rfc822;old+2Ba@x".into()), ..Default::default() };
        let terms = Terms { ret, envid: Some("id+2B7".into()), recipients: vec![asked], ..Terms::default() };
        let message = Outgoing {
            number: 7,
            kind: OutgoingKind::Submitted,
            queued_ms: 1_000,
            due_ms: 1_000,
            attempts: 1,
            sender: "s@y".into(),
            recipients: vec!["a@x".into()],
            blob: BlobRef { id: BlobId([0; 32]), size: 1, place, at: None },
            note: String::new(),
            terms: Some(Box::new(terms)),
            held: false,
            warned: false,
        };
        Letter { group: GroupId(3), message, raw: Bytes::from_static(b"Subject: s\r\n\r\nbody\r\n") }
    }

    #[test]
    fn a_report_has_what_the_sender_gave() {
        let failure = Failure { host: Some("mx.x".into()), ..Failure::temporary("4.2.2", "452 full\r\nX: y") };
        let event = |what| vec![Event { recipient: "a@x".into(), what }];
        let told =
            |ret, events: &[Event]| String::from_utf8(report(&letter(ret), events, (2_000, 3_000), "h")).unwrap();
        let late = told(None, &event(What::Delayed(failure.clone())));
        for part in [
            "Subject: Delayed",
            "Original-Envelope-Id: id+7\r\n",
            "Original-Recipient: rfc822; old+a@x\r\n",
            "Action: delayed\r\nStatus: 4.2.2\r\nDiagnostic-Code: smtp; 452 full  X: y\r\nRemote-MTA: dns; mx.x\r\n",
            "Will-Retry-Until: ",
            "text/rfc822-headers\r\n\r\nSubject: s\r\n",
        ] {
            assert!(late.contains(part), "{part}\n{late}");
        }
        assert!(!late.contains("body\r\n"));
        let full = told(Some(Ret::Full), &event(What::Failed(failure)));
        assert!(full.contains("message/rfc822\r\n\r\nSubject: s\r\n\r\nbody\r\n"), "{full}");
        assert!(full.contains("Action: failed\r\nStatus: 5.2.2\r\n"), "{full}");
        let sent = told(None, &event(What::Relayed(Taken { host: Some("mx.x".into()), ..Taken::default() })));
        assert!(
            sent.contains("Subject: Successful") && sent.contains("Action: relayed\r\nStatus: 2.0.0\r\n"),
            "{sent}"
        );
    }

    proptest! {
        #[test]
        fn nothing_in_xtext_breaks_it(text in "[+0-9A-Fa-z]{0,20}|\\PC{0,20}") {
            prop_assert!(!one_line(&xtext(&text)).contains(['\r', '\n']));
        }
    }
}
