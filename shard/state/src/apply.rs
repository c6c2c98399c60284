//! Applying one proposal: the clock, the reply cache and housekeeping around the two machines.

use crate::bodies;
use crate::directory;
use crate::group::Group;
use crate::kv::Kv;
use crate::mailbox::{self, DueOutgoing};
use crate::objects;
use crate::proposal::{Applied, Change, Effect, Proposal, Reply};
use crate::replies;
use zcluster_api::{Error, GroupId, MailboxCommand, Result};

/// Changes the tables of `group` by the proposal at log position `index`. Domain errors are replies; a failed command
/// changes nothing but the clock and the reply cache.
///
/// # Panics
/// When stored rows cannot be decoded: damage on this node must not become an answer that other replicas do not give.
pub fn apply(kv: &mut dyn Kv, group: GroupId, index: u64, proposal: &Proposal) -> Applied {
    match try_apply(kv, group, index, proposal) {
        Ok(applied) => applied,
        Err(e) => panic!("group {group} entry {index}: stored state is damaged: {e}"),
    }
}

fn try_apply(kv: &mut dyn Kv, id: GroupId, index: u64, proposal: &Proposal) -> Result<Applied> {
    let mut group = Group::begin(kv, proposal.wall_ms)?;
    replies::prune(kv, &mut group)?;
    bodies::housekeep(kv, &mut group)?;
    let applied = answer(kv, &mut group, id, index, proposal)?;
    group.finish(kv);
    Ok(applied)
}

fn answer(kv: &mut dyn Kv, group: &mut Group, id: GroupId, index: u64, proposal: &Proposal) -> Result<Applied> {
    if is_repeatable(&proposal.what) {
        return carry_out(kv, group, id, index, &proposal.what);
    }
    if let Some(reply) = replies::kept(kv, proposal.request)? {
        return Ok(Applied { reply, changed: Vec::new(), effects: Vec::new(), repeated: true });
    }
    let applied = carry_out(kv, group, id, index, &proposal.what)?;
    if !is_elsewhere(&applied.reply) {
        replies::keep(kv, group, proposal.request, &applied.reply);
    }
    Ok(applied)
}

/// Commands whose repetition does no harm, so that their replies need no keeping. Chunks often carry the request id
/// of the message they are for: a kept reply of one must never answer the other.
fn is_repeatable(what: &Change) -> bool {
    matches!(
        what,
        Change::Mailbox {
            command: MailboxCommand::Chunk { .. }
                | MailboxCommand::DropUpload(_)
                | MailboxCommand::CreateMailbox
                | MailboxCommand::SettleOutgoings(_),
            ..
        }
    )
}

/// The router resolves `WrongHome` and sends the same request again: that reply is not the request's outcome.
fn is_elsewhere(reply: &Reply) -> bool {
    matches!(reply, Reply::Mailbox(Err(Error::WrongHome { .. })))
}

/// Runs the machine concerned. `Err` is damage; domain errors are inside the reply.
fn carry_out(kv: &mut dyn Kv, group: &mut Group, id: GroupId, index: u64, what: &Change) -> Result<Applied> {
    let stamp = group.stamp(index);
    let mut effects = Vec::new();
    let mut changed = Vec::new();
    let reply = match what {
        Change::Directory(command) => {
            let reply = directory::apply(kv, stamp, command, &mut effects);
            Reply::Directory(domain_error(reply)?)
        }
        Change::Bodies(command) => Reply::Bodies(domain_error(objects::apply(kv, group, command))?),
        Change::Mailbox { mailbox, epoch, quota, command, actor, traits } => {
            let (mailbox, epoch, quota, actor, traits) = (*mailbox, *epoch, *quota, *actor, *traits);
            let at = mailbox::Place { group: id, mailbox, epoch, quota, actor, traits };
            let waiting = group.outgoing;
            let outcome = mailbox::apply(kv, group, stamp, at, command);
            let grown = group.outgoing != waiting;
            effects.extend(mailbox::outbox_due(command, stamp.wall_ms, grown).map(Effect::OutboxDue));
            if grown {
                let claimed = mailbox::claimed_at_once(command, waiting.unwrap_or(1), stamp.wall_ms).into_iter();
                effects.extend(
                    claimed
                        .map(|(number, due_ms)| Effect::OutboxClaimed(DueOutgoing { mailbox, epoch, number, due_ms })),
                );
            }
            Reply::Mailbox(domain_error(outcome)?.map(|(receipt, modseq)| {
                changed.extend(modseq.map(|m| (mailbox, m)));
                receipt
            }))
        }
    };
    Ok(Applied { reply, changed, effects, repeated: false })
}

/// Separates damage (which stops the node) from domain errors (which are replies).
fn domain_error<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(e @ Error::Internal(_)) => Err(e),
        other => Ok(other),
    }
}
