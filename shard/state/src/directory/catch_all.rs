//! `zimbraMailCatchAllAddress`: an account whose value is `@domain` gets what comes for nobody of that domain. It is a row
//! of the address table with an empty local part, so that it has one owner and keeps its domain from being deleted.

use super::rows::{self, Address, Owner};
use crate::kv::{Kv, KvRead, Table, load, save};
use std::collections::BTreeSet;
use zcluster_api::directory::Attributes;
use zcluster_api::{AccountId, Error, Result};

/// Domains that one account catches at most.
const DOMAINS_MAX: usize = 1_000;
const NAME: &str = "zimbraMailCatchAllAddress";

/// The domains that an account's attributes name.
fn domains(attrs: &Attributes) -> Result<BTreeSet<String>> {
    let values = attrs.all(NAME);
    if values.len() > DOMAINS_MAX {
        return Err(Error::TooLarge(format!("{NAME}: more than {DOMAINS_MAX} values")));
    }
    let bad = |value: &str| Error::Invalid(format!("{NAME} must be @ and a domain: {value:?}"));
    values.iter().map(|v| v.strip_prefix('@').map_or_else(|| Err(bad(v)), rows::domain_name)).collect()
}

fn key(domain: &str) -> Vec<u8> {
    Address { local: String::new(), domain: domain.into() }.key()
}

/// Whose a domain's unknown addresses are.
pub(super) fn owner(kv: &dyn KvRead, domain: &str) -> Result<Option<AccountId>> {
    let Ok(domain) = rows::domain_name(domain) else { return Ok(None) };
    Ok(load::<Owner>(kv, Table::Address, &key(&domain))?.map(|o| o.account))
}

/// Puts the rows in order after an account's attributes have changed, or were changed before there were such rows. Looks first: an error leaves them as they were.
///
/// # Errors
/// `Invalid`, `NotFound` (domain), `Exists` (another account's).
pub(super) fn change(kv: &mut dyn Kv, id: AccountId, old: &Attributes, new: &Attributes) -> Result<()> {
    let (old, new) = (domains(old).unwrap_or_default(), domains(new)?);
    let mut missing = Vec::new();
    for domain in &new {
        match owner(kv, domain)? {
            Some(there) if there == id => {}
            Some(_) => return Err(Error::Exists(format!("address @{domain}"))),
            None if rows::domain(kv, domain)?.is_none() => return Err(Error::NotFound(format!("domain {domain}"))),
            None => missing.push(domain),
        }
    }
    old.difference(&new).for_each(|domain| kv.delete(Table::Address, &key(domain)));
    for domain in missing {
        save(kv, Table::Address, &key(domain), &Owner::account(id, false));
    }
    Ok(())
}
