//! What each operator means with its value: places, states, types. Words, numbers and dates have files of their own.

use crate::error::{Problem, QueryError, shown};
use crate::fields::{Field, Operator};
use crate::parser::Value;
use crate::tree::{Node, any_of, not, nothing};
use crate::{Context, dates, numbers, words};
use zcluster_api::mailbox::{Flags, folders};
use zcluster_api::search::{InFolder, Priority};
use zcluster_api::{AccountId, FolderId, SearchExpr, TextField};

/// One condition.
pub(crate) fn leaf(operator: &Operator, value: &Value, context: &Context) -> Result<Node, QueryError> {
    let text = value.text.trim();
    let needs_one = !matches!(operator.field, Field::Text(_) | Field::Nothing);
    if needs_one && text.is_empty() {
        return Err(Problem::NoValue(operator.name.clone()).at(value.at));
    }
    if value.comparison.is_some() && matches!(operator.field, Field::Size(Some(_))) {
        return Err(Problem::NoComparison(operator.name.clone()).at(value.at));
    }
    let found = match &operator.field {
        Field::Path { below } => return Ok(place(path(text, *below))),
        Field::Folder { below } => return folder(text, *below, context).map_err(|problem| problem.at(value.at)),
        Field::Is => return is(text, context).map_err(|problem| problem.at(value.at)),
        Field::Who(fields) | Field::Text(fields) => Ok(words::text(operator, fields, value)),
        Field::Has => has(text),
        Field::Tag => tag(text),
        Field::Priority => priority(text),
        Field::Type => attachment(text),
        Field::Date(date) => dates::condition(date, operator, value, context),
        Field::Nothing | Field::Sort => Ok(nothing()),
        number => numbers::condition(number, operator, value, context),
    };
    found.map(Node::leaf).map_err(|problem| problem.at(value.at))
}

/// An id without the account before it; `None`: it is in another account.
pub(crate) fn own_id<'t>(text: &'t str, context: &Context) -> Result<Option<&'t str>, Problem> {
    let Some((account, id)) = text.split_once(':') else { return Ok(Some(text)) };
    let named: AccountId = account.parse().map_err(|()| Problem::BadId(shown(text)))?;
    Ok((context.account.parse() == Ok(named)).then_some(id))
}

fn place(at: InFolder) -> Node {
    // Everything is no place that somebody has named.
    let lifts = at.id != Some(folders::USER_ROOT) || !at.path.is_empty();
    Node::Leaf { expr: SearchExpr::In(at), lifts, negated: false }
}

fn path(text: &str, below: bool) -> InFolder {
    let mut names = text.split('/').filter(|name| !name.is_empty());
    let rest = |names: std::iter::Filter<_, _>| names.collect::<Vec<&str>>().join("/");
    let whole = rest(names.clone());
    match names.next().map(well_known) {
        None => InFolder { id: Some(folders::USER_ROOT), path: whole, below },
        Some(None) => InFolder { id: None, path: whole, below },
        Some(id) => InFolder { id, path: rest(names), below },
    }
}

fn well_known(name: &str) -> Option<FolderId> {
    let id = match name.to_lowercase().as_str() {
        "inbox" => folders::INBOX,
        "trash" => folders::TRASH,
        "junk" => folders::JUNK,
        "sent" => folders::SENT,
        "drafts" => folders::DRAFTS,
        "contacts" => FolderId(7),
        _ => return None,
    };
    Some(id)
}

fn folder(text: &str, below: bool, context: &Context) -> Result<Node, Problem> {
    let own = own_id(text, context)?;
    let text = own.or(text.split_once(':').map(|(_, rest)| rest)).unwrap_or(text);
    let (id, path) = text.split_once('/').unwrap_or((text, ""));
    let id = numbers::whole(id).filter(|id| *id > 0).ok_or_else(|| Problem::BadId(shown(text)))?;
    Ok(match own {
        Some(_) => place(InFolder { id: Some(FolderId(id)), path: path.trim_matches('/').to_owned(), below }),
        None => Node::leaf(nothing()),
    })
}

fn is(text: &str, context: &Context) -> Result<Node, Problem> {
    use TextField::{Cc, From, To};
    let flag = SearchExpr::Flags;
    let me = |fields: &[TextField]| {
        any_of(context.own_addresses.iter().map(|address| words::words(fields, address.trim(), false, false)))
    };
    let expr = match text.to_lowercase().as_str() {
        "anywhere" => return Ok(Node::Leaf { expr: SearchExpr::All, lifts: true, negated: false }),
        "local" => SearchExpr::All,
        "remote" => nothing(),
        "read" => not(flag(Flags::UNREAD)),
        "unread" => flag(Flags::UNREAD),
        "flagged" => flag(Flags::FLAGGED),
        "unflagged" => not(flag(Flags::FLAGGED)),
        "draft" => flag(Flags::DRAFT),
        "sent" => flag(Flags::SENT),
        "received" => not(flag(Flags::SENT)),
        "replied" => flag(Flags::ANSWERED),
        "unreplied" => not(flag(Flags::ANSWERED)),
        "forwarded" => flag(Flags::FORWARDED),
        "unforwarded" => not(flag(Flags::FORWARDED)),
        "invite" => invite(),
        "solo" => SearchExpr::ConversationSize { from: 1, to: 2 },
        "tome" => me(&[To]),
        "fromme" => me(&[From]),
        "ccme" => me(&[Cc]),
        "tofromme" => me(&[To, From]),
        "toccme" => me(&[To, Cc]),
        "fromccme" => me(&[From, Cc]),
        "tofromccme" => me(&[To, From, Cc]),
        _ => return Err(Problem::UnknownIs(shown(text))),
    };
    Ok(Node::leaf(expr))
}

