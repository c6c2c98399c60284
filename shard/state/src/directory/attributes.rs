//! Changing attributes, with the checks that Zimbra makes on writing (data model §12).

use super::schema::{ANY, Kind, rule};
use std::collections::BTreeSet;
use zcluster_api::directory::{Attributes, Modification, ModifyKind, split_address};
use zcluster_api::{AccountId, Error, Result};

/// Bytes of an attribute's name at most.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of all names and values of one entry at most.
const ENTRY_BYTES_MAX: usize = 1024 * 1024;

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
    let rule = rule(&change.name);
    let name = rule.map_or(change.name.as_str(), |r| r.name);
    let given = change.values.iter().filter(|v| !v.is_empty());
    let mut values = attrs.all(name).to_vec();
    match change.kind {
        // An empty value takes the attribute away and lets the inherited one show.
        ModifyKind::Replace if !again => values.clear(),
        _ => {}
    }
    for value in given {
        match change.kind {
            ModifyKind::Remove => values.retain(|v| v != value),
            ModifyKind::Add | ModifyKind::Replace => {
                let value = check_value(name, rule.map_or(Kind::Text(ANY), |r| r.kind), value)?;
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
    }
    if values.len() > 1 && rule.is_some_and(|r| r.single) {
        return Err(Error::Invalid(format!("{name} takes one value")));
    }
    attrs.set(name, values);
    Ok(())
}

/// Checks a value and returns the form to store.
fn check_value(name: &str, kind: Kind, value: &str) -> Result<String> {
    let must = |what: &str| Err(Error::Invalid(format!("{name} must be {what}: {value:?}")));
    let fits = match kind {
        Kind::Text(max) if value.len() > max => return must(&format!("at most {max} bytes long")),
        Kind::Text(_) => !value.contains('\0'),
        Kind::Bool if value != "TRUE" && value != "FALSE" => return must("TRUE or FALSE"),
        Kind::Bool => true,
        Kind::Enum(all) if !all.split(',').any(|one| one == value) => return must(&format!("one of {all}")),
        Kind::Enum(_) => true,
        Kind::Integer(min, max) => {
            return number(value).map_or_else(|| must("a number"), |n| within(name, n, min, max));
        }
        Kind::Long(min, max) => return size(value).map_or_else(|| must("a number"), |n| within(name, n, min, max)),
        Kind::Duration if !is_duration(value) => return must("a duration such as 30d, 12h, 5m, 10s or 500ms"),
        Kind::Duration => true,
        Kind::Time if !is_time(value) => return must("a time such as 20260131235959Z"),
        Kind::Time => true,
        Kind::Id if value.len() > ANY || !is_id(value) => return must("a valid id"),
        Kind::Id => true,
        Kind::Email if split_address(value).is_err() => return must("a valid email address"),
        Kind::Email => true,
    };
    if fits { Ok(value.to_string()) } else { must("text") }
}

/// Decimal digits, perhaps with a minus sign.
fn number(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    value.parse().ok()
}

/// A number of bytes: `5GB` is stored as `5368709120`, so that readers need no units.
fn size(value: &str) -> Option<i64> {
    let upper = value.to_ascii_uppercase();
    let units = [("KB", 10), ("MB", 20), ("GB", 30), ("TB", 40)];
    for (unit, shift) in units {
        if let Some(digits) = upper.strip_suffix(unit) {
            return number(digits.trim_end()).and_then(|n| n.checked_mul(1 << shift));
        }
    }
    number(value)
}

fn within(name: &str, n: i64, min: i64, max: i64) -> Result<String> {
    if n < min {
        return Err(Error::Invalid(format!("{name} must be at least {min}: {n}")));
    }
    if n > max {
        return Err(Error::Invalid(format!("{name} must be at most {max}: {n}")));
    }
    Ok(n.to_string())
}

fn is_duration(value: &str) -> bool {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &value[digits.len()..];
    number(digits).is_some_and(|n| n >= 0) && ["", "ms", "s", "m", "h", "d"].contains(&unit)
}

/// `YYYYMMDDhhmmss`, perhaps a fraction, `Z`.
fn is_time(value: &str) -> bool {
    let Some(digits) = value.strip_suffix('Z') else { return false };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    whole.len() == 14 && all_digits(whole) && all_digits(fraction)
}

/// A UUID; the two fixed ones of Zimbra's own COS differ from hexadecimal in one place, so the shape must do.
fn is_id(value: &str) -> bool {
    value.parse::<AccountId>().is_ok()
        || (value.len() == 36 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
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
        assert!(is_time("20251231235959Z") && is_time("20251231235959.123Z") && !is_time("2025"));
    }

    fn change(kind: ModifyKind, name: &str, values: &[&str]) -> Modification {
        Modification { name: name.into(), kind, values: values.iter().map(|v| (*v).into()).collect() }
    }

    #[test]
    fn values_are_checked_and_normalised() {
        let set = |name: &str, value: &str| {
            let mut attrs = Attributes::new();
            modify(&mut attrs, &[Modification::set(name, value)]).map(|()| attrs.get(name).map(String::from))
        };
        assert_eq!(set("ZIMBRAMAILQUOTA", "5 gb"), Ok(Some("5368709120".into())));
        assert_eq!(set("zimbraMailQuota", "0"), Ok(Some("0".into())));
        for (name, bad) in [
            ("zimbraMailQuota", "-1"),
            ("zimbraMailQuota", "9999999999999999999"),
            ("zimbraMailQuota", "lots"),
            ("zimbraAccountStatus", "asleep"),
            ("zimbraIsAdminAccount", "true"),
            ("zimbraMailTrashLifetime", "30x"),
            ("zimbraMailForwardingAddress", "nobody"),
            ("zimbraId", "00000000-0000-0000-0000-000000000000"),
            ("mail", "a@b"),
            ("no good", "x"),
            ("", "x"),
        ] {
            assert!(matches!(set(name, bad), Err(Error::Invalid(_))), "{name} {bad}");
        }
        assert_eq!(
            set("zimbraAccountStatus", "x"),
            Err(Error::Invalid(
                "zimbraAccountStatus must be one of active,maintenance,locked,closed,lockout,pending: \"x\"".into()
            ))
        );
        assert_eq!(set("displayName", ""), Ok(None));
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
        assert!(go(&[change(Replace, "zimbraAccountStatus", &["active", "closed"])]).is_err());
    }

    #[test]
    fn rules_are_sorted() {
        for name in ["cn", "zimbraaccountstatus", "ZIMBRAMAILQUOTA", "zimbraPrefPop3Enabled", "amavisWhitelistSender"] {
            assert!(rule(name).is_some(), "{name}");
        }
        assert!(rule("zimbraNoSuchThing").is_none());
    }
}
