//! COPY (RFC 3501 §6.4.7) and MOVE (RFC 6851) with COPYUID (RFC 4315 §3).

use crate::codec::sequence::SequenceSet;
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Expunges, Mailbox, Session, numbers::pieces, passed_over, sharing::rights};
use zcluster_api::mailbox::{Folder, UIDS_PER_COMMAND_MAX};
use zcluster_api::sharing::Rights;
use zcluster_api::{Error, ModSeq, UidSet};

pub async fn copy(s: &mut Session, tag: &str, (uid, set): (bool, &SequenceSet), name: &str, moving: bool) -> Answer {
    if moving {
        s.refresh_rights().await?;
        s.writable_view()?;
    }
    let uids = s.resolve(uid, set)?;
    let mailbox = s.selected_mailbox()?;
    let (there, target) = target(s, name).await?;
    let done = if moving { "MOVE completed" } else { "COPY completed" };
    let taking = Rights::DELETE.with(Rights::EXPUNGE);
    if moving && !s.view()?.rights.has(taking) {
        return Err(Failure::no("[NOPERM] rights t and e are needed to move messages away"));
    }
    let outcome = if there.owner() == mailbox.owner() {
        carry_out(s, tag, &mailbox, &uids, &target, moving).await
    } else {
        super::transfer::carry_out(s, tag, &uids, (&there, &target), moving).await?
    };
    // What has been copied is told even if more could not be.
    let code = outcome.copy_uid();
    if moving && let Some(code) = &code {
        // The client must learn the new UIDs before the old ones go (RFC 6851 §4.3).
        s.line(format_args!("* OK {code} moved"));
    }
    if let Some(view) = s.selected.as_deref_mut() {
        view.mark_gone(&outcome.moved);
        view.tell_gone(&mut s.out);
    }
    let mut all_told = true;
    if outcome.needs_sync {
        let synced = s.sync(Expunges::Tell, &[]).await;
        all_told = synced.is_ok();
        passed_over(synced)?;
    }
    if let Some(error) = outcome.error {
        return Err(error.into());
    }
    Ok(Reply::Ok(match code.filter(|_| !moving) {
        Some(code) => format!("{code} {done}").into(),
        // What went is in the client's view, and all before it (RFC 7162 §3.2.7 for what removes messages).
        None if moving && s.condstore && all_told && !outcome.from.is_empty() => {
            format!("[HIGHESTMODSEQ {}] {done}", outcome.modseq).into()
        }
        None => done.into(),
    }))
}

/// The mailbox to put messages into, and whose it is: TRYCREATE when it is not there (RFC 3501 §6.3.11, §6.4.7).
pub async fn target(s: &Session, name: &str) -> Result<(Mailbox, Folder), Failure> {
    let named = s.named(name).await?;
    match named.folder().await {
        Err(Error::NotFound(_)) => Err(Failure::no("[TRYCREATE] no such mailbox")),
        Ok(folder) if !rights(&folder).has(Rights::INSERT) => {
            let seen = rights(&folder).has(Rights::LOOKUP);
            Err(Failure::no(if seen { "[NOPERM] right i is needed" } else { "[TRYCREATE] no such mailbox" }))
        }
        other => Ok((named.mailbox, other?)),
    }
}

/// What was copied.
#[derive(Default)]
pub struct Outcome {
    pub uid_validity: u32,
    pub from: UidSet,
    pub to: UidSet,
    /// Gone from the selected mailbox.
    pub moved: UidSet,
    /// The last piece's.
    pub modseq: ModSeq,
    pub needs_sync: bool,
    pub error: Option<Error>,
}

impl Outcome {
    /// `[COPYUID validity source-set target-set]`; nothing when nothing was copied (RFC 4315 §3). Targets rise with
    /// their sources, so that both sets are in the same order.
    fn copy_uid(&self) -> Option<String> {
        let any = !self.from.is_empty();
        any.then(|| format!("[COPYUID {} {} {}]", self.uid_validity, self.from, self.to))
    }
}

async fn carry_out(
    s: &mut Session,
    tag: &str,
    mailbox: &Mailbox,
    uids: &UidSet,
    target: &Folder,
    moving: bool,
) -> Outcome {
    let mut outcome = Outcome::default();
    for piece in pieces(uids, UIDS_PER_COMMAND_MAX) {
        s.progress(tag, outcome.from.len(), uids.len()).await;
        let Some(view) = s.selected.as_deref_mut() else { return outcome };
        let copied = match mailbox.copy(view.folder, piece, target.id, moving).await {
            Ok(copied) => copied,
            Err(error) => {
                outcome.error = Some(error);
                break;
            }
        };
        // A copy into the selected mailbox is news to its view.
        let seen = target.id != view.folder && view.passed(copied.modseq, !copied.pairs.is_empty());
        outcome.needs_sync |= !seen;
        outcome.uid_validity = copied.uid_validity;
        if !copied.pairs.is_empty() {
            outcome.modseq = copied.modseq;
        }
        for (from, to) in copied.pairs {
            outcome.from.insert(from.0);
            outcome.to.insert(to.0);
        }
    }
    if moving {
        outcome.moved = outcome.from.clone();
    }
    outcome
}
