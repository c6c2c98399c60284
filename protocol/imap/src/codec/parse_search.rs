//! SEARCH's arguments.

use super::command::{MultiSearch, Request, Search, SearchKey, SearchReturn};
use super::cursor::{Cursor, Fault, Parse};
use super::parse_return::{Returned, returned};
use super::sequence::SequenceSet;
use super::{date, flags};
use std::borrow::Cow;
use zcluster_api::Flags;

/// Parentheses, NOTs and ORs within each other: below [`zcluster_api::search::SEARCH_DEPTH_MAX`] with room for what a
/// key is made of.
const DEPTH_MAX: usize = 40;
/// Keys of one SEARCH.
const KEYS_MAX: usize = 2_000;
/// Before any day there is, and behind.
const DAY_MIN: i64 = i64::MIN / 200_000_000;
const DAY_MAX: i64 = i64::MAX / 200_000_000;

struct Keys {
    charset: Option<&'static encoding_rs::Encoding>,
    left: usize,
}

/// `search = "SEARCH" [SP "RETURN" SP "(" ... ")"] [SP "CHARSET" SP astring] 1*(SP search-key)` (RFC 3501 §9,
/// RFC 4466 §6, RFC 4731 §4).
pub(super) fn search(uid: bool, c: &mut Cursor<'_>) -> Parse<Request> {
    program(uid, c).map(|search| Request::Search(Box::new(search)))
}

/// `esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program` (RFC 7377 §4).
pub(super) fn multi_search(c: &mut Cursor<'_>) -> Parse<Request> {
    let mut sources = Vec::new();
    if c.eat_word("IN") {
        c.sp()?;
        sources = super::parse_notify::sources(c)?;
        c.sp()?;
    }
    let mut search = program(true, c)?;
    search.ret.get_or_insert(SearchReturn::ALL);
    Ok(Request::MultiSearch(Box::new(MultiSearch { sources, search })))
}

fn program(uid: bool, c: &mut Cursor<'_>) -> Parse<Search> {
    let Returned { ret, partial, update } = returned(c)?;
    let mut charset = None;
    if c.eat_word("CHARSET") {
        // RFC 6855 §3: everything is UTF-8 already.
        if c.utf8 && !c.rev2 {
            return Err(Fault::Bad("CHARSET is not allowed with UTF8=ACCEPT"));
        }
        c.sp()?;
        charset = self::charset(&c.astring()?)?;
        c.sp()?;
    }
    let key = keys(charset, c)?;
    Ok(Search { uid, ret, partial, update, order: None, key })
}

/// `charset 1*(SP search-key)`, as SORT and THREAD have it (RFC 5256 §5).
pub(super) fn charset_and_keys(c: &mut Cursor<'_>) -> Parse<SearchKey> {
    let charset = charset(&c.astring()?)?;
    c.sp()?;
    keys(charset, c)
}

fn keys(charset: Option<&'static encoding_rs::Encoding>, c: &mut Cursor<'_>) -> Parse<SearchKey> {
    let mut keys = Keys { charset, left: KEYS_MAX };
    let mut all = vec![keys.key(c, 0)?];
    while c.eat(b' ') {
        all.push(keys.key(c, 0)?);
    }
    Ok(and(all))
}

/// US-ASCII and UTF-8 need no conversion. Others are known to us, but not promised.
fn charset(label: &[u8]) -> Parse<Option<&'static encoding_rs::Encoding>> {
    if label.eq_ignore_ascii_case(b"US-ASCII") {
        return Ok(None);
    }
    let found = encoding_rs::Encoding::for_label_no_replacement(label).ok_or(Fault::Charset)?;
    Ok((found != encoding_rs::UTF_8).then_some(found))
}

