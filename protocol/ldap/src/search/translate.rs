//! Filters as the directory has them.
//!
//! The directory finds entries by their stored attributes. What it is asked for is at least what the client wants:
//! comparisons that it cannot make become "yes" (or, within a negation, "no"), and what it finds is compared again.

use crate::access::can_have;
use crate::attr::{Operational, Which, to_stored};
use crate::classes;
use crate::codec::filter::Filter as Asked;
use zcluster_api::directory::{Filter, ObjectKind};

/// The filter for entries of a kind; `Or` of nothing when none of them fits.
pub fn translate(asked: &Asked, kind: ObjectKind) -> Filter {
    part(asked, kind, true)
}

/// Whether it finds nothing.
pub fn is_never(filter: &Filter) -> bool {
    matches!(filter, Filter::Or(all) if all.is_empty())
}

fn always() -> Filter {
    Filter::all()
}
fn never() -> Filter {
    Filter::Or(Vec::new())
}
fn constant(value: bool) -> Filter {
    if value { always() } else { never() }
}
fn is_always(filter: &Filter) -> bool {
    matches!(filter, Filter::And(all) if all.is_empty())
}

/// `up`: rather too much than too little; not so within a negation.
fn part(asked: &Asked, kind: ObjectKind, up: bool) -> Filter {
    match asked {
        Asked::And(all) => and(all.iter().map(|one| part(one, kind, up))),
        Asked::Or(all) => or(all.iter().map(|one| part(one, kind, up))),
        Asked::Not(one) => match part(one, kind, !up) {
            f if is_always(&f) => never(),
            f if is_never(&f) => always(),
            f => Filter::Not(Box::new(f)),
        },
        Asked::Present(attr) => match Which::of(attr) {
            Which::Class => always(),
            Which::Plain { name, .. } if made_up(kind, name) => constant(up),
            Which::Plain { name, .. } => stored(kind, name, Filter::Present(name.to_string())),
            Which::Operational(Operational::CreateTimestamp) => Filter::Present("zimbraCreateTimestamp".into()),
            Which::Operational(_) => constant(up),
            Which::Secret(_) | Which::Unknown => never(),
        },
        Asked::Equal(attr, value) | Asked::Approx(attr, value) => equal(attr, value, kind, up),
        Asked::AtLeast(attr, value) => compared(attr, value, kind, up, Filter::AtLeast),
        Asked::AtMost(attr, value) => compared(attr, value, kind, up, Filter::AtMost),
        Asked::Substring { attr, initial, any, end } => {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
            let any: Option<Vec<String>> = any.iter().map(|a| text(a)).collect();
            let (initial, end) =
                (text(initial.as_deref().unwrap_or_default()), text(end.as_deref().unwrap_or_default()));
            let (Some(initial), Some(any), Some(end)) = (initial, any, end) else { return never() };
            match Which::of(attr) {
                Which::Class | Which::Operational(_) => constant(up),
                Which::Plain { name, .. } if made_up(kind, name) => constant(up),
                Which::Plain { name, binary: false } => {
                    stored(kind, name, Filter::Substring { attr: name.to_string(), initial, any, end })
                }
                Which::Plain { binary: true, .. } | Which::Secret(_) | Which::Unknown => never(),
            }
        }
        Asked::Extensible { rule: None, attr: Some(attr), value, dn: false } => equal(attr, value, kind, up),
        Asked::Extensible { .. } => constant(up),
    }
}

fn and(all: impl Iterator<Item = Filter>) -> Filter {
    let mut out = Vec::new();
    for one in all {
        match one {
            f if is_never(&f) => return never(),
            // Flattened, so that the directory sees all that must be so at once.
            Filter::And(inner) => out.extend(inner),
            f => out.push(f),
        }
    }
    alone(out, Filter::And)
}

fn or(all: impl Iterator<Item = Filter>) -> Filter {
    let mut out = Vec::new();
    for one in all {
        match one {
            f if is_always(&f) => return always(),
            Filter::Or(inner) => out.extend(inner),
            f => out.push(f),
        }
    }
    alone(out, Filter::Or)
}

fn alone(mut all: Vec<Filter>, of: fn(Vec<Filter>) -> Filter) -> Filter {
    match all.len() {
        1 => all.remove(0),
        _ => of(all),
    }
}

/// Attributes that follow from an entry's name and may not be stored with it.
fn made_up(kind: ObjectKind, name: &str) -> bool {
    let names: &[&str] = match kind {
        ObjectKind::Account | ObjectKind::Resource => &["cn", "sn"],
        ObjectKind::Domain => &["dc", "o", "zimbraDomainName"],
        ObjectKind::Config | ObjectKind::GlobalGrant => &["cn"],
        ObjectKind::Cos => &["cn"],
        _ => &[],
    };
    names.contains(&name)
}

fn stored(kind: ObjectKind, name: &str, filter: Filter) -> Filter {
    if can_have(kind, name) { filter } else { never() }
}

