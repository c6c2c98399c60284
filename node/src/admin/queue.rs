//! The outbound queue: of all shards together, page by page, each shard's leader asked.

use super::Admin;
use super::auth::Allowed;
use super::handlers::Refused;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::queue::{
    BodyKind, QueueAction, QueueEntry, QueueFilter, QueuePage, QueuePlace, QueueQuery, QueueSummary, queue_account,
};
use zcluster_api::{
    Actor, Call, DirectoryQuery, DirectoryReply, Error, Freshness, GroupId, MailboxApi, MailboxCommand, MailboxId,
    MailboxQuery, MailboxReply, RequestId,
};
use zcluster_runtime::{Instant, random_bytes};

/// One shard may take so long to answer.
const SHARD_MAX: Duration = Duration::from_secs(10);
/// One request goes on for so long; then it says where to go on.
const REQUEST_MAX: Duration = Duration::from_secs(15);
/// Messages in one answer.
const PER_ANSWER_MAX: usize = 500;
/// Messages acted on at a time.
const AT_A_TIME: usize = 16;
/// Bytes of a message's header that are shown.
const HEADER_BYTES_MAX: u64 = 64 * 1024;
/// Destinations in a summary, those with most messages; the total is of all.
const DESTINATIONS_MAX: usize = 1_000;

/// Which messages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Which {
    /// `shard.number`.
    pub id: Option<String>,
    /// Reverse-path.
    pub sender: Option<String>,
    /// A recipient.
    pub recipient: Option<String>,
    /// A recipient's domain.
    pub domain: Option<String>,
    /// Held ones, or others.
    pub held: Option<bool>,
}

/// Where to go on: shard, mailbox, number.
pub type Cursor = (u32, u64, u64);

/// `POST /v1/queue/list` and, with an action, `POST /v1/queue/act`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueRequest {
    /// Which.
    pub which: Which,
    /// Behind this one.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
    /// What to do: `hold`, `release`, `retry`, `delete`.
    pub action: Option<Action>,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Wait until released.
    Hold,
    /// Hold no more.
    Release,
    /// Try now.
    Retry,
    /// Remove.
    Delete,
}

impl From<Action> for QueueAction {
    fn from(action: Action) -> QueueAction {
        match action {
            Action::Hold => QueueAction::Hold,
            Action::Release => QueueAction::Release,
            Action::Retry => QueueAction::Retry,
            Action::Delete => QueueAction::Delete,
        }
    }
}

/// A waiting message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueItem {
    /// `shard.number`.
    pub id: String,
    /// Mailbox number; none: it belongs to no user.
    pub mailbox: Option<u64>,
    /// Why it leaves.
    pub kind: String,
    /// Reverse-path.
    pub sender: String,
    /// Recipients that do not have it yet.
    pub recipients: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// Unix milliseconds.
    pub queued_ms: u64,
    /// When it is tried next, Unix milliseconds; none: held.
    pub due_ms: Option<u64>,
    /// Tries begun.
    pub attempts: u32,
    /// Why the last one failed.
    pub note: String,
    /// What its sender asked for.
    pub asked: Vec<String>,
}

/// Answer to [`QueueRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct QueueAnswer {
    /// The messages (as they were before the action).
    pub items: Vec<QueueItem>,
    /// Where to go on; none: this was all.
    pub next: Option<Cursor>,
}

/// `POST /v1/queue/show`: the answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct QueueShown {
    /// The message.
    pub item: QueueItem,
    /// Its header.
    pub header: String,
}

/// `GET /v1/queue/summary`: the answer.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct QueueTotals {
    /// By messages, most first.
    pub destinations: Vec<Destination>,
    /// All together.
    pub total: Destination,
}

/// Messages for one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The recipients' domain.
    pub domain: String,
    /// Messages.
    pub messages: u64,
    /// Recipients.
    pub recipients: u64,
    /// Bytes.
    pub bytes: u64,
    /// Held.
    pub held: u64,
    /// Tried before.
    pub deferred: u64,
    /// When the oldest was put there, Unix milliseconds.
    pub oldest_ms: u64,
}

fn bad(text: &str) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "service.INVALID_REQUEST", text)
}

