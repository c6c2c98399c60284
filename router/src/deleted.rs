//! Deleted messages as their owner may deal with them, and who is told of what happens to them: rules that need the
//! account, which a shard does not know.

use crate::inner::Inner;
use crate::retention::{DUMPSTER_LIFETIME, ago};
use zcluster_api::directory::{Account, LEGAL_HOLD, Modification};
use zcluster_api::{
    Actor, Call, DirectoryCommand, DirectoryReply, Error, MailboxCommand, MailboxQuery, Receipt, Result,
};
use zcluster_runtime::{Instant, wall_ms};

/// How far back an owner sees (`zimbraDumpsterUserVisibleAge`), Unix milliseconds.
///
/// # Errors
/// `Denied` when the account has no dumpster, whatever is kept there for others.
fn visible_since(account: &Account, now_ms: u64) -> Result<u64> {
    if !account.traits().dumpster {
        return Err(Error::Denied("the account has no dumpster".into()));
    }
    Ok(account.span("zimbraDumpsterUserVisibleAge", DUMPSTER_LIFETIME).map_or(0, |age| ago(now_ms, age)))
}

fn limit_query(account: &Account, query: &mut MailboxQuery, now_ms: u64) -> Result<()> {
    if let MailboxQuery::Dumpster(query) = query {
        query.since_ms = query.since_ms.max(Some(visible_since(account, now_ms)?));
    }
    if let MailboxQuery::Find(find) = query
        && let Some(since_ms) = &mut find.dumpster
    {
        *since_ms = visible_since(account, now_ms)?.max(*since_ms);
    }
    Ok(())
}

fn limit_command(account: &Account, command: &mut MailboxCommand, now_ms: u64) -> Result<()> {
    let removes = matches!(command, MailboxCommand::DropFromDumpster { .. } | MailboxCommand::PurgeDumpster { .. });
    if removes && account.effective("zimbraDumpsterPurgeEnabled") == Some("FALSE") {
        return Err(Error::Denied("deleted messages are not the user's to remove".into()));
    }
    match command {
        MailboxCommand::Recover { since_ms, .. } | MailboxCommand::DropFromDumpster { since_ms, .. } => {
            *since_ms = (*since_ms).max(Some(visible_since(account, now_ms)?));
        }
        MailboxCommand::PurgeDumpster { .. } => _ = visible_since(account, now_ms)?,
        _ => {}
    }
    Ok(())
}

fn is_owner<T>(call: &Call<T>) -> bool {
    call.actor == Actor::Account(call.account)
}

impl Inner {
    /// Leaves of an owner's question about deleted messages what he may see.
    ///
    /// # Errors
    /// `Denied`; what looking up the account reports.
    pub async fn limit_read(&self, call: &mut Call<MailboxQuery>) -> Result<()> {
        let concerns = match &call.body {
            MailboxQuery::Dumpster(_) => true,
            MailboxQuery::Find(find) => find.dumpster.is_some(),
            _ => false,
        };
        if concerns && is_owner(call) {
            let account = self.account(call.account, Instant::now() + call.timeout).await?;
            limit_query(&account, &mut call.body, wall_ms())?;
        }
        Ok(())
    }

    /// The same for commands.
    ///
    /// # Errors
    /// As [`limit_read`](Self::limit_read).
    pub async fn limit_write(&self, call: &mut Call<MailboxCommand>) -> Result<()> {
        if is_owner(call) {
            let account = self.account(call.account, Instant::now() + call.timeout).await?;
            limit_command(&account, &mut call.body, wall_ms())?;
        }
        Ok(())
    }
}

/// Whether a command is about messages that were deleted before.
pub(crate) fn is_about_deleted(command: &MailboxCommand) -> bool {
    matches!(
        command,
        MailboxCommand::Recover { .. } | MailboxCommand::DropFromDumpster { .. } | MailboxCommand::PurgeDumpster { .. }
    )
}

/// Writes a line of the audit trail (tracing target `audit`) when somebody brought deleted messages back or removed
/// them for good, or was refused.
pub(crate) fn tell(actor: Actor, account: zcluster_api::AccountId, outcome: &Result<Receipt>) {
    match outcome {
        Ok(Receipt::Recovered { messages, .. }) => {
            let messages = messages.len();
            tracing::info!(target: "audit", ?actor, %account, messages, outcome = "ok", "deleted messages recovered");
        }
        Ok(Receipt::Purged { items, bytes, .. }) => {
            tracing::info!(target: "audit", ?actor, %account, messages = items, bytes, outcome = "ok", "deleted messages removed for good");
        }
        Err(Error::Denied(reason)) => {
            tracing::info!(target: "audit", ?actor, %account, outcome = "denied", reason, "deleted messages");
        }
        _ => {}
    }
}

/// What of a directory command the audit trail tells: a legal hold that it lays or lifts.
pub(crate) struct HoldChange {
    /// The command's number in its batch; 0 alone.
    number: usize,
    /// Account or domain.
    whose: String,
    how: String,
}

/// The legal holds that a command lays or lifts.
pub(crate) fn holds(command: &DirectoryCommand) -> Vec<HoldChange> {
    match command {
        DirectoryCommand::Batch(commands) => {
            commands.iter().enumerate().flat_map(|(n, one)| holds_of(n, one)).collect()
        }
        one => holds_of(0, one),
    }
}

