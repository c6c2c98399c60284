//! APPEND and REPLACE, piece by piece, as their literals come; and the arguments of the verbs around them.
//!
//! A message may be larger than any buffer, so these two commands are not read as a whole: what stands between two
//! literals is read by [`Stage::next`], and the session reads the literals.

use super::command::{Append, FlagList, Replace, Request, UrlFetch, UrlWants};
use super::cursor::{Cursor, Fault, Parse};
use super::fragment::Literal;
use super::sequence::SequenceSet;
use super::{date, flags};

/// Pairs that one GENURLAUTH, and URLs that one URLFETCH may have.
const URLS_MAX: usize = 64;

/// What is told of a message before its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Initial flags.
    pub flags: FlagList,
    /// INTERNALDATE, Unix milliseconds.
    pub internal_ms: Option<i64>,
}

/// What an APPEND goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A message whose bytes are in this literal, the last thing on the line.
    Message(Options, Literal),
    /// A message in parts (RFC 4469).
    Catenate(Options),
    /// The next part is in this literal, the last thing on the line.
    Text(Literal),
    /// The next part is behind this URL.
    Url(String),
    /// There are no more parts.
    Close,
    /// There is nothing more.
    End,
}

/// How far a command has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before a message.
    Message,
    /// Behind one; `closes`: a parenthesis must come (RFC 6855 §4).
    Behind {
        /// The `UTF8` form.
        closes: bool,
    },
    /// Behind a part of a message; `closes`: the part's own parenthesis must come.
    Part {
        /// The `UTF8` form.
        closes: bool,
    },
    /// At the first part.
    FirstPart,
}

impl Stage {
    /// Reads the next piece; the cursor is left behind it.
    ///
    /// # Errors
    /// [`Fault`]; `Literal` when a URL is in a literal whose bytes are still to be read: then read again from where the
    /// cursor stood.
    pub fn next(self, c: &mut Cursor<'_>) -> Parse<(Piece, Stage)> {
        match self {
            Stage::Message => message(c),
            Stage::Behind { closes } => {
                close(c, closes)?;
                if c.at_end() { Ok((Piece::End, self)) } else { message(c) }
            }
            Stage::FirstPart => part(c),
            Stage::Part { closes } => {
                close(c, closes)?;
                if c.eat(b')') {
                    return Ok((Piece::Close, Stage::Behind { closes: false }));
                }
                c.sp()?;
                part(c)
            }
        }
    }
}

fn close(c: &mut Cursor<'_>, closes: bool) -> Parse<()> {
    if closes { c.expect(b')', "a parenthesis is not closed") } else { Ok(()) }
}

/// `append-message = [SP flag-list] [SP date-time] [SP append-ext] SP append-data`, `append-data = literal / literal8 /
/// "UTF8" SP "(" literal8 ")" / "CATENATE" SP "(" cat-part *(SP cat-part) ")"` (RFC 3502 §7, RFC 3516 §7, RFC 6855 §4,
/// RFC 4469 §5).
fn message(c: &mut Cursor<'_>) -> Parse<(Piece, Stage)> {
    c.sp()?;
    let mut options = Options::default();
    if c.peek() == Some(b'(') {
        options.flags = flags::flag_list(c)?;
        c.sp()?;
    }
    if c.peek() == Some(b'"') {
        options.internal_ms = Some(date::date_time(c)?);
        c.sp()?;
    }
    if c.eat_word("CATENATE") {
        c.sp()?;
        c.expect(b'(', "a parenthesis was expected")?;
        return Ok((Piece::Catenate(options), Stage::FirstPart));
    }
    let (literal, closes) = message_literal(c)?;
    Ok((Piece::Message(options, literal), Stage::Behind { closes }))
}

