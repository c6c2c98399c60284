//! The expression made ready, and what it comes to with what is known of a message.

use super::super::index::{Bits, Columns, Dates, NO_DAY};
use super::super::read::View;
use super::super::rows::{self, HotRow};
use super::super::tags;
use crate::content::{Candidate, Content};
use std::collections::BTreeMap;
use zcluster_api::search::SEARCH_DEPTH_MAX;
use zcluster_api::{Error, ModSeq, Result, SearchExpr, Uid};

/// Conditions (of all depths) that one expression may have.
const CONDITIONS_MAX: usize = 10_000;

/// The expression with the conditions of each And and Or sorted by cost.
pub(super) enum Node<'e> {
    And(Vec<Node<'e>>),
    Or(Vec<Node<'e>>),
    Not(Box<Node<'e>>),
    Leaf(&'e SearchExpr),
}

/// What one decision costs: the hot row at hand, the sort keys, the summary, the body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Hot,
    Keys,
    Header,
    Body,
}

/// What holds for the whole search.
pub(super) struct Plan {
    /// Lower-case keyword -> tag id, if the mailbox has it.
    keywords: BTreeMap<String, Option<u32>>,
    conditions: usize,
    /// Some condition is about the sent date.
    pub uses_sent: bool,
}

/// What is known of a message so far.
pub(super) struct Facts<'a> {
    pub uid: Uid,
    pub row: &'a HotRow,
    /// The day that `Date:` names, if it names one.
    pub sent_day: Option<Option<i64>>,
    /// Its texts.
    pub text: Option<(&'a dyn Content, &'a Candidate<'a>)>,
}

/// What is known of many messages: those for which the condition holds, and those for which it may.
pub(super) struct Known {
    pub sure: Bits,
    pub may: Bits,
}

impl Plan {
    /// What a folder's columns tell of a condition.
    pub fn known(&self, node: &Node<'_>, columns: &Columns, dates: Option<&Dates>) -> Known {
        let all = |set| Bits::all(columns.len(), set);
        match node {
            Node::And(list) => list.iter().fold(Known { sure: all(true), may: all(true) }, |all, node| {
                let one = self.known(node, columns, dates);
                Known { sure: all.sure.and(&one.sure), may: all.may.and(&one.may) }
            }),
            Node::Or(list) => list.iter().fold(Known { sure: all(false), may: all(false) }, |all, node| {
                let one = self.known(node, columns, dates);
                Known { sure: all.sure.or(&one.sure), may: all.may.or(&one.may) }
            }),
            Node::Not(one) => {
                let one = self.known(one, columns, dates);
                Known { sure: one.may.not(), may: one.sure.not() }
            }
            Node::Leaf(leaf) => match self.marked(leaf, columns, dates) {
                Some(bits) => Known { sure: bits.clone(), may: bits },
                None => Known { sure: all(false), may: all(true) },
            },
        }
    }

    /// The messages for which a condition holds; `None` when the columns do not tell.
    fn marked(&self, leaf: &SearchExpr, columns: &Columns, dates: Option<&Dates>) -> Option<Bits> {
        let all = |set| Bits::all(columns.len(), set);
        Some(match leaf {
            SearchExpr::All => all(true),
            SearchExpr::Uids(set) => columns.among(set),
            SearchExpr::Flags(flags) => Bits::of(&columns.flags, |have| have & flags.0 == flags.0),
            SearchExpr::Keyword(name) => match self.keywords.get(&rows::fold(name)).copied().flatten() {
                Some(tag) => columns.tagged(tag),
                None => all(false),
            },
            SearchExpr::Larger(size) => Bits::of(&columns.size, |have| have > *size),
            SearchExpr::Smaller(size) => Bits::of(&columns.size, |have| have < *size),
            SearchExpr::Internal { from_ms, to_ms } => {
                Bits::of(&columns.internal_ms, |at| (*from_ms..*to_ms).contains(&at))
            }
            SearchExpr::Saved { from_ms, to_ms } => Bits::of(&columns.saved_ms, |at| (*from_ms..*to_ms).contains(&at)),
            SearchExpr::Email(item) => {
                let is_copy = Bits::of(&columns.copy_of, |of| of == item.0 && of != 0);
                let is_first = Bits::of(&columns.copy_of, |of| of == 0).and(&Bits::of(&columns.item, |i| i == item.0));
                is_copy.or(&is_first)
            }
            SearchExpr::Thread(item) => Bits::of(&columns.thread, |thread| thread == item.0 && thread != 0),
            SearchExpr::ModSeq(ModSeq(least)) => Bits::of(&columns.modseq, |have| have >= *least),
            SearchExpr::Sent { from_day, to_day } => {
                Bits::of(&dates?.day, |day| day != NO_DAY && (*from_day..*to_day).contains(&day))
            }
            _ => return None,
        })
    }

    /// # Errors
    /// `Invalid` when the expression is too deep or too long.
    pub fn new<'e>(view: &View<'_>, expr: &'e SearchExpr) -> Result<(Self, Node<'e>)> {
        let mut plan = Plan { keywords: BTreeMap::new(), conditions: 0, uses_sent: false };
        let node = plan.prepare(view, expr, 0)?;
        Ok((plan, node))
    }

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
            SearchExpr::Sent { .. } => {
                self.uses_sent = true;
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

    /// Whether the condition holds; `None` when what is known does not tell.
    pub fn holds(&self, node: &Node<'_>, facts: &Facts<'_>) -> Result<Option<bool>> {
        match node {
            Node::And(list) => self.all(list, true, facts),
            // An Or is an And seen from the other side: it is decided by the first condition that holds.
            Node::Or(list) => Ok(self.all(list, false, facts)?.map(|none| !none)),
            Node::Not(one) => Ok(self.holds(one, facts)?.map(|held| !held)),
            Node::Leaf(leaf) => self.leaf(leaf, facts),
        }
    }

    /// Whether every condition comes out as `wanted`. Conditions that cost more are not tried once one did not.
    fn all(&self, list: &[Node<'_>], wanted: bool, facts: &Facts<'_>) -> Result<Option<bool>> {
        let mut all = Some(true);
        for node in list {
            match self.holds(node, facts)? {
                Some(held) if held != wanted => return Ok(Some(false)),
                Some(_) => {}
                None => all = None,
            }
        }
        Ok(all)
    }

    fn leaf(&self, leaf: &SearchExpr, facts: &Facts<'_>) -> Result<Option<bool>> {
        let row = facts.row;
        Ok(Some(match leaf {
            SearchExpr::All => true,
            SearchExpr::Uids(set) => set.contains(facts.uid.0),
            SearchExpr::Flags(flags) => row.flags.contains(*flags),
            SearchExpr::Keyword(name) => {
                self.keywords.get(&rows::fold(name)).copied().flatten().is_some_and(|id| row.tags.contains(&id))
            }
            SearchExpr::Larger(size) => row.size > *size,
            SearchExpr::Smaller(size) => row.size < *size,
            SearchExpr::Internal { from_ms, to_ms } => (*from_ms..*to_ms).contains(&row.internal_ms),
            SearchExpr::Saved { from_ms, to_ms } => (*from_ms..*to_ms).contains(&row.saved_ms),
            SearchExpr::Email(item) => row.copy_of.unwrap_or(row.item) == *item,
            SearchExpr::Thread(item) => row.thread == Some(*item),
            SearchExpr::ModSeq(ModSeq(least)) => row.modseq.0 >= *least,
            SearchExpr::Sent { from_day, to_day } => {
                return Ok(facts.sent_day.map(|day| day.is_some_and(|day| (*from_day..*to_day).contains(&day))));
            }
            SearchExpr::Header { .. } | SearchExpr::Text(_) | SearchExpr::Body(_) => {
                return facts.text.map(|(content, candidate)| content.matches(leaf, candidate)).transpose();
            }
            SearchExpr::And(_) | SearchExpr::Or(_) | SearchExpr::Not(_) => {
                return Err(Error::Internal("a branch is no leaf".into()));
            }
        }))
    }
}

impl Node<'_> {
    fn cost(&self) -> Cost {
        match self {
            Node::And(list) | Node::Or(list) => list.iter().map(Node::cost).max().unwrap_or(Cost::Hot),
            Node::Not(one) => one.cost(),
            Node::Leaf(SearchExpr::Sent { .. }) => Cost::Keys,
            Node::Leaf(SearchExpr::Header { .. }) => Cost::Header,
            Node::Leaf(SearchExpr::Text(_) | SearchExpr::Body(_)) => Cost::Body,
            Node::Leaf(_) => Cost::Hot,
        }
    }
}
