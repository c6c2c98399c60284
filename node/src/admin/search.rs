//! Searching mailboxes: one, for its owner's sake, or all of a domain (discovery).

use super::Admin;
use super::auth::{Allowed, Signed};
use super::handlers::Refused;
use crate::finder::{Ask, FIND_TIMEOUT, FindError, Page, Shown};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use zcluster_api::directory::{Account, AccountBy, Filter, Kinds, Object, Search};
use zcluster_api::{
    AccountId, Actor, Call, DirectoryQuery, DirectoryReply, Error, Freshness, GroupId, MailboxApi, MailboxId,
    RequestId, Result,
};
use zcluster_directory::Directory;
use zcluster_router::{Discovered, Sought};
use zcluster_runtime::{Instant, random_bytes};

/// A discovery may take so long.
const DISCOVER_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Accounts read of the directory at a time.
const ACCOUNTS_PAGE: u32 = 1_000;
/// Mailboxes of which hits are read at a time.
const AT_A_TIME: usize = 8;
/// Lines that wait to be taken.
const WAITING_MAX: usize = 16;
/// Hits of one mailbox in one line.
const PER_LINE_MAX: u32 = 200;
/// A line with so many bytes of messages ends.
const LINE_BYTES: usize = 4 << 20;
/// A message with more bytes is told of without them.
const BODY_BYTES_MAX: u64 = 256 << 20;

