//! Lines and literals to words (RFC 5804 §1.2, §4), so that a command that makes no sense is still read to its end.

use zcluster_api::Bytes;

/// A part of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A verb or a number: a bare word.
    Atom(String),
    /// A string, quoted or literal.
    String(Bytes),
}

/// Bounds of what is read.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes between two quotes.
    pub quoted: usize,
    /// Bytes of a literal.
    pub literal: usize,
    /// Bytes of all lines and literals of a command.
    pub command: usize,
}

/// What a line led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The command is there.
    Complete,
    /// So many bytes follow, then a line.
    Literal(usize),
}

/// Why something is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is the matter.
    pub kind: FaultKind,
    /// So many bytes of a literal follow all the same, and then a line.
    pub literal: Option<u64>,
}

/// What is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It is malformed.
    Syntax(&'static str),
    /// A literal or the whole is too large.
    TooLarge,
}

/// A command as it comes in.
#[derive(Debug)]
pub struct Words {
    bounds: Bounds,
    words: Vec<Word>,
    bytes: usize,
}

impl Words {
    /// Nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Words { bounds, words: Vec::new(), bytes: 0 }
    }

    /// The first word, if it is an atom.
    pub fn verb(&self) -> Option<&str> {
        match self.words.first() {
            Some(Word::Atom(verb)) => Some(verb),
            _ => None,
        }
    }

    /// What was read.
    pub fn finish(self) -> Vec<Word> {
        self.words
    }

    /// Takes the literal that the last line announced.
    pub fn literal(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.words.push(Word::String(bytes));
    }

    /// Takes a line without its ending. More than one space between words, and spaces at the ends, are let through.
    ///
    /// # Errors
    /// [`Fault`]; the command is still to be read to its end.
    pub fn line(&mut self, line: &[u8]) -> Result<Step, Fault> {
        self.bytes += line.len();
        self.scan(line).map_err(|kind| Fault { kind, literal: literal_at_end(line) })
    }

    fn scan(&mut self, line: &[u8]) -> Result<Step, FaultKind> {
        let mut rest = line;
        loop {
            let word = behind_spaces(rest);
            let glued = word.len() == rest.len() && !self.words.is_empty();
            rest = match word.first() {
                None => return Ok(Step::Complete),
                Some(_) if glued => return Err(FaultKind::Syntax("a space is missing between two words")),
                Some(b'"') => self.quoted(word)?,
                Some(b'{') => return self.header(word),
                Some(_) => self.atom(word)?,
            };
        }
    }

    fn atom<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], FaultKind> {
        let end = rest.iter().position(|b| !is_atom_char(*b)).unwrap_or(rest.len());
        let (atom, rest) = rest.split_at(end);
        match std::str::from_utf8(atom) {
            Ok(atom) if !atom.is_empty() => self.words.push(Word::Atom(atom.into())),
            _ => return Err(FaultKind::Syntax("unexpected character")),
        }
        Ok(rest)
    }

    fn quoted<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], FaultKind> {
        let mut text = Vec::new();
        // Behind the opening quote.
        let mut at = 1;
        loop {
            let b = match rest.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    at += 1;
                    match rest.get(at) {
                        Some(b @ (b'"' | b'\\')) => *b,
                        _ => return Err(FaultKind::Syntax("only \" and \\ can stand behind a backslash")),
                    }
                }
                Some(0 | b'\r' | b'\n') => return Err(FaultKind::Syntax("control character in a quoted string")),
                Some(b) => *b,
                None => return Err(FaultKind::Syntax("a quoted string has no end")),
            };
            text.push(b);
            at += 1;
        }
        if at - 1 > self.bounds.quoted {
            return Err(FaultKind::Syntax("a quoted string is too long: use a literal"));
        }
        if std::str::from_utf8(&text).is_err() {
            return Err(FaultKind::Syntax("a quoted string is not UTF-8"));
        }
        self.words.push(Word::String(text.into()));
        Ok(rest.get(at + 1..).unwrap_or_default())
    }

    fn header(&mut self, rest: &[u8]) -> Result<Step, FaultKind> {
        let Some(size) = size_of(rest) else {
            return Err(FaultKind::Syntax("a literal's header is malformed"));
        };
        match usize::try_from(size) {
            Ok(size) if size <= self.bounds.literal && self.bytes.saturating_add(size) <= self.bounds.command => {
                Ok(Step::Literal(size))
            }
            _ => Err(FaultKind::TooLarge),
        }
    }
}

fn behind_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|b| **b == b' ').count();
    text.get(spaces..).unwrap_or_default()
}

/// RFC 5804 §4: anything visible but `(`, `)`, `{`, `"` and `\`.
fn is_atom_char(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'{' | b'"' | b'\\')
}

/// The size that a literal's header states. RFC 5804 knows no literals that wait for the server to go on: `{n}`, which
/// is the server's form, is followed by its bytes at once just as `{n+}` is, and old clients send it.
fn size_of(header: &[u8]) -> Option<u64> {
    let digits = header.strip_prefix(b"{")?.strip_suffix(b"}")?;
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |n: u64, b: &u8| n.saturating_mul(10).saturating_add(u64::from(b - b'0'));
    Some(digits.iter().fold(0, add))
}

