//! Commands about domains.

use super::{Handlers, only};
use crate::call::Call;
use crate::pairs::modifications;
use crate::prov::Prov;
use crate::reply::{Entry, Reply};
use crate::show::{keep, search};
use crate::{Outcome, usage};
use zcluster_api::directory::{Filter, Modification, Object, ObjectBy, ObjectKind};
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_directory::Failure;
use zcluster_schema::Flag;

const DOMAIN: &[ObjectKind] = &[ObjectKind::Domain];

pub(super) const HANDLERS: Handlers = &[
    ("createDomain", |p, c| Box::pin(create(p, c))),
    ("createAliasDomain", |p, c| Box::pin(create_alias(p, c))),
    ("getDomain", |p, c| Box::pin(get(p, c))),
    ("getDomainInfo", |p, c| Box::pin(get_info(p, c))),
    ("getAllDomains", |p, c| Box::pin(get_all(p, c))),
    ("modifyDomain", |p, c| Box::pin(modify(p, c))),
    ("renameDomain", |p, c| Box::pin(p.give_name(c, DOMAIN, None))),
    ("deleteDomain", |p, c| Box::pin(delete(p, c))),
    ("countAccount", |p, c| Box::pin(count_accounts(p, c))),
];

async fn create(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.make(call, ObjectKind::Domain, call.name(), None, modifications(call.from(1))?).await
}

/// A domain whose addresses are another one's.
async fn create_alias(prov: &Prov, call: &Call<'_>) -> Outcome {
    let (alias, target) = (call.arg(0), prov.named(DOMAIN, None, call.arg(1)).await?);
    if target.attrs.get("zimbraDomainType") == Some("alias") {
        return Err(Failure::invalid(format!("domain {} is an alias domain itself", target.name)));
    }
    prov.directory.require_right(prov.actor, &target, &["createAlias"]).await?;
    let mut attrs = modifications(call.from(2))?;
    attrs.extend([
        Modification::set("zimbraDomainType", "alias"),
        Modification::set("zimbraDomainAliasTargetId", target.id.to_string()),
        Modification::set("zimbraMailCatchAllAddress", format!("@{}", alias.to_lowercase())),
        Modification::set("zimbraMailCatchAllForwardingAddress", format!("@{}", target.name)),
    ]);
    prov.make(call, ObjectKind::Domain, alias, None, attrs).await
}

async fn get(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.shown(prov.named(DOMAIN, None, call.name()).await?, call, call.from(1)).await
}

/// What a login page may know of a domain.
async fn get_info(prov: &Prov, call: &Call<'_>) -> Outcome {
    let (by, value) = (call.arg(0), call.arg(1));
    let domain = match by.to_ascii_lowercase().as_str() {
        "name" | "id" => prov.named(DOMAIN, None, value).await?,
        "virtualhostname" => {
            let filter = Filter::equal("zimbraVirtualHostname", value);
            let found = prov.all(search(only(ObjectKind::Domain), None, filter), 1_000).await?;
            found.into_iter().next().ok_or_else(|| Failure::missing(ObjectKind::Domain, value))?
        }
        _ => return Err(usage(format!("domains are named by name, id or virtualHostname, not by {by:?}"))),
    };
    let viewer = prov.directory.viewer(prov.actor).await?;
    let attrs = prov.directory.seen(&viewer, &domain, false).await?.attrs;
    let told = ["zimbraDomainName", "zimbraId"];
    let attrs = keep(attrs, |d| d.has(Flag::DomainInfo) || told.contains(&d.name));
    Ok(Reply::entry(Entry::new(&domain.name, &attrs, call.from(2))))
}

async fn get_all(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.list(call, search(only(ObjectKind::Domain), None, Filter::all()), &call.args).await
}

async fn modify(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = prov.named(DOMAIN, None, call.name()).await?;
    prov.change(&domain, modifications(call.from(1))?).await
}

async fn delete(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.remove(&prov.named(DOMAIN, None, call.name()).await?).await
}

/// Accounts by COS: those without one of their own have the domain's, else `default`.
async fn count_accounts(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = prov.named(DOMAIN, None, call.name()).await?;
    prov.directory.require_right(prov.actor, &domain, &["countAccount"]).await?;
    let by_cos = accounts_by_cos(prov, &domain).await?;
    let row = |name: &str, id: &str, count: &str| format!("{name:<20} {id:<40} {count}");
    let mut lines =
        vec![row("cos name", "cos id", "# of accounts"), row(&"-".repeat(20), &"-".repeat(40), &"-".repeat(20))];
    for (cos, count) in by_cos {
        lines.push(row(&cos.name, &cos.id.to_string(), &count.to_string()));
    }
    lines.push(String::new());
    Ok(Reply::lines(lines))
}

async fn accounts_by_cos(prov: &Prov, domain: &Object) -> Result<Vec<(Object, u64)>, Failure> {
    let query = DirectoryQuery::AccountCounts(domain.name.clone());
    let counts = match prov.directory.api().read(query, Freshness::Recent).await? {
        DirectoryReply::CosCounts(counts) => counts,
        other => return Err(Failure::new("service.FAILURE", format!("unexpected answer {other:?}"))),
    };
    let default = default_cos(prov, domain).await?;
    let mut out: Vec<(Object, u64)> = Vec::new();
    for (id, count) in counts {
        let cos = match (id == AccountId([0; 16])).then(|| default.clone()) {
            Some(default) => default,
            None => match prov.directory.find(ObjectBy::Id(id)).await {
                Ok(cos) => cos,
                // A COS that is gone: its accounts have the default one.
                Err(f) if f.code.contains("NO_SUCH") => default.clone(),
                Err(f) => return Err(f),
            },
        };
        match out.iter_mut().find(|(o, _)| o.id == cos.id) {
            Some((_, sum)) => *sum += count,
            None => out.push((cos, count)),
        }
    }
    Ok(out)
}

async fn default_cos(prov: &Prov, domain: &Object) -> Result<Object, Failure> {
    if let Some(id) = domain.attrs.get("zimbraDomainDefaultCOSId").and_then(|id| id.parse::<AccountId>().ok())
        && let Ok(cos) = prov.directory.find(ObjectBy::Id(id)).await
    {
        return Ok(cos);
    }
    prov.directory.named(&[ObjectKind::Cos], None, "default").await
}
