//! UIDONLY (RFC 9586): commands that use sequence numbers are refused.

use crate::codec::command::{Request, SearchKey};
use crate::errors::Failure;
use crate::session::Session;

/// BAD with UIDREQUIRED where the client gave up sequence numbers and uses them (RFC 9586 §3).
pub fn check(s: &Session, request: &Request) -> Result<(), Failure> {
    if s.dialect.uid_only && uses_numbers(request) {
        return Err(Failure::bad("[UIDREQUIRED] sequence numbers are not used in this session"));
    }
    Ok(())
}

fn uses_numbers(request: &Request) -> bool {
    match request {
        Request::Fetch(fetch) => !fetch.uid,
        Request::Store(store) => !store.uid,
        Request::Copy { uid, .. } => !uid,
        Request::Search(search) => !search.uid || names_numbers(&search.key),
        Request::Thread(thread) => !thread.uid || names_numbers(&thread.key),
        Request::MultiSearch(search) => names_numbers(&search.search.key),
        // REPLACE is looked at when its message has been passed over.
        _ => false,
    }
}

/// Whether some key is a set of sequence numbers; `$` stands for messages, not for numbers.
pub fn names_numbers(key: &SearchKey) -> bool {
    match key {
        SearchKey::Numbers(set) => *set != crate::codec::SequenceSet::Saved,
        SearchKey::And(keys) => keys.iter().any(names_numbers),
        SearchKey::Or(a, b) => names_numbers(a) || names_numbers(b),
        SearchKey::Not(key) => names_numbers(key),
        _ => false,
    }
}
