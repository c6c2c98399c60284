//! The mailbox machine: one file per command or family of queries.

mod add;
mod batches;
mod cold;
mod conversations;
mod create;
mod delete;
mod deliver;
mod deliveries;
mod dumpster;
mod expunge;
mod folder_tree;
mod folders;
mod index;
mod items;
mod metadata;
mod missed;
mod names;
mod outgoing;
mod pages;
mod permit;
mod queue;
mod read;
mod retained;
pub(crate) mod rows;
mod scripts;
mod search;
mod seen;
mod sharing;
mod sort;
mod store;
mod subscriptions;
mod tags;
mod thread;
mod thread_ids;
mod transfer;
mod uploads;
mod url_auth;
mod work;

pub(crate) use batches::claimed_at_once;
pub use cold::{ColdMessage, cold_message};
pub use index::{FolderIndex, Indexes, NoIndexes};
pub(crate) use outgoing::outbox_due;
pub use outgoing::{DueOutgoing, DuePage, Look, due_outgoing, outgoing};
pub use read::{Asking, read_mailbox, read_mailbox_as, read_mailbox_with};
pub use retained::{Retained, RetainedPage, retained, traits};
pub(crate) use uploads::forget_upload;

use crate::group::Group;
use crate::kv::{Kv, KvRead};
use crate::proposal::Stamp;
use rows::{Header, HotRow, Life};
use std::borrow::Cow;
use work::Work;
use zcluster_api::mailbox::{Traits, UIDS_PER_COMMAND_MAX};
use zcluster_api::{
    AccountId, Epoch, Error, FolderId, GroupId, MailboxCommand, MailboxId, ModSeq, Receipt, Result, Uid, UidSet,
};

/// Which mailbox a command is for, and what the proposer knew of it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub group: GroupId,
    pub mailbox: MailboxId,
    pub epoch: Epoch,
    /// Bytes; 0 = none.
    pub quota: u64,
    /// Who acts, when it is not the owner.
    pub actor: Option<AccountId>,
    /// What the mailbox is told of its account.
    pub traits: Option<Traits>,
}

/// Carries out a command. Returns the mailbox's new mod-sequence if it rose.
///
/// # Errors
/// What the command documents; nothing was changed then. `Internal` means damaged rows.
pub(crate) fn apply(
    kv: &mut dyn Kv,
    group: &mut Group,
    stamp: Stamp,
    at: Place,
    command: &MailboxCommand,
) -> Result<(Receipt, Option<ModSeq>)> {
    // Who is not let in learns nothing, not even whether there is such a mailbox.
    if at.actor.is_some() && matches!(command, MailboxCommand::CreateMailbox | MailboxCommand::DeleteMailbox) {
        return Err(Error::Denied("another account's mailbox".into()));
    }
    match command {
        MailboxCommand::CreateMailbox => create::create_mailbox(kv, group, stamp, at),
        MailboxCommand::DeleteMailbox => delete::delete_mailbox(kv, group, at),
        // About the shard, whether its reserved mailbox was ever used or not.
        MailboxCommand::ClaimOutgoings { claims, until_ms } => {
            batches::claim(kv, group, stamp, at, (claims, *until_ms)).map(|receipt| (receipt, None))
        }
        MailboxCommand::SettleOutgoings(settlements) => {
            batches::settle(kv, group, stamp, at, settlements).map(|receipt| (receipt, None))
        }
        _ => {
            let header = at_home(kv, at)?;
            let (at, header) = match command {
                MailboxCommand::ManageOutgoing { place, .. } => queue::target(kv, at, *place)?,
                _ => (at, header),
            };
            // Of the account that was named, not of the one that an operator's command is about in the end.
            let traits = at.traits.filter(|_| !matches!(command, MailboxCommand::ManageOutgoing { .. }));
            let command = match at.actor {
                None => Cow::Borrowed(command),
                Some(actor) => permit::command(kv, at.mailbox, actor, command)?,
            };
            let mut work = Work::new(kv, group, stamp, at, header);
            work.header.traits = traits.or(work.header.traits);
            let receipt = carry_out(&mut work, &command)?;
            Ok((receipt, work.finish()))
        }
    }
}

