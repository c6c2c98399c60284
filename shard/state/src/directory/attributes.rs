//! Changing attributes. What values an attribute may have is checked where a change enters (`zcluster-schema`), not here:
//! nodes of two versions, which may know different attributes, must not disagree about a change.

use std::borrow::Cow;
use std::collections::BTreeSet;
use zcluster_api::directory::{Attributes, Modification, ModifyKind};
use zcluster_api::{Error, Result};

/// Bytes of an attribute's name at most.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of all names and values of one entry at most: a list of some 100,000 members.
const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one value at most.
const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// Names that commands of their own keep in order.
const KEPT: [&str; 7] = [
    "zimbraid",
    "zimbradomainname",
    "uid",
    "mail",
    "zimbramailalias",
    "zimbramaildeliveryaddress",
    "zimbracreatetimestamp",
];

/// Makes the changes. Several `Replace` of one attribute set several values.
///
/// # Errors
/// `Invalid` for a name or value, `TooLarge`; the attributes may then be half changed: throw them away.
pub(super) fn modify(attrs: &mut Attributes, changes: &[Modification]) -> Result<()> {
    let mut replaced = BTreeSet::new();
    for change in changes {
        let key = check_name(&change.name)?;
        let again = change.kind == ModifyKind::Replace && !replaced.insert(key);
        modify_one(attrs, change, again)?;
    }
    let bytes: usize = attrs.iter().map(|a| a.name.len() + a.values.iter().map(String::len).sum::<usize>()).sum();
    if bytes > ENTRY_BYTES_MAX {
        return Err(Error::TooLarge(format!("entry of {bytes} bytes")));
    }
    Ok(())
}

/// When a new entry was made, by its `zimbraCreateTimestamp` (an import keeps it) or `wall_ms`; and the other changes.
pub(super) fn created(changes: &[Modification], wall_ms: u64) -> Result<(String, Cow<'_, [Modification]>)> {
    let names_it = |c: &Modification| c.name.eq_ignore_ascii_case("zimbraCreateTimestamp");
    let Some(given) = changes.iter().find(|c| names_it(c)) else {
        return Ok((generalized_time(wall_ms), Cow::Borrowed(changes)));
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let is_time = |v: &str| {
        let (whole, fraction) = v.strip_suffix('Z').map(|v| v.split_once('.').unwrap_or((v, "0"))).unwrap_or_default();
        whole.len() == 14 && fraction.len() <= 9 && digits(whole) && digits(fraction)
    };
    match given.values.as_slice() {
        [one] if is_time(one) => {
            Ok((one.clone(), changes.iter().filter(|c| !names_it(c)).cloned().collect::<Vec<_>>().into()))
        }
        _ => Err(Error::Invalid("zimbraCreateTimestamp is one generalized time".into())),
    }
}

/// Lower case; refuses what is no attribute's name or not for a client to write.
fn check_name(name: &str) -> Result<String> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !plain || !name.as_bytes()[0].is_ascii_alphabetic() {
        return Err(Error::Invalid(format!("attribute name: {name:?}")));
    }
    let key = name.to_ascii_lowercase();
    if KEPT.contains(&key.as_str()) {
        return Err(Error::Invalid(format!("{name} is immutable")));
    }
    Ok(key)
}

fn modify_one(attrs: &mut Attributes, change: &Modification, again: bool) -> Result<()> {
    let name = change.name.as_str();
    if let Some(bad) = change.values.iter().find(|v| v.contains('\0') || v.len() > VALUE_BYTES_MAX) {
        return Err(Error::Invalid(format!("{name}: value of {} bytes, or with a NUL", bad.len())));
    }
    let given = change.values.iter().filter(|v| !v.is_empty());
    let mut values = attrs.all(name).to_vec();
    // An empty value takes the attribute away and lets the inherited one show.
    if change.kind == ModifyKind::Replace && !again {
        values.clear();
    }
    for value in given {
        match change.kind {
            ModifyKind::Remove => values.retain(|v| v != value),
            ModifyKind::Take => {
                let at = values.iter().position(|v| v == value);
                values.remove(at.ok_or_else(|| Error::Conflict(format!("{name} has no such value")))?);
            }
            ModifyKind::Increment => {
                let [old] = values.as_slice() else { return Err(Error::Conflict(format!("{name} is not one number"))) };
                let sum = old.parse::<i64>().ok().zip(value.parse::<i64>().ok()).and_then(|(a, b)| a.checked_add(b));
                values = vec![sum.ok_or_else(|| Error::Conflict(format!("{name} is not one number")))?.to_string()];
            }
            ModifyKind::Add | ModifyKind::Replace if !values.contains(value) => values.push(value.clone()),
            ModifyKind::Add | ModifyKind::Replace => {}
        }
    }
    attrs.set(name, values);
    Ok(())
}

/// LDAP generalized time of Unix milliseconds, UTC (RFC 4517 §3.3.13).
pub(super) fn generalized_time(ms: u64) -> String {
    let seconds = ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
}

/// Gregorian date of a day counted from 1970-01-01. Years run from March, so that the leap day is the last one.
fn civil(days: u64) -> (u64, u64, u64) {
    // Days from 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_generalized() {
        assert_eq!(generalized_time(0), "19700101000000Z");
        assert_eq!(generalized_time(951_782_400_000), "20000229000000Z");
        assert_eq!(generalized_time(1_767_225_599_999), "20251231235959Z");
    }

    fn change(kind: ModifyKind, name: &str, values: &[&str]) -> Modification {
        Modification { name: name.into(), kind, values: values.iter().map(|v| (*v).into()).collect() }
    }

    #[test]
    fn several_values() {
        use ModifyKind::{Add, Remove, Replace};
        let name = "zimbraMailForwardingAddress";
        let mut attrs = Attributes::new();
        let mut go = |changes: &[Modification]| {
            let outcome = modify(&mut attrs, changes);
            outcome.map(|()| attrs.all(name).join(" "))
        };
        assert_eq!(go(&[change(Replace, name, &["a@x", "b@x"])]), Ok("a@x b@x".into()));
        assert_eq!(go(&[change(Add, name, &["b@x", "c@x"])]), Ok("a@x b@x c@x".into()));
        assert_eq!(go(&[change(Remove, name, &["a@x", "z@x"])]), Ok("b@x c@x".into()));
        assert_eq!(go(&[change(Replace, name, &["d@x"]), change(Replace, name, &["e@x"])]), Ok("d@x e@x".into()));
        assert_eq!(go(&[change(Replace, name, &[""])]), Ok(String::new()));
        let conflict = |outcome: Result<String>| assert!(matches!(outcome, Err(Error::Conflict(_))), "{outcome:?}");
        assert_eq!(go(&[change(Replace, name, &["code1", "code2"])]), Ok("code1 code2".into()));
        assert_eq!(go(&[change(ModifyKind::Take, name, &["code1"])]), Ok("code2".into()));
        conflict(go(&[change(ModifyKind::Take, name, &["code1"])]));
        conflict(go(&[change(ModifyKind::Increment, name, &["1"])]));
        assert_eq!(go(&[change(Replace, name, &["41"])]), Ok("41".into()));
        assert_eq!(go(&[change(ModifyKind::Increment, name, &["1"])]), Ok("42".into()));
        for bad in ["zimbraId", "mail", "no good", ""] {
            assert!(matches!(go(&[change(Replace, bad, &["x"])]), Err(Error::Invalid(_))), "{bad}");
        }
    }
}
