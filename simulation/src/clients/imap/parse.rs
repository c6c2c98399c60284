//! From a frame to a [`Response`] (RFC 3501 §9, RFC 4315, RFC 4731, RFC 7162).

use super::frames::literal_at_end;
use super::response::{Code, Items, Kind, Response, Status};

/// Numbers in one set that our client is ready to list.
const NUMBERS_MAX: usize = 200_000;

type Parse<T> = Result<T, String>;

/// Understands one frame.
///
/// # Errors
/// What is wrong with it.
pub fn response(frame: &[u8]) -> Parse<Response> {
    let mut c = Cursor { bytes: frame, at: 0 };
    let parsed = whole(&mut c).map_err(|why| format!("{why} at {} of {:?}", c.at, String::from_utf8_lossy(frame)))?;
    Ok(parsed)
}

fn whole(c: &mut Cursor<'_>) -> Parse<Response> {
    if c.eat(b"+") {
        return Ok(Response::Continue);
    }
    if !c.eat(b"* ") {
        let tag = c.word()?;
        c.must(b" ")?;
        let kind = c.word()?;
        let kind = kind_of(&kind).filter(|k| *k != Kind::Bye).ok_or("a tagged response that is none")?;
        return Ok(Response::Tagged(tag, status(c, kind)?));
    }
    if c.peek().is_some_and(|b| b.is_ascii_digit()) {
        return numbered(c);
    }
    let name = c.word()?;
    if let Some(kind) = kind_of(&name) {
        return Ok(Response::Untagged(status(c, kind)?));
    }
    match name.as_str() {
        "SEARCH" => plain_search(c),
        "ESEARCH" => extended_search(c),
        "STATUS" => mailbox_status(c),
        _ => Ok(Response::Other(name)),
    }
}

fn kind_of(word: &str) -> Option<Kind> {
    Some(match word {
        "OK" | "PREAUTH" => Kind::Ok,
        "NO" => Kind::No,
        "BAD" => Kind::Bad,
        "BYE" => Kind::Bye,
        _ => return None,
    })
}

/// What follows OK, NO, BAD and BYE.
fn status(c: &mut Cursor<'_>, kind: Kind) -> Parse<Status> {
    c.must(b" ")?;
    let code = if c.eat(b"[") { Some(code(c)?) } else { None };
    let rest = c.rest();
    let text = rest.strip_suffix(b"\r\n").ok_or("a status without end")?;
    Ok(Status { kind, code, text: String::from_utf8_lossy(text).trim_start().to_string() })
}

fn code(c: &mut Cursor<'_>) -> Parse<Code> {
    let name = c.word()?;
    let code = match name.as_str() {
        "APPENDUID" => Code::AppendUid(c.spaced_number()?, c.spaced_number()?),
        "COPYUID" => Code::CopyUid(c.spaced_number()?, c.spaced_set()?, c.spaced_set()?),
        "HIGHESTMODSEQ" => Code::HighestModSeq(c.spaced_number()?),
        "MODIFIED" => Code::Modified(c.spaced_set()?),
        "UIDVALIDITY" => Code::UidValidity(c.spaced_number()?),
        "UIDNEXT" => Code::UidNext(c.spaced_number()?),
        _ => {
            c.until(b']')?;
            return Ok(Code::Other(name));
        }
    };
    c.must(b"]")?;
    Ok(code)
}

fn numbered(c: &mut Cursor<'_>) -> Parse<Response> {
    let number = c.number()?;
    c.must(b" ")?;
    let name = c.word()?;
    let response = match name.as_str() {
        "EXISTS" => Response::Exists(number),
        "RECENT" => Response::Recent(number),
        "EXPUNGE" => Response::Expunge(number),
        "FETCH" => {
            c.must(b" (")?;
            Response::Fetch(number, items(c)?)
        }
        _ => return Err("an unknown response with a number".into()),
    };
    c.end()?;
    Ok(response)
}

/// The items of FETCH up to and with the closing parenthesis.
fn items(c: &mut Cursor<'_>) -> Parse<Items> {
    let mut items = Items::default();
    loop {
        let name = c.word()?;
        match name.as_str() {
            "UID" => items.uid = Some(c.spaced_number()?),
            "MODSEQ" => {
                c.must(b" (")?;
                items.modseq = Some(c.number()?);
                c.must(b")")?;
            }
            "FLAGS" => {
                c.must(b" (")?;
                let flags = c.words_to_parenthesis()?;
                items.flags = Some(flags.into_iter().filter(|f| f != "\\Recent").collect());
            }
            "BODY" if c.eat(b"[") => {
                c.until(b']')?;
                c.must(b" ")?;
                items.section = Some(c.nstring()?);
            }
            _ => return Err(format!("an item that was not asked for: {name}")),
        }
        if c.eat(b")") {
            return Ok(items);
        }
        c.must(b" ")?;
    }
}

