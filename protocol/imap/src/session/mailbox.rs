//! The inner API with its replies unpacked, so that commands never match on them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::mailbox::{Conversations, Folder, FolderView, Message, NewMessage, StoredFlags, UrlAuthKey, Want};
use zcluster_api::*;

/// How often a name is looked up for one command: each time but the first somebody else was faster.
const LOOK_UPS_MAX: usize = 8;

/// A mailbox with the eyes and rights of the signed-in account: its own, or another's.
#[derive(Clone)]
pub struct Mailbox {
    api: Arc<dyn MailboxApi>,
    /// Whose mailbox.
    pub(super) account: AccountId,
    /// Who acts.
    pub(super) actor: Actor,
    timeout: Duration,
    /// How conversations are built in it. Of another's mailbox that is not known here: the attribute's default.
    conversations: Conversations,
}

/// What SELECT wants to know.
pub struct Uids {
    /// The folder.
    pub folder: Folder,
    /// Its UIDs.
    pub uids: UidSet,
    /// The first without `\Seen`.
    pub first_unseen: Option<Uid>,
    /// Keywords in use in the mailbox.
    pub keywords: Vec<String>,
    /// Position.
    pub modseq: ModSeq,
}

/// What happened in a folder.
pub struct Changes {
    /// Gone.
    pub expunged: UidSet,
    /// New.
    pub added: UidSet,
    /// Changed or added.
    pub flags: Vec<StoredFlags>,
    /// Position.
    pub modseq: ModSeq,
    /// Read everything afresh.
    pub resync: bool,
    /// The folder is no more.
    pub folder_gone: bool,
    /// There is more to ask for.
    pub more: bool,
}

/// What a client has missed.
pub struct Missed {
    /// Gone.
    pub vanished: UidSet,
    /// The changed ones are among these.
    pub touched: UidSet,
    /// Both are no larger than they must be.
    pub exact: bool,
}

/// What happened to folders.
pub struct FolderNews {
    /// Folders with changed messages.
    pub folders: Vec<Folder>,
    /// All folders are to be read afresh.
    pub tree: bool,
    /// Position.
    pub modseq: ModSeq,
}

/// What STORE did.
pub struct Stored {
    /// Changed messages.
    pub changed: Vec<StoredFlags>,
    /// Messages that were as asked already.
    pub unaltered: Vec<StoredFlags>,
    /// Messages changed by others meanwhile.
    pub modified: UidSet,
    /// Position.
    pub modseq: ModSeq,
}

/// What a mailbox holds.
pub struct Usage {
    /// Bytes.
    pub used: u64,
    /// Bytes it may hold; 0: any.
    pub limit: u64,
    /// Messages in all folders.
    pub messages: u64,
}

/// What COPY and MOVE did.
pub struct Copied {
    /// The target's UIDVALIDITY.
    pub uid_validity: u32,
    /// (source, target).
    pub pairs: Vec<(Uid, Uid)>,
    /// Position.
    pub modseq: ModSeq,
}

pub(super) fn unexpected<T>(what: &str) -> Result<T> {
    Err(Error::Internal(format!("unexpected reply to {what}")))
}

/// Whether IMAP shows the folder.
pub fn is_shown(folder: &Folder) -> bool {
    folder.id != mailbox::folders::USER_ROOT && matches!(folder.view, FolderView::Message | FolderView::Unknown)
}

impl Mailbox {
    /// The mailbox of `account`, which has its conversations built so.
    pub fn new(api: Arc<dyn MailboxApi>, account: AccountId, timeout: Duration, conversations: Conversations) -> Self {
        Mailbox { api, account, actor: Actor::Account(account), timeout, conversations }
    }

    /// Another account's mailbox, for a URL that opens a piece of it (RFC 4467): the caller has checked that it does.
    pub fn of_owner(&self, account: AccountId) -> Self {
        Mailbox { actor: Actor::System, ..self.of(account) }
    }

    /// The mailbox of another account, with the eyes and rights of this one's user.
    pub fn of(&self, account: AccountId) -> Mailbox {
        let known = account == self.account;
        let conversations = if known { self.conversations } else { Conversations::named(None) };
        Mailbox { account, conversations, ..self.clone() }
    }

    fn call<T>(&self, body: T) -> Call<T> {
        let request = RequestId(zcluster_runtime::random_bytes());
        Call { actor: self.actor, account: self.account, request, timeout: self.timeout, body }
    }
    pub(super) async fn read(&self, query: MailboxQuery) -> Result<MailboxReply> {
        self.api.read(self.call(query)).await
    }
    pub(super) async fn write(&self, command: MailboxCommand) -> Result<Receipt> {
        self.api.write(self.call(command)).await
    }

