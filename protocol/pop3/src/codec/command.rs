//! Command lines.

use std::str::from_utf8;

/// A command, borrowing from its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Who signs in.
    User(&'a str),
    /// The password: the rest of the line, spaces and all (RFC 1939 §7).
    Pass(&'a [u8]),
    /// SASL: mechanism and initial response; without mechanism the mechanisms are listed (RFC 1734's clients ask so).
    Auth(Option<(&'a str, Option<&'a [u8]>)>),
    /// Capabilities.
    Capa,
    /// TLS from here on.
    Stls,
    /// UTF-8 mode; `USER` may follow.
    Utf8,
    /// The language of answers (RFC 6856 §3.2): a language range; none: which there are.
    Lang(Option<&'a str>),
    /// The end.
    Quit,
    /// Count and size.
    Stat,
    /// Sizes, of one or all.
    List(Option<u32>),
    /// Unique ids, of one or all.
    Uidl(Option<u32>),
    /// A message.
    Retr(u32),
    /// A message's header and so many lines.
    Top(u32, u64),
    /// Mark as deleted.
    Dele(u32),
    /// Take all marks back.
    Rset,
    /// Nothing.
    Noop,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// No such verb.
    Unknown,
    /// The text says what is wrong with the arguments.
    Arguments(&'static str),
}

impl Command<'_> {
    /// The verb, for metrics.
    pub fn verb(&self) -> &'static str {
        match self {
            Command::User(_) => "USER",
            Command::Pass(_) => "PASS",
            Command::Auth(_) => "AUTH",
            Command::Capa => "CAPA",
            Command::Stls => "STLS",
            Command::Utf8 => "UTF8",
            Command::Lang(_) => "LANG",
            Command::Quit => "QUIT",
            Command::Stat => "STAT",
            Command::List(_) => "LIST",
            Command::Uidl(_) => "UIDL",
            Command::Retr(_) => "RETR",
            Command::Top(..) => "TOP",
            Command::Dele(_) => "DELE",
            Command::Rset => "RSET",
            Command::Noop => "NOOP",
        }
    }
}

/// Parses a line without its ending (RFC 1939 §3: keywords in any case, arguments after single spaces; more spaces and
/// trailing ones are let through).
///
/// # Errors
/// [`ParseError`].
pub fn parse(line: &[u8]) -> Result<Command<'_>, ParseError> {
    let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let (verb, rest) = (&line[..end], line.get(end + 1..).unwrap_or_default());
    let args = rest.trim_ascii();
    match verb.to_ascii_uppercase().as_slice() {
        b"USER" => user(args),
        b"PASS" if rest.is_empty() => Err(ParseError::Arguments("password missing")),
        b"PASS" => Ok(Command::Pass(rest)),
        b"AUTH" => auth(args),
        b"UTF8" if args.is_empty() || args.eq_ignore_ascii_case(b"USER") => Ok(Command::Utf8),
        b"UTF8" => Err(ParseError::Arguments("unknown argument")),
        b"LANG" => lang(args),
        b"CAPA" => none(args, Command::Capa),
        b"STLS" => none(args, Command::Stls),
        b"QUIT" => none(args, Command::Quit),
        b"STAT" => none(args, Command::Stat),
        b"RSET" => none(args, Command::Rset),
        b"NOOP" => none(args, Command::Noop),
        b"LIST" => maybe_number(args).map(Command::List),
        b"UIDL" => maybe_number(args).map(Command::Uidl),
        b"RETR" => number(args).map(Command::Retr),
        b"DELE" => number(args).map(Command::Dele),
        b"TOP" => top(args),
        _ => Err(ParseError::Unknown),
    }
}

fn none<'a>(args: &[u8], command: Command<'a>) -> Result<Command<'a>, ParseError> {
    if args.is_empty() { Ok(command) } else { Err(ParseError::Arguments("no argument expected")) }
}

fn user(args: &[u8]) -> Result<Command<'_>, ParseError> {
    match from_utf8(args) {
        Ok("") => Err(ParseError::Arguments("user name missing")),
        Ok(name) if !name.contains(char::is_control) => Ok(Command::User(name)),
        _ => Err(ParseError::Arguments("user name is not text")),
    }
}