/// The size of the literal whose header ends a line, whatever stands before it.
pub fn literal_at_end(line: &[u8]) -> Option<u64> {
    let at = line.iter().rposition(|b| *b == b'{')?;
    size_of(line.get(at..)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { quoted: 10, literal: 100, command: 200 };

    fn read(line: &[u8]) -> Result<(Step, Vec<Word>), Fault> {
        let mut words = Words::new(BOUNDS);
        words.line(line).map(|step| (step, words.finish()))
    }

    fn atom(text: &str) -> Word {
        Word::Atom(text.into())
    }

    fn text(text: &str) -> Word {
        Word::String(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn lines() {
        for (line, want) in [
            (&b""[..], vec![]),
            (b"NOOP", vec![atom("NOOP")]),
            (b"  a   \"b\" ", vec![atom("a"), text("b")]),
            (b"HAVESPACE \"a\" 99", vec![atom("HAVESPACE"), text("a"), atom("99")]),
            (br#"X "a\"b\\""#, vec![atom("X"), text("a\"b\\")]),
            ("X \"ä\t\x7f{3}\"".as_bytes(), vec![atom("X"), text("ä\t\x7f{3}")]),
            (b"\"\"", vec![text("")]),
            (b"*", vec![atom("*")]),
        ] {
            assert_eq!(read(line), Ok((Step::Complete, want)), "{}", line.escape_ascii());
        }
        assert_eq!(read(b"X {3+}"), Ok((Step::Literal(3), vec![atom("X")])));
        assert_eq!(read(b"X {3}"), Ok((Step::Literal(3), vec![atom("X")])));
        assert_eq!(read(b"{0+}"), Ok((Step::Literal(0), vec![])));
    }

    #[test]
    fn faults_tell_what_follows() {
        let syntax = |line: &[u8]| match read(line) {
            Err(Fault { kind: FaultKind::Syntax(_), literal }) => literal,
            other => panic!("{}: {other:?}", line.escape_ascii()),
        };
        for (line, literal) in [
            (&b"X \"a"[..], None),
            (b"X \"a\\", None),
            (b"X \"a\\b\" {5+}", Some(5)),
            (b"X \"a {5+}", Some(5)),
            (b"X\"a\"", None),
            (b"X \"a\"\"b\" {7}", Some(7)),
            (b"X (a)", None),
            (b"X {5+} x", None),
            (b"X {+}", None),
            (b"X {5-}", None),
            (b"X {{5}", Some(5)),
            (b"X \"\xff\"", None),
            (b"X \"a\0b\"", None),
            (b"X \"a\rb\"", None),
            (b"X \"12345678901\"", None),
            (b"\xc3\xa4", None),
            (b"a\tb", None),
        ] {
            assert_eq!(syntax(line), literal, "{}", line.escape_ascii());
        }
        assert_eq!(read(b"X {101+}"), Err(Fault { kind: FaultKind::TooLarge, literal: Some(101) }));
        let endless = b"X {99999999999999999999999+}";
        assert_eq!(read(endless), Err(Fault { kind: FaultKind::TooLarge, literal: Some(u64::MAX) }));
    }

    #[test]
    fn literals() {
        let mut words = Words::new(BOUNDS);
        assert_eq!(words.line(b"PUTSCRIPT {1+}"), Ok(Step::Literal(1)));
        words.literal(Bytes::from_static(b"a"));
        assert_eq!(words.line(b" {100+}"), Ok(Step::Literal(100)));
        words.literal(Bytes::from_static(&[b'x'; 100]));
        // The command's bound.
        let fault = Fault { kind: FaultKind::TooLarge, literal: Some(90) };
        assert_eq!(words.line(b" {90+}"), Err(fault));
        let mut words = Words::new(BOUNDS);
        assert_eq!(words.line(b"X {1+}"), Ok(Step::Literal(1)));
        words.literal(Bytes::from_static(b"a"));
        assert!(words.line(b"{1+}").is_err(), "a space is needed");
    }

    proptest! {
        #[test]
        fn garbage(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4)) {
            let mut words = Words::new(BOUNDS);
            for line in &lines {
                if let Ok(Step::Literal(size)) = words.line(line) {
                    prop_assert!(size <= BOUNDS.literal);
                    words.literal(vec![0; size].into());
                }
            }
        }

        #[test]
        fn near_misses(line in r#"[a" {}+0-9\\]{0,30}"#) {
            let _ = read(line.as_bytes());
        }

        /// Whatever the words, written and read they are the same.
        #[test]
        fn round_trip(list in prop::collection::vec(word(), 1..6)) {
            let mut words = Words::new(Bounds { quoted: 1_024, literal: 1_024, command: 100_000 });
            let mut line = Vec::new();
            for (i, word) in list.iter().enumerate() {
                if i > 0 {
                    line.push(b' ');
                }
                match word {
                    Word::Atom(atom) => line.extend(atom.bytes()),
                    Word::String(text) => {
                        line.extend(format!("{{{}+}}", text.len()).bytes());
                        prop_assert_eq!(words.line(&std::mem::take(&mut line)), Ok(Step::Literal(text.len())));
                        words.literal(text.clone());
                    }
                }
            }
            prop_assert_eq!(words.line(&line), Ok(Step::Complete));
            prop_assert_eq!(words.finish(), list);
        }
    }

    fn word() -> impl Strategy<Value = Word> {
        prop_oneof![
            "[!#-'*-\\[\\]-z|-~]{1,8}".prop_map(Word::Atom),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|b| Word::String(b.into())),
        ]
    }
}
