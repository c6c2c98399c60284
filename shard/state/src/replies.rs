//! The reply cache: the same request id is answered once with effect and then, for a while, with the kept reply.

use crate::group::Group;
use crate::kv::{Kv, Table, each, key_u64, load, save};
use crate::proposal::Reply;
use minicbor::{Decode, Encode};
use zcluster_api::{RequestId, Result};

/// How long a reply is kept, milliseconds: longer than any caller's deadline.
const KEPT_MS: u64 = 10 * 60 * 1000;
/// The newest replies, so many, are kept however old they seem: the clock is the proposers', and a new leader's may be
/// hours ahead of the one before. The retry that it brings must still find the first try's reply.
const KEPT_MIN: u64 = 20_000;
/// Replies kept in a group at most; beyond it the oldest go early.
const KEPT_MAX: u64 = 200_000;
/// Steps of pruning per apply. More than one reply comes in per apply at most, so the cache shrinks when it must.
const PRUNE_STEPS: u64 = 4;

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
    let early = |group: &Group, due_ms| group.replies <= KEPT_MAX && group.wall_ms < due_ms;
    let spare = group.replies.saturating_sub(KEPT_MIN).min(PRUNE_STEPS);
    if spare == 0 || early(group, group.replies_due_ms) {
        return Ok(());
    }
    let mut oldest = Vec::new();
    let (from, to) = (group.replies_from.to_be_bytes(), group.applies.to_be_bytes());
    each(&*kv, Table::ReplyOrder, &from, &to, |key, order: Order| {
        oldest.push((key_u64(key, 0)?, order));
        Ok((oldest.len() as u64) < spare)
    })?;
    for (at, order) in oldest {
        let due_ms = order.at_ms.saturating_add(KEPT_MS);
        if early(group, due_ms) {
            group.replies_due_ms = due_ms;
            break;
        }
        kv.delete(Table::ReplyOrder, &at.to_be_bytes());
        kv.delete(Table::Reply, &order.request.0);
        group.replies -= 1;
        group.replies_from = at + 1;
    }
    Ok(())
}
