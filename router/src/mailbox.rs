//! Mailbox calls: locate the home, carry the work there, set right what the shard finds wrong.

use crate::carry::{Done, Errand, Work};
use crate::deleted;
use crate::inner::Inner;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::directory::{Account, AccountBy, Home, HomeState};
use zcluster_api::mailbox::Traits;
use zcluster_api::queue::queue_of;
use zcluster_api::{
    AccountId, Actor, Body, Call, Epoch, Error, MailboxCommand, MailboxQuery, MailboxReply, PreparedBody, Receipt,
    RequestId, Result,
};
use zcluster_replica::{MailboxRead, proposal};
use zcluster_runtime::{Instant, random_bytes, wall_ms};

/// Times that a call looks its home up again because the shard said that it is elsewhere.
const HOMES_MAX: u32 = 8;
/// Wait before the directory is asked again after a shard that should know the mailbox did not.
const HOME_WAIT: Duration = Duration::from_millis(20);

/// The account whose rights on the mailbox of `account` decide. None: owners and the cluster may do everything. Who else
/// may do what is decided where the grants are, in the mailbox's shard.
pub(crate) fn acting(actor: Actor, account: AccountId) -> Option<AccountId> {
    match actor {
        Actor::Account(id) => (id != account).then_some(id),
        Actor::Admin(_) | Actor::Delivery | Actor::System => None,
    }
}

/// An id that belongs to `seed` and `n` only: a retry of the whole derives the same ones.
pub(crate) fn derived(seed: RequestId, n: u32) -> RequestId {
    let mut h = blake3::Hasher::new();
    h.update(&seed.0);
    h.update(&n.to_le_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&h.finalize().as_bytes()[..16]);
    RequestId(id)
}

/// What a home answered.
enum Answer {
    Receipt(Receipt),
    Reply(MailboxReply),
}

fn read_work(actor: Option<AccountId>, home: &Home, quota: u64, query: MailboxQuery) -> Work {
    let Home { mailbox, group, epoch, .. } = *home;
    Work::Read(Box::new(MailboxRead { group, mailbox, epoch, quota, actor, query }))
}

impl Inner {
    /// See [`zcluster_api::MailboxApi::read`].
    pub async fn mailbox_read(&self, mut call: Call<MailboxQuery>) -> Result<MailboxReply> {
        self.limit_read(&mut call).await?;
        let span = tracing::info_span!("read", account = %call.account, request = %call.request, shard = tracing::field::Empty);
        let at = (call.account, call.request, call.timeout);
        let acting = acting(call.actor, call.account);
        let work = |home: &Home, account: &Account| read_work(acting, home, account.quota(), call.body.clone());
        let done = self.at_home(at, work).instrument(span).await?;
        match done {
            Answer::Reply(reply) => Ok(reply),
            Answer::Receipt(_) => Err(Error::Internal("a write's answer to a read".into())),
        }
    }

    /// See [`zcluster_api::MailboxApi::write`].
    pub async fn mailbox_write(&self, mut call: Call<MailboxCommand>) -> Result<Receipt> {
        if !deleted::is_about_deleted(&call.body) {
            return self.mailbox_write_untold(call).await;
        }
        let (actor, account) = (call.actor, call.account);
        let outcome = match self.limit_write(&mut call).await {
            Ok(()) => self.mailbox_write_untold(call).await,
            Err(e) => Err(e),
        };
        deleted::tell(actor, account, &outcome);
        outcome
    }

    /// The same, for the cluster's own purposes.
    pub async fn mailbox_write_untold(&self, call: Call<MailboxCommand>) -> Result<Receipt> {
        let span = tracing::info_span!("write", account = %call.account, request = %call.request, shard = tracing::field::Empty);
        let Call { actor, account, request, timeout, body: command } = call;
        let acting = acting(actor, account);
        let work = |home: &Home, account: &Account| {
            // What is no account has no traits.
            let traits = queue_of(account.id).is_none().then(|| account.traits());
            write_work(acting, traits, home, account.quota(), request, &command)
        };
        match self.at_home((account, request, timeout), work).instrument(span).await? {
            Answer::Receipt(receipt) => Ok(receipt),
            Answer::Reply(_) => Err(Error::Internal("a read's answer to a write".into())),
        }
    }

