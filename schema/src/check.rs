//! Checking names and values, with the words that Zimbra has for what is wrong.

use crate::KEPT;
use crate::definition::{Definition, Kind};
use crate::table::find;

/// Bytes of any value at most, where its definition says nothing.
const VALUE_BYTES_MAX: usize = 65_536;
/// The same for bytes in base64.
const BINARY_BYTES_MAX: usize = 524_288;

/// What is wrong with a name or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No such attribute: `account.INVALID_ATTR_NAME`.
    Name(String),
    /// Not such a value: `account.INVALID_ATTR_VALUE`.
    Value(String),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Problem::Name(text) | Problem::Value(text) => f.write_str(text),
        }
    }
}

/// The attribute that a client may change.
///
/// # Errors
/// Unknown, or not for clients to change.
pub fn check_name(name: &str) -> Result<&'static Definition, Problem> {
    let Some(definition) = find(name) else { return Err(Problem::Name(format!("invalid attr name: {name}"))) };
    if definition.immutable || KEPT.iter().any(|k| k.eq_ignore_ascii_case(name)) {
        return Err(Problem::Value(format!("{} is immutable", definition.name)));
    }
    Ok(definition)
}

/// Checks a value and returns the form to store: numbers without units.
///
/// # Errors
/// What is wrong with it.
pub fn check(definition: &Definition, value: &str) -> Result<String, Problem> {
    let name = definition.name;
    let constraint = &definition.constraint;
    let fail = |text: String| Err(Problem::Value(text));
    if value.contains('\0') {
        return fail(format!("{name} must not contain NUL"));
    }
    match definition.kind {
        Kind::Boolean if value == "TRUE" || value == "FALSE" => {}
        Kind::Boolean => return fail(format!("{name} must be TRUE or FALSE")),
        // Some enumerations take several words, as their defaults show.
        Kind::Enum if value.split(',').all(|word| constraint.one_of.contains(&word)) => {}
        Kind::Enum => return fail(format!("{name} must be one of: {}", constraint.one_of.join(","))),
        Kind::Integer => match whole(value).filter(|n| i32::try_from(*n).is_ok()) {
            Some(n) => return within(definition, n),
            None => return fail(format!("{name} must be a valid integer: {value}")),
        },
        Kind::Long => match size(value) {
            Some(n) => return within(definition, n),
            None => return fail(format!("{name} must be a valid long: {value}")),
        },
        Kind::Port => match whole(value) {
            Some(n) if (0..=65_535).contains(&n) => return Ok(n.to_string()),
            _ => return fail(format!("{name} must be a valid port: {value}")),
        },
        Kind::Duration => return duration(definition, value),
        Kind::GenTime if is_time(value) => {}
        Kind::GenTime => return fail(format!("{name} must be a valid generalized time: {value}")),
        Kind::Id if is_id(value) => {}
        Kind::Id => return fail(format!("{name} must be a valid id")),
        Kind::Email if is_address(value) => {}
        Kind::EmailP if is_address(bare(value)) => {}
        Kind::CsEmailP if value.split(',').all(|one| is_address(bare(one.trim()))) => {}
        Kind::Email | Kind::EmailP | Kind::CsEmailP => {
            return fail(format!("{name} must be a valid email address: {value}"));
        }
        Kind::Pattern if constraint.pattern.as_ref().is_none_or(|p| p.is_match(value)) => {}
        Kind::Pattern => {
            let pattern = constraint.pattern.as_ref().map_or("", |p| p.as_str());
            return fail(format!("{name} must match the regex: {pattern}"));
        }
        Kind::Binary | Kind::Certificate if is_base64(value) => {}
        Kind::Binary | Kind::Certificate => return fail(format!("{name} must be base64")),
        Kind::Text | Kind::Phone => {}
    }
    let default =
        if matches!(definition.kind, Kind::Binary | Kind::Certificate) { BINARY_BYTES_MAX } else { VALUE_BYTES_MAX };
    let max = constraint.max.and_then(|m| usize::try_from(m).ok()).unwrap_or(default);
    if value.len() > max {
        return fail(format!("{name} value length({}) larger than max allowed: {max}", value.len()));
    }
    Ok(value.to_string())
}

fn within(definition: &Definition, n: i64) -> Result<String, Problem> {
    let name = definition.name;
    match (definition.constraint.min, definition.constraint.max) {
        (Some(min), _) if n < min => {
            Err(Problem::Value(format!("{name} value({n}) smaller than minimum allowed: {min}")))
        }
        (_, Some(max)) if n > max => Err(Problem::Value(format!("{name} value({n}) larger than max allowed: {max}"))),
        _ => Ok(n.to_string()),
    }
}

/// Decimal digits, perhaps with a minus sign.
fn whole(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let good = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|_| good)
}