/// RFC 6856 §3.2: `LANG [range]`.
fn lang(args: &[u8]) -> Result<Command<'_>, ParseError> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'*');
    match from_utf8(args) {
        Ok("") => Ok(Command::Lang(None)),
        Ok(range) if args.iter().all(plain) => Ok(Command::Lang(Some(range))),
        _ => Err(ParseError::Arguments("one language range expected")),
    }
}

/// RFC 5034 §4: `AUTH mechanism [initial-response]`.
fn auth(args: &[u8]) -> Result<Command<'_>, ParseError> {
    let mut words = args.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    let Some(mechanism) = words.next() else { return Ok(Command::Auth(None)) };
    let initial = words.next();
    match (from_utf8(mechanism), words.next()) {
        (Ok(mechanism), None) => Ok(Command::Auth(Some((mechanism, initial)))),
        _ => Err(ParseError::Arguments("mechanism and at most one response expected")),
    }
}

/// RFC 1939 §7: `TOP msg n`.
fn top(args: &[u8]) -> Result<Command<'_>, ParseError> {
    const EXPECTED: ParseError = ParseError::Arguments("message number and line count expected");
    let mut words = args.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    let (Some(message), Some(lines), None) = (words.next(), words.next(), words.next()) else { return Err(EXPECTED) };
    Ok(Command::Top(number(message)?, digits(lines).ok_or(EXPECTED)?))
}

fn maybe_number(args: &[u8]) -> Result<Option<u32>, ParseError> {
    if args.is_empty() { Ok(None) } else { number(args).map(Some) }
}

/// A message number: at least 1. One too large to be is no message rather than no number.
fn number(word: &[u8]) -> Result<u32, ParseError> {
    match digits(word) {
        None => Err(ParseError::Arguments("message number expected")),
        Some(0) => Err(ParseError::Arguments("message numbers begin with 1")),
        Some(n) => Ok(u32::try_from(n).unwrap_or(u32::MAX)),
    }
}

fn digits(word: &[u8]) -> Option<u64> {
    /// Digits a `u64` surely holds.
    const DIGITS_MAX: usize = 19;
    let ok = (1..=DIGITS_MAX).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    ok.then(|| word.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands() {
        for (line, want) in [
            (&b"user bob@example.com "[..], Ok(Command::User("bob@example.com"))),
            (b"PASS  two  words ", Ok(Command::Pass(b" two  words "))),
            (b"PASS", Err(ParseError::Arguments("password missing"))),
            (b"AUTH", Ok(Command::Auth(None))),
            (b"AUTH plain", Ok(Command::Auth(Some(("plain", None))))),
            (b"AUTH PLAIN =", Ok(Command::Auth(Some(("PLAIN", Some(b"=")))))),
            (b"AUTH a b c", Err(ParseError::Arguments("mechanism and at most one response expected"))),
            (b"LIST", Ok(Command::List(None))),
            (b"list 2", Ok(Command::List(Some(2)))),
            (b"LIST -1", Err(ParseError::Arguments("message number expected"))),
            (b"RETR 0", Err(ParseError::Arguments("message numbers begin with 1"))),
            (b"RETR", Err(ParseError::Arguments("message number expected"))),
            (b"RETR 99999999999", Ok(Command::Retr(u32::MAX))),
            (b"RETR 99999999999999999999", Err(ParseError::Arguments("message number expected"))),
            (b"TOP 1 0", Ok(Command::Top(1, 0))),
            (b"TOP 1", Err(ParseError::Arguments("message number and line count expected"))),
            (b"STAT x", Err(ParseError::Arguments("no argument expected"))),
            (b"UTF8 USER", Ok(Command::Utf8)),
            (b"APOP mrose c4c9334bac560ecc979e58001b3e22fb", Err(ParseError::Unknown)),
            (b"", Err(ParseError::Unknown)),
            (b"USER a\0b", Err(ParseError::Arguments("user name is not text"))),
            (b"USER \xff", Err(ParseError::Arguments("user name is not text"))),
        ] {
            assert_eq!(parse(line), want, "{}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn garbage(line in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&line);
        }
    }
}
