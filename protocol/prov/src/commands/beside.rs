//! Commands about what stands beside servers: always-on clusters, UC services, XMPP components.

use super::{Handlers, only};
use crate::Outcome;
use crate::call::Call;
use crate::pairs::modifications;
use crate::prov::Prov;
use crate::show::search;
use zcluster_api::directory::{Filter, Modification, ObjectKind};
use zcluster_directory::Failure;

const CLUSTER: &[ObjectKind] = &[ObjectKind::AlwaysOnCluster];
const SERVICE: &[ObjectKind] = &[ObjectKind::UcService];
const XMPP: &[ObjectKind] = &[ObjectKind::XmppComponent];

pub(super) const HANDLERS: Handlers = &[
    ("createAlwaysOnCluster", |p, c| Box::pin(create(p, c, CLUSTER))),
    ("getAlwaysOnCluster", |p, c| Box::pin(get(p, c, CLUSTER))),
    ("getAllAlwaysOnClusters", |p, c| Box::pin(get_all(p, c, CLUSTER))),
    ("modifyAlwaysOnCluster", |p, c| Box::pin(modify(p, c, CLUSTER))),
    ("deleteAlwaysOnCluster", |p, c| Box::pin(delete(p, c, CLUSTER))),
    ("createUCService", |p, c| Box::pin(create(p, c, SERVICE))),
    ("getUCService", |p, c| Box::pin(get(p, c, SERVICE))),
    ("getAllUCServices", |p, c| Box::pin(get_all(p, c, SERVICE))),
    ("modifyUCService", |p, c| Box::pin(modify(p, c, SERVICE))),
    ("renameUCService", |p, c| Box::pin(p.give_name(c, SERVICE, None))),
    ("deleteUCService", |p, c| Box::pin(delete(p, c, SERVICE))),
    ("createXMPPComponent", |p, c| Box::pin(create_xmpp(p, c))),
    ("getXMPPComponent", |p, c| Box::pin(get(p, c, XMPP))),
    ("getAllXMPPComponents", |p, c| Box::pin(get_all(p, c, XMPP))),
    ("modifyXMPPComponent", |p, c| Box::pin(modify(p, c, XMPP))),
    ("deleteXMPPComponent", |p, c| Box::pin(delete(p, c, XMPP))),
];

async fn create(prov: &Prov, call: &Call<'_>, kind: &[ObjectKind]) -> Outcome {
    prov.make(call, kind[0], call.name(), None, modifications(call.from(1))?).await
}

/// `<short-name> <domain> <server> <class> <category> <type>`: its name is the short one in the domain.
async fn create_xmpp(prov: &Prov, call: &Call<'_>) -> Outcome {
    let domain = prov.named(&[ObjectKind::Domain], None, call.arg(1)).await?;
    let server = prov.named(&[ObjectKind::Server], None, call.arg(2)).await?;
    let mut attrs = modifications(call.from(6))?;
    attrs.extend([
        Modification::set("zimbraXMPPComponentClassName", call.arg(3)),
        Modification::set("zimbraXMPPComponentCategory", call.arg(4)),
        Modification::set("zimbraXMPPComponentType", call.arg(5)),
        Modification::set("zimbraDomainId", domain.id.to_string()),
        Modification::set("zimbraServerId", server.id.to_string()),
    ]);
    let name = format!("{}.{}", call.arg(0), domain.name);
    prov.make(call, ObjectKind::XmppComponent, &name, None, attrs).await
}

async fn named(prov: &Prov, call: &Call<'_>, kind: &[ObjectKind]) -> Result<zcluster_api::directory::Object, Failure> {
    prov.named(kind, None, call.name()).await
}

async fn get(prov: &Prov, call: &Call<'_>, kind: &[ObjectKind]) -> Outcome {
    prov.shown(named(prov, call, kind).await?, call, call.from(1)).await
}

async fn get_all(prov: &Prov, call: &Call<'_>, kind: &[ObjectKind]) -> Outcome {
    prov.list(call, search(only(kind[0]), None, Filter::all()), &[]).await
}

async fn modify(prov: &Prov, call: &Call<'_>, kind: &[ObjectKind]) -> Outcome {
    prov.change(&named(prov, call, kind).await?, modifications(call.from(1))?).await
}

async fn delete(prov: &Prov, call: &Call<'_>, kind: &[ObjectKind]) -> Outcome {
    prov.remove(&named(prov, call, kind).await?).await
}
