//! Mail that actions send, as bytes: pure, with ids, times and boundaries given by the caller. All lines end with CRLF.
//! All of it is to be sent with the null sender, so that nothing answers it.

mod report;

pub use report::{render_reject, render_script_error};

use crate::address;
use crate::encode;
use crate::outcome::{Notification, ReplyBody, Vacation};
use zcluster_mail::rfc5322_date_at;

/// What makes one mail different from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// `unique@host`, without `<>`.
    pub message_id: &'a str,
    /// When, Unix milliseconds.
    pub unix_ms: i64,
    /// Minutes that the clocks of whoever sends it are ahead of UTC.
    pub minutes: i32,
    /// ASCII letters and digits that no part of the mail contains after `--`.
    pub boundary: &'a str,
    /// This server's host name.
    pub server: &'a str,
}

/// An address with or without a name, as a field has it.
fn mailbox(text: &str) -> String {
    match address::parse(text) {
        Some(m) => encode::mailbox(m.name.as_deref(), &m.addr_spec()),
        None => text.chars().filter(|c| !c.is_control()).collect(),
    }
}

fn mailboxes(name: &str, list: &[String]) -> String {
    match list {
        [] => String::new(),
        _ => encode::folded(name, &list.iter().map(|a| mailbox(a)).collect::<Vec<_>>().join(", ")),
    }
}

/// `Date`, `Message-ID` and `MIME-Version`.
fn stamped(stamp: &Stamp<'_>) -> String {
    let id: String = stamp.message_id.chars().filter(|c| c.is_ascii_graphic() && !"<>".contains(*c)).collect();
    let date = rfc5322_date_at(stamp.unix_ms, stamp.minutes);
    format!("Date: {date}\r\nMessage-ID: <{id}>\r\nMIME-Version: 1.0\r\n")
}

/// The reply of a `vacation` (RFC 5230 §5).
pub fn render_vacation(vacation: &Vacation, stamp: &Stamp<'_>) -> Vec<u8> {
    let mut out = String::new();
    out.push_str(&encode::folded("From", &mailbox(&vacation.from)));
    out.push_str(&encode::folded("To", &mailbox(&vacation.to)));
    out.push_str(&encode::field("Subject", &vacation.subject));
    if let Some(id) = &vacation.in_reply_to {
        out.push_str(&encode::folded("In-Reply-To", id));
    }
    if !vacation.references.is_empty() {
        out.push_str(&encode::folded("References", &vacation.references.join(" ")));
    }
    // RFC 3834 §5: who answers this answers a machine.
    out.push_str("Auto-Submitted: auto-replied (vacation)\r\n");
    out.push_str(&stamped(stamp));
    match &vacation.body {
        ReplyBody::Text(text) => out.push_str(&encode::text_entity(text)),
        ReplyBody::Mime(entity) => out.push_str(&mime_entity(entity)),
    }
    out.into_bytes()
}

/// A script's own MIME entity: of its header only what describes the content may stay.
fn mime_entity(entity: &str) -> String {
    let entity = encode::crlf(entity);
    let mut out = String::new();
    let mut header = 0;
    for field in zcluster_mail::fields(entity.as_bytes()) {
        header += field.raw.len();
        if field.name.to_ascii_lowercase().starts_with(b"content-") {
            out.push_str(String::from_utf8_lossy(field.raw).trim_end());
            out.push_str("\r\n");
        }
    }
    let body = entity.get(header..).unwrap_or_default();
    out.push_str("\r\n");
    out.push_str(body.strip_prefix("\r\n").unwrap_or(body));
    if !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out
}

/// The mail of a `notify` (RFC 5436 §2.7).
pub fn render_notification(notification: &Notification, stamp: &Stamp<'_>) -> Vec<u8> {
    let mut out = String::new();
    let owner: String = notification.owner.chars().filter(|c| !c.is_control() && !"\"\\".contains(*c)).collect();
    out.push_str(&encode::folded("Auto-Submitted", &format!("auto-notified; owner-email=\"{owner}\"")));
    out.push_str(&encode::folded("From", &mailbox(&notification.from)));
    out.push_str(&mailboxes("To", &notification.to));
    out.push_str(&mailboxes("Cc", &notification.cc));
    if notification.to.is_empty() && notification.cc.is_empty() {
        out.push_str("To: undisclosed-recipients:;\r\n");
    }
    out.push_str(&encode::field("Subject", &notification.subject));
    out.push_str(match notification.importance {
        1 => "Importance: high\r\nX-Priority: 1\r\n",
        3 => "Importance: low\r\nX-Priority: 5\r\n",
        _ => "Importance: normal\r\nX-Priority: 3\r\n",
    });
    let has = |name: &str| ["importance", "x-priority"].iter().any(|n| n.eq_ignore_ascii_case(name));
    for (name, value) in notification.headers.iter().filter(|(name, _)| !has(name)) {
        out.push_str(&encode::field(name, value));
    }
    out.push_str(&stamped(stamp));
    out.push_str(&encode::text_entity(&notification.body));
    out.into_bytes()
}
