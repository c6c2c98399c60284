//! `Thread` (RFC 5256 THREAD).

mod ordered;
mod references;
mod tree;

use super::index::{NONE, Need};
use super::read::View;
use super::search;
use crate::content::Content;
use zcluster_api::sort::{SortBy, Threading};
use zcluster_api::{FolderId, MailboxReply, Result, SearchExpr, UidSet};

/// What threading knows of one message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub uid: u32,
    /// The sent date, else INTERNALDATE (RFC 5256 §3).
    pub date: i64,
    /// The number of its id, or [`NONE`].
    pub id: u32,
    /// Where its references lie.
    pub references: std::ops::Range<usize>,
    /// Base subjects compare as these.
    pub subject: u32,
    /// The base subject is empty.
    pub no_subject: bool,
    /// The subject marks a reply or a forward.
    pub reply: bool,
}

/// What is to be threaded.
pub(super) struct Messages<'a> {
    /// By UID.
    pub list: Vec<Message>,
    /// Numbers of ids.
    pub references: &'a [u32],
    /// All numbers of ids are below.
    pub ids: usize,
    /// All numbers of subjects are below.
    pub subjects: usize,
}

pub(super) fn thread(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    threading: Threading,
    content: &dyn Content,
) -> Result<MailboxReply> {
    let (by_subject, by_id) = (threading != Threading::Refs, threading != Threading::OrderedSubject);
    let ranks = if by_subject { vec![SortBy::Subject] } else { Vec::new() };
    let need = Need { dates: true, ranks, ids: by_id };
    let (index, hits) = search::hits(view, folder, within, expr, content)?;
    let (index, hits) = index.ready(view, folder, hits, content, &need)?;
    let (subjects, ids) = (index.ranks(SortBy::Subject).filter(|_| by_subject), index.ids().filter(|_| by_id));
    let dates = index.dates().map(|d| d.sent_ms.as_slice()).unwrap_or_default();
    let list = hits.ones().map(|at| Message {
        uid: index.columns.uid[at],
        date: dates[at],
        id: ids.map_or(NONE, |ids| ids.own[at]),
        references: ids.map_or(0..0, |ids| ids.references(at)),
        subject: subjects.map_or(0, |s| s.rank[at]),
        no_subject: ids.is_some_and(|ids| ids.no_subject[at]),
        reply: ids.is_some_and(|ids| ids.reply[at]),
    });
    let messages = Messages {
        list: list.collect(),
        references: ids.map(|ids| ids.references.as_slice()).unwrap_or_default(),
        ids: ids.map_or(0, |ids| ids.count()),
        subjects: subjects.map_or(0, |s| s.below as usize),
    };
    Ok(MailboxReply::Threads(match threading {
        Threading::OrderedSubject => ordered::threads(&messages.list),
        Threading::References => references::threads(&messages, true),
        Threading::Refs => references::threads(&messages, false),
    }))
}
