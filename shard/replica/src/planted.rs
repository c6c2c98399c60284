//! The planted bug `UidBeforeCommit` (see [`zcluster_runtime::planted`]): a proposer takes a message's UID from its own
//! memory, and the entry carries it. Two proposers, or one that does not know of the entries before its own, then give
//! out one UID twice, which no correct replica can: it takes the UID from the tables, while it applies.

use crate::kv::Overlay;
use crate::node::NodeState;
use bytes::Bytes;
use zcluster_api::delivery::{Filing, Target};
use zcluster_api::{FolderId, GroupId, MailboxCommand, MailboxId, Uid, codec};
use zcluster_runtime::planted::remember;
use zcluster_state::{Applied, Change, Proposal, planted};

fn added_to(proposal: &Proposal) -> Option<(MailboxId, FolderId)> {
    match &proposal.what {
        Change::Mailbox { mailbox, command: MailboxCommand::AddMessage(message), .. } => {
            Some((*mailbox, message.folder))
        }
        Change::Mailbox { mailbox, command: MailboxCommand::Deliver(delivery), .. } => {
            match delivery.filings.as_slice() {
                [Filing { target: Target::Folder(folder), .. }] => Some((*mailbox, *folder)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Adds to a new message's entry the UID that `me` takes it to get. (Decoding an entry does not look behind its end.)
pub(crate) fn carry_uid(node: &NodeState, me: u64, group: GroupId, payload: Bytes) -> Bytes {
    let Some((mailbox, folder)) = codec::decode(&payload).ok().as_ref().and_then(added_to) else { return payload };
    let known = node.view(group, |kv| planted::uid_next(kv, mailbox, folder));
    let known = known.ok().flatten().map_or(0, |uid| u64::from(uid.0));
    let key = [me, u64::from(group.0), mailbox.0, u64::from(folder.0)];
    let next = remember(&key, |next| next.max(known) + 1).max(known);
    let uid = u32::try_from(next).unwrap_or(u32::MAX).to_le_bytes();
    [&payload[..], &uid[..]].concat().into()
}

/// Applies an entry, a new message under the UID that it carries.
pub(crate) fn apply(
    overlay: &mut Overlay<'_>,
    group: GroupId,
    index: u64,
    proposal: &Proposal,
    payload: &[u8],
) -> zcluster_api::Result<Applied> {
    let Some((mailbox, folder)) = added_to(proposal) else {
        return Ok(zcluster_state::apply(overlay, group, index, proposal));
    };
    let carried = payload.last_chunk().map_or(0, |b| u32::from_le_bytes(*b));
    let before = planted::uid_next(overlay, mailbox, folder)?;
    if before.is_some() && carried > 0 {
        planted::set_uid_next(overlay, mailbox, folder, Uid(carried))?;
    }
    let applied = zcluster_state::apply(overlay, group, index, proposal);
    // A request that was known, or a command that failed, uses no UID.
    let after = planted::uid_next(overlay, mailbox, folder)?;
    if let Some(next) = if applied.changed.is_empty() { before } else { before.max(after) } {
        planted::set_uid_next(overlay, mailbox, folder, next)?;
    }
    Ok(applied)
}
