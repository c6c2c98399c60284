//! `Find`: the messages of all folders that match, in order. Each folder is searched by itself and puts its hits in order;
//! then the folders' orders are merged as far as the page goes.

use super::expr::Plan;
use super::{Search, index};
use crate::content::Content;
use crate::kv::Table;
use crate::mailbox::index::{Bits, Columns, FolderIndex, Need};
use crate::mailbox::read::View;
use crate::mailbox::rows::ColdRef;
use crate::mailbox::tags::Names;
use crate::mailbox::{conversations, dumpster, items, names};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use zcluster_api::find::{FIND_LIMIT_MAX, Find, FindBy, FindCursor, FindKey, FindOrder, Hit};
use zcluster_api::search::Priority;
use zcluster_api::sort::{SORTED_MAX, SortBy};
use zcluster_api::text::ItemSet;
use zcluster_api::{Error, Flags, FolderId, ItemId, MailboxReply, Result, SearchExpr, Uid, codec};

/// Answers a [`Find`].
///
/// # Errors
/// `NotFound` for a folder that the expression names and is not there; `Invalid` when it is too deep or too long, or the
/// cursor is of another order; `TooLarge` when a wildcard stands for too much, or one folder has more than
/// [`SORTED_MAX`] hits and is not kept in memory.
pub(in crate::mailbox) fn find(view: &View<'_>, find: &Find, content: &dyn Content) -> Result<MailboxReply> {
    let is_text = text_of(find.order.by).is_some();
    if find.after.as_ref().is_some_and(|after| matches!(after.key, FindKey::Text(_)) != is_text) {
        return Err(Error::Invalid("the cursor is of another order".into()));
    }
    if find.offset as usize > SORTED_MAX {
        return Err(Error::TooLarge(format!("offset {}", find.offset)));
    }
    let alive = SearchExpr::Not(Box::new(SearchExpr::Flags(Flags::DELETED)));
    let expr = SearchExpr::And(vec![find.expr.clone(), if find.deleted { SearchExpr::All } else { alive }]);
    let (plan, node) = Plan::new(view, &expr, content)?;
    let limit = find.limit.min(FIND_LIMIT_MAX) as usize;
    let mut finding = Finding {
        view,
        content,
        find,
        wanted: find.offset as usize + limit + 1,
        parts: Vec::new(),
        total: 0,
        threads: ItemSet::default(),
        passed: ItemSet::default(),
    };
    match find.dumpster {
        Some(since_ms) => {
            for (folder, columns) in dumpster::columns(view, since_ms)? {
                if plan.in_folder(&node, folder) != Some(false) {
                    let search = Search { view, folder, content, plan: &plan, node: &node };
                    let (index, hits) = search.among(FolderIndex::of(columns))?;
                    finding.add(folder, index, hits)?;
                }
            }
        }
        None => {
            for (folder, row) in names::all(view.kv, view.mailbox)? {
                if row.messages > 0 && plan.in_folder(&node, folder) != Some(false) {
                    let search = Search { view, folder, content, plan: &plan, node: &node };
                    let (index, hits) = search.hits(None)?;
                    finding.add(folder, index, hits)?;
                }
            }
        }
    }
    let total = if find.conversations { finding.threads.len() } else { finding.total } as u64;
    let mut places = finding.merge()?;
    let more = places.len() > limit;
    places.truncate(limit);
    Ok(MailboxReply::Hits { hits: finding.show(places)?, more, total })
}

/// The text that hits are in order of, if it is one.
fn text_of(by: FindBy) -> Option<SortBy> {
    match by {
        FindBy::Subject => Some(SortBy::Subject),
        FindBy::Name => Some(SortBy::DisplayFrom),
        FindBy::Recipient => Some(SortBy::DisplayTo),
        _ => None,
    }
}

/// The conversation that a message counts as.
fn conversation(columns: &Columns, at: usize) -> u32 {
    if columns.thread[at] == 0 { columns.item[at] } else { columns.thread[at] }
}

struct Finding<'a> {
    view: &'a View<'a>,
    content: &'a dyn Content,
    find: &'a Find,
    /// Hits of one page with those left out before it, and one more.
    wanted: usize,
    parts: Vec<Part>,
    total: usize,
    /// All conversations with hits.
    threads: ItemSet,
    /// Conversations that were shown already: before the cursor, then as they come up.
    passed: ItemSet,
}

