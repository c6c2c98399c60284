//! SEARCH (RFC 3501 §6.4.4) and SORT (RFC 5256) with ESEARCH (RFC 4731), ESORT and contexts (RFC 5267), PARTIAL
//! (RFC 9394), SEARCHRES (RFC 5182) and MODSEQ (RFC 7162 §3.1.5).

pub mod compile;
mod context;
mod multi;
mod write;

pub use context::{Context, cancel_update};
pub use multi::esearch;

use crate::codec::command::{Search, SearchKey, SearchReturn};
use crate::errors::{Answer, Failure, Reply};
use crate::session::numbers::{positions, without};
use crate::session::{Expunges, Mailbox, Session, passed_over};
use compile::Query;
use write::Correlator;
use zcluster_api::mailbox::Want;
use zcluster_api::{FolderId, ModSeq, UidSet};

/// What was found.
pub struct Found {
    pub uids: UidSet,
    /// The same in SORT's order.
    pub order: Option<Vec<u32>>,
    pub highest_modseq: Option<ModSeq>,
}

impl Found {
    /// The first and the last, in SORT's order if there is one (RFC 5267 §3.1).
    fn ends(&self) -> (Option<u32>, Option<u32>) {
        match &self.order {
            Some(order) => (order.first().copied(), order.last().copied()),
            None => (self.uids.first(), self.uids.last()),
        }
    }
}

pub async fn search(s: &mut Session, tag: &str, search: &Search) -> Answer {
    run(s, Correlator { tag, mailbox: None }, search).await
}

/// Searches the selected mailbox.
async fn run(s: &mut Session, correlator: Correlator<'_>, search: &Search) -> Answer {
    let tag = correlator.tag;
    let ret = search.ret.unwrap_or_default();
    let updates = ret.has(SearchReturn::UPDATE);
    if updates && s.view()?.contexts.iter().any(|c| c.tag == tag) {
        return Err(Failure::bad("this tag names a search that is being updated"));
    }
    let outcome = find(s, tag, search).await;
    if ret.has(SearchReturn::SAVE) && !matches!(outcome, Err(Failure::Reply(Reply::Bad(_)))) {
        // A search that fails leaves nothing behind (RFC 5182 §2.1).
        let kept = outcome.as_ref().map(|(_, found)| kept(search, found)).unwrap_or_default();
        s.view_mut()?.saved = kept;
    }
    let (query, found) = outcome?;
    let modseq = told_modseq(&s.selected_mailbox()?, s.view()?.folder, search, &found).await?;
    // IMAP4rev2 has no SEARCH response (RFC 9051 §6.4.4).
    let ret = search.ret.or((s.dialect.rev2 && search.order.is_none()).then_some(SearchReturn::ALL));
    match ret {
        None => write::plain(s, search.uid, &found, modseq).await?,
        Some(ret) if ret == SearchReturn::SAVE => {}
        // ESEARCH is silent where there is nothing (RFC 7377 §2.1).
        Some(_) if correlator.mailbox.is_some() && found.uids.is_empty() => {}
        Some(ret) => write::extended(s, &correlator, (search, ret), &found, modseq),
    }
    if updates {
        context::open(s, tag, search, query, found)?;
    }
    if search.uid
        && let Some(view) = s.selected.as_deref_mut()
    {
        view.tell_gone(&mut s.out);
    }
    Ok(Reply::Ok(if search.order.is_some() { "SORT completed" } else { "SEARCH completed" }.into()))
}

/// What `key` comes to, once everything that has happened is known.
pub async fn prepare(s: &mut Session, key: &SearchKey) -> Result<Query, Failure> {
    // Numbers are the client's of now: they are resolved before news is looked for.
    let query = compile::compile_view(s.view()?, s.zone(), key)?;
    if uses_modseq(key) {
        s.enable_condstore();
    }
    // Before, so that what has just arrived is found.
    let synced = s.sync(Expunges::Hold, &[]).await;
    passed_over(synced)?;
    Ok(query)
}

