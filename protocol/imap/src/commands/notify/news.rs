//! What is new in mailboxes that are not selected.

use super::{Notifier, WATCHED_MAX, events_of, is_selected, read_news, write_status_of};
use crate::codec::command::{Events, StatusItems};
use crate::commands::names::{shown, write_entry, write_renamed};
use crate::errors::Failure;
use crate::session::Session;
use std::collections::BTreeSet;
use zcluster_api::mailbox::Folder;
use zcluster_api::{FolderId, ModSeq, Uid};

/// A watched mailbox as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    name: String,
    subscribed: bool,
    messages: u32,
    unread: u32,
    uid_next: Uid,
    highest_modseq: ModSeq,
}

impl Known {
    /// As it is now.
    pub fn new(folder: &Folder) -> Self {
        Known {
            name: shown(folder),
            subscribed: folder.subscribed,
            messages: folder.messages,
            unread: folder.unread,
            uid_next: folder.uid_next,
            highest_modseq: folder.highest_modseq,
        }
    }
    /// Messages came or went.
    fn counts_differ(&self, now: &Known) -> bool {
        (self.messages, self.uid_next) != (now.messages, now.uid_next)
    }
}

/// Tells of all watched mailboxes; `false` when there are too many by now.
pub async fn tell_others(s: &mut Session, notifier: &mut Notifier) -> Result<bool, Failure> {
    let (folders, all, modseq) = read_news(&s.mailbox()?, notifier.modseq).await?;
    for folder in &folders {
        tell_one(s, notifier, folder);
        s.spill_if_full().await?;
    }
    if all {
        tell_gone(s, notifier, &folders);
    }
    notifier.modseq = notifier.modseq.max(modseq);
    Ok(notifier.known.len() <= WATCHED_MAX)
}

fn tell_one(s: &mut Session, notifier: &mut Notifier, folder: &Folder) {
    let now = Known::new(folder);
    let Some(events) = events_of(&notifier.groups, folder) else {
        // It was renamed or unsubscribed out of what is watched.
        if let Some(before) = notifier.known.remove(&folder.id) {
            tell_left(s, notifier, &before, &now);
        }
        return;
    };
    let before = notifier.known.insert(folder.id, now.clone());
    if events.has(Events::MAILBOX_NAME) {
        match &before {
            // RFC 5465 §5.4.
            None => write_renamed(&now.name, None, s.utf8, &mut s.out),
            Some(before) if before.name != now.name => {
                write_renamed(&now.name, Some(&before.name), s.utf8, &mut s.out);
            }
            Some(_) => {}
        }
    }
    if events.has(Events::SUBSCRIPTION_CHANGE)
        && before.as_ref().map_or(now.subscribed, |b| b.subscribed != now.subscribed)
    {
        tell_subscription(s, &now);
    }
    // The selected mailbox has its own events.
    if !is_selected(s, folder) {
        tell_messages(s, events, before.as_ref(), &now, folder);
    }
}

/// RFC 5465 §5.5.
fn tell_subscription(s: &mut Session, now: &Known) {
    let attributes: &[&str] = if now.subscribed { &["\\Subscribed"] } else { &[] };
    write_entry("LIST", attributes, &now.name, s.utf8, &mut s.out);
    s.out.extend_from_slice(b"\r\n");
}

/// RFC 5465 §5.1 to §5.3, for mailboxes that are not selected: STATUS.
fn tell_messages(s: &mut Session, events: Events, before: Option<&Known>, now: &Known, folder: &Folder) {
    let moved = before.is_none_or(|b| b.counts_differ(now));
    let changed = before.is_none_or(|b| (b.unread, b.highest_modseq) != (now.unread, now.highest_modseq));
    if moved && events.any(Events::MESSAGE_NEW.with(Events::MESSAGE_EXPUNGE)) {
        write_status_of(s, folder, StatusItems::MESSAGES.with(StatusItems::UIDNEXT).with(StatusItems::UIDVALIDITY));
    } else if changed && !moved && events.has(Events::FLAG_CHANGE) {
        write_status_of(s, folder, StatusItems::UIDVALIDITY);
    }
}

/// A mailbox that was watched and is not any more, under whatever name.
fn tell_left(s: &mut Session, notifier: &Notifier, before: &Known, now: &Known) {
    let named = notifier.groups.iter().any(|g| g.events.has(Events::MAILBOX_NAME));
    let subscriptions = notifier.groups.iter().any(|g| g.events.has(Events::SUBSCRIPTION_CHANGE));
    if named && before.name != now.name {
        write_renamed(&now.name, Some(&before.name), s.utf8, &mut s.out);
    }
    if subscriptions && before.subscribed != now.subscribed {
        tell_subscription(s, now);
    }
}

/// Watched mailboxes that are not there any more (RFC 5465 §5.4).
fn tell_gone(s: &mut Session, notifier: &mut Notifier, folders: &[Folder]) {
    let there: BTreeSet<FolderId> = folders.iter().map(|f| f.id).collect();
    let named = notifier.groups.iter().any(|g| g.events.has(Events::MAILBOX_NAME));
    notifier.known.retain(|id, known| {
        let stays = there.contains(id);
        if !stays && named {
            write_entry("LIST", &["\\NonExistent"], &known.name, s.utf8, &mut s.out);
            s.out.extend_from_slice(b"\r\n");
        }
        stays
    });
}
