//! SELECT, EXAMINE, UNSELECT and CLOSE.

use super::expunge;
use super::names::write_renamed;
use crate::codec::command::Qresync;
use crate::config::PAGE_MESSAGES;
use crate::errors::{Answer, Failure, Reply};
use crate::session::numbers::{Numbers, from, pieces, without};
use crate::session::selected::{KEYWORDS, Stored, write_vanished};
use crate::session::sharing::{may_change, rights};
use crate::session::{Expunges, Mailbox, Selected, Session, mailbox};
use std::collections::VecDeque;
use zcluster_api::mailbox::{StoredFlags, Want};
use zcluster_api::sharing::Rights;
use zcluster_api::{Error, ModSeq, Uid, UidSet};
use zcluster_runtime::Instant;

/// SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2; RFC 7162 §3.1.2, §3.1.8 and §3.2.5).
pub async fn select(s: &mut Session, name: &str, examine: bool, condstore: bool, qresync: Option<&Qresync>) -> Answer {
    if qresync.is_some() && !s.dialect.qresync {
        return Err(Failure::bad("QRESYNC is not enabled"));
    }
    if qresync.is_some_and(|q| q.matches.is_some()) && s.dialect.uid_only {
        return Err(Failure::bad("[UIDREQUIRED] there are no sequence numbers"));
    }
    let own = s.mailbox()?;
    // The old mailbox is left even if the new one cannot be opened (RFC 3501 §6.3.1).
    if s.selected.is_some() {
        s.deselect().await;
        s.line(format_args!("* OK [CLOSED] previous mailbox is closed"));
    }
    let named = s.named(name).await?;
    let (mailbox, folder) = (&named.mailbox, named.folder().await?);
    let found = mailbox.uids(folder.id).await?;
    let rights = rights(&found.folder);
    let read_only = examine || !may_change(rights);
    // IMAP4rev2 has no \Recent (RFC 9051, appendix E).
    let recent_from = match s.dialect.rev2 {
        true => found.folder.recent_from,
        false => recent_from(mailbox, &found, read_only).await?,
    };
    s.condstore |= condstore;
    let mut view = Selected {
        mailbox: mailbox.clone(),
        prefix: named.prefix.clone(),
        folder: found.folder.id,
        examined: examine,
        read_only,
        rights,
        uids: found.uids.clone(),
        gone: UidSet::new(),
        modseq: found.modseq,
        highest_modseq: found.folder.highest_modseq.max(1.into()),
        recent_from,
        arrived: false,
        keywords: KEYWORDS.map(String::from).to_vec(),
        notified: found.uids.last().unwrap_or(0),
        mute_flags: false,
        saved: UidSet::new(),
        contexts: Vec::new(),
        looked_at: Instant::now(),
        dialect: s.dialect,
    };
    view.add_keywords(&found.keywords);
    tell(s, &view, &found);
    if s.dialect.rev2 {
        let shown = named.shown(&found.folder);
        write_renamed(&shown, Some(name).filter(|n| *n != shown), s.utf8, &mut s.out);
    }
    if let Some(notifier) = s.notifier.as_deref_mut().filter(|_| mailbox.is_others()) {
        notifier.follow(&own, Some(&view));
    }
    s.selected = Some(Box::new(view));
    if let Some(q) = qresync.filter(|q| q.uid_validity == found.folder.uid_validity) {
        Box::pin(tell_missed(s, mailbox, q, &found)).await?;
    }
    let code = if read_only { "READ-ONLY" } else { "READ-WRITE" };
    let verb = if examine { "EXAMINE" } else { "SELECT" };
    Ok(Reply::Ok(format!("[{code}] {verb} completed").into()))
}

