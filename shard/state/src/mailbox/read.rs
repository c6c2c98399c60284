//! Queries.

use super::index::{Indexes, NoIndexes};
use super::names;
use super::queue;
use super::rows::{self, ChangeRow, FolderChange, FolderRow, Header, HotRow, Kept};
use super::tags::{self, Names};
use super::work::{CHANGES_KEPT, no_folder};
use super::{
    Place, at_home, dumpster, each_message, metadata, missed, outgoing, pages, permit, scripts, search, seen, sharing,
    sort, subscriptions, thread, url_auth,
};
use crate::bodies;
use crate::content::Content;
use crate::group::Group;
use crate::kv::{KvRead, Table, behind, each, key_u64};
use std::collections::BTreeMap;
use zcluster_api::body::BlobAt;
use zcluster_api::delivery::{SEEN_PER_COMMAND_MAX, SeenId};
use zcluster_api::mailbox::folders::USER_ROOT;
use zcluster_api::mailbox::{Folder, MESSAGES_PER_PAGE_MAX, Message, StoredFlags, Want};
use zcluster_api::sharing::Rights;
use zcluster_api::{
    AccountId, Epoch, Error, FolderId, GroupId, MailboxId, MailboxQuery, MailboxReply, ModSeq, Result, Uid, UidSet,
};

/// Messages that one `Messages` query looks at; `CHANGEDSINCE` may let few of them pass.
const MESSAGES_SEEN_MAX: usize = 20_000;
/// Bytes of summaries in one `Messages` reply, after which the page ends.
const SUMMARY_BYTES_PER_PAGE: usize = 4 * 1024 * 1024;
/// Changes that one `Changes` query reads.
const CHANGES_PER_PAGE: usize = 5_000;
/// Messages that one `Changes` reply tells of, after which the page ends (with the change that crossed it).
const CHANGED_PER_PAGE: u64 = 2_000;

/// Which mailbox is asked, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// The group that is asked.
    pub group: GroupId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The home epoch the asker knows.
    pub epoch: Epoch,
    /// Bytes, 0 = none: told back in `Info`.
    pub quota: u64,
    /// The asking account, when it is not the owner.
    pub actor: Option<AccountId>,
}

/// Answers an owner's question about a mailbox. `quota` (bytes, 0 = none) is told back in `Info`.
///
/// # Errors
/// `WrongHome` when the mailbox is not in this group at this epoch; else what the query documents.
pub fn read_mailbox(
    kv: &dyn KvRead,
    group: GroupId,
    mailbox: MailboxId,
    epoch: Epoch,
    quota: u64,
    query: &MailboxQuery,
    content: &dyn Content,
) -> Result<MailboxReply> {
    read_mailbox_as(kv, Asking { group, mailbox, epoch, quota, actor: None }, query, content)
}

/// Answers a question about a mailbox, as far as the asking account has the rights (see `permit`).
///
/// # Errors
/// As [`read_mailbox`], and `Denied`; `NotFound` also for what the account may not know of.
pub fn read_mailbox_as(
    kv: &dyn KvRead,
    at: Asking,
    query: &MailboxQuery,
    content: &dyn Content,
) -> Result<MailboxReply> {
    read_mailbox_with(kv, at, query, content, &NoIndexes)
}

