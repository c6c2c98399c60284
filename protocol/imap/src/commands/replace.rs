//! REPLACE and UID REPLACE (RFC 8508): a new message in the place of an old one, in one step.

use super::append::{Batch, take_messages};
use super::copy::target;
use crate::codec::command::{Append, Replace};
use crate::codec::sequence::SequenceSet;
use crate::errors::{Answer, Failure, Reply};
use crate::session::named::OTHERS;
use crate::session::{Expunges, Session, passed_over};
use zcluster_api::sharing::Rights;
use zcluster_api::{Error, Uid, UidSet};

pub async fn replace(s: &mut Session, replace: Replace) -> Answer {
    let mut batch = Batch::default();
    let outcome = take_and_replace(s, replace, &mut batch).await;
    if outcome.is_err() {
        batch.drop_uploads();
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
    let old = match admit(s, uid, &SequenceSet::Ranges(vec![(number, number)]), &name).await {
        Ok(old) => old,
        Err(Failure::End(end)) => return Err(end.into()),
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
            target(s, &name).await?;
            Err(Failure::no("[EXPUNGEISSUED] the message to be replaced is gone"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The message that is to go, if it may: that takes what `\Deleted` and EXPUNGE do (RFC 8508 §3.1), and no command
/// reaches over two accounts.
async fn admit(s: &mut Session, uid: bool, set: &SequenceSet, name: &str) -> Result<Uid, Failure> {
    if s.dialect.uid_only && !uid {
        return Err(Failure::bad("[UIDREQUIRED] sequence numbers are not used in this session"));
    }
    s.refresh_rights().await?;
    let view = s.writable_view()?;
    if !view.rights.has(Rights::DELETE.with(Rights::EXPUNGE)) {
        return Err(Failure::no("[NOPERM] rights t and e are needed to replace messages"));
    }
    let owner = view.mailbox.owner();
    let found = s.resolve(uid, set)?;
    let old = found.first().map(Uid);
    let old = old.ok_or_else(|| Failure::no("[NONEXISTENT] there is no message with this UID"))?;
    if name.starts_with(OTHERS) || view_is_others(s) {
        let (there, _) = target(s, name).await?;
        if there.owner() != owner {
            return Err(Failure::no("[CANNOT] a message of another account cannot take this one's place"));
        }
    }
    Ok(old)
}

fn view_is_others(s: &Session) -> bool {
    s.selected.as_deref().is_some_and(|v| v.mailbox.is_others())
}