fn equal(attr: &str, value: &[u8], kind: ObjectKind, up: bool) -> Filter {
    let text = || std::str::from_utf8(value).ok();
    match Which::of(attr) {
        Which::Class => constant(text().is_some_and(|v| classes::includes(kind.object_classes(), v))),
        Which::Operational(Operational::EntryUuid) => match (kind, text()) {
            (ObjectKind::Alias | ObjectKind::Config | ObjectKind::GlobalGrant, _) | (_, None) => never(),
            (_, Some(v)) => Filter::equal("zimbraId", v),
        },
        Which::Operational(Operational::CreateTimestamp) => {
            text().map_or_else(never, |v| Filter::equal("zimbraCreateTimestamp", v))
        }
        Which::Operational(_) => constant(up),
        // A person without a name has its user name for one: both are looked for, so that an index can help.
        Which::Plain { name, .. }
            if made_up(kind, name) && matches!(kind, ObjectKind::Account | ObjectKind::Resource) =>
        {
            match text() {
                Some(v) if up => Filter::Or(vec![Filter::equal(name, v), Filter::equal("uid", v)]),
                Some(v) => Filter::equal(name, v),
                None => never(),
            }
        }
        Which::Plain { name, .. } if made_up(kind, name) => constant(up),
        Which::Plain { name, binary } => match to_stored(binary, value) {
            Some(v) => stored(kind, name, Filter::equal(name, v)),
            None => never(),
        },
        Which::Secret(_) | Which::Unknown => never(),
    }
}

fn compared(attr: &str, value: &[u8], kind: ObjectKind, up: bool, of: fn(String, String) -> Filter) -> Filter {
    let Ok(value) = std::str::from_utf8(value) else { return never() };
    match Which::of(attr) {
        Which::Operational(Operational::CreateTimestamp) => of("zimbraCreateTimestamp".into(), value.into()),
        Which::Class | Which::Operational(_) => constant(up),
        Which::Plain { name, .. } if made_up(kind, name) => constant(up),
        Which::Plain { name, binary: false } => stored(kind, name, of(name.into(), value.into())),
        Which::Plain { binary: true, .. } | Which::Secret(_) | Which::Unknown => never(),
    }
}

/// A value that an attribute must have for the filter to fit, if it demands one.
pub fn demanded<'a>(filter: &'a Filter, attr: &str) -> Option<&'a str> {
    match filter {
        Filter::Equal(name, value) if name.eq_ignore_ascii_case(attr) => Some(value),
        Filter::And(all) => all.iter().find_map(|one| demanded(one, attr)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::directory::Attributes;

    fn eq(attr: &str, value: &str) -> Asked {
        Asked::Equal(attr.into(), value.into())
    }

    #[test]
    fn classes_become_constants() {
        let asked = Asked::And(vec![eq("objectClass", "zimbraAccount"), eq("mail", "a@b.c")]);
        assert_eq!(translate(&asked, ObjectKind::Account), Filter::equal("mail", "a@b.c"));
        assert!(is_never(&translate(&asked, ObjectKind::DistributionList)));
        let person = eq("objectClass", "person");
        assert_eq!(translate(&person, ObjectKind::Resource), always());
        let not = Asked::Not(Box::new(person));
        assert!(is_never(&translate(&not, ObjectKind::Account)) && is_always(&translate(&not, ObjectKind::Cos)));
    }

    #[test]
    fn what_cannot_be_compared_is_let_through() {
        let dn = eq("entryDN", "cn=x");
        assert_eq!(translate(&dn, ObjectKind::Account), always());
        assert_eq!(translate(&Asked::Not(Box::new(dn)), ObjectKind::Account), always());
        assert!(is_never(&translate(&eq("nonsense", "x"), ObjectKind::Account)));
        assert!(is_never(&translate(&eq("userPassword", "x"), ObjectKind::Account)));
        assert_eq!(translate(&Asked::Not(Box::new(eq("nonsense", "x"))), ObjectKind::Account), always());
        assert!(is_never(&translate(&Asked::Equal("mail".into(), vec![0xff]), ObjectKind::Account)));
    }

    #[test]
    fn attributes_that_cannot_be_there_are_not_looked_for() {
        assert!(is_never(&translate(&eq("zimbraMailQuota", "0"), ObjectKind::Identity)));
        assert_eq!(translate(&eq("zimbraMailQuota", "0"), ObjectKind::Cos), Filter::equal("zimbraMailQuota", "0"));
        assert!(is_never(&translate(&eq("mail", "a@b.c"), ObjectKind::Signature)));
    }

    #[test]
    fn people_without_names_are_found_by_their_user_names() {
        let filter = translate(&eq("cn", "Bob"), ObjectKind::Account);
        let mut attrs = Attributes::new();
        attrs.set("uid", vec!["bob".into()]);
        assert!(filter.fits(ObjectKind::Account, &attrs));
    }

    #[test]
    fn demands() {
        let filter = translate(&Asked::And(vec![eq("uid", "x"), Asked::Present("sn".into())]), ObjectKind::Alias);
        assert!(is_never(&filter), "aliases have no sn");
        assert_eq!(demanded(&translate(&eq("uid", "x"), ObjectKind::Alias), "UID"), Some("x"));
    }
}
