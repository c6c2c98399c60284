//! Who may write to a list, and under whose address.

use crate::rights::{Applied, Level, Upper, Want, Who};
use crate::{Directory, Failure};
use zcluster_api::directory::{Object, ObjectBy};
use zcluster_api::{AccountId, Freshness};

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender<'a> {
    /// An account that signed in.
    Account(AccountId),
    /// Somebody whose address is believed: a host of ours took the message from him. An account's address means it.
    Trusted(&'a str),
    /// Somebody who says that this is his address; empty: he says none. Nobody is taken for an account by that.
    Stranger(&'a str),
}

impl Directory {
    /// Whether somebody may write to a list or group (`sendToDistList`): everybody as long as the right was granted to
    /// nobody, then those to whom it was; and the owner.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn may_send_to(&self, sender: Sender<'_>, list: &Object) -> Result<bool, Failure> {
        let upper = Upper::default();
        let levels = self.levels(list, &upper).await?;
        if levels.is_empty() {
            return Ok(true);
        }
        let who = self.sender(sender).await?;
        let applied = Applied::of(&levels, &who);
        let may = |right| applied.allows(Want::Preset(right), list.kind);
        Ok(may("sendToDistList") || may("ownDistList"))
    }

    async fn sender(&self, sender: Sender<'_>) -> Result<Who, Failure> {
        let account = match sender {
            Sender::Account(id) => self.account(id).await?,
            Sender::Trusted(address) if !address.is_empty() => {
                let found = self.maybe(ObjectBy::Address(address.to_string())).await?;
                found.filter(|o| crate::access::is_person(o.kind))
            }
            Sender::Trusted(_) | Sender::Stranger(_) => None,
        };
        match (account, sender) {
            (Some(account), _) => self.who(&account).await,
            (None, Sender::Trusted(address) | Sender::Stranger(address)) => {
                Ok(Who { address: address.to_lowercase(), ..Who::default() })
            }
            (None, Sender::Account(_)) => Ok(Who::default()),
        }
    }

    /// Whether an account was granted one of these user rights on an entry (an account, a list); the first that holds.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn granted<'r>(
        &self,
        account: AccountId,
        target: &Object,
        rights: &[&'r str],
    ) -> Result<Option<&'r str>, Failure> {
        let upper = Upper::default();
        let levels: Vec<Level> = self.levels(target, &upper).await?;
        if levels.is_empty() {
            return Ok(None);
        }
        let Some(account) = self.account(account).await? else { return Ok(None) };
        let who = self.who(&account).await?;
        let applied = Applied::of(&levels, &who);
        Ok(rights.iter().copied().find(|r| applied.decide(Want::Preset(r), target.kind, false).allows()))
    }

    /// The directory for delivery: reads may be a moment old.
    pub fn nearby(api: std::sync::Arc<dyn zcluster_api::DirectoryApi>) -> Directory {
        Directory::new(api, Freshness::Local)
    }
}
