//! The words of the grammar (RFC 3501 §9): atoms, strings, numbers, lists, over one complete command.

use super::fragment::{Literal, literal_at_end};
use std::borrow::Cow;

/// Why a command could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command so far is fine and ends in this literal's header: its bytes are wanted.
    Literal(Literal),
    /// The command makes no sense; the text says why.
    Bad(&'static str),
    /// A mailbox name cannot be a mailbox name; the text says why.
    Name(&'static str),
    /// The charset of a SEARCH is unknown.
    Charset,
}

/// `Result` with [`Fault`].
pub type Parse<T> = Result<T, Fault>;

/// A place in a command. The buffer holds the whole command without its last CRLF; each literal stands in it as
/// `{n}` CRLF and its bytes.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    buf: &'a [u8],
    pos: usize,
    /// Mailbox names are UTF-8, not modified UTF-7 (RFC 6855 §3).
    pub utf8: bool,
    /// The client enabled IMAP4rev2.
    pub rev2: bool,
}

/// `ATOM-CHAR = <any CHAR except atom-specials>` (RFC 3501 §9).
pub fn is_atom_char(b: u8) -> bool {
    b > b' ' && b < 0x7f && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials` (RFC 3501 §9).
pub fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}

/// `list-char = ATOM-CHAR / list-wildcards / resp-specials` (RFC 3501 §9).
fn is_list_char(b: u8) -> bool {
    is_astring_char(b) || matches!(b, b'%' | b'*')
}

impl<'a> Cursor<'a> {
    /// At the start of `buf`.
    pub fn new(buf: &'a [u8]) -> Self {
        Cursor { buf, pos: 0, utf8: false, rev2: false }
    }
    /// At `pos` of `buf` (at its end, if that lies behind it).
    pub fn at(buf: &'a [u8], pos: usize, utf8: bool) -> Self {
        Cursor { buf, pos: pos.min(buf.len()), utf8, rev2: false }
    }
    /// Where in the buffer it stands.
    pub fn pos(&self) -> usize {
        self.pos
    }
    /// Takes all that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.pos = self.buf.len();
        rest
    }
    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.buf.get(self.pos).copied()
    }
    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        &self.buf[self.pos..]
    }
    /// Takes `b` if it is next.
    pub fn eat(&mut self, b: u8) -> bool {
        let there = self.peek() == Some(b);
        self.pos += usize::from(there);
        there
    }
    /// Takes `b` or complains.
    pub fn expect(&mut self, b: u8, why: &'static str) -> Parse<()> {
        if self.eat(b) { Ok(()) } else { Err(Fault::Bad(why)) }
    }
    /// `SP`: exactly one.
    pub fn sp(&mut self) -> Parse<()> {
        self.expect(b' ', "a space was expected")
    }
    /// The command's end.
    pub fn end(&self) -> Parse<()> {
        if self.pos == self.buf.len() { Ok(()) } else { Err(Fault::Bad("something is left over at the end")) }
    }
    /// Whether nothing is left.
    pub fn at_end(&self) -> bool {
        self.pos == self.buf.len()
    }

    fn take_while(&mut self, f: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let n = rest.iter().position(|b| !f(*b)).unwrap_or(rest.len());
        self.pos += n;
        &rest[..n]
    }
    fn nonempty(taken: &'a [u8], why: &'static str) -> Parse<&'a [u8]> {
        if taken.is_empty() { Err(Fault::Bad(why)) } else { Ok(taken) }
    }

    /// `tag = 1*<any ASTRING-CHAR except "+">` (RFC 3501 §9).
    pub fn tag(&mut self) -> Parse<&'a str> {
        let taken = self.take_while(|b| is_astring_char(b) && b != b'+');
        text(Self::nonempty(taken, "a tag was expected")?)
    }
    /// `atom = 1*ATOM-CHAR` (RFC 3501 §9).
    pub fn atom(&mut self) -> Parse<&'a str> {
        let taken = self.take_while(is_atom_char);
        text(Self::nonempty(taken, "an atom was expected")?)
    }
    /// Letters, digits, `.` and `-`: the name of a data item, which `[`, `<` or a space ends.
    pub fn item_name(&mut self) -> Parse<&'a str> {
        let taken = self.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        text(Self::nonempty(taken, "the name of an item was expected")?)
    }
    /// Takes `word` (in upper case) if it is next, in any case, and ends there.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let there = rest.len() >= word.len()
            && rest[..word.len()].eq_ignore_ascii_case(word.as_bytes())
            && rest.get(word.len()).is_none_or(|b| !is_astring_char(*b));
        self.pos += if there { word.len() } else { 0 };
        there
    }

    /// `number = 1*DIGIT`, an unsigned 32-bit integer (RFC 3501 §9).
    pub fn number(&mut self) -> Parse<u32> {
        u32::try_from(self.number64()?).map_err(|_| Fault::Bad("a number is larger than 4294967295"))
    }
    /// `nz-number`: a number that is not zero (RFC 3501 §9).
    pub fn nz_number(&mut self) -> Parse<u32> {
        match self.number()? {
            0 => Err(Fault::Bad("zero is not allowed here")),
            n => Ok(n),
        }
    }
    /// `mod-sequence-valzer` and the 63-bit `number64` of RFC 9051 (RFC 7162 §7).
    pub fn number64(&mut self) -> Parse<u64> {
        let digits = Self::nonempty(self.take_while(|b| b.is_ascii_digit()), "a number was expected")?;
        let mut n = 0u64;
        for d in digits {
            n = n
                .checked_mul(10)
                .and_then(|n| n.checked_add(u64::from(d - b'0')))
                .filter(|n| *n <= i64::MAX as u64)
                .ok_or(Fault::Bad("a number is too large"))?;
        }
        Ok(n)
    }

    /// `quoted = DQUOTE *QUOTED-CHAR DQUOTE` (RFC 3501 §9). Bytes above 127 are let through: clients send UTF-8 here,
    /// and RFC 6855 §3 and RFC 9051 allow it. Of those who enabled it, what is not UTF-8 is refused with BAD.
    fn quoted(&mut self) -> Parse<Cow<'a, [u8]>> {
        let text = self.any_quoted()?;
        if self.utf8 && std::str::from_utf8(&text).is_err() {
            return Err(Fault::Bad("a quoted string is not UTF-8"));
        }
        Ok(text)
    }
    fn any_quoted(&mut self) -> Parse<Cow<'a, [u8]>> {
        self.expect(b'"', "a quoted string was expected")?;
        let start = self.pos;
        let plain = self.take_while(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0));
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut out = self.buf[start..self.pos].to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    let escaped = self.buf.get(self.pos + 1).copied();
                    let Some(b @ (b'"' | b'\\')) = escaped else {
                        return Err(Fault::Bad("only \\\" and \\\\ are allowed in a quoted string"));
                    };
                    out.push(b);
                    self.pos += 2;
                }
                Some(b'\r' | b'\n' | 0) | None => return Err(Fault::Bad("a quoted string is not closed")),
                Some(b) => {
                    out.push(b);
                    self.pos += 1;
                }
            }
        }
    }

    /// `literal = "{" number "}" CRLF *CHAR8` (RFC 3501 §4.3, RFC 7888); CHAR8 excludes NUL.
    fn literal(&mut self) -> Parse<&'a [u8]> {
        self.literal_of(false)
    }
    /// The same, or a `literal8` (RFC 3516 §4.4), which may hold NUL.
    fn literal_of(&mut self, binary: bool) -> Parse<&'a [u8]> {
        let rest = self.rest();
        let line = rest.iter().position(|b| *b == b'\r').unwrap_or(rest.len());
        let bad = Fault::Bad("a literal's header is malformed");
        // The header is the whole of what is left of the line.
        let found = literal_at_end(&rest[..line]).filter(|l| l.start == 0 && l.binary == binary).ok_or(bad)?;
        if line == rest.len() {
            let start = self.pos;
            return Err(Fault::Literal(Literal { start, ..found }));
        }
        if rest.get(line + 1) != Some(&b'\n') {
            return Err(bad);
        }
        let from = line + 2;
        let size = usize::try_from(found.size).map_err(|_| bad)?;
        let bytes = from.checked_add(size).and_then(|to| rest.get(from..to)).ok_or(bad)?;
        if !binary && bytes.contains(&0) {
            return Err(Fault::Bad("NUL is not allowed in a literal"));
        }
        self.pos += from + size;
        Ok(bytes)
    }
    /// The header of a message literal, which ends what has been read so far of an APPEND.
    pub fn message_literal(&mut self) -> Parse<Literal> {
        let rest = self.rest();
        let found = literal_at_end(rest).filter(|l| l.start == 0);
        let found = found.ok_or(Fault::Bad("a message literal was expected"))?;
        self.pos = self.buf.len();
        Ok(found)
    }

    /// `string = quoted / literal` (RFC 3501 §9).
    pub fn string(&mut self) -> Parse<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(Fault::Bad("a string was expected")),
        }
    }
    /// `nstring = string / nil` (RFC 3501 §9).
    pub fn nstring(&mut self) -> Parse<Option<Cow<'a, [u8]>>> {
        if self.eat_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }
    /// `value = nstring / literal8` (RFC 5464 §5).
    pub fn value(&mut self) -> Parse<Option<Cow<'a, [u8]>>> {
        if self.peek() == Some(b'~') { self.literal_of(true).map(|v| Some(Cow::Borrowed(v))) } else { self.nstring() }
    }
    /// `astring = 1*ASTRING-CHAR / string` (RFC 3501 §9).
    pub fn astring(&mut self) -> Parse<Cow<'a, [u8]>> {
        self.word_or_string(is_astring_char)
    }
    fn word_or_string(&mut self, of: impl Fn(u8) -> bool) -> Parse<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => Self::nonempty(self.take_while(of), "a string was expected").map(Cow::Borrowed),
        }
    }
    /// An astring that must be UTF-8.
    pub fn astring_text(&mut self) -> Parse<String> {
        owned_text(self.astring()?)
    }
    /// A string that must be UTF-8.
    pub fn string_text(&mut self) -> Parse<String> {
        owned_text(self.string()?)
    }

    /// `mailbox = "INBOX" / astring`, decoded to UTF-8 (RFC 3501 §5.1.3).
    pub fn mailbox(&mut self) -> Parse<String> {
        let raw = self.astring()?;
        self.name(&raw)
    }
    /// `list-mailbox = 1*list-char / string`, decoded to UTF-8 (RFC 3501 §9).
    pub fn list_mailbox(&mut self) -> Parse<String> {
        let raw = self.word_or_string(is_list_char)?;
        self.name(&raw)
    }
    fn name(&self, raw: &[u8]) -> Parse<String> {
        if self.utf8 {
            let name = String::from_utf8(raw.to_vec()).map_err(|_| Fault::Name("mailbox name is not UTF-8"))?;
            // RFC 6855 §3; control characters are refused where names are made.
            return match name.contains(['\u{2028}', '\u{2029}']) {
                true => Err(Fault::Name("mailbox name has a separator of lines in it")),
                false => Ok(name),
            };
        }
        super::utf7::decode(raw).ok_or(Fault::Name("mailbox name is not modified UTF-7"))
    }

    /// `"(" [item *(SP item)] ")"`.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        self.expect(b'(', "a parenthesis was expected")?;
        let mut out = Vec::new();
        if self.eat(b')') {
            return Ok(out);
        }
        loop {
            out.push(item(self)?);
            if self.eat(b')') {
                return Ok(out);
            }
            self.sp()?;
        }
    }
}

fn text(bytes: &[u8]) -> Parse<&str> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Bad("not UTF-8"))
}

fn owned_text(bytes: Cow<'_, [u8]>) -> Parse<String> {
    String::from_utf8(bytes.into_owned()).map_err(|_| Fault::Bad("a string is not UTF-8"))
}
