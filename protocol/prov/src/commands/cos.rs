//! Commands about classes of service.

use super::{Handlers, only};
use crate::Outcome;
use crate::call::Call;
use crate::pairs::modifications;
use crate::prov::Prov;
use crate::show::search;
use zcluster_api::directory::{Filter, Modification, ModifyKind, ObjectKind};
use zcluster_directory::Failure;

const COS: &[ObjectKind] = &[ObjectKind::Cos];

pub(super) const HANDLERS: Handlers = &[
    ("createCos", |p, c| Box::pin(create(p, c))),
    ("copyCos", |p, c| Box::pin(copy(p, c))),
    ("getCos", |p, c| Box::pin(get(p, c))),
    ("getAllCos", |p, c| Box::pin(get_all(p, c))),
    ("modifyCos", |p, c| Box::pin(modify(p, c))),
    ("renameCos", |p, c| Box::pin(p.give_name(c, COS, None))),
    ("deleteCos", |p, c| Box::pin(delete(p, c))),
];

async fn create(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.make(call, ObjectKind::Cos, call.name(), None, modifications(call.from(1))?).await
}

async fn copy(prov: &Prov, call: &Call<'_>) -> Outcome {
    let from = prov.named(COS, None, call.name()).await?;
    let copied = |name: &str| {
        let own = ["cn", "objectClass"].iter().any(|n| n.eq_ignore_ascii_case(name));
        !own && zcluster_schema::check_name(name).is_ok()
    };
    // Whoever copies it sees the copy: he must see all of what he copies.
    let seen = prov.visible(&from).await?;
    if from.attrs.iter().any(|a| copied(&a.name) && !seen.attrs.has(&a.name)) {
        return Err(Failure::denied(format!("permission denied: need right getCos on {}", from.name)));
    }
    let values = from.attrs.iter().filter(|a| copied(&a.name));
    let attrs =
        values.map(|a| Modification { name: a.name.clone(), kind: ModifyKind::Replace, values: a.values.clone() });
    prov.make(call, ObjectKind::Cos, call.arg(1), None, attrs.collect()).await
}

async fn get(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.shown(prov.named(COS, None, call.name()).await?, call, call.from(1)).await
}

async fn get_all(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.list(call, search(only(ObjectKind::Cos), None, Filter::all()), &[]).await
}

async fn modify(prov: &Prov, call: &Call<'_>) -> Outcome {
    let cos = prov.named(COS, None, call.name()).await?;
    prov.change(&cos, modifications(call.from(1))?).await
}

async fn delete(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.remove(&prov.named(COS, None, call.name()).await?).await
}
