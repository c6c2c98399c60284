//! Words to commands (RFC 5804 §2).

use super::words::Word;
use zcluster_api::Bytes;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Signs in: mechanism and initial response (RFC 5804 §2.1).
    Authenticate(String, Option<Bytes>),
    /// TLS from here on (§2.2).
    StartTls,
    /// The end (§2.3).
    Logout,
    /// What is on offer (§2.4).
    Capability,
    /// Whether a script of such a name and size would fit (§2.5).
    HaveSpace(String, u32),
    /// Stores a script (§2.6).
    PutScript(String, Bytes),
    /// Names all scripts (§2.7).
    ListScripts,
    /// Makes one the active one, or none (§2.8).
    SetActive(String),
    /// Shows a script (§2.9).
    GetScript(String),
    /// Removes a script (§2.10).
    DeleteScript(String),
    /// Renames a script (§2.11).
    RenameScript(String, String),
    /// Says whether a script makes sense (§2.12).
    CheckScript(Bytes),
    /// Nothing; what to say back (§2.13).
    Noop(Option<Bytes>),
    /// Signs out (§2.14).
    Unauthenticate,
}

/// Why words are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// No such verb.
    Unknown,
    /// Says what is wrong with the arguments.
    Arguments(&'static str),
}

impl Command {
    /// The verb, for metrics.
    pub fn verb(&self) -> &'static str {
        match self {
            Command::Authenticate(..) => "AUTHENTICATE",
            Command::StartTls => "STARTTLS",
            Command::Logout => "LOGOUT",
            Command::Capability => "CAPABILITY",
            Command::HaveSpace(..) => "HAVESPACE",
            Command::PutScript(..) => "PUTSCRIPT",
            Command::ListScripts => "LISTSCRIPTS",
            Command::SetActive(_) => "SETACTIVE",
            Command::GetScript(_) => "GETSCRIPT",
            Command::DeleteScript(_) => "DELETESCRIPT",
            Command::RenameScript(..) => "RENAMESCRIPT",
            Command::CheckScript(_) => "CHECKSCRIPT",
            Command::Noop(_) => "NOOP",
            Command::Unauthenticate => "UNAUTHENTICATE",
        }
    }
}

/// Parses a command's words. Verbs are taken in any case.
///
/// # Errors
/// [`ParseError`].
pub fn parse(words: Vec<Word>) -> Result<Command, ParseError> {
    let mut args = Arguments(words.into_iter());
    let verb = match args.0.next() {
        Some(Word::Atom(verb)) => verb.to_ascii_uppercase(),
        Some(Word::String(_)) => return Err(ParseError::Arguments("a command begins with a word")),
        None => return Err(ParseError::Arguments("empty command")),
    };
    let command = match verb.as_str() {
        "AUTHENTICATE" => Command::Authenticate(args.text()?, args.maybe_string()?),
        "STARTTLS" => Command::StartTls,
        "LOGOUT" => Command::Logout,
        "CAPABILITY" => Command::Capability,
        "HAVESPACE" => Command::HaveSpace(args.text()?, args.number()?),
        "PUTSCRIPT" => Command::PutScript(args.text()?, args.string()?),
        "LISTSCRIPTS" => Command::ListScripts,
        "SETACTIVE" => Command::SetActive(args.text()?),
        "GETSCRIPT" => Command::GetScript(args.text()?),
        "DELETESCRIPT" => Command::DeleteScript(args.text()?),
        "RENAMESCRIPT" => Command::RenameScript(args.text()?, args.text()?),
        "CHECKSCRIPT" => Command::CheckScript(args.string()?),
        "NOOP" => Command::Noop(args.maybe_string()?),
        "UNAUTHENTICATE" => Command::Unauthenticate,
        _ => return Err(ParseError::Unknown),
    };
    match args.0.next() {
        None => Ok(command),
        Some(_) => Err(ParseError::Arguments("too many arguments")),
    }
}

struct Arguments(std::vec::IntoIter<Word>);

impl Arguments {
    fn maybe_string(&mut self) -> Result<Option<Bytes>, ParseError> {
        match self.0.next() {
            Some(Word::String(bytes)) => Ok(Some(bytes)),
            Some(Word::Atom(_)) => Err(ParseError::Arguments("a string must be quoted or a literal")),
            None => Ok(None),
        }
    }

