//! What of the mailboxes of a group may be so old by now that it is to go: for the leader, who knows for how long accounts
//! keep it.

use super::dumpster::saved_ms;
use super::rows::{self, Header, HotRow, Life};
use crate::kv::{KvRead, Table, behind, each, key_u32, key_u64};
use zcluster_api::mailbox::{Traits, folders};
use zcluster_api::{AccountId, FolderId, MailboxId, Result};

/// Folders below Trash or Junk that are looked at.
const FOLDERS_MAX: usize = 1_000;

/// The oldest of what a mailbox has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Whose it is.
    pub account: AccountId,
    /// When the first of its deleted messages was deleted, Unix milliseconds.
    pub deleted_ms: Option<u64>,
    /// Trash and the folders below, with messages: which, and when the first of these came there, Unix milliseconds.
    pub trash: Vec<(FolderId, u64)>,
    /// Junk and the folders below, the same way.
    pub junk: Vec<(FolderId, u64)>,
}

/// A page of mailboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetainedPage {
    /// Those that have anything.
    pub mailboxes: Vec<Retained>,
    /// Ask again behind this one; `None` at the end.
    pub next: Option<MailboxId>,
}

/// Looks at up to `most` mailboxes behind `after`. Those that no command of an account has come to are left out.
///
/// # Errors
/// `Internal`: damaged rows.
pub fn retained(kv: &dyn KvRead, after: Option<MailboxId>, most: usize) -> Result<RetainedPage> {
    let from = after.map_or(Vec::new(), |after| behind(&rows::mailbox_key(after)));
    if after.is_some() && from.is_empty() {
        return Ok(RetainedPage::default());
    }
    let (mut headers, mut last) = (Vec::new(), None);
    let mut seen = 0;
    each(kv, Table::Mailbox, &from, &[0xFF; 9], |key, header: Header| {
        let mailbox = MailboxId(key_u64(key, 0)?);
        (last, seen) = (Some(mailbox), seen + 1);
        if let (Life::Live, Some(traits)) = (header.life, header.traits) {
            headers.push((mailbox, traits.account, header.kept.is_some()));
        }
        Ok(seen < most)
    })?;
    let mut page = RetainedPage { mailboxes: Vec::new(), next: last.filter(|_| seen >= most) };
    for (mailbox, account, has_deleted) in headers {
        let deleted_ms = if has_deleted { first_deleted(kv, mailbox)? } else { None };
        let (trash, junk) = (below(kv, mailbox, folders::TRASH)?, below(kv, mailbox, folders::JUNK)?);
        if deleted_ms.is_some() || !trash.is_empty() || !junk.is_empty() {
            page.mailboxes.push(Retained { mailbox, account, deleted_ms, trash, junk });
        }
    }
    Ok(page)
}

/// What a mailbox was last told of its account.
///
/// # Errors
/// `Internal`: damaged rows.
pub fn traits(kv: &dyn KvRead, mailbox: MailboxId) -> Result<Option<Traits>> {
    Ok(rows::header(kv, mailbox)?.and_then(|header| header.traits))
}

fn first_deleted(kv: &dyn KvRead, mailbox: MailboxId) -> Result<Option<u64>> {
    let prefix = rows::mailbox_key(mailbox);
    let mut first = Ok(None);
    kv.scan(Table::DumpsterOrder, &prefix, &behind(&prefix), &mut |key, _| {
        first = key_u64(key, 8).map(Some);
        false
    });
    first
}

/// The folder and those below it that have messages, with the time of the first of them.
fn below(kv: &dyn KvRead, mailbox: MailboxId, top: FolderId) -> Result<Vec<(FolderId, u64)>> {
    let (mut all, mut at) = (vec![top], 0);
    let mut found = Vec::new();
    while let Some(folder) = all.get(at).copied() {
        at += 1;
        let prefix = rows::number_key(mailbox, folder.0);
        if rows::folder(kv, mailbox, folder)?.is_some_and(|row| row.messages > 0) {
            each(kv, Table::Hot, &prefix, &behind(&prefix), |_, row: HotRow| {
                found.push((folder, saved_ms(&row)));
                Ok(false)
            })?;
        }
        let mut outcome = Ok(());
        kv.scan(Table::FolderName, &prefix, &behind(&prefix), &mut |_, id| {
            match key_u32(id, 0) {
                Ok(id) => all.push(FolderId(id)),
                Err(e) => outcome = Err(e),
            }
            outcome.is_ok() && all.len() < FOLDERS_MAX
        });
        outcome?;
    }
    Ok(found)
}
