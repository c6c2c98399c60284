//! Contexts (RFC 5267 §4.3): results that are kept up to date, and what is told of their changes.

use super::Found;
use super::compile::Query;
use super::write::Shower;
use crate::codec::command::{Fetch, Search};
use crate::commands::fetch;
use crate::errors::{Answer, Failure, Reply};
use crate::session::numbers::{Numbers, with, without};
use crate::session::{Mailbox, Selected, Session};
use std::io::Write;
use zcluster_api::UidSet;
use zcluster_api::sort::SortCriterion;

/// Results that one session may have kept up to date.
const CONTEXTS_MAX: usize = 8;
/// Runs of messages in one result that is kept, and messages in one that is sorted.
const RESULT_MAX: usize = 20_000;

/// A result that is kept up to date.
pub struct Context {
    /// Of the command that asked for it.
    pub tag: String,
    uid: bool,
    query: Query,
    order: Option<Vec<SortCriterion>>,
    /// What is told of messages that arrive and are in it.
    fetch: Option<Box<Fetch>>,
    /// What the client has been told is in it.
    uids: UidSet,
    /// The same in order, for SORT.
    list: Vec<u32>,
}

/// Keeps what was found up to date from now on, unless that would be too much: the client is told (RFC 5267 §4.3.1).
pub(super) fn open(s: &mut Session, tag: &str, search: &Search, query: Query, found: Found) -> Result<(), Failure> {
    let view = s.view_mut()?;
    let list = found.order.unwrap_or_default();
    let refused = if view.contexts.len() >= CONTEXTS_MAX {
        Some("too many searches are being updated")
    } else if found.uids.run_count() > RESULT_MAX || list.len() > RESULT_MAX {
        Some("the result is too large to be updated")
    } else {
        None
    };
    if let Some(why) = refused {
        s.line(format_args!("* NO [NOUPDATE \"{tag}\"] {why}"));
        return Ok(());
    }
    let (uid, order, fetch) = (search.uid, search.order.clone(), search.update.clone());
    view.contexts.push(Context { tag: tag.to_string(), uid, query, order, fetch, uids: found.uids, list });
    Ok(())
}

/// CANCELUPDATE (RFC 5267 §4.3.5).
pub fn cancel_update(s: &mut Session, tags: &[String]) -> Answer {
    let view = s.view_mut()?;
    if !tags.iter().all(|tag| view.contexts.iter().any(|c| c.tag == *tag)) {
        return Err(Failure::bad("no search with such a tag is being updated"));
    }
    view.contexts.retain(|c| !tags.contains(&c.tag));
    Ok(Reply::Ok("CANCELUPDATE completed".into()))
}

