//! APPEND (RFC 3501 §6.3.11) of one or several messages (RFC 3502), of literals and of parts (CATENATE, RFC 4469), with
//! APPENDUID (RFC 4315 §3), APPENDLIMIT (RFC 7889) and literal8 (RFC 3516 §4.4).
//!
//! Messages are read, compressed and, if large, uploaded one after the other; what they have become is added by one
//! command, all or none.

mod batch;
mod catenate;
mod intake;

use super::copy::target;
use crate::codec::command::Append;
use crate::codec::parse_append::{Options, Piece};
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Expunges, Mailbox, Session, passed_over};
pub use batch::Batch;
use bytes::BytesMut;
pub use intake::Intake;
use zcluster_api::{Bytes, Error};

pub async fn append(s: &mut Session, append: Append) -> Answer {
    let mut batch = Batch::default();
    let outcome = take_and_add(s, append, &mut batch).await;
    if outcome.is_err() {
        batch.drop_uploads();
    }
    let (uid_validity, uids) = outcome?;
    if s.selected.is_some() {
        let synced = s.sync(Expunges::Tell, &[]).await;
        passed_over(synced)?;
    }
    Ok(Reply::Ok(format!("[APPENDUID {uid_validity} {uids}] APPEND completed").into()))
}

async fn take_and_add(s: &mut Session, append: Append, batch: &mut Batch) -> Result<(u32, String), Failure> {
    let Append { mailbox: name, rest } = append;
    let mailbox = take_messages(s, &name, rest, true, batch).await?;
    let added = match batch.take_single() {
        Some(message) => mailbox.add(message).await.map(|(uid, validity)| (validity, uid.to_string())),
        None => mailbox.add_many(batch.take()).await.map(|(uids, validity)| (validity, uids.to_string())),
    };
    match added {
        // Deleted since it was looked up.
        Err(Error::NotFound(_)) => Err(Failure::no("[TRYCREATE] no such mailbox")),
        other => Ok(other?),
    }
}

/// Reads a command's messages, one or (`several`) more, into `batch`; a command that is refused is read to its end
/// without them. Returns the mailbox that they are made ready for.
pub async fn take_messages(
    s: &mut Session,
    name: &str,
    rest: Vec<u8>,
    several: bool,
    batch: &mut Batch,
) -> Result<Mailbox, Failure> {
    let mut intake = Intake::new(rest);
    let idle = s.config().idle_timeout;
    let outcome = intake_all(s, name, &mut intake, several, batch).await;
    let outcome = match outcome {
        Err(failure @ (Failure::Reply(_) | Failure::Api(_))) => {
            intake.pass_over(s).await?;
            Err(failure)
        }
        other => other,
    };
    if s.user.is_some() {
        s.connection.set_idle_timeout(idle);
    }
    outcome
}

async fn intake_all(
    s: &mut Session,
    name: &str,
    intake: &mut Intake,
    several: bool,
    batch: &mut Batch,
) -> Result<Mailbox, Failure> {
    // All that can be refused is refused before a message is on its way.
    s.mailbox()?;
    let mut place = None;
    loop {
        let piece = intake.next(s).await?;
        let (mailbox, folder) = match place {
            Some(place) => place,
            None if batch.is_empty() => {
                check_first(s, &piece)?;
                target(s, name).await?
            }
            None => return Err(Error::Internal("a message without a mailbox".into()).into()),
        };
        let (options, raw, binary) = match piece {
            Piece::End => return Ok(mailbox),
            _ if !several && !batch.is_empty() => return Err(Failure::bad("one message takes another's place")),
            Piece::Message(options, literal) => {
                check_size(s, literal.size)?;
                // RFC 3502 §6.3.11: an empty literal abandons the command.
                if literal.size == 0 {
                    return Err(Failure::no("[CANNOT] a message of no bytes"));
                }
                let mut raw = BytesMut::new();
                intake.read(s, literal, &mut raw).await?;
                (options, raw.freeze(), literal.binary)
            }
            Piece::Catenate(options) => {
                let (raw, binary) = catenated(s, intake).await?;
                (options, raw, binary)
            }
            Piece::Text(_) | Piece::Url(_) | Piece::Close => {
                return Err(Error::Internal("a part outside of a message".into()).into());
            }
        };
        batch.add(&mailbox, &folder, options, raw, binary).await?;
        intake.keep(batch.carried());
        place = Some((mailbox, folder));
    }
}

/// Refuses what is too large before it is looked where it should go.
fn check_first(s: &Session, piece: &Piece) -> Result<(), Failure> {
    match piece {
        Piece::Message(_, literal) => check_size(s, literal.size),
        _ => Ok(()),
    }
}

fn check_size(s: &Session, size: u64) -> Result<(), Failure> {
    if size > s.config().append_bytes_max {
        return Err(Failure::no("[TOOBIG] message is larger than APPENDLIMIT"));
    }
    Ok(())
}

/// Puts a message together; says also whether it may be binary.
async fn catenated(s: &mut Session, intake: &mut Intake) -> Result<(Bytes, bool), Failure> {
    let (mut raw, mut binary, mut parts) = (BytesMut::new(), false, 0);
    loop {
        parts += 1;
        if parts > crate::config::CATENATE_PARTS_MAX {
            return Err(Failure::no("[LIMIT] too many parts in one message"));
        }
        match intake.next(s).await? {
            Piece::Text(literal) => {
                check_size(s, literal.size.saturating_add(raw.len() as u64))?;
                intake.read(s, literal, &mut raw).await?;
                binary |= literal.binary;
            }
            Piece::Url(url) => catenate::append_url(s, intake, &url, &mut raw).await?,
            Piece::Close => break,
            Piece::Message(..) | Piece::Catenate(_) | Piece::End => {
                return Err(Error::Internal("a message inside of a message".into()).into());
            }
        }
    }
    if raw.is_empty() {
        return Err(Failure::no("[CANNOT] a message of no bytes"));
    }
    Ok((raw.freeze(), binary))
}

/// What a message is stored with beside its bytes.
pub fn internal_ms(options: &Options) -> i64 {
    options.internal_ms.unwrap_or_else(|| i64::try_from(zcluster_runtime::wall_ms()).unwrap_or(i64::MAX))
}
