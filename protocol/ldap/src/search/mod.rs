//! Finding entries: what stands at a name, which steps a search takes, and taking them page by page.

pub mod matching;
mod plan;
mod resolve;
mod sort;
mod translate;
mod walk;

pub use resolve::{Found, find, find_by_name};
pub use sort::{Sortable, check_keys, compare_key, keys_of, sort};
pub use walk::{Cursor, Walk};

use crate::codec::request::Scope;
use crate::dn::Dn;

/// Whether a name is where a search looks.
pub fn in_scope(dn: &Dn, base: &Dn, scope: Scope) -> bool {
    let below = dn.0.len().checked_sub(base.0.len());
    let depth = match scope {
        Scope::Base => below == Some(0),
        Scope::One => below == Some(1),
        Scope::Sub => below.is_some(),
        Scope::Children => below.is_some_and(|n| n > 0),
    };
    depth && dn.ends_with(base)
}