impl Context {
    /// Takes messages out that are about to be told as expunged, and tells so first, while they have numbers (RFC 5267
    /// §4.3.4). `view`: all messages that still have one.
    pub fn remove(&mut self, view: &UidSet, gone: &UidSet, out: &mut Vec<u8>) {
        let removed = self.uids.intersect(gone);
        if !removed.is_empty() {
            self.begin(out);
            self.removed(view, &removed, out);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Looks at the messages in `touched` again; says what changed, if something did.
    ///
    /// # Errors
    /// What the search reported.
    async fn look(&self, mailbox: &Mailbox, view: &ViewOf, touched: &UidSet) -> Result<Option<Update>, Failure> {
        let ViewOf { folder, uids: known, gone } = view;
        let touched = without(&touched.intersect(known), gone);
        let touched = self.query.within.as_ref().map_or(touched.clone(), |w| w.intersect(&touched));
        if touched.is_empty() {
            return Ok(None);
        }
        let (now, _) = mailbox.search(*folder, Some(touched.clone()), self.query.expr.clone()).await?;
        let before = self.uids.intersect(&touched);
        let (removed, added) = (without(&before, &now), without(&now.intersect(&touched), &before));
        if removed.is_empty() && added.is_empty() {
            return Ok(None);
        }
        let mut order = Vec::new();
        if let Some(by) = self.order.clone().filter(|_| !added.is_empty()) {
            let all = with(&without(&self.uids, &removed), &added);
            order = mailbox.sort(*folder, Some(all), zcluster_api::SearchExpr::All, by).await?.0;
        }
        Ok(Some(Update { removed, added, order }))
    }

    /// Tells what changed.
    fn tell(&mut self, known: &UidSet, Update { removed, added, order }: &Update, out: &mut Vec<u8>) {
        self.begin(out);
        if !removed.is_empty() {
            self.removed(known, removed, out);
        }
        if !added.is_empty() {
            self.added(known, added, order, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn begin(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "* ESEARCH (TAG \"{}\"){}", self.tag, if self.uid { " UID" } else { "" });
    }

    /// Positions are 0 for SEARCH, whose results are in the mailbox's order; for SORT they count from 1 as they are when
    /// the client gets to them.
    fn removed(&mut self, view: &UidSet, removed: &UidSet, out: &mut Vec<u8>) {
        let shower = Shower { uid: self.uid, numbers: Numbers::new(view), view };
        out.extend_from_slice(b" REMOVEFROM (");
        if self.order.is_none() {
            out.extend_from_slice(b"0 ");
            shower.set(removed, out);
        } else {
            // From the end, so that no position shifts another.
            let mut first = true;
            for at in (0..self.list.len()).rev() {
                if removed.contains(self.list[at]) {
                    let space = if std::mem::take(&mut first) { "" } else { " " };
                    let _ = write!(out, "{space}{} {}", at + 1, shower.one(self.list[at]));
                }
            }
            self.list.retain(|uid| !removed.contains(*uid));
        }
        out.push(b')');
        self.uids = without(&self.uids, removed);
    }

    fn added(&mut self, view: &UidSet, added: &UidSet, order: &[u32], out: &mut Vec<u8>) {
        let shower = Shower { uid: self.uid, numbers: Numbers::new(view), view };
        out.extend_from_slice(b" ADDTO (");
        if self.order.is_none() {
            out.extend_from_slice(b"0 ");
            shower.set(added, out);
        } else {
            let mut first = true;
            for (at, uid) in order.iter().enumerate().filter(|(_, uid)| added.contains(**uid)) {
                let space = if std::mem::take(&mut first) { "" } else { " " };
                let _ = write!(out, "{space}{} {}", at + 1, shower.one(*uid));
            }
            self.list = order.to_vec();
        }
        out.push(b')');
        self.uids = with(&self.uids, added);
    }
}

/// What changed of a result.
struct Update {
    removed: UidSet,
    added: UidSet,
    /// All of it, for SORT.
    order: Vec<u32>,
}

/// What of the view an update needs.
struct ViewOf {
    folder: zcluster_api::FolderId,
    uids: UidSet,
    gone: UidSet,
}

impl ViewOf {
    fn new(view: &Selected) -> Self {
        ViewOf { folder: view.folder, uids: view.uids.clone(), gone: view.gone.clone() }
    }
}

impl Session {
    /// Brings the contexts up to date with changes in `touched`, of which some have just `arrived`. One that cannot be, or
    /// grew too large, is given up, and the client is told.
    pub async fn update_contexts(&mut self, touched: &UidSet, arrived: &UidSet) -> Result<(), Failure> {
        let Some(view) = self.selected.as_deref_mut().filter(|v| !v.contexts.is_empty()) else { return Ok(()) };
        if touched.is_empty() {
            return Ok(());
        }
        let (of, contexts, mailbox) = (ViewOf::new(view), std::mem::take(&mut view.contexts), view.mailbox.clone());
        let mut kept = Vec::with_capacity(contexts.len());
        for mut context in contexts {
            let outcome = self.update_context(&mut context, &mailbox, &of, touched, arrived).await;
            let large = context.uids.run_count() > RESULT_MAX || context.list.len() > RESULT_MAX;
            match outcome {
                Ok(()) if !large => kept.push(context),
                Err(Failure::End(end)) => return Err(Failure::End(end)),
                _ => self.line(format_args!("* NO [NOUPDATE \"{}\"] cannot be kept up to date", context.tag)),
            }
        }
        if let Some(view) = self.selected.as_deref_mut() {
            view.contexts = kept;
        }
        Ok(())
    }

    async fn update_context(
        &mut self,
        context: &mut Context,
        mailbox: &Mailbox,
        of: &ViewOf,
        touched: &UidSet,
        arrived: &UidSet,
    ) -> Result<(), Failure> {
        let Some(update) = context.look(mailbox, of, touched).await? else { return Ok(()) };
        let new = update.added.intersect(arrived);
        if let Some(fetch) = context.fetch.as_deref().filter(|_| !new.is_empty()) {
            // Before the ESEARCH response (RFC 5465 §7).
            fetch::tell(self, fetch, new).await?;
        }
        context.tell(&of.uids, &update, &mut self.out);
        Ok(())
    }
}