/// What went and changed since the client was here last (RFC 7162 §3.2.5). What happens while this is read comes as
/// news, later.
async fn tell_missed(s: &mut Session, mailbox: &Mailbox, q: &Qresync, found: &mailbox::Uids) -> Result<(), Failure> {
    let (folder, since) = (found.folder.id, ModSeq(q.modseq));
    let missed = mailbox.missed(folder, since, q.known.clone()).await?;
    let mut vanished = without(&missed.vanished, &found.uids);
    vanished = vanished.intersect(&UidSet::range(1, found.folder.uid_next.0.saturating_sub(1)));
    if let (false, Some((numbers, uids))) = (missed.exact, &q.matches) {
        vanished = from(&vanished, last_match(&found.uids, numbers, uids).saturating_add(1));
    }
    write_vanished(&vanished, true, &mut s.out);
    let touched = missed.touched.intersect(&found.uids);
    // Where the log does not reach back few of many may have changed: all are asked for at once.
    let mut questions: VecDeque<UidSet> = match missed.exact {
        true => pieces(&touched, PAGE_MESSAGES.into()).into(),
        false => [touched].into_iter().filter(|t| !t.is_empty()).collect(),
    };
    let numbers = Numbers::new(&found.uids);
    while let Some(question) = questions.pop_front() {
        s.spill_if_full().await?;
        let page = mailbox.messages(folder, question.clone(), Want::default(), Some(since), PAGE_MESSAGES).await?;
        if let Some(next) = page.1 {
            questions.push_front(from(&question, next.0));
        }
        let Some(view) = s.selected.as_deref_mut() else { return Ok(()) };
        for m in page.0 {
            let m = StoredFlags { uid: m.uid, modseq: m.modseq, flags: m.flags, keywords: m.keywords };
            view.write_stored(&numbers, &m, Stored { flags: true, modseq: true }, &mut s.out);
        }
    }
    Ok(())
}

/// The highest UID that still has the sequence number the client knows it by: nothing below it went since then
/// (RFC 7162 §3.2.5.2). 0 if there is none.
fn last_match(now: &UidSet, numbers: &UidSet, uids: &UidSet) -> u32 {
    let today = Numbers::new(now);
    let pairs = numbers.iter().zip(uids.iter());
    pairs.filter(|(n, uid)| today.of(*uid) == Some(*n)).map(|(_, uid)| uid).last().unwrap_or(0)
}

/// From which UID on messages are `\Recent`. Claiming them is a write, so it is left out when there are none; EXAMINE
/// claims nothing (RFC 3501 §6.3.2).
async fn recent_from(mailbox: &Mailbox, found: &mailbox::Uids, read_only: bool) -> Result<Uid, Error> {
    let folder = &found.folder;
    if mailbox.is_others() {
        // What is recent is told to a session of the owner.
        return Ok(folder.uid_next);
    }
    if read_only || folder.recent_from >= folder.uid_next {
        return Ok(folder.recent_from);
    }
    match mailbox.take_recent(folder.id).await {
        // A mailbox that cannot be written to just now can be read all the same.
        Err(Error::Unavailable(_)) => Ok(folder.recent_from),
        other => other,
    }
}

fn tell(s: &mut Session, view: &Selected, found: &mailbox::Uids) {
    let folder = &found.folder;
    view.write_flags(&mut s.out);
    view.write_counts(&mut s.out);
    // IMAP4rev2 has no UNSEEN (RFC 9051, appendix E), and with UIDONLY nobody could use it.
    let wanted = !view.dialect.rev2 && !view.dialect.uid_only;
    let unseen = found.first_unseen.and_then(|uid| Numbers::new(&view.uids).of(uid.0));
    if let Some(n) = unseen.filter(|_| wanted) {
        s.line(format_args!("* OK [UNSEEN {n}] first unseen message"));
    }
    s.line(format_args!("* OK [UIDVALIDITY {}] UIDs are valid", folder.uid_validity));
    s.line(format_args!("* OK [UIDNEXT {}] predicted next UID", folder.uid_next));
    s.line(format_args!("* OK [HIGHESTMODSEQ {}] highest mod-sequence", view.highest_modseq));
    s.line(format_args!("* OK [MAILBOXID (F{}{})] mailbox id", folder.id, view.mailbox.object_suffix()));
    // RFC 4467 §7: where URLs can be made.
    if !view.mailbox.is_others() {
        s.line(format_args!("* OK [URLMECH INTERNAL] mechanisms of URLAUTH"));
    }
}

/// UNSELECT (RFC 3691): leaves without expunging.
pub async fn unselect(s: &mut Session) -> Answer {
    s.deselect().await;
    Ok(Reply::Ok("UNSELECT completed".into()))
}

/// CLOSE (RFC 3501 §6.4.2): removes what has `\Deleted`, untold, unless the mailbox was opened with EXAMINE. Its OK must
/// not have HIGHESTMODSEQ: the client has not heard of what others did (RFC 7162 §3.2.8).
pub async fn close(s: &mut Session, tag: &str) -> Answer {
    s.refresh_rights().await?;
    let view = s.view()?;
    // RFC 4314 §4: without the right nothing is removed, and that is no error.
    if !view.read_only && view.rights.has(Rights::EXPUNGE) {
        // What was deleted elsewhere meanwhile is not the client's concern any more.
        let all = s.view()?.uids.clone();
        expunge::remove_deleted(s, tag, all, Expunges::Hold).await?;
    }
    s.deselect().await;
    Ok(Reply::Ok("CLOSE completed".into()))
}