    /// Carries work to wherever the account's mailbox lives, and deals with shards that deny it.
    async fn at_home(
        &self,
        (account, request, timeout): (AccountId, RequestId, Duration),
        work: impl Fn(&Home, &Account) -> Work,
    ) -> Result<Answer> {
        let deadline = Instant::now() + timeout;
        let mut found = self.account(account, deadline).await?;
        for _ in 0..HOMES_MAX {
            let home = found.home;
            if home.state != HomeState::Active {
                return Err(Error::NotFound(format!("mailbox of {account}")));
            }
            tracing::Span::current().record("shard", home.group.0);
            let errand = Errand { group: home.group, request, account: Some(account), deadline };
            let answer = match self.carry(errand, &work(&home, &found)).await {
                Ok(Done::Written(_, reply, _)) => proposal::mailbox_reply(&reply).map(Answer::Receipt),
                Ok(Done::Read(reply)) => Ok(Answer::Reply(reply)),
                Err(e) => Err(e),
            };
            let denied = match answer {
                Err(Error::WrongHome { epoch, .. }) => epoch,
                other => return other,
            };
            if denied == Epoch(0) {
                // Homes are given out by the directory alone; the shard learns of a new one by its first use.
                self.create_mailbox(&home, account, deadline).await?;
            } else {
                zcluster_runtime::sleep(HOME_WAIT.min(deadline.remaining())).await;
            }
            found = self.fresh_account(account, deadline).await?;
        }
        Err(Error::Unavailable(format!("mailbox of {account} is on the move")))
    }

    /// Brings a mailbox into being in its home shard. Does nothing when it is there.
    async fn create_mailbox(&self, home: &Home, account: AccountId, deadline: Instant) -> Result<()> {
        let request = RequestId(random_bytes());
        let done = self.write_home(home, request, Some(account), MailboxCommand::CreateMailbox, deadline).await;
        match done {
            // The home moved on meanwhile: the caller looks it up again.
            Ok(_) | Err(Error::WrongHome { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Writes to a home without looking up an account (which may be gone).
    pub async fn write_home(
        &self,
        home: &Home,
        request: RequestId,
        account: Option<AccountId>,
        command: MailboxCommand,
        deadline: Instant,
    ) -> Result<Receipt> {
        let errand = Errand { group: home.group, request, account, deadline };
        match self.carry(errand, &write_work(None, None, home, 0, request, &command)).await? {
            Done::Written(_, reply, _) => proposal::mailbox_reply(&reply),
            Done::Read(_) => Err(Error::Internal("a read's answer to a write".into())),
        }
    }

    /// The account as this node knows it; that there is none is confirmed.
    pub async fn account(&self, account: AccountId, deadline: Instant) -> Result<Arc<Account>> {
        if let Some(queue) = queue_of(account) {
            // The reserved mailbox of a shard: the directory has nothing to say about it.
            return Ok(Arc::new(queue));
        }
        match self.accounts.get(&AccountBy::Id(account)) {
            Err(Error::NotFound(_)) => self.fresh_account(account, deadline).await,
            other => other,
        }
    }

    async fn fresh_account(&self, account: AccountId, deadline: Instant) -> Result<Arc<Account>> {
        if let Some(queue) = queue_of(account) {
            return Ok(Arc::new(queue));
        }
        self.directory_barrier(deadline).await?;
        self.accounts.get(&AccountBy::Id(account))
    }

    /// See [`zcluster_api::MailboxApi::put`].
    pub async fn put(self: &Arc<Self>, call: Call<PreparedBody>) -> Result<Body> {
        if let Some(body) = call.body.inline() {
            return Ok(body);
        }
        if let Some(body) = self.put_on_volume(&call).await {
            return Ok(body);
        }
        let Call { actor, account, request, timeout, body } = call;
        let (deadline, upload) = (Instant::now() + timeout, request);
        let stored = body.stored.len() as u64;
        let chunks = u32::try_from(stored.div_ceil(CHUNK_MAX as u64));
        let chunks = chunks.map_err(|_| Error::TooLarge("body".into()))?;
        let mut rest = body.stored;
        for seq in 0..chunks {
            let bytes: Bytes = rest.split_to(rest.len().min(CHUNK_MAX));
            let command = MailboxCommand::Chunk { upload, seq, bytes };
            // The same upload repeated sends the same ids, so that a retry costs no second copy.
            let request = derived(upload, seq);
            let call = Call { actor, account, request, timeout: deadline.remaining(), body: command };
            self.mailbox_write(call).await?;
        }
        Ok(Body::Uploaded { id: body.id, size: body.size, codec: body.codec, upload, chunks, stored })
    }
}

fn write_work(
    actor: Option<AccountId>,
    traits: Option<Traits>,
    home: &Home,
    quota: u64,
    request: RequestId,
    command: &MailboxCommand,
) -> Work {
    let at = (home.mailbox, home.epoch, quota);
    Work::Write(proposal::mailbox_as(actor, traits, request, wall_ms(), at, command.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_accounts_need_rights() {
        let (a, b) = (AccountId([1; 16]), AccountId([2; 16]));
        assert_eq!(acting(Actor::Account(a), a), None);
        assert_eq!(acting(Actor::Account(b), a), Some(b));
        assert_eq!((acting(Actor::Delivery, a), acting(Actor::Admin(b), a)), (None, None));
        assert_ne!(derived(RequestId([1; 16]), 0), derived(RequestId([1; 16]), 1));
    }
}
