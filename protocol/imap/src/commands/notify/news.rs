//! What is new in mailboxes that are not selected.

use super::{Notifier, WATCHED_MAX, events_of, is_selected, read_news, write_status_of};
use crate::codec::command::{Events, StatusItems};
use crate::commands::names::{shown, write_listed};
use crate::errors::Failure;
use crate::session::Session;
use std::collections::{BTreeMap, BTreeSet};
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

/// What is known of all folders while one look is told. Empty when the tree has not changed.
struct Tree {
    /// Those with folders below.
    parents: BTreeSet<FolderId>,
    /// Old and new names of what was renamed, a parent before what is below it.
    renamed: Vec<(String, String)>,
    /// Parents of what came or went: they are affected, too (RFC 5465 §5.4).
    affected: BTreeSet<FolderId>,
    /// Told of already.
    told: BTreeSet<FolderId>,
}

impl Tree {
    fn has_children(&self, folder: &Folder) -> bool {
        self.parents.contains(&folder.id)
    }

    /// Whether the name changed only because one above did: no event of its own (RFC 5465 §5.4).
    fn moved_along(&self, old: &str, new: &str) -> bool {
        self.renamed.iter().any(|(from, to)| {
            let below =
                |name: &str, top: &str| name.strip_prefix(top).filter(|r| r.starts_with('/')).map(str::to_string);
            below(old, from).is_some_and(|rest| below(new, to) == Some(rest))
        })
    }
}

/// Tells of all watched mailboxes; `false` when there are too many by now.
pub async fn tell_others(s: &mut Session, notifier: &mut Notifier) -> Result<bool, Failure> {
    let (folders, all, modseq) = read_news(&s.mailbox()?, notifier.modseq).await?;
    let parents = if all { folders.iter().map(|f| f.parent).collect() } else { BTreeSet::new() };
    let mut tree = Tree { parents, renamed: Vec::new(), affected: BTreeSet::new(), told: BTreeSet::new() };
    for folder in &folders {
        tell_one(s, notifier, folder, &mut tree);
        s.spill_if_full().await?;
    }
    if all {
        tell_gone(s, notifier, &folders, &mut tree);
        for folder in folders.iter().filter(|f| tree.affected.contains(&f.id) && !tree.told.contains(&f.id)) {
            if events_of(&notifier.groups, folder).is_some_and(|e| e.has(Events::MAILBOX_NAME)) {
                write_list(s, &Known::new(folder), None, tree.has_children(folder));
            }
        }
    }
    notifier.modseq = notifier.modseq.max(modseq);
    Ok(notifier.known.len() <= WATCHED_MAX)
}

fn tell_one(s: &mut Session, notifier: &mut Notifier, folder: &Folder, tree: &mut Tree) {
    let now = Known::new(folder);
    let Some(events) = events_of(&notifier.groups, folder) else {
        // It was renamed or unsubscribed out of what is watched.
        if let Some(before) = notifier.known.remove(&folder.id) {
            tell_left(s, notifier, &before, &now, tree.has_children(folder));
        }
        return;
    };
    let before = notifier.known.insert(folder.id, now.clone());
    let old = before.as_ref().map(|b| b.name.clone()).filter(|old| *old != now.name);
    let along = old.as_ref().is_some_and(|old| tree.moved_along(old, &now.name));
    let named = events.has(Events::MAILBOX_NAME) && (before.is_none() || old.is_some() && !along);
    let was_subscribed = before.as_ref().is_some_and(|b| b.subscribed);
    let subscription = events.has(Events::SUBSCRIPTION_CHANGE) && was_subscribed != now.subscribed;
    if named || subscription {
        write_list(s, &now, old.as_deref().filter(|_| named), tree.has_children(folder));
        tree.told.insert(folder.id);
    }
    match old {
        Some(old) => tree.renamed.push((old, now.name.clone())),
        None if before.is_none() && named => drop(tree.affected.insert(folder.parent)),
        None => {}
    }
    // The selected mailbox has its own events.
    if !is_selected(s, folder) {
        tell_messages(s, events, before.as_ref(), &now, folder);
    }
}

/// RFC 5465 §5.4 and §5.5: LIST with what is true of the mailbox, and the name it had before.
fn write_list(s: &mut Session, now: &Known, old: Option<&str>, has_children: bool) {
    let children = if has_children { "\\HasChildren" } else { "\\HasNoChildren" };
    let attributes: &[&str] = if now.subscribed { &[children, "\\Subscribed"] } else { &[children] };
    write_listed(attributes, &now.name, old, s.utf8, &mut s.out);
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
fn tell_left(s: &mut Session, notifier: &Notifier, before: &Known, now: &Known, has_children: bool) {
    let named = notifier.has(Events::MAILBOX_NAME) && before.name != now.name;
    let subscription = notifier.has(Events::SUBSCRIPTION_CHANGE) && before.subscribed != now.subscribed;
    if named || subscription {
        write_list(s, now, Some(before.name.as_str()).filter(|_| named), has_children);
    }
}

/// Watched mailboxes that are not there any more (RFC 5465 §5.4).
fn tell_gone(s: &mut Session, notifier: &mut Notifier, folders: &[Folder], tree: &mut Tree) {
    let there: BTreeMap<FolderId, &Folder> = folders.iter().map(|f| (f.id, f)).collect();
    let by_name: BTreeMap<String, FolderId> = folders.iter().map(|f| (shown(f), f.id)).collect();
    let named = notifier.has(Events::MAILBOX_NAME);
    notifier.known.retain(|id, known| {
        let stays = there.contains_key(id);
        if !stays && named {
            write_listed(&["\\NonExistent"], &known.name, None, s.utf8, &mut s.out);
            let parent = known.name.rsplit_once('/').and_then(|(parent, _)| by_name.get(parent));
            tree.affected.extend(parent);
        }
        stays
    });
}
