//! What account and domain status say about signing in (data model §13), and the notations of their attributes.

use crate::channel::Service;
use std::time::Duration;
use zcluster_api::directory::{Account, Attributes, duration};

/// The status that counts: the account's with its domain's on top. Administrators of the whole are not affected by a
/// domain.
pub(crate) fn status<'a>(account: &'a Account, domain: Option<&Attributes>, now_ms: u64) -> &'a str {
    let own = match account.status() {
        // What the lockout wanted has been reached; whoever sets passwords or statuses makes the account active again.
        "lockout" if lockout_is_over(account, now_ms) => "active",
        own => own,
    };
    if account.is_admin() {
        return own;
    }
    match (domain.and_then(|d| d.get("zimbraDomainStatus")), own) {
        (Some("closed"), _) => "closed",
        (_, "pending" | "closed") => own,
        (Some("maintenance" | "suspended" | "shutdown"), _) => "maintenance",
        (Some("locked"), "active" | "lockout") => "locked",
        _ => own,
    }
}

/// Whether the account may use the protocol.
pub(crate) fn is_enabled(account: &Account, service: Service) -> bool {
    service.switches().iter().all(|name| account.effective(name) != Some("FALSE"))
}

/// Whether the account's lockout has lasted as long as it should.
pub(crate) fn lockout_is_over(account: &Account, now_ms: u64) -> bool {
    let began = account.attrs.get("zimbraPasswordLockoutLockedTime").and_then(generalized_time_ms);
    let lasts = account.effective("zimbraPasswordLockoutDuration").map_or(Some(LOCKOUT_DURATION), duration);
    match (began, lasts) {
        // 0: until somebody lifts it.
        (Some(began), Some(lasts)) if !lasts.is_zero() => began.saturating_add(lasts.as_millis() as u64) <= now_ms,
        _ => false,
    }
}

/// `zimbraPasswordLockoutDuration` where nobody set it.
const LOCKOUT_DURATION: Duration = Duration::from_secs(3_600);

/// A time attribute, LDAP generalized time in UTC (`20260131235959Z`, perhaps with a fraction), as Unix milliseconds.
/// Times before 1970 count as 1970.
pub fn generalized_time_ms(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('Z')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() != 14 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    let ms = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    Some(u64::try_from(seconds * 1_000 + ms).unwrap_or(0))
}

/// Unix milliseconds as LDAP generalized time.
pub(crate) fn generalized_time(ms: u64) -> String {
    let seconds = ms / 1_000;
    let mut year = 1970 + (seconds / 31_556_952).cast_signed();
    let today = (seconds / 86_400).cast_signed();
    while days(year, 1, 1) > today {
        year -= 1;
    }
    while days(year + 1, 1, 1) <= today {
        year += 1;
    }
    let month = (1..=12).rev().find(|m| days(year, *m, 1) <= today).unwrap_or(1);
    let day = today - days(year, month, 1) + 1;
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
}

/// Days from 1970-01-01 of a Gregorian date. Years run from March, so that the leap day is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations() {
        for (text, want) in [
            ("19700101000000Z", Some(0)),
            ("20000229000000Z", Some(951_782_400_000)),
            ("20251231235959.5Z", Some(1_767_225_599_500)),
            ("20251231235959.1239Z", Some(1_767_225_599_123)),
            ("19000101000000Z", Some(0)),
            ("20251331235959Z", None),
            ("20251231235959", None),
            ("2025", None),
            ("", None),
            ("ä0251231235959Z", None),
        ] {
            assert_eq!(generalized_time_ms(text), want, "{text}");
        }
        for ms in [0, 951_782_400_000, 951_868_800_000, 1_767_225_599_000, 1_767_225_600_000, 4_102_444_800_000] {
            assert_eq!(generalized_time_ms(&generalized_time(ms)), Some(ms));
        }
        assert_eq!(generalized_time(951_782_400_000), "20000229000000Z");
    }
}