impl Which {
    /// The filter, and the only shard where there is one.
    fn filter(&self) -> Result<(QueueFilter, Option<u32>), Refused> {
        let mut filter = QueueFilter {
            number: None,
            // `<>` is how people write the null sender.
            sender: self.sender.clone().map(|s| s.trim_matches(['<', '>']).to_string()),
            recipient: self.recipient.clone(),
            domain: self.domain.clone(),
            held: self.held,
        };
        let Some(id) = &self.id else { return Ok((filter, None)) };
        let parts = id.split_once('.').and_then(|(s, n)| Some((s.parse().ok()?, n.parse().ok()?)));
        let (shard, number) = parts.ok_or_else(|| bad(&format!("{id:?} is no queue id: it looks like 12.345")))?;
        filter.number = Some(number);
        Ok((filter, Some(shard)))
    }
}

fn item(shard: GroupId, entry: QueueEntry) -> QueueItem {
    let QueueEntry { mailbox, message } = entry;
    let mut asked = Vec::new();
    if let Some(terms) = &message.terms {
        let words = [
            (terms.require_tls, "REQUIRETLS".to_string()),
            (terms.smtputf8, "SMTPUTF8".to_string()),
            (terms.body != BodyKind::SevenBit, format!("BODY={:?}", terms.body)),
            (terms.ret.is_some(), format!("RET={:?}", terms.ret)),
            (terms.envid.is_some(), format!("ENVID={}", terms.envid.as_deref().unwrap_or_default())),
        ];
        asked.extend(words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word));
    }
    QueueItem {
        id: format!("{}.{}", shard.0, message.number),
        mailbox: (mailbox != zcluster_api::queue::QUEUE_MAILBOX).then_some(mailbox.0),
        kind: format!("{:?}", message.kind).to_lowercase(),
        sender: message.sender,
        recipients: message.recipients,
        size: message.blob.size,
        queued_ms: message.queued_ms,
        due_ms: (!message.held).then_some(message.due_ms),
        attempts: message.attempts,
        note: message.note,
        asked,
    }
}

impl Admin {
    fn to_shard<T>(&self, actor: Actor, shard: GroupId, body: T) -> Call<T> {
        Call { actor, account: queue_account(shard), request: RequestId(random_bytes()), timeout: SHARD_MAX, body }
    }

    async fn shards(&self) -> Result<Vec<GroupId>, Refused> {
        match self.directory().read(DirectoryQuery::Shards, Freshness::Local).await? {
            DirectoryReply::Shards(shards) => {
                let mut groups: Vec<GroupId> = shards.into_iter().map(|s| s.group).collect();
                groups.sort_unstable();
                Ok(groups)
            }
            other => Err(Error::Internal(format!("unexpected reply {other:?}")).into()),
        }
    }

    async fn page(&self, shard: GroupId, query: QueueQuery) -> Result<QueuePage, Refused> {
        match self.router.read(self.to_shard(Actor::System, shard, MailboxQuery::Queue(query))).await? {
            MailboxReply::Queue(page) => Ok(page),
            other => Err(Error::Internal(format!("unexpected reply {other:?}")).into()),
        }
    }

    /// Messages of one page, and where the next begins.
    async fn walk(&self, request: &QueueRequest) -> Result<(Vec<(GroupId, QueueEntry)>, Option<Cursor>), Refused> {
        let (filter, only) = request.which.filter()?;
        let limit = request.limit.clamp(1, PER_ANSWER_MAX);
        let begun = Instant::now();
        let mut out: Vec<(GroupId, QueueEntry)> = Vec::new();
        for shard in self.shards().await?.into_iter().filter(|s| only.is_none_or(|o| o == s.0)) {
            let mut after = match request.after {
                Some((at, _, _)) if shard.0 < at => continue,
                Some((at, mailbox, number)) if shard.0 == at => {
                    Some(QueuePlace { mailbox: MailboxId(mailbox), number })
                }
                _ => None,
            };
            loop {
                let query = QueueQuery { after, filter: filter.clone(), limit: (limit - out.len()) as u32 };
                let page = self.page(shard, query).await?;
                out.extend(page.entries.into_iter().map(|entry| (shard, entry)));
                let Some(next) = page.next else { break };
                if out.len() >= limit || begun.elapsed() > REQUEST_MAX {
                    return Ok((out, Some((shard.0, next.mailbox.0, next.number))));
                }
                after = Some(next);
            }
            if out.len() >= limit || begun.elapsed() > REQUEST_MAX {
                // Behind the last possible place: the next shard.
                return Ok((out, Some((shard.0, u64::MAX - 1, u64::MAX - 1))));
            }
        }
        Ok((out, None))
    }
}

/// `POST /v1/queue/list`.
pub async fn list(
    _: Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<QueueRequest>,
) -> Result<Json<QueueAnswer>, Refused> {
    let (found, next) = admin.walk(&request).await?;
    Ok(Json(QueueAnswer { items: found.into_iter().map(|(shard, entry)| item(shard, entry)).collect(), next }))
}

