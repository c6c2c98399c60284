//! DKIM keys of domains: made, shown, put to use and taken away.
//!
//! A key that is to be used must be known to DNS first: a new one waits in `zclusterDKIMNextSelector` and
//! `zclusterDKIMNextKey` until it is activated; the ones before it go, and their records may leave DNS a week later.

use super::Admin;
use super::auth::Signed;
use super::handlers::Refused;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zcluster_api::directory::{Attributes, Modification, ModifyKind, Object, ObjectKind};
use zcluster_api::{Actor, DirectoryCommand, Error, Freshness};
use zcluster_directory::Directory;
use zcluster_relay::dkim::{KeyKind, generate, record_of};

/// Attributes: selectors and keys in use, and waiting.
const USED: (&str, &str) = ("DKIMSelector", "DKIMKey");
const NEXT: (&str, &str) = ("zclusterDKIMNextSelector", "zclusterDKIMNextKey");
/// What DNS says of the keys in use, for other programs, as in Zimbra.
const PUBLIC: &str = "DKIMPublicKey";
/// Keys of one domain, in use or waiting.
const KEYS_MAX: usize = 8;

/// `POST /v1/dkim`.
#[derive(Debug, Serialize, Deserialize)]
pub struct DkimRequest {
    /// The domain.
    pub domain: String,
    /// What to do.
    pub action: DkimAction,
}

/// See [`DkimRequest`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DkimAction {
    /// Tell.
    Show,
    /// Make a key, to be used later.
    Generate {
        /// `rsa` or `ed25519`.
        kind: DkimKind,
        /// Its selector.
        selector: String,
    },
    /// Use the waiting keys, and no others.
    Activate,
    /// Forget a key.
    Remove {
        /// Its selector.
        selector: String,
    },
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DkimKind {
    /// RSA, 2048 bits
    Rsa,
    /// Ed25519 (RFC 8463)
    Ed25519,
}

/// A key as shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct DkimKey {
    /// Its selector.
    pub selector: String,
    /// Whether messages are signed with it.
    pub active: bool,
    /// The name of its record in DNS.
    pub name: String,
    /// What the record must say.
    pub record: String,
}

/// Answer to [`DkimRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct DkimReply {
    /// The domain's keys.
    pub keys: Vec<DkimKey>,
}

fn bad(text: &str) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "service.INVALID_REQUEST", text)
}

fn pairs(attrs: &Attributes, (selectors, keys): (&str, &str)) -> Vec<(String, String)> {
    attrs.all(selectors).iter().cloned().zip(attrs.all(keys).iter().cloned()).collect()
}

fn set(name: &str, values: Vec<String>) -> Modification {
    Modification { name: name.into(), kind: ModifyKind::Replace, values }
}

fn changes(names: (&str, &str), pairs: &[(String, String)]) -> Vec<Modification> {
    let (selectors, keys) = pairs.iter().cloned().unzip();
    vec![set(names.0, selectors), set(names.1, keys)]
}

fn shown(domain: &str, pairs: &[(String, String)], active: bool) -> impl Iterator<Item = DkimKey> {
    pairs.iter().map(move |(selector, pem)| DkimKey {
        selector: selector.clone(),
        active,
        name: format!("{selector}._domainkey.{domain}"),
        record: record_of(pem).unwrap_or_else(|e| format!("unusable key: {}", e.0)),
    })
}

/// `POST /v1/dkim`. A delegated administrator needs to see the domain, and to set its attributes.
pub async fn dkim(
    Signed(actor): Signed,
    State(admin): State<Arc<Admin>>,
    Json(request): Json<DkimRequest>,
) -> Result<Json<DkimReply>, Refused> {
    let name = request.domain.to_lowercase();
    let directory = Directory::new(admin.directory(), Freshness::Recent);
    let domain = directory.named_for(actor, &[ObjectKind::Domain], None, &name).await?;
    directory.seen(&directory.viewer(actor).await?, &domain, true).await?;
    let attrs = domain.attrs.clone();
    let (mut used, mut next) = (pairs(&attrs, USED), pairs(&attrs, NEXT));
    match request.action {
        DkimAction::Show => {}
        DkimAction::Generate { kind, selector } => {
            let fit = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if selector.is_empty() || selector.len() > 63 || !selector.bytes().all(fit) {
                return Err(bad("a selector is a name in DNS: letters, digits, - and ."));
            }
            if used.iter().chain(&next).any(|(s, _)| s.eq_ignore_ascii_case(&selector)) {
                return Err(bad("there is a key with this selector; remove it or choose another"));
            }
            if used.len() + next.len() >= KEYS_MAX {
                return Err(bad("the domain has too many keys; remove some"));
            }
            let kind = if kind == DkimKind::Rsa { KeyKind::Rsa } else { KeyKind::Ed25519 };
            // RSA takes some tenths of a second.
            let pem = zcluster_runtime::spawn_blocking(move || generate(kind)).await;
            let pem = pem.map_err(|e| Error::Internal(e.to_string()))?.map_err(|e| Error::Internal(e.0))?;
            next.push((selector, pem));
            admin.modify_domain(actor, &domain, changes(NEXT, &next)).await?;
        }
        DkimAction::Activate => {
            if next.is_empty() {
                return Err(bad("no key is waiting: make one with `zcluster dkim generate`"));
            }
            used = std::mem::take(&mut next);
            let public = used.iter().filter_map(|(_, pem)| record_of(pem).ok()).collect();
            let mut all = changes(USED, &used);
            all.extend(changes(NEXT, &next));
            all.push(set(PUBLIC, public));
            admin.modify_domain(actor, &domain, all).await?;
        }
        DkimAction::Remove { selector } => {
            let before = used.len() + next.len();
            used.retain(|(s, _)| !s.eq_ignore_ascii_case(&selector));
            next.retain(|(s, _)| !s.eq_ignore_ascii_case(&selector));
            if used.len() + next.len() == before {
                return Err(bad("there is no key with this selector"));
            }
            let public = used.iter().filter_map(|(_, pem)| record_of(pem).ok()).collect();
            let mut all = changes(USED, &used);
            all.extend(changes(NEXT, &next));
            all.push(set(PUBLIC, public));
            admin.modify_domain(actor, &domain, all).await?;
        }
    }
    let shown_as = attrs.get("DKIMDomain").unwrap_or(&name).to_string();
    Ok(Json(DkimReply { keys: shown(&shown_as, &used, true).chain(shown(&shown_as, &next, false)).collect() }))
}

impl Admin {
    async fn modify_domain(&self, actor: Actor, domain: &Object, changes: Vec<Modification>) -> Result<(), Refused> {
        let directory = Directory::new(self.directory(), Freshness::Recent);
        directory.may_change(actor, domain, &changes).await?;
        tracing::info!(target: "audit", ?actor, on = %domain.name, "DKIM keys changed");
        let command = DirectoryCommand::ModifyDomain { name: domain.name.clone(), changes };
        self.directory().write(Actor::System, crate::join::request_id(), command).await?;
        Ok(())
    }
}
