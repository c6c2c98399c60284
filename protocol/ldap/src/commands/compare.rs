//! Compare (RFC 4511 §4.10).

use super::reads::check_assertion;
use crate::attr::Which;
use crate::codec::controls::Control;
use crate::codec::reply::Extras;
use crate::errors::{Code, Outcome, refused};
use crate::search::{find_by_name, matching};
use crate::session::{Done, Session};

/// Says whether an entry has a value.
pub async fn run(session: &mut Session, dn: &str, attr: &str, value: &[u8], controls: &[Control]) -> Done {
    let who = session.who()?;
    let found = find_by_name(&session.ldap, who, dn).await?;
    check_assertion(controls, &found.entry)?;
    let entry = &found.entry;
    let there = match Which::of(attr) {
        Which::Class => true,
        Which::Operational(o) => entry.operational(o).is_some(),
        Which::Plain { name, .. } => !entry.plain(name).is_empty(),
        Which::Secret(_) => return refused(Code::InsufficientAccessRights, "this attribute is shown to nobody"),
        Which::Unknown => return refused(Code::UndefinedAttributeType, "no such attribute"),
    };
    if !there {
        return refused(Code::NoSuchAttribute, "the entry has no such attribute");
    }
    let code = match matching::equal(attr, value, entry) {
        Some(true) => Code::CompareTrue,
        Some(false) => Code::CompareFalse,
        None => return refused(Code::InvalidAttributeSyntax, "no value that this attribute can have"),
    };
    Ok((Outcome::new(code, ""), Extras::default()))
}
