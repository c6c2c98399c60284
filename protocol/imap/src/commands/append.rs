//! APPEND (RFC 3501 §6.3.11) with APPENDUID (RFC 4315 §3), APPENDLIMIT (RFC 7889) and literal8 (RFC 3516 §4.4).

use super::copy::target;
use crate::codec::command::Append;
use crate::config::{APPEND_ROOM_WAIT, APPEND_STEP_KIB, LINE_BYTES_MAX, PARSE_INLINE_MAX, UPLOAD_SILENCE_MAX};
use crate::errors::{Answer, Failure, Reply};
use crate::session::selected::stored_bits;
use crate::session::{Expunges, Mailbox, Session, passed_over};
use bytes::BytesMut;
use tokio::sync::OwnedSemaphorePermit;
use zcluster_api::mailbox::{Folder, NewMessage, Parsed};
use zcluster_api::{Bytes, Error, PreparedBody};

pub async fn append(s: &mut Session, append: Append) -> Answer {
    let literal = append.literal;
    // All that can be refused is refused before the message is on its way.
    let (mailbox, folder) = match admit(s, &append).await {
        Ok(admitted) => admitted,
        Err(failure) => {
            s.skip_message(literal).await?;
            return Err(failure);
        }
    };
    if literal.sync {
        s.connection.push(b"+ go ahead\r\n");
    }
    let mut room = None;
    let raw = read_message(s, literal.size, &mut room).await?;
    check_end(s, if append.utf8 { b")" } else { b"" }).await?;
    if raw.contains(&0) {
        return Err(Failure::no("[UNKNOWN-CTE] a message with NUL bytes cannot be kept"));
    }
    let (uid, uid_validity) = add(&mailbox, &folder, append, raw).await?;
    if s.selected.is_some() {
        let synced = s.sync(Expunges::Tell, &[]).await;
        passed_over(synced)?;
    }
    Ok(Reply::Ok(format!("[APPENDUID {uid_validity} {uid}] APPEND completed").into()))
}

async fn admit(s: &Session, append: &Append) -> Result<(Mailbox, Folder), Failure> {
    s.mailbox()?;
    if append.literal.size > s.config().append_bytes_max {
        return Err(Failure::no("[TOOBIG] message is larger than APPENDLIMIT"));
    }
    // RFC 3502 §6.3.11: an empty literal abandons the command.
    if append.literal.size == 0 {
        return Err(Failure::no("[CANNOT] a message of no bytes"));
    }
    target(s, &append.mailbox).await
}

/// Reads a message. Memory, and `room` among what all sessions may hold, are taken as bytes come: a client that
/// announces much and sends little holds little. When there is no room the rest is thrown away.
async fn read_message(s: &mut Session, size: u64, room: &mut Option<OwnedSemaphorePermit>) -> Result<Bytes, Failure> {
    let idle = s.config().idle_timeout;
    s.connection.set_idle_timeout(idle.min(UPLOAD_SILENCE_MAX));
    let mut raw = BytesMut::new();
    while (raw.len() as u64) < size {
        if raw.len() as u64 >= held(room.as_ref()) && !take_room(s, room).await {
            let left = size - raw.len() as u64;
            (raw, *room) = (BytesMut::new(), None);
            drop(raw);
            s.connection.discard(left).await?;
            s.skip_rest().await?;
            return Err(Failure::no("[LIMIT] too many messages are being appended at once, try again later"));
        }
        let wanted = size.min(held(room.as_ref())) - raw.len() as u64;
        let piece = s.connection.read_chunk(usize::try_from(wanted).unwrap_or(usize::MAX)).await?;
        raw.extend_from_slice(&piece);
    }
    s.connection.set_idle_timeout(idle);
    Ok(raw.freeze())
}

/// Bytes that `room` allows.
fn held(room: Option<&OwnedSemaphorePermit>) -> u64 {
    room.map_or(0, |r| r.num_permits() as u64 * 1024)
}

/// Takes room for some more bytes, waiting for it a while.
async fn take_room(s: &Session, room: &mut Option<OwnedSemaphorePermit>) -> bool {
    let more = s.imap.append_memory.clone().acquire_many_owned(APPEND_STEP_KIB);
    let Ok(Ok(more)) = zcluster_runtime::timeout(APPEND_ROOM_WAIT, more).await else { return false };
    match room {
        Some(room) => room.merge(more),
        None => *room = Some(more),
    }
    true
}

/// Behind the message (and, with UTF8, a parenthesis) the command ends. More messages (RFC 3502) are not offered.
async fn check_end(s: &mut Session, end: &[u8]) -> Result<(), Failure> {
    let line = s.connection.read_line(LINE_BYTES_MAX).await?.bytes;
    if line == end {
        return Ok(());
    }
    if let Some(more) = crate::codec::fragment::literal_at_end(&line) {
        s.skip_message(more).await?;
    }
    Err(Failure::bad("one message at a time can be appended"))
}

async fn add(
    mailbox: &Mailbox,
    folder: &Folder,
    append: Append,
    raw: Bytes,
) -> Result<(zcluster_api::Uid, u32), Failure> {
    let (prepared, parsed) = digest(raw).await?;
    let body = mailbox.put(prepared).await?;
    let internal_ms =
        append.internal_ms.unwrap_or_else(|| i64::try_from(zcluster_runtime::wall_ms()).unwrap_or(i64::MAX));
    let flags = stored_bits(&append.flags);
    let keywords = append.flags.keywords;
    let message = NewMessage { folder: folder.id, flags, keywords, internal_ms, parsed, body, delivery_key: None };
    match mailbox.add(message).await {
        // Deleted since it was looked up.
        Err(Error::NotFound(_)) => Err(Failure::no("[TRYCREATE] no such mailbox")),
        other => Ok(other?),
    }
}

/// Hashes, compresses and parses, away from the event loop when it takes long.
async fn digest(raw: Bytes) -> Result<(PreparedBody, Parsed), Failure> {
    let large = raw.len() > PARSE_INLINE_MAX;
    let work = move || (zcluster_mail::prepare(&raw), zcluster_mail::parsed(&raw));
    if !large {
        return Ok(work());
    }
    let done = zcluster_runtime::spawn_blocking(work).await;
    Ok(done.map_err(|e| Error::Internal(format!("parsing a message: {e}")))?)
}
