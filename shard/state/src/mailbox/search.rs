//! `Search`: each message is tried with what is at hand first (its hot row), then with its sort keys, and only if that
//! does not decide, with its summary and body. Text is left to [`Content`].

mod expr;

use super::items;
use super::rows::{ColdRef, HotRow};
use super::{each_message, read::View};
use crate::content::{Candidate, Content};
use crate::kv::Table;
use expr::{Facts, Node, Plan};
use zcluster_api::{FolderId, MailboxReply, Result, SearchExpr, Uid, UidSet, codec};

/// Messages decided together, so that rows that lie together are read together.
const BATCH: usize = 512;

pub(super) fn search(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    content: &dyn Content,
) -> Result<MailboxReply> {
    let (mut uids, mut highest) = (UidSet::new(), None);
    each_match(view, folder, within, expr, content, |uid, row| {
        uids.insert(uid.0);
        highest = highest.max(Some(row.modseq));
        Ok(())
    })?;
    Ok(MailboxReply::Found { uids, highest_modseq: highest })
}

/// Calls `found` with each message that matches, by rising UID.
///
/// # Errors
/// `NotFound` (folder), `Invalid` when the expression is too deep or too long; what reading bodies reported.
pub(super) fn each_match(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    content: &dyn Content,
    mut found: impl FnMut(Uid, &HotRow) -> Result<()>,
) -> Result<()> {
    view.row(folder)?;
    let (plan, node) = Plan::new(view, expr)?;
    let everything = UidSet::range(1, u32::MAX);
    let mut batch = Batch { view, content, plan: &plan, node: &node, open: Vec::new() };
    each_message(view.kv, (view.mailbox, folder), within.unwrap_or(&everything), |uid, row| {
        batch.take(uid, row)?;
        if batch.open.len() == BATCH {
            batch.flush(&mut found)?;
        }
        Ok(true)
    })?;
    batch.flush(&mut found)
}

/// Messages that match, or may yet.
struct Batch<'a> {
    view: &'a View<'a>,
    content: &'a dyn Content,
    plan: &'a Plan,
    node: &'a Node<'a>,
    open: Vec<(Uid, HotRow, Option<bool>)>,
}

impl Batch<'_> {
    /// Tries what the hot row tells; who fails is out.
    fn take(&mut self, uid: Uid, row: HotRow) -> Result<()> {
        let facts = Facts { uid, row: &row, sent_day: None, text: None };
        let verdict = self.plan.holds(self.node, &facts)?;
        if verdict != Some(false) {
            self.open.push((uid, row, verdict));
        }
        Ok(())
    }

    /// Decides whoever is undecided and tells who matches.
    fn flush(&mut self, found: &mut impl FnMut(Uid, &HotRow) -> Result<()>) -> Result<()> {
        if self.plan.uses_sent {
            self.look(Table::Keys)?;
        }
        self.look(Table::Cold)?;
        for (uid, row, verdict) in self.open.drain(..) {
            if verdict == Some(true) {
                found(uid, &row)?;
            }
        }
        Ok(())
    }

    /// Tries the undecided with what the table's row tells.
    fn look(&mut self, table: Table) -> Result<()> {
        let at: Vec<usize> = (0..self.open.len()).filter(|i| self.open[*i].2.is_none()).collect();
        let ids: Vec<u32> = at.iter().map(|i| self.open[*i].1.item.0).collect();
        let (view, content, plan, node, open) = (self.view, self.content, self.plan, self.node, &mut self.open);
        items::each_row(view.kv, table, view.mailbox, &ids, |i, row| {
            let Some((uid, hot, verdict)) = at.get(i).and_then(|at| open.get_mut(*at)) else { return Ok(()) };
            let mut facts = Facts { uid: *uid, row: hot, sent_day: None, text: None };
            match (table, row) {
                (Table::Keys, None) => {}
                (Table::Keys, Some(row)) => {
                    facts.sent_day = Some(codec::decode::<super::sort::Texts<'_>>(row)?.sent_day);
                    *verdict = plan.holds(node, &facts)?;
                }
                (_, None) => return Err(items::missing(view.mailbox, hot.item.0)),
                (_, Some(row)) => {
                    let cold: ColdRef<'_> = codec::decode(row)?;
                    let candidate = Candidate::new(view.kv, cold.summary, cold.sent_ms, cold.blob);
                    if plan.uses_sent {
                        facts.sent_day = Some(content.sent_day(cold.summary, cold.sent_ms));
                    }
                    facts.text = Some((content, &candidate));
                    *verdict = plan.holds(node, &facts)?;
                }
            }
            Ok(())
        })
    }
}
