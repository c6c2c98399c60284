//! Messages that tests send.

use std::sync::atomic::{AtomicU64, Ordering};

/// A message with its own Message-ID and CRLF line ends.
pub fn message(id: &str, size: usize) -> Vec<u8> {
    let mut text = format!(
        "From: Sender <sender@example.org>\r\nTo: someone@example.com\r\nSubject: {id}\r\nMessage-ID: <{id}@ledger>\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    let mut line = 0;
    while text.len() < size {
        line += 1;
        text.push_str(&format!("line {line} of {id}: the quick brown fox jumps over the lazy dog\r\n"));
    }
    text.into_bytes()
}

/// A name that no other message of this run has.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}.{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A message with everything that careless software changes: leading dots, 8-bit text, tabs, trailing blanks, a long
/// line, folded headers, empty lines at the end, an attachment, and lines that look like mbox separators.
pub fn delicate(id: &str) -> Vec<u8> {
    let long = "x".repeat(900);
    format!(
        "From: =?utf-8?Q?J=C3=BCrgen?= <sender@example.org>\r\nTo: someone@example.com\r\n\
         Subject: delicate\r\n\tfolded {id}\r\nMessage-ID: <{id}@ledger>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\
         X-Empty: \r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b=_1\"\r\n\r\n\
         This is a multi-part message.\r\n--b=_1\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e aus K\u{f6}ln \u{2014} \u{65e5}\u{672c}\u{8a9e}\r\n\
         .a leading dot\r\n..two\r\n.\u{20}\r\ntrailing blanks   \r\n\ttab\tinside\r\n{long}\r\n>From here\r\n\r\n\
         --b=_1\r\nContent-Type: application/octet-stream; name=\"a.bin\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"a.bin\"\r\n\r\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\r\n\
         --b=_1--\r\n\r\n\r\n"
    )
    .into_bytes()
}

/// The Message-ID's local part, as the ledger names messages.
pub fn id_of(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let head = text.split("\r\n\r\n").next()?;
    let line = head.lines().find(|line| line.len() > 11 && line[..11].eq_ignore_ascii_case("message-id:"))?;
    Some(line[11..].trim().trim_start_matches('<').trim_end_matches('>').trim_end_matches("@ledger").to_owned())
}
