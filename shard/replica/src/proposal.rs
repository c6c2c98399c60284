//! Proposals and their replies as bytes, so that the floors above need not know the state machines.

use bytes::Bytes;
use zcluster_api::mailbox::Traits;
use zcluster_api::{
    AccountId, BodiesCommand, BodiesReceipt, DirectoryCommand, DirectoryReply, Epoch, Error, GroupId, MailboxCommand,
    MailboxId, Receipt, RequestId, Result, codec,
};
use zcluster_state::{Change, Proposal, Reply};

/// A proposal that changes the directory. `wall_ms` is the proposer's clock.
pub fn directory(request: RequestId, wall_ms: u64, command: DirectoryCommand) -> Bytes {
    codec::encode(&Proposal { request, wall_ms, what: Change::Directory(command) }).into()
}

/// A proposal that changes a mailbox.
pub fn mailbox(
    request: RequestId,
    wall_ms: u64,
    mailbox: MailboxId,
    epoch: Epoch,
    quota: u64,
    command: MailboxCommand,
) -> Bytes {
    mailbox_as(None, None, request, wall_ms, (mailbox, epoch, quota), command)
}

/// The same, asked for by `actor`, an account that is not the owner, and with what the account is like.
pub fn mailbox_as(
    actor: Option<AccountId>,
    traits: Option<Traits>,
    request: RequestId,
    wall_ms: u64,
    (mailbox, epoch, quota): (MailboxId, Epoch, u64),
    command: MailboxCommand,
) -> Bytes {
    let what = Change::Mailbox { mailbox, epoch, quota, command, actor, traits };
    codec::encode(&Proposal { request, wall_ms, what }).into()
}

/// A proposal that changes where a shard's bodies are.
pub fn bodies(request: RequestId, wall_ms: u64, command: BodiesCommand) -> Bytes {
    codec::encode(&Proposal { request, wall_ms, what: Change::Bodies(command) }).into()
}

/// The answer to a [`bodies`] proposal.
///
/// # Errors
/// The state machine's, or `Internal` when the bytes are not such an answer.
pub fn bodies_reply(bytes: &[u8]) -> Result<BodiesReceipt> {
    match codec::decode(bytes)? {
        Reply::Bodies(reply) => reply,
        _ => Err(Error::Internal("another answer than to a command about bodies".into())),
    }
}

/// The answer to a [`directory`] proposal.
///
/// # Errors
/// The state machine's, or `Internal` when the bytes are not such an answer.
pub fn directory_reply(bytes: &[u8]) -> Result<DirectoryReply> {
    match codec::decode(bytes)? {
        Reply::Directory(reply) => reply,
        _ => Err(Error::Internal("another answer than to a directory command".into())),
    }
}

/// The answer to a [`mailbox`] proposal.
///
/// # Errors
/// The state machine's, or `Internal` when the bytes are not such an answer.
pub fn mailbox_reply(bytes: &[u8]) -> Result<Receipt> {
    match codec::decode(bytes)? {
        Reply::Mailbox(reply) => reply,
        _ => Err(Error::Internal("another answer than to a mailbox command".into())),
    }
}

/// The same proposal as another intention: for the planted bug `RetryWithoutRequestId`, and nothing else.
///
/// # Errors
/// `Internal` when the bytes are no proposal.
pub fn renamed(bytes: &[u8], request: RequestId) -> Result<Bytes> {
    let mut proposal: Proposal = codec::decode(bytes)?;
    proposal.request = request;
    Ok(codec::encode(&proposal).into())
}

/// A proposer's clock may differ from the leader's by so much; a larger difference is replaced by the leader's.
const SKEW_MAX_MS: u64 = 5_000;

/// Looks at a proposal that came from a peer before it goes into `group`'s log: one that the replicas could not read,
/// or that is for another kind of group, must never get there. A clock far off is set right, since a group's clock
/// never goes back and windows are counted on it.
///
/// # Errors
/// `Internal` or `Invalid` when it is not such a proposal.
pub fn admit(bytes: Bytes, group: GroupId, request: RequestId, now_ms: u64) -> Result<Bytes> {
    let mut proposal: Proposal = codec::decode(&bytes)?;
    let fits = matches!(proposal.what, Change::Directory(_)) == (group == GroupId::DIRECTORY);
    if !fits || proposal.request != request {
        return Err(Error::Invalid("a proposal for another group or request".into()));
    }
    if proposal.wall_ms.abs_diff(now_ms) <= SKEW_MAX_MS {
        return Ok(bytes);
    }
    proposal.wall_ms = now_ms;
    Ok(codec::encode(&proposal).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_only_what_fits_and_sets_clocks_right() {
        let (request, other) = (RequestId([1; 16]), RequestId([2; 16]));
        let p = mailbox(request, 1_000_000, MailboxId(1), Epoch(1), 0, MailboxCommand::CreateMailbox);
        assert_eq!(admit(p.clone(), GroupId(1), request, 1_004_000).unwrap(), p);
        assert!(admit(p.clone(), GroupId(0), request, 1_000_000).is_err());
        assert!(admit(p.clone(), GroupId(1), other, 1_000_000).is_err());
        assert!(admit(p.slice(1..), GroupId(1), request, 1_000_000).is_err());
        let fixed: Proposal = codec::decode(&admit(p, GroupId(1), request, 9_000_000).unwrap()).unwrap();
        assert_eq!(fixed.wall_ms, 9_000_000);
    }
}
