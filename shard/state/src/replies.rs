//! The reply cache: the same request id is answered once with effect and then, for a while, with the kept reply.

use crate::group::Group;
use crate::kv::{Kv, Table, load, save};
use crate::proposal::Reply;
use minicbor::{Decode, Encode};
use zcluster_api::{RequestId, Result};

/// How long a reply is kept, milliseconds: longer than any caller's deadline.
const KEPT_MS: u64 = 10 * 60 * 1000;
/// Replies kept in a group at most; beyond it the oldest go early.
const KEPT_MAX: u64 = 200_000;
/// Steps of pruning per apply. More than one reply comes in per apply at most, so the cache shrinks when it must.
const PRUNE_STEPS: usize = 4;

#[derive(Encode, Decode)]
struct Order {
    #[n(0)]
    at_ms: u64,
    #[n(1)]
    request: RequestId,
}

/// The reply that `request` was given, if it is still kept.
pub(crate) fn kept(kv: &dyn Kv, request: RequestId) -> Result<Option<Reply>> {
    load(kv, Table::Reply, &request.0)
}

/// Keeps a reply.
pub(crate) fn keep(kv: &mut dyn Kv, group: &mut Group, request: RequestId, reply: &Reply) {
    save(kv, Table::Reply, &request.0, reply);
    let order = Order { at_ms: group.wall_ms, request };
    save(kv, Table::ReplyOrder, &group.applies.to_be_bytes(), &order);
    group.replies += 1;
}

/// Forgets a few replies that are too old or too many.
pub(crate) fn prune(kv: &mut dyn Kv, group: &mut Group) -> Result<()> {
    if group.replies <= KEPT_MAX && group.wall_ms < group.replies_due_ms {
        return Ok(());
    }
    if group.replies == 0 {
        group.replies_from = group.applies;
    }
    for _ in 0..PRUNE_STEPS {
        if group.replies_from >= group.applies {
            break;
        }
        let key = group.replies_from.to_be_bytes();
        if let Some(order) = load::<Order>(kv, Table::ReplyOrder, &key)? {
            let due_ms = order.at_ms.saturating_add(KEPT_MS);
            if group.replies <= KEPT_MAX && group.wall_ms < due_ms {
                group.replies_due_ms = due_ms;
                break;
            }
            kv.delete(Table::ReplyOrder, &key);
            kv.delete(Table::Reply, &order.request.0);
            group.replies -= 1;
        }
        group.replies_from += 1;
    }
    Ok(())
}
