//! Commands of no category: counting, caches, preauth, help.

use super::{Handlers, only};
use crate::call::Call;
use crate::prov::Prov;
use crate::reply::Reply;
use crate::show::search;
use crate::{Outcome, table, usage};
use zcluster_api::directory::{Filter, Kinds, Modification, Object, ObjectKind};
use zcluster_auth::{PreAuth, new_preauth_key};
use zcluster_directory::Failure;

pub(super) const HANDLERS: Handlers = &[
    ("help", |_, c| Box::pin(std::future::ready(Ok(table::help(c.args.first().copied()))))),
    ("exit", |_, _| Box::pin(std::future::ready(Ok(Reply::default())))),
    ("countObjects", |p, c| Box::pin(count_objects(p, c))),
    ("flushCache", |p, c| Box::pin(flush_cache(p, c))),
    ("generateDomainPreAuthKey", |p, c| Box::pin(preauth_key(p, c))),
    ("generateDomainPreAuth", |p, c| Box::pin(preauth_value(p, c))),
];

/// Zimbra's kinds of caches.
const CACHES: [&str; 19] = [
    "acl",
    "locale",
    "skin",
    "uistrings",
    "license",
    "all",
    "account",
    "config",
    "globalgrant",
    "cos",
    "domain",
    "galgroup",
    "group",
    "mime",
    "server",
    "alwaysOnCluster",
    "zimlet",
    "ucservice",
    "xmppcomponent",
];

/// Whether it is one of the accounts that only services use.
fn is_system(object: &Object) -> bool {
    let on = |name: &str| object.attrs.get(name) == Some("TRUE");
    on("zimbraIsSystemResource") || on("zimbraIsSystemAccount")
}

async fn count_objects(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = match call.value("-d") {
        Some(name) => Some(prov.named(&[ObjectKind::Domain], None, name).await?.name),
        None => None,
    };
    if call.value("-u").is_some() {
        return Err(Failure::invalid("objects are not counted by UC service here"));
    }
    let external = |o: &Object| o.attrs.get("zimbraIsExternalVirtualAccount") == Some("TRUE");
    let archive = |o: &Object| o.attrs.has("zimbraArchiveEnabled") && o.attrs.has("zimbraArchiveAccount");
    type Wanted = Box<dyn Fn(&Object) -> bool + Send + Sync>;
    let (kinds, wanted): (Kinds, Wanted) = match call.name().to_ascii_lowercase().as_str() {
        "useraccount" => (only(ObjectKind::Account), Box::new(|o| !is_system(o))),
        "account" => (Kinds::ACCOUNTS, Box::new(|_| true)),
        "alias" => (only(ObjectKind::Alias), Box::new(|_| true)),
        "dl" => (Kinds::GROUPS, Box::new(|_| true)),
        "domain" => (only(ObjectKind::Domain), Box::new(|_| true)),
        "cos" => (only(ObjectKind::Cos), Box::new(|_| true)),
        "server" => (only(ObjectKind::Server), Box::new(|_| true)),
        "calresource" => (only(ObjectKind::Resource), Box::new(|_| true)),
        "internaluseraccount" | "internaluseraccountx" => {
            (only(ObjectKind::Account), Box::new(move |o| !is_system(o) && !external(o)))
        }
        "internalarchivingaccount" => {
            (only(ObjectKind::Account), Box::new(move |o| !is_system(o) && !external(o) && archive(o)))
        }
        other => return Err(Failure::invalid(format!("unknown object type: {other}"))),
    };
    let count = prov.count(search(kinds, domain.as_deref(), Filter::all()), wanted).await?;
    Ok(Reply::text(count.to_string()))
}

/// Every node answers from its replica of the directory, and what it keeps follows the log: nothing can be stale.
async fn flush_cache(_: &Prov, call: &Call<'_>) -> Outcome {
    for kind in call.name().split(',') {
        if !CACHES.iter().any(|c| c.eq_ignore_ascii_case(kind)) {
            return Err(usage(format!("no such cache type: {kind}; there are {}", CACHES.join(", "))));
        }
    }
    Ok(Reply::text("nothing to flush: every node's caches follow the directory's log"))
}

async fn preauth_key(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = prov.named(&[ObjectKind::Domain], None, call.name()).await?;
    let key = new_preauth_key();
    let changes = vec![Modification::set("zimbraPreAuthKey", key.clone())];
    prov.directory.may_change(prov.actor, &domain, &changes).await?;
    if domain.attrs.has("zimbraPreAuthKey") && !call.has("-f") {
        let text = format!("pre auth key exists for domain {}, use command -f option to force", domain.name);
        return Err(Failure::invalid(text));
    }
    prov.change(&domain, changes).await?;
    Ok(Reply::text(format!("preAuthKey:  {key}")))
}

async fn preauth_value(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = prov.named(&[ObjectKind::Domain], None, call.name()).await?;
    // It signs anybody of the domain in, its global administrators too.
    prov.global_only("generateDomainPreAuth")?;
    let key = domain.attrs.get("zimbraPreAuthKey");
    let key = key.ok_or_else(|| Failure::invalid("domain not configured for preauth"))?;
    let (name, by) = (call.arg(1), call.arg(2));
    if !["name", "id", "foreignPrincipal"].contains(&by) {
        return Err(usage(format!("an account is named by name, id or foreignPrincipal, not by {by:?}")));
    }
    let number = |text: &str| text.parse::<u64>().map_err(|_| usage(format!("{text:?} is no number of milliseconds")));
    let timestamp_ms = match number(call.arg(3))? {
        0 => zcluster_runtime::wall_ms(),
        given => given,
    };
    let expires_ms = number(call.arg(4))?;
    let admin = call.args.get(5).is_some_and(|a| *a == "1");
    let signed = PreAuth { account: name.into(), by: by.into(), timestamp_ms, expires_ms, admin };
    Ok(Reply::lines([
        format!("account: {name}"),
        format!("by: {by}"),
        format!("timestamp: {timestamp_ms}"),
        format!("expires: {expires_ms}"),
        format!("preAuth: {}", signed.sign(key)),
    ]))
}
