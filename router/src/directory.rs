//! Directory calls: reads from this node's replica, writes at the directory's leader.

use crate::carry::{BARRIER_MAX, Done, Errand, Work, other_leader};
use crate::deleted;
use crate::inner::Inner;
use std::time::Duration;
use zcluster_api::directory::{Account, AccountBy};
use zcluster_api::{
    AccountId, Actor, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness, GroupId, RequestId, Result,
};
use zcluster_raft::ReadError;
use zcluster_replica::proposal;
use zcluster_runtime::{Instant, jitter, select, sleep, wall_ms};

/// How long a directory write, or a read that must be fresh, may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a read waits for freshness it can do without.
const RECENT_TIMEOUT: Duration = Duration::from_secs(2);

/// Who may change what: accounts may change nothing by themselves (a front-end acts as the system for them).
fn allowed(actor: Actor, command: &DirectoryCommand) -> Result<()> {
    match actor {
        Actor::Admin(_) | Actor::System => Ok(()),
        Actor::Account(_) | Actor::Delivery => {
            let name = format!("{command:?}");
            let name = name.split([' ', '(', '{']).next().unwrap_or_default().to_string();
            Err(Error::Denied(format!("directory command {name}")))
        }
    }
}

impl Inner {
    /// See [`zcluster_api::DirectoryApi::read`].
    pub async fn directory_read(&self, query: DirectoryQuery, freshness: Freshness) -> Result<DirectoryReply> {
        match freshness {
            Freshness::Local => match self.directory_now(&query) {
                Err(Error::NotFound(_)) => {}
                other => return other,
            },
            Freshness::AsIs => return self.directory_now(&query),
            Freshness::Linearizable => {}
            Freshness::Recent => {
                if let Err(error) = self.directory_barrier(Instant::now() + RECENT_TIMEOUT).await {
                    tracing::warn!(%error, "directory answer from the local replica may be out of date");
                }
                return self.directory_now(&query);
            }
        }
        self.directory_barrier(Instant::now() + TIMEOUT).await?;
        self.directory_now(&query)
    }

    fn directory_now(&self, query: &DirectoryQuery) -> Result<DirectoryReply> {
        match query {
            DirectoryQuery::Account(by) => {
                let by = match by {
                    // One cache entry per address, however it is spelled.
                    AccountBy::Address(a) => AccountBy::Address(a.to_lowercase()),
                    AccountBy::CatchAll(domain) => AccountBy::CatchAll(domain.to_lowercase()),
                    AccountBy::Id(id) => AccountBy::Id(*id),
                };
                Ok(DirectoryReply::Account(Box::new(self.accounts.get(&by)?.as_ref().clone())))
            }
            DirectoryQuery::Cluster => self.accounts.cluster(),
            other => self.replicas.read_directory(other),
        }
    }

    /// After this, the local directory replica holds everything acknowledged before the call.
    ///
    /// # Errors
    /// `Unavailable` when no leader could be asked in time.
    pub async fn directory_barrier(&self, deadline: Instant) -> Result<()> {
        let mut wait = self.config.backoff_min;
        loop {
            let unavailable = || Error::Unavailable("the directory has no leader in reach".into());
            let group = self.group(GroupId::DIRECTORY).ok_or_else(unavailable)?;
            let outcome = group.read_barrier_anywhere(deadline.remaining().min(BARRIER_MAX)).await;
            match outcome {
                Ok(_) => return Ok(()),
                Err(ReadError::NotLeader { .. } | ReadError::Unavailable) => {}
            }
            if deadline.remaining().is_zero() || self.is_stopped() {
                return Err(unavailable());
            }
            let pause = jitter(wait).min(deadline.remaining());
            select(sleep(pause), other_leader(group, None)).await;
            wait = wait.saturating_mul(2).min(self.config.backoff_max);
        }
    }

    /// See [`zcluster_api::DirectoryApi::write`].
    pub async fn directory_write(
        &self,
        actor: Actor,
        request: RequestId,
        command: DirectoryCommand,
    ) -> Result<DirectoryReply> {
        let holds = deleted::holds(&command);
        let outcome = self.directory_write_untold(actor, request, command).await;
        deleted::tell_holds(actor, holds, &outcome);
        outcome
    }

    async fn directory_write_untold(
        &self,
        actor: Actor,
        request: RequestId,
        mut command: DirectoryCommand,
    ) -> Result<DirectoryReply> {
        allowed(actor, &command)?;
        // The caller leaves the choice of a shard to us. A retry may choose anew: the first one's reply is kept.
        let several = match &mut command {
            DirectoryCommand::Batch(commands) => commands.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        let homeless = several.iter_mut().filter_map(|one| match one {
            DirectoryCommand::CreateAccount { group, .. } if *group == GroupId::DIRECTORY => Some(group),
            _ => None,
        });
        let homeless: Vec<&mut GroupId> = homeless.collect();
        if !homeless.is_empty() {
            let chosen = self.choose_shards(homeless.len())?;
            homeless.into_iter().zip(chosen).for_each(|(group, chosen)| *group = chosen);
        }
        let account = account_of(&command);
        let deadline = Instant::now() + TIMEOUT;
        let errand = Errand { group: GroupId::DIRECTORY, request, account, deadline };
        let work = Work::Write(proposal::directory(request, wall_ms(), command));
        let Done::Written(applied, reply, here) = self.carry(errand, &work).await? else {
            return Err(Error::Internal("a read's answer to a write".into()));
        };
        if !here {
            self.await_directory(applied, deadline).await?;
        }
        match proposal::directory_reply(&reply)? {
            // A reply in the log is the account alone; the caller gets what a read would give him.
            DirectoryReply::Account(account) => {
                let now = self.accounts.get(&AccountBy::Id(account.id));
                let inherited = now.ok().map(|a| (a.cos.clone(), a.domain.clone())).unwrap_or_default();
                Ok(DirectoryReply::Account(Box::new(Account { cos: inherited.0, domain: inherited.1, ..*account })))
            }
            other => Ok(other),
        }
    }

    /// Waits until this node has applied the directory's log up to `index`.
    async fn await_directory(&self, index: u64, deadline: Instant) -> Result<()> {
        let group = self.group(GroupId::DIRECTORY);
        let group = group.ok_or_else(|| Error::Unavailable("the directory does not run here".into()))?;
        let outcome = group.wait_applied(index, deadline.remaining()).await;
        outcome.map_err(|_| Error::Unavailable("written, but this node has not caught up yet".into()))
    }
}

/// The account a command speaks of, for the log.
fn account_of(command: &DirectoryCommand) -> Option<AccountId> {
    match command {
        DirectoryCommand::CreateAccount { id, .. }
        | DirectoryCommand::ModifyAccount { id, .. }
        | DirectoryCommand::DeleteAccount(id)
        | DirectoryCommand::RenameAccount { id, .. }
        | DirectoryCommand::AddAlias { id, .. }
        | DirectoryCommand::RemoveAlias { id, .. }
        | DirectoryCommand::CreateEntry { id, .. }
        | DirectoryCommand::ModifyEntry { id, .. }
        | DirectoryCommand::DeleteEntry(id)
        | DirectoryCommand::RenameEntry { id, .. }
        | DirectoryCommand::SetShares { owner: id, .. } => Some(*id),
        _ => None,
    }
}
