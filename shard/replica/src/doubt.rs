//! Searches answered twice, with what earlier ones have read and without: for simulators.

use crate::content::MailContent;
use crate::node::NodeState;
use zcluster_api::sort::{SortBy, SortCriterion, Threading};
use zcluster_api::{MailboxQuery, MailboxReply, Result};
use zcluster_state::{Asking, Indexes, KvRead};

/// A question and what came out, with an index and without.
pub(crate) type Doubt = (MailboxQuery, Result<MailboxReply>, Result<MailboxReply>);

/// Asks the question and, of the same messages, for orders and threads, which the index keeps more for.
pub(crate) fn ask(
    node: &NodeState,
    kv: &dyn KvRead,
    asking: Asking,
    query: &MailboxQuery,
    indexes: &dyn Indexes,
) -> Vec<Doubt> {
    let content = MailContent::plain(node);
    let one = |query: MailboxQuery| {
        let with = zcluster_state::read_mailbox_with(kv, asking, &query, &content, indexes);
        let without = zcluster_state::read_mailbox_as(kv, asking, &query, &content);
        (query, with, without)
    };
    let mut all = vec![one(query.clone())];
    if let MailboxQuery::Search { folder, within, expr } = query {
        let by = |by, reverse| SortCriterion { by, reverse };
        let by = vec![by(SortBy::Subject, true), by(SortBy::Date, false)];
        let (folder, within, expr) = (*folder, within.clone(), expr.clone());
        all.push(one(MailboxQuery::Sort { folder, within: within.clone(), expr: expr.clone(), by }));
        all.push(one(MailboxQuery::Thread { folder, within, expr, threading: Threading::References }));
    }
    all
}

/// # Panics
/// Where the answers differ.
pub(crate) fn judge(doubts: &[Doubt]) {
    for (query, with, without) in doubts {
        assert!(with == without, "{query:?}: {with:?} with an index, {without:?} without");
    }
}
