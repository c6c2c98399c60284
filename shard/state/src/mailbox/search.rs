//! `Search`: what the folder's columns tell decides most messages, many at a time; those it leaves open are tried one by
//! one, with their sort keys, and only if these do not decide, with their summary and body. Text is left to [`Content`].

mod expr;
mod find;

pub(super) use find::find;

use super::index::{self, Bits, Columns, FolderIndex, Need};
use super::items;
use super::rows::{ColdRef, HotRow};
use super::{each_message, read::View};
use crate::content::{Candidate, Content};
use crate::kv::Table;
use expr::{Facts, Node, Plan};
use zcluster_api::sort::SORTED_MAX;
use zcluster_api::{Error, FolderId, MailboxReply, ModSeq, Result, SearchExpr, Uid, UidSet, codec};

/// Messages decided together, so that rows that lie together are read together.
const BATCH: usize = 512;
/// Messages of which the columns are held at a time where the folder's are not kept.
const PART_MESSAGES: usize = 65_536;
/// The dates of all messages are read for a search when it needs those of one in so many.
const DATES_PART: usize = 4;

pub(super) fn search(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    content: &dyn Content,
) -> Result<MailboxReply> {
    let mut found = Found::default();
    let (plan, node) = Plan::new(view, expr, content)?;
    let search = Search { view, folder, content, plan: &plan, node: &node };
    match index::open(view, folder, within, content)? {
        Some(mut index) => {
            let hits = search.kept(&mut index, within)?;
            found.add(&index.columns, &hits);
        }
        None => search.parts(within, |index, hits| {
            found.add(&index.columns, &hits);
            Ok(())
        })?,
    }
    Ok(MailboxReply::Found { uids: found.uids, highest_modseq: found.highest })
}

/// The messages that match, as marked in an index that has them all, and perhaps others.
///
/// # Errors
/// `NotFound` (folder), `Invalid` when the expression is too deep or too long, `TooLarge` when there are more than
/// [`SORTED_MAX`]; what reading bodies reported.
pub(super) fn hits(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    content: &dyn Content,
) -> Result<(FolderIndex, Bits)> {
    let (plan, node) = Plan::new(view, expr, content)?;
    Search { view, folder, content, plan: &plan, node: &node }.hits(within)
}

fn few(hits: usize) -> Result<()> {
    if hits > SORTED_MAX {
        return Err(Error::TooLarge(format!("more than {SORTED_MAX} messages to put in order")));
    }
    Ok(())
}

/// The highest mod-sequence among the messages.
pub(super) fn highest(columns: &Columns, hits: &Bits) -> Option<ModSeq> {
    hits.ones().map(|at| ModSeq(columns.modseq[at])).max()
}

#[derive(Default)]
struct Found {
    uids: UidSet,
    highest: Option<ModSeq>,
}

impl Found {
    fn add(&mut self, columns: &Columns, hits: &Bits) {
        hits.ones().for_each(|at| self.uids.insert(columns.uid[at]));
        self.highest = self.highest.max(highest(columns, hits));
    }
}

struct Search<'a> {
    view: &'a View<'a>,
    folder: FolderId,
    content: &'a dyn Content,
    plan: &'a Plan,
    node: &'a Node<'a>,
}