async fn find(s: &mut Session, tag: &str, search: &Search) -> Result<(Query, Found), Failure> {
    let mailbox = s.selected_mailbox()?;
    let query = prepare(s, &search.key).await?;
    let folder = s.view()?.folder;
    let (within, expr) = (query.within.clone(), query.expr.clone());
    if let Some(by) = &search.order {
        let (mut order, highest_modseq) = s.during(tag, mailbox.sort(folder, within, expr, by.clone())).await??;
        // What arrived in between has no number yet.
        let view = s.view()?;
        order.retain(|uid| view.uids.contains(*uid));
        // Each is there once: as many as there are are all of them.
        let uids = if order.len() as u64 == view.uids.len() {
            view.uids.clone()
        } else {
            let mut uids = order.clone();
            uids.sort_unstable();
            uids.into_iter().collect()
        };
        return Ok((query, Found { uids, order: Some(order), highest_modseq }));
    }
    let view = s.view()?;
    if let Some(uids) = query.answer(view) {
        let uids = without(&uids, &view.gone);
        return Ok((query, Found { uids, order: None, highest_modseq: None }));
    }
    let (uids, highest_modseq) = s.during(tag, mailbox.search(folder, within, expr)).await??;
    let uids = uids.intersect(&s.view()?.uids);
    Ok((query, Found { uids, order: None, highest_modseq }))
}

/// What `$` stands for afterwards (RFC 5182 §2.4, RFC 9394 §3.2): all, unless only the ends or some were asked for.
fn kept(search: &Search, found: &Found) -> UidSet {
    let ret = search.ret.unwrap_or_default();
    let some = ret.any(SearchReturn::MIN.with(SearchReturn::MAX).with(SearchReturn::PARTIAL));
    if !some || ret.any(SearchReturn::ALL.with(SearchReturn::COUNT)) {
        return found.uids.clone();
    }
    let mut kept = told_ends(ret, found);
    for (first, last) in part(search, found).ranges() {
        kept.insert_range(first, last);
    }
    kept
}

/// The messages that PARTIAL tells.
fn part(search: &Search, found: &Found) -> UidSet {
    let Some(partial) = search.partial else { return UidSet::new() };
    match &found.order {
        Some(order) => order.get(partial.within(order.len())).unwrap_or_default().iter().copied().collect(),
        None => positions(&found.uids, partial.within(usize::try_from(found.uids.len()).unwrap_or(usize::MAX))),
    }
}

fn told_ends(ret: SearchReturn, found: &Found) -> UidSet {
    let (first, last) = found.ends();
    let min = first.filter(|_| ret.has(SearchReturn::MIN));
    let max = last.filter(|_| ret.has(SearchReturn::MAX));
    min.into_iter().chain(max).collect()
}

fn uses_modseq(key: &SearchKey) -> bool {
    match key {
        SearchKey::ModSeq(_) => true,
        SearchKey::And(keys) => keys.iter().any(uses_modseq),
        SearchKey::Or(a, b) => uses_modseq(a) || uses_modseq(b),
        SearchKey::Not(key) => uses_modseq(key),
        _ => false,
    }
}

/// The mod-sequence to tell: when MODSEQ was among the keys, the highest of the messages told (RFC 7162 §3.1.5 and
/// §3.1.10).
async fn told_modseq(
    mailbox: &Mailbox,
    folder: FolderId,
    search: &Search,
    found: &Found,
) -> Result<Option<ModSeq>, Failure> {
    if !uses_modseq(&search.key) || found.uids.is_empty() {
        return Ok(None);
    }
    let ret = search.ret.unwrap_or(SearchReturn::ALL);
    if ret.any(SearchReturn::ALL.with(SearchReturn::COUNT).with(SearchReturn::PARTIAL)) {
        return Ok(found.highest_modseq);
    }
    let ends = told_ends(ret, found);
    if ends.is_empty() {
        return Ok(None);
    }
    let (messages, _) = mailbox.messages(folder, ends, Want::default(), None, 2).await?;
    Ok(messages.iter().map(|m| m.modseq).max())
}
