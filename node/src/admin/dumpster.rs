//! Deleted messages of a mailbox: what there is, bringing it back, removing it for good.

use super::Admin;
use super::auth::Signed;
use super::handlers::Refused;
use crate::join::request_id;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Account, Object};
use zcluster_api::mailbox::{Deleted, DumpsterPlace, DumpsterQuery, PURGED_PER_COMMAND_MAX, Want};
use zcluster_api::{
    Actor, Call, Error, FolderId, Freshness, ItemId, MailboxApi, MailboxCommand, MailboxQuery, MailboxReply, Receipt,
};
use zcluster_directory::Directory;
use zcluster_mail::{Summary, decode_words, fields};

/// The mailbox's shard may take so long.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Messages in one answer.
const PER_ANSWER_MAX: u32 = 500;
/// Steps of a purge in one request.
const STEPS_MAX: usize = 20;
/// Characters of a subject or sender that are shown.
const SHOWN_MAX: usize = 256;

/// `POST /v1/mailbox/dumpster/list`: messages in the order in which they were deleted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ListRequest {
    /// Address, alias or id.
    pub account: String,
    /// Deleted at this time or later, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Deleted before this time, Unix milliseconds.
    pub until_ms: Option<u64>,
    /// Behind this one: time and item.
    pub after: Option<(u64, u32)>,
    /// At most so many; 0: as many as fit into an answer.
    pub limit: u32,
}

/// Answer to [`ListRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListReply {
    /// Primary address.
    pub account: String,
    /// Names of the legal holds that the account is under.
    pub holds: Vec<String>,
    /// Deleted messages that are kept, of all times.
    pub messages: u64,
    /// Their sizes together, bytes.
    pub bytes: u64,
    /// Those of this page.
    pub items: Vec<DeletedItem>,
    /// Where to go on, if there are others.
    pub next: Option<(u64, u32)>,
}

/// A deleted message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedItem {
    /// Item.
    pub id: u32,
    /// When it was deleted, Unix milliseconds.
    pub deleted_ms: u64,
    /// The folder that it was in.
    pub folder: String,
    /// Its UID there.
    pub uid: u32,
    /// Bytes.
    pub size: u64,
    /// When it had come, Unix milliseconds.
    pub received_ms: i64,
    /// The start of its `From:`.
    pub from: String,
    /// The start of its `Subject:`.
    pub subject: String,
}

/// `POST /v1/mailbox/dumpster/recover`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecoverRequest {
    /// Address, alias or id.
    pub account: String,
    /// Which; those that are not there (any more) are left out.
    pub items: Vec<u32>,
    /// Into this folder; none: each where it was.
    pub folder: Option<String>,
}

/// Answer to [`RecoverRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecoverReply {
    /// What came back: item, folder id, UID.
    pub recovered: Vec<(u32, u32, u32)>,
}

/// `POST /v1/mailbox/dumpster/purge`: removes for good, whatever the account's lifetime.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PurgeRequest {
    /// Address, alias or id.
    pub account: String,
    /// Which; at most 500.
    #[serde(default)]
    pub items: Vec<u32>,
    /// And all that were deleted before this time, Unix milliseconds.
    pub before_ms: Option<u64>,
}

/// Answer to [`PurgeRequest`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PurgeReply {
    /// Messages that went.
    pub messages: u64,
    /// Their sizes together, bytes.
    pub bytes: u64,
    /// There are more: ask again.
    pub more: bool,
}

/// What went wrong in a mailbox, with Zimbra's codes.
fn refused(e: Error) -> Refused {
    let (status, code) = match &e {
        Error::NotFound(what) if what.starts_with("folder") => (StatusCode::NOT_FOUND, "mail.NO_SUCH_FOLDER"),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "mail.NO_SUCH_ITEM"),
        Error::QuotaExceeded => (StatusCode::CONFLICT, "mail.QUOTA_EXCEEDED"),
        Error::Invalid(_) | Error::TooLarge(_) => (StatusCode::BAD_REQUEST, "service.INVALID_REQUEST"),
        _ => return e.into(),
    };
    Refused::new(status, code, &e.to_string())
}

/// A mailbox that somebody who signed in may deal with as its owner.
struct Entered {
    admin: Arc<Admin>,
    actor: Actor,
    account: Account,
}

impl Entered {
    /// # Errors
    /// There is no such account, or who asks lacks the right `adminLoginAs` on it.
    async fn new(admin: Arc<Admin>, actor: Actor, account: &str) -> Result<Entered, Refused> {
        let account = admin.prov(actor).account(account).await?;
        let directory = Directory::new(admin.directory(), Freshness::Recent);
        directory.require_right(actor, &Object::from(account.clone()), &["adminLoginAs"]).await?;
        // The right that was asked for stands for those of the mailbox.
        let actor = match actor {
            Actor::Account(id) => Actor::Admin(id),
            other => other,
        };
        Ok(Entered { admin, actor, account })
    }