impl Search<'_> {
    /// See [`hits`].
    fn hits(&self, within: Option<&UidSet>) -> Result<(FolderIndex, Bits)> {
        if let Some(mut index) = index::open(self.view, self.folder, within, self.content)? {
            let hits = self.kept(&mut index, within)?;
            few(hits.count())?;
            return Ok((index, hits));
        }
        let mut columns = Columns::default();
        self.parts(within, |index, hits| {
            few(columns.len() + hits.count())?;
            hits.ones().for_each(|at| columns.push(index.columns.uid[at], index.columns.row(at)));
            Ok(())
        })?;
        let all = Bits::all(columns.len(), true);
        Ok((FolderIndex::of(columns), all))
    }

    /// The same of messages that are at hand.
    fn among(&self, index: FolderIndex) -> Result<(FolderIndex, Bits)> {
        let open = self.known(&index, None);
        let hits = self.decide(&index, open)?;
        few(hits.count())?;
        Ok((index, hits))
    }

    /// The messages of a kept index that match.
    fn kept(&self, index: &mut FolderIndex, within: Option<&UidSet>) -> Result<Bits> {
        let among = within.map(|uids| index.columns.among(uids));
        let mut open = self.known(index, among.as_ref());
        if self.plan.uses_sent && open.open.count() > index.columns.len() / DATES_PART {
            let need = Need { dates: true, ..Need::default() };
            if index.fill(self.view, self.content, &need)? {
                index::keep(self.view, self.folder, index);
                open = self.known(index, among.as_ref());
            }
        }
        self.decide(index, open)
    }

    /// Reads the messages part by part, and tells of each part which match.
    fn parts(&self, within: Option<&UidSet>, mut found: impl FnMut(FolderIndex, Bits) -> Result<()>) -> Result<()> {
        let everything = UidSet::range(1, u32::MAX);
        let mut columns = Columns::default();
        let mut part = |columns: &mut Columns| {
            let index = FolderIndex::of(std::mem::take(columns));
            let open = self.known(&index, None);
            let hits = self.decide(&index, open)?;
            found(index, hits)
        };
        let at = (self.view.mailbox, self.folder);
        each_message(self.view.kv, at, within.unwrap_or(&everything), |uid, row| {
            columns.push(uid.0, row);
            if columns.len() == PART_MESSAGES {
                part(&mut columns)?;
            }
            Ok(true)
        })?;
        part(&mut columns)
    }

    /// What the columns tell.
    fn known(&self, index: &FolderIndex, among: Option<&Bits>) -> Open {
        let known = self.plan.known(self.node, self.folder, &index.columns, index.dates());
        let within = |bits: Bits| among.map_or(bits.clone(), |among| bits.and(among));
        let (sure, may) = (within(known.sure), within(known.may));
        Open { open: sure.clone().not().and(&may), sure }
    }

    /// Tries the messages that are open, and gives all that match.
    fn decide(&self, index: &FolderIndex, known: Open) -> Result<Bits> {
        let Open { mut sure, open } = known;
        let mut batch = Batch { search: self, dated: index.dates().is_some(), open: Vec::new() };
        let mut positions = open.ones();
        loop {
            let some = positions.by_ref().take(BATCH);
            batch.open.extend(some.map(|at| Undecided {
                at,
                uid: Uid(index.columns.uid[at]),
                row: index.columns.row(at),
                keys: None,
                verdict: None,
            }));
            if batch.open.is_empty() {
                return Ok(sure);
            }
            batch.flush(|at| sure.set(at, true))?;
        }
    }
}

/// Messages that match for certain, and those that may.
struct Open {
    sure: Bits,
    open: Bits,
}

/// Messages that may match.
struct Batch<'a> {
    search: &'a Search<'a>,
    /// The sent dates have been taken into account.
    dated: bool,
    open: Vec<Undecided>,
}

/// A message that may match.
struct Undecided {
    /// Its position.
    at: usize,
    uid: Uid,
    row: HotRow,
    /// Subject and sender as sorted by, where a condition is about these.
    keys: Option<(String, String)>,
    verdict: Option<bool>,
}

impl Batch<'_> {
    /// Decides all of them and tells who matches.
    fn flush(&mut self, mut found: impl FnMut(usize)) -> Result<()> {
        if self.search.plan.uses_keys || self.search.plan.uses_sent && !self.dated {
            self.look(Table::Keys)?;
        }
        self.look(Table::Cold)?;
        self.open.drain(..).filter(|one| one.verdict == Some(true)).for_each(|one| found(one.at));
        Ok(())
    }

    /// Tries the undecided with what the table's row tells.
    fn look(&mut self, table: Table) -> Result<()> {
        let at: Vec<usize> = (0..self.open.len()).filter(|i| self.open[*i].verdict.is_none()).collect();
        let ids: Vec<u32> = at.iter().map(|i| self.open[*i].row.item.0).collect();
        let Search { view, folder, content, plan, node } = *self.search;
        let open = &mut self.open;
        items::each_row(view.kv, table, view.mailbox, &ids, |i, row| {
            let Some(one) = at.get(i).and_then(|at| open.get_mut(*at)) else { return Ok(()) };
            let mut facts = Facts { uid: one.uid, row: &one.row, folder, sent_day: None, keys: None, text: None };
            match (table, row) {
                (Table::Keys, None) => {}
                (Table::Keys, Some(row)) => {
                    let keys = codec::decode::<super::sort::Texts<'_>>(row)?;
                    facts.sent_day = Some(keys.sent_day);
                    facts.keys = Some((keys.subject, keys.display_from));
                    one.verdict = plan.holds(node, &facts)?;
                    if plan.uses_keys && one.verdict.is_none() {
                        one.keys = Some((keys.subject.to_string(), keys.display_from.to_string()));
                    }
                }
                (_, None) => return Err(items::missing(view.mailbox, one.row.item.0)),
                (_, Some(row)) => {
                    let cold: ColdRef<'_> = codec::decode(row)?;
                    let candidate = Candidate::new(view.kv, cold.summary, cold.sent_ms, cold.blob);
                    if plan.uses_sent {
                        facts.sent_day = Some(content.sent_day(cold.summary, cold.sent_ms));
                    }
                    if plan.uses_keys && one.keys.is_none() {
                        // From before keys were kept.
                        let keys = content.sort_keys(cold.summary, cold.sent_ms)?;
                        one.keys = Some((keys.subject, keys.display_from));
                    }
                    facts.keys = one.keys.as_ref().map(|(subject, from)| (subject.as_str(), from.as_str()));
                    facts.text = Some((content, &candidate));
                    one.verdict = plan.holds(node, &facts)?;
                }
            }
            Ok(())
        })
    }
}
