//! Sorting on the server's side (RFC 2891).

use super::matching::order;
use crate::attr::{Operational, Which};
use crate::codec::controls::SortKey;
use crate::entry::Entry;
use crate::errors::Code;
use std::cmp::Ordering;

/// An entry ready to be sent, with what it is sorted by.
#[derive(Clone, Debug)]
pub struct Sortable {
    /// The least value of each key's attribute.
    pub keys: Vec<Option<String>>,
    /// The message, or what is left of it to be numbered.
    pub entry: Entry,
}

/// Whether entries can be sorted so.
///
/// # Errors
/// Result code, and the attribute that is the matter.
pub fn check_keys(keys: &[SortKey]) -> Result<(), (Code, String)> {
    for key in keys {
        match Which::of(&key.attr) {
            Which::Plain { binary: false, .. }
            | Which::Operational(Operational::EntryDn | Operational::CreateTimestamp | Operational::EntryUuid) => {}
            Which::Unknown | Which::Secret(_) => return Err((Code::NoSuchAttribute, key.attr.clone())),
            Which::Plain { .. } | Which::Class | Which::Operational(_) => {
                return Err((Code::InappropriateMatching, key.attr.clone()));
            }
        }
        // There is one order for each attribute, and it has no case.
        let known = ["caseIgnoreOrderingMatch", "2.5.13.3", "integerOrderingMatch", "2.5.13.15"];
        let more = ["generalizedTimeOrderingMatch", "2.5.13.28"];
        let fits = |rule: &String| known.iter().chain(&more).any(|k| k.eq_ignore_ascii_case(rule));
        if key.rule.as_ref().is_some_and(|rule| !fits(rule)) {
            return Err((Code::InappropriateMatching, key.attr.clone()));
        }
    }
    Ok(())
}

/// What an entry is sorted by.
pub fn keys_of(entry: &Entry, keys: &[SortKey]) -> Vec<Option<String>> {
    let least = |key: &SortKey| match Which::of(&key.attr) {
        Which::Plain { name, .. } => entry.plain(name).iter().min_by(|a, b| order(a, b)).cloned(),
        Which::Operational(o) => entry.operational(o).map(std::borrow::Cow::into_owned),
        Which::Class | Which::Secret(_) | Which::Unknown => None,
    };
    keys.iter().map(least).collect()
}

/// How two values of a key stand to each other.
pub fn compare_key(a: Option<&str>, b: Option<&str>, reverse: bool) -> Ordering {
    let found = match (a, b) {
        (Some(a), Some(b)) => order(a, b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    if reverse { found.reverse() } else { found }
}

/// Sorts; entries without a value count as greater than all others (RFC 2891 §2.2).
pub fn sort(entries: &mut [Sortable], keys: &[SortKey]) {
    entries.sort_by(|a, b| {
        for (at, key) in keys.iter().enumerate() {
            let found = compare_key(a.keys[at].as_deref(), b.keys[at].as_deref(), key.reverse);
            if found != Ordering::Equal {
                return found;
            }
        }
        a.entry.shown_dn.cmp(&b.entry.shown_dn)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_entries() {
        let entry = |name: &str, value: Option<&str>| {
            let mut e = Entry::dc(name);
            e.attrs.set("zimbraMailQuota", value.map(str::to_string).into_iter().collect());
            e
        };
        let key = |reverse| vec![SortKey { attr: "zimbramailquota".into(), rule: None, reverse }];
        let sorted = |reverse| {
            let all = [("a", Some("10")), ("b", None), ("c", Some("9")), ("d", Some("10"))];
            let mut all: Vec<Sortable> = all
                .into_iter()
                .map(|(n, v)| entry(n, v))
                .map(|entry| Sortable { keys: keys_of(&entry, &key(reverse)), entry })
                .collect();
            sort(&mut all, &key(reverse));
            all.iter().map(|s| s.entry.attrs.get("o").unwrap_or_default().to_string()).collect::<String>()
        };
        assert_eq!(sorted(false), "cadb");
        assert_eq!(sorted(true), "badc");
        assert!(check_keys(&key(false)).is_ok());
        let bad = vec![SortKey { attr: "nonsense".into(), rule: None, reverse: false }];
        assert_eq!(check_keys(&bad), Err((Code::NoSuchAttribute, "nonsense".into())));
    }
}
