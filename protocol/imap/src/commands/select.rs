//! SELECT, EXAMINE, UNSELECT and CLOSE.

use super::expunge;
use crate::errors::{Answer, Reply};
use crate::session::sharing::{may_change, rights};
use crate::session::{Expunges, Mailbox, Selected, Session, mailbox, numbers::Numbers};
use zcluster_api::sharing::Rights;
use zcluster_api::{Error, Uid, UidSet};
use zcluster_runtime::Instant;

/// SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2; RFC 7162 §3.1.2 and §3.1.8).
pub async fn select(s: &mut Session, name: &str, examine: bool, condstore: bool) -> Answer {
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
    let recent_from = recent_from(mailbox, &found, read_only).await?;
    s.condstore |= condstore;
    let view = Selected {
        mailbox: mailbox.clone(),
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
        keywords: found.keywords.clone(),
        saved: UidSet::new(),
        looked_at: Instant::now(),
    };
    tell(s, &view, &found);
    s.selected = Some(Box::new(view));
    let code = if read_only { "READ-ONLY" } else { "READ-WRITE" };
    let verb = if examine { "EXAMINE" } else { "SELECT" };
    Ok(Reply::Ok(format!("[{code}] {verb} completed").into()))
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
    let unseen = found.first_unseen.and_then(|uid| Numbers::new(&view.uids).of(uid.0));
    if let Some(n) = unseen {
        s.line(format_args!("* OK [UNSEEN {n}] first unseen message"));
    }
    s.line(format_args!("* OK [UIDVALIDITY {}] UIDs are valid", folder.uid_validity));
    s.line(format_args!("* OK [UIDNEXT {}] predicted next UID", folder.uid_next));
    s.line(format_args!("* OK [HIGHESTMODSEQ {}] highest mod-sequence", view.highest_modseq));
    s.line(format_args!("* OK [MAILBOXID (F{})] mailbox id", folder.id));
}

/// UNSELECT (RFC 3691): leaves without expunging.
pub async fn unselect(s: &mut Session) -> Answer {
    s.deselect().await;
    Ok(Reply::Ok("UNSELECT completed".into()))
}

/// CLOSE (RFC 3501 §6.4.2): removes what has `\Deleted`, untold, unless the mailbox was opened with EXAMINE.
pub async fn close(s: &mut Session) -> Answer {
    s.refresh_rights().await?;
    let view = s.view()?;
    // RFC 4314 §4: without the right nothing is removed, and that is no error.
    if !view.read_only && view.rights.has(Rights::EXPUNGE) {
        // What was deleted elsewhere meanwhile is not the client's concern any more.
        let all = s.view()?.uids.clone();
        expunge::remove_deleted(s, all, Expunges::Hold).await?;
    }
    s.deselect().await;
    Ok(Reply::Ok("CLOSE completed".into()))
}