/// A folder's hits.
struct Part {
    folder: FolderId,
    index: FolderIndex,
    /// Positions in the order that is wanted, from the cursor on.
    order: Vec<u32>,
    /// By position; only where the columns do not tell.
    priorities: Vec<i8>,
    next: usize,
}

/// Where a hit is: the part, the position in it.
struct Place {
    key: FindKey,
    part: usize,
    at: usize,
}

impl Finding<'_> {
    /// Adds the hits of a folder.
    fn add(&mut self, folder: FolderId, index: FolderIndex, hits: Bits) -> Result<()> {
        let find = self.find;
        if hits.count() == 0 {
            return Ok(());
        }
        self.total += hits.count();
        if find.conversations {
            hits.ones().for_each(|at| self.threads.insert(conversation(&index.columns, at)));
        }
        let part = match text_of(find.order.by) {
            Some(by) => self.by_text(folder, index, hits, by)?,
            None => self.by_number(folder, index, &hits)?,
        };
        self.parts.push(part);
        Ok(())
    }

    fn by_number(&mut self, folder: FolderId, index: FolderIndex, hits: &Bits) -> Result<Part> {
        let FindOrder { by, descending } = self.find.order;
        let priorities = if by == FindBy::Priority { self.priorities(&index.columns, hits)? } else { Vec::new() };
        let mut part = Part { folder, index, order: Vec::new(), priorities, next: 0 };
        let key = |at: usize| (part.number(by, at), part.index.columns.item[at]);
        let mut order: Vec<u32> = Vec::with_capacity(hits.count());
        for at in hits.ones() {
            match &self.find.after {
                Some(FindCursor { key: FindKey::Number(number), item })
                    if (key(at) <= (*number, item.0)) != descending || key(at) == (*number, item.0) =>
                {
                    if self.find.conversations {
                        self.passed.insert(conversation(&part.index.columns, at));
                    }
                }
                _ => order.push(at as u32),
            }
        }
        let compare = |a: &u32, b: &u32| {
            let rising = key(*a as usize).cmp(&key(*b as usize));
            if descending { rising.reverse() } else { rising }
        };
        // Of conversations nobody knows how many hits make a page.
        if !self.find.conversations && order.len() > self.wanted {
            order.select_nth_unstable_by(self.wanted, compare);
            order.truncate(self.wanted);
        }
        order.sort_unstable_by(compare);
        part.order = order;
        Ok(part)
    }

    fn by_text(&mut self, folder: FolderId, index: FolderIndex, hits: Bits, by: SortBy) -> Result<Part> {
        let descending = self.find.order.descending;
        let need = Need { ranks: vec![by], ..Need::default() };
        let (index, hits) = index.ready(self.view, folder, hits, self.content, &need)?;
        let mut order: Vec<u32> = hits.ones().map(|at| at as u32).collect();
        let item = |at: u32| index.columns.item[at as usize];
        order.sort_unstable_by_key(|at| if descending { u32::MAX - item(*at) } else { item(*at) });
        if let Some(ranks) = index.ranks(by) {
            ranks.sort(&mut order, descending);
        }
        let mut part = Part { folder, index, order, priorities: Vec::new(), next: 0 };
        if let Some(after) = &self.find.after {
            let (mut low, mut high) = (0, part.order.len());
            while low < high {
                let middle = low.midpoint(high);
                let at = part.order[middle] as usize;
                let here = (self.key(&part, at)?, part.index.columns.item[at]);
                let rising = here.cmp(&(after.key.clone(), after.item.0));
                if rising == Ordering::Equal || (rising == Ordering::Less) != descending {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            let columns = part.index.columns.clone();
            part.order.drain(..low).for_each(|at| self.passed.insert(conversation(&columns, at as usize)));
        }
        Ok(part)
    }

    /// How urgent the marked messages are, by position.
    fn priorities(&self, columns: &Columns, hits: &Bits) -> Result<Vec<i8>> {
        let mut priorities = vec![0; columns.len()];
        let at: Vec<usize> = hits.ones().collect();
        let ids: Vec<u32> = at.iter().map(|at| columns.item[*at]).collect();
        items::each_row(self.view.kv, Table::Cold, self.view.mailbox, &ids, |i, row| {
            let row = row.ok_or_else(|| items::missing(self.view.mailbox, ids.get(i).copied().unwrap_or(0)))?;
            let cold: ColdRef<'_> = codec::decode(row)?;
            priorities[at[i]] = match self.content.priority(cold.summary)? {
                Some(Priority::High) => 1,
                Some(Priority::Low) => -1,
                None => 0,
            };
            Ok(())
        })?;
        Ok(priorities)
    }

    fn key(&self, part: &Part, at: usize) -> Result<FindKey> {
        let by = self.find.order.by;
        let Some(by) = text_of(by) else { return Ok(FindKey::Number(part.number(by, at))) };
        let key = index::key_of(self.view, self.content, by, &part.index.columns, at)?;
        Ok(FindKey::Text(String::from_utf8_lossy(&key).into_owned()))
    }

    /// The next hit of a part.
    fn head(&mut self, number: usize) -> Result<Option<Head>> {
        let part = &self.parts[number];
        let Some(at) = part.order.get(part.next).map(|at| *at as usize) else { return Ok(None) };
        let (key, item) = (self.key(part, at)?, part.index.columns.item[at]);
        self.parts[number].next += 1;
        let descending = self.find.order.descending;
        Ok(Some(Head { item, descending, place: Place { key, part: number, at } }))
    }

    /// The hits of the page and one more.
    fn merge(&mut self) -> Result<Vec<Place>> {
        let mut heads = BinaryHeap::new();
        for number in 0..self.parts.len() {
            heads.extend(self.head(number)?);
        }
        let (mut places, mut left_out) = (Vec::new(), self.find.offset);
        let page = self.wanted - self.find.offset as usize;
        while let Some(Head { place, .. }) = heads.pop() {
            heads.extend(self.head(place.part)?);
            if self.find.conversations {
                let conversation = conversation(&self.parts[place.part].index.columns, place.at);
                if self.passed.contains(conversation) {
                    continue;
                }
                self.passed.insert(conversation);
            }
            if left_out > 0 {
                left_out -= 1;
                continue;
            }
            places.push(place);
            if places.len() == page {
                break;
            }
        }
        Ok(places)
    }

    fn show(&self, places: Vec<Place>) -> Result<Vec<Hit>> {
        // Of what was deleted nothing is counted.
        let counts = self.find.conversations && self.find.dumpster.is_none();
        let sizes = match counts && !places.is_empty() {
            true => Some(conversations::sizes(self.view, self.content)?),
            false => None,
        };
        let mut names = Names::new(self.view.kv, self.view.mailbox);
        let show = |Place { key, part, at }: Place| {
            let part = &self.parts[part];
            let row = part.index.columns.row(at);
            let messages = row.thread.and_then(|thread| Some(sizes.as_ref()?.of(thread.0))).unwrap_or(1);
            Ok(Hit {
                item: row.item,
                folder: part.folder,
                uid: Uid(part.index.columns.uid[at]),
                conversation: ItemId(conversation(&part.index.columns, at)),
                key,
                flags: row.flags,
                keywords: names.of(&row.tags)?,
                size: row.size,
                internal_ms: row.internal_ms,
                messages,
            })
        };
        places.into_iter().map(show).collect()
    }
}

impl Part {
    fn number(&self, by: FindBy, at: usize) -> i64 {
        let columns = &self.index.columns;
        let has = |flags: Flags| i64::from(Flags(columns.flags[at]).contains(flags));
        match by {
            FindBy::Date => columns.internal_ms[at],
            FindBy::Size => i64::try_from(columns.size[at]).unwrap_or(i64::MAX),
            FindBy::Attachment => has(Flags::ATTACHED),
            FindBy::Flag => has(Flags::FLAGGED),
            FindBy::Read => 1 - has(Flags::UNREAD),
            FindBy::Priority => self.priorities.get(at).copied().unwrap_or(0).into(),
            FindBy::Id | FindBy::Subject | FindBy::Name | FindBy::Recipient => 0,
        }
    }
}

/// The next hit of a part; the greatest comes first.
struct Head {
    item: u32,
    descending: bool,
    place: Place,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let rising = self.place.key.cmp(&other.place.key).then(self.item.cmp(&other.item));
        if self.descending { rising } else { rising.reverse() }
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}
