//! The expression made ready, and what it comes to with what is known of a message.

use super::super::index::{Bits, Columns, Dates, NO_DAY};
use super::super::read::View;
use super::super::rows::HotRow;
use super::super::{conversations, folder_tree, tags};
use crate::content::{Candidate, Content};
use std::collections::BTreeSet;
use zcluster_api::search::{Comparison, SEARCH_DEPTH_MAX};
use zcluster_api::sort::SortBy;
use zcluster_api::text::{ItemSet, Marked};
use zcluster_api::{Error, FolderId, ModSeq, Result, SearchExpr, Uid};

/// Conditions (of all depths) that one expression may have.
const CONDITIONS_MAX: usize = 10_000;

/// The expression with the conditions of each And and Or sorted by cost.
pub(super) enum Node<'e> {
    And(Vec<Node<'e>>),
    Or(Vec<Node<'e>>),
    Not(Box<Node<'e>>),
    Leaf(Leaf<'e>),
}

/// A condition, with what could be found out about it before any message was looked at.
pub(super) struct Leaf<'e> {
    expr: &'e SearchExpr,
    ready: Ready,
}

enum Ready {
    /// Nothing.
    Plain,
    /// The keyword's tag, if the mailbox has it.
    Tag(Option<u32>),
    /// The folders.
    Folders(BTreeSet<FolderId>),
    /// What an index of the texts tells.
    Marked(Marked),
    /// The conversations of such a size, and whether a message that is in none is one.
    Conversations(ItemSet, bool),
    /// The text to compare with, folded.
    Text(String),
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
    conditions: usize,
    /// Some condition is about the sent date.
    pub uses_sent: bool,
    /// Some condition is about what messages are sorted by.
    pub uses_keys: bool,
}

/// What is known of a message so far.
pub(super) struct Facts<'a> {
    pub uid: Uid,
    pub row: &'a HotRow,
    pub folder: FolderId,
    /// The day that `Date:` names, if it names one.
    pub sent_day: Option<Option<i64>>,
    /// Subject and sender as sorted by.
    pub keys: Option<(&'a str, &'a str)>,
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
    pub fn known(&self, node: &Node<'_>, folder: FolderId, columns: &Columns, dates: Option<&Dates>) -> Known {
        let all = |set| Bits::all(columns.len(), set);
        match node {
            Node::And(list) => list.iter().fold(Known { sure: all(true), may: all(true) }, |all, node| {
                let one = self.known(node, folder, columns, dates);
                Known { sure: all.sure.and(&one.sure), may: all.may.and(&one.may) }
            }),
            Node::Or(list) => list.iter().fold(Known { sure: all(false), may: all(false) }, |all, node| {
                let one = self.known(node, folder, columns, dates);
                Known { sure: all.sure.or(&one.sure), may: all.may.or(&one.may) }
            }),
            Node::Not(one) => {
                let one = self.known(one, folder, columns, dates);
                Known { sure: one.may.not(), may: one.sure.not() }
            }
            Node::Leaf(Leaf { ready: Ready::Marked(marked), .. }) => {
                let among = |set: &ItemSet| Bits::of(&columns.item, |item| set.contains(item));
                let sure = among(&marked.sure);
                if marked.may.is_empty() {
                    return Known { may: sure.clone(), sure };
                }
                Known { may: sure.clone().or(&among(&marked.may)), sure }
            }
            Node::Leaf(leaf) => match leaf.marked(folder, columns, dates) {
                Some(bits) => Known { sure: bits.clone(), may: bits },
                None => Known { sure: all(false), may: all(true) },
            },
        }
    }

    /// Whether a condition holds for all messages of a folder, or for none; `None` when that depends on the message.
    pub fn in_folder(&self, node: &Node<'_>, folder: FolderId) -> Option<bool> {
        let all = |list: &[Node<'_>], wanted: bool| {
            let mut all = Some(true);
            for node in list {
                match self.in_folder(node, folder) {
                    Some(held) if held != wanted => return Some(false),
                    Some(_) => {}
                    None => all = None,
                }
            }
            all
        };
        match node {
            Node::And(list) => all(list, true),
            Node::Or(list) => all(list, false).map(|none| !none),
            Node::Not(one) => self.in_folder(one, folder).map(|held| !held),
            Node::Leaf(Leaf { expr: SearchExpr::All, .. }) => Some(true),
            Node::Leaf(Leaf { ready: Ready::Folders(folders), .. }) => Some(folders.contains(&folder)),
            // Nowhere at all: then no message need be read.
            Node::Leaf(Leaf { ready: Ready::Marked(marked), .. })
                if marked.sure.is_empty() && marked.may.is_empty() =>
            {
                Some(false)
            }
            Node::Leaf(_) => None,
        }
    }

    /// # Errors
    /// `Invalid` when the expression is too deep or too long.
    /// `NotFound` for a folder that is not there. `TooLarge` when a wildcard stands for too much.
    pub fn new<'e>(view: &View<'_>, expr: &'e SearchExpr, content: &dyn Content) -> Result<(Self, Node<'e>)> {
        let mut plan = Plan { conditions: 0, uses_sent: false, uses_keys: false };
        let node = plan.prepare(view, expr, content, 0)?;
        Ok((plan, node))
    }

    fn prepare<'e>(
        &mut self,
        view: &View<'_>,
        expr: &'e SearchExpr,
        content: &dyn Content,
        depth: usize,
    ) -> Result<Node<'e>> {
        self.conditions += 1;
        if depth > SEARCH_DEPTH_MAX || self.conditions > CONDITIONS_MAX {
            return Err(Error::Invalid("search is too deep or too long".into()));
        }
        let ready = match expr {
            SearchExpr::And(list) => return Ok(Node::And(self.sorted(view, list, content, depth)?)),
            SearchExpr::Or(list) => return Ok(Node::Or(self.sorted(view, list, content, depth)?)),
            SearchExpr::Not(one) => return Ok(Node::Not(Box::new(self.prepare(view, one, content, depth + 1)?))),
            SearchExpr::Keyword(name) => Ready::Tag(tags::find(view.kv, view.mailbox, name)?),
            SearchExpr::Sent { .. } => {
                self.uses_sent = true;
                Ready::Plain
            }
            SearchExpr::In(place) => Ready::Folders(folder_tree::folders(view, place)?),
            SearchExpr::ConversationSize { from, to } => {
                let sizes = conversations::sizes(view, content)?;
                let has = |size: u32| (*from..*to).contains(&size);
                let set = sizes.iter().filter(|(_, size)| has(*size)).map(|(thread, _)| thread).collect();
                Ready::Conversations(set, has(1))
            }
            SearchExpr::Compare { text, .. } => {
                self.uses_keys = true;
                Ready::Text(content.fold(text))
            }
            leaf if is_text(leaf) => content.marked(view.mailbox, leaf)?.map_or(Ready::Plain, Ready::Marked),
            _ => Ready::Plain,
        };
        Ok(Node::Leaf(Leaf { expr, ready }))
    }

    fn sorted<'e>(
        &mut self,
        view: &View<'_>,
        list: &'e [SearchExpr],
        content: &dyn Content,
        depth: usize,
    ) -> Result<Vec<Node<'e>>> {
        let each = list.iter().map(|e| self.prepare(view, e, content, depth + 1));
        let mut nodes = each.collect::<Result<Vec<_>>>()?;
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
            Node::Leaf(leaf) => leaf.holds(facts),
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
}

