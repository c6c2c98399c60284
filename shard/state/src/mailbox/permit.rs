//! What an account that is not the owner may ask of a mailbox: the one table of rights per command and query. Whatever a
//! front-end lets through, this decides, from the rows alone.
//!
//! | command or query | needs |
//! |---|---|
//! | `AddMessage`, `AddMessages` | `i`; flags as far as `s` (`\Seen`), `t` (`\Deleted`), `w` (others, keywords) allow |
//! | `Replace` | `t`, `e` on the old message's folder (RFC 8508 §3.1: it is expunged); for the new one as `AddMessage` |
//! | `Chunk`, `DropUpload` | `i` on some folder |
//! | `Store` | `r`, and `s`, `t`, `w` for what it touches: what is not allowed is left out, nothing left is refused |
//! | `Copy` | `r` there; here as `AddMessage` |
//! | `Move` | `r`, `t`, `e` there; here as `AddMessage` |
//! | `Expunge` | `e`; of messages without `\Deleted` also `t` |
//! | `CreateFolder` | `k` on the nearest folder above; no special use |
//! | `DeleteFolder` | `x` |
//! | `RenameFolder` | `x`, and `k` on the nearest folder above the new place |
//! | `SetAcl`, `Acl` | `a` |
//! | `SetMetadata` | of a folder: `l` and one of `r s w i p` (RFC 5464 §3.3); for `/shared` also `w` |
//! | `Metadata` | of a folder: `l` and one of `r s w i p` |
//! | `Info` | `r` on some folder |
//! | `Folders` | tells those with `l` |
//! | `Folder`, `FolderByPath` | any right; counters with `r` |
//! | `Uids`, `Messages`, `Changes`, `Missed`, `Search`, `Sort`, `Thread`, `Blob` | `r` |
//! | `Subscribe`, `SubscribeName`, `SubscribedNames`, `ForgetSubscription`, `LostSubscriptions` | the owner's |
//! | `TakeRecent`, `FolderNews`, `MetadataNews`, `CreateMailbox`, `DeleteMailbox` | the owner's |
//! | `SetUrlAuthKey`, `DropUrlAuthKeys`, `UrlAuthKey` | the owner's |
//! | `Dumpster`, `Recover`, `PurgeDumpster`, `DropFromDumpster`, `PurgeFolder` | the owner's |
//! | `Deliver`, scripts, the outbox, `Filters`, `Find` | the owner's, and the cluster's own parts' |

use super::names;
use super::sharing::{narrow, nearest, need, rights, rights_anywhere};
use crate::kv::KvRead;
use std::borrow::Cow;
use zcluster_api::mailbox::folders::USER_ROOT;
use zcluster_api::mailbox::{KeywordChange, NewMessage};
use zcluster_api::sharing::{Annotation, Rights};
use zcluster_api::{AccountId, Error, Flags, FolderId, MailboxCommand, MailboxId, MailboxQuery, Result};

/// Flags that `w` is for.
const OTHER_FLAGS: Flags = Flags(!(Flags::UNREAD.0 | Flags::DELETED.0));

fn owners_own<T>() -> Result<T> {
    Err(Error::Denied("another account's mailbox".into()))
}

struct Asked<'a> {
    kv: &'a dyn KvRead,
    mailbox: MailboxId,
    actor: AccountId,
}