/// A number of bytes: `5GB` is stored as `5368709120`, so that readers need no units.
fn size(value: &str) -> Option<i64> {
    let upper = value.trim().to_ascii_uppercase();
    for (unit, shift) in [("KB", 10), ("MB", 20), ("GB", 30), ("TB", 40), ("B", 0)] {
        if let Some(digits) = upper.strip_suffix(unit) {
            return whole(digits.trim_end()).and_then(|n| n.checked_mul(1 << shift));
        }
    }
    whole(&upper)
}

fn duration(definition: &Definition, value: &str) -> Result<String, Problem> {
    let name = definition.name;
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: i64 = match &value[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let number = whole(digits).filter(|n| *n >= 0 && factor > 0);
    let Some(ms) = number.and_then(|n| n.checked_mul(factor)) else {
        return Err(Problem::Value(format!("{name} must be a valid duration: {value}")));
    };
    // The facts give the bounds of durations in milliseconds.
    within(definition, ms).map(|_| value.to_string())
}

/// `YYYYMMDDhhmmss`, perhaps a fraction, `Z`.
fn is_time(value: &str) -> bool {
    let Some(digits) = value.strip_suffix('Z') else { return false };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let part = |at: usize| whole.get(at..at + 2).and_then(|p| p.parse::<u32>().ok()).unwrap_or(99);
    let shape = whole.len() == 14 && all_digits(whole) && all_digits(fraction);
    shape
        && (1..=12).contains(&part(4))
        && (1..=31).contains(&part(6))
        && part(8) < 24
        && part(10) < 60
        && part(12) < 61
}

/// A UUID; Zimbra's fixed ones are not all hexadecimal, so the shape must do.
fn is_id(value: &str) -> bool {
    let parts: Vec<usize> = value.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_address(value: &str) -> bool {
    let plain = |s: &str| {
        !s.is_empty() && !s.chars().any(|c| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"".contains(c))
    };
    value.rsplit_once('@').is_some_and(|(local, domain)| {
        plain(local) && plain(domain) && !local.contains('@') && local.len() <= 64 && domain.len() <= 255
    })
}

/// The address of `Name <address>`.
fn bare(value: &str) -> &str {
    value.rsplit_once('<').and_then(|(_, rest)| rest.trim_end().strip_suffix('>')).unwrap_or(value)
}

fn is_base64(value: &str) -> bool {
    let body = value.trim_end_matches('=');
    value.len() - body.len() <= 2 && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/\r\n ".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(name: &str, value: &str) -> Result<String, String> {
        check_name(name).and_then(|d| check(d, value)).map_err(|p| p.to_string())
    }

    #[test]
    fn values_are_checked_and_normalised() {
        assert_eq!(set("ZIMBRAMAILQUOTA", "5 gb"), Ok("5368709120".into()));
        assert_eq!(set("zimbraMailTrashLifetime", "30d"), Ok("30d".into()));
        let several = "a@b.example, Cee <c@d.example>";
        assert_eq!(set("zimbraPrefMailForwardingAddress", several), Ok(several.into()));
        for (name, bad, text) in [
            ("zimbraMailQuota", "lots", "zimbraMailQuota must be a valid long: lots"),
            ("zimbraMailQuota", "99999999TB", "zimbraMailQuota must be a valid long: 99999999TB"),
            (
                "zimbraAccountStatus",
                "asleep",
                "zimbraAccountStatus must be one of: active,maintenance,locked,closed,lockout,pending",
            ),
            ("zimbraIsAdminAccount", "true", "zimbraIsAdminAccount must be TRUE or FALSE"),
            ("zimbraMailTrashLifetime", "30x", "zimbraMailTrashLifetime must be a valid duration: 30x"),
            ("zimbraCOSId", "x", "zimbraCOSId must be a valid id"),
            ("zimbraId", "00000000-0000-0000-0000-000000000000", "zimbraId is immutable"),
            ("mail", "a@b", "mail is immutable"),
            ("zimbraFoo", "x", "invalid attr name: zimbraFoo"),
            (
                "zimbraPrefMailForwardingAddress",
                "a@b.example,c",
                "zimbraPrefMailForwardingAddress must be a valid email address: a@b.example,c",
            ),
            ("zimbraImapBindPort", "70000", "zimbraImapBindPort must be a valid port: 70000"),
        ] {
            assert_eq!(set(name, bad), Err(text.into()));
        }
    }

    #[test]
    fn defaults_pass_their_own_checks() {
        let bad: Vec<Problem> = crate::all()
            .flat_map(|d| d.global_default.iter().chain(&d.cos_default).filter_map(|v| check(d, v).err()))
            .collect();
        assert_eq!(bad, []);
    }

    proptest! {
        #[test]
        fn any_value_is_taken_or_refused(at in 0usize..1_900, value in "\\PC{0,40}|[-0-9]{0,22}[a-zA-Z]{0,2}") {
            let definition = crate::all().nth(at).unwrap();
            if let Ok(stored) = check(definition, &value) {
                // What is stored would be taken again, and stay as it is.
                prop_assert_eq!(check(definition, &stored), Ok(stored));
            }
        }
    }
}
