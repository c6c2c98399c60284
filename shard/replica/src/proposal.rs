//! Proposals and their replies as bytes, so that the floors above need not know the state machines.

use bytes::Bytes;
use zcluster_api::{
    DirectoryCommand, DirectoryReply, Epoch, Error, MailboxCommand, MailboxId, Receipt, RequestId, Result, codec,
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
    codec::encode(&Proposal { request, wall_ms, what: Change::Mailbox { mailbox, epoch, quota, command } }).into()
}

/// The answer to a [`directory`] proposal.
///
/// # Errors
/// The state machine's, or `Internal` when the bytes are not such an answer.
pub fn directory_reply(bytes: &[u8]) -> Result<DirectoryReply> {
    match codec::decode(bytes)? {
        Reply::Directory(reply) => reply,
        Reply::Mailbox(_) => Err(Error::Internal("a mailbox's answer to a directory command".into())),
    }
}

/// The answer to a [`mailbox`] proposal.
///
/// # Errors
/// The state machine's, or `Internal` when the bytes are not such an answer.
pub fn mailbox_reply(bytes: &[u8]) -> Result<Receipt> {
    match codec::decode(bytes)? {
        Reply::Mailbox(reply) => reply,
        Reply::Directory(_) => Err(Error::Internal("the directory's answer to a mailbox command".into())),
    }
}
