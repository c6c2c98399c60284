//! For which names a certificate is due.

use super::vault::{Attempt, Validity};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long nothing is ordered when the authority says that it has had enough: its counters run for hours.
pub const LIMITED_MS: u64 = 3_600_000;
/// Pause after a first failure; it doubles with each. Authorities allow five an hour for a name.
const PAUSE_FIRST: Duration = Duration::from_secs(15 * 60);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(86_400);

/// A name that needs a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub name: String,
    /// Orders for it that have failed in a row.
    pub failures: u32,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be ordered: first what has none, then by the end of what there is.
    pub due: Vec<Due>,
    /// Of which nothing is wanted and nothing is good any more.
    pub forgotten: Vec<String>,
    /// Names without a certificate that counts.
    pub without: usize,
}

/// A third of its lifetime is left (or less): renewed while there is time to fail.
fn is_old(validity: &Validity, now_ms: u64) -> bool {
    let lifetime = validity.not_after_ms.saturating_sub(validity.not_before_ms);
    now_ms >= validity.not_after_ms.saturating_sub(lifetime / 3)
}

/// Compares what is wanted with what there is.
pub fn make(
    wanted: &BTreeSet<String>,
    certificates: &BTreeMap<String, Validity>,
    attempts: &BTreeMap<String, Attempt>,
    now_ms: u64,
) -> Plan {
    let mut plan = Plan::default();
    let mut due = Vec::new();
    for name in wanted {
        let ends = certificates.get(name).map_or(0, |v| v.not_after_ms);
        plan.without += usize::from(ends <= now_ms);
        let attempt = attempts.get(name);
        let is_wanted = certificates.get(name).is_none_or(|v| is_old(v, now_ms));
        if is_wanted && attempt.is_none_or(|a| a.next_ms <= now_ms) {
            due.push((ends, Due { name: name.clone(), failures: attempt.map_or(0, |a| a.failures) }));
        }
    }
    due.sort_by_key(|(ends, due)| (*ends, due.failures));
    plan.due = due.into_iter().map(|(_, due)| due).collect();
    let is_over = |name: &&String| certificates.get(*name).is_none_or(|v| v.not_after_ms <= now_ms);
    let known: BTreeSet<&String> = certificates.keys().chain(attempts.keys()).collect();
    plan.forgotten = known.into_iter().filter(|n| !wanted.contains(*n)).filter(is_over).cloned().collect();
    plan
}

/// How long to wait after so many failures in a row.
pub fn pause(failures: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn renewed_when_a_third_is_left_and_not_before() {
        let validity = |from: u64, to: u64| Validity { not_before_ms: from * DAY, not_after_ms: to * DAY };
        let certificates: BTreeMap<String, Validity> = [
            ("old", validity(0, 90)),
            ("new", validity(50, 140)),
            ("gone", validity(0, 90)),
            ("over", validity(0, 50)),
        ]
        .map(|(name, v)| (name.to_string(), v))
        .into();
        let failed = |failures, next: u64| Attempt { failures, next_ms: next * DAY, error: String::new() };
        let attempts: BTreeMap<String, Attempt> =
            [("waits", failed(1, 61)), ("again", failed(2, 59)), ("stale", failed(9, 99))]
                .map(|(name, a)| (name.to_string(), a))
                .into();
        let wanted: BTreeSet<String> = ["old", "new", "none", "waits", "again"].map(String::from).into();
        let names = |now: u64| {
            let plan = make(&wanted, &certificates, &attempts, now);
            (
                plan.due.iter().map(|d| d.name.clone()).collect::<Vec<_>>().join(" "),
                plan.forgotten.join(" "),
                plan.without,
            )
        };
        assert_eq!(names(60 * DAY - 1), ("none again".into(), "over stale".into(), 3));
        assert_eq!(names(60 * DAY), ("none again old".into(), "over stale".into(), 3));
        assert_eq!(names(91 * DAY), ("none waits again old".into(), "gone over stale".into(), 4));
    }

    #[test]
    fn pauses_grow_to_a_day() {
        assert_eq!([1, 2, 3, 8, 999].map(|n| pause(n).as_secs() / 60), [15, 30, 60, 1_440, 1_440]);
    }
}
