//! What administrators do with the volume.

use super::{meanwhile, struck};
use crate::cluster::Cluster;
use crate::invariants::verify_finds_nothing;
use crate::warehouse::VOLUME;
use crate::world::{self, OUTSIDE};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Modification, ModifyKind};
use zcluster_api::{Actor, DirectoryApi, DirectoryCommand, RequestId};
use zcluster_router::{DRAINED_ATTRIBUTE, VerifyAsk};
use zcluster_runtime::random_bytes;

/// Whatever happens meanwhile, what is not wrong is never said to be; and putting right what is not wrong does no harm.
pub(super) fn verify(cluster: &Arc<Cluster>, repair: bool) -> bool {
    if cluster.warehouse().is_none() {
        return false;
    }
    let cluster = cluster.clone();
    meanwhile(async move {
        let Some(by) = cluster.some_member(OUTSIDE) else { return };
        let ask = VerifyAsk { repair, deep: true, ..VerifyAsk::default() };
        match verify_finds_nothing::told(&cluster, by, ask).await {
            Some(told) => {
                world::count("volume.verified");
                if let Err(broken) = verify_finds_nothing::judge(&told, true) {
                    world::violate(broken.promise, broken.text);
                }
            }
            None => world::count("volume.verify_cut_short"),
        }
    });
    struck("fault.verify_bodies", OUTSIDE, &[u64::from(repair)], || format!("bodies are verified, repair: {repair}"))
}

pub(super) fn drain(cluster: &Arc<Cluster>, time: Duration) -> bool {
    if cluster.warehouse().is_none() {
        return false;
    }
    let cluster = cluster.clone();
    meanwhile(async move {
        for values in [vec![VOLUME.to_string()], Vec::new()] {
            if let Some(by) = cluster.some_member(OUTSIDE) {
                let done = cluster.ask(by, move |parts| async move {
                    let change = Modification { name: DRAINED_ATTRIBUTE.into(), kind: ModifyKind::Replace, values };
                    let command = DirectoryCommand::ModifyConfig(vec![change]);
                    let request = RequestId(random_bytes());
                    DirectoryApi::write(parts.router.as_ref(), Actor::System, request, command).await
                });
                if matches!(done.await, Some(Ok(_))) {
                    world::count("volume.drain_changed");
                }
            }
            world::sleep(time).await;
        }
    });
    struck("fault.drain_volume", OUTSIDE, &[], || format!("the volume is emptied for {time:?}"))
}
