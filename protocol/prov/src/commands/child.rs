//! Commands about what belongs to an account: identities, signatures, data sources.

use super::Handlers;
use crate::call::Call;
use crate::pairs::modifications;
use crate::prov::Prov;
use crate::reply::{Entry, Item, Reply};
use crate::show::keep;
use crate::{Outcome, usage};
use zcluster_api::AccountId;
use zcluster_api::directory::{Filter, Kinds, Modification, Object, ObjectKind, SEARCH_PAGE_MAX, Search};
use zcluster_directory::Failure;
use zcluster_schema::Place;

/// What one account has of a kind, at most.
const CHILDREN_MAX: usize = 1_000;
/// The identity that every account has: its own preferences.
const DEFAULT: &str = "DEFAULT";
/// Kinds of data sources that Zimbra knows.
const TYPES: [&str; 12] =
    ["pop3", "imap", "caldav", "contacts", "yab", "rss", "gal", "cal", "xsync", "tagmap", "oauth2contact", "unknown"];

pub(super) const HANDLERS: Handlers = &[
    ("createIdentity", |p, c| Box::pin(create(p, c, ObjectKind::Identity))),
    ("getIdentities", |p, c| Box::pin(get(p, c, ObjectKind::Identity))),
    ("modifyIdentity", |p, c| Box::pin(modify(p, c, ObjectKind::Identity))),
    ("deleteIdentity", |p, c| Box::pin(delete(p, c, ObjectKind::Identity))),
    ("createSignature", |p, c| Box::pin(create(p, c, ObjectKind::Signature))),
    ("getSignatures", |p, c| Box::pin(get(p, c, ObjectKind::Signature))),
    ("modifySignature", |p, c| Box::pin(modify(p, c, ObjectKind::Signature))),
    ("deleteSignature", |p, c| Box::pin(delete(p, c, ObjectKind::Signature))),
    ("createDataSource", |p, c| Box::pin(create_data_source(p, c))),
    ("getDataSources", |p, c| Box::pin(get(p, c, ObjectKind::DataSource))),
    ("modifyDataSource", |p, c| Box::pin(modify(p, c, ObjectKind::DataSource))),
    ("deleteDataSource", |p, c| Box::pin(delete(p, c, ObjectKind::DataSource))),
];

/// The attribute that says the entry's id once more, under its kind's own name.
fn id_attribute(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Identity => "zimbraPrefIdentityId",
        ObjectKind::Signature => "zimbraSignatureId",
        _ => "zimbraDataSourceId",
    }
}

async fn create(prov: &Prov, call: &Call<'_>, kind: ObjectKind) -> Outcome {
    make(prov, call, kind, call.arg(1), modifications(call.from(2))?).await
}

async fn create_data_source(prov: &Prov, call: &Call<'_>) -> Outcome {
    let kind = call.arg(1).to_ascii_lowercase();
    if !TYPES.contains(&kind.as_str()) {
        return Err(usage(format!("no such type of data source: {kind}; there are {}", TYPES.join(", "))));
    }
    let mut attrs = modifications(call.from(3))?;
    attrs.push(Modification::set("zimbraDataSourceType", kind));
    make(prov, call, ObjectKind::DataSource, call.arg(2), attrs).await
}

async fn make(prov: &Prov, call: &Call<'_>, kind: ObjectKind, name: &str, mut attrs: Vec<Modification>) -> Outcome {
    let account = prov.acted_as(call.name()).await?;
    if kind == ObjectKind::Identity && name.eq_ignore_ascii_case(DEFAULT) {
        return Err(Failure::new("account.IDENTITY_EXISTS", format!("identity already exists: {DEFAULT}")));
    }
    attrs.push(Modification::set(id_attribute(kind), call.fresh.to_string()));
    prov.make(call, kind, name, Some(account.id), attrs).await
}

async fn named(prov: &Prov, call: &Call<'_>, kind: ObjectKind) -> Result<Object, Failure> {
    let account = prov.acted_as(call.name()).await?;
    if kind == ObjectKind::Identity && call.arg(1).eq_ignore_ascii_case(DEFAULT) {
        return Ok(account);
    }
    prov.named(&[kind], Some(account.id), call.arg(1)).await
}

async fn modify(prov: &Prov, call: &Call<'_>, kind: ObjectKind) -> Outcome {
    let object = named(prov, call, kind).await?;
    prov.change(&object, modifications(call.from(2))?).await
}

async fn delete(prov: &Prov, call: &Call<'_>, kind: ObjectKind) -> Outcome {
    let object = named(prov, call, kind).await?;
    if object.kind != kind {
        return Err(Failure::invalid("the default identity stays"));
    }
    prov.remove(&object).await
}

async fn get(prov: &Prov, call: &Call<'_>, kind: ObjectKind) -> Outcome {
    let account = prov.acted_as(call.name()).await?;
    let mut reply = Reply::default();
    if kind == ObjectKind::Identity {
        reply.items.push(Item::Entry(default_identity(prov, &account, call.from(1)).await?));
    }
    for child in prov.all(children(kind, account.id), CHILDREN_MAX).await? {
        reply.items.push(Item::Entry(prov.entry(&child, true, call.from(1)).await?));
    }
    Ok(reply)
}

pub(super) fn children(kind: ObjectKind, parent: AccountId) -> Search {
    let kinds = Kinds::of(&[kind]);
    Search { kinds, domain: None, parent: Some(parent), filter: Filter::all(), after: None, limit: SEARCH_PAGE_MAX }
}

/// An account's own preferences, as an identity.
async fn default_identity(prov: &Prov, account: &Object, only: &[&str]) -> Result<Entry, Failure> {
    let all = prov.directory.effective(account).await?;
    let mut attrs = keep(all, |d| d.name.starts_with("zimbraPref") && d.stands_in(Place::Identity));
    attrs.set("zimbraPrefIdentityName", vec![DEFAULT.into()]);
    attrs.set("zimbraPrefIdentityId", vec![account.id.to_string()]);
    if !attrs.has("zimbraPrefFromAddress") {
        attrs.set("zimbraPrefFromAddress", vec![account.name.clone()]);
    }
    Ok(Entry::new(DEFAULT, &attrs, only))
}