/// Conditions on text, which an index may know about.
fn is_text(leaf: &SearchExpr) -> bool {
    use SearchExpr as E;
    matches!(leaf, E::Header { .. } | E::Text(_) | E::Body(_) | E::Words(_) | E::Attachment(_) | E::Recognised(_))
}

impl Leaf<'_> {
    /// The messages for which a condition holds; `None` when the columns do not tell.
    fn marked(&self, folder: FolderId, columns: &Columns, dates: Option<&Dates>) -> Option<Bits> {
        let all = |set| Bits::all(columns.len(), set);
        Some(match (self.expr, &self.ready) {
            (SearchExpr::All, _) => all(true),
            (SearchExpr::Uids(set), _) => columns.among(set),
            (SearchExpr::Items(set), _) => Bits::of(&columns.item, |item| set.contains(item)),
            (SearchExpr::Flags(flags), _) => Bits::of(&columns.flags, |have| have & flags.0 == flags.0),
            (SearchExpr::Keyword(_), Ready::Tag(Some(tag))) => columns.tagged(*tag),
            (SearchExpr::Keyword(_), _) => all(false),
            (_, Ready::Folders(folders)) => all(folders.contains(&folder)),
            (_, Ready::Conversations(set, alone)) => {
                Bits::of(&columns.thread, |thread| if thread == 0 { *alone } else { set.contains(thread) })
            }
            (SearchExpr::Larger(size), _) => Bits::of(&columns.size, |have| have > *size),
            (SearchExpr::Smaller(size), _) => Bits::of(&columns.size, |have| have < *size),
            (SearchExpr::Internal { from_ms, to_ms }, _) => {
                Bits::of(&columns.internal_ms, |at| (*from_ms..*to_ms).contains(&at))
            }
            (SearchExpr::Saved { from_ms, to_ms }, _) => {
                Bits::of(&columns.saved_ms, |at| (*from_ms..*to_ms).contains(&at))
            }
            (SearchExpr::Email(item), _) => {
                let is_copy = Bits::of(&columns.copy_of, |of| of == item.0 && of != 0);
                let is_first = Bits::of(&columns.copy_of, |of| of == 0).and(&Bits::of(&columns.item, |i| i == item.0));
                is_copy.or(&is_first)
            }
            (SearchExpr::Thread(item), _) => Bits::of(&columns.thread, |thread| thread == item.0 && thread != 0),
            (SearchExpr::ModSeq(ModSeq(least)), _) => Bits::of(&columns.modseq, |have| have >= *least),
            (SearchExpr::Sent { from_day, to_day }, _) => {
                Bits::of(&dates?.day, |day| day != NO_DAY && (*from_day..*to_day).contains(&day))
            }
            _ => return None,
        })
    }

    fn holds(&self, facts: &Facts<'_>) -> Result<Option<bool>> {
        let row = facts.row;
        Ok(Some(match (self.expr, &self.ready) {
            (SearchExpr::All, _) => true,
            (SearchExpr::Uids(set), _) => set.contains(facts.uid.0),
            (SearchExpr::Items(set), _) => set.contains(row.item.0),
            (SearchExpr::Flags(flags), _) => row.flags.contains(*flags),
            (SearchExpr::Keyword(_), Ready::Tag(Some(tag))) => row.tags.contains(tag),
            (SearchExpr::Keyword(_), _) => false,
            (_, Ready::Folders(folders)) => folders.contains(&facts.folder),
            (_, Ready::Conversations(set, alone)) => row.thread.map_or(*alone, |thread| set.contains(thread.0)),
            (SearchExpr::Larger(size), _) => row.size > *size,
            (SearchExpr::Smaller(size), _) => row.size < *size,
            (SearchExpr::Internal { from_ms, to_ms }, _) => (*from_ms..*to_ms).contains(&row.internal_ms),
            (SearchExpr::Saved { from_ms, to_ms }, _) => (*from_ms..*to_ms).contains(&row.saved_ms),
            (SearchExpr::Email(item), _) => row.copy_of.unwrap_or(row.item) == *item,
            (SearchExpr::Thread(item), _) => row.thread == Some(*item),
            (SearchExpr::ModSeq(ModSeq(least)), _) => row.modseq.0 >= *least,
            (SearchExpr::Sent { from_day, to_day }, _) => {
                return Ok(facts.sent_day.map(|day| day.is_some_and(|day| (*from_day..*to_day).contains(&day))));
            }
            (SearchExpr::Compare { by, is, .. }, Ready::Text(text)) => {
                let Some((subject, from)) = facts.keys else { return Ok(None) };
                let have = if *by == SortBy::Subject { subject } else { from };
                match is {
                    Comparison::Less => have < text.as_str(),
                    Comparison::LessOrEqual => have <= text.as_str(),
                    Comparison::Greater => have > text.as_str(),
                    Comparison::GreaterOrEqual => have >= text.as_str(),
                }
            }
            (leaf @ SearchExpr::Priority(_), _) => {
                return facts.text.map(|(content, candidate)| content.matches(leaf, candidate)).transpose();
            }
            (leaf, ready) if is_text(leaf) => {
                if let Ready::Marked(marked) = ready {
                    if marked.sure.contains(row.item.0) {
                        return Ok(Some(true));
                    }
                    if !marked.may.contains(row.item.0) {
                        return Ok(Some(false));
                    }
                }
                return facts.text.map(|(content, candidate)| content.matches(leaf, candidate)).transpose();
            }
            (branch, _) => return Err(Error::Internal(format!("{branch:?} is no leaf"))),
        }))
    }
}

impl Node<'_> {
    fn cost(&self) -> Cost {
        match self {
            Node::And(list) | Node::Or(list) => list.iter().map(Node::cost).max().unwrap_or(Cost::Hot),
            Node::Not(one) => one.cost(),
            Node::Leaf(leaf) => match leaf.expr {
                SearchExpr::Sent { .. } | SearchExpr::Compare { .. } => Cost::Keys,
                SearchExpr::Header { .. } | SearchExpr::Priority(_) => Cost::Header,
                other if is_text(other) => Cost::Body,
                _ => Cost::Hot,
            },
        }
    }
}
