//! Whether an entry fits a filter (RFC 4511 §4.5.1.7): yes, no, or undefined, which is neither that nor its opposite.

use crate::attr::{Operational, Which, to_stored};
use crate::classes;
use crate::codec::filter::Filter;
use crate::dn::Dn;
use crate::entry::Entry;
use std::borrow::Cow;
use std::cmp::Ordering;

/// `Some(false)`: no; `None`: undefined.
pub fn fits(filter: &Filter, entry: &Entry) -> Option<bool> {
    match filter {
        Filter::And(all) => {
            let mut result = Some(true);
            for one in all {
                match fits(one, entry) {
                    Some(false) => return Some(false),
                    None => result = None,
                    Some(true) => {}
                }
            }
            result
        }
        Filter::Or(all) => {
            let mut result = Some(false);
            for one in all {
                match fits(one, entry) {
                    Some(true) => return Some(true),
                    None => result = None,
                    Some(false) => {}
                }
            }
            result
        }
        Filter::Not(one) => fits(one, entry).map(|fits| !fits),
        Filter::Present(attr) => present(attr, entry),
        Filter::Equal(attr, value) | Filter::Approx(attr, value) => equal(attr, value, entry),
        Filter::AtLeast(attr, value) => compare(attr, value, entry, Ordering::is_ge),
        Filter::AtMost(attr, value) => compare(attr, value, entry, Ordering::is_le),
        Filter::Substring { attr, initial, any, end } => {
            substring(attr, initial.as_deref(), any, end.as_deref(), entry)
        }
        Filter::Extensible { rule, attr, value, dn } => extensible(rule.as_deref(), attr.as_deref(), value, *dn, entry),
    }
}

fn present(attr: &str, entry: &Entry) -> Option<bool> {
    match Which::of(attr) {
        Which::Class => Some(true),
        Which::Operational(o) => Some(entry.operational(o).is_some()),
        Which::Plain { name, .. } => Some(!entry.plain(name).is_empty()),
        Which::Secret(_) | Which::Unknown => None,
    }
}

/// Whether the entry has the value. Undefined also for what nobody may see.
pub fn equal(attr: &str, value: &[u8], entry: &Entry) -> Option<bool> {
    match Which::of(attr) {
        Which::Class => Some(classes::includes(entry.classes, std::str::from_utf8(value).ok()?)),
        Which::Operational(o) => {
            let value = std::str::from_utf8(value).ok()?;
            let own = entry.operational(o)?;
            Some(match o {
                Operational::EntryDn => Dn::parse(value).ok()?.same(&entry.dn),
                Operational::SubschemaSubentry => Dn::parse(value).ok()?.same(&Dn::parse(&own).ok()?),
                _ => same(&own, value),
            })
        }
        Which::Plain { name, binary: true } => {
            let value = to_stored(true, value)?;
            Some(entry.plain(name).contains(&value))
        }
        Which::Plain { name, binary: false } => {
            let value = std::str::from_utf8(value).ok()?;
            Some(entry.plain(name).iter().any(|v| same(v, value)))
        }
        Which::Secret(_) | Which::Unknown => None,
    }
}

/// Text, as the attribute holds it.
fn texts<'a>(attr: &str, entry: &'a Entry) -> Option<Vec<Cow<'a, str>>> {
    match Which::of(attr) {
        Which::Class => Some(entry.classes.iter().map(|c| Cow::Borrowed(*c)).collect()),
        Which::Operational(o) => Some(entry.operational(o).into_iter().collect()),
        Which::Plain { name, binary: false } => {
            Some(entry.plain(name).iter().map(|v| Cow::Borrowed(v.as_str())).collect())
        }
        // Bytes have no order and no parts that could be asked for.
        Which::Plain { binary: true, .. } | Which::Secret(_) | Which::Unknown => None,
    }
}

fn compare(attr: &str, value: &[u8], entry: &Entry, wanted: fn(Ordering) -> bool) -> Option<bool> {
    let value = std::str::from_utf8(value).ok()?;
    Some(texts(attr, entry)?.iter().any(|v| wanted(order(v, value))))
}

fn substring(attr: &str, initial: Option<&[u8]>, any: &[Vec<u8>], end: Option<&[u8]>, entry: &Entry) -> Option<bool> {
    let lower = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_lowercase);
    let initial = lower(initial.unwrap_or_default())?;
    let end = lower(end.unwrap_or_default())?;
    let any: Vec<String> = any.iter().map(|a| lower(a)).collect::<Option<_>>()?;
    Some(texts(attr, entry)?.iter().any(|v| within(&v.to_lowercase(), &initial, &any, &end)))
}

fn within(value: &str, initial: &str, any: &[String], end: &str) -> bool {
    let Some(mut rest) = value.strip_prefix(initial) else { return false };
    for part in any {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(end)
}

/// A rule of comparing that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Case does not matter.
    Ignore,
    /// It does.
    Exact,
    /// Names.
    Dn,
    /// All bits are set (Active Directory's).
    BitAnd,
    /// One bit is.
    BitOr,
}