fn plain_search(c: &mut Cursor<'_>) -> Parse<Response> {
    let mut found = Vec::new();
    while c.eat(b" ") {
        if c.eat(b"(") {
            c.until(b')')?;
        } else {
            found.push(c.number()?);
        }
    }
    c.end()?;
    Ok(Response::Found(found))
}

fn extended_search(c: &mut Cursor<'_>) -> Parse<Response> {
    let mut found = Vec::new();
    while c.eat(b" ") {
        if c.eat(b"(") {
            c.until(b')')?;
            continue;
        }
        match c.word()?.as_str() {
            "UID" => {}
            "ALL" => found = c.spaced_set()?,
            "MIN" | "MAX" | "COUNT" | "MODSEQ" => {
                c.spaced_number::<u64>()?;
            }
            other => return Err(format!("an unknown search result {other}")),
        }
    }
    c.end()?;
    Ok(Response::Found(found))
}

fn mailbox_status(c: &mut Cursor<'_>) -> Parse<Response> {
    c.must(b" ")?;
    match c.peek() {
        Some(b'"' | b'{') => drop(c.nstring()?),
        _ => drop(c.word()?),
    }
    c.must(b" (")?;
    let mut values = Vec::new();
    while !c.eat(b")") {
        c.eat(b" ");
        let name = c.word()?;
        values.push((name, c.spaced_number()?));
    }
    c.end()?;
    Ok(Response::Status(values))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
    fn eat(&mut self, what: &[u8]) -> bool {
        let there = self.rest().starts_with(what);
        self.at += if there { what.len() } else { 0 };
        there
    }
    fn must(&mut self, what: &[u8]) -> Parse<()> {
        if self.eat(what) { Ok(()) } else { Err(format!("expected {:?}", String::from_utf8_lossy(what))) }
    }
    fn end(&mut self) -> Parse<()> {
        self.must(b"\r\n")?;
        if self.rest().is_empty() { Ok(()) } else { Err("more after the end".into()) }
    }
    /// Letters up to a delimiter; at least one.
    fn word(&mut self) -> Parse<String> {
        let delimiter = |b: &u8| b" ()[]{}\"\r\n".contains(b);
        let len = self.rest().iter().position(delimiter).unwrap_or(self.rest().len());
        if len == 0 {
            return Err("expected a word".into());
        }
        let word = std::str::from_utf8(&self.rest()[..len]).map_err(|_| "a word that is no text")?.to_string();
        self.at += len;
        Ok(word)
    }
    fn number<T: std::str::FromStr>(&mut self) -> Parse<T> {
        let len = self.rest().iter().position(|b| !b.is_ascii_digit()).unwrap_or(self.rest().len());
        let digits = std::str::from_utf8(&self.rest()[..len]).map_err(|_| "expected a number")?;
        let number = digits.parse().map_err(|_| "expected a number that fits")?;
        self.at += len;
        Ok(number)
    }
    fn spaced_number<T: std::str::FromStr>(&mut self) -> Parse<T> {
        self.must(b" ")?;
        self.number()
    }
    /// `1:3,7` as 1, 2, 3, 7.
    fn spaced_set(&mut self) -> Parse<Vec<u32>> {
        self.must(b" ")?;
        let mut numbers = Vec::new();
        loop {
            let first: u32 = self.number()?;
            let last = if self.eat(b":") { self.number()? } else { first };
            let (first, last) = (first.min(last), first.max(last));
            if (last - first) as usize + numbers.len() >= NUMBERS_MAX {
                return Err("a set of too many numbers".into());
            }
            numbers.extend(first..=last);
            if !self.eat(b",") {
                return Ok(numbers);
            }
        }
    }
    fn words_to_parenthesis(&mut self) -> Parse<Vec<String>> {
        let mut words = Vec::new();
        while !self.eat(b")") {
            self.eat(b" ");
            words.push(self.word()?);
        }
        Ok(words)
    }
    /// Passes over everything up to and with `end`.
    fn until(&mut self, end: u8) -> Parse<()> {
        let len = self.rest().iter().position(|b| *b == end).ok_or("a bracket is not closed")?;
        self.at += len + 1;
        Ok(())
    }
    /// A quoted string, a literal or NIL (as nothing).
    fn nstring(&mut self) -> Parse<Vec<u8>> {
        if self.eat(b"NIL") {
            return Ok(Vec::new());
        }
        if self.eat(b"\"") {
            return self.quoted();
        }
        let line_end = self.rest().iter().position(|b| *b == b'\n').ok_or("expected a string")? + 1;
        let size = literal_at_end(&self.rest()[..line_end]).filter(|_| self.peek() == Some(b'{'));
        let size = size.ok_or("expected a string")?;
        self.at += line_end;
        let literal = self.rest().get(..size).ok_or("a literal is cut short")?.to_vec();
        self.at += size;
        Ok(literal)
    }
    fn quoted(&mut self) -> Parse<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            let b = self.peek().ok_or("a quoted string is not closed")?;
            self.at += 1;
            match b {
                b'"' => return Ok(out),
                b'\\' => {
                    out.push(self.peek().ok_or("a quoted string is not closed")?);
                    self.at += 1;
                }
                b'\r' | b'\n' => return Err("a line ends in a quoted string".into()),
                other => out.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::Frames;
    use super::*;
    use proptest::prelude::*;

    const CONVERSATION: &str = "* OK [CAPABILITY IMAP4rev1 IDLE] zcluster ready\r\n\
        * FLAGS (\\Seen \\Answered k1)\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] flags\r\n* 3 EXISTS\r\n* 1 RECENT\r\n\
        * OK [UIDVALIDITY 77] valid\r\n* OK [UIDNEXT 9] next\r\n* OK [HIGHESTMODSEQ 18446744073709551615] high\r\n\
        t1 OK [READ-WRITE] SELECT completed\r\n\
        * 1 FETCH (UID 5 FLAGS (\\Seen \\Recent k1) MODSEQ (12) BODY[HEADER.FIELDS (SUBJECT)] {18}\r\n\
        Subject: m12 {3}\r\n)\r\n* 2 FETCH (UID 6 FLAGS () BODY[] \"a\\\"b\")\r\n\
        t2 OK FETCH completed\r\n* 2 EXPUNGE\r\n+ go ahead\r\n\
        t3 OK [APPENDUID 77 10] APPEND completed\r\nt4 OK [COPYUID 78 5:6,9 1:3] COPY completed\r\n\
        * SEARCH\r\n* SEARCH 1 7 (MODSEQ 5)\r\n* ESEARCH (TAG \"t5\") UID COUNT 2 ALL 3:4\r\n\
        * STATUS \"A b\" (MESSAGES 3 UIDNEXT 9)\r\nt6 OK [MODIFIED 5] some\r\n\
        t7 NO [NONEXISTENT] no such mailbox\r\nt8 BAD what\r\n* BYE bye\r\n";

    fn all(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<Response> {
        let (mut frames, mut out) = (Frames::imap(), Vec::new());
        for piece in pieces {
            frames.space().extend_from_slice(&piece);
            while let Some(frame) = frames.next().expect("frames") {
                out.push(response(frame).expect("a response"));
            }
        }
        out
    }

    #[test]
    fn responses_are_understood() {
        let all = all(std::iter::once(CONVERSATION.as_bytes().to_vec()));
        assert!(all.contains(&Response::Exists(3)) && all.contains(&Response::Expunge(2)));
        assert!(all.contains(&Response::Found(vec![1, 7])) && all.contains(&Response::Found(vec![3, 4])));
        let Some(Response::Fetch(1, items)) = all.iter().find(|r| matches!(r, Response::Fetch(1, _))) else {
            panic!("no fetch: {all:?}")
        };
        assert_eq!((items.uid, items.modseq), (Some(5), Some(12)));
        assert_eq!(items.section.as_deref(), Some(&b"Subject: m12 {3}\r\n"[..]));
        assert_eq!(items.flags.as_ref().unwrap().len(), 2);
        let codes: Vec<&Code> = all
            .iter()
            .filter_map(|r| match r {
                Response::Tagged(_, s) => s.code.as_ref(),
                _ => None,
            })
            .collect();
        assert!(codes.contains(&&Code::CopyUid(78, vec![5, 6, 9], vec![1, 2, 3])));
        assert!(codes.contains(&&Code::AppendUid(77, 10)) && codes.contains(&&Code::Modified(vec![5])));
        assert!(codes.contains(&&Code::Other("NONEXISTENT".into())));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["* 3 WHAT\r\n", "* 1 FETCH (UID x)\r\n", "t1 MAYBE\r\n", "* 5 EXISTS \r\n", "* OK [UIDNEXT 3\r\n"] {
            assert!(response(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(cuts in prop::collection::vec(0..CONVERSATION.len(), 0..40)) {
            let (mut cuts, mut pieces) = (cuts, Vec::new());
            cuts.push(0);
            cuts.push(CONVERSATION.len());
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                pieces.push(CONVERSATION.as_bytes()[pair[0]..pair[1]].to_vec());
            }
            prop_assert_eq!(all(pieces.into_iter()), all(std::iter::once(CONVERSATION.as_bytes().to_vec())));
        }

        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::imap();
            frames.space().extend_from_slice(&bytes);
            while let Ok(Some(frame)) = frames.next() {
                let _ = response(frame);
            }
        }
    }
}
