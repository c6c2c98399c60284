//! Structured MIME field values: `type/subtype; name=value` (RFC 2045 §5.1) with RFC 2231 continuations.

use crate::PARAMS_MAX;
use crate::header::Raw;
use crate::words::decode_words;
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;

/// A parameter. Values split into pieces (RFC 2231 §3) are joined; a value in a charset has a name that ends in `*`
/// and keeps its `charset'language'` prefix and percent signs (RFC 2231 §4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Param {
    /// Name as written.
    #[n(0)]
    pub name: Raw,
    /// Value without its quotes.
    #[n(1)]
    pub value: Raw,
}

/// A decoded parameter: RFC 2231 charsets, and (as mail programs wrongly but widely write) RFC 2047 words.
pub fn decoded_param(params: &[Param], name: &str) -> Option<String> {
    let extended = params.iter().find(|p| {
        let n = p.name.as_bytes();
        n.strip_suffix(b"*").is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
    });
    if let Some(p) = extended {
        return Some(decode_extended(p.value.as_bytes()));
    }
    let plain = params.iter().find(|p| p.name.eq_ignore_case(name))?;
    Some(decode_words(plain.value.as_bytes()))
}

/// RFC 2231 §4: `charset'language'percent-encoded`.
fn decode_extended(value: &[u8]) -> String {
    let mut pieces = value.splitn(3, |b| *b == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => crate::to_utf8(&percent_decode(text), charset),
        _ => crate::to_utf8(&percent_decode(value), b""),
    }
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        let code = (text[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten().and_then(crate::decode::hex_pair);
        out.push(code.unwrap_or(text[i]));
        i += if code.is_some() { 3 } else { 1 };
    }
    out
}

/// A parsed value: what stands before the first `;`, and the parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Value {
    /// The first token (`text/plain`, `attachment`).
    pub head: Vec<u8>,
    pub params: Vec<Param>,
}

/// Parses an unfolded value, taking what it can from broken ones.
pub(crate) fn parse(value: &[u8]) -> Value {
    let mut cursor = Cursor { bytes: value, pos: 0 };
    let head = cursor.token(b";");
    let mut raw = Vec::new();
    while raw.len() < PARAMS_MAX {
        cursor.skip_cfws();
        if !cursor.skip_to_after(b';') {
            break;
        }
        let name = cursor.token(b"=;");
        if cursor.peek() != Some(b'=') {
            continue;
        }
        cursor.pos += 1;
        let value = cursor.value();
        if !name.is_empty() {
            raw.push((name, value));
        }
    }
    Value { head, params: join(raw) }
}

/// A parameter in pieces.
#[derive(Default)]
struct Split {
    /// Its place in the result: where its first piece stood.
    at: usize,
    /// Some piece has a charset or percent signs.
    extended: bool,
    pieces: BTreeMap<u32, Vec<u8>>,
}

/// Joins `name*0`, `name*1*`, ... (RFC 2231 §3, §4.1).
fn join(raw: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Param> {
    let mut out: Vec<Param> = Vec::with_capacity(raw.len());
    // By lower-case base name.
    let mut split: BTreeMap<Vec<u8>, Split> = BTreeMap::new();
    for (name, value) in raw {
        let Some((base, number, extended)) = piece_name(&name) else {
            out.push(Param { name: Raw(name), value: Raw(value) });
            continue;
        };
        let entry = split.entry(base.to_ascii_lowercase()).or_insert_with(|| {
            out.push(Param { name: Raw(base.to_vec()), value: Raw::default() });
            Split { at: out.len() - 1, ..Split::default() }
        });
        entry.extended |= extended;
        entry.pieces.entry(number).or_insert(value);
    }
    for Split { at, extended, pieces } in split.into_values() {
        // A gap ends the value: what follows belongs to nothing.
        let value = pieces.into_iter().zip(0u32..).take_while(|((n, _), i)| n == i).flat_map(|((_, v), _)| v).collect();
        out[at].value = Raw(value);
        if extended {
            out[at].name.0.push(b'*');
        }
    }
    out
}

/// `base*number` or `base*number*`.
fn piece_name(name: &[u8]) -> Option<(&[u8], u32, bool)> {
    let (rest, extended) = name.strip_suffix(b"*").map_or((name, false), |n| (n, true));
    let star = rest.iter().rposition(|b| *b == b'*')?;
    let digits = std::str::from_utf8(&rest[star + 1..]).ok()?;
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    (star > 0).then_some((&rest[..star], number, extended))
}

/// Walks a structured value.
pub(crate) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub pos: usize,
}

