//! Text as header fields and MIME bodies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// RFC 5322 §2.1.1: lines should not be longer.
const LINE_MAX: usize = 76;
/// No line may be longer than 998; a word longer than this is encoded, which splits it.
const WORD_MAX: usize = 900;
/// Bytes of text in one encoded word: 60 in base64, with `=?utf-8?b?` and `?=` 72 (RFC 2047 §2: at most 75).
const ENCODED_BYTES: usize = 45;

/// A header field with its last CRLF: unstructured text, encoded (RFC 2047) and folded where it must be.
pub(crate) fn field(name: &str, value: &str) -> String {
    let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let value = value.trim();
    let plain = value.is_ascii() && !value.contains("=?") && value.split(' ').all(|w| w.len() <= WORD_MAX);
    if plain { folded(name, value) } else { folded(name, &encoded_words(value)) }
}

/// A structured field, already encoded: folded at its spaces.
pub(crate) fn folded(name: &str, value: &str) -> String {
    let mut out = format!("{name}:");
    let mut column = out.len();
    let mut after_space = true;
    for word in value.split(' ') {
        // Runs of spaces stay on one line, as readers may make one space of a fold; unless the line gets too long.
        let single = !after_space && !word.is_empty();
        let max = if single { LINE_MAX } else { WORD_MAX };
        if column + 1 + word.len() > max && column > name.len() + 1 && !word.is_empty() {
            out.push_str("\r\n");
            column = 0;
        }
        after_space = word.is_empty();
        out.push(' ');
        out.push_str(word);
        column += 1 + word.len();
    }
    out.truncate(out.trim_end_matches([' ', '\r', '\n']).len());
    out.push_str("\r\n");
    out
}

/// RFC 2047 words, base64, a space between them.
fn encoded_words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while !rest.is_empty() {
        let mut end = rest.len().min(ENCODED_BYTES);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (now, later) = rest.split_at(end);
        if !out.is_empty() {
            out.push(' ');
        }
        let _ = write!(out, "=?utf-8?b?{}?=", STANDARD.encode(now));
        rest = later;
    }
    out
}

/// An address with a name, encoded.
pub(crate) fn mailbox(name: Option<&str>, address: &str) -> String {
    let clean: String = name.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    match clean.trim() {
        "" => address.to_string(),
        name if name.is_ascii() && !name.contains("=?") => {
            format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\""))
        }
        name => format!("{} <{address}>", encoded_words(name)),
    }
}

/// Line breaks of any kind as CRLF.
pub(crate) fn crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push_str("\r\n");
            }
            '\n' => out.push_str("\r\n"),
            c => out.push(c),
        }
    }
    out
}

/// A `text/plain` entity: Content fields, empty line, body that ends with CRLF.
pub(crate) fn text_entity(text: &str) -> String {
    let mut text = crlf(text);
    if !text.ends_with("\r\n") {
        text.push_str("\r\n");
    }
    let plain = text.is_ascii() && !text.contains('\0') && text.split("\r\n").all(|l| l.len() <= WORD_MAX);
    if plain {
        return format!("Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{text}");
    }
    let mut out = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_string();
    let encoded = STANDARD.encode(text.as_bytes());
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, later) = rest.split_at(rest.len().min(LINE_MAX));
        out.push_str(line);
        out.push_str("\r\n");
        rest = later;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields() {
        assert_eq!(field("Subject", "plain"), "Subject: plain\r\n");
        assert_eq!(field("Subject", "a\r\nX: y"), "Subject: a  X: y\r\n");
        assert_eq!(field("Subject", "ü"), "Subject: =?utf-8?b?w7w=?=\r\n");
        assert_eq!(field("Subject", ""), "Subject:\r\n");
        assert_eq!(mailbox(Some("Joe \"Q\""), "a@b"), "\"Joe \\\"Q\\\"\" <a@b>");
        assert_eq!(mailbox(Some("Jörg"), "a@b"), "=?utf-8?b?SsO2cmc=?= <a@b>");
        assert_eq!(mailbox(None, "a@b"), "a@b");
    }

    proptest! {
        #[test]
        fn fields_read_back(value in "[ -~äöü€😀]{0,300}") {
            let field = field("X", &value);
            let one = zcluster_mail::fields(field.as_bytes()).count();
            prop_assert_eq!(one, 1);
            prop_assert!(field.split("\r\n").all(|l| l.len() <= 998));
            let read = zcluster_mail::decode_words(zcluster_mail::fields(field.as_bytes()).next().unwrap().value);
            prop_assert_eq!(read, value.trim());
        }
    }
}
