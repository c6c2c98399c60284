//! SEARCH (RFC 3501 §6.4.4) with ESEARCH (RFC 4731), SEARCHRES (RFC 5182) and MODSEQ (RFC 7162 §3.1.5).

mod compile;
mod scan;

use crate::codec::command::{Search, SearchKey, SearchReturn};
use crate::codec::write::number;
use crate::errors::{Answer, Failure, Reply};
use crate::session::numbers::{Numbers, without};
use crate::session::{Expunges, Session, passed_over};
use std::io::Write;
use zcluster_api::mailbox::Want;
use zcluster_api::{ModSeq, UidSet};

/// What was found.
struct Found {
    uids: UidSet,
    highest_modseq: Option<ModSeq>,
}

pub async fn search(s: &mut Session, tag: &str, search: &Search) -> Answer {
    let keeps = search.ret.is_some_and(|r| r.has(SearchReturn::SAVE));
    let outcome = find(s, search).await;
    if keeps && !matches!(outcome, Err(Failure::Reply(Reply::Bad(_)))) {
        // A search that fails leaves nothing behind (RFC 5182 §2.1).
        let kept = outcome.as_ref().map(|found| kept(search, &found.uids)).unwrap_or_default();
        s.view_mut()?.saved = kept;
    }
    let found = outcome?;
    let modseq = told_modseq(s, search, &found).await?;
    match search.ret {
        None => write_plain(s, search.uid, &found.uids, modseq).await?,
        Some(ret) if ret == SearchReturn::SAVE => {}
        Some(ret) => write_extended(s, tag, search.uid, ret, &found.uids, modseq)?,
    }
    if search.uid
        && let Some(view) = s.selected.as_deref_mut()
    {
        view.tell_gone(&mut s.out);
    }
    Ok(Reply::Ok("SEARCH completed".into()))
}

async fn find(s: &mut Session, search: &Search) -> Result<Found, Failure> {
    // Numbers are the client's of now: they are resolved before news is looked for.
    let mailbox = s.selected_mailbox()?;
    let scanned = scan::scan(s, &mailbox, &search.key).await?;
    let query = compile::compile(s.view()?, &search.key, &scanned)?;
    if uses_modseq(&search.key) {
        s.enable_condstore();
    }
    // Before, so that what has just arrived is found.
    let synced = s.sync(Expunges::Hold, &[]).await;
    passed_over(synced)?;
    let view = s.view()?;
    if let Some(uids) = query.answer(view) {
        return Ok(Found { uids: without(&uids, &view.gone), highest_modseq: None });
    }
    let (uids, highest_modseq) = mailbox.search(view.folder, query.within, query.expr).await?;
    // What arrived in between has no number yet.
    Ok(Found { uids: uids.intersect(&s.view()?.uids), highest_modseq })
}

/// What `$` stands for afterwards (RFC 5182 §2.4): all, unless only the ends were asked for.
fn kept(search: &Search, uids: &UidSet) -> UidSet {
    let ret = search.ret.unwrap_or_default();
    let ends = ret.any(SearchReturn::MIN.with(SearchReturn::MAX));
    if !ends || ret.any(SearchReturn::ALL.with(SearchReturn::COUNT)) {
        return uids.clone();
    }
    told_ends(ret, uids)
}

fn told_ends(ret: SearchReturn, uids: &UidSet) -> UidSet {
    let min = uids.first().filter(|_| ret.has(SearchReturn::MIN));
    let max = uids.last().filter(|_| ret.has(SearchReturn::MAX));
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
async fn told_modseq(s: &Session, search: &Search, found: &Found) -> Result<Option<ModSeq>, Failure> {
    if !uses_modseq(&search.key) || found.uids.is_empty() {
        return Ok(None);
    }
    let ret = search.ret.unwrap_or(SearchReturn::ALL);
    if ret.any(SearchReturn::ALL.with(SearchReturn::COUNT)) {
        return Ok(found.highest_modseq);
    }
    let ends = told_ends(ret, &found.uids);
    if ends.is_empty() {
        return Ok(None);
    }
    let (messages, _) = s.selected_mailbox()?.messages(s.view()?.folder, ends, Want::default(), None, 2).await?;
    Ok(messages.iter().map(|m| m.modseq).max())
}

/// `* SEARCH` (RFC 3501 §7.2.5), written as it goes.
async fn write_plain(s: &mut Session, uid: bool, uids: &UidSet, modseq: Option<ModSeq>) -> Result<(), Failure> {
    let numbers = Numbers::new(&s.view()?.uids);
    s.out.extend_from_slice(b"* SEARCH");
    for (first, last) in uids.ranges() {
        let shift = if uid { first } else { numbers.of(first).unwrap_or(0) };
        for i in 0..=last - first {
            s.out.push(b' ');
            number((shift + i).into(), &mut s.out);
        }
        s.spill_if_full().await?;
    }
    if let Some(modseq) = modseq {
        let _ = write!(s.out, " (MODSEQ {modseq})");
    }
    s.out.extend_from_slice(b"\r\n");
    Ok(())
}

/// `* ESEARCH` (RFC 4731 §3.1): MIN, MAX and ALL are left out when nothing was found.
fn write_extended(
    s: &mut Session,
    tag: &str,
    uid: bool,
    ret: SearchReturn,
    uids: &UidSet,
    modseq: Option<ModSeq>,
) -> Result<(), Failure> {
    let view = s.view()?;
    let shown = if uid { uids.clone() } else { Numbers::new(&view.uids).set(&view.uids, uids) };
    // A tag has no quotes inside.
    let _ = write!(s.out, "* ESEARCH (TAG \"{tag}\"){}", if uid { " UID" } else { "" });
    for (bit, name, value) in [(SearchReturn::MIN, "MIN", shown.first()), (SearchReturn::MAX, "MAX", shown.last())] {
        if let Some(value) = value.filter(|_| ret.has(bit)) {
            let _ = write!(s.out, " {name} {value}");
        }
    }
    if ret.has(SearchReturn::COUNT) {
        let _ = write!(s.out, " COUNT {}", shown.len());
    }
    if ret.has(SearchReturn::ALL) && !shown.is_empty() {
        let _ = write!(s.out, " ALL {shown}");
    }
    if let Some(modseq) = modseq {
        let _ = write!(s.out, " MODSEQ {modseq}");
    }
    s.out.extend_from_slice(b"\r\n");
    Ok(())
}