fn and(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.len() {
        1 => keys.remove(0),
        _ => SearchKey::And(keys),
    }
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

impl Keys {
    fn key(&mut self, c: &mut Cursor<'_>, depth: usize) -> Parse<SearchKey> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Bad("too many search keys"))?;
        if depth > DEPTH_MAX {
            return Err(Fault::Bad("search keys are nested too deep"));
        }
        if c.peek() == Some(b'(') {
            let keys = c.list(|c| self.key(c, depth + 1))?;
            return if keys.is_empty() { Err(Fault::Bad("an empty list of search keys")) } else { Ok(and(keys)) };
        }
        if SequenceSet::is_next(c) {
            return SequenceSet::parse(c).map(SearchKey::Numbers);
        }
        let word = c.atom()?.to_ascii_uppercase();
        if let Some(key) = plain(&word) {
            return Ok(key);
        }
        c.sp()?;
        match word.as_str() {
            "NOT" => self.key(c, depth + 1).map(not),
            // RFC 6203 §4: how fuzzy is the server's choice.
            "FUZZY" => self.key(c, depth + 1),
            "OR" => {
                let first = self.key(c, depth + 1)?;
                c.sp()?;
                Ok(SearchKey::Or(Box::new(first), Box::new(self.key(c, depth + 1)?)))
            }
            _ => self.text_key(&word, c),
        }
    }

    fn text_key(&self, word: &str, c: &mut Cursor<'_>) -> Parse<SearchKey> {
        let field = match word {
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => word.to_string(),
            "HEADER" => {
                let name = c.astring_text()?;
                c.sp()?;
                name
            }
            "BODY" => return self.text(c).map(SearchKey::Body),
            "TEXT" => return self.text(c).map(SearchKey::Text),
            _ => return argument_key(word, c),
        };
        Ok(SearchKey::Header(field, self.text(c)?))
    }

    /// A string in the search's charset. Without one, UTF-8 is taken although RFC 3501 §6.4.4 says US-ASCII.
    fn text(&self, c: &mut Cursor<'_>) -> Parse<String> {
        let raw = c.astring()?;
        let Some(charset) = self.charset else {
            return String::from_utf8(raw.into_owned()).map_err(|_| Fault::Charset);
        };
        match charset.decode_without_bom_handling_and_without_replacement(&raw) {
            Some(Cow::Borrowed(s)) => Ok(s.to_string()),
            Some(Cow::Owned(s)) => Ok(s),
            None => Err(Fault::Bad("a string is not in the charset of the SEARCH")),
        }
    }
}

/// Keys without arguments (RFC 3501 §6.4.4).
fn plain(word: &str) -> Option<SearchKey> {
    let flag = SearchKey::Flags;
    Some(match word {
        "ALL" => SearchKey::All,
        "ANSWERED" => flag(Flags::ANSWERED),
        "DELETED" => flag(Flags::DELETED),
        "DRAFT" => flag(Flags::DRAFT),
        "FLAGGED" => flag(Flags::FLAGGED),
        "SEEN" => not(flag(Flags::UNREAD)),
        "UNANSWERED" => not(flag(Flags::ANSWERED)),
        "UNDELETED" => not(flag(Flags::DELETED)),
        "UNDRAFT" => not(flag(Flags::DRAFT)),
        "UNFLAGGED" => not(flag(Flags::FLAGGED)),
        "UNSEEN" => flag(Flags::UNREAD),
        "RECENT" => SearchKey::Recent,
        "NEW" => SearchKey::And(vec![SearchKey::Recent, flag(Flags::UNREAD)]),
        "OLD" => not(SearchKey::Recent),
        // RFC 8514 §4.3: SAVEDATE is known in every mailbox.
        "SAVEDATESUPPORTED" => SearchKey::All,
        _ => return None,
    })
}

/// Keys with an argument that is no text to look for.
fn argument_key(word: &str, c: &mut Cursor<'_>) -> Parse<SearchKey> {
    let days = |c: &mut Cursor<'_>, kind: fn(i64, i64) -> SearchKey, when: &str| {
        let day = date::date(c)?;
        Ok(match when {
            "BEFORE" => kind(DAY_MIN, day),
            "ON" => kind(day, day + 1),
            _ => kind(day, DAY_MAX),
        })
    };
    match word {
        "BEFORE" | "ON" | "SINCE" => days(c, SearchKey::Internal, word),
        "SENTBEFORE" | "SENTON" | "SENTSINCE" => days(c, SearchKey::Sent, &word[4..]),
        "SAVEDBEFORE" | "SAVEDON" | "SAVEDSINCE" => days(c, SearchKey::Saved, &word[5..]),
        "KEYWORD" => keyword(c),
        "UNKEYWORD" => keyword(c).map(not),
        "LARGER" => c.number64().map(SearchKey::Larger),
        "SMALLER" => c.number64().map(SearchKey::Smaller),
        // RFC 5032 §3: seconds, not zero.
        "OLDER" => c.nz_number().map(|n| SearchKey::Within(n.into(), false)),
        "YOUNGER" => c.nz_number().map(|n| SearchKey::Within(n.into(), true)),
        "UID" => SequenceSet::parse(c).map(SearchKey::Uids),
        "MODSEQ" => modseq(c),
        "EMAILID" => c.astring_text().map(SearchKey::EmailId),
        "THREADID" => c.astring_text().map(SearchKey::ThreadId),
        _ => Err(Fault::Bad("no such search key")),
    }
}

fn keyword(c: &mut Cursor<'_>) -> Parse<SearchKey> {
    let name = c.atom()?;
    Ok(flags::keyword_bit(name).map_or_else(|| SearchKey::Keyword(name.to_string()), SearchKey::Flags))
}

/// `"MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer` (RFC 7162 §3.1.5). Flags have no mod-sequences of
/// their own, so the entry is passed over, as the RFC allows.
fn modseq(c: &mut Cursor<'_>) -> Parse<SearchKey> {
    if c.peek() == Some(b'"') {
        c.string()?;
        c.sp()?;
        if !["ALL", "SHARED", "PRIV"].iter().any(|w| c.eat_word(w)) {
            return Err(Fault::Bad("all, shared or priv was expected"));
        }
        c.sp()?;
    }
    c.number64().map(SearchKey::ModSeq)
}