impl From<FindError> for Refused {
    fn from(e: FindError) -> Refused {
        let status = match &e {
            FindError::Mailbox(Error::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            FindError::Mailbox(Error::Denied(_)) => StatusCode::FORBIDDEN,
            FindError::Mailbox(Error::Internal(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Refused::new(status, e.code(), &e.to_string())
    }
}

/// `POST /v1/mailbox/search`. The answer is a [`Page`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SearchRequest {
    /// Whose mailbox: address, alias or id.
    pub account: String,
    /// What for.
    #[serde(flatten)]
    pub ask: Ask,
}

/// `POST /v1/mailbox/search`. Who asks must have the right to sign in as the account.
pub async fn search(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<SearchRequest>,
) -> Result<Json<Page>, Refused> {
    let account = admin.as_whom(actor, &request.account).await?;
    tracing::info!(target: "audit", ?actor, account = account.name, query = request.ask.query, "mailbox searched");
    Ok(Json(admin.finder.find(Actor::System, &account, &request.ask).await?))
}

impl Admin {
    /// An account that somebody may sign in as.
    async fn as_whom(&self, actor: Actor, name: &str) -> Result<Account, Refused> {
        let account = self.prov(actor).account(name).await?;
        let directory = Directory::new(self.directory(), Freshness::Recent);
        directory.require_right(actor, &Object::from(account.clone()), &["adminLoginAs"]).await?;
        Ok(account)
    }
}

/// `POST /v1/mailbox/texts`.
#[derive(Debug, Serialize, Deserialize)]
pub struct TextsRequest {
    /// Of this account's shard; none: of all shards.
    pub account: Option<String>,
    /// Have the account's mailbox indexed anew, on all nodes that have it.
    #[serde(default)]
    pub reindex: bool,
}

/// A replica's index.
#[derive(Debug, Serialize, Deserialize)]
pub struct TextsShown {
    /// Node number.
    pub node: u32,
    /// Shard.
    pub shard: u32,
    /// Messages looked at by the build that is going on; none: it is complete.
    pub building: Option<u64>,
    /// Messages in it.
    pub items: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Changes that it does not know yet.
    pub behind: u64,
    /// Mailboxes that wait to be indexed anew.
    pub anew: u64,
    /// What went wrong last.
    pub trouble: Option<String>,
}

/// Answer to [`TextsRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct TextsReply {
    /// The replicas' indexes.
    pub indexes: Vec<TextsShown>,
    /// Nodes (numbers) that did not answer.
    pub silent: Vec<u32>,
}

/// `POST /v1/mailbox/texts`: how far the indexes are.
pub async fn texts(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<TextsRequest>,
) -> Result<Json<TextsReply>, Refused> {
    let home = match &request.account {
        Some(name) => {
            let account = admin.prov(actor).account(name).await?;
            let directory = Directory::new(admin.directory(), Freshness::Recent);
            directory.require_right(actor, &Object::from(account.clone()), &["reindexMailbox"]).await?;
            Some(account.home)
        }
        None if matches!(actor, Actor::Account(_)) => {
            let text = "permission denied: say whose mailbox";
            return Err(Refused::new(StatusCode::FORBIDDEN, "service.PERM_DENIED", text));
        }
        None => None,
    };
    let anew = home.filter(|_| request.reindex).map(|home| home.mailbox);
    let told = admin.router.texts(home.map(|home| home.group), anew).await;
    let mut reply = TextsReply { indexes: Vec::new(), silent: Vec::new() };
    for of in told {
        let Some(shards) = of.shards else {
            reply.silent.push(of.node.number());
            continue;
        };
        reply.indexes.extend(shards.into_iter().map(|(shard, state)| TextsShown {
            node: of.node.number(),
            shard: shard.0,
            building: state.building,
            items: state.items,
            bytes: state.bytes,
            behind: state.behind,
            anew: state.anew,
            trouble: state.trouble,
        }));
    }
    Ok(Json(reply))
}

/// `POST /v1/discover`. The answer is lines of JSON, each a [`DiscoverLine`], as they come up.
#[derive(Debug, Serialize, Deserialize)]
pub struct DiscoverRequest {
    /// What for. Trash and Junk are looked through, too.
    #[serde(flatten)]
    pub ask: Ask,
    /// All accounts of this domain; none: of all domains, unless accounts are given.
    pub domain: Option<String>,
    /// These accounts.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// All hits; else the first [`Ask::limit`] of each mailbox.
    #[serde(default)]
    pub all: bool,
    /// With the messages themselves.
    #[serde(default)]
    pub bodies: bool,
}

/// A line of the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DiscoverLine {
    /// A mailbox with hits, or more hits of one.
    Found {
        /// The account.
        account: String,
        /// `zimbraId`.
        id: String,
        /// Its shard.
        shard: u32,
        /// The shard's log position that this is true of.
        position: Option<u64>,
        /// Hits in all.
        total: u64,
        /// These.
        hits: Vec<Found>,
    },
    /// All was searched.
    Done {
        /// Mailboxes searched.
        mailboxes: u64,
        /// Mailboxes with hits.
        found: u64,
        /// Hits.
        messages: u64,
        /// What the query was taken for.
        explained: String,
        /// Milliseconds that it took.
        took_ms: u64,
    },
    /// It ends here, and is not all.
    Failed {
        /// Why.
        error: String,
    },
}

/// A hit, with the message itself where it was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    /// The hit.
    #[serde(flatten)]
    pub shown: Shown,
    /// The message, base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

type Lines = mpsc::Sender<DiscoverLine>;

/// `POST /v1/discover`.
pub async fn discover(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<DiscoverRequest>,
) -> Result<Response, Refused> {
    // What is wrong with the query is told as such.
    admin.finder.discovery(&request.ask)?;
    let scope = if request.accounts.is_empty() { request.domain.as_deref().unwrap_or("*") } else { "accounts" };
    tracing::info!(
        target: "audit", ?actor, scope, accounts = ?request.accounts, query = request.ask.query, bodies = request.bodies,
        "discovery"
    );
    let (lines, receiver) = mpsc::channel(WAITING_MAX);
    zcluster_runtime::spawn(async move {
        let failed = lines.clone();
        if let Err(e) = run(&admin, request, &lines).await {
            let _ = failed.send(DiscoverLine::Failed { error: e.to_string() }).await;
        }
    });
    let body = futures::stream::unfold(receiver, |mut receiver| async move {
        let mut line = serde_json::to_vec(&receiver.recv().await?).unwrap_or_default();
        line.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), receiver))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

/// Whom a mailbox belongs to.
type Owners = BTreeMap<GroupId, BTreeMap<MailboxId, (AccountId, zcluster_api::Epoch)>>;

async fn run(admin: &Arc<Admin>, request: DiscoverRequest, lines: &Lines) -> Result<()> {
    let begun = Instant::now();
    let owners = owners(admin, &request).await?;
    let mailboxes = owners.values().map(|of| of.len() as u64).sum();
    let (query, mut find) = admin.finder.discovery(&request.ask).map_err(|e| Error::Invalid(e.to_string()))?;
    if request.all {
        find.limit = PER_LINE_MAX;
    }
    let all = owners.iter().map(|(group, of)| {
        let sought: Vec<Sought> = of.iter().map(|(mailbox, (_, epoch))| (*mailbox, *epoch)).collect();
        let found = admin.router.discover(*group, sought, find.clone(), DISCOVER_TIMEOUT);
        let group = *group;
        found.map(move |found| found.map(|found| (group, found))).boxed()
    });
    let all: Vec<BoxStream<'static, Result<(GroupId, Discovered)>>> = all.collect();
    let (mut found, mut messages) = (0, 0);
    let shown = futures::stream::select_all(all).map(|next| async {
        let (group, discovered) = next?;
        let owner = owners.get(&group).and_then(|of| of.get(&discovered.mailbox)).map(|(id, _)| *id);
        let owner =
            owner.ok_or_else(|| Error::Internal(format!("mailbox {} was not asked for", discovered.mailbox)))?;
        show(admin, &request, group, owner, discovered, lines).await
    });
    let mut shown = std::pin::pin!(shown.buffer_unordered(AT_A_TIME));
    while let Some(total) = shown.try_next().await? {
        found += 1;
        messages += total;
    }
    let explained = zcluster_query::explain(&query.expr);
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let _ = lines.send(DiscoverLine::Done { mailboxes, found, messages, explained, took_ms }).await;
    Ok(())
}

/// Tells of a mailbox's hits; how many there are.
async fn show(
    admin: &Admin,
    request: &DiscoverRequest,
    group: GroupId,
    owner: AccountId,
    discovered: Discovered,
    lines: &Lines,
) -> Result<u64> {
    let query = DirectoryQuery::Account(AccountBy::Id(owner));
    let account = match admin.directory().read(query, Freshness::Local).await? {
        DirectoryReply::Account(account) => account,
        other => return Err(Error::Internal(format!("expected an account, got {other:?}"))),
    };
    let Discovered { mut hits, total, position, .. } = discovered;
    loop {
        let last = hits.last().map(|hit| (hit.item, hit.key.clone()));
        let is_full = hits.len() as u32 == PER_LINE_MAX;
        let shown = admin.finder.shown(Actor::System, &account, hits).await?;
        let tell = |hits: Vec<Found>| {
            let (account, id) = (account.name.clone(), account.id.to_string());
            let line = DiscoverLine::Found { account, id, shard: group.0, position, total, hits };
            async move { lines.send(line).await.map_err(|_| Error::Unavailable("nobody listens any more".into())) }
        };
        let (mut found, mut bytes) = (Vec::new(), 0);
        for one in shown {
            let message = if request.bodies { message(admin, &account, &one).await? } else { None };
            bytes += message.as_ref().map_or(0, String::len);
            found.push(Found { shown: one.shown, message });
            if bytes > LINE_BYTES {
                tell(std::mem::take(&mut found)).await?;
                bytes = 0;
            }
        }
        if !found.is_empty() {
            tell(found).await?;
        }
        match last.filter(|_| request.all && is_full) {
            Some((item, key)) => hits = admin.finder.behind(&account, &request.ask, (item, key), PER_LINE_MAX).await?,
            None => return Ok(total),
        }
        if hits.is_empty() {
            return Ok(total);
        }
    }
}

/// The message of a hit, base64.
async fn message(admin: &Admin, account: &Account, hit: &crate::finder::WithBody) -> Result<Option<String>> {
    let Some(blob) = hit.blob.clone().filter(|blob| blob.size <= BODY_BYTES_MAX) else { return Ok(None) };
    let size = blob.size;
    let request = RequestId(random_bytes());
    let call = Call { actor: Actor::System, account: account.id, request, timeout: FIND_TIMEOUT, body: blob };
    let pieces: Vec<Bytes> = MailboxApi::get(admin.router.as_ref(), call, 0..size).await?.try_collect().await?;
    Ok(Some(STANDARD.encode(pieces.concat())))
}

/// The mailboxes to be searched.
async fn owners(admin: &Admin, request: &DiscoverRequest) -> Result<Owners> {
    let mut owners = Owners::new();
    let mut add = |id: AccountId, home: zcluster_api::directory::Home| {
        owners.entry(home.group).or_default().insert(home.mailbox, (id, home.epoch));
    };
    let directory = admin.directory();
    // What was created through any node is there.
    directory.read(DirectoryQuery::Cluster, Freshness::Recent).await?;
    if !request.accounts.is_empty() {
        for name in &request.accounts {
            let account = admin.prov(Actor::System).account(name).await;
            let account = account.map_err(|e| Error::NotFound(format!("account {name}: {}", e.text)))?;
            add(account.id, account.home);
        }
        return Ok(owners);
    }
    if let Some(domain) = &request.domain {
        directory.read(DirectoryQuery::Domain(domain.to_lowercase()), Freshness::Local).await?;
    }
    let domain = request.domain.as_ref().map(|domain| domain.to_lowercase());
    let mut search = Search {
        kinds: Kinds::ACCOUNTS,
        domain,
        parent: None,
        filter: Filter::all(),
        after: None,
        limit: ACCOUNTS_PAGE,
    };
    loop {
        let query = DirectoryQuery::Search(Box::new(search.clone()));
        let page = directory.read(query, Freshness::Local).await?.into_page()?;
        for object in page.objects {
            if let Some(home) = object.home {
                add(object.id, home);
            }
        }
        match page.next {
            Some(next) => search.after = Some(next),
            None => return Ok(owners),
        }
    }
}
