//! Time zones by their IANA names: what a clock on the owner's wall shows. The rules are compiled in, so that every node
//! has the same; they are for the edges, and nothing that replicas agree on may depend on them.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

impl Default for Zone {
    fn default() -> Self {
        Zone(Tz::UTC)
    }
}

impl Zone {
    /// The zone of that name, such as `Europe/Berlin` (the values of `zimbraPrefTimeZoneId`).
    pub fn named(name: &str) -> Option<Zone> {
        name.trim().parse().ok().map(Zone)
    }

    /// The zone of that name; UTC where there is none, or no such.
    pub fn or_utc(name: Option<&str>) -> Zone {
        name.and_then(Zone::named).unwrap_or_default()
    }

    /// Minutes that its clocks are ahead of UTC at an instant; 0 for instants that no calendar has.
    pub fn minutes_at(self, unix_ms: i64) -> i32 {
        let Some(at) = DateTime::from_timestamp_millis(unix_ms) else { return 0 };
        let seconds = self.0.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
        seconds.div_euclid(60)
    }

    /// The instant at which a day begins there, Unix milliseconds. `day`: days since 1970-01-01.
    pub fn midnight_ms(self, day: i64) -> i64 {
        let wall = day.saturating_mul(DAY_MS);
        let back = |minutes: i32| wall.saturating_sub(i64::from(minutes) * MINUTE_MS);
        // Where clocks were changed in between, the second look has the offset that holds then.
        back(self.minutes_at(back(self.minutes_at(wall))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn summer_and_winter() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        // 2026-01-15 and 2026-07-15, 12:00 UTC.
        assert_eq!((berlin.minutes_at(1_768_478_400_000), berlin.minutes_at(1_784_116_800_000)), (60, 120));
        // One second before the change of 2026-03-29, and at it.
        assert_eq!((berlin.minutes_at(1_774_745_999_000), berlin.minutes_at(1_774_746_000_000)), (60, 120));
        assert_eq!(Zone::named("America/Los_Angeles").unwrap().minutes_at(1_768_478_400_000), -480);
        assert_eq!(Zone::named("Asia/Kolkata").unwrap().minutes_at(0), 330);
        assert_eq!(Zone::named("(GMT-08.00) Pacific Time"), None);
        assert_eq!(Zone::named(""), None);
        assert_eq!(Zone::or_utc(Some("Nowhere/At_All")).minutes_at(0), 0);
        assert_eq!((berlin.minutes_at(i64::MAX), berlin.minutes_at(i64::MIN)), (0, 0));
    }

    #[test]
    fn days_begin_at_midnight() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        // 2026-07-15 begins at 22:00 UTC of the day before.
        assert_eq!(berlin.midnight_ms(20_649), 1_784_073_600_000 - 7_200_000);
        assert_eq!(Zone::default().midnight_ms(20_649), 1_784_073_600_000);
        // The day on which clocks change is 23 hours long.
        assert_eq!(berlin.midnight_ms(20_542) - berlin.midnight_ms(20_541), 23 * 3_600_000);
        assert_eq!(berlin.midnight_ms(i64::MAX), i64::MAX);
    }

    proptest! {
        #[test]
        fn a_day_is_about_24_hours(day in -20_000i64..40_000, at in 0..chrono_tz::TZ_VARIANTS.len()) {
            let zone = Zone(chrono_tz::TZ_VARIANTS[at]);
            let hours = (zone.midnight_ms(day + 1) - zone.midnight_ms(day)) as f64 / 3_600_000.0;
            // Samoa and others have left out a day, or had one twice.
            prop_assert!((-1.0..=49.0).contains(&hours), "{:?} {}: {}", zone, day, hours);
        }
    }
}
