//! Subscriptions of names that no folder has any more: "the server MUST NOT unilaterally remove an existing mailbox name
//! from the subscription list even if a mailbox by that name no longer exists" (RFC 3501 §6.3.6).

use super::rows;
use super::work::Work;
use crate::kv::{KvRead, Table, behind};
use zcluster_api::{MailboxId, Receipt, Result};

/// Names kept in a mailbox at most. Beyond it a deleted folder's subscription goes with it.
const KEPT_MAX: usize = 1_000;

fn key(mailbox: MailboxId, path: &str) -> Vec<u8> {
    rows::text_key(mailbox, rows::fold(path).as_bytes())
}

/// Keeps the subscription of a folder that is being deleted.
pub(super) fn keep(work: &mut Work<'_>, path: &str) {
    if all(work.view(), work.mailbox).len() < KEPT_MAX {
        work.kv.put(Table::LostSubscription, &key(work.mailbox, path), path.as_bytes().to_vec());
    }
}

/// Takes a name's subscription out; says whether there was one.
pub(super) fn take(work: &mut Work<'_>, path: &str) -> bool {
    let key = key(work.mailbox, path);
    let there = work.view().get(Table::LostSubscription, &key).is_some();
    if there {
        work.kv.delete(Table::LostSubscription, &key);
    }
    there
}

/// RFC 3501 §6.3.7 for a name without a folder.
pub(super) fn forget(work: &mut Work<'_>, path: &str) -> Result<Receipt> {
    if take(work, path) {
        work.tree_changed();
    }
    Ok(Receipt::Done)
}

/// The names, by their lower-case form.
pub(super) fn all(kv: &dyn KvRead, mailbox: MailboxId) -> Vec<String> {
    let prefix = rows::mailbox_key(mailbox);
    let mut out = Vec::new();
    kv.scan(Table::LostSubscription, &prefix, &behind(&prefix), &mut |_, path| {
        out.push(String::from_utf8_lossy(path).into_owned());
        true
    });
    out
}
