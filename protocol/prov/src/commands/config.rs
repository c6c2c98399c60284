//! Commands about the global settings.

use super::Handlers;
use crate::Outcome;
use crate::call::Call;
use crate::pairs::modifications;
use crate::prov::Prov;

pub(super) const HANDLERS: Handlers = &[
    ("getConfig", |p, c| Box::pin(get(p, c))),
    ("getAllConfig", |p, c| Box::pin(get(p, c))),
    ("modifyConfig", |p, c| Box::pin(modify(p, c))),
];

async fn get(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.shown(prov.config().await?, call, &call.args).await
}

async fn modify(prov: &Prov, call: &Call<'_>) -> Outcome {
    prov.change(&prov.config().await?, modifications(&call.args)?).await
}
