//! Dates of the grammar (RFC 3501 §9), counted in days and milliseconds since 1970-01-01 UTC.

use super::cursor::{Cursor, Fault, Parse};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const BAD_DATE: Fault = Fault::Bad("a date like 1-Feb-1994 was expected");
const BAD_TIME: Fault = Fault::Bad("a date and time like \" 1-Feb-1994 21:52:25 -0800\" was expected");

/// Days since 1970-01-01 of a day in the Gregorian calendar.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last; 400 years are 146,097 days.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// (year, month, day) of a day since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, usize, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month as usize, day)
}

fn digits(text: &[u8], of: std::ops::RangeInclusive<usize>) -> Option<i64> {
    if !of.contains(&text.len()) || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
}

/// `date-text = date-day "-" date-month "-" date-year` (RFC 3501 §9), to days.
fn day_of(text: &[u8]) -> Option<i64> {
    let mut parts = text.split(|b| *b == b'-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let day = digits(day, 1..=2).filter(|d| (1..=31).contains(d))?;
    let month = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(month))? as i64 + 1;
    let year = digits(year, 4..=4)?;
    let days = days_from_civil(year, month, day);
    // 31-Feb would come back as a day of March.
    (parts.next().is_none() && civil_from_days(days).2 == day as u32).then_some(days)
}

/// `date = date-text / DQUOTE date-text DQUOTE` (RFC 3501 §9), to days.
pub fn date(c: &mut Cursor<'_>) -> Parse<i64> {
    day_of(&c.astring()?).ok_or(BAD_DATE)
}

/// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE` (RFC 3501 §9), to
/// milliseconds.
pub fn date_time(c: &mut Cursor<'_>) -> Parse<i64> {
    moment(&c.string()?).ok_or(BAD_TIME)
}

fn moment(text: &[u8]) -> Option<i64> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let mut parts = text.split(|b| *b == b' ');
    let (date, time, zone) = (parts.next()?, parts.next()?, parts.next()?);
    let mut clock = time.split(|b| *b == b':');
    let mut part = |max| clock.next().and_then(|t| digits(t, 2..=2)).filter(|v| *v <= max);
    // A leap second is the last second of its minute.
    let (hour, minute, second) = (part(23)?, part(59)?, part(60)?.min(59));
    let (sign, zone) = match zone.split_first()? {
        (b'+', z) => (1, z),
        (b'-', z) => (-1, z),
        _ => return None,
    };
    let zone = digits(zone, 4..=4).filter(|z| z % 100 < 60)?;
    if clock.next().is_some() || parts.next().is_some() {
        return None;
    }
    let offset = sign * (zone / 100 * 60 + zone % 100);
    let seconds = day_of(date)? * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
    Some(seconds * 1_000)
}

/// Appends `ms` as a quoted `date-time`, as a clock shows it that is so many minutes ahead of UTC.
pub fn write_date_time(ms: i64, minutes: i32, out: &mut Vec<u8>) {
    let seconds = ms.div_euclid(1_000).saturating_add(i64::from(minutes) * 60);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let clock = seconds.rem_euclid(86_400);
    out.push(b'"');
    out.push(if day < 10 { b' ' } else { b'0' + (day / 10) as u8 });
    out.push(b'0' + (day % 10) as u8);
    out.push(b'-');
    out.extend_from_slice(MONTHS[month - 1].as_bytes());
    out.push(b'-');
    // The grammar has four digits.
    let year = year.clamp(0, 9_999) as u32;
    two(year / 100, out);
    two(year % 100, out);
    for (sep, v) in [(b' ', clock / 3_600), (b':', clock / 60 % 60), (b':', clock % 60)] {
        out.push(sep);
        two(v as u32, out);
    }
    let away = minutes.unsigned_abs();
    out.extend_from_slice(if minutes < 0 { b" -" } else { b" +" });
    two(away / 60, out);
    two(away % 60, out);
    out.push(b'"');
}

fn two(v: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (v / 10 % 10) as u8, b'0' + (v % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(ms: i64) -> String {
        let mut out = Vec::new();
        write_date_time(ms, 0, &mut out);
        String::from_utf8(out).expect("ASCII")
    }
    fn read(text: &str) -> Parse<i64> {
        date_time(&mut Cursor::new(text.as_bytes()))
    }

    #[test]
    fn known_moments() {
        assert_eq!(written(0), "\" 1-Jan-1970 00:00:00 +0000\"");
        assert_eq!(read("\"17-Jul-1996 02:44:25 -0700\""), Ok(837_596_665_000));
        assert_eq!(written(837_596_665_000), "\"17-Jul-1996 09:44:25 +0000\"");
        let mut out = Vec::new();
        write_date_time(837_596_665_000, -570, &mut out);
        assert_eq!(out, b"\"17-Jul-1996 00:14:25 -0930\"");
        assert_eq!(date(&mut Cursor::new(b"1-Feb-1994")), Ok(8_797));
        assert_eq!(date(&mut Cursor::new(b"\"29-Feb-2000\"")), Ok(11_016));
        for bad in ["31-Feb-2000", "29-Feb-1900", "0-Jan-2000", "1-Foo-2000", "1-Jan-00", "1-Jan-2000-1", "x"] {
            assert!(date(&mut Cursor::new(bad.as_bytes())).is_err(), "{bad}");
        }
        for bad in ["\"1-Jan-2000\"", "\"1-Jan-2000 25:00:00 +0000\"", "\"1-Jan-2000 00:00 +0000\"", "\"\"", "x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn comes_back(s in -60_000_000_000i64..250_000_000_000) {
            prop_assert_eq!(read(&written(s * 1000)), Ok(s * 1000));
        }
        #[test]
        fn any_moment_is_written(ms in any::<i64>()) {
            prop_assert_eq!(written(ms).len(), 28);
        }
    }
}