/// The same, with what was kept of folders at earlier searches.
///
/// # Errors
/// As [`read_mailbox_as`].
pub fn read_mailbox_with(
    kv: &dyn KvRead,
    at: Asking,
    query: &MailboxQuery,
    content: &dyn Content,
    indexes: &dyn Indexes,
) -> Result<MailboxReply> {
    let Asking { group, mailbox, epoch, quota, actor } = at;
    let header = at_home(kv, Place { group, mailbox, epoch, quota, actor, traits: None })?;
    if let Some(actor) = actor {
        permit::query(kv, mailbox, actor, query)?;
    }
    let view = View { kv, mailbox, header, actor, indexes };
    match query {
        MailboxQuery::Info => Ok(view.info(quota)),
        MailboxQuery::Folders => view.folders(),
        MailboxQuery::FolderByPath(path) => view.folder_by_path(path),
        MailboxQuery::Folder(id) => Ok(MailboxReply::Folders(vec![view.known_folder(*id)?])),
        MailboxQuery::Uids(id) => view.uids(*id),
        MailboxQuery::Messages { folder, uids, want, changed_since, limit } => {
            view.messages(*folder, uids, *want, *changed_since, *limit)
        }
        MailboxQuery::Changes { folder, since } => view.changes(*folder, *since),
        MailboxQuery::Missed { folder, since, known } => missed::missed(&view, *folder, *since, known.as_ref()),
        MailboxQuery::FolderNews(since) => missed::folder_news(&view, *since),
        MailboxQuery::LostSubscriptions => Ok(MailboxReply::Names(subscriptions::all(view.kv, view.mailbox))),
        MailboxQuery::Search { folder, within, expr } => search::search(&view, *folder, within.as_ref(), expr, content),
        MailboxQuery::Scripts => Ok(MailboxReply::Scripts(scripts::list(kv, mailbox, view.header.filters.as_ref())?)),
        MailboxQuery::Script(name) => Ok(MailboxReply::Script(scripts::one(kv, mailbox, name)?)),
        MailboxQuery::Filters { all, folders, seen } => view.filters(*all, *folders, seen),
        MailboxQuery::Outgoing(from) => Ok(MailboxReply::Outgoing(outgoing::list(kv, mailbox, *from)?)),
        MailboxQuery::Queue(page) => Ok(MailboxReply::Queue(queue::page(kv, mailbox, page)?)),
        MailboxQuery::QueueSummary(after) => Ok(MailboxReply::QueueSummary(queue::summary(kv, mailbox, *after)?)),
        MailboxQuery::UrlAuthKey(folder) => {
            view.row(*folder)?;
            Ok(MailboxReply::UrlAuthKey(url_auth::key(kv, mailbox, *folder)?))
        }
        MailboxQuery::Sort { folder, within, expr, by } => {
            sort::sort(&view, *folder, within.as_ref(), expr, by, content)
        }
        MailboxQuery::Thread { folder, within, expr, threading } => {
            thread::thread(&view, *folder, within.as_ref(), expr, *threading, content)
        }
        MailboxQuery::Blob(at) => view.blob(*at),
        MailboxQuery::Acl(folder) => sharing::read(kv, mailbox, *folder),
        MailboxQuery::Metadata { folder, entries, depth, max_size } => {
            folder.map(|id| view.row(id)).transpose()?;
            metadata::read(kv, (mailbox, actor), *folder, entries, *depth, *max_size)
        }
        MailboxQuery::MetadataNews(since) => metadata::news(&view, *since),
        MailboxQuery::Find(find) => search::find(&view, find, content),
        MailboxQuery::Dumpster(query) => dumpster::list(&view, query),
        MailboxQuery::SubscribedNames => Ok(metadata::subscribed_names(kv, mailbox)),
    }
}

/// A mailbox to be read.
pub(super) struct View<'a> {
    pub kv: &'a dyn KvRead,
    pub mailbox: MailboxId,
    header: Header,
    /// Who asks, when it is not the owner.
    actor: Option<AccountId>,
    /// What was kept of folders.
    pub indexes: &'a dyn Indexes,
}