    /// What counts against the quota.
    pub async fn usage(&self) -> Result<Usage> {
        match self.read(MailboxQuery::Info).await? {
            MailboxReply::Info { used, limit, messages, .. } => Ok(Usage { used, limit, messages }),
            _ => unexpected("Info"),
        }
    }
    /// A folder by its id, if IMAP shows it.
    pub async fn folder_by_id(&self, id: FolderId) -> Result<Folder> {
        match self.read(MailboxQuery::Folder(id)).await? {
            MailboxReply::Folders(found) => {
                let shown = found.into_iter().next().filter(is_shown);
                shown.ok_or_else(|| Error::NotFound(format!("folder {id}")))
            }
            _ => unexpected("Folder"),
        }
    }
    /// A folder's access key (RFC 4467).
    pub async fn url_auth_key(&self, folder: FolderId) -> Result<Option<UrlAuthKey>> {
        match self.read(MailboxQuery::UrlAuthKey(folder)).await? {
            MailboxReply::UrlAuthKey(key) => Ok(key),
            _ => unexpected("UrlAuthKey"),
        }
    }
    /// All folders that IMAP shows, by path.
    pub async fn folders(&self) -> Result<Vec<Folder>> {
        match self.read(MailboxQuery::Folders).await? {
            MailboxReply::Folders(mut all) => {
                all.retain(is_shown);
                Ok(all)
            }
            _ => unexpected("Folders"),
        }
    }
    /// The folder at `path`, if IMAP shows it.
    pub async fn folder(&self, path: &str) -> Result<Folder> {
        let missing = || Error::NotFound(format!("mailbox {path}"));
        match self.read(MailboxQuery::FolderByPath(path.to_string())).await {
            Ok(MailboxReply::Folders(found)) => found.into_iter().next().filter(is_shown).ok_or_else(missing),
            Ok(_) => unexpected("FolderByPath"),
            // A name that no folder can have is no folder's.
            Err(Error::NotFound(_) | Error::Invalid(_)) => Err(missing()),
            Err(e) => Err(e),
        }
    }
    /// All UIDs of a folder.
    pub async fn uids(&self, folder: FolderId) -> Result<Uids> {
        match self.read(MailboxQuery::Uids(folder)).await? {
            MailboxReply::Uids { folder, uids, first_unseen, keywords, modseq } => {
                Ok(Uids { folder, uids, first_unseen, keywords, modseq })
            }
            _ => unexpected("Uids"),
        }
    }
    /// A page of messages, and where the next one begins.
    pub async fn messages(
        &self,
        folder: FolderId,
        uids: UidSet,
        want: Want,
        changed_since: Option<ModSeq>,
        limit: u32,
    ) -> Result<(Vec<Message>, Option<Uid>)> {
        match self.read(MailboxQuery::Messages { folder, uids, want, changed_since, limit }).await? {
            MailboxReply::Messages { messages, next } => Ok((messages, next)),
            _ => unexpected("Messages"),
        }
    }
    /// What happened in a folder.
    pub async fn changes(&self, folder: FolderId, since: ModSeq) -> Result<Changes> {
        match self.read(MailboxQuery::Changes { folder, since }).await? {
            MailboxReply::Changes { expunged, added, flags, modseq, resync, folder_gone, more } => {
                Ok(Changes { expunged, added, flags, modseq, resync, folder_gone, more })
            }
            _ => unexpected("Changes"),
        }
    }
    /// What happened in a folder to the `known` messages since a client was there.
    pub async fn missed(&self, folder: FolderId, since: ModSeq, known: Option<UidSet>) -> Result<Missed> {
        match self.read(MailboxQuery::Missed { folder, since, known }).await? {
            MailboxReply::Missed { vanished, touched, exact, .. } => Ok(Missed { vanished, touched, exact }),
            _ => unexpected("Missed"),
        }
    }
    /// Which folders changed. Folders that IMAP does not show are left out.
    pub async fn folder_news(&self, since: ModSeq) -> Result<FolderNews> {
        match self.read(MailboxQuery::FolderNews(since)).await? {
            MailboxReply::FolderNews { mut folders, tree, modseq, resync } => {
                folders.retain(is_shown);
                Ok(FolderNews { folders, tree: tree || resync, modseq })
            }
            _ => unexpected("FolderNews"),
        }
    }
    /// Subscribed names that no folder has.
    pub async fn lost_subscriptions(&self) -> Result<Vec<String>> {
        match self.read(MailboxQuery::LostSubscriptions).await? {
            MailboxReply::Names(names) => Ok(names),
            _ => unexpected("LostSubscriptions"),
        }
    }
    /// Position.
    pub async fn position(&self) -> Result<ModSeq> {
        match self.read(MailboxQuery::Info).await? {
            MailboxReply::Info { modseq, .. } => Ok(modseq),
            _ => unexpected("Info"),
        }
    }
    /// Drops the subscription of a name that no folder has.
    pub async fn forget_subscription(&self, path: &str) -> Result<()> {
        self.write(MailboxCommand::ForgetSubscription(path.to_string())).await.map(|_| ())
    }
    /// Which messages match, and the highest mod-sequence among them.
    pub async fn search(
        &self,
        folder: FolderId,
        within: Option<UidSet>,
        expr: SearchExpr,
    ) -> Result<(UidSet, Option<ModSeq>)> {
        match self.read(MailboxQuery::Search { folder, within, expr }).await? {
            MailboxReply::Found { uids, highest_modseq } => Ok((uids, highest_modseq)),
            _ => unexpected("Search"),
        }
    }
    /// Which messages match, in order, and the highest mod-sequence among them.
    pub async fn sort(
        &self,
        folder: FolderId,
        within: Option<UidSet>,
        expr: SearchExpr,
        by: Vec<sort::SortCriterion>,
    ) -> Result<(Vec<u32>, Option<ModSeq>)> {
        match self.read(MailboxQuery::Sort { folder, within, expr, by }).await? {
            MailboxReply::Sorted { uids, highest_modseq } => Ok((uids, highest_modseq)),
            _ => unexpected("Sort"),
        }
    }
    /// Which messages match, in threads.
    pub async fn threads(
        &self,
        folder: FolderId,
        within: Option<UidSet>,
        expr: SearchExpr,
        threading: sort::Threading,
    ) -> Result<Vec<sort::ThreadNode>> {
        match self.read(MailboxQuery::Thread { folder, within, expr, threading }).await? {
            MailboxReply::Threads(nodes) => Ok(nodes),
            _ => unexpected("Thread"),
        }
    }
    /// A body's bytes as a stream.
    pub async fn get(&self, blob: BlobRef, range: Range<u64>) -> Result<BodyStream> {
        self.api.get(self.call(blob), range).await
    }
    /// Rises of the mailbox's mod-sequence.
    pub fn watch(&self, since: ModSeq) -> futures::stream::BoxStream<'static, ModSeq> {
        self.api.watch(self.account, since)
    }

    /// Makes a body ready for [`Mailbox::add`].
    pub async fn put(&self, body: PreparedBody) -> Result<Body> {
        match body.inline() {
            Some(inline) => Ok(inline),
            None => self.api.put(self.call(body)).await,
        }
    }
    /// Adds a message: its UID and the folder's UIDVALIDITY.
    pub async fn add(&self, mut message: NewMessage) -> Result<(Uid, u32)> {
        message.parsed.set_conversations(self.conversations);
        match self.write(MailboxCommand::AddMessage(message)).await? {
            Receipt::Added { uid, uid_validity, .. } => Ok((uid, uid_validity)),
            _ => unexpected("AddMessage"),
        }
    }
    /// Adds several messages, all or none: their UIDs and the folder's UIDVALIDITY.
    pub async fn add_many(&self, mut messages: Vec<NewMessage>) -> Result<(UidSet, u32)> {
        messages.iter_mut().for_each(|message| message.parsed.set_conversations(self.conversations));
        match self.write(MailboxCommand::AddMessages(messages)).await? {
            Receipt::AddedMany { uids, uid_validity, .. } => Ok((uids, uid_validity)),
            _ => unexpected("AddMessages"),
        }
    }
    /// Adds a message and removes another: the new one's UID and its folder's UIDVALIDITY.
    pub async fn replace(&self, folder: FolderId, uid: Uid, mut message: NewMessage) -> Result<(Uid, u32)> {
        message.parsed.set_conversations(self.conversations);
        match self.write(MailboxCommand::Replace { folder, uid, message }).await? {
            Receipt::Replaced { uid, uid_validity, .. } => Ok((uid, uid_validity)),
            _ => unexpected("Replace"),
        }
    }
    /// Gives up a body that [`Mailbox::put`] uploaded.
    pub async fn drop_upload(&self, upload: RequestId) -> Result<()> {
        self.write(MailboxCommand::DropUpload(upload)).await.map(|_| ())
    }
    /// Gives a folder an access key; `keep`: unless it has one.
    pub async fn set_url_auth_key(&self, folder: FolderId, key: UrlAuthKey, keep: bool) -> Result<()> {
        self.write(MailboxCommand::SetUrlAuthKey { folder, key, keep }).await.map(|_| ())
    }
    /// Forgets all access keys.
    pub async fn drop_url_auth_keys(&self) -> Result<()> {
        self.write(MailboxCommand::DropUrlAuthKeys).await.map(|_| ())
    }
    /// Changes flags.
    pub async fn store(&self, command: MailboxCommand) -> Result<Stored> {
        match self.write(command).await? {
            Receipt::Stored { changed, unaltered, modified, modseq } => {
                Ok(Stored { changed, unaltered, modified, modseq })
            }
            _ => unexpected("Store"),
        }
    }
    /// Copies or moves messages.
    pub async fn copy(&self, from: FolderId, uids: UidSet, to: FolderId, moving: bool) -> Result<Copied> {
        let command =
            if moving { MailboxCommand::Move { from, uids, to } } else { MailboxCommand::Copy { from, uids, to } };
        match self.write(command).await? {
            Receipt::Copied { uid_validity, pairs, modseq } => Ok(Copied { uid_validity, pairs, modseq }),
            _ => unexpected("Copy"),
        }
    }
    /// Removes those of `uids` that have `\Deleted`: what went, and the position.
    pub async fn expunge(&self, folder: FolderId, uids: UidSet) -> Result<(UidSet, ModSeq)> {
        match self.write(MailboxCommand::Expunge { folder, uids, only_deleted: true }).await? {
            Receipt::Expunged { uids, modseq } => Ok((uids, modseq)),
            _ => unexpected("Expunge"),
        }
    }
    /// Creates a folder.
    pub async fn create(&self, path: &str, special_use: Option<mailbox::SpecialUse>) -> Result<Folder> {
        let command = MailboxCommand::CreateFolder { path: path.to_string(), view: FolderView::Message, special_use };
        match self.write(command).await? {
            Receipt::Folder(folder) => Ok(folder),
            _ => unexpected("CreateFolder"),
        }
    }
    /// Renames the folder at `from`.
    pub async fn rename(&self, from: &str, path: &str) -> Result<Folder> {
        let rename = |folder, was| MailboxCommand::RenameFolder { folder, path: path.to_string(), was };
        match self.on_path(from, rename).await? {
            (_, Receipt::Folder(folder)) => Ok(folder),
            _ => unexpected("RenameFolder"),
        }
    }
    /// Looks a name up and sends a command about the folder that has it. If others rename or delete the folder in
    /// between, the command does nothing, and the name is looked up again.
    async fn on_path(
        &self,
        path: &str,
        command: impl Fn(FolderId, Option<String>) -> MailboxCommand,
    ) -> Result<(FolderId, Receipt)> {
        for _ in 0..LOOK_UPS_MAX {
            let folder = self.folder(path).await?.id;
            match self.write(command(folder, Some(path.to_string()))).await {
                Err(Error::NotFound(_)) => {}
                other => return other.map(|receipt| (folder, receipt)),
            }
        }
        Err(Error::Unavailable(format!("mailbox {path} is being renamed all the time")))
    }
    /// Deletes the folder at `path`, in as many steps as it takes.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let delete = |folder, was| MailboxCommand::DeleteFolder { folder, was };
        let (folder, mut receipt) = self.on_path(path, delete).await?;
        loop {
            match receipt {
                // What has lost its first messages goes on to the end, whatever it is called by now.
                Receipt::Deleted { more: true } => receipt = self.write(delete(folder, None)).await?,
                Receipt::Deleted { more: false } => return Ok(()),
                _ => return unexpected("DeleteFolder"),
            }
        }
    }
    /// Sets or clears a subscription.
    pub async fn subscribe(&self, folder: FolderId, subscribed: bool) -> Result<()> {
        self.write(MailboxCommand::Subscribe { folder, subscribed }).await.map(|_| ())
    }
    /// Claims `\Recent`: UIDs from the answer on are recent to this session.
    pub async fn take_recent(&self, folder: FolderId) -> Result<Uid> {
        match self.write(MailboxCommand::TakeRecent(folder)).await? {
            Receipt::Recent(from) => Ok(from),
            _ => unexpected("TakeRecent"),
        }
    }
}
