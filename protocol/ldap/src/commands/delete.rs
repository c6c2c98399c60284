//! Delete (RFC 4511 §4.8).

use super::reads;
use crate::codec::controls::{self, Control};
use crate::codec::reply::Extras;
use crate::errors::{Code, Outcome, refused};
use crate::search::find_by_name;
use crate::session::{Done, Session};
use zcluster_api::directory::ObjectKind;

/// Removes an entry, and with an account or list what belongs to it.
pub async fn run(session: &mut Session, dn: &str, all: &[Control]) -> Done {
    let who = session.administrator()?.clone();
    let ldap = session.ldap.clone();
    let found = find_by_name(&ldap, &who, dn).await?;
    reads::check_assertion(all, &found.entry)?;
    let Some(object) = &found.object else {
        return refused(Code::UnwillingToPerform, "this entry is part of the tree itself");
    };
    let before = reads::read(all, controls::PRE_READ, &found.entry)?;
    ldap.directory.delete(who.reads_as(), object).await?;
    if object.kind == ObjectKind::Domain {
        ldap.domains.forget();
    }
    Ok((Outcome::success(), Extras { controls: before.into_iter().collect(), ..Extras::default() }))
}