impl Asked<'_> {
    fn rights(&self, folder: FolderId) -> Result<Rights> {
        rights(self.kv, self.mailbox, folder, self.actor)
    }
    fn need(&self, folder: FolderId, wanted: Rights) -> Result<Rights> {
        let had = self.rights(folder)?;
        need(had, wanted, folder).map(|()| had)
    }
    fn need_anywhere(&self, wanted: Rights) -> Result<()> {
        let had = rights_anywhere(self.kv, self.mailbox, self.actor)?;
        if had.has(wanted) { Ok(()) } else { owners_own() }
    }
    /// At the top nothing is given: the folders there are the owner's.
    fn need_create(&self, names: &[&str]) -> Result<()> {
        match nearest(self.kv, self.mailbox, names)? {
            USER_ROOT => owners_own(),
            folder => self.need(folder, Rights::CREATE).map(|_| ()),
        }
    }
    fn need_annotations(&self, folder: Option<FolderId>, shared: bool) -> Result<()> {
        let Some(folder) = folder else { return owners_own() };
        let had = self.need(folder, Rights::LOOKUP)?;
        let some = [Rights::READ, Rights::SEEN, Rights::WRITE, Rights::INSERT, Rights::POST];
        if !some.into_iter().any(|r| had.has(r)) {
            return Err(Error::Denied(format!("one of the rights rswip is needed on folder {folder}")));
        }
        if shared { need(had, Rights::WRITE, folder) } else { Ok(()) }
    }
}

/// The command as far as `actor` may give it.
///
/// # Errors
/// `Denied`, or `NotFound` where the actor may not even know of the folder.
pub(super) fn command<'c>(
    kv: &dyn KvRead,
    mailbox: MailboxId,
    actor: AccountId,
    command: &'c MailboxCommand,
) -> Result<Cow<'c, MailboxCommand>> {
    use MailboxCommand as C;
    let asked = Asked { kv, mailbox, actor };
    match command {
        C::CreateMailbox
        | C::DeleteMailbox
        | C::Subscribe { .. }
        | C::SubscribeName { .. }
        | C::TakeRecent(_)
        | C::ForgetSubscription(_)
        | C::SetUrlAuthKey { .. }
        | C::DropUrlAuthKeys
        | C::Deliver(_)
        | C::PutScript(_)
        | C::DeleteScript(_)
        | C::RenameScript { .. }
        | C::ActivateScript(_)
        | C::ClaimOutgoing { .. }
        | C::SettleOutgoing(_)
        | C::ClaimOutgoings { .. }
        | C::SettleOutgoings(_)
        | C::Enqueue(_)
        | C::ManageOutgoing { .. }
        | C::Recover { .. }
        | C::PurgeDumpster { .. }
        | C::DropFromDumpster { .. }
        | C::PurgeFolder { .. }
        | C::CreateFolder { special_use: Some(_), .. } => return owners_own(),
        C::AddMessage(message) => return asked.add(message).map(|m| Cow::Owned(C::AddMessage(m))),
        C::AddMessages(messages) => {
            let messages = messages.iter().map(|m| asked.add(m)).collect::<Result<_>>()?;
            return Ok(Cow::Owned(C::AddMessages(messages)));
        }
        C::Replace { folder, uid, message } => {
            asked.need(*folder, Rights::DELETE.with(Rights::EXPUNGE))?;
            let message = asked.add(message)?;
            return Ok(Cow::Owned(C::Replace { folder: *folder, uid: *uid, message }));
        }
        C::Chunk { .. } | C::DropUpload(_) => asked.need_anywhere(Rights::INSERT)?,
        C::Store { .. } => return asked.store(command).map(Cow::Owned),
        C::Copy { from, to, .. } => {
            asked.need(*from, Rights::READ)?;
            asked.need(*to, Rights::INSERT)?;
        }
        C::Move { from, to, .. } => {
            asked.need(*from, Rights::READ.with(Rights::DELETE).with(Rights::EXPUNGE))?;
            asked.need(*to, Rights::INSERT)?;
        }
        C::Expunge { folder, only_deleted, .. } => {
            let more = if *only_deleted { Rights::NONE } else { Rights::DELETE };
            asked.need(*folder, Rights::EXPUNGE.with(more))?;
        }
        C::CreateFolder { path, .. } => asked.need_create(&names::split(path)?)?,
        C::DeleteFolder { folder, .. } => asked.need(*folder, Rights::DELETE_FOLDER).map(|_| ())?,
        C::RenameFolder { folder, path, .. } => {
            asked.need(*folder, Rights::DELETE_FOLDER)?;
            let names = names::split(path)?;
            asked.need_create(names.split_last().map_or(&[][..], |(_, parents)| parents))?;
        }
        C::SetAcl { folder, .. } => asked.need(*folder, Rights::ADMIN).map(|_| ())?,
        C::SetMetadata { folder, entries } => asked.need_annotations(*folder, entries.iter().any(is_shared))?,
    }
    Ok(Cow::Borrowed(command))
}

