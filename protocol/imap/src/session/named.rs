//! From a name that a client uses to the mailbox it is in and the path there.

use super::{Mailbox, Session};
use crate::codec::pattern::fold_inbox;
use crate::errors::Failure;
use zcluster_api::Result;
use zcluster_api::mailbox::Folder;

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
    /// `NotFound`.
    pub async fn folder(&self) -> Result<Folder> {
        self.mailbox.folder(&self.path).await
    }

    /// The name that the client sees for a folder of this mailbox.
    pub fn shown(&self, folder: &Folder) -> String {
        if self.prefix.is_empty() { fold_inbox(&folder.path) } else { format!("{}{}", self.prefix, folder.path) }
    }
}

impl Session {
    /// Finds out in whose mailbox a name is, and which path it is there.
    pub async fn named(&self, name: &str) -> Result<Named, Failure> {
        let path = name.strip_suffix('/').unwrap_or(name).to_string();
        Ok(Named { mailbox: self.mailbox()?, path, prefix: String::new() })
    }
}
