//! The inner API's part about shared folders and annotations, with its replies unpacked.

use super::mailbox::{Mailbox, unexpected};
use zcluster_api::mailbox::Folder;
use zcluster_api::sharing::{Annotation, Depth, Grant, Grantee, Rights, RightsChange};
use zcluster_api::*;

/// What the asking account may do with a folder.
pub fn rights(folder: &Folder) -> Rights {
    folder.rights.unwrap_or(Rights::ALL)
}

impl Mailbox {
    /// Whose it is.
    pub fn owner(&self) -> AccountId {
        self.account
    }
    /// Whether it is not the user's own.
    pub fn is_others(&self) -> bool {
        self.account != self.actor
    }

    /// A folder's grants.
    pub async fn acl(&self, folder: FolderId) -> Result<Vec<Grant>> {
        match self.read(MailboxQuery::Acl(folder)).await? {
            MailboxReply::Acl { grants, .. } => Ok(grants),
            _ => unexpected("Acl"),
        }
    }
    /// Changes a grant: everybody who is given something now, and the position.
    pub async fn set_acl(
        &self,
        folder: FolderId,
        (grantee, negative): (Grantee, bool),
        change: RightsChange,
    ) -> Result<(Vec<Grantee>, ModSeq)> {
        match self.write(MailboxCommand::SetAcl { folder, grantee, negative, change }).await? {
            Receipt::Shared { grantees, modseq } => Ok((grantees, modseq)),
            _ => unexpected("SetAcl"),
        }
    }
    /// Annotations, and the size of the longest one that was left out.
    pub async fn metadata(
        &self,
        folder: Option<FolderId>,
        entries: Vec<String>,
        depth: Depth,
        max_size: Option<u64>,
    ) -> Result<(Vec<Annotation>, Option<u64>)> {
        match self.read(MailboxQuery::Metadata { folder, entries, depth, max_size }).await? {
            MailboxReply::Metadata { entries, longest } => Ok((entries, longest)),
            _ => unexpected("Metadata"),
        }
    }
    /// Sets and removes annotations.
    pub async fn set_metadata(&self, folder: Option<FolderId>, entries: Vec<Annotation>) -> Result<()> {
        self.write(MailboxCommand::SetMetadata { folder, entries }).await.map(|_| ())
    }
    /// Others' folders that the user is subscribed to.
    pub async fn subscribed_names(&self) -> Result<Vec<String>> {
        match self.read(MailboxQuery::SubscribedNames).await? {
            MailboxReply::Names(names) => Ok(names),
            _ => unexpected("SubscribedNames"),
        }
    }
    /// Sets or clears a subscription to another account's folder.
    pub async fn subscribe_name(&self, name: &str, subscribed: bool) -> Result<()> {
        let name = name.to_string();
        self.write(MailboxCommand::SubscribeName { name, subscribed }).await.map(|_| ())
    }
    /// Removes messages, with `\Deleted` or without.
    pub async fn remove(&self, folder: FolderId, uids: UidSet) -> Result<(UidSet, ModSeq)> {
        match self.write(MailboxCommand::Expunge { folder, uids, only_deleted: false }).await? {
            Receipt::Expunged { uids, modseq } => Ok((uids, modseq)),
            _ => unexpected("Expunge"),
        }
    }
}
