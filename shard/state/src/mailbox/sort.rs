//! `Sort` (RFC 5256 SORT): every message has a rank for each criterion, which the folder's index keeps.

use super::index::Need;
use super::read::View;
use super::search;
use crate::content::Content;
use minicbor::Decode;
use zcluster_api::sort::{CRITERIA_MAX, SortCriterion};
use zcluster_api::{Error, FolderId, MailboxReply, Result, SearchExpr, UidSet};

/// The part of `zcluster_api::sort::SortKeys` that is compared, read without a copy.
#[derive(Debug, Default, Decode)]
pub(super) struct Texts<'b> {
    #[n(0)]
    pub sent_ms: Option<i64>,
    #[n(1)]
    pub sent_day: Option<i64>,
    #[n(2)]
    pub subject: &'b str,
    #[n(3)]
    pub reply: bool,
    #[n(4)]
    pub from: &'b str,
    #[n(5)]
    pub to: &'b str,
    #[n(6)]
    pub cc: &'b str,
    #[n(7)]
    pub display_from: &'b str,
    #[n(8)]
    pub display_to: &'b str,
}

pub(super) fn sort(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    by: &[SortCriterion],
    content: &dyn Content,
) -> Result<MailboxReply> {
    if by.len() > CRITERIA_MAX {
        return Err(Error::Invalid("too many sort criteria".into()));
    }
    let (index, hits) = search::hits(view, folder, within, expr, content)?;
    let need = Need { ranks: by.iter().map(|c| c.by).collect(), ..Need::default() };
    let (index, hits) = index.ready(view, folder, hits, content, &need)?;
    // By UID first, then by the last criterion, and so on: each sort leaves equal messages in the order of those before.
    // So equal ones come by sequence number, whatever is reversed (RFC 5256 §3).
    let mut order: Vec<u32> = hits.ones().map(|at| at as u32).collect();
    for criterion in by.iter().rev() {
        if let Some(ranks) = index.ranks(criterion.by) {
            ranks.sort(&mut order, criterion.reverse);
        }
    }
    let uids = order.into_iter().map(|at| index.columns.uid[at as usize]).collect();
    Ok(MailboxReply::Sorted { uids, highest_modseq: search::highest(&index.columns, &hits) })
}
