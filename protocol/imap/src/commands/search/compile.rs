//! From IMAP's search keys to the inner API's expression.

use crate::codec::command::SearchKey;
use crate::codec::date::DAY_MS;
use crate::errors::Failure;
use crate::session::{Selected, numbers::from};
use zcluster_api::{ItemId, SearchExpr, UidSet};

/// What to ask.
#[derive(Clone)]
pub struct Query {
    /// Only among these.
    pub within: Option<UidSet>,
    /// What to look for.
    pub expr: SearchExpr,
}

impl Query {
    /// The answer, where the view knows it already.
    pub fn answer(&self, view: &Selected) -> Option<UidSet> {
        let among = self.within.as_ref().unwrap_or(&view.uids);
        match &self.expr {
            SearchExpr::All => Some(among.intersect(&view.uids)),
            SearchExpr::Uids(uids) => Some(uids.intersect(among).intersect(&view.uids)),
            _ => None,
        }
    }
}

/// Compiles `key`, in the numbers that the client knows now.
pub fn compile(view: &Selected, key: &SearchKey) -> Result<Query, Failure> {
    let now_ms = i64::try_from(zcluster_runtime::wall_ms()).unwrap_or(i64::MAX);
    let compiler = Compiler { view, now_ms };
    let SearchKey::And(keys) = key else {
        return Ok(Query { within: None, expr: compiler.expr(key)? });
    };
    // Sets of messages on the outermost level bound the search.
    let (mut within, mut rest): (Option<UidSet>, _) = (None, Vec::new());
    for key in keys {
        match compiler.expr(key)? {
            SearchExpr::Uids(uids) => within = Some(within.map_or_else(|| uids.clone(), |w| w.intersect(&uids))),
            SearchExpr::All => {}
            other => rest.push(other),
        }
    }
    let expr = match rest.len() {
        0 => SearchExpr::All,
        1 => rest.remove(0),
        _ => SearchExpr::And(rest),
    };
    Ok(Query { within, expr })
}

struct Compiler<'a> {
    view: &'a Selected,
    now_ms: i64,
}

impl Compiler<'_> {
    fn expr(&self, key: &SearchKey) -> Result<SearchExpr, Failure> {
        Ok(match key {
            SearchKey::All => SearchExpr::All,
            SearchKey::And(keys) => SearchExpr::And(keys.iter().map(|k| self.expr(k)).collect::<Result<_, _>>()?),
            SearchKey::Or(a, b) => SearchExpr::Or(vec![self.expr(a)?, self.expr(b)?]),
            SearchKey::Not(key) => SearchExpr::Not(Box::new(self.expr(key)?)),
            SearchKey::Numbers(set) => SearchExpr::Uids(
                set.numbers(&self.view.uids, &self.view.saved)
                    .ok_or_else(|| Failure::bad("there is no message with such a number"))?,
            ),
            SearchKey::Uids(set) => SearchExpr::Uids(set.uids(&self.view.uids, &self.view.saved)),
            SearchKey::Flags(flags) => SearchExpr::Flags(*flags),
            SearchKey::Keyword(name) => SearchExpr::Keyword(name.clone()),
            SearchKey::Recent => SearchExpr::Uids(from(&self.view.uids, self.view.recent_from.0)),
            SearchKey::Larger(n) => SearchExpr::Larger(*n),
            SearchKey::Smaller(n) => SearchExpr::Smaller(*n),
            SearchKey::Internal(from, to) => {
                SearchExpr::Internal { from_ms: from.saturating_mul(DAY_MS), to_ms: to.saturating_mul(DAY_MS) }
            }
            SearchKey::Within(seconds, younger) => self.within(*seconds, *younger),
            SearchKey::Sent(from, to) => SearchExpr::Sent { from_day: *from, to_day: *to },
            SearchKey::Saved(from, to) => {
                SearchExpr::Saved { from_ms: from.saturating_mul(DAY_MS), to_ms: to.saturating_mul(DAY_MS) }
            }
            SearchKey::EmailId(id) => self.object(id, 'M').map_or_else(none, SearchExpr::Email),
            SearchKey::ThreadId(id) => self.object(id, 'T').map_or_else(none, SearchExpr::Thread),
            SearchKey::Header(name, text) => SearchExpr::Header { name: name.clone(), text: text.clone() },
            SearchKey::Text(text) => SearchExpr::Text(text.clone()),
            SearchKey::Body(text) => SearchExpr::Body(text.clone()),
            SearchKey::ModSeq(n) => SearchExpr::ModSeq((*n).into()),
        })
    }

    /// The item that an EMAILID or a THREADID of ours names.
    fn object(&self, id: &str, kind: char) -> Option<ItemId> {
        let number = id.strip_prefix(kind)?.strip_suffix(self.view.mailbox.object_suffix().as_str())?;
        number.parse().ok().map(ItemId)
    }

    /// YOUNGER: within the last so many seconds; OLDER: at least so long ago (RFC 5032 §3).
    fn within(&self, seconds: u64, younger: bool) -> SearchExpr {
        let interval = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
        let edge = self.now_ms.saturating_sub(interval);
        if younger {
            SearchExpr::Internal { from_ms: edge, to_ms: i64::MAX }
        } else {
            SearchExpr::Internal { from_ms: i64::MIN, to_ms: edge.saturating_add(1) }
        }
    }
}

/// No message.
fn none() -> SearchExpr {
    SearchExpr::Not(Box::new(SearchExpr::All))
}
