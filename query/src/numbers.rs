//! Sizes, counts, ids, and orders.

use crate::Context;
use crate::compile::own_id;
use crate::error::{Problem, QueryError, shown};
use crate::fields::{Comparison, Field, Operator};
use crate::parser::Value;
use crate::tree::{all_of, not, nothing};
use zcluster_api::mailbox::folders::FIRST_FREE;
use zcluster_api::{FindBy, FindOrder, ItemId, ModSeq, SearchExpr, UidSet};

/// A whole number without a sign.
pub(crate) fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

pub(crate) fn condition(
    field: &Field,
    operator: &Operator,
    value: &Value,
    context: &Context,
) -> Result<SearchExpr, Problem> {
    let text = value.text.trim();
    let bad = || Problem::BadNumber(operator.name.clone(), shown(text));
    let is = value.comparison.unwrap_or(Comparison::Equal);
    match field {
        Field::Size(fixed) => Ok(size(bytes(text)?, fixed.unwrap_or(is))),
        Field::ModSeq => Ok(modseq(whole(text).ok_or_else(bad)?, is)),
        Field::ConversationSize => Ok(conversation_size(whole(text).ok_or_else(bad)?, is)),
        Field::Conversation => conversation(text, context),
        _ => items(text, context),
    }
}

fn size(n: u64, is: Comparison) -> SearchExpr {
    match is {
        Comparison::Equal => all_of([not(SearchExpr::Larger(n)), not(SearchExpr::Smaller(n))]),
        Comparison::Less => SearchExpr::Smaller(n),
        Comparison::LessOrEqual => not(SearchExpr::Larger(n)),
        Comparison::Greater => SearchExpr::Larger(n),
        Comparison::GreaterOrEqual => not(SearchExpr::Smaller(n)),
    }
}

fn bytes(text: &str) -> Result<u64, Problem> {
    let bad = || Problem::BadSize(shown(text));
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return Err(bad()),
    };
    let number: u64 = whole(digits).ok_or_else(bad)?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

fn modseq(n: u64, is: Comparison) -> SearchExpr {
    let least = |n| SearchExpr::ModSeq(ModSeq(n));
    // Behind the last number there is nothing.
    let above = n.checked_add(1).map_or(nothing(), least);
    match is {
        Comparison::Equal => all_of([least(n), not(above)]),
        Comparison::Less => not(least(n)),
        Comparison::LessOrEqual => not(above),
        Comparison::Greater => above,
        Comparison::GreaterOrEqual => least(n),
    }
}

fn conversation_size(n: u32, is: Comparison) -> SearchExpr {
    let above = n.saturating_add(1);
    let (from, to) = match is {
        Comparison::Equal => (n, above),
        Comparison::Less => (0, n),
        Comparison::LessOrEqual => (0, above),
        Comparison::Greater => (above, u32::MAX),
        Comparison::GreaterOrEqual => (n, u32::MAX),
    };
    SearchExpr::ConversationSize { from, to }
}

fn conversation(text: &str, context: &Context) -> Result<SearchExpr, Problem> {
    let bad = || Problem::BadId(shown(text));
    let Some(id) = own_id(text, context)? else { return Ok(nothing()) };
    if let Some(alone) = id.strip_prefix('-') {
        let item: u32 = whole(alone).ok_or_else(bad)?;
        return Ok(if item < FIRST_FREE { nothing() } else { SearchExpr::Items(UidSet::range(item, item)) });
    }
    whole(id).map(|id| SearchExpr::Thread(ItemId(id))).ok_or_else(bad)
}

/// `all`, `none`, ids and ranges of ids.
fn items(text: &str, context: &Context) -> Result<SearchExpr, Problem> {
    match text.to_lowercase().as_str() {
        "all" => return Ok(SearchExpr::All),
        "none" => return Ok(nothing()),
        _ => {}
    }
    let mut set = UidSet::new();
    for one in text.split(',').map(str::trim) {
        let bad = || Problem::BadId(shown(one));
        let (first, last) = one.split_once("--").unwrap_or((one, one));
        let (Some(first), Some(last)) = (own_id(first.trim(), context)?, own_id(last.trim(), context)?) else {
            continue;
        };
        let (first, last) = (whole(first).ok_or_else(bad)?, whole(last).ok_or_else(bad)?);
        if first == 0 || first > last {
            return Err(bad());
        }
        set.insert_range(first, last);
    }
    Ok(if set.is_empty() { nothing() } else { SearchExpr::Items(set) })
}

/// An order by its name.
pub(crate) fn order(value: &Value) -> Result<FindOrder, QueryError> {
    let name = value.text.trim().to_lowercase();
    let unknown = || Problem::UnknownOrder(shown(&value.text)).at(value.at);
    let by = |by, descending| Ok(FindOrder { by, descending });
    // Of kinds of items that are not here: mail among them is in the usual order.
    let other = ["taskdue", "taskstatus", "taskperccompleted", "dur"];
    match name.as_str() {
        "none" => return by(FindBy::Id, false),
        "recentlyviewed" => return Ok(FindOrder::default()),
        _ => {}
    }
    let (what, descending) = match (name.strip_suffix("asc"), name.strip_suffix("desc")) {
        (Some(what), _) => (what, false),
        (_, Some(what)) => (what, true),
        _ => return Err(unknown()),
    };
    match what {
        "date" => by(FindBy::Date, descending),
        "subj" => by(FindBy::Subject, descending),
        "name" => by(FindBy::Name, descending),
        "rcpt" => by(FindBy::Recipient, descending),
        "size" => by(FindBy::Size, descending),
        "attach" => by(FindBy::Attachment, descending),
        "flag" => by(FindBy::Flag, descending),
        "priority" => by(FindBy::Priority, descending),
        "id" => by(FindBy::Id, descending),
        "read" => by(FindBy::Read, descending),
        what if other.contains(&what) => Ok(FindOrder::default()),
        _ => Err(unknown()),
    }
}
