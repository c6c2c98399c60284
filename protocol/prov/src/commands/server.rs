//! Commands about servers. Each node has an entry (`zclusterNodeNumber`); others may be made for what runs beside.

use super::{Handlers, only};
use crate::Outcome;
use crate::call::Call;
use crate::pairs::modifications;
use crate::prov::Prov;
use crate::reply::Reply;
use crate::show::search;
use zcluster_api::directory::{Attributes, Filter, Modification, Object, ObjectKind};
use zcluster_directory::Failure;

const SERVER: &[ObjectKind] = &[ObjectKind::Server];
/// Servers of a site at most.
const SERVERS_MAX: usize = 10_000;

pub(super) const HANDLERS: Handlers = &[
    ("createServer", |p, c| Box::pin(create(p, c))),
    ("getServer", |p, c| Box::pin(get(p, c))),
    ("getAllServers", |p, c| Box::pin(get_all(p, c))),
    ("modifyServer", |p, c| Box::pin(modify(p, c))),
    ("deleteServer", |p, c| Box::pin(delete(p, c))),
    ("getAllMtaAuthURLs", |p, c| Box::pin(mta_auth_urls(p, c))),
    ("getAllMemcachedServers", |p, c| Box::pin(memcached(p, c))),
];

async fn create(prov: &Prov, call: &Call<'_>) -> Outcome {
    let mut attrs = modifications(call.from(1))?;
    if !attrs.iter().any(|m| m.name.eq_ignore_ascii_case("zimbraServiceHostname")) {
        attrs.push(Modification::set("zimbraServiceHostname", call.name()));
    }
    prov.make(call, ObjectKind::Server, call.name(), None, attrs).await
}

async fn get(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.shown(prov.named(SERVER, None, call.name()).await?, call, call.from(1)).await
}

async fn get_all(prov: &Prov, call: &Call<'_>) -> Outcome {
    let filter = call.args.first().map_or_else(Filter::all, |service| Filter::equal("zimbraServiceEnabled", *service));
    prov.list(call, search(only(ObjectKind::Server), None, filter), &[]).await
}

async fn modify(prov: &Prov, call: &Call<'_>) -> Outcome {
    let server = prov.named(SERVER, None, call.name()).await?;
    prov.change(&server, modifications(call.from(1))?).await
}

async fn delete(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.remove(&prov.named(SERVER, None, call.name()).await?).await
}

/// All servers, with what they inherit.
async fn effective(prov: &Prov) -> Result<Vec<(Object, Attributes)>, Failure> {
    let mut out = Vec::new();
    let viewer = prov.directory.viewer(prov.actor).await?;
    for server in prov.all(search(only(ObjectKind::Server), None, Filter::all()), SERVERS_MAX).await? {
        let attrs = prov.directory.seen(&viewer, &server, false).await?.attrs;
        out.push((server, attrs));
    }
    Ok(out)
}

fn host<'a>(server: &'a Object, attrs: &'a Attributes) -> &'a str {
    attrs.get("zimbraServiceHostname").unwrap_or(&server.name)
}

/// Where an MTA beside the cluster may have SMTP AUTH checked: on one line, as Postfix's configuration takes it.
async fn mta_auth_urls(prov: &Prov, _: &Call<'_>) -> Outcome {
    let servers = effective(prov).await?;
    let targets = servers.iter().filter(|(_, attrs)| attrs.get("zimbraMtaAuthTarget") == Some("TRUE"));
    let url = |(server, attrs): &(Object, Attributes)| {
        let port = attrs.get("zimbraAdminPort").filter(|p| *p != "0").unwrap_or("7071");
        format!("https://{}:{port}/service/admin/soap/", host(server, attrs))
    };
    Ok(Reply::text(targets.map(url).collect::<Vec<_>>().join(" ")))
}

async fn memcached(prov: &Prov, _: &Call<'_>) -> Outcome {
    let servers = effective(prov).await?;
    let running =
        servers.iter().filter(|(_, attrs)| attrs.all("zimbraServiceEnabled").iter().any(|s| s == "memcached"));
    let place = |(server, attrs): &(Object, Attributes)| {
        format!("{}:{}", host(server, attrs), attrs.get("zimbraMemcachedBindPort").unwrap_or("11211"))
    };
    Ok(Reply::text(running.map(place).collect::<Vec<_>>().join(" ")))
}
