//! Emptying the mailboxes of deleted accounts: the directory's leader asks their shards to, step by step, and tells the
//! directory when nothing is left. The directory's table of deleting homes is the truth; a new leader reads it again.

use crate::inner::{Inner, acts_as_leader};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::Home;
use zcluster_api::{
    DirectoryCommand, DirectoryQuery, DirectoryReply, Error, GroupId, MailboxCommand, Receipt, RequestId, Result,
};
use zcluster_runtime::{Instant, probe, random_bytes, select, sleep};

/// The table is read at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// One step of emptying may take this long.
const STEP_MAX: Duration = Duration::from_secs(30);

impl Inner {
    /// Empties one mailbox and reports it.
    async fn empty(&self, home: &Home) -> Result<()> {
        loop {
            let acts = self.group(GroupId::DIRECTORY).is_some_and(|directory| acts_as_leader(&directory));
            if self.is_stopped() || !acts {
                return Ok(());
            }
            // Each step is its own intention: the reply to one must not answer the next.
            let request = RequestId(random_bytes());
            let deadline = Instant::now() + STEP_MAX;
            match self.write_home(home, request, None, MailboxCommand::DeleteMailbox, deadline).await {
                Ok(Receipt::Deleted { more: true }) => {}
                // Never used, or emptied before: the shard does not know it.
                Ok(_) | Err(Error::WrongHome { .. } | Error::NotFound(_)) => break,
                Err(e) => return Err(e),
            }
        }
        self.system_write(DirectoryCommand::MailboxDeleted(home.mailbox)).await?;
        tracing::info!(mailbox = home.mailbox.0, shard = home.group.0, "mailbox of a deleted account emptied");
        probe("courier.emptied", &[u64::from(home.group.0), home.mailbox.0]);
        Ok(())
    }

    async fn empty_all(&self) {
        if !self.leads_directory() {
            return;
        }
        let Ok(DirectoryReply::Homes(homes)) = self.replicas.read_directory(&DirectoryQuery::DeletingHomes) else {
            return;
        };
        for home in homes {
            if let Err(error) = self.empty(&home).await {
                tracing::info!(mailbox = home.mailbox.0, shard = home.group.0, %error, "mailbox not emptied yet");
            }
        }
    }
}

/// Empties what is to be emptied until the router stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let (mut deletions, mut stopped) = (inner.replicas.deletions(), inner.stopped.subscribe());
    while !inner.is_stopped() {
        inner.empty_all().await;
        select(deletions.changed(), select(sleep(LOOK_EVERY), stopped.changed())).await;
    }
}
