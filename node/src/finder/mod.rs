//! Searches as people and programs ask for them: Zimbra's query language, read as the account's owner would mean it, and
//! hits shown with what a list of messages has.

mod shown;

pub use shown::{Shown, WithBody};

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::Account;
use zcluster_api::find::{FIND_LIMIT_MAX, Find, FindCursor, FindKey, FindOrder, Hit};
use zcluster_api::text::TextIndexes;
use zcluster_api::{
    Actor, Call, Error, ItemId, MailboxApi, MailboxQuery, MailboxReply, RequestId, Result, SearchExpr, TextField,
};
use zcluster_query::{Context, Query, QueryError};
use zcluster_runtime::{random_bytes, wall_ms};

/// A search may take so long.
pub const FIND_TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of a fragment.
const FRAGMENT_CHARS: usize = 160;

/// What is asked for. Names are those of Zimbra's `SearchRequest`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ask {
    /// The query.
    pub query: String,
    /// `dateDesc` and the like; the query's own `sort:` goes before.
    pub sort_by: Option<String>,
    /// Conversations instead of messages.
    pub conversations: bool,
    /// Hits at most; 0: 10.
    pub limit: u32,
    /// Hits left out first.
    pub offset: u32,
    /// Behind this hit: its id and sort value.
    pub cursor: Option<AskCursor>,
    /// Also messages marked as deleted.
    pub include_tag_deleted: bool,
    /// Time zone; none: the account's.
    pub tz: Option<String>,
    /// Language of dates; none: the account's.
    pub locale: Option<String>,
    /// Where words without an operator are looked for, as operators; none: everywhere.
    pub field: Option<String>,
    /// With the piece of text that was found.
    pub fragments: bool,
}

/// A place in the hits of the same search.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskCursor {
    /// The hit's id.
    pub id: u32,
    /// Its sort value.
    pub sort_val: SortValue,
}

/// What a hit is sorted by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortValue {
    /// Dates (Unix milliseconds), sizes, states.
    Number(i64),
    /// Names, subjects.
    Text(String),
}

impl From<FindKey> for SortValue {
    fn from(key: FindKey) -> SortValue {
        match key {
            FindKey::Number(number) => SortValue::Number(number),
            FindKey::Text(text) => SortValue::Text(text),
        }
    }
}

impl From<SortValue> for FindKey {
    fn from(value: SortValue) -> FindKey {
        match value {
            SortValue::Number(number) => FindKey::Number(number),
            SortValue::Text(text) => FindKey::Text(text),
        }
    }
}

/// A page of hits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Page {
    /// In order.
    pub hits: Vec<Shown>,
    /// There are more.
    pub more: bool,
    /// How many in all.
    pub total: u64,
    /// What the query was taken for.
    pub explained: String,
}

/// Why there are no hits.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The query says nothing that can be looked for.
    #[error("{0}")]
    Query(#[from] QueryError),
    /// There is no such order.
    #[error("no such order of hits: {0}")]
    Order(String),
    /// There is no such field.
    #[error("no such field: {0}")]
    Field(String),
    /// The mailbox did not answer.
    #[error("{0}")]
    Mailbox(#[from] Error),
}

impl FindError {
    /// Zimbra's code.
    pub fn code(&self) -> &'static str {
        match self {
            FindError::Query(e) => e.code(),
            FindError::Order(_) | FindError::Field(_) | FindError::Mailbox(Error::Invalid(_)) => {
                "service.INVALID_REQUEST"
            }
            FindError::Mailbox(Error::NotFound(_)) => "mail.NO_SUCH_FOLDER",
            FindError::Mailbox(Error::TooLarge(_)) => "mail.TOO_MANY_QUERY_TERMS_EXPANDED",
            FindError::Mailbox(Error::Denied(_)) => "service.PERM_DENIED",
            FindError::Mailbox(Error::Unavailable(_)) => "service.TEMPORARILY_UNAVAILABLE",
            FindError::Mailbox(_) => "service.FAILURE",
        }
    }
}

/// Searches mailboxes.
#[derive(Clone)]
pub struct Finder {
    mailboxes: Arc<dyn MailboxApi>,
    texts: Option<Arc<dyn TextIndexes>>,
}

impl Finder {
    /// Over these mailboxes; `texts` finds pieces of text.
    pub fn new(mailboxes: Arc<dyn MailboxApi>, texts: Option<Arc<dyn TextIndexes>>) -> Self {
        Finder { mailboxes, texts }
    }

    /// Reads a query as the account's owner means it.
    ///
    /// # Errors
    /// [`FindError::Query`], [`FindError::Field`].
    pub fn parse(&self, account: &Account, ask: &Ask) -> std::result::Result<Query, FindError> {
        Ok(zcluster_query::parse(&ask.query, &context(account, ask)?)?)
    }

