//! EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1).

use crate::codec::sequence::SequenceSet;
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Expunges, Session, numbers::pieces, passed_over};
use zcluster_api::mailbox::UIDS_PER_COMMAND_MAX;
use zcluster_api::sharing::Rights;
use zcluster_api::{Flags, ModSeq, SearchExpr, UidSet};

pub async fn expunge(s: &mut Session, tag: &str, set: Option<&SequenceSet>) -> Answer {
    s.refresh_rights().await?;
    if !s.writable_view()?.rights.has(Rights::EXPUNGE) {
        return Err(Failure::no("[NOPERM] right e is needed"));
    }
    let candidates = match set {
        Some(set) => s.resolve(true, set)?,
        None => s.view()?.uids.clone(),
    };
    let removed = remove_deleted(s, tag, candidates, Expunges::Tell).await?;
    let synced = s.sync(Expunges::Tell, &[]).await;
    let all_told = synced.is_ok();
    passed_over(synced)?;
    s.view_mut()?;
    tell_gone(s);
    Ok(Reply::Ok(match removed.filter(|_| s.condstore && all_told) {
        // All that happened up to then has been told (RFC 7162 §3.2.7).
        Some(modseq) => format!("[HIGHESTMODSEQ {modseq}] EXPUNGE completed").into(),
        None => "EXPUNGE completed".into(),
    }))
}

fn tell_gone(s: &mut Session) {
    if let Some(view) = s.selected.as_deref_mut() {
        view.tell_gone(&mut s.out);
    }
}

/// Removes those of `candidates` that have `\Deleted`; the mod-sequence that gave the folder, if there were any. They
/// are looked up first, so that only they go through the log.
pub async fn remove_deleted(
    s: &mut Session,
    tag: &str,
    candidates: UidSet,
    expunges: Expunges,
) -> Result<Option<ModSeq>, Failure> {
    let mut removed = None;
    if candidates.is_empty() {
        return Ok(removed);
    }
    let (mailbox, folder) = (s.selected_mailbox()?, s.view()?.folder);
    let (deleted, _) = mailbox.search(folder, Some(candidates.clone()), SearchExpr::Flags(Flags::DELETED)).await?;
    let (deleted, mut done) = (deleted.intersect(&candidates), 0);
    for piece in pieces(&deleted, UIDS_PER_COMMAND_MAX) {
        s.progress(tag, done, deleted.len()).await;
        done += piece.len();
        let (gone, modseq) = mailbox.expunge(folder, piece).await?;
        let view = s.view_mut()?;
        view.mark_gone(&gone);
        view.passed(modseq, !gone.is_empty());
        if !gone.is_empty() {
            view.highest_modseq = view.highest_modseq.max(modseq);
            removed = Some(modseq);
        }
        if expunges == Expunges::Tell {
            tell_gone(s);
            s.spill_if_full().await?;
        }
    }
    Ok(removed)
}
