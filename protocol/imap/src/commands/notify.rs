//! NOTIFY (RFC 5465): news of the selected mailbox and of others, unasked, while no command is under way.

mod news;

pub use news::Known;

use super::annotations;
use super::names::shown;
use super::status::{Line, write_status};
use crate::codec::command::{EventGroup, Events, MailboxFilter, Notify, StatusItems};
use crate::codec::pattern::fold_inbox;
use crate::errors::{Answer, Failure, Reply};
use crate::session::numbers::from;
use crate::session::{Expunges, Mailbox, Selected, Session};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use zcluster_api::mailbox::Folder;
use zcluster_api::{Error, FolderId, ModSeq};

/// Mailboxes that one session may watch: what is known of each is held in memory.
const WATCHED_MAX: usize = 2_000;
/// The events there are, for BADEVENT.
const SUPPORTED: &str = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange \
                         ServerMetadataChange";

/// What a session is to be told.
pub struct Notifier {
    groups: Arc<[EventGroup]>,
    /// Watched mailboxes as the client knows them. Empty when only the selected one is watched.
    known: BTreeMap<FolderId, Known>,
    /// Position of `known`.
    modseq: ModSeq,
    /// Of the user's mailbox, and of another's while a folder there is selected. In a mutex that is never contended: a
    /// session is shared between threads while it is read.
    rises: Mutex<BoxStream<'static, ModSeq>>,
    /// Something happened that could not be read: its rise will not be told again.
    pub behind: bool,
}

impl Notifier {
    /// Waits until the mailbox changed; `false` when it is gone.
    pub async fn changed(&mut self) -> bool {
        self.rises.get_mut().unwrap_or_else(PoisonError::into_inner).next().await.is_some()
    }
    /// Position.
    pub fn modseq(&self) -> ModSeq {
        self.modseq
    }
    /// Follows what is selected from now on.
    pub fn follow(&mut self, own: &Mailbox, selected: Option<&Selected>) {
        self.rises = Mutex::new(rises(own, self.modseq, selected));
    }
    fn watches_others(&self) -> bool {
        let others =
            |g: &EventGroup| !matches!(g.filter, MailboxFilter::Selected(_)) && g.events.any(Events::OF_MAILBOX);
        self.groups.iter().any(others)
    }
    fn has(&self, event: Events) -> bool {
        self.groups.iter().any(|g| g.events.has(event))
    }
    /// Whether changes of a folder's annotations are to be told (RFC 5465 §5.6).
    pub fn wants_metadata(&self, folder: &Folder) -> bool {
        events_of(&self.groups, folder).is_some_and(|e| e.has(Events::MAILBOX_METADATA))
    }
}

/// Rises of the user's own mailbox after `since`, and of the selected folder's, which may be another's.
pub fn rises(own: &Mailbox, since: ModSeq, selected: Option<&Selected>) -> BoxStream<'static, ModSeq> {
    match selected {
        Some(view) if view.mailbox.is_others() => {
            futures::stream::select(own.watch(since), view.mailbox.watch(view.modseq)).boxed()
        }
        Some(view) => own.watch(since.min(view.modseq)),
        None => own.watch(since),
    }
}

/// Whether changes of the server's annotations are to be told (RFC 5465 §5.7).
pub fn wants_server_metadata(s: &Session) -> bool {
    s.notifier.as_deref().is_some_and(|n| n.has(Events::SERVER_METADATA))
}