    fn call<T>(&self, body: T) -> Call<T> {
        Call { actor: self.actor, account: self.account.id, request: request_id(), timeout: TIMEOUT, body }
    }

    async fn ask(&self, query: MailboxQuery) -> Result<MailboxReply, Refused> {
        MailboxApi::read(self.admin.router.as_ref(), self.call(query)).await.map_err(refused)
    }

    async fn run(&self, command: MailboxCommand) -> Result<Receipt, Refused> {
        MailboxApi::write(self.admin.router.as_ref(), self.call(command)).await.map_err(refused)
    }

    async fn folder(&self, path: String) -> Result<FolderId, Refused> {
        match self.ask(MailboxQuery::FolderByPath(path)).await? {
            MailboxReply::Folders(found) => found.first().map(|f| f.id).ok_or_else(|| strange("no folder")),
            _ => Err(strange("another query's reply")),
        }
    }
}

fn strange(what: &str) -> Refused {
    Error::Internal(what.into()).into()
}

/// The start of a header field, decoded.
fn shown(summary: &Summary, name: &str) -> String {
    let field = fields(&summary.header.0).find(|field| field.is(name));
    let text = field.map(|field| decode_words(field.value)).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN_MAX).collect()
}

fn item(deleted: Deleted) -> DeletedItem {
    // What a message says of itself is a help, no more: one that cannot be read is listed all the same.
    let summary = Summary::decode(&deleted.summary).ok();
    let field = |name| summary.as_ref().map(|s| shown(s, name)).unwrap_or_default();
    DeletedItem {
        id: deleted.item.0,
        deleted_ms: deleted.deleted_ms,
        from: field("from"),
        subject: field("subject"),
        folder: deleted.path,
        uid: deleted.uid.0,
        size: deleted.size,
        received_ms: deleted.internal_ms,
    }
}

/// `POST /v1/mailbox/dumpster/list`.
pub async fn list(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<ListRequest>,
) -> Result<Json<ListReply>, Refused> {
    let entered = Entered::new(admin, actor, &request.account).await?;
    let query = DumpsterQuery {
        after: request.after.map(|(deleted_ms, item)| DumpsterPlace { deleted_ms, item: ItemId(item) }),
        limit: if request.limit == 0 { PER_ANSWER_MAX } else { request.limit.min(PER_ANSWER_MAX) },
        since_ms: request.since_ms,
        until_ms: request.until_ms,
        want: Want { summary: true, blob: false },
    };
    let MailboxReply::Dumpster(page) = entered.ask(MailboxQuery::Dumpster(query)).await? else {
        return Err(strange("another query's reply"));
    };
    Ok(Json(ListReply {
        holds: entered.account.holds().map(String::from).collect(),
        account: entered.account.name,
        messages: page.items,
        bytes: page.bytes,
        items: page.deleted.into_iter().map(item).collect(),
        next: page.next.map(|DumpsterPlace { deleted_ms, item }| (deleted_ms, item.0)),
    }))
}

/// `POST /v1/mailbox/dumpster/recover`.
pub async fn recover(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<RecoverRequest>,
) -> Result<Json<RecoverReply>, Refused> {
    let entered = Entered::new(admin, actor, &request.account).await?;
    let folder = match request.folder {
        Some(path) => Some(entered.folder(path).await?),
        None => None,
    };
    let items = request.items.into_iter().map(ItemId).collect();
    match entered.run(MailboxCommand::Recover { items, folder, since_ms: None }).await? {
        Receipt::Recovered { messages, .. } => {
            let recovered = messages.into_iter().map(|m| (m.item.0, m.folder.0, m.uid.0)).collect();
            Ok(Json(RecoverReply { recovered }))
        }
        _ => Err(strange("another command's receipt")),
    }
}

/// `POST /v1/mailbox/dumpster/purge`.
pub async fn purge(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<PurgeRequest>,
) -> Result<Json<PurgeReply>, Refused> {
    let entered = Entered::new(admin, actor, &request.account).await?;
    let mut reply = PurgeReply::default();
    if !request.items.is_empty() {
        let items = request.items.into_iter().map(ItemId).collect();
        entered.step(MailboxCommand::DropFromDumpster { items, since_ms: None }, &mut reply).await?;
    }
    let Some(before_ms) = request.before_ms else { return Ok(Json(reply)) };
    for _ in 0..STEPS_MAX {
        let command = MailboxCommand::PurgeDumpster { before_ms, most: PURGED_PER_COMMAND_MAX };
        entered.step(command, &mut reply).await?;
        if !reply.more {
            break;
        }
    }
    Ok(Json(reply))
}

impl Entered {
    /// One step of a purge, added up.
    async fn step(&self, command: MailboxCommand, sum: &mut PurgeReply) -> Result<(), Refused> {
        let Receipt::Purged { items, bytes, more } = self.run(command).await? else {
            return Err(strange("another command's receipt"));
        };
        (sum.messages, sum.bytes, sum.more) = (sum.messages + items, sum.bytes + bytes, more);
        Ok(())
    }
}
