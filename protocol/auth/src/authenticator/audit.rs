//! The audit trail: one line for each sign-in that was tried (tracing target `audit`), and when an account was last there.

use super::{Attempt, Authenticator};
use crate::status::{generalized_time, generalized_time_ms};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use zcluster_api::directory::{Account, Modification, duration};
use zcluster_api::{AccountId, Actor, DirectoryCommand, RequestId};
use zcluster_runtime::Instant;

/// `zimbraLastLogonTimestampFrequency` where nobody set it.
const FREQUENCY: Duration = Duration::from_secs(7 * 24 * 3_600);
/// An account is not noted twice within this time, whatever the directory shows.
const NOTED: Duration = Duration::from_secs(60);
/// Accounts noted at a time; beyond, the table begins anew.
const NOTED_MAX: usize = 10_000;

/// Accounts whose last sign-in is being written.
#[derive(Default)]
pub(super) struct Noted(Mutex<BTreeMap<AccountId, Instant>>);

impl Noted {
    /// Whether it is the first time in a while.
    fn first(&self, id: AccountId) -> bool {
        let Ok(mut noted) = self.0.lock() else { return false };
        if noted.get(&id).is_some_and(|at| at.elapsed() < NOTED) {
            return false;
        }
        if noted.len() >= NOTED_MAX {
            noted.clear();
        }
        noted.insert(id, Instant::now());
        true
    }
}

impl Attempt<'_> {
    /// Writes the line. `account`: the primary address of who came in, else what was said.
    pub(super) fn tell(&self, account: &str, outcome: &'static str, reason: &str) {
        let (service, mechanism, address) = (self.service.name(), self.mechanism, self.peer);
        let account = account.escape_debug();
        tracing::info!(target: "audit", %account, %address, service, mechanism, outcome, reason, "login");
    }
}

impl Authenticator {
    /// Takes down when the account was last there, at most once per `zimbraLastLogonTimestampFrequency`, in the
    /// background.
    pub(super) async fn note_sign_in(&self, account: &Account) {
        let Some(settings) = self.settings().await else { return };
        let frequency =
            settings.config.get("zimbraLastLogonTimestampFrequency").and_then(duration).unwrap_or(FREQUENCY);
        let now_ms = zcluster_runtime::wall_ms();
        let last = account.attrs.get("zimbraLastLogonTimestamp").and_then(generalized_time_ms).unwrap_or(0);
        let due = last.saturating_add(u64::try_from(frequency.as_millis()).unwrap_or(u64::MAX)) <= now_ms;
        if !due || !self.noted.first(account.id) {
            return;
        }
        let changes = vec![Modification::set("zimbraLastLogonTimestamp", generalized_time(now_ms))];
        let command = DirectoryCommand::ModifyAccount { id: account.id, changes };
        let (directory, name) = (self.directory.clone(), account.name.clone());
        zcluster_runtime::spawn(async move {
            let request = RequestId(zcluster_runtime::random_bytes());
            if let Err(error) = directory.write(Actor::System, request, command).await {
                tracing::debug!(account = %name, %error, "cannot note a sign-in");
            }
        });
    }
}
