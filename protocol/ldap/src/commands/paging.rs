//! Paged results (RFC 2696): what stands in the cookie between two pages.

use crate::codec::controls::SortKey;
use crate::codec::request::Search;
use crate::entry::Entry;
use crate::errors::{Code, Stop, refused};
use crate::search::Cursor;
use std::fmt::Write;

/// First byte of the cookie of a search that the directory goes on with: the server keeps nothing for it.
const PLAIN: u8 = b'p';
/// The same of one whose sorted result this session keeps.
const SORTED: u8 = b's';

/// A sorted result of which not all has been sent.
pub struct Sorted {
    /// Which it is.
    pub token: u64,
    /// What is left, in order.
    pub rest: std::vec::IntoIter<Entry>,
}

/// Where a search goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum From {
    /// It begins.
    Start,
    /// Behind this.
    Cursor(Cursor),
    /// In the sorted result of this number.
    Sorted(u64),
}

/// What a cookie is for: it must come back with the same search.
fn digest(search: &Search) -> [u8; 8] {
    let mut text = String::new();
    let _ = write!(text, "{}\0{:?}\0{:?}", search.base, search.scope, search.filter);
    let mut out = [0; 8];
    out.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    out
}

/// What a view is for: the same, and its order.
pub fn digest_of(search: &Search, keys: &[SortKey]) -> [u8; 8] {
    let mut out = [0; 8];
    let text = format!("{:?}{keys:?}", digest(search));
    out.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    out
}

/// The cookie for a search that goes on behind `cursor`.
pub fn cookie(search: &Search, cursor: &Cursor) -> Vec<u8> {
    [&[PLAIN][..], &digest(search), &cursor.to_bytes()].concat()
}

/// The cookie for a sorted result.
pub fn sorted_cookie(search: &Search, token: u64) -> Vec<u8> {
    [&[SORTED][..], &digest(search), &token.to_be_bytes()].concat()
}

/// What a cookie says.
///
/// # Errors
/// It is not one of ours, or of another search.
pub fn read_cookie(search: &Search, cookie: &[u8]) -> Result<From, Stop> {
    let Some((kind, rest)) = cookie.split_first() else { return Ok(From::Start) };
    let odd = || refused(Code::UnwillingToPerform, "this cookie was not given for this search");
    let Some((found, rest)) = rest.split_at_checked(8) else { return odd() };
    if found != digest(search) {
        return odd();
    }
    match *kind {
        PLAIN => Cursor::of(rest).map_or_else(odd, |c| Ok(From::Cursor(c))),
        SORTED => rest.try_into().map_or_else(|_| odd(), |t| Ok(From::Sorted(u64::from_be_bytes(t)))),
        _ => odd(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::filter::Filter;
    use crate::codec::request::Scope;
    use proptest::prelude::*;

    fn search(base: &str) -> Search {
        Search {
            base: base.into(),
            scope: Scope::Sub,
            size_limit: 0,
            time_limit: 0,
            types_only: false,
            filter: Filter::Present("cn".into()),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn cookies_go_with_their_searches() {
        let cursor = Cursor::default();
        let plain = cookie(&search("dc=a"), &cursor);
        assert_eq!(read_cookie(&search("dc=a"), &plain).ok(), Some(From::Cursor(cursor)));
        assert!(read_cookie(&search("dc=b"), &plain).is_err());
        let sorted = sorted_cookie(&search(""), 7);
        assert_eq!(read_cookie(&search(""), &sorted).ok(), Some(From::Sorted(7)));
        assert_eq!(read_cookie(&search(""), b"").ok(), Some(From::Start));
    }

    proptest! {
        #[test]
        fn any_cookie(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = read_cookie(&search(""), &bytes);
        }
    }
}