fn carry_out(work: &mut Work<'_>, command: &MailboxCommand) -> Result<Receipt> {
    use MailboxCommand as C;
    match command {
        // Handled by `apply`: they change whether there is a mailbox at all, or are about several.
        C::CreateMailbox | C::DeleteMailbox | C::ClaimOutgoings { .. } | C::SettleOutgoings(_) => Ok(Receipt::Done),
        C::AddMessage(message) => add::add_message(work, message),
        C::Store { folder, uids, add, remove, keywords, unchanged_since } => {
            let change = store::Change { add: *add, remove: *remove, keywords, unchanged_since: *unchanged_since };
            store::store(work, *folder, uids, &change)
        }
        C::Copy { from, uids, to } => transfer::copy(work, *from, uids, *to),
        C::Move { from, uids, to } => transfer::move_messages(work, *from, uids, *to),
        C::Expunge { folder, uids, only_deleted } => expunge::expunge(work, *folder, uids, *only_deleted),
        C::CreateFolder { path, view, special_use } => folders::create(work, path, *view, *special_use),
        C::DeleteFolder { folder, was } => delete::delete_folder(work, *folder, was.as_deref()),
        C::RenameFolder { folder, path, was } => folders::rename(work, *folder, path, was.as_deref()),
        C::Subscribe { folder, subscribed } => folders::subscribe(work, *folder, *subscribed),
        C::TakeRecent(folder) => folders::take_recent(work, *folder),
        C::Chunk { upload, seq, bytes } => uploads::chunk(work, *upload, *seq, bytes),
        C::DropUpload(upload) => uploads::drop_upload(work, *upload),
        C::Deliver(delivery) => deliver::deliver(work, delivery),
        C::PutScript(script) => scripts::put(work, script),
        C::DeleteScript(name) => scripts::delete(work, name),
        C::RenameScript { from, to } => scripts::rename(work, from, to),
        C::ActivateScript(name) => scripts::activate(work, name.as_deref()),
        C::ClaimOutgoing { number, due_ms, until_ms } => outgoing::claim(work, *number, *due_ms, *until_ms),
        C::SettleOutgoing(settlement) => outgoing::settle(work, settlement),
        C::Enqueue(enqueue) => queue::enqueue(work, enqueue),
        C::ManageOutgoing { place, action } => outgoing::manage(work, place.number, *action),
        C::AddMessages(messages) => add::add_messages(work, messages),
        C::Replace { folder, uid, message } => add::replace(work, *folder, *uid, message),
        C::SetUrlAuthKey { folder, key, keep } => url_auth::set_key(work, *folder, *key, *keep),
        C::DropUrlAuthKeys => url_auth::drop_keys(work),
        C::ForgetSubscription(path) => subscriptions::forget(work, path),
        C::SetAcl { folder, grantee, negative, change } => sharing::set(work, *folder, *grantee, *negative, *change),
        C::SetMetadata { folder, entries } => metadata::set(work, *folder, entries),
        C::SubscribeName { name, subscribed } => metadata::subscribe_name(work, name, *subscribed),
        C::Recover { items, folder, since_ms } => dumpster::recover(work, items, *folder, *since_ms),
        C::PurgeDumpster { before_ms, most } => dumpster::purge(work, *before_ms, *most),
        C::DropFromDumpster { items, since_ms } => dumpster::drop_named(work, items, *since_ms),
        C::PurgeFolder { folder, before_ms, most } => dumpster::purge_folder(work, *folder, *before_ms, *most),
    }
}

/// The mailbox's header, if it lives here at the epoch that the caller knows.
///
/// # Errors
/// `WrongHome` otherwise.
fn at_home(kv: &dyn KvRead, at: Place) -> Result<Header> {
    match rows::header(kv, at.mailbox)? {
        Some(header) if header.epoch == at.epoch && header.life == Life::Live => Ok(header),
        Some(header) => Err(Error::WrongHome { group: at.group, epoch: header.epoch }),
        None => Err(Error::WrongHome { group: at.group, epoch: Epoch(0) }),
    }
}

/// Calls `visit` with each existing message of the set, by rising UID, until it returns `false`.
fn each_message(
    kv: &dyn KvRead,
    (mailbox, folder): (MailboxId, FolderId),
    uids: &UidSet,
    mut visit: impl FnMut(Uid, HotRow) -> Result<bool>,
) -> Result<()> {
    let mut go_on = true;
    for (first, last) in uids.ranges() {
        if !go_on {
            break;
        }
        if first == last {
            if let Some(row) = rows::hot(kv, mailbox, folder, first)? {
                go_on = visit(Uid(first), row)?;
            }
            continue;
        }
        let from = rows::folder_key(mailbox, folder, first);
        let to = crate::kv::behind(&rows::folder_key(mailbox, folder, last));
        crate::kv::each(kv, crate::kv::Table::Hot, &from, &to, |key, row| {
            go_on = visit(Uid(crate::kv::key_u32(key, 12)?), row)?;
            Ok(go_on)
        })?;
    }
    Ok(())
}

/// The existing messages of the set, for a command.
///
/// # Errors
/// `NotFound` (folder), `TooLarge` when there are more than [`UIDS_PER_COMMAND_MAX`].
fn messages(work: &mut Work<'_>, folder: FolderId, uids: &UidSet) -> Result<Vec<(Uid, HotRow)>> {
    work.folder(folder)?;
    let mut out = Vec::new();
    each_message(work.view(), (work.mailbox, folder), uids, |uid, row| {
        out.push((uid, row));
        Ok(out.len() as u64 <= UIDS_PER_COMMAND_MAX)
    })?;
    if out.len() as u64 > UIDS_PER_COMMAND_MAX {
        return Err(Error::TooLarge(format!("more than {UIDS_PER_COMMAND_MAX} messages in one command")));
    }
    Ok(out)
}
