//! What the server says (RFC 5804 §1.2, §1.3, §4).

use std::fmt;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Well.
    Ok,
    /// Not.
    No,
    /// The connection is closed.
    Bye,
}

/// Response codes (RFC 5804 §1.3).
///
/// `REFERRAL` is not among them because any node serves any account, and `TRANSITION-NEEDED` because it would tell
/// anybody which accounts there are and how their passwords are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// The mechanism is not good enough for this site.
    AuthTooWeak,
    /// The mechanism needs TLS.
    EncryptNeeded,
    /// No room.
    Quota,
    /// Too many scripts.
    MaxScripts,
    /// A script is, or all scripts together are, too large.
    MaxSize,
    /// What the mechanism says along with its success, base64.
    Sasl(String),
    /// Not now.
    TryLater,
    /// The script is active.
    Active,
    /// There is no such script.
    NonExistent,
    /// There is such a script.
    AlreadyExists,
    /// What NOOP was given.
    Tag(Vec<u8>),
    /// The script does what it says, but perhaps not what was meant.
    Warnings,
}

impl Code {
    fn write(&self, out: &mut Vec<u8>) {
        let (word, text): (&str, Option<&[u8]>) = match self {
            Code::AuthTooWeak => ("AUTH-TOO-WEAK", None),
            Code::EncryptNeeded => ("ENCRYPT-NEEDED", None),
            Code::Quota => ("QUOTA", None),
            Code::MaxScripts => ("QUOTA/MAXSCRIPTS", None),
            Code::MaxSize => ("QUOTA/MAXSIZE", None),
            Code::Sasl(data) => ("SASL", Some(data.as_bytes())),
            Code::TryLater => ("TRYLATER", None),
            Code::Active => ("ACTIVE", None),
            Code::NonExistent => ("NONEXISTENT", None),
            Code::AlreadyExists => ("ALREADYEXISTS", None),
            Code::Tag(tag) => ("TAG", Some(tag)),
            Code::Warnings => ("WARNINGS", None),
        };
        out.extend_from_slice(word.as_bytes());
        if let Some(text) = text {
            out.push(b' ');
            string(out, text);
        }
    }
}

/// The last line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How it ended.
    pub status: Status,
    /// For programs.
    pub code: Option<Code>,
    /// For people; may be empty.
    pub text: String,
}

impl Reply {
    /// `OK`.
    pub fn ok(text: impl Into<String>) -> Self {
        Reply { status: Status::Ok, code: None, text: text.into() }
    }
    /// `NO`.
    pub fn no(text: impl Into<String>) -> Self {
        Reply { status: Status::No, code: None, text: text.into() }
    }
    /// `BYE`.
    pub fn bye(text: impl Into<String>) -> Self {
        Reply { status: Status::Bye, code: None, text: text.into() }
    }
    /// The same with a response code.
    #[must_use]
    pub fn with(self, code: Code) -> Self {
        Reply { code: Some(code), ..self }
    }
    /// Appends it with its CRLF.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.status {
            Status::Ok => b"OK",
            Status::No => b"NO",
            Status::Bye => b"BYE",
        });
        if let Some(code) = &self.code {
            out.extend_from_slice(b" (");
            code.write(out);
            out.push(b')');
        }
        if !self.text.is_empty() {
            out.push(b' ');
            string(out, self.text.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// Bytes between the quotes of a string (RFC 5804 §4).
const QUOTED_BYTES_MAX: usize = 1024;

/// Appends a string: quoted where that can be, else a literal.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    let escapes = text.iter().filter(|b| matches!(b, b'"' | b'\\')).count();
    let bare = |b: &u8| !matches!(b, 0 | b'\r' | b'\n');
    if text.len() + escapes > QUOTED_BYTES_MAX || !text.iter().all(bare) || std::str::from_utf8(text).is_err() {
        return literal(out, text);
    }
    out.push(b'"');
    for b in text {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out.push(b'"');
}

/// Appends a literal in the server's form.
pub fn literal(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::words::{Bounds, Step, Word, Words};
    use proptest::prelude::*;

    #[test]
    fn codes() {
        for (reply, want) in [
            (Reply::ok(""), "OK\r\n"),
            (Reply::no("a \"b\" \\"), "NO \"a \\\"b\\\" \\\\\"\r\n"),
            (Reply::no("").with(Code::AuthTooWeak), "NO (AUTH-TOO-WEAK)\r\n"),
            (Reply::no("x").with(Code::EncryptNeeded), "NO (ENCRYPT-NEEDED) \"x\"\r\n"),
            (Reply::no("x").with(Code::Quota), "NO (QUOTA) \"x\"\r\n"),
            (Reply::no("x").with(Code::MaxScripts), "NO (QUOTA/MAXSCRIPTS) \"x\"\r\n"),
            (Reply::no("x").with(Code::MaxSize), "NO (QUOTA/MAXSIZE) \"x\"\r\n"),
            (Reply::ok("").with(Code::Sasl("cnNwYXV0aA==".into())), "OK (SASL \"cnNwYXV0aA==\")\r\n"),
            (Reply::bye("x").with(Code::TryLater), "BYE (TRYLATER) \"x\"\r\n"),
            (Reply::no("x").with(Code::Active), "NO (ACTIVE) \"x\"\r\n"),
            (Reply::no("x").with(Code::NonExistent), "NO (NONEXISTENT) \"x\"\r\n"),
            (Reply::no("x").with(Code::AlreadyExists), "NO (ALREADYEXISTS) \"x\"\r\n"),
            (Reply::ok("Done").with(Code::Tag(b"A\n".to_vec())), "OK (TAG {2}\r\nA\n) \"Done\"\r\n"),
            (Reply::ok("1\r\n2").with(Code::Warnings), "OK (WARNINGS) {4}\r\n1\r\n2\r\n"),
        ] {
            assert_eq!(reply.to_string(), want);
        }
    }

    proptest! {
        /// What is written can be read, with the same rules.
        #[test]
        fn strings_come_back(text in prop::collection::vec(any::<u8>(), 0..1_200)) {
            let mut out = Vec::new();
            string(&mut out, &text);
            let mut words = Words::new(Bounds { quoted: 1_024, literal: 2_000, command: 4_000 });
            let word = match out.windows(2).position(|w| w == b"\r\n") {
                Some(at) if out.starts_with(b"{") => {
                    let Ok(Step::Literal(size)) = words.line(&out[..at]) else { panic!("a literal") };
                    prop_assert_eq!(size, out.len() - at - 2);
                    words.literal(out[at + 2..].to_vec().into());
                    words.line(b"")
                }
                _ => words.line(&out),
            };
            prop_assert!(matches!(word, Ok(Step::Complete)));
            prop_assert_eq!(words.finish(), vec![Word::String(text.into())]);
        }
    }
}