fn holds_of(number: usize, command: &DirectoryCommand) -> Vec<HoldChange> {
    use DirectoryCommand as C;
    let (whose, changes) = match command {
        C::CreateAccount { name, attrs, .. } | C::CreateDomain { name, attrs, .. } => (name.clone(), attrs),
        C::ModifyAccount { id, changes } => (id.to_string(), changes),
        C::ModifyDomain { name, changes } => (name.clone(), changes),
        _ => return Vec::new(),
    };
    let holds = changes.iter().filter(|change| change.name.eq_ignore_ascii_case(LEGAL_HOLD));
    let how = |change: &Modification| format!("{:?} {:?}", change.kind, change.values);
    holds.map(|change| HoldChange { number, whose: whose.clone(), how: how(change) }).collect()
}

/// Writes the lines of the audit trail for a directory command that ended so: changes of holds, and what was refused
/// because of one.
pub(crate) fn tell_holds(actor: Actor, holds: Vec<HoldChange>, outcome: &Result<DirectoryReply>) {
    let outcomes: Vec<Option<&Error>> = match outcome {
        Ok(DirectoryReply::Outcomes(each)) => each.iter().map(Option::as_ref).collect(),
        Ok(_) => vec![None],
        Err(e) => vec![Some(e)],
    };
    for HoldChange { number, whose, how } in holds {
        let failed = outcomes.get(number).or(outcomes.first()).copied().flatten();
        let (outcome, reason) = failed.map_or(("ok", String::new()), |e| ("failed", e.to_string()));
        tracing::info!(target: "audit", ?actor, %whose, how, outcome, reason, "legal hold");
    }
    for error in outcomes.into_iter().flatten() {
        if let Error::Denied(reason) = error
            && reason.contains("under legal hold")
        {
            tracing::info!(target: "audit", ?actor, outcome = "denied", reason, "legal hold");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::directory::{Attributes, Home, HomeState};
    use zcluster_api::mailbox::DumpsterQuery;
    use zcluster_api::{AccountId, Epoch, GroupId, MailboxId};

    const DAY_MS: u64 = 86_400_000;
    const NOW: u64 = 100 * DAY_MS;

    fn account(attrs: &[(&str, &str)]) -> Account {
        let home = Home { mailbox: MailboxId(7), group: GroupId(1), epoch: Epoch(1), state: HomeState::Active };
        let mut own = Attributes::new();
        attrs.iter().for_each(|(name, value)| own.set(name, vec![value.to_string()]));
        Account { id: AccountId([1; 16]), name: "a@x".into(), attrs: own, home, cos: None, domain: None }
    }

    fn since(attrs: &[(&str, &str)], asked: Option<u64>) -> Result<Option<u64>> {
        let mut query = MailboxQuery::Dumpster(DumpsterQuery { since_ms: asked, ..DumpsterQuery::default() });
        limit_query(&account(attrs), &mut query, NOW)?;
        let mut command = MailboxCommand::Recover { items: vec![], folder: None, since_ms: asked };
        limit_command(&account(attrs), &mut command, NOW)?;
        match (query, command) {
            (MailboxQuery::Dumpster(query), MailboxCommand::Recover { since_ms, .. }) => {
                assert_eq!(query.since_ms, since_ms);
                Ok(since_ms)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn owners_see_as_far_back_as_they_may() {
        let on = ("zimbraDumpsterEnabled", "TRUE");
        assert_eq!(since(&[on], None), Ok(Some(70 * DAY_MS)));
        assert_eq!(since(&[on], Some(80 * DAY_MS)), Ok(Some(80 * DAY_MS)));
        assert_eq!(since(&[on, ("zimbraDumpsterUserVisibleAge", "1d")], Some(80 * DAY_MS)), Ok(Some(99 * DAY_MS)));
        assert_eq!(since(&[on, ("zimbraDumpsterUserVisibleAge", "0")], None), Ok(Some(0)));
        assert!(matches!(since(&[], None), Err(Error::Denied(_))));
        assert!(matches!(since(&[(LEGAL_HOLD, "x")], None), Err(Error::Denied(_))), "it is kept, but not for him");
    }

    #[test]
    fn owners_may_be_kept_from_removing() {
        let mut purge = MailboxCommand::PurgeDumpster { before_ms: 1, most: 1 };
        let on = ("zimbraDumpsterEnabled", "TRUE");
        assert_eq!(limit_command(&account(&[on]), &mut purge, NOW), Ok(()));
        let off = account(&[on, ("zimbraDumpsterPurgeEnabled", "FALSE")]);
        assert!(matches!(limit_command(&off, &mut purge, NOW), Err(Error::Denied(_))));
    }

    #[test]
    fn holds_are_told() {
        let changes = vec![Modification::set("description", "x"), Modification::set("zclusterlegalhold", "case 7")];
        let one = DirectoryCommand::ModifyDomain { name: "example.com".into(), changes };
        let told = holds(&DirectoryCommand::Batch(vec![one]));
        assert!(told.len() == 1 && told[0].whose == "example.com" && told[0].how.contains("case 7"));
    }
}