/// Rules for the schema and for extensible matches: OID, name, syntax.
pub const RULES: [(&str, &str, &str); 16] = [
    ("2.5.13.0", "objectIdentifierMatch", "1.3.6.1.4.1.1466.115.121.1.38"),
    ("2.5.13.1", "distinguishedNameMatch", "1.3.6.1.4.1.1466.115.121.1.12"),
    ("2.5.13.2", "caseIgnoreMatch", "1.3.6.1.4.1.1466.115.121.1.15"),
    ("2.5.13.3", "caseIgnoreOrderingMatch", "1.3.6.1.4.1.1466.115.121.1.15"),
    ("2.5.13.4", "caseIgnoreSubstringsMatch", "1.3.6.1.4.1.1466.115.121.1.58"),
    ("2.5.13.5", "caseExactMatch", "1.3.6.1.4.1.1466.115.121.1.15"),
    ("2.5.13.13", "booleanMatch", "1.3.6.1.4.1.1466.115.121.1.7"),
    ("2.5.13.14", "integerMatch", "1.3.6.1.4.1.1466.115.121.1.27"),
    ("2.5.13.15", "integerOrderingMatch", "1.3.6.1.4.1.1466.115.121.1.27"),
    ("2.5.13.17", "octetStringMatch", "1.3.6.1.4.1.1466.115.121.1.40"),
    ("2.5.13.20", "telephoneNumberMatch", "1.3.6.1.4.1.1466.115.121.1.50"),
    ("2.5.13.27", "generalizedTimeMatch", "1.3.6.1.4.1.1466.115.121.1.24"),
    ("2.5.13.28", "generalizedTimeOrderingMatch", "1.3.6.1.4.1.1466.115.121.1.24"),
    ("1.3.6.1.4.1.1466.109.114.1", "caseExactIA5Match", "1.3.6.1.4.1.1466.115.121.1.26"),
    ("1.3.6.1.4.1.1466.109.114.2", "caseIgnoreIA5Match", "1.3.6.1.4.1.1466.115.121.1.26"),
    ("1.3.6.1.1.16.2", "uuidMatch", "1.3.6.1.1.16.1"),
];

fn rule(name: &str) -> Option<Rule> {
    match name {
        "1.2.840.113556.1.4.803" => return Some(Rule::BitAnd),
        "1.2.840.113556.1.4.804" => return Some(Rule::BitOr),
        _ => {}
    }
    let (_, found, _) = RULES.iter().find(|(oid, n, _)| *oid == name || n.eq_ignore_ascii_case(name))?;
    match *found {
        "caseExactMatch" | "caseExactIA5Match" | "octetStringMatch" => Some(Rule::Exact),
        "distinguishedNameMatch" => Some(Rule::Dn),
        // Those assert something else than a value.
        n if n.ends_with("OrderingMatch") || n.ends_with("SubstringsMatch") => None,
        _ => Some(Rule::Ignore),
    }
}

fn extensible(rule_name: Option<&str>, attr: Option<&str>, value: &[u8], dn: bool, entry: &Entry) -> Option<bool> {
    let own =
        match (rule_name, attr) {
            (None, attr) => equal(attr?, value, entry),
            (Some(name), attr) => {
                let (rule, value) = (rule(name)?, std::str::from_utf8(value).ok()?);
                match attr {
                    Some(attr) if Which::of(attr) == Which::Class => Some(classes::includes(entry.classes, value)),
                    Some(attr) => texts(attr, entry).map(|all| all.iter().any(|v| by_rule(rule, v, value))),
                    None => Some(entry.attrs.iter().any(|a| {
                        !zcluster_schema::is_secret(&a.name) && a.values.iter().any(|v| by_rule(rule, v, value))
                    })),
                }
            }
        };
    if own == Some(true) || !dn {
        return own;
    }
    // RFC 4511 §4.5.1.7.7: the attributes of all parts of the name count as the entry's own.
    let value = std::str::from_utf8(value).ok()?;
    let rule = rule_name.map_or(Some(Rule::Ignore), rule)?;
    let wanted = attr.map(|a| match Which::of(a) {
        Which::Plain { name, .. } => name.to_ascii_lowercase(),
        _ => String::new(),
    });
    let parts = entry.dn.0.iter().flat_map(|r| &r.0);
    let mut fitting = parts.filter(|a| wanted.as_ref().is_none_or(|w| *w == a.attr));
    if fitting.any(|a| by_rule(rule, &a.value, value)) { Some(true) } else { own }
}

fn by_rule(rule: Rule, own: &str, value: &str) -> bool {
    let bits = || Some((own.parse::<i64>().ok()?, value.parse::<i64>().ok()?));
    match rule {
        Rule::Ignore => same(own, value),
        Rule::Exact => own == value,
        Rule::Dn => matches!((Dn::parse(own), Dn::parse(value)), (Ok(a), Ok(b)) if a.same(&b)),
        Rule::BitAnd => bits().is_some_and(|(a, b)| a & b == b),
        Rule::BitOr => bits().is_some_and(|(a, b)| a & b != 0),
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

/// By value where both are numbers, else as lower-case text: as the directory has it.
pub fn order(a: &str, b: &str) -> Ordering {
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.to_lowercase().cmp(&b.to_lowercase()),
    }
}
