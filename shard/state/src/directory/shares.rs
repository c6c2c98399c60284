//! Who shares folders with whom: an index over what the owners' mailboxes decide.

use super::{Work, rows};
use crate::kv::{Kv, KvRead, Table, behind, load, save};
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;
use zcluster_api::sharing::{Grantee, SHARERS_PER_PAGE_MAX};
use zcluster_api::{AccountId, DirectoryReply, Error, ModSeq, Result};

/// Grantees of one owner; the owner's mailbox has a lower bound.
const GRANTEES_MAX: usize = 10_000;

/// A row of [`Table::ShareOwner`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Shares {
    #[n(0)]
    modseq: ModSeq,
    /// In order.
    #[n(1)]
    grantees: Vec<Grantee>,
}

/// What the keys of [`Table::ShareGrantee`] begin with; the owner's id follows.
fn prefix(grantee: Grantee) -> Vec<u8> {
    match grantee {
        Grantee::Account(id) => [&[0][..], &id.0].concat(),
        Grantee::Group(id) => [&[1][..], &id.0].concat(),
        Grantee::Authenticated => vec![2],
        Grantee::Anyone => vec![3],
    }
}

fn key(grantee: Grantee, owner: AccountId) -> Vec<u8> {
    [&prefix(grantee)[..], &owner.0].concat()
}

pub(super) fn set(
    work: &mut Work<'_>,
    owner: AccountId,
    grantees: &[Grantee],
    modseq: ModSeq,
) -> Result<DirectoryReply> {
    if grantees.len() > GRANTEES_MAX {
        return Err(Error::TooLarge(format!("more than {GRANTEES_MAX} grantees")));
    }
    rows::account(work.kv, owner)?;
    let before: Option<Shares> = load(work.kv, Table::ShareOwner, &owner.0)?;
    // Two changes may arrive in the wrong order.
    if before.as_ref().is_some_and(|b| b.modseq > modseq) {
        return Ok(DirectoryReply::Done);
    }
    let new: BTreeSet<Grantee> = grantees.iter().copied().collect();
    let old: BTreeSet<Grantee> = before.map(|b| b.grantees).unwrap_or_default().into_iter().collect();
    old.difference(&new).for_each(|g| work.kv.delete(Table::ShareGrantee, &key(*g, owner)));
    new.difference(&old).for_each(|g| work.kv.put(Table::ShareGrantee, &key(*g, owner), vec![1]));
    // Kept also when nobody is left: older news may still come.
    save(work.kv, Table::ShareOwner, &owner.0, &Shares { modseq, grantees: new.into_iter().collect() });
    Ok(DirectoryReply::Done)
}

/// Forgets the shares of an account that is deleted.
pub(super) fn forget(kv: &mut dyn Kv, owner: AccountId) -> Result<()> {
    if let Some(shares) = load::<Shares>(kv, Table::ShareOwner, &owner.0)? {
        shares.grantees.iter().for_each(|g| kv.delete(Table::ShareGrantee, &key(*g, owner)));
        kv.delete(Table::ShareOwner, &owner.0);
    }
    Ok(())
}

pub(super) fn shared_with(
    kv: &dyn KvRead,
    account: AccountId,
    after: Option<AccountId>,
    limit: u32,
) -> Result<Vec<(AccountId, String)>> {
    let limit = limit.clamp(1, SHARERS_PER_PAGE_MAX) as usize;
    let mut owners: BTreeSet<AccountId> = BTreeSet::new();
    for grantee in [Grantee::Account(account), Grantee::Authenticated, Grantee::Anyone] {
        let prefix = prefix(grantee);
        let from = after.map_or_else(|| prefix.clone(), |a| [&prefix[..], &a.0, &[0]].concat());
        let mut seen = 0;
        kv.scan(Table::ShareGrantee, &from, &behind(&prefix), &mut |key, _| {
            let id = key.get(prefix.len()..).and_then(|k| k.try_into().ok()).map(AccountId);
            owners.extend(id.filter(|id| *id != account));
            seen += 1;
            // One more, for the account itself may be among them.
            seen <= limit
        });
    }
    let named = owners.into_iter().take(limit).map(|id| rows::account(kv, id).map(|a| (id, a.name)));
    named.collect()
}