fn is_shared(annotation: &Annotation) -> bool {
    !super::metadata::is_private(&annotation.name)
}

impl Asked<'_> {
    /// A delivery key is a delivery's; from anybody else it could make a delivery that is still to come pass as done.
    fn add(&self, message: &NewMessage) -> Result<NewMessage> {
        let had = self.rights(message.folder)?;
        need(had, Rights::INSERT, message.folder)?;
        let mut message = NewMessage { delivery_key: None, ..message.clone() };
        message.flags = narrow(message.flags, had);
        if !had.has(Rights::WRITE) {
            message.keywords.clear();
        }
        Ok(message)
    }

    /// RFC 4314 §4: a STORE changes what may be changed, and fails only when that is nothing.
    fn store(&self, command: &MailboxCommand) -> Result<MailboxCommand> {
        let mut narrowed = command.clone();
        let MailboxCommand::Store { folder, add, remove, keywords, .. } = &mut narrowed else {
            return Err(Error::Internal("no STORE".into()));
        };
        let had = self.need(*folder, Rights::READ)?;
        let touched = add.with(*remove);
        let touches_keywords = match &*keywords {
            KeywordChange::Add(names) | KeywordChange::Remove(names) => !names.is_empty(),
            KeywordChange::Replace(_) => true,
        };
        let mut may = Flags::default();
        for (right, flags) in
            [(Rights::SEEN, Flags::UNREAD), (Rights::DELETE, Flags::DELETED), (Rights::WRITE, OTHER_FLAGS)]
        {
            if had.has(right) {
                may = may.with(flags);
            }
        }
        let writes = had.has(Rights::WRITE);
        let any = touched.0 & may.0 != 0 || touches_keywords && writes;
        if !any && (touched != Flags::default() || touches_keywords) {
            return Err(Error::Denied(format!("none of these flags may be changed in folder {folder}")));
        }
        (*add, *remove) = (Flags(add.0 & may.0), Flags(remove.0 & may.0));
        if !writes {
            *keywords = KeywordChange::Add(Vec::new());
        }
        Ok(narrowed)
    }
}

/// Refuses questions that `actor` may not ask. What is left out of answers to the others is up to them.
///
/// # Errors
/// As for commands.
pub(super) fn query(kv: &dyn KvRead, mailbox: MailboxId, actor: AccountId, query: &MailboxQuery) -> Result<()> {
    use MailboxQuery as Q;
    let asked = Asked { kv, mailbox, actor };
    match query {
        Q::Info => asked.need_anywhere(Rights::READ),
        Q::Folders | Q::FolderByPath(_) | Q::Folder(_) => Ok(()),
        Q::Uids(folder)
        | Q::Messages { folder, .. }
        | Q::Changes { folder, .. }
        | Q::Missed { folder, .. }
        | Q::Search { folder, .. }
        | Q::Sort { folder, .. }
        | Q::Thread { folder, .. } => asked.need(*folder, Rights::READ).map(|_| ()),
        Q::Blob(at) => asked.need(at.folder, Rights::READ).map(|_| ()),
        Q::Acl(folder) => asked.need(*folder, Rights::ADMIN).map(|_| ()),
        Q::Metadata { folder, .. } => asked.need_annotations(*folder, false),
        Q::SubscribedNames
        | Q::LostSubscriptions
        | Q::FolderNews(_)
        | Q::MetadataNews(_)
        | Q::UrlAuthKey(_)
        | Q::Scripts
        | Q::Script(_)
        | Q::Filters { .. }
        | Q::Outgoing(_)
        | Q::Queue(_)
        | Q::QueueSummary(_)
        | Q::Dumpster(_)
        | Q::Find(_) => owners_own(),
    }
}
