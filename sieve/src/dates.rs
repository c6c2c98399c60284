//! Parts of dates (RFC 5260 §4.2).

/// An instant as some clock shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub unix_ms: i64,
    /// Minutes east of UTC.
    pub offset: i32,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/// 1970-01-01 as a Modified Julian Day.
const UNIX_JULIAN: i64 = 40_587;

/// `+hhmm` in minutes.
pub(crate) fn offset(zone: &str) -> Option<i32> {
    let (sign, digits) = match zone.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let [a, b, c, d] = digits else { return None };
    let digit = |b: &u8| (*b as char).to_digit(10);
    let (hours, minutes) = (digit(a)? * 10 + digit(b)?, digit(c)? * 10 + digit(d)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) as i32)
}

/// The zone that a date is written in; UTC when it names none that is known.
pub(crate) fn written_offset(date: &[u8]) -> i32 {
    let text = String::from_utf8_lossy(date);
    // A comment may follow: `(CET)`.
    let text = text.split('(').next().unwrap_or_default();
    let Some(last) = text.split_ascii_whitespace().last() else { return 0 };
    let hours = match last.to_ascii_uppercase().as_str() {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "CET" | "BST" => 1,
        "CEST" => 2,
        _ => return offset(&last.replace(':', "")).unwrap_or(0),
    };
    hours * 60
}

/// Year, month, day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that leap days end years; 400 years have 146,097 days.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * m + 2) / 5 + 1)
}

impl Clock {
    /// One of [`crate::compile::DATE_PARTS`], any case.
    pub fn part(self, name: &str) -> Option<String> {
        // Years that are none are no dates.
        let local = self.unix_ms.div_euclid(1_000).checked_add(i64::from(self.offset) * 60)?;
        let (day, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        if !(-719_162..=2_932_896).contains(&day) {
            return None;
        }
        let (year, month, dom) = civil(day);
        let time = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
        let weekday = (day + 4).rem_euclid(7);
        let (sign, away) = (if self.offset < 0 { '-' } else { '+' }, self.offset.unsigned_abs());
        let (zone_hour, zone_minute) = (away / 60, away % 60);
        Some(match name.to_ascii_lowercase().as_str() {
            "year" => format!("{year:04}"),
            "month" => format!("{month:02}"),
            "day" => format!("{dom:02}"),
            "date" => format!("{year:04}-{month:02}-{dom:02}"),
            "julian" => (day + UNIX_JULIAN).to_string(),
            "hour" => format!("{:02}", second / 3_600),
            "minute" => format!("{:02}", second / 60 % 60),
            "second" => format!("{:02}", second % 60),
            "time" => time,
            "iso8601" => format!("{year:04}-{month:02}-{dom:02}T{time}{sign}{zone_hour:02}:{zone_minute:02}"),
            "std11" => {
                let weekday = WEEKDAYS.get(weekday as usize)?;
                let month = MONTHS.get((month - 1) as usize)?;
                format!("{weekday}, {dom:02} {month} {year:04} {time} {sign}{zone_hour:02}{zone_minute:02}")
            }
            "zone" => format!("{sign}{zone_hour:02}{zone_minute:02}"),
            "weekday" => weekday.to_string(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        // 1997-11-21 15:55:06 UTC, a Friday.
        let clock = Clock { unix_ms: 880_127_706_000, offset: -360 };
        for (part, want) in [
            ("year", "1997"),
            ("month", "11"),
            ("day", "21"),
            ("date", "1997-11-21"),
            ("julian", "50773"),
            ("hour", "09"),
            ("minute", "55"),
            ("second", "06"),
            ("time", "09:55:06"),
            ("ISO8601", "1997-11-21T09:55:06-06:00"),
            ("std11", "Fri, 21 Nov 1997 09:55:06 -0600"),
            ("zone", "-0600"),
            ("weekday", "5"),
        ] {
            assert_eq!(clock.part(part).as_deref(), Some(want), "{part}");
        }
        assert_eq!(clock.part("x"), None);
        assert_eq!(Clock { unix_ms: i64::MAX, offset: 0 }.part("year"), None);
        assert_eq!(Clock { unix_ms: i64::MIN, offset: -60 }.part("year"), None);
    }

    #[test]
    fn zones() {
        assert_eq!(
            (offset("+0130"), offset("-0800"), offset("0100"), offset("+9900")),
            (Some(90), Some(-480), None, None)
        );
        assert_eq!(written_offset(b"Fri, 21 Nov 1997 09:55:06 -0600 (CST)"), -360);
        assert_eq!(written_offset(b"21 Nov 1997 09:55:06 EST"), -300);
        assert_eq!((written_offset(b""), written_offset(b"x GMT")), (0, 0));
    }
}
