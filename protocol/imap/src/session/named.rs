//! From a name that a client uses to the mailbox it is in and the path there (docs/decisions/0015).

use super::{Mailbox, Session};
use crate::codec::pattern::fold_inbox;
use crate::errors::Failure;
use zcluster_api::directory::{Account, AccountBy};
use zcluster_api::mailbox::Folder;
use zcluster_api::{DirectoryQuery, Error, Freshness, Result};

/// What names of other accounts' folders begin with, as in Zimbra: `/home/user@domain/Folder`. No folder of one's own
/// begins with the delimiter, so the namespaces cannot meet.
pub const OTHERS: &str = "/home/";

/// A mailbox name, resolved. The folder need not exist.
pub struct Named {
    /// Whose mailbox it is in.
    pub mailbox: Mailbox,
    /// The path within that mailbox, without a delimiter at its end.
    pub path: String,
    /// What the names of that mailbox's folders begin with: nothing for the user's own.
    pub prefix: String,
}

impl Named {
    /// The folder of that name.
    ///
    /// # Errors
    /// `NotFound`, also for what the user may not know of.
    pub async fn folder(&self) -> Result<Folder> {
        match self.mailbox.folder(&self.path).await {
            // The same words as for an account that there is not: nobody is to learn who has one.
            Err(Error::NotFound(_)) if !self.prefix.is_empty() => Err(missing(&self.prefix, &self.path)),
            other => other,
        }
    }

    /// The name that the client sees for a folder of this mailbox.
    pub fn shown(&self, folder: &Folder) -> String {
        if self.prefix.is_empty() { fold_inbox(&folder.path) } else { format!("{}{}", self.prefix, folder.path) }
    }
}

fn missing(prefix: &str, path: &str) -> Error {
    Error::NotFound(format!("mailbox {prefix}{path}"))
}

impl Session {
    /// Finds out in whose mailbox a name is, and which path it is there.
    ///
    /// # Errors
    /// `NotFound` when it begins with the name of an account that there is not.
    pub async fn named(&self, name: &str) -> Result<Named, Failure> {
        let own = self.mailbox()?;
        let name = name.strip_suffix('/').unwrap_or(name);
        let Some(rest) = name.strip_prefix(OTHERS) else {
            return Ok(Named { mailbox: own, path: name.to_string(), prefix: String::new() });
        };
        let (user, path) = rest.split_once('/').unwrap_or((rest, ""));
        let account = self.account_named(user).await?;
        let prefix = format!("{OTHERS}{user}/");
        let account = account.ok_or_else(|| missing(&prefix, path))?;
        Ok(Named { mailbox: own.of(account.id), path: path.to_string(), prefix })
    }

    /// The account with an address; without a domain it is in the user's own.
    ///
    /// # Errors
    /// The directory's, but not `NotFound`.
    pub async fn account_named(&self, user: &str) -> Result<Option<Account>, Failure> {
        let address = match (user.contains('@'), self.user_name()?.rsplit_once('@')) {
            (false, Some((_, domain))) => format!("{user}@{domain}"),
            _ => user.to_string(),
        };
        self.account(AccountBy::Address(address)).await
    }

    /// An account, if there is such a one.
    ///
    /// # Errors
    /// The directory's, but not `NotFound`.
    pub async fn account(&self, by: AccountBy) -> Result<Option<Account>, Failure> {
        match self.imap.directory.read(DirectoryQuery::Account(by), Freshness::Local).await {
            Ok(reply) => Ok(Some(reply.into_account()?)),
            Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The signed-in account's address.
    pub fn user_name(&self) -> Result<&str, Failure> {
        self.user.as_ref().map(|u| u.name.as_str()).ok_or_else(|| Failure::bad("sign in first"))
    }
}
