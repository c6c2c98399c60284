//! Trace header fields that a receiving server adds (RFC 5321 §4.4).

use crate::date::rfc5322_date;
use std::fmt::Write;

/// What a `Received:` field tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received<'a> {
    /// The name the client gave with HELO, EHLO or LHLO.
    pub helo: &'a str,
    /// The client's address: `192.0.2.1`, `2001:db8::1`.
    pub ip: &'a str,
    /// This server.
    pub by: &'a str,
    /// `ESMTP`, `ESMTPS`, `LMTP`, ... (RFC 3848).
    pub with: &'a str,
    /// Names the transaction in our logs.
    pub id: &'a str,
    /// The one recipient, if there is one.
    pub recipient: Option<&'a str>,
    /// When, Unix milliseconds.
    pub unix_ms: i64,
}

/// The longest piece of client-chosen text that goes into a trace field, bytes: RFC 5322 §2.1.1 allows 998 a line.
const TEXT_MAX: usize = 320;

/// A `Received:` field (RFC 5321 §4.4), folded, with its last CRLF. Text that the client chose cannot break out of it.
pub fn received(r: &Received<'_>) -> String {
    let mut out = String::with_capacity(256);
    // Writing into a String cannot fail.
    let _ = write!(out, "Received: from {} ({})\r\n", clean(r.helo), address_literal(r.ip));
    let _ = write!(out, "\tby {} with {} id {}", clean(r.by), clean(r.with), clean(r.id));
    if let Some(recipient) = r.recipient {
        let _ = write!(out, "\r\n\tfor <{}>", clean(recipient));
    }
    let _ = write!(out, ";\r\n\t{}\r\n", rfc5322_date(r.unix_ms));
    out
}

/// A `Return-Path:` field with its CRLF; the empty sender gives `<>`.
pub fn return_path(sender: &str) -> String {
    format!("Return-Path: <{}>\r\n", if sender.is_empty() { String::new() } else { clean(sender) })
}

/// RFC 5321 §4.1.3.
fn address_literal(ip: &str) -> String {
    let ip = clean(ip);
    if ip.contains(':') { format!("[IPv6:{ip}]") } else { format!("[{ip}]") }
}

/// Text with whatever could end a line, a comment or an address made `?`; never empty.
fn clean(text: &str) -> String {
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '(' | ')' | '<' | '>' | ';' | '\\');
    let mut out = String::new();
    for c in text.chars() {
        if out.len() + c.len_utf8() > TEXT_MAX {
            break;
        }
        out.push(if bad(c) { '?' } else { c });
    }
    if out.is_empty() { "unknown".into() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let r = Received {
            helo: "mail.example.org",
            ip: "2001:db8::1",
            by: "n1.example.com",
            with: "ESMTPS",
            id: "abc",
            recipient: Some("bob@example.com"),
            unix_ms: 880_127_706_000,
        };
        assert_eq!(
            received(&r),
            "Received: from mail.example.org ([IPv6:2001:db8::1])\r\n\tby n1.example.com with ESMTPS id abc\r\n\t\
             for <bob@example.com>;\r\n\tFri, 21 Nov 1997 15:55:06 +0000\r\n"
        );
        let evil = received(&Received { helo: "a\r\nX: y (", ip: "", recipient: None, ..r });
        assert!(evil.starts_with("Received: from a??X:?y?? ([unknown])\r\n\tby"), "{evil}");
        assert_eq!(return_path(""), "Return-Path: <>\r\n");
        assert_eq!(return_path("a@b>\n"), "Return-Path: <a@b??>\r\n");
        assert!(return_path(&"x".repeat(9_999)).len() < 400);
    }
}
