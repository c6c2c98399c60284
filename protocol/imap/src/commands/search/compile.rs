//! From IMAP's search keys to the inner API's expression.

use crate::codec::SequenceSet;
use crate::codec::command::SearchKey;
use crate::errors::Failure;
use crate::session::{Selected, numbers::from};
use std::sync::LazyLock;
use zcluster_api::{ItemId, SearchExpr, Uid, UidSet};
use zcluster_mail::Zone;

static NOTHING: LazyLock<UidSet> = LazyLock::new(UidSet::new);

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

/// What a search is about.
pub struct Scope<'a> {
    /// The messages there are.
    pub uids: &'a UidSet,
    /// `$`; none where it stands for messages of another mailbox.
    pub saved: Option<&'a UidSet>,
    /// UIDs from here on are `\Recent`.
    pub recent_from: Uid,
    /// What object ids end in.
    pub suffix: &'a str,
    /// Sequence numbers that no message has are no error.
    pub any_number: bool,
    /// Where a day is a day.
    pub zone: Zone,
}

/// Compiles `key`, in the numbers that the client knows now.
pub fn compile_view(view: &Selected, zone: Zone, key: &SearchKey) -> Result<Query, Failure> {
    let suffix = view.mailbox.object_suffix();
    let (recent_from, saved) = (view.recent_from, Some(&view.saved));
    compile(&Scope { uids: &view.uids, saved, recent_from, suffix: &suffix, any_number: false, zone }, key)
}

/// Compiles `key` for a mailbox.
pub fn compile(scope: &Scope<'_>, key: &SearchKey) -> Result<Query, Failure> {
    let now_ms = i64::try_from(zcluster_runtime::wall_ms()).unwrap_or(i64::MAX);
    let compiler = Compiler { scope, now_ms };
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
    scope: &'a Scope<'a>,
    now_ms: i64,
}

impl Compiler<'_> {
    fn expr(&self, key: &SearchKey) -> Result<SearchExpr, Failure> {
        Ok(match key {
            SearchKey::All => SearchExpr::All,
            SearchKey::And(keys) => SearchExpr::And(keys.iter().map(|k| self.expr(k)).collect::<Result<_, _>>()?),
            SearchKey::Or(a, b) => SearchExpr::Or(vec![self.expr(a)?, self.expr(b)?]),
            SearchKey::Not(key) => SearchExpr::Not(Box::new(self.expr(key)?)),
            SearchKey::Numbers(set) => SearchExpr::Uids(self.numbers(set)?),
            SearchKey::Uids(set) => SearchExpr::Uids(set.uids(self.scope.uids, self.saved(set)?)),
            SearchKey::Flags(flags) => SearchExpr::Flags(*flags),
            SearchKey::Keyword(name) => SearchExpr::Keyword(name.clone()),
            SearchKey::Recent => SearchExpr::Uids(from(self.scope.uids, self.scope.recent_from.0)),
            SearchKey::Larger(n) => SearchExpr::Larger(*n),
            SearchKey::Smaller(n) => SearchExpr::Smaller(*n),
            SearchKey::Internal(from, to) => SearchExpr::Internal {
                from_ms: self.scope.zone.midnight_ms(*from),
                to_ms: self.scope.zone.midnight_ms(*to),
            },
            SearchKey::Within(seconds, younger) => self.within(*seconds, *younger),
            SearchKey::Sent(from, to) => SearchExpr::Sent { from_day: *from, to_day: *to },
            SearchKey::Saved(from, to) => SearchExpr::Saved {
                from_ms: self.scope.zone.midnight_ms(*from),
                to_ms: self.scope.zone.midnight_ms(*to),
            },
            SearchKey::EmailId(id) => self.object(id, 'M').map_or_else(none, SearchExpr::Email),
            SearchKey::ThreadId(id) => self.object(id, 'T').map_or_else(none, SearchExpr::Thread),
            SearchKey::Header(name, text) => SearchExpr::Header { name: name.clone(), text: text.clone() },
            SearchKey::Text(text) => SearchExpr::Text(text.clone()),
            SearchKey::Body(text) => SearchExpr::Body(text.clone()),
            SearchKey::ModSeq(n) => SearchExpr::ModSeq((*n).into()),
        })
    }

    fn numbers(&self, set: &SequenceSet) -> Result<UidSet, Failure> {
        let (uids, saved) = (self.scope.uids, self.saved(set)?);
        if self.scope.any_number {
            return Ok(set.numbers_there(uids, saved));
        }
        set.numbers(uids, saved).ok_or_else(|| Failure::bad("there is no message with such a number"))
    }

    /// What `$` stands for, if the set is that.
    fn saved(&self, set: &SequenceSet) -> Result<&UidSet, Failure> {
        match self.scope.saved {
            None if *set == SequenceSet::Saved => Err(Failure::no("[CANNOT] $ is of the selected mailbox")),
            saved => Ok(saved.unwrap_or(&NOTHING)),
        }
    }

    /// The item that an EMAILID or a THREADID of ours names.
    fn object(&self, id: &str, kind: char) -> Option<ItemId> {
        let number = id.strip_prefix(kind)?.strip_suffix(self.scope.suffix)?;
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