/// `NOTIFY SET` and `NOTIFY NONE` (RFC 5465 §3.1). Each takes the place of the one before.
pub async fn notify(s: &mut Session, wish: Option<Notify>) -> Answer {
    let Some(wish) = wish else {
        s.notifier = None;
        annotations::unfollow(s);
        unmute(s);
        return Ok(Reply::Ok("NOTIFY completed".into()));
    };
    if wish.groups.iter().any(|g| g.events.has(Events::UNSUPPORTED)) {
        return Err(Failure::no(format!("[BADEVENT ({SUPPORTED})] some events are not known here")));
    }
    let mailbox = s.mailbox()?;
    let modseq = mailbox.position().await?;
    let rises = Mutex::new(rises(&mailbox, modseq, s.selected.as_deref()));
    let mut notifier = Notifier { groups: wish.groups.into(), known: BTreeMap::new(), modseq, rises, behind: false };
    if notifier.watches_others() {
        let folders = mailbox.folders().await?;
        if folders.iter().filter(|f| events_of(&notifier.groups, f).is_some()).count() > WATCHED_MAX {
            return Err(Failure::no("[NOTIFICATIONOVERFLOW] these are too many mailboxes to watch"));
        }
        for folder in folders.iter().filter(|f| events_of(&notifier.groups, f).is_some()) {
            notifier.known.insert(folder.id, Known::new(folder));
            if wish.status {
                write_first_status(s, &notifier.groups, folder);
                s.spill_if_full().await?;
            }
        }
    }
    if notifier.has(Events::MAILBOX_METADATA) || notifier.has(Events::SERVER_METADATA) {
        annotations::follow(s, false).await?;
    } else {
        annotations::unfollow(s);
    }
    s.notifier = Some(Box::new(notifier));
    unmute(s);
    if let Some(view) = s.selected.as_deref_mut() {
        view.notified = view.uids.last().unwrap_or(0);
    }
    // What was not told until now comes before the OK (RFC 5465 §3.1).
    look(s, Expunges::Tell).await?;
    Ok(Reply::Ok("NOTIFY completed".into()))
}

fn unmute(s: &mut Session) {
    if let Some(view) = s.selected.as_deref_mut() {
        view.mute_flags = false;
    }
}

/// The events of all groups that the mailbox meets (RFC 5465 §6: several can apply), when it is not the selected one;
/// nothing: none are wanted.
fn events_of(groups: &[EventGroup], folder: &Folder) -> Option<Events> {
    let name = shown(folder);
    let met = groups.iter().filter(|g| meets(&g.filter, folder, &name));
    let events = met.fold(Events::default(), |all, g| all.with(g.events)).only(Events::OF_MAILBOX);
    (!events.is_empty()).then_some(events)
}

