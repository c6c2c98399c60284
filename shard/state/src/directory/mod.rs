//! The directory machine: cluster, domains, classes of service, accounts and homes.

mod accounts;
mod addresses;
mod attributes;
mod catch_all;
mod cluster;
mod containers;
mod entries;
mod holds;
mod index;
mod read;
mod rename_domain;
mod rows;
mod search;
mod secrets;
mod shares;

pub use read::{Bare, read_account, read_directory};

use crate::kv::Kv;
use crate::proposal::{Effect, Stamp};
use rows::Counters;
use zcluster_api::{DirectoryCommand, DirectoryReply, Error, Result};

/// One command at work.
struct Work<'a> {
    kv: &'a mut dyn Kv,
    stamp: Stamp,
    counters: Counters,
    effects: &'a mut Vec<Effect>,
}

/// Carries out a command. Every command looks first and writes then, so an error leaves the tables as they were.
///
/// # Errors
/// What the command documents. `Internal` means damaged rows.
pub(crate) fn apply(
    kv: &mut dyn Kv,
    stamp: Stamp,
    command: &DirectoryCommand,
    effects: &mut Vec<Effect>,
) -> Result<DirectoryReply> {
    if let DirectoryCommand::InitCluster { cluster, node, default_cos } = command {
        return cluster::init(kv, stamp, cluster, node, *default_cos);
    }
    let counters = rows::counters(kv)?.ok_or_else(|| Error::Conflict("the cluster is not initialised".into()))?;
    let before = counters.clone();
    let mut work = Work { kv, stamp, counters, effects };
    let reply = carry_out(&mut work, command)?;
    if work.counters != before {
        let counters = work.counters.clone();
        rows::save_counters(work.kv, &counters);
    }
    Ok(reply)
}

fn carry_out(work: &mut Work<'_>, command: &DirectoryCommand) -> Result<DirectoryReply> {
    use DirectoryCommand as C;
    match command {
        // Handled by `apply`: there are no counters before it.
        C::InitCluster { .. } => Ok(DirectoryReply::Done),
        C::PutNode(node, expect) => cluster::put_node(work, node, *expect),
        C::TakeNodeNumber => cluster::take_node_number(work),
        C::AddToken { hash, expires_ms } => cluster::add_token(work, hash, *expires_ms),
        C::UseToken { hash } => cluster::use_token(work, hash),
        C::PutShard { shard, expect } => cluster::put_shard(work, shard, *expect),
        C::ModifyConfig(changes) => cluster::modify_config(work, changes),
        C::CreateDomain { id, name, attrs } => containers::create_domain(work, *id, name, attrs),
        C::ModifyDomain { name, changes } => containers::modify_domain(work, name, changes),
        C::DeleteDomain(name) => containers::delete_domain(work, name),
        C::CreateCos { id, name, attrs } => containers::create_cos(work, *id, name, attrs),
        C::ModifyCos { name, changes } => containers::modify_cos(work, name, changes),
        C::DeleteCos(name) => containers::delete_cos(work, name),
        C::CreateAccount { id, name, attrs, group } => accounts::create(work, *id, name, attrs, *group),
        C::ModifyAccount { id, changes } => accounts::modify(work, *id, changes),
        C::DeleteAccount(id) => accounts::delete(work, *id),
        C::MailboxDeleted(mailbox) => accounts::mailbox_deleted(work, *mailbox),
        C::RenameAccount { id, name } => addresses::rename(work, *id, name),
        C::AddAlias { id, alias } => addresses::add_alias(work, *id, alias),
        C::RemoveAlias { id, alias } => addresses::remove_alias(work, *id, alias),
        C::CreateEntry { kind, id, name, parent, attrs } => entries::create(work, *kind, *id, name, *parent, attrs),
        C::ModifyEntry { id, changes } => entries::modify(work, *id, changes),
        C::DeleteEntry(id) => entries::delete(work, *id),
        C::RenameEntry { id, name } => entries::rename(work, *id, name),
        C::RenameDomain { name, new_name } => rename_domain::begin(work, name, new_name),
        C::RenameDomainStep { name, limit } => rename_domain::step(work, name, *limit),
        C::RenameCos { name, new_name } => containers::rename_cos(work, name, new_name),
        C::BuildIndex { limit } => index::build(work, *limit),
        C::Batch(commands) => batch(work, commands),
        C::SetShares { owner, grantees, modseq } => shares::set(work, *owner, grantees, *modseq),
        C::PutSecret { name, value, expect } => secrets::put(work, name, value.as_ref(), *expect),
    }
}

/// Commands of a batch at most.
const BATCH_MAX: usize = 1_000;

fn batch(work: &mut Work<'_>, commands: &[DirectoryCommand]) -> Result<DirectoryReply> {
    use DirectoryCommand::{Batch, InitCluster};
    if commands.len() > BATCH_MAX || commands.iter().any(|c| matches!(c, Batch(_) | InitCluster { .. })) {
        return Err(Error::Invalid(format!("batch of {} commands, or of what is none for a batch", commands.len())));
    }
    Ok(DirectoryReply::Outcomes(commands.iter().map(|c| carry_out(work, c).err()).collect()))
}
