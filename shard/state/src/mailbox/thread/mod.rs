//! `Thread` (RFC 5256 THREAD).

mod ordered;
mod references;
mod tree;

use super::read::View;
use super::sort::{self, Texts};
use crate::content::Content;
use minicbor::Decode;
use zcluster_api::sort::Threading;
use zcluster_api::{FolderId, MailboxReply, Result, SearchExpr, UidSet, codec};

/// References of all messages that are held in full.
const REFERENCES_MAX: usize = 8_000_000;

/// What threading knows of one message. Messages are listed by UID.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    pub uid: u32,
    /// The sent date, else INTERNALDATE (RFC 5256 §3).
    pub date: i64,
    pub id: Option<u64>,
    pub references: Vec<u64>,
    pub subject: String,
    /// The subject marks a reply or a forward.
    pub reply: bool,
}

/// The part of `zcluster_api::sort::SortKeys` that REFERENCES needs beside the texts.
#[derive(Debug, Default, Decode)]
struct Ids {
    #[n(9)]
    id: Option<u64>,
    #[n(10)]
    references: Vec<u64>,
}

pub(super) fn thread(
    view: &View<'_>,
    folder: FolderId,
    within: Option<&UidSet>,
    expr: &SearchExpr,
    threading: Threading,
    content: &dyn Content,
) -> Result<MailboxReply> {
    let (hits, _) = sort::hits(view, folder, within, expr, content)?;
    let mut references = 0;
    let mut messages = vec![Message::default(); hits.len()];
    let (by_subject, by_id) = (threading != Threading::Refs, threading != Threading::OrderedSubject);
    sort::each_keys(view, content, &hits, |at, keys| {
        let (Some(hit), Some(message)) = (hits.get(at), messages.get_mut(at)) else { return Ok(()) };
        let texts: Texts<'_> = codec::decode(keys)?;
        (message.uid, message.date) = (hit.uid, texts.sent_ms.unwrap_or(hit.internal_ms));
        if by_subject {
            (message.subject, message.reply) = (texts.subject.to_string(), texts.reply);
        }
        if by_id {
            let ids: Ids = codec::decode(keys)?;
            (message.id, message.references) = (ids.id, ids.references);
            references += message.references.len();
            if references > REFERENCES_MAX {
                // The parent alone.
                message.references = message.references.last().copied().into_iter().collect();
            }
        }
        Ok(())
    })?;
    Ok(MailboxReply::Threads(match threading {
        Threading::OrderedSubject => ordered::threads(&messages),
        Threading::References => references::threads(&messages, true),
        Threading::Refs => references::threads(&messages, false),
    }))
}
