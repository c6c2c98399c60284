//! SORT's, THREAD's and CANCELUPDATE's arguments.

use super::command::{Request, Search, Thread};
use super::cursor::{Cursor, Fault, Parse};
use super::parse_return::{Returned, returned};
use super::parse_search::charset_and_keys;
use zcluster_api::sort::{CRITERIA_MAX, SortBy, SortCriterion, Threading};

/// Tags of one CANCELUPDATE.
const TAGS_MAX: usize = 64;

/// `sort = "SORT" [SP "RETURN" SP "(" ... ")"] SP "(" sort-criterion *(SP sort-criterion) ")" SP search-criteria`
/// (RFC 5256 §5, RFC 5267 §3).
pub(super) fn sort(uid: bool, c: &mut Cursor<'_>) -> Parse<Request> {
    let Returned { ret, partial, update } = returned(c)?;
    let order = c.list(criterion)?;
    if order.is_empty() || order.len() > CRITERIA_MAX {
        return Err(Fault::Bad("a SORT has one to sixteen criteria"));
    }
    c.sp()?;
    let key = charset_and_keys(c)?;
    Ok(Request::Search(Box::new(Search { uid, ret, partial, update, order: Some(order), key })))
}

/// `sort-criterion = ["REVERSE" SP] sort-key` (RFC 5256 §5, RFC 5957 §4).
fn criterion(c: &mut Cursor<'_>) -> Parse<SortCriterion> {
    let reverse = c.eat_word("REVERSE");
    if reverse {
        c.sp()?;
    }
    let by = match c.atom()?.to_ascii_uppercase().as_str() {
        "ARRIVAL" => SortBy::Arrival,
        "CC" => SortBy::Cc,
        "DATE" => SortBy::Date,
        "FROM" => SortBy::From,
        "SIZE" => SortBy::Size,
        "SUBJECT" => SortBy::Subject,
        "TO" => SortBy::To,
        "DISPLAYFROM" => SortBy::DisplayFrom,
        "DISPLAYTO" => SortBy::DisplayTo,
        _ => return Err(Fault::Bad("no such sort criterion")),
    };
    Ok(SortCriterion { by, reverse })
}

/// `thread = "THREAD" SP thread-alg SP search-criteria` (RFC 5256 §5).
pub(super) fn thread(uid: bool, c: &mut Cursor<'_>) -> Parse<Request> {
    let threading = match c.atom()?.to_ascii_uppercase().as_str() {
        "ORDEREDSUBJECT" => Threading::OrderedSubject,
        "REFERENCES" => Threading::References,
        "REFS" => Threading::Refs,
        _ => return Err(Fault::Bad("no such threading algorithm")),
    };
    c.sp()?;
    Ok(Request::Thread(Box::new(Thread { uid, threading, key: charset_and_keys(c)? })))
}

/// `"CANCELUPDATE" 1*(SP quoted)` (RFC 5267 §5).
pub(super) fn cancel_update(c: &mut Cursor<'_>) -> Parse<Request> {
    let mut tags = vec![c.string_text()?];
    while c.eat(b' ') {
        if tags.len() == TAGS_MAX {
            return Err(Fault::Bad("too many tags"));
        }
        tags.push(c.string_text()?);
    }
    Ok(Request::CancelUpdate(tags))
}
