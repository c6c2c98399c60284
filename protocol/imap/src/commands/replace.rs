//! REPLACE and UID REPLACE (RFC 8508): a new message in the place of an old one, in one step.

use super::append::{Batch, take_messages};
use super::copy::target;
use crate::codec::command::{Append, Replace};
use crate::codec::sequence::SequenceSet;
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Expunges, Session, passed_over};
use zcluster_api::{Error, Uid, UidSet};

pub async fn replace(s: &mut Session, replace: Replace) -> Answer {
    let mut batch = Batch::default();
    let outcome = take_and_replace(s, replace, &mut batch).await;
    if outcome.is_err() {
        batch.drop_uploads(s);
    }
    let (old, uid, uid_validity) = outcome?;
    // RFC 8508 §3.3: the client learns of the new message before the old one goes.
    s.line(format_args!("* OK [APPENDUID {uid_validity} {uid}] replacement message is there"));
    let synced = s.sync(Expunges::Hold, &[]).await;
    passed_over(synced)?;
    let view = s.view_mut()?;
    view.mark_gone(&UidSet::range(old.0, old.0));
    if let Some(view) = s.selected.as_deref_mut() {
        view.tell_gone(&mut s.out);
    }
    Ok(Reply::Ok("REPLACE completed".into()))
}

async fn take_and_replace(s: &mut Session, replace: Replace, batch: &mut Batch) -> Result<(Uid, Uid, u32), Failure> {
    let Replace { uid, number, append: Append { mailbox: name, rest } } = replace;
    let old = match old_message(s, uid, &SequenceSet::Ranges(vec![(number, number)])) {
        Ok(old) => old,
        Err(failure) => {
            super::append::Intake::new(rest).pass_over(s).await?;
            return Err(failure);
        }
    };
    let mailbox = take_messages(s, &name, rest, false, batch).await?;
    let message = batch.take_single().ok_or_else(|| Error::Internal("no message".into()))?;
    let folder = s.view()?.folder;
    match mailbox.replace(folder, old, message).await {
        Ok((new, uid_validity)) => Ok((old, new, uid_validity)),
        // One of three things is gone: the target, or the old message with or without its mailbox.
        Err(Error::NotFound(_)) => {
            target(&mailbox, &name).await?;
            Err(Failure::no("[EXPUNGEISSUED] the message to be replaced is gone"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The message that is to go, if it may.
fn old_message(s: &Session, uid: bool, set: &SequenceSet) -> Result<Uid, Failure> {
    s.mailbox()?;
    s.writable_view()?;
    let found = s.resolve(uid, set)?;
    found.first().map(Uid).ok_or_else(|| Failure::no("[NONEXISTENT] there is no message with this UID"))
}
