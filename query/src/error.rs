//! What can be wrong with a query.

use std::fmt;

/// Why a query was not understood, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// What is wrong.
    pub problem: Problem,
    /// Where in the text, bytes from its beginning.
    pub at: usize,
}

impl QueryError {
    /// The fault's code in SOAP.
    pub fn code(&self) -> &'static str {
        "mail.QUERY_PARSE_ERROR"
    }
    /// What Zimbra calls the reason within the fault, where it has a name for it.
    pub fn reason(&self) -> Option<&'static str> {
        matches!(self.problem, Problem::UnknownIs(_)).then_some("UNKNOWN_TEXT_AFTER_IS")
    }
}

impl std::error::Error for QueryError {}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

/// What is wrong with a query: a sentence for whoever typed it. Texts in it are cut to what can be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing was asked.
    #[error("The query is empty.")]
    Empty,
    /// See [`crate::TEXT_CHARS_MAX`].
    #[error("The query is too long: at most {} characters.", crate::TEXT_CHARS_MAX)]
    TooLong,
    /// See [`crate::CONDITIONS_MAX`], [`crate::NODES_MAX`].
    #[error("The query has too many conditions: at most {}.", crate::CONDITIONS_MAX)]
    TooMany,
    /// See [`zcluster_api::search::SEARCH_DEPTH_MAX`].
    #[error("The query is nested too deeply.")]
    TooDeep,
    /// A `"` without its partner.
    #[error("A quotation mark is not closed.")]
    OpenQuote,
    /// A `(` without its partner.
    #[error("A parenthesis is not closed.")]
    OpenParenthesis,
    /// A `{` without its partner.
    #[error("A brace is not closed.")]
    OpenBrace,
    /// A `)` without its partner.
    #[error("There is a closing parenthesis without an opening one.")]
    StrayParenthesis,
    /// A brace where none may be.
    #[error("Braces may only stand after item:, or in quotes.")]
    StrayBrace,
    /// A colon with nothing before it.
    #[error("A colon needs an operator before it, as in from:, or quotes around it.")]
    StrayColon,
    /// `()`.
    #[error("There is nothing in the parentheses.")]
    EmptyParentheses,
    /// `or`, `and` with nothing to the left.
    #[error("There is nothing before “{0}”. To look for the word, put it in quotes.")]
    NothingBefore(String),
    /// `or`, `and`, `not`, `-`, `+` with nothing to the right.
    #[error("There is nothing after “{0}”. To look for the word, put it in quotes.")]
    NothingAfter(String),
    /// No such operator.
    #[error("There is no operator “{0}:”. Text with a colon has to be in quotes.")]
    UnknownOperator(String),
    /// An operator without its value.
    #[error("“{0}:” needs a value.")]
    NoValue(String),
    /// A value that has to be in quotes.
    #[error("What follows “{0}:” has to be in quotes if it begins with “{1}” or has a colon in it.")]
    Unquoted(String, char),
    /// An operator between the parentheses of another one.
    #[error("“{1}:” may not stand between the parentheses of “{0}:”.")]
    OperatorInside(String, String),
    /// `-sort:`.
    #[error("An order cannot be negated.")]
    NegatedOrder,
    /// `is:` with something else.
    #[error(
        "“is:” knows no “{0}”; it knows read, unread, flagged, unflagged, draft, sent, received, replied, unreplied, forwarded, unforwarded, invite, solo, anywhere, local, remote, tome, fromme, ccme and their combinations."
    )]
    UnknownIs(String),
    /// `has:` with something else.
    #[error("“has:” knows no “{0}”; it knows attachment, phone, url, ssn and u.po.")]
    UnknownHas(String),
    /// `priority:` with something else.
    #[error("“priority:” knows no “{0}”; it knows high and low.")]
    UnknownPriority(String),
    /// Neither an alias nor `major/minor`.
    #[error(
        "“{0}” is no type of attachment: use a name such as pdf, word, excel, image, or a media type such as image/png."
    )]
    UnknownType(String),
    /// `tag:\X`.
    #[error("There is no flag “{0}”.")]
    UnknownFlag(String),
    /// `sort:X`.
    #[error("There is no order “{0}”.")]
    UnknownOrder(String),
    /// Not a whole number, or too large.
    #[error("“{0}:” needs a whole number, not “{1}”.")]
    BadNumber(String, String),
    /// Not a size.
    #[error("“{0}” is no size: write a whole number and b, kb, mb or gb, as in 20kb.")]
    BadSize(String),
    /// Not a date.
    #[error("“{0}” is no date: write {1}, or today, yesterday, or with a sign -3day, +2week, -1month.")]
    BadDate(String, &'static str),
    /// A date that no calendar has.
    #[error("The date “{0}” is out of reach.")]
    DateOutOfReach(String),
    /// Not an id of an item or a folder.
    #[error("“{0}” is no id.")]
    BadId(String),
    /// A comparison that an operator does not take.
    #[error("“{0}:” takes no comparison.")]
    NoComparison(String),
}

impl Problem {
    /// Says where.
    pub(crate) fn at(self, at: usize) -> QueryError {
        QueryError { problem: self, at }
    }
}

/// A piece of the query as it may stand in a message.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    let mut out: String = text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        out.push('…');
    }
    out
}
