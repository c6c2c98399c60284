//! STORE (RFC 3501 §6.4.6) with UNCHANGEDSINCE (RFC 7162 §3.1.3).

use crate::codec::command::{FlagList, Store, StoreMode};
use crate::errors::{Answer, Failure, Reply};
use crate::session::numbers::{Numbers, pieces, with};
use crate::session::{Expunges, Session, mailbox, passed_over, selected};
use zcluster_api::mailbox::{KeywordChange, StoredFlags, UIDS_PER_COMMAND_MAX};
use zcluster_api::{Flags, FolderId, MailboxCommand, ModSeq, UidSet};

pub async fn store(s: &mut Session, tag: &str, store: &Store) -> Answer {
    s.refresh_rights().await?;
    let folder = s.writable_view()?.folder;
    let uids = s.resolve(store.uid, &store.set)?;
    if store.unchanged_since.is_some() {
        s.enable_condstore();
    }
    let mailbox = s.selected_mailbox()?;
    let (mut modified, mut seen) = (UidSet::new(), 0);
    for piece in pieces(&uids, UIDS_PER_COMMAND_MAX) {
        s.progress(tag, seen, uids.len()).await;
        let stored = mailbox.store(command(store, folder, piece)).await?;
        modified = with(&modified, &stored.modified);
        seen += stored.changed.len() as u64 + stored.unaltered.len() as u64 + stored.modified.len();
        tell(s, store, &stored)?;
        // Somebody else was faster: their changes come with ours, which have been told.
        if !s.view_mut()?.passed(stored.modseq, !stored.changed.is_empty()) {
            let synced = s.sync(Expunges::Hold, &stored.changed).await;
            passed_over(synced)?;
        }
        s.spill_if_full().await?;
    }
    if store.uid
        && let Some(view) = s.selected.as_deref_mut()
    {
        view.tell_gone(&mut s.out);
    }
    Ok(Reply::Ok(conclusion(s, store, &modified, seen < uids.len())?.into()))
}

/// The mailbox command: `\Seen` is the absence of a bit; replacing touches IMAP's own bits only.
fn command(store: &Store, folder: FolderId, uids: UidSet) -> MailboxCommand {
    let FlagList { flags, seen, keywords } = &store.flags;
    let unread = if *seen { Flags::UNREAD } else { Flags::default() };
    let (add, remove, keywords) = match store.mode {
        StoreMode::Add => (*flags, unread, KeywordChange::Add(keywords.clone())),
        StoreMode::Remove => (unread, *flags, KeywordChange::Remove(keywords.clone())),
        StoreMode::Replace => {
            (selected::stored_bits(&store.flags), Flags::IMAP, KeywordChange::Replace(keywords.clone()))
        }
    };
    let unchanged_since = store.unchanged_since.map(ModSeq);
    MailboxCommand::Store { folder, uids, add, remove, keywords, unchanged_since }
}

/// FETCH responses with the new flags; `.SILENT` leaves them out, but mod-sequences are told to those who know them
/// (RFC 7162 §3.1.3).
fn tell(s: &mut Session, store: &Store, stored: &mailbox::Stored) -> Result<(), Failure> {
    let parts = selected::Stored { flags: !store.silent, modseq: s.condstore };
    if !parts.flags && !parts.modseq {
        return Ok(());
    }
    let Some(view) = s.selected.as_deref_mut() else { return Ok(()) };
    let numbers = Numbers::new(&view.uids);
    for m in merged(&stored.changed, &stored.unaltered) {
        view.write_stored(&numbers, m, parts, &mut s.out);
    }
    Ok(())
}

/// Both lists as one, in UID order.
fn merged<'a>(a: &'a [StoredFlags], b: &'a [StoredFlags]) -> impl Iterator<Item = &'a StoredFlags> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x.uid <= y.uid => a.next(),
        (_, Some(_)) => b.next(),
        _ => a.next(),
    })
}

/// `MODIFIED` names messages as the command did (RFC 7162 §3.1.3); EXPUNGEISSUED: some are gone (RFC 5530 §3).
fn conclusion(s: &Session, store: &Store, modified: &UidSet, some_gone: bool) -> Result<String, Failure> {
    if !modified.is_empty() {
        let view = s.view()?;
        let named = if store.uid { modified.clone() } else { Numbers::new(&view.uids).set(&view.uids, modified) };
        return Ok(format!("[MODIFIED {named}] some messages were changed meanwhile"));
    }
    Ok(if some_gone { "[EXPUNGEISSUED] STORE completed, some messages are gone" } else { "STORE completed" }.into())
}