/// `cat-part = "URL" SP astring / "TEXT" SP literal` (RFC 4469 §5); a literal8 and the UTF8 form are taken as well.
fn part(c: &mut Cursor<'_>) -> Parse<(Piece, Stage)> {
    if c.eat_word("URL") {
        c.sp()?;
        return Ok((Piece::Url(c.astring_text()?), Stage::Part { closes: false }));
    }
    if c.eat_word("TEXT") {
        c.sp()?;
    } else if !c.rest().get(..4).is_some_and(|w| w.eq_ignore_ascii_case(b"UTF8")) {
        return Err(Fault::Bad("URL or TEXT was expected"));
    }
    let (literal, closes) = message_literal(c)?;
    Ok((Piece::Text(literal), Stage::Part { closes }))
}

/// A literal's header, and whether a parenthesis closes behind the literal.
fn message_literal(c: &mut Cursor<'_>) -> Parse<(Literal, bool)> {
    let utf8 = c.eat_word("UTF8");
    if utf8 {
        c.sp()?;
        c.expect(b'(', "a parenthesis was expected")?;
    }
    let literal = c.message_literal()?;
    if utf8 && !literal.binary {
        return Err(Fault::Bad("UTF8 takes a literal8"));
    }
    Ok((literal, utf8))
}

/// `append = "APPEND" SP mailbox 1*append-message` (RFC 3502 §7), up to the mailbox.
pub(super) fn append(c: &mut Cursor<'_>) -> Parse<Request> {
    Ok(Request::Append(target(c)?))
}

fn target(c: &mut Cursor<'_>) -> Parse<Append> {
    let mailbox = c.mailbox()?;
    if c.peek() != Some(b' ') {
        return Err(Fault::Bad("a space was expected"));
    }
    Ok(Append { mailbox, rest: c.take_rest().to_vec() })
}

/// `replace = "REPLACE" SP seq-number SP mailbox append-message`, `uid-replace = "UID" SP "REPLACE" SP uniqueid SP
/// mailbox append-message` (RFC 8508 §5), up to the mailbox.
pub(super) fn replace(c: &mut Cursor<'_>, uid: bool) -> Parse<Request> {
    let number = SequenceSet::number(c)?;
    c.sp()?;
    Ok(Request::Replace(Box::new(Replace { uid, number, append: target(c)? })))
}

/// `compress = "COMPRESS" SP algorithm` (RFC 4978 §5).
pub(super) fn compress(c: &mut Cursor<'_>) -> Parse<Request> {
    Ok(Request::Compress(c.atom()?.to_ascii_uppercase()))
}

/// `genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism)` (RFC 4467 §8).
pub(super) fn gen_url_auth(c: &mut Cursor<'_>) -> Parse<Request> {
    let mut pairs = Vec::new();
    loop {
        let url = c.astring_text()?;
        c.sp()?;
        pairs.push((url, c.atom()?.to_ascii_uppercase()));
        if !c.eat(b' ') {
            return Ok(Request::GenUrlAuth(pairs));
        }
        if pairs.len() == URLS_MAX {
            return Err(Fault::Bad("too many URLs in one command"));
        }
    }
}

/// `urlfetch = "URLFETCH" 1*(SP url-fetch-arg)` (RFC 4467 §8, RFC 5524 §5).
pub(super) fn url_fetch(c: &mut Cursor<'_>) -> Parse<Request> {
    let mut urls = vec![url_to_fetch(c)?];
    while c.eat(b' ') {
        if urls.len() == URLS_MAX {
            return Err(Fault::Bad("too many URLs in one command"));
        }
        urls.push(url_to_fetch(c)?);
    }
    Ok(Request::UrlFetch(urls))
}

/// `url-fetch-arg = url-full / "(" url-full *(SP url-fetch-param) ")"` (RFC 5524 §5).
fn url_to_fetch(c: &mut Cursor<'_>) -> Parse<UrlFetch> {
    if !c.eat(b'(') {
        return Ok(UrlFetch { url: c.astring_text()?, wants: None });
    }
    let (url, mut wants) = (c.astring_text()?, UrlWants::default());
    while c.eat(b' ') {
        wants.add(match c.atom()?.to_ascii_uppercase().as_str() {
            "BODY" => UrlWants::BODY,
            "BINARY" => UrlWants::BINARY,
            "BODYPARTSTRUCTURE" => UrlWants::BODYPARTSTRUCTURE,
            _ => return Err(Fault::Bad("no such URLFETCH parameter")),
        });
    }
    c.expect(b')', "a parenthesis is not closed")?;
    if wants.has(UrlWants::BODY.with(UrlWants::BINARY)) {
        return Err(Fault::Bad("BODY and BINARY exclude each other"));
    }
    let wants = if wants.is_empty() { UrlWants::BODY } else { wants };
    Ok(UrlFetch { url, wants: Some(wants) })
}

