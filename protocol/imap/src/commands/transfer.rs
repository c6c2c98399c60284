//! COPY and MOVE from one account's mailbox into another's: no command reaches over both, so messages are read here and
//! added there, one by one.

use super::copy::Outcome;
use super::fetch::source::Source;
use crate::config::{APPEND_ROOM_WAIT, APPEND_STEP_KIB, PARSE_INLINE_MAX};
use crate::errors::Failure;
use crate::session::numbers::pieces;
use crate::session::{Mailbox, Session};
use zcluster_api::mailbox::{Folder, Message, NewMessage, Want};
use zcluster_api::{Bytes, Error, Flags, Uid, UidSet};

/// Messages asked for at once.
const PAGE: u32 = 50;

/// Copies `uids` of the selected mailbox into `target`; with `moving` removes them afterwards. What was copied before a
/// failure is taken back when it may be (RFC 3501 §6.4.7), and is neither removed here nor lost in any case.
pub async fn carry_out(
    s: &mut Session,
    tag: &str,
    uids: &UidSet,
    target: (&Mailbox, &Folder),
    moving: bool,
) -> Result<Outcome, Failure> {
    let (source, from) = (s.selected_mailbox()?, s.view()?.folder);
    let mut outcome = Outcome::default();
    for piece in pieces(uids, PAGE.into()) {
        s.progress(tag, outcome.from.len(), uids.len()).await;
        let copied = copy_piece(s, &source, from, piece, target, &mut outcome).await;
        if let Err(error) = copied {
            outcome.error = Some(error);
            break;
        }
    }
    if outcome.error.is_some() && !moving {
        take_back(target, &mut outcome).await;
    }
    if moving && !outcome.from.is_empty() {
        remove(s, &source, from, &mut outcome).await;
    }
    Ok(outcome)
}

async fn copy_piece(
    s: &Session,
    source: &Mailbox,
    from: zcluster_api::FolderId,
    piece: UidSet,
    (target, folder): (&Mailbox, &Folder),
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let want = Want { summary: false, blob: true };
    let (messages, _) = source.messages(from, piece, want, None, PAGE).await?;
    for m in messages {
        let (uid, uid_validity) = copy_one(s, source, &m, target, folder).await?;
        outcome.uid_validity = uid_validity;
        outcome.from.insert(m.uid.0);
        outcome.to.insert(uid.0);
    }
    Ok(())
}

async fn copy_one(
    s: &Session,
    source: &Mailbox,
    m: &Message,
    target: &Mailbox,
    folder: &Folder,
) -> Result<(Uid, u32), Error> {
    let blob = m.blob.as_ref().ok_or_else(|| Error::Internal("message without a body reference".into()))?;
    // A message on its way takes room among those being appended.
    let kib = u32::try_from(m.size.div_ceil(1024)).unwrap_or(u32::MAX).max(APPEND_STEP_KIB);
    let room = s.imap.append_memory.clone().acquire_many_owned(kib);
    let Ok(Ok(_room)) = zcluster_runtime::timeout(APPEND_ROOM_WAIT, room).await else {
        return Err(Error::Unavailable("no room for a message on its way".into()));
    };
    let raw = Source::open(source, blob, 1).await?.collect(0..m.size).await?;
    let (prepared, parsed) = digest(raw).await?;
    let body = target.put(prepared).await?;
    let flags = Flags(m.flags.0 & Flags::IMAP.0);
    let keywords = m.keywords.clone();
    let message =
        NewMessage { folder: folder.id, flags, keywords, internal_ms: m.internal_ms, parsed, body, delivery_key: None };
    target.add(message).await
}

/// Parses anew: a summary is not told with all that a new message needs.
async fn digest(raw: Bytes) -> Result<(zcluster_api::PreparedBody, zcluster_api::mailbox::Parsed), Error> {
    let large = raw.len() > PARSE_INLINE_MAX;
    let work = move || (zcluster_mail::prepare(&raw), zcluster_mail::parsed(&raw));
    if !large {
        return Ok(work());
    }
    let done = zcluster_runtime::spawn_blocking(work).await;
    done.map_err(|e| Error::Internal(format!("parsing a message: {e}")))
}

/// Who may only add messages there cannot take them back: then the copies stay.
async fn take_back((target, folder): (&Mailbox, &Folder), outcome: &mut Outcome) {
    for piece in pieces(&outcome.to, zcluster_api::mailbox::UIDS_PER_COMMAND_MAX) {
        if let Err(error) = target.remove(folder.id, piece).await {
            tracing::debug!(%error, "copies made before a failure stay");
            return;
        }
    }
    (outcome.from, outcome.to) = (UidSet::new(), UidSet::new());
}

async fn remove(s: &mut Session, source: &Mailbox, from: zcluster_api::FolderId, outcome: &mut Outcome) {
    for piece in pieces(&outcome.from, zcluster_api::mailbox::UIDS_PER_COMMAND_MAX) {
        match source.remove(from, piece).await {
            Ok((gone, modseq)) => {
                let seen = s.selected.as_deref_mut().is_some_and(|v| v.passed(modseq, !gone.is_empty()));
                outcome.needs_sync |= !seen;
                if !gone.is_empty() {
                    outcome.modseq = modseq;
                }
                gone.ranges().for_each(|(first, last)| outcome.moved.insert_range(first, last));
            }
            Err(error) => {
                outcome.error.get_or_insert(error);
                return;
            }
        }
    }
}
