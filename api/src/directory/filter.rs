//! Search filters (RFC 4511 §4.5.1.7), as the directory evaluates them.

use super::ObjectKind;
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

/// Filters inside filters, at most.
pub const FILTER_DEPTH_MAX: usize = 32;

/// What an entry must be to be found. Attribute names and values compare without case; an entry's own values count, not
/// inherited ones. An attribute that is not there makes a comparison false (RFC 4511 has "undefined", which differs
/// under `Not` only).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Filter {
    /// All of them; none: everything.
    #[n(0)]
    And(#[n(0)] Vec<Filter>),
    /// One of them at least; none: nothing.
    #[n(1)]
    Or(#[n(0)] Vec<Filter>),
    /// Not this.
    #[n(2)]
    Not(#[n(0)] Box<Filter>),
    /// Has the attribute.
    #[n(3)]
    Present(#[n(0)] String),
    /// Has the value.
    #[n(4)]
    Equal(#[n(0)] String, #[n(1)] String),
    /// Has a value that is not smaller: numbers by value, others as text.
    #[n(5)]
    AtLeast(#[n(0)] String, #[n(1)] String),
    /// Has a value that is not greater.
    #[n(6)]
    AtMost(#[n(0)] String, #[n(1)] String),
    /// Has a value that begins, goes on and ends like this.
    #[n(7)]
    Substring {
        /// Attribute.
        #[n(0)]
        attr: String,
        /// Beginning, perhaps empty.
        #[n(1)]
        initial: String,
        /// What follows somewhere, in order.
        #[n(2)]
        any: Vec<String>,
        /// End, perhaps empty.
        #[n(3)]
        end: String,
    },
}

impl Filter {
    /// Finds everything.
    pub fn all() -> Filter {
        Filter::And(Vec::new())
    }
    /// Has the value.
    pub fn equal(attr: &str, value: impl Into<String>) -> Filter {
        Filter::Equal(attr.into(), value.into())
    }
    /// Has a value that begins so.
    pub fn begins(attr: &str, initial: impl Into<String>) -> Filter {
        Filter::Substring { attr: attr.into(), initial: initial.into(), any: Vec::new(), end: String::new() }
    }

    /// Filters inside filters; 1 for one alone.
    pub fn depth(&self) -> usize {
        1 + match self {
            Filter::And(all) | Filter::Or(all) => all.iter().map(Filter::depth).max().unwrap_or(0),
            Filter::Not(one) => one.depth(),
            _ => 0,
        }
    }

    /// Comparisons in it.
    pub(super) fn terms(&self) -> usize {
        match self {
            Filter::And(all) | Filter::Or(all) => all.iter().map(Filter::terms).sum(),
            Filter::Not(one) => one.terms(),
            _ => 1,
        }
    }

    /// Whether it says anything of object classes.
    pub(super) fn asks_for_class(&self) -> bool {
        match self {
            Filter::And(all) | Filter::Or(all) => all.iter().any(Filter::asks_for_class),
            Filter::Not(one) => one.asks_for_class(),
            Filter::Present(attr)
            | Filter::Equal(attr, _)
            | Filter::AtLeast(attr, _)
            | Filter::AtMost(attr, _)
            | Filter::Substring { attr, .. } => is_class(attr),
        }
    }

    /// Whether an entry of this kind with these attributes is to be found.
    pub fn fits(&self, kind: ObjectKind, attrs: &impl Source) -> bool {
        match self {
            Filter::And(all) => all.iter().all(|f| f.fits(kind, attrs)),
            Filter::Or(all) => all.iter().any(|f| f.fits(kind, attrs)),
            Filter::Not(one) => !one.fits(kind, attrs),
            Filter::Present(attr) => is_class(attr) || attrs.any(attr, &mut |_| true),
            Filter::Equal(attr, value) => {
                if is_class(attr) {
                    return kind.object_classes().iter().any(|c| c.eq_ignore_ascii_case(value));
                }
                if attr.eq_ignore_ascii_case(ANR) {
                    return resolves(value, attrs);
                }
                attrs.any(attr, &mut |v| same(v, value))
            }
            Filter::AtLeast(attr, value) => attrs.any(attr, &mut |v| order(v, value).is_ge()),
            Filter::AtMost(attr, value) => attrs.any(attr, &mut |v| order(v, value).is_le()),
            Filter::Substring { attr, initial, any, end } => {
                let (initial, end) = (initial.to_lowercase(), end.to_lowercase());
                let any: Vec<String> = any.iter().map(|a| a.to_lowercase()).collect();
                let fits = |v: &str| within(&v.to_lowercase(), &initial, &any, &end);
                match is_class(attr) {
                    true => kind.object_classes().iter().any(|c| fits(c)),
                    false => attrs.any(attr, &mut |v| fits(v)),
                }
            }
        }
    }
}

/// Attributes that a filter can be held against.
pub trait Source {
    /// Shows the values of an attribute, named in any case, until one is taken; whether one was.
    fn any(&self, attr: &str, take: &mut dyn FnMut(&str) -> bool) -> bool;
}

/// Ambiguous name resolution, as Active Directory has it: equal to the beginnings of words of an entry's names.
pub const ANR: &str = "anr";

/// The words of an entry's names and addresses, in lower case, each once: what [`ANR`] looks at.
pub fn words(attrs: &impl Source) -> BTreeSet<String> {
    const NAMES: [&str; 8] = [
        "cn",
        "displayName",
        "sn",
        "givenName",
        "gn",
        "zimbraPhoneticFirstName",
        "zimbraPhoneticLastName",
        "zimbraMailAlias",
    ];
    let mut out = BTreeSet::new();
    for name in NAMES.iter().chain(&["mail"]) {
        attrs.any(name, &mut |value| {
            let value = value.to_lowercase();
            // Of an address the local part, whole and in words.
            let text = value.split_once('@').map_or(value.as_str(), |(local, _)| local);
            if text.len() < value.len() {
                out.insert(text.to_string());
            }
            out.extend(text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(String::from));
            false
        });
    }
    out
}

fn resolves(value: &str, attrs: &impl Source) -> bool {
    let words = words(attrs);
    let value = value.to_lowercase();
    let mut wanted = value.split_whitespace().peekable();
    wanted.peek().is_some()
        && wanted.all(|w| words.range(w.to_string()..).next().is_some_and(|found| found.starts_with(w)))
}

fn is_class(attr: &str) -> bool {
    attr.eq_ignore_ascii_case("objectClass")
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

/// By value where both are numbers, else as lower-case text.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.to_lowercase().cmp(&b.to_lowercase()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Attributes;

    #[test]
    fn filters_fit() {
        let mut attrs = Attributes::new();
        attrs.set("cn", vec!["Änne Smith".into(), "Anne".into()]);
        attrs.set("zimbraMailQuota", vec!["1000".into()]);
        let fits = |f: Filter| f.fits(ObjectKind::Account, &attrs);
        let sub = |initial: &str, any: &[&str], end: &str| Filter::Substring {
            attr: "CN".into(),
            initial: initial.into(),
            any: any.iter().map(|a| (*a).into()).collect(),
            end: end.into(),
        };
        assert!(fits(Filter::equal("cn", "äNNE SMITH")) && !fits(Filter::equal("cn", "Smith")));
        assert!(
            fits(Filter::equal("objectclass", "ZIMBRAACCOUNT")) && !fits(Filter::equal("objectClass", "zimbraCOS"))
        );
        assert!(
            fits(sub("ä", &["e", "s"], "TH")) && !fits(sub("ä", &["s", "e"], "")) && !fits(sub("anne", &[], "anne x"))
        );
        assert!(fits(Filter::AtLeast("zimbraMailQuota".into(), "999".into())), "as numbers");
        assert!(fits(Filter::AtMost("zimbraMailQuota".into(), "1000".into())));
        assert!(fits(Filter::all()) && !fits(Filter::Or(vec![])) && fits(Filter::Not(Box::new(Filter::Or(vec![])))));
        assert!(fits(Filter::Present("cn".into())) && !fits(Filter::Present("sn".into())));
        assert!(fits(Filter::equal("anr", "smi")) && fits(Filter::equal("anr", "ANN smith")));
        assert!(!fits(Filter::equal("anr", "mith")) && !fits(Filter::equal("anr", "")));
        assert_eq!(Filter::Not(Box::new(Filter::all())).depth(), 2);
    }
}