impl View<'_> {
    fn info(&self, limit: u64) -> MailboxReply {
        let Header { used, messages, modseq, .. } = self.header;
        MailboxReply::Info { used, limit, messages, modseq }
    }

    fn folders(&self) -> Result<MailboxReply> {
        Ok(MailboxReply::Folders(self.all_folders()?))
    }

    fn all_folders(&self) -> Result<Vec<Folder>> {
        let all = names::all(self.kv, self.mailbox)?;
        let acls = if self.actor.is_some() { sharing::all(self.kv, self.mailbox)? } else { BTreeMap::new() };
        let mut out = Vec::new();
        for (id, row) in &all {
            let rights = self.actor.map(|actor| sharing::rights_among(&all, &acls, *id, actor));
            if rights.is_none_or(|r| r.has(Rights::LOOKUP)) {
                let path = names::path(row, |parent| Ok(all.get(&parent).cloned()))?;
                out.push(as_seen(names::show(*id, row, path), rights));
            }
        }
        out.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(out)
    }

    fn filters(&self, all: bool, folders: bool, ids: &[SeenId]) -> Result<MailboxReply> {
        let mut view = scripts::view(self.kv, self.mailbox, self.header.filters.as_ref(), all)?;
        if folders {
            view.folders = self.all_folders()?;
        }
        if !ids.is_empty() {
            let now_ms = Group::now(self.kv)?;
            let known = |id: &SeenId| seen::is_known(self.kv, self.mailbox, *id, now_ms);
            view.seen = ids.iter().take(SEEN_PER_COMMAND_MAX).map(known).collect::<Result<_>>()?;
        }
        Ok(MailboxReply::Filters(view))
    }

    fn folder_by_path(&self, path: &str) -> Result<MailboxReply> {
        // A path that cannot be a folder's names none.
        let missing = || Error::NotFound(format!("folder {path:?}"));
        let names = names::split(path).map_err(|_| missing())?;
        match names::walk(self.kv, self.mailbox, &names)? {
            (id, []) => match self.known_folder(id) {
                Err(Error::NotFound(_)) => Err(missing()),
                other => Ok(MailboxReply::Folders(vec![other?])),
            },
            _ => Err(missing()),
        }
    }

    pub fn row(&self, id: FolderId) -> Result<FolderRow> {
        let row = rows::folder(self.kv, self.mailbox, id)?.filter(|_| id != USER_ROOT);
        row.ok_or_else(|| no_folder(id))
    }

    /// The mailbox's mod-sequence.
    pub fn position(&self) -> ModSeq {
        self.header.modseq
    }

    /// How much of what was deleted is kept.
    pub fn kept(&self) -> Kept {
        self.header.kept.unwrap_or_default()
    }

    /// All item ids given so far are below.
    pub fn next_item(&self) -> u32 {
        self.header.next_item
    }

    /// The home epoch.
    pub fn epoch(&self) -> Epoch {
        self.header.epoch
    }

    pub fn folder(&self, id: FolderId) -> Result<Folder> {
        let row = self.row(id)?;
        let path = names::path(&row, |parent| rows::folder(self.kv, self.mailbox, parent))?;
        let rights = self.actor.map(|actor| sharing::rights(self.kv, self.mailbox, id, actor)).transpose()?;
        Ok(as_seen(names::show(id, &row, path), rights))
    }

    /// A folder that the asker has any right on: who may only add messages can name it all the same.
    fn known_folder(&self, id: FolderId) -> Result<Folder> {
        let folder = self.folder(id)?;
        if folder.rights.is_some_and(|r| !r.any(Rights::IMAP)) { Err(no_folder(id)) } else { Ok(folder) }
    }

    fn blob(&self, at: BlobAt) -> Result<MailboxReply> {
        let row = rows::hot(self.kv, self.mailbox, at.folder, at.uid.0)?;
        let row = row.ok_or_else(|| Error::NotFound(format!("message {} in folder {}", at.uid, at.folder)))?;
        Ok(MailboxReply::Blob(rows::cold(self.kv, self.mailbox, row.item)?.blob))
    }

    fn uids(&self, id: FolderId) -> Result<MailboxReply> {
        let folder = self.folder(id)?;
        let (uids, first_unseen) = pages::uids(self.kv, self.mailbox, id)?;
        Ok(MailboxReply::Uids {
            folder,
            uids,
            first_unseen: first_unseen.map(Uid),
            // Those of the other folders are nobody else's concern; those of this one are told as they come up.
            keywords: if self.actor.is_some() { Vec::new() } else { tags::all(self.kv, self.mailbox)? },
            modseq: self.header.modseq,
        })
    }

    fn messages(
        &self,
        folder: FolderId,
        uids: &UidSet,
        want: Want,
        changed_since: Option<ModSeq>,
        limit: u32,
    ) -> Result<MailboxReply> {
        let row = self.row(folder)?;
        let mut page = Page { messages: Vec::new(), next: None, seen: 0, bytes: 0 };
        if changed_since.is_some_and(|since| row.highest_modseq <= since) {
            return Ok(MailboxReply::Messages { messages: page.messages, next: None });
        }
        let limit = limit.clamp(1, MESSAGES_PER_PAGE_MAX) as usize;
        let mut names = Names::new(self.kv, self.mailbox);
        each_message(self.kv, (self.mailbox, folder), uids, |uid, row| {
            if page.is_full(limit) {
                page.next = Some(uid);
                return Ok(false);
            }
            page.seen += 1;
            if changed_since.is_none_or(|since| row.modseq > since) {
                let mut message = self.message(uid, row, want, &mut names)?;
                if let Some(blob) = message.blob.as_mut().filter(|_| self.actor.is_some()) {
                    blob.at = Some(BlobAt { folder, uid });
                }
                page.bytes += message.summary.len();
                page.messages.push(message);
            }
            Ok(true)
        })?;
        Ok(MailboxReply::Messages { messages: page.messages, next: page.next })
    }

    fn message(&self, uid: Uid, row: HotRow, want: Want, names: &mut Names<'_>) -> Result<Message> {
        let keywords = names.of(&row.tags)?;
        let (mut summary, mut blob) = (zcluster_api::Bytes::new(), None);
        if want.summary || want.blob {
            let cold = rows::cold(self.kv, self.mailbox, row.item)?;
            blob = if want.blob { Some(bodies::blob_ref(self.kv, cold.blob)?) } else { None };
            summary = if want.summary { cold.summary } else { summary };
        }
        Ok(Message {
            item: row.item,
            uid,
            modseq: row.modseq,
            flags: row.flags,
            keywords,
            internal_ms: row.internal_ms,
            size: row.size,
            saved_ms: row.saved_ms,
            summary,
            blob,
            thread: row.thread,
            copy_of: row.copy_of,
        })
    }

    /// RFC 7162's delta, from the change log. A page ends with a whole change, so that `modseq` is a position.
    fn changes(&self, folder: FolderId, since: ModSeq) -> Result<MailboxReply> {
        let now = self.header.modseq;
        let mut delta = FolderChange::new(folder);
        let gone = rows::folder(self.kv, self.mailbox, folder)?.is_none();
        // The log holds the newest CHANGES_KEPT changes; a position ahead of ours is from another life.
        let resync = since > now || since.0 + CHANGES_KEPT < now.0;
        if gone || resync {
            return Ok(MailboxReply::Changes {
                expunged: UidSet::new(),
                added: UidSet::new(),
                flags: Vec::new(),
                modseq: now,
                resync,
                folder_gone: gone,
                more: false,
            });
        }
        let modseq = self.collect(since, now, &mut delta)?;
        let (added, flags) = self.still_there(&delta)?;
        let more = modseq < now;
        Ok(MailboxReply::Changes { expunged: delta.expunged, added, flags, modseq, resync, folder_gone: gone, more })
    }

    /// Adds up the folder's changes after `since`; returns the position reached.
    fn collect(&self, since: ModSeq, now: ModSeq, delta: &mut FolderChange) -> Result<ModSeq> {
        let from = rows::long_key(self.mailbox, since.0 + 1);
        let to = behind(&rows::mailbox_key(self.mailbox));
        let (mut rows_read, mut told, mut reached) = (0, 0, now);
        each(self.kv, Table::Change, &from, &to, |key, row: ChangeRow| {
            for change in row.folders.into_iter().filter(|c| c.folder == delta.folder) {
                told += change.added.len() + change.flags.len() + change.expunged.len();
                merge(&mut delta.added, &change.added);
                merge(&mut delta.flags, &change.flags);
                merge(&mut delta.expunged, &change.expunged);
            }
            rows_read += 1;
            let go_on = rows_read < CHANGES_PER_PAGE && told < CHANGED_PER_PAGE;
            if !go_on {
                reached = ModSeq(key_u64(key, 8)?);
            }
            Ok(go_on)
        })?;
        Ok(reached)
    }

    /// The added and changed messages that are still in the folder, as they are now.
    fn still_there(&self, delta: &FolderChange) -> Result<(UidSet, Vec<StoredFlags>)> {
        let mut touched = delta.added.clone();
        merge(&mut touched, &delta.flags);
        let (mut added, mut flags) = (UidSet::new(), Vec::new());
        let mut names = Names::new(self.kv, self.mailbox);
        each_message(self.kv, (self.mailbox, delta.folder), &touched, |uid, row| {
            if delta.added.contains(uid.0) {
                added.insert(uid.0);
            }
            flags.push(StoredFlags { uid, modseq: row.modseq, flags: row.flags, keywords: names.of(&row.tags)? });
            Ok(true)
        })?;
        Ok((added, flags))
    }
}

/// A folder as somebody with these rights sees it (`None`: the owner).
fn as_seen(mut folder: Folder, rights: Option<Rights>) -> Folder {
    folder.rights = rights;
    if rights.is_some() {
        // Whether the owner is subscribed, or uses it for anything, says nothing about the asker.
        (folder.subscribed, folder.special_use) = (false, None);
    }
    if rights.is_some_and(|r| !r.has(Rights::READ)) {
        (folder.messages, folder.unread, folder.deleted, folder.bytes) = (0, 0, 0, 0);
    }
    folder
}

/// A page of messages being filled.
struct Page {
    messages: Vec<Message>,
    next: Option<Uid>,
    seen: usize,
    bytes: usize,
}

impl Page {
    fn is_full(&self, limit: usize) -> bool {
        self.messages.len() >= limit || self.seen >= MESSAGES_SEEN_MAX || self.bytes >= SUMMARY_BYTES_PER_PAGE
    }
}

fn merge(into: &mut UidSet, from: &UidSet) {
    from.ranges().for_each(|(first, last)| into.insert_range(first, last));
}