    fn string(&mut self) -> Result<Bytes, ParseError> {
        self.maybe_string()?.ok_or(ParseError::Arguments("an argument is missing"))
    }

    fn text(&mut self) -> Result<String, ParseError> {
        let bytes = self.string()?;
        String::from_utf8(bytes.into()).map_err(|_| ParseError::Arguments("a name must be UTF-8"))
    }

    /// 32 bits (RFC 5804 §4).
    fn number(&mut self) -> Result<u32, ParseError> {
        const EXPECTED: ParseError = ParseError::Arguments("a number of 32 bits is expected");
        match self.0.next() {
            Some(Word::Atom(digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| EXPECTED)
            }
            _ => Err(EXPECTED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::words::{Bounds, Words};
    use proptest::prelude::*;

    fn read(line: &str) -> Result<Command, ParseError> {
        let mut words = Words::new(Bounds { quoted: 1_024, literal: 1_024, command: 2_048 });
        words.line(line.as_bytes()).unwrap_or_else(|fault| panic!("{line}: {fault:?}"));
        parse(words.finish())
    }

    #[test]
    fn commands() {
        let s = |text: &str| text.to_owned();
        let b = |text: &'static str| Bytes::from_static(text.as_bytes());
        for (line, want) in [
            ("authenticate \"PLAIN\"", Command::Authenticate(s("PLAIN"), None)),
            ("AUTHENTICATE \"PLAIN\" \"AGE=\"", Command::Authenticate(s("PLAIN"), Some(b("AGE=")))),
            ("StartTLS", Command::StartTls),
            ("LOGOUT ", Command::Logout),
            ("CAPABILITY", Command::Capability),
            ("HAVESPACE \"a\" 4294967295", Command::HaveSpace(s("a"), u32::MAX)),
            ("PUTSCRIPT \"a b\" \"keep;\"", Command::PutScript(s("a b"), b("keep;"))),
            ("LISTSCRIPTS", Command::ListScripts),
            ("SETACTIVE \"\"", Command::SetActive(s(""))),
            ("GETSCRIPT \"a\"", Command::GetScript(s("a"))),
            ("DELETESCRIPT \"a\"", Command::DeleteScript(s("a"))),
            ("RENAMESCRIPT \"a\" \"b\"", Command::RenameScript(s("a"), s("b"))),
            ("CHECKSCRIPT \"keep;\"", Command::CheckScript(b("keep;"))),
            ("NOOP", Command::Noop(None)),
            ("NOOP \"x\"", Command::Noop(Some(b("x")))),
            ("UNAUTHENTICATE", Command::Unauthenticate),
        ] {
            let verb = want.verb();
            assert_eq!(read(line), Ok(want), "{line}");
            assert!(line.to_ascii_uppercase().starts_with(verb), "{verb}");
        }
    }

    #[test]
    fn mistakes() {
        for line in [
            "",
            "\"NOOP\"",
            "NOOP x",
            "NOOP \"a\" \"b\"",
            "LOGOUT \"now\"",
            "AUTHENTICATE PLAIN",
            "AUTHENTICATE",
            "HAVESPACE \"a\"",
            "HAVESPACE \"a\" \"1\"",
            "HAVESPACE \"a\" 4294967296",
            "HAVESPACE \"a\" -1",
            "PUTSCRIPT \"a\"",
            "RENAMESCRIPT \"a\"",
            "GETSCRIPT a",
        ] {
            assert!(matches!(read(line), Err(ParseError::Arguments(_))), "{line}");
        }
        assert_eq!(read("SELECT \"INBOX\""), Err(ParseError::Unknown));
        let invalid = vec![Word::Atom("GETSCRIPT".into()), Word::String(Bytes::from_static(b"\xff"))];
        assert!(matches!(parse(invalid), Err(ParseError::Arguments(_))));
    }

    proptest! {
        #[test]
        fn any_words(verb in "[A-Za-z]{0,12}", rest in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..4)) {
            let strings = rest.into_iter().map(|b| Word::String(b.into()));
            let _ = parse(std::iter::once(Word::Atom(verb)).chain(strings).collect());
        }
    }
}