fn invite() -> SearchExpr {
    SearchExpr::Attachment(vec!["text/calendar".into()])
}

fn has(text: &str) -> Result<SearchExpr, Problem> {
    Ok(match text.to_lowercase().as_str() {
        "attachment" | "att" => SearchExpr::Flags(Flags::ATTACHED),
        known @ ("phone" | "url" | "ssn" | "u.po") => SearchExpr::Recognised(known.to_owned()),
        _ => return Err(Problem::UnknownHas(shown(text))),
    })
}

/// Zimbra's flags by their bits (data model §3).
const FLAGS: [(&str, u32); 24] = [
    ("sent", 1),
    ("attached", 2),
    ("answered", 3),
    ("forwarded", 4),
    ("copied", 5),
    ("flagged", 6),
    ("draft", 7),
    ("deleted", 8),
    ("notified", 9),
    ("unread", 10),
    ("versioned", 13),
    ("idxdeferred", 14),
    ("popped", 15),
    ("note", 16),
    ("priority", 17),
    ("post", 18),
    ("muted", 19),
    ("subscribed", 20),
    ("excludefb", 21),
    ("checked", 22),
    ("noinherit", 23),
    ("syncfolder", 25),
    ("sync", 26),
    ("archived", 28),
];

fn tag(text: &str) -> Result<SearchExpr, Problem> {
    let Some(flag) = text.strip_prefix('\\') else { return Ok(SearchExpr::Keyword(text.to_owned())) };
    let flag = flag.to_lowercase();
    match flag.as_str() {
        // What is kept as such in no bit.
        "urgent" => return Ok(SearchExpr::Priority(Priority::High)),
        "bulk" => return Ok(SearchExpr::Priority(Priority::Low)),
        "invite" => return Ok(invite()),
        _ => {}
    }
    let bit = FLAGS.iter().find(|(name, _)| *name == flag).map(|(_, bit)| 1 << (bit - 1));
    bit.map(|bit| SearchExpr::Flags(Flags(bit))).ok_or_else(|| Problem::UnknownFlag(shown(text)))
}

fn priority(text: &str) -> Result<SearchExpr, Problem> {
    match text.to_lowercase().as_str() {
        "high" => Ok(SearchExpr::Priority(Priority::High)),
        "low" => Ok(SearchExpr::Priority(Priority::Low)),
        _ => Err(Problem::UnknownPriority(shown(text))),
    }
}

/// A type by its alias, or as a media type.
fn attachment(text: &str) -> Result<SearchExpr, Problem> {
    const OFFICE: &str = "application/vnd.openxmlformats-officedocument.";
    let text = text.to_lowercase();
    let types: Vec<String> = match text.as_str() {
        "any" => return Ok(SearchExpr::Flags(Flags::ATTACHED)),
        "none" => return Ok(not(SearchExpr::Flags(Flags::ATTACHED))),
        major @ ("text" | "application" | "image" | "audio" | "video" | "message" | "font" | "model") => {
            vec![format!("{major}/*")]
        }
        "jpeg" | "jpg" => vec!["image/jpeg".into(), "image/jpg".into(), "image/pjpeg".into()],
        "gif" => vec!["image/gif".into()],
        "bmp" => vec!["image/bmp".into(), "image/x-ms-bmp".into()],
        "pdf" => vec!["application/pdf".into(), "application/x-pdf".into()],
        "word" | "msword" => vec!["application/msword".into(), format!("{OFFICE}wordprocessingml.document")],
        "excel" | "xls" => vec!["application/vnd.ms-excel".into(), format!("{OFFICE}spreadsheetml.sheet")],
        "ppt" | "powerpoint" => {
            vec!["application/vnd.ms-powerpoint".into(), format!("{OFFICE}presentationml.presentation")]
        }
        "ms-tnef" => vec!["application/ms-tnef".into(), "application/vnd.ms-tnef".into()],
        _ if is_media_type(&text) => vec![text],
        _ => return Err(Problem::UnknownType(shown(&text))),
    };
    Ok(SearchExpr::Attachment(types))
}

/// `major/minor` or `major/*` (RFC 2045 §5.1 tokens).
fn is_media_type(text: &str) -> bool {
    let token =
        |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`{|}~".contains(&b));
    text.split_once('/').is_some_and(|(major, minor)| token(major) && (minor == "*" || token(minor)))
}
