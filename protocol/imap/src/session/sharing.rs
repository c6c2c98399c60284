//! The inner API's part about shared folders and annotations, with its replies unpacked.

use super::Session;
use super::mailbox::{Mailbox, unexpected};
use crate::errors::Failure;
use zcluster_api::mailbox::Folder;
use zcluster_api::sharing::{Annotation, Depth, Grant, Grantee, MetadataChange, Rights, RightsChange};
use zcluster_api::*;

/// What the asking account may do with a folder.
pub fn rights(folder: &Folder) -> Rights {
    folder.rights.unwrap_or(Rights::ALL)
}

/// Refuses who lacks a right: NOPERM where the folder may be seen, else it is not there (RFC 4314 §6, RFC 5530).
///
/// # Errors
/// A tagged NO.
pub fn require(folder: &Folder, right: Rights) -> Result<(), Failure> {
    let had = rights(folder);
    if had.has(right) {
        return Ok(());
    }
    if had.has(Rights::LOOKUP) {
        return Err(Failure::no(format!("[NOPERM] right {right} is needed")));
    }
    Err(Failure::no("[NONEXISTENT] no such mailbox"))
}

/// Whether something may be changed in a folder with these rights: READ-WRITE (RFC 4314 §5.2).
pub fn may_change(had: Rights) -> bool {
    let some = [Rights::SEEN, Rights::WRITE, Rights::INSERT, Rights::DELETE, Rights::EXPUNGE];
    some.into_iter().any(|r| had.has(r))
}

impl Session {
    /// Looks again what the user may do with the selected folder, before a command that depends on it: rights that were
    /// given or taken meanwhile count from now on, and are told. One's own folders need no look.
    pub async fn refresh_rights(&mut self) -> Result<(), Failure> {
        let Some(view) = self.selected.as_deref().filter(|v| v.mailbox.is_others()) else { return Ok(()) };
        let now = match view.mailbox.rights(view.folder).await {
            Err(Error::NotFound(_)) => Rights::NONE,
            other => other?,
        };
        let Some(view) = self.selected.as_deref_mut().filter(|v| v.rights != now) else { return Ok(()) };
        let read_only = view.examined || !may_change(now);
        let turned = std::mem::replace(&mut view.read_only, read_only) != read_only;
        view.rights = now;
        view.write_flags(&mut self.out);
        if turned {
            let code = if read_only { "READ-ONLY" } else { "READ-WRITE" };
            self.line(format_args!("* OK [{code}] rights were changed"));
        }
        Ok(())
    }
}

impl Mailbox {
    /// What the user may do with a folder now.
    async fn rights(&self, folder: FolderId) -> Result<Rights> {
        match self.read(MailboxQuery::Folder(folder)).await? {
            MailboxReply::Folders(list) => Ok(list.first().map_or(Rights::NONE, rights)),
            _ => unexpected("Folder"),
        }
    }
    /// Whose it is.
    pub fn owner(&self) -> AccountId {
        self.account
    }
    /// Whether it is not the user's own, so that rights decide.
    pub fn is_others(&self) -> bool {
        matches!(self.actor, Actor::Account(id) if id != self.account)
    }

    /// What the object ids of this mailbox's folders and messages end in (RFC 8474 §4: no two that a user sees have the
    /// same): items are numbered per mailbox, so another's need the owner beside the number.
    pub fn object_suffix(&self) -> String {
        if self.is_others() { format!("-{}", self.account) } else { String::new() }
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
    /// Which annotations changed, the position, and whether there were too many to say.
    pub async fn metadata_news(&self, since: ModSeq) -> Result<(Vec<MetadataChange>, ModSeq, bool)> {
        match self.read(MailboxQuery::MetadataNews(since)).await? {
            MailboxReply::MetadataNews { changes, modseq, resync } => Ok((changes, modseq, resync)),
            _ => unexpected("MetadataNews"),
        }
    }
    /// Sets and removes annotations.
    pub async fn set_metadata(&self, folder: Option<FolderId>, entries: Vec<Annotation>) -> Result<()> {
        self.write(MailboxCommand::SetMetadata { folder, entries }).await.map(|_| ())
    }
    /// Others' folders that the user is subscribed to.
    pub async fn subscribed_names(&self) -> Result<Vec<String>> {
        match self.read(MailboxQuery::SubscribedNames).await? {
            MailboxReply::SubscribedNames(names) => Ok(names),
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
