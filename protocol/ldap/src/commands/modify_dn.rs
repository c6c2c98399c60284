//! Modify DN (RFC 4511 §4.9): renaming, and moving between domains.

use super::reads;
use crate::codec::controls::{self, Control};
use crate::codec::reply::Extras;
use crate::dn::Dn;
use crate::errors::{Code, Outcome, Stop, refused};
use crate::search::{find, find_by_name};
use crate::session::{Done, Session};
use crate::tree::{self, Place};
use zcluster_api::directory::ObjectKind;

/// What an entry is to be called.
pub struct To {
    pub new_rdn: String,
    pub delete_old: bool,
    pub new_superior: Option<String>,
}

/// Renames an entry.
pub async fn run(session: &mut Session, dn: &str, to: &To, all: &[Control]) -> Done {
    let who = session.administrator()?.clone();
    let ldap = session.ldap.clone();
    let found = find_by_name(&ldap, &who, dn).await?;
    reads::check_assertion(all, &found.entry)?;
    let Some(object) = &found.object else {
        return refused(Code::UnwillingToPerform, "this entry is part of the tree itself");
    };
    let old = &found.entry.dn;
    let new = target(old, to)?;
    let name = new_name(object.kind, &found.place, &new)?;
    if !to.delete_old && !new.same(old) {
        return refused(
            Code::ConstraintViolation,
            "an entry's name has one value: the old one cannot stay (deleteOldRdn)",
        );
    }
    if let Some(above) = &to.new_superior {
        // Says which entry is missing, should it be that.
        find_by_name(&ldap, &who, above).await?;
    }
    let before = reads::read(all, controls::PRE_READ, &found.entry)?;
    if !new.same(old) || name != object.name {
        ldap.directory.rename(who.reads_as(), object, &name).await?;
    }
    if object.kind == ObjectKind::Domain {
        ldap.domains.forget();
    }
    let mut told = Vec::from_iter(before);
    if all.iter().any(|c| c.oid == controls::POST_READ) {
        told.extend(reads::read(all, controls::POST_READ, &find(&ldap, &who, &new).await?.entry)?);
    }
    Ok((Outcome::success(), Extras { controls: told, ..Extras::default() }))
}

fn target(old: &Dn, to: &To) -> Result<Dn, Stop> {
    let rdn = Dn::parse_rdn(&to.new_rdn)?;
    let above = match &to.new_superior {
        Some(above) => Dn::parse(above)?,
        None => old.parent().unwrap_or_default(),
    };
    Ok(above.child(rdn))
}

/// The name in the directory that goes with the new name in the tree.
fn new_name(kind: ObjectKind, old: &Place, new: &Dn) -> Result<String, Stop> {
    let elsewhere = || refused(Code::NamingViolation, "an entry of this kind cannot stand there");
    match (tree::place(new), old) {
        (Some(Place::Person(address)), Place::Person(_)) => Ok(address),
        (Some(Place::Group(address)), Place::Group(_)) => Ok(address),
        (Some(Place::Dc(name)), Place::Dc(_)) => Ok(name),
        (Some(Place::Named(there, name)), Place::Named(..)) if there == kind => Ok(name),
        (Some(Place::Child { owner, kind: there, name }), Place::Child { owner: before, .. }) if there == kind => {
            if owner == *before {
                Ok(name)
            } else {
                refused(Code::UnwillingToPerform, "what belongs to an entry cannot be given to another")
            }
        }
        _ => elsewhere(),
    }
}
