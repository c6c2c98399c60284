//! Zimbra's query language: the words of a search as users type them, compiled to [`SearchExpr`].
//!
//! ```
//! use zcluster_query::{Context, explain, parse};
//!
//! let context = Context { locale: "de".into(), zone: "Europe/Berlin".into(), ..Context::default() };
//! let query = parse("in:inbox from:(ana or bo) after:3.4.2031 sort:subjAsc", &context).unwrap();
//! assert_eq!(
//!     explain(&query.expr),
//!     r#"(in:#2 AND (from:"ana" OR from:"bo") AND date>=2031-04-03T22:00Z)"#
//! );
//! let error = parse("is:purple", &context).unwrap_err();
//! assert_eq!((error.code(), error.at), ("mail.QUERY_PARSE_ERROR", 3));
//! ```
//!
//! - [`parse`] is a function of the text and its [`Context`]: the clock, the zone, the language of dates and the owner's
//!   addresses come from the caller. It knows no mailbox: whether a folder or a tag is there is found out by the search.
//! - What has nothing behind it in this server (contacts, structured fields, mounted folders) is taken and matches nothing.
//! - Every bound is here: [`TEXT_CHARS_MAX`], [`CONDITIONS_MAX`], [`NODES_MAX`], and
//!   [`SEARCH_DEPTH_MAX`](zcluster_api::search::SEARCH_DEPTH_MAX). No text makes anything here panic.
//!
//! docs/search.md has the language for users, and how it differs from Zimbra's.

mod calendar;
mod compile;
mod dates;
mod error;
mod explain;
mod fields;
mod locale;
mod numbers;
mod parser;
mod scan;
mod tree;
mod words;

pub use error::{Problem, QueryError};
pub use explain::explain;
pub use fields::text_fields;

use zcluster_api::{FindOrder, SearchExpr, TextField};

/// Characters of one query.
pub const TEXT_CHARS_MAX: usize = 10_000;
/// Conditions that a user may write into one query.
pub const CONDITIONS_MAX: usize = 1_000;
/// Nodes of a compiled query; more than there are conditions, because some conditions are many (`is:tome`).
pub const NODES_MAX: usize = 8_000;

/// What a query means depends on who asks, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Now, Unix milliseconds: what relative dates are relative to.
    pub now_ms: i64,
    /// Time zone in which days begin, an IANA name; anything else is UTC.
    pub zone: String,
    /// Language and country in which absolute dates are written: `de`, `en_GB`, `pt-BR`. Unknown ones: `mm/dd/yyyy`.
    pub locale: String,
    /// Day on which weeks begin, 0 is Sunday (`zimbraPrefCalendarFirstDayOfWeek`).
    pub first_day_of_week: u8,
    /// Where words without an operator are looked for; empty: [`TextField::Content`]. See [`text_fields`].
    pub default_field: Vec<TextField>,
    /// The account's `zimbraId`: ids of folders and items may carry it. Empty: no id of that form is the account's.
    pub account: String,
    /// The owner's addresses, for `is:tome` and its like.
    pub own_addresses: Vec<String>,
    /// Look in Trash too (`zimbraPrefIncludeTrashInSearch`).
    pub include_trash: bool,
    /// Look in Junk too (`zimbraPrefIncludeSpamInSearch`).
    pub include_junk: bool,
}

/// A query that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What to look for. Trash and Junk are already left out of it where the query does not ask for them.
    pub expr: SearchExpr,
    /// The order that the query asks for, before any that the request has.
    pub order: Option<FindOrder>,
    /// What is to be shown as found: the conditions on words that are not negated, each once.
    pub conditions: Vec<SearchExpr>,
}

/// Reads a query.
///
/// # Errors
/// [`QueryError`]: what is wrong, where, and in a sentence for the user.
pub fn parse(text: &str, context: &Context) -> Result<Query, QueryError> {
    if let Some((at, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
        return Err(Problem::TooLong.at(at));
    }
    let (node, order) = parser::Parser::new(text, context).query()?;
    let expr = tree::guarded(&node, tree::guard(context));
    tree::check(&expr)?;
    let conditions = tree::words(&expr);
    Ok(Query { expr, order, conditions })
}
