//! Users' moves into Junk and out of it as lessons for the spam filter, seen where every front-end passes: a
//! [`MailboxApi`] around another.

use crate::trainer::{Class, Lesson, Trainer};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use zcluster_api::mailbox::{Want, folders};
use zcluster_api::{
    AccountId, Actor, BlobRef, Body, BodyStream, Call, FolderId, MailboxApi, MailboxCommand, MailboxQuery,
    MailboxReply, ModSeq, PreparedBody, Receipt, RequestId, Result, Uid, UidSet,
};
use zcluster_runtime::{random_bytes, spawn};

/// Moves whose messages are fetched at a time; more teach nothing.
const FETCHING_MAX: usize = 4;
/// Messages of one move that are learned.
const MESSAGES_MAX: usize = 200;
/// How long fetching one may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Mailboxes whose users teach.
pub struct Taught {
    inner: Arc<dyn MailboxApi>,
    trainer: Arc<Trainer>,
    turns: Arc<Semaphore>,
}

impl Taught {
    /// Passes everything on to `inner`, and to `trainer` what users say about spam.
    pub fn new(inner: Arc<dyn MailboxApi>, trainer: Arc<Trainer>) -> Self {
        Taught { inner, trainer, turns: Arc::new(Semaphore::new(FETCHING_MAX)) }
    }

    fn learn(&self, account: AccountId, folder: FolderId, class: Class, pairs: &[(Uid, Uid)]) {
        let Ok(turn) = self.turns.clone().try_acquire_owned() else { return };
        let mut uids = UidSet::new();
        pairs.iter().take(MESSAGES_MAX).for_each(|(_, to)| uids.insert(to.0));
        let (inner, trainer) = (self.inner.clone(), self.trainer.clone());
        spawn(async move {
            if let Err(error) = fetch(inner.as_ref(), &trainer, account, folder, class, uids).await {
                tracing::debug!(%error, %account, "a lesson was not fetched");
            }
            drop(turn);
        });
    }
}

/// What a move or copy says of its messages. Who throws spam away does not call it good.
fn class(from: FolderId, to: FolderId) -> Option<Class> {
    match (from, to) {
        (from, to) if from == to => None,
        (_, folders::JUNK) => Some(Class::Spam),
        (folders::JUNK, to) if to != folders::TRASH => Some(Class::Ham),
        _ => None,
    }
}

fn call<T>(account: AccountId, body: T) -> Call<T> {
    Call { actor: Actor::System, account, request: RequestId(random_bytes()), timeout: PATIENCE, body }
}

async fn fetch(
    mailboxes: &dyn MailboxApi,
    trainer: &Trainer,
    account: AccountId,
    folder: FolderId,
    class: Class,
    uids: UidSet,
) -> Result<()> {
    if !trainer.teaches(class).await {
        return Ok(());
    }
    let want = Want { summary: false, blob: true };
    let query = MailboxQuery::Messages { folder, uids, want, changed_since: None, limit: MESSAGES_MAX as u32 };
    let MailboxReply::Messages { messages, .. } = mailboxes.read(call(account, query)).await? else { return Ok(()) };
    for blob in messages.into_iter().filter_map(|message| message.blob) {
        let size = blob.size;
        if !usize::try_from(size).is_ok_and(|size| trainer.wants(size)) {
            continue;
        }
        let mut stream = mailboxes.get(call(account, blob), 0..size).await?;
        let mut raw = Vec::new();
        while let Some(piece) = stream.next().await {
            raw.extend_from_slice(&piece?);
        }
        trainer.learn(Lesson { class, account, raw: raw.into() });
    }
    Ok(())
}

impl MailboxApi for Taught {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        self.inner.read(call)
    }

    fn write(&self, call: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        let lesson = match (&call.body, call.actor) {
            (MailboxCommand::Move { from, to, .. } | MailboxCommand::Copy { from, to, .. }, Actor::Account(_)) => {
                class(*from, *to).map(|class| (call.account, *to, class))
            }
            _ => None,
        };
        let Some((account, folder, class)) = lesson else { return self.inner.write(call) };
        Box::pin(async move {
            let receipt = self.inner.write(call).await?;
            if let Receipt::Copied { pairs, .. } = &receipt {
                self.learn(account, folder, class, pairs);
            }
            Ok(receipt)
        })
    }

    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        self.inner.put(call)
    }

    fn get(&self, call: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        self.inner.get(call, range)
    }

    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
        self.inner.watch(account, since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_into_and_out_of_junk_are_lessons() {
        use folders::{INBOX, JUNK, TRASH};
        assert_eq!(class(INBOX, JUNK), Some(Class::Spam));
        assert_eq!(class(TRASH, JUNK), Some(Class::Spam));
        assert_eq!(class(JUNK, INBOX), Some(Class::Ham));
        for (from, to) in [(JUNK, TRASH), (JUNK, JUNK), (INBOX, TRASH)] {
            assert_eq!(class(from, to), None);
        }
    }
}
