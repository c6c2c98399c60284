//! Values that many attributes have: durations and addresses.

use crate::error::{Error, Result};
use std::time::Duration;

/// A duration attribute: a number with `ms`, `s`, `m`, `h`, `d` or `w` behind it, or of seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..unit_at)?.parse().ok()?;
    let factor = match text.get(unit_at..)? {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number.checked_mul(factor).map(Duration::from_secs)
}

/// Splits and normalises an address: `(local part, domain)` in lower case.
///
/// # Errors
/// `Invalid` unless it is a plain `local@domain` with non-empty parts, no spaces or control characters, and at most
/// 64 + 1 + 255 bytes (RFC 5321 §4.5.3.1).
pub fn split_address(address: &str) -> Result<(String, String)> {
    let bad = || Error::Invalid(format!("address {address:?}"));
    let (local, domain) = address.rsplit_once('@').ok_or_else(bad)?;
    let plain = |s: &str| {
        !s.is_empty() && !s.chars().any(|c| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"".contains(c))
    };
    if !plain(local) || local.contains('@') || !plain(domain) || local.len() > 64 || domain.len() > 255 {
        return Err(bad());
    }
    Ok((local.to_lowercase(), domain.trim_end_matches('.').to_lowercase()))
}

#[cfg(test)]
mod duration_tests {
    use super::duration;

    #[test]
    fn durations() {
        for (text, want) in [
            ("30d", Some(2_592_000_000)),
            ("1h", Some(3_600_000)),
            ("5", Some(5_000)),
            ("500ms", Some(500)),
            ("", None),
            ("d", None),
            ("5x", None),
            ("1w", Some(604_800_000)),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_millis()), want, "{text}");
        }
    }
}