/// `resetkey = "RESETKEY" [SP mailbox *(SP mechanism)]` (RFC 4467 §8).
pub(super) fn reset_key(c: &mut Cursor<'_>) -> Parse<Request> {
    let (mut mailbox, mut mechanisms) = (None, Vec::new());
    if c.eat(b' ') {
        mailbox = Some(c.mailbox()?);
    }
    while c.eat(b' ') {
        mechanisms.push(c.atom()?.to_ascii_uppercase());
    }
    Ok(Request::ResetKey { mailbox, mechanisms })
}

/// `setquota = "SETQUOTA" SP quota-root-name SP "(" [resource-name SP number64 *(...)] ")"` (RFC 9208 §7).
pub(super) fn set_quota(c: &mut Cursor<'_>) -> Parse<Request> {
    let root = c.astring_text()?;
    c.sp()?;
    c.list(|c| {
        c.atom()?;
        c.sp()?;
        c.number64()
    })?;
    Ok(Request::SetQuota(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(line: &str) -> Parse<Vec<Piece>> {
        let (mut stage, mut c, mut out) = (Stage::Message, Cursor::new(line.as_bytes()), Vec::new());
        loop {
            let (piece, next) = stage.next(&mut c)?;
            stage = next;
            let done = matches!(piece, Piece::End | Piece::Message(..) | Piece::Text(_));
            out.push(piece);
            if done {
                return Ok(out);
            }
        }
    }

    #[test]
    fn messages_and_parts() {
        let literal =
            |line: &str| super::super::fragment::literal_at_end(line.as_bytes()).map(|l| Literal { start: 0, ..l });
        assert_eq!(pieces(" {5}"), Ok(vec![Piece::Message(Options::default(), literal("{5}").unwrap())]));
        let Ok(all) = pieces(" (\\Seen) \"17-Jul-1996 02:44:25 -0700\" UTF8 (~{5+}") else { panic!() };
        assert!(matches!(&all[..], [Piece::Message(o, l)] if o.flags.seen && o.internal_ms.is_some() && l.binary));
        let Ok(all) = pieces(" CATENATE (URL \"/a;UID=1\" URL x TEXT {3}") else { panic!() };
        assert!(matches!(&all[..], [Piece::Catenate(_), Piece::Url(a), Piece::Url(x), Piece::Text(_)]
            if a == "/a;UID=1" && x == "x"));
        let Ok(all) = pieces(" CATENATE (URL x) CATENATE (URL y)") else { panic!() };
        assert_eq!(all.len(), 7);
        assert_eq!(all.last(), Some(&Piece::End));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            " ",
            "{5}",
            " x",
            " CATENATE",
            " CATENATE ()",
            " CATENATE (URL)",
            " CATENATE (URL x",
            " CATENATE (URL x )",
            " CATENATE (TEXT x)",
            " UTF8 {5}",
            " UTF8 (~{5",
            " UTF8 ({5}",
            " (\\Nonsense) {5}",
            " () () {5}",
            " CATENATE (URL x)x",
            " CATENATE (URL x) ",
            " \"yesterday\" {5}",
            " CATENATE (FILE x)",
        ] {
            assert!(matches!(pieces(line), Err(Fault::Bad(_))), "{line}");
        }
        assert!(matches!(pieces(" CATENATE (URL {5}"), Err(Fault::Literal(_))));
    }

    proptest! {
        #[test]
        fn never_panics(line in " ?(CATENATE|UTF8|URL|TEXT|[(){}~+0-9\" a;=/])*") {
            let _ = pieces(&line);
        }
    }
}