    /// Searches an account's mailbox.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn find(&self, actor: Actor, account: &Account, ask: &Ask) -> std::result::Result<Page, FindError> {
        let query = self.parse(account, ask)?;
        let order = order(&query, ask)?;
        let limit = if ask.limit == 0 { 10 } else { ask.limit.min(FIND_LIMIT_MAX) };
        let after = ask.cursor.clone().map(|at| FindCursor { key: at.sort_val.into(), item: ItemId(at.id) });
        let find = Find {
            expr: query.expr.clone(),
            order,
            conversations: ask.conversations,
            after,
            offset: ask.offset,
            limit,
            deleted: ask.include_tag_deleted,
            dumpster: None,
        };
        let (hits, more, total) = match self.ask(actor, account, MailboxQuery::Find(find)).await? {
            MailboxReply::Hits { hits, more, total } => (hits, more, total),
            other => return Err(Error::Internal(format!("expected hits, got {other:?}")).into()),
        };
        let conditions = if ask.fragments { query.conditions } else { Vec::new() };
        let shown = self.show(actor, account, hits, &conditions, false).await?;
        let hits = shown.into_iter().map(|one| one.shown).collect();
        Ok(Page { hits, more, total, explained: zcluster_query::explain(&query.expr) })
    }

    /// Reads a query that is put to many mailboxes: it means the same for all, and leaves no folder out. With the search that
    /// gives the first hits of each.
    ///
    /// # Errors
    /// [`FindError::Query`], [`FindError::Order`], [`FindError::Field`].
    pub fn discovery(&self, ask: &Ask) -> std::result::Result<(Query, Find), FindError> {
        let context = Context {
            now_ms: i64::try_from(wall_ms()).unwrap_or(i64::MAX),
            zone: ask.tz.clone().unwrap_or_default(),
            locale: ask.locale.clone().unwrap_or_default(),
            default_field: field(ask)?,
            include_trash: true,
            include_junk: true,
            ..Context::default()
        };
        let query = zcluster_query::parse(&ask.query, &context)?;
        let find = Find {
            expr: query.expr.clone(),
            order: order(&query, ask)?,
            conversations: false,
            after: None,
            offset: 0,
            limit: if ask.limit == 0 { 10 } else { ask.limit.min(FIND_LIMIT_MAX) },
            deleted: true,
            dumpster: None,
        };
        Ok((query, find))
    }

    /// The hits of a discovery in one mailbox behind one of them.
    ///
    /// # Errors
    /// What the mailbox answered.
    pub async fn behind(
        &self,
        account: &Account,
        ask: &Ask,
        (item, key): (ItemId, FindKey),
        limit: u32,
    ) -> Result<Vec<Hit>> {
        let (_, find) = self.discovery(ask).map_err(|e| Error::Invalid(e.to_string()))?;
        let find = Find { after: Some(FindCursor { key, item }), limit, ..find };
        match self.ask(Actor::System, account, MailboxQuery::Find(find)).await? {
            MailboxReply::Hits { hits, .. } => Ok(hits),
            other => Err(Error::Internal(format!("expected hits, got {other:?}"))),
        }
    }

    /// What is shown of hits, with where their bodies are.
    ///
    /// # Errors
    /// What the mailbox answered.
    pub async fn shown(&self, actor: Actor, account: &Account, hits: Vec<Hit>) -> Result<Vec<WithBody>> {
        self.show(actor, account, hits, &[], true).await
    }

    async fn ask(&self, actor: Actor, account: &Account, query: MailboxQuery) -> Result<MailboxReply> {
        let request = RequestId(random_bytes());
        self.mailboxes.read(Call { actor, account: account.id, request, timeout: FIND_TIMEOUT, body: query }).await
    }
}

/// The order that is wanted.
fn order(query: &Query, ask: &Ask) -> std::result::Result<FindOrder, FindError> {
    match (query.order, &ask.sort_by) {
        (Some(order), _) => Ok(order),
        (None, Some(name)) => order_named(name),
        (None, None) => Ok(FindOrder::default()),
    }
}

/// Where words without an operator are looked for.
fn field(ask: &Ask) -> std::result::Result<Vec<TextField>, FindError> {
    match &ask.field {
        Some(field) => zcluster_query::text_fields(field).ok_or_else(|| FindError::Field(field.clone())),
        None => Ok(Vec::new()),
    }
}

/// The order of that name.
fn order_named(name: &str) -> std::result::Result<FindOrder, FindError> {
    let unknown = || FindError::Order(name.to_string());
    if !name.chars().all(char::is_alphabetic) {
        return Err(unknown());
    }
    let query = zcluster_query::parse(&format!("is:anywhere sort:{name}"), &Context::default());
    query.ok().and_then(|query| query.order).ok_or_else(unknown)
}

/// What a query means for an account.
fn context(account: &Account, ask: &Ask) -> std::result::Result<Context, FindError> {
    let text = |name: &str| account.effective(name).unwrap_or_default().to_string();
    let is = |name: &str| account.effective(name) == Some("TRUE");
    let mut own_addresses = vec![account.name.clone()];
    for name in ["zimbraMailAlias", "zimbraAllowFromAddress"] {
        own_addresses.extend(account.effective_all(name).iter().cloned());
    }
    let locale = match text("zimbraPrefLocale") {
        own if own.is_empty() => text("zimbraLocale"),
        own => own,
    };
    Ok(Context {
        now_ms: i64::try_from(wall_ms()).unwrap_or(i64::MAX),
        zone: ask.tz.clone().unwrap_or_else(|| text("zimbraPrefTimeZoneId")),
        locale: ask.locale.clone().unwrap_or(locale),
        first_day_of_week: account
            .effective("zimbraPrefCalendarFirstDayOfWeek")
            .and_then(|d| d.parse().ok())
            .unwrap_or(0),
        default_field: field(ask)?,
        account: account.id.to_string(),
        own_addresses,
        include_trash: is("zimbraPrefIncludeTrashInSearch"),
        include_junk: is("zimbraPrefIncludeSpamInSearch"),
    })
}

/// Whether a condition is about what a message says.
fn is_about_text(condition: &SearchExpr) -> bool {
    matches!(condition, SearchExpr::Words(_))
}