/// `POST /v1/queue/act`.
pub async fn act(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<QueueRequest>,
) -> Result<Json<QueueAnswer>, Refused> {
    let action = request.action.ok_or_else(|| bad("an action is missing"))?;
    let (found, next) = admin.walk(&request).await?;
    let admin = &admin;
    let mut work = futures::stream::iter(found)
        .map(|(shard, entry)| async move {
            let place = QueuePlace { mailbox: entry.mailbox, number: entry.message.number };
            let command = MailboxCommand::ManageOutgoing { place, action: action.into() };
            let done = admin.router.write(admin.to_shard(Actor::System, shard, command)).await;
            (item(shard, entry), done)
        })
        .buffered(AT_A_TIME);
    let mut items = Vec::new();
    while let Some((item, done)) = work.next().await {
        match done {
            Ok(_) => {
                tracing::info!(id = item.id, ?action, ?actor, "queued message by an administrator's word");
                items.push(item);
            }
            // Sent meanwhile.
            Err(Error::NotFound(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Json(QueueAnswer { items, next }))
}

/// `POST /v1/queue/show`.
pub async fn show(
    _: Allowed,
    State(admin): State<Arc<Admin>>,
    Json(which): Json<Which>,
) -> Result<Json<QueueShown>, Refused> {
    let id = which.id.clone().ok_or_else(|| bad("an id is missing"))?;
    let mut request = QueueRequest { which, after: None, limit: 1, action: None };
    let (shard, entry) = loop {
        let (mut found, next) = admin.walk(&request).await?;
        match (found.pop(), next) {
            (Some(found), _) => break found,
            (None, Some(next)) => request.after = Some(next),
            (None, None) => {
                let text = format!("no message {id} is waiting");
                return Err(Refused::new(StatusCode::NOT_FOUND, "mail.NO_SUCH_MSG", &text));
            }
        }
    };
    let blob = entry.message.blob.clone();
    let range = 0..blob.size.min(HEADER_BYTES_MAX);
    let mut stream = admin.router.get(admin.to_shard(Actor::System, shard, blob), range).await?;
    let mut raw = Vec::new();
    while let Some(piece) = stream.next().await {
        raw.extend_from_slice(&piece?);
    }
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n").map_or(raw.len(), |at| at + 2);
    let header = String::from_utf8_lossy(&raw[..end]).into_owned();
    Ok(Json(QueueShown { item: item(shard, entry), header }))
}

/// `GET /v1/queue/summary`.
pub async fn summary(_: Allowed, State(admin): State<Arc<Admin>>) -> Result<Json<QueueTotals>, Refused> {
    let shards = admin.shards().await?;
    let admin = &admin;
    let mut pages = futures::stream::iter(shards)
        .map(|shard| async move {
            let (mut counts, mut after) = (Vec::new(), None);
            loop {
                let query = MailboxQuery::QueueSummary(after);
                match admin.router.read(admin.to_shard(Actor::System, shard, query)).await? {
                    MailboxReply::QueueSummary(QueueSummary { counts: some, next }) => {
                        counts.extend(some);
                        match next {
                            Some(_) => after = next,
                            None => return Ok::<_, Error>(counts),
                        }
                    }
                    other => return Err(Error::Internal(format!("unexpected reply {other:?}"))),
                }
            }
        })
        .buffer_unordered(AT_A_TIME);
    let mut by: BTreeMap<String, Destination> = BTreeMap::new();
    let mut total = Destination { oldest_ms: u64::MAX, ..Destination::default() };
    while let Some(counts) = pages.next().await {
        for c in counts? {
            let here = Destination { domain: c.domain.clone(), oldest_ms: u64::MAX, ..Destination::default() };
            for sum in [by.entry(c.domain.clone()).or_insert(here), &mut total] {
                sum.messages += c.messages;
                sum.recipients += c.recipients;
                sum.bytes += c.bytes;
                sum.held += c.held;
                sum.deferred += c.deferred;
                sum.oldest_ms = sum.oldest_ms.min(c.oldest_ms);
            }
        }
    }
    if total.messages == 0 {
        total.oldest_ms = 0;
    }
    let mut destinations: Vec<Destination> = by.into_values().collect();
    destinations.sort_by_key(|d| (std::cmp::Reverse(d.messages), d.domain.clone()));
    destinations.truncate(DESTINATIONS_MAX);
    Ok(Json(QueueTotals { destinations, total }))
}