impl Cursor<'_> {
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }
    /// Skips white space and comments (RFC 5322 §3.2.2), which nest.
    pub fn skip_cfws(&mut self) {
        while let Some(b) = self.peek() {
            match b {
                b' ' | b'\t' | b'\r' | b'\n' => self.pos += 1,
                b'(' => {
                    self.comment();
                }
                _ => return,
            }
        }
    }
    /// Takes a comment, parentheses off, quoting off; the cursor stands on `(`.
    pub fn comment(&mut self) -> Vec<u8> {
        let (mut depth, mut out) = (0u32, Vec::new());
        while let Some(b) = self.peek() {
            self.pos += 1;
            match b {
                b'(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                }
                b')' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    out.extend(self.peek());
                    self.pos += 1;
                    continue;
                }
                _ => {}
            }
            out.push(b);
        }
        self.pos = self.pos.min(self.bytes.len());
        out
    }
    /// Takes a quoted string (RFC 5322 §3.2.4) without quotes; the cursor stands on `"`. A missing end is the end.
    pub fn quoted(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.pos += 1;
        while let Some(b) = self.peek() {
            self.pos += 1;
            match b {
                b'"' => break,
                b'\\' => {
                    out.extend(self.peek());
                    self.pos += 1;
                }
                b => out.push(b),
            }
        }
        self.pos = self.pos.min(self.bytes.len());
        out
    }
    /// Takes bytes up to one of `stops`, white space or a comment.
    fn token(&mut self, stops: &[u8]) -> Vec<u8> {
        self.skip_cfws();
        let start = self.pos;
        while let Some(b) = self.peek()
            && !stops.contains(&b)
            && !matches!(b, b' ' | b'\t' | b'(')
        {
            self.pos += 1;
        }
        let end = self.pos;
        self.skip_cfws();
        self.bytes[start..end].to_vec()
    }
    /// Takes a parameter's value. Unquoted ones may hold spaces, as broken programs write file names.
    fn value(&mut self) -> Vec<u8> {
        self.skip_cfws();
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let start = self.pos;
        while self.peek().is_some_and(|b| !matches!(b, b';' | b'(')) {
            self.pos += 1;
        }
        self.bytes[start..self.pos].trim_ascii_end().to_vec()
    }
    /// Goes on after the next `stop`; false when there is none.
    fn skip_to_after(&mut self, stop: u8) -> bool {
        let found = self.bytes[self.pos..].iter().position(|b| *b == stop);
        self.pos = found.map_or(self.bytes.len(), |i| self.pos + i + 1);
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> (String, Vec<(String, String)>) {
        let v = parse(value.as_bytes());
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (text(&v.head), v.params.iter().map(|p| (text(&p.name.0), text(&p.value.0))).collect())
    }
    fn pairs(p: &[(&str, &str)]) -> Vec<(String, String)> {
        p.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn values() {
        for (input, head, params) in [
            ("text/plain", "text/plain", &[][..]),
            ("text/plain; charset=us-ascii (Plain text)", "text/plain", &[("charset", "us-ascii")]),
            ("text/plain; CharSet=\"us-ascii\"", "text/plain", &[("CharSet", "us-ascii")]),
            ("a/b;x=1;;y = \"a \\\" ; b\" ; z", "a/b", &[("x", "1"), ("y", "a \" ; b")]),
            ("attachment; filename=my file.txt; size=3", "attachment", &[("filename", "my file.txt"), ("size", "3")]),
            ("(c) text/html (x;y=z) ; charset=(c)utf-8", "text/html", &[("charset", "utf-8")]),
            ("multipart/mixed; boundary=\"open", "multipart/mixed", &[("boundary", "open")]),
            ("", "", &[]),
            (";;=;=x;a=", "", &[("a", "")]),
        ] {
            assert_eq!(shown(input), (head.to_string(), pairs(params)), "{input}");
        }
    }

    /// RFC 2231 §3, §4 and §4.1's own examples.
    #[test]
    fn rfc2231() {
        let url = "message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\"";
        assert_eq!(shown(url).1, pairs(&[("access-type", "URL"), ("URL", "ftp://cs.utk.edu/pub")]));
        let one = parse(b"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A");
        assert_eq!(decoded_param(&one.params, "title").as_deref(), Some("This is ***fun***"));
        let both = parse(b"x/y; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"");
        assert_eq!(decoded_param(&both.params, "TITLE").as_deref(), Some("This is even more ***fun*** isn't it!"));
        assert_eq!(shown("x/y; a*1=b; a*9=c").1, pairs(&[("a", "")]));
        let word = parse(b"attachment; filename=\"=?utf-8?Q?gr=C3=BCn?=.txt\"");
        assert_eq!(decoded_param(&word.params, "filename").as_deref(), Some("gr\u{fc}n.txt"));
    }
}
