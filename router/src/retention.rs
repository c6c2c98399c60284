//! What accounts keep for a time only: deleted messages that can be brought back (`zimbraMailDumpsterLifetime`), and what
//! lies in Trash and Junk (`zimbraMailTrashLifetime`, `zimbraMailSpamLifetime`, or what the user chose, if that is less).
//!
//! Each shard's leader goes through its mailboxes now and then and looks at the oldest that each has: only where that is
//! too old a command follows, in small steps. What one round does not get done the next one does, whoever leads then.

use crate::inner::{Inner, acts_as_leader, leads};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Account, AccountBy};
use zcluster_api::mailbox::PURGED_PER_COMMAND_MAX;
use zcluster_api::{AccountId, Actor, Call, Error, FolderId, GroupId, MailboxCommand, Receipt, RequestId, Result};
use zcluster_replica::Retained;
use zcluster_runtime::{Instant, jitter, probe, random_bytes, select, sleep, spawn_blocking, wall_ms};

/// Mailboxes looked at in one go.
const MAILBOXES_PER_PAGE: usize = 1_000;
/// Commands for one thing of a mailbox in one round.
const STEPS_PER_ROUND: usize = 40;
/// One step may take this long.
const STEP_MAX: Duration = Duration::from_secs(30);
/// `zimbraMailDumpsterLifetime` and `zimbraDumpsterUserVisibleAge` where nobody set them.
pub(crate) const DUMPSTER_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// So long ago, Unix milliseconds.
pub(crate) fn ago(now_ms: u64, span: Duration) -> u64 {
    now_ms.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// The shorter one of what the administrator sets and what the user chose; `None`: it is kept for good.
fn shorter(account: &Account, set: &str, chosen: &str) -> Option<Duration> {
    let spans = [set, chosen].map(|name| account.span(name, Duration::ZERO));
    spans.into_iter().flatten().min()
}

/// What is to be done about what a mailbox has, as its account is now.
fn due(account: &Account, has: &Retained, now_ms: u64) -> Vec<MailboxCommand> {
    let most = PURGED_PER_COMMAND_MAX;
    let mut commands = Vec::new();
    let mut folders = |folders: &[(FolderId, u64)], span: Option<Duration>| {
        let Some(before_ms) = span.map(|span| ago(now_ms, span)) else { return };
        let old = folders.iter().filter(|(_, first_ms)| *first_ms < before_ms);
        commands.extend(old.map(|(folder, _)| MailboxCommand::PurgeFolder { folder: *folder, before_ms, most }));
    };
    folders(&has.trash, shorter(account, "zimbraMailTrashLifetime", "zimbraPrefTrashLifetime"));
    folders(&has.junk, shorter(account, "zimbraMailSpamLifetime", "zimbraPrefJunkLifetime"));
    let lifetime = account.span("zimbraMailDumpsterLifetime", DUMPSTER_LIFETIME).filter(|_| !account.traits().hold);
    if let Some(before_ms) = lifetime.map(|span| ago(now_ms, span))
        && has.deleted_ms.is_some_and(|first_ms| first_ms < before_ms)
    {
        commands.push(MailboxCommand::PurgeDumpster { before_ms, most });
    }
    commands
}

impl Inner {
    /// What is due in a mailbox by what this node knows of its account; nothing when there is none any more.
    fn due_now(&self, has: &Retained, now_ms: u64) -> Vec<MailboxCommand> {
        match self.accounts.get(&AccountBy::Id(has.account)) {
            Ok(account) if account.home.mailbox == has.mailbox => due(&account, has, now_ms),
            _ => Vec::new(),
        }
    }

    /// Goes through the mailboxes of a shard.
    async fn retain(&self, group: GroupId) -> Result<()> {
        let mut after = None;
        loop {
            let replicas = self.replicas.clone();
            let look = spawn_blocking(move || replicas.retained(group, after, MAILBOXES_PER_PAGE));
            let page = look.await.unwrap_or_else(|e| Err(Error::Internal(format!("retention: {e}"))))?;
            let now_ms = wall_ms();
            let old: Vec<&Retained> = page.mailboxes.iter().filter(|m| !self.due_now(m, now_ms).is_empty()).collect();
            if !old.is_empty() {
                // A hold that was laid before now must be seen.
                self.directory_barrier(Instant::now() + STEP_MAX).await?;
            }
            for has in old {
                for command in self.due_now(has, now_ms) {
                    if self.is_stopped() || !self.group(group).is_some_and(|group| acts_as_leader(&group)) {
                        return Ok(());
                    }
                    if let Err(error) = self.purge(group, has.account, command).await {
                        tracing::info!(account = %has.account, shard = group.0, %error, "old messages not removed yet");
                    }
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn purge(&self, group: GroupId, account: AccountId, command: MailboxCommand) -> Result<()> {
        let mut gone = 0;
        for _ in 0..STEPS_PER_ROUND {
            // Each step is its own intention: the reply to one must not answer the next.
            let request = RequestId(random_bytes());
            let call = Call { actor: Actor::System, account, request, timeout: STEP_MAX, body: command.clone() };
            let Receipt::Purged { items, more, .. } = self.mailbox_write_untold(call).await? else {
                return Err(Error::Internal("another command's receipt".into()));
            };
            gone += items;
            if !more {
                break;
            }
        }
        probe("retention.purged", &[u64::from(group.0), gone]);
        tracing::debug!(%account, shard = group.0, messages = gone, "old messages removed");
        Ok(())
    }
}

/// Removes what is too old in the shards led here, until the router stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut stopped = inner.stopped.subscribe();
    while !inner.is_stopped() {
        select(sleep(jitter(inner.config.retention_every)), stopped.changed()).await;
        let led = inner.raft.groups().into_iter().filter(leads).map(|group| GroupId(group.id()));
        for group in led.filter(|group| *group != GroupId::DIRECTORY).collect::<Vec<_>>() {
            if inner.is_stopped() {
                return;
            }
            if let Err(error) = inner.retain(group).await {
                tracing::info!(shard = group.0, %error, "old messages were not looked for");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::directory::{Attributes, Home, HomeState, LEGAL_HOLD};
    use zcluster_api::mailbox::folders::{JUNK, TRASH};
    use zcluster_api::{Epoch, MailboxId};

    const DAY_MS: u64 = 86_400_000;

    fn account(attrs: &[(&str, &str)]) -> Account {
        let home = Home { mailbox: MailboxId(7), group: GroupId(1), epoch: Epoch(1), state: HomeState::Active };
        let mut own = Attributes::new();
        attrs.iter().for_each(|(name, value)| own.set(name, vec![value.to_string()]));
        Account { id: AccountId([1; 16]), name: "a@x".into(), attrs: own, home, cos: None, domain: None }
    }

    fn names(attrs: &[(&str, &str)]) -> Vec<String> {
        let now = 100 * DAY_MS;
        let (trash, junk) = (vec![(TRASH, now - 9 * DAY_MS)], vec![(JUNK, now - 3 * DAY_MS)]);
        let deleted_ms = Some(now - 31 * DAY_MS);
        let has = Retained { mailbox: MailboxId(7), account: AccountId([1; 16]), deleted_ms, trash, junk };
        let show = |command: MailboxCommand| match command {
            MailboxCommand::PurgeFolder { folder, before_ms, .. } => format!("{folder}:{}", (now - before_ms) / DAY_MS),
            MailboxCommand::PurgeDumpster { before_ms, .. } => format!("dumpster:{}", (now - before_ms) / DAY_MS),
            other => panic!("{other:?}"),
        };
        due(&account(attrs), &has, now).into_iter().map(show).collect()
    }

    #[test]
    fn lifetimes_decide() {
        assert_eq!(names(&[]), ["dumpster:30"], "Zimbra's default; no folder is emptied that nobody said is to be");
        assert_eq!(names(&[("zimbraMailDumpsterLifetime", "0")]), [""; 0], "for good");
        assert_eq!(names(&[("zimbraMailDumpsterLifetime", "32d")]), [""; 0]);
        let keep = ("zimbraMailDumpsterLifetime", "0");
        assert_eq!(names(&[keep, ("zimbraMailTrashLifetime", "8d")]), ["3:8"]);
        assert_eq!(names(&[keep, ("zimbraMailTrashLifetime", "30d"), ("zimbraPrefTrashLifetime", "1d")]), ["3:1"]);
        assert_eq!(names(&[keep, ("zimbraMailTrashLifetime", "1d"), ("zimbraPrefTrashLifetime", "30d")]), ["3:1"]);
        assert_eq!(names(&[keep, ("zimbraMailSpamLifetime", "4d")]), [""; 0]);
        assert_eq!(names(&[keep, ("zimbraMailSpamLifetime", "2d")]), ["4:2"]);
        assert_eq!(names(&[(LEGAL_HOLD, "case 7")]), [""; 0], "held");
    }
}
