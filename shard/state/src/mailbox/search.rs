//! `Search`: what the stored rows decide is decided here, cheap conditions first; text is left to [`Content`].

use super::rows::{self, ColdRow, HotRow};
use super::tags;
use super::{each_message, read::View};
use crate::bodies;
use crate::content::{Candidate, Content};
use std::collections::BTreeMap;
use zcluster_api::search::SEARCH_DEPTH_MAX;
use zcluster_api::{BlobRef, Error, FolderId, MailboxReply, ModSeq, Result, SearchExpr, Uid, UidSet};

/// Conditions (of all depths) that one expression may have.
const CONDITIONS_MAX: usize = 10_000;

pub(super) fn search(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    content: &dyn Content,
) -> Result<MailboxReply> {
    view.row(folder)?;
    let mut plan = Plan { keywords: BTreeMap::new(), conditions: 0 };
    let expr = plan.prepare(view, expr, 0)?;
    let everything = UidSet::range(1, u32::MAX);
    let (mut uids, mut highest) = (UidSet::new(), None);
    each_message(view.kv, (view.mailbox, folder), within.unwrap_or(&everything), |uid, row| {
        let mut one = One { view, content, keywords: &plan.keywords, uid, row: &row, cold: None };
        if one.holds(&expr)? {
            uids.insert(uid.0);
            highest = highest.max(Some(row.modseq));
        }
        Ok(true)
    })?;
    Ok(MailboxReply::Found { uids, highest_modseq: highest })
}

/// The expression with the conditions of each And and Or sorted by cost.
enum Node<'e> {
    And(Vec<Node<'e>>),
    Or(Vec<Node<'e>>),
    Not(Box<Node<'e>>),
    Leaf(&'e SearchExpr),
}

/// What one decision costs: the hot row at hand, the cold row, the body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Hot,
    Cold,
    Header,
    Body,
}

struct Plan {
    /// Lower-case keyword -> tag id, if the mailbox has it.
    keywords: BTreeMap<String, Option<u32>>,
    conditions: usize,
}

impl Plan {
    fn prepare<'e>(&mut self, view: &View<'_>, expr: &'e SearchExpr, depth: usize) -> Result<Node<'e>> {
        self.conditions += 1;
        if depth > SEARCH_DEPTH_MAX || self.conditions > CONDITIONS_MAX {
            return Err(Error::Invalid("search is too deep or too long".into()));
        }
        Ok(match expr {
            SearchExpr::And(list) => Node::And(self.sorted(view, list, depth)?),
            SearchExpr::Or(list) => Node::Or(self.sorted(view, list, depth)?),
            SearchExpr::Not(one) => Node::Not(Box::new(self.prepare(view, one, depth + 1)?)),
            SearchExpr::Keyword(name) => {
                let id = tags::find(view.kv, view.mailbox, name)?;
                self.keywords.insert(rows::fold(name), id);
                Node::Leaf(expr)
            }
            _ => Node::Leaf(expr),
        })
    }

    fn sorted<'e>(&mut self, view: &View<'_>, list: &'e [SearchExpr], depth: usize) -> Result<Vec<Node<'e>>> {
        let mut nodes = list.iter().map(|e| self.prepare(view, e, depth + 1)).collect::<Result<Vec<_>>>()?;
        nodes.sort_by_key(Node::cost);
        Ok(nodes)
    }
}

impl Node<'_> {
    fn cost(&self) -> Cost {
        match self {
            Node::And(list) | Node::Or(list) => list.iter().map(Node::cost).max().unwrap_or(Cost::Hot),
            Node::Not(one) => one.cost(),
            Node::Leaf(SearchExpr::Sent { .. }) => Cost::Cold,
            Node::Leaf(SearchExpr::Header { .. }) => Cost::Header,
            Node::Leaf(SearchExpr::Text(_) | SearchExpr::Body(_)) => Cost::Body,
            Node::Leaf(_) => Cost::Hot,
        }
    }
}

/// One message being tried.
struct One<'a> {
    view: &'a View<'a>,
    content: &'a dyn Content,
    keywords: &'a BTreeMap<String, Option<u32>>,
    uid: Uid,
    row: &'a HotRow,
    cold: Option<(ColdRow, BlobRef)>,
}

impl One<'_> {
    fn holds(&mut self, node: &Node<'_>) -> Result<bool> {
        match node {
            Node::And(list) => self.all(list, true),
            // An Or is an And seen from the other side: it stops at the first condition that holds.
            Node::Or(list) => Ok(!self.all(list, false)?),
            Node::Not(one) => Ok(!self.holds(one)?),
            Node::Leaf(leaf) => self.leaf(leaf),
        }
    }

    /// Whether every condition comes out as `wanted`.
    fn all(&mut self, list: &[Node<'_>], wanted: bool) -> Result<bool> {
        for node in list {
            if self.holds(node)? != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn leaf(&mut self, leaf: &SearchExpr) -> Result<bool> {
        let row = self.row;
        Ok(match leaf {
            SearchExpr::All => true,
            SearchExpr::Uids(set) => set.contains(self.uid.0),
            SearchExpr::Flags(flags) => row.flags.contains(*flags),
            SearchExpr::Keyword(name) => {
                self.keywords.get(&rows::fold(name)).copied().flatten().is_some_and(|id| row.tags.contains(&id))
            }
            SearchExpr::Larger(size) => row.size > *size,
            SearchExpr::Smaller(size) => row.size < *size,
            SearchExpr::Internal { from_ms, to_ms } => (*from_ms..*to_ms).contains(&row.internal_ms),
            SearchExpr::ModSeq(ModSeq(least)) => row.modseq.0 >= *least,
            SearchExpr::Sent { from_day, to_day } => {
                let content = self.content;
                let (cold, _) = self.cold()?;
                content.sent_day(&cold.summary, cold.sent_ms).is_some_and(|day| (*from_day..*to_day).contains(&day))
            }
            SearchExpr::Header { .. } | SearchExpr::Text(_) | SearchExpr::Body(_) => {
                let (content, kv) = (self.content, self.view.kv);
                let (cold, blob) = self.cold()?;
                content.matches(leaf, &Candidate { kv, summary: &cold.summary, sent_ms: cold.sent_ms, blob })?
            }
            SearchExpr::And(_) | SearchExpr::Or(_) | SearchExpr::Not(_) => {
                return Err(Error::Internal("a branch is no leaf".into()));
            }
        })
    }

    fn cold(&mut self) -> Result<&(ColdRow, BlobRef)> {
        if self.cold.is_none() {
            let cold = rows::cold(self.view.kv, self.view.mailbox, self.row.item)?;
            let blob = bodies::blob_ref(self.view.kv, cold.blob)?;
            self.cold = Some((cold, blob));
        }
        self.cold.as_ref().ok_or_else(|| Error::Internal("cold row".into()))
    }
}