/// Whether a mailbox is among those that are meant; the selected one is for the caller to know.
pub fn meets(filter: &MailboxFilter, folder: &Folder, name: &str) -> bool {
    let alike = |wanted: &String| fold_inbox(wanted).to_lowercase() == name.to_lowercase();
    let below = |wanted: &String| {
        let (top, name) = (fold_inbox(wanted).to_lowercase(), name.to_lowercase());
        name.strip_prefix(&top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match filter {
        MailboxFilter::Selected(_) => false,
        // Filters file into any folder: then it is the same as the other (RFC 5465 §6.3).
        MailboxFilter::Inboxes | MailboxFilter::Personal => true,
        MailboxFilter::Subscribed => folder.subscribed,
        MailboxFilter::Subtree(names) => names.iter().any(below),
        MailboxFilter::SubtreeOne(names) => {
            let top = |name: &str| name.rsplit_once('/').map(|(top, _)| top.to_lowercase());
            names.iter().any(|w| alike(w) || top(name) == Some(fold_inbox(w).to_lowercase()))
        }
        MailboxFilter::Mailboxes(names) => names.iter().any(alike),
    }
}

/// The STATUS that `NOTIFY SET STATUS` asks for (RFC 5465 §3.1): not of the selected mailbox.
fn write_first_status(s: &mut Session, groups: &[EventGroup], folder: &Folder) {
    let events = events_of(groups, folder).unwrap_or_default();
    if !is_selected(s, folder) && events.any(Events::MESSAGE_NEW.with(Events::FLAG_CHANGE)) {
        write_status_of(s, folder, StatusItems::MESSAGES.with(StatusItems::UIDNEXT).with(StatusItems::UIDVALIDITY));
    }
}

/// Whether a folder of the user's own is the selected one. Ids are a mailbox's own: another's folder may have the same.
fn is_selected(s: &Session, folder: &Folder) -> bool {
    s.selected.as_deref().is_some_and(|v| v.folder == folder.id && !v.mailbox.is_others())
}

/// STATUS with these items, UNSEEN, and HIGHESTMODSEQ for those who know mod-sequences.
fn write_status_of(s: &mut Session, folder: &Folder, items: StatusItems) {
    let mut items = items.with(StatusItems::UNSEEN);
    if s.condstore {
        items.add(StatusItems::HIGHESTMODSEQ);
    }
    let (append_limit, utf8) = (s.config().append_bytes_max, s.utf8);
    let name = &shown(folder);
    let line = Line { name, folder, suffix: "", items, recent: 0, deleted_bytes: 0, append_limit, utf8 };
    write_status(&line, &mut s.out);
}

/// Tells what is new. What cannot be read just now is looked for again later. `expunges`: whether IDLE or a command
/// allows EXPUNGE even to those who asked for SELECTED-DELAYED.
pub async fn look(s: &mut Session, expunges: Expunges) -> Result<(), Failure> {
    let outcome = Box::pin(tell(s, expunges)).await;
    let behind = match outcome {
        Ok(()) => false,
        Err(Failure::Api(error @ (Error::Unavailable(_) | Error::WrongHome { .. }))) => {
            tracing::debug!(%error, "cannot look for changes now");
            true
        }
        Err(other) => return Err(other),
    };
    if let Some(notifier) = s.notifier.as_deref_mut() {
        notifier.behind = behind;
    }
    Ok(())
}

async fn tell(s: &mut Session, expunges: Expunges) -> Result<(), Failure> {
    let Some(groups) = s.notifier.as_deref().map(|n| n.groups.clone()) else { return Ok(()) };
    tell_selected(s, &groups, expunges).await?;
    let Some(mut notifier) = s.notifier.take() else { return Ok(()) };
    // Put back before any error is passed on: what was told is in it.
    let told = match notifier.watches_others() {
        true => news::tell_others(s, &mut notifier).await,
        false => Ok(true),
    };
    match told {
        Ok(false) => {
            annotations::unfollow(s);
            s.line(format_args!("* OK [NOTIFICATIONOVERFLOW] too much happened, NOTIFY is off"));
        }
        Ok(true) => s.notifier = Some(notifier),
        Err(error) => {
            s.notifier = Some(notifier);
            return Err(error);
        }
    }
    annotations::look(s).await
}

/// RFC 5465 §5.1 to §5.3 for the selected mailbox: EXISTS with what was asked of new messages, EXPUNGE, FETCH.
async fn tell_selected(s: &mut Session, groups: &[EventGroup], expunges: Expunges) -> Result<(), Failure> {
    let selected = groups.iter().find_map(|g| match g.filter {
        MailboxFilter::Selected(delayed) if !g.events.is_empty() => Some((g, delayed)),
        _ => None,
    });
    let (Some((group, delayed)), Some(view)) = (selected, s.selected.as_deref_mut()) else { return Ok(()) };
    view.mute_flags = !group.events.has(Events::FLAG_CHANGE);
    let synced = s.sync(if delayed { expunges } else { Expunges::Tell }, &[]).await;
    unmute(s);
    synced?;
    let Some(view) = s.selected.as_deref_mut() else { return Ok(()) };
    // Some may have been announced by a command meanwhile, without what was asked of them.
    let new = view.notified.checked_add(1).map(|first| from(&view.uids, first)).unwrap_or_default();
    view.notified = view.uids.last().unwrap_or(0).max(view.notified);
    match &group.fetch {
        Some(fetch) if !new.is_empty() => super::fetch::tell(s, fetch, new).await.map(|_| ()),
        _ => Ok(()),
    }
}

/// The mailbox and what of it changed.
async fn read_news(mailbox: &Mailbox, since: ModSeq) -> Result<(Vec<Folder>, bool, ModSeq), Error> {
    let news = mailbox.folder_news(since).await?;
    if !news.tree {
        return Ok((news.folders, false, news.modseq));
    }
    Ok((mailbox.folders().await?, true, news.modseq))
}
