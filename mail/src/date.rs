//! Dates: RFC 5322 §3.3 and §4.3, read leniently, written strictly.

/// A `Date:` header's two meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentDate {
    /// The instant, Unix milliseconds.
    pub unix_ms: i64,
    /// The calendar day as written, days since 1970-01-01.
    pub local_day: i64,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const DAY_MS: i64 = 86_400_000;

/// Reads a date such as `Fri, 21 Nov 1997 09:55:06 -0600`: the weekday, seconds and zone may be missing, comments and
/// obsolete zones and years are understood, and so is `asctime`'s order (`Fri Nov 21 09:55:06 1997`).
pub fn parse_date(value: &[u8]) -> Option<SentDate> {
    let words = words(value);
    let mut words = words.iter().map(Vec::as_slice).peekable();
    // A weekday before the day, with or without comma.
    if words.peek().is_some_and(|w| w[0].is_ascii_alphabetic() && month(w).is_none()) {
        words.next();
    }
    let first = words.next()?;
    let (day, month, year, clock) = match month(first) {
        // Nov 21 09:55:06 1997
        Some(m) => {
            let day = number(words.next()?)?;
            let clock = words.next()?;
            // The zone may stand before the year, as date(1) writes it.
            let next = words.next()?;
            let year = number(next).or_else(|| words.next().and_then(number))?;
            (day, m, year, Some(clock))
        }
        None => (number(first)?, month(words.next()?)?, number(words.next()?)?, words.next()),
    };
    let day = civil_day(full_year(year)?, month, day)?;
    let seconds = clock.map_or(Some(0), clock_seconds)?;
    let offset_minutes = words.next().map_or(0, zone_minutes);
    let unix_ms = day * DAY_MS + (seconds - offset_minutes * 60) * 1_000;
    Some(SentDate { unix_ms, local_day: day })
}

/// Words of a date: split at white space, commas and hyphens between day, month and year; comments dropped.
fn words(value: &[u8]) -> Vec<Vec<u8>> {
    /// More words than any date has.
    const WORDS_MAX: usize = 16;
    let (mut out, mut word, mut depth) = (Vec::new(), Vec::<u8>::new(), 0u32);
    for (i, b) in value.iter().enumerate() {
        // A hyphen beside a letter separates (`21-Nov-97`); others are signs of zones.
        let letters = [word.last(), value.get(i + 1)];
        let dash = *b == b'-' && letters.into_iter().flatten().any(u8::is_ascii_alphabetic);
        match b {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b' ' | b'\t' | b',' | b'\r' | b'\n' => {}
            _ if dash => {}
            _ => {
                word.push(*b);
                continue;
            }
        }
        if !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        if out.len() >= WORDS_MAX {
            break;
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    join_clock(out)
}

/// Puts a clock together that was written with white space (RFC 5322 §4.3's obsolete form): `09 : 55 : 06`.
fn join_clock(words: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::with_capacity(words.len());
    for word in words {
        match out.last_mut() {
            Some(last) if last.ends_with(b":") || word.starts_with(b":") => last.extend(word),
            _ => out.push(word),
        }
    }
    out
}

fn number(word: &[u8]) -> Option<i64> {
    let digits = (1..=4).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    digits.then(|| word.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
}

/// The month 1..=12 by its first three letters.
fn month(word: &[u8]) -> Option<i64> {
    let start = word.get(..3)?;
    let i = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(start))?;
    Some(i as i64 + 1)
}

/// RFC 5322 §4.3: two-digit years below 50 are 20xx, three digits add 1900.
fn full_year(year: i64) -> Option<i64> {
    let year = match year {
        0..=49 => year + 2_000,
        50..=999 => year + 1_900,
        _ => year,
    };
    (1_900..=9_999).contains(&year).then_some(year)
}

/// Seconds since midnight; a leap second counts as the next one.
fn clock_seconds(word: &[u8]) -> Option<i64> {
    let mut pieces = word.split(|b| matches!(b, b':' | b'.'));
    let (hour, minute) = (number(pieces.next()?)?, number(pieces.next()?)?);
    let second = pieces.next().map_or(Some(0), number)?;
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
}

/// RFC 5322 §4.3's zones; what is unknown means -0000.
fn zone_minutes(word: &[u8]) -> i64 {
    let (sign, digits) = match word {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => {
            let name = word.to_ascii_uppercase();
            return 60
                * match name.as_slice() {
                    b"EDT" => -4,
                    b"EST" | b"CDT" => -5,
                    b"CST" | b"MDT" => -6,
                    b"MST" | b"PDT" => -7,
                    b"PST" => -8,
                    b"CET" | b"BST" => 1,
                    b"CEST" => 2,
                    _ => 0,
                };
        }
    };
    let digits: Vec<u8> = digits.iter().copied().filter(|b| *b != b':').collect();
    match number(&digits) {
        Some(n) if n / 100 < 24 && n % 100 < 60 => sign * (n / 100 * 60 + n % 100),
        _ => 0,
    }
}

/// Days since 1970-01-01 of a Gregorian date; `None` when there is no such day.
fn civil_day(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years counted from March, so that the leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    let before_month = (153 * m + 2) / 5;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some(before_year + before_month + day - 1 - 719_468)
}

/// Year, month, day of a day since 1970-01-01.
fn civil_date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * m + 2) / 5 + 1)
}

/// A date as RFC 5322 §3.3 writes it, in UTC: `Fri, 21 Nov 1997 15:55:06 +0000`.
pub fn rfc5322_date(unix_ms: i64) -> String {
    rfc5322_date_at(unix_ms, 0)
}

/// The same as a clock shows it that is so many minutes ahead of UTC.
pub fn rfc5322_date_at(unix_ms: i64, minutes: i32) -> String {
    let local = unix_ms.saturating_add(i64::from(minutes) * 60_000);
    let (day, ms) = (local.div_euclid(DAY_MS), local.rem_euclid(DAY_MS));
    let (sign, away) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
    let (year, month, dom) = civil_date(day);
    let s = ms / 1_000;
    format!(
        "{}, {dom} {} {year:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
        WEEKDAYS[day.rem_euclid(7) as usize],
        MONTHS[(month - 1) as usize],
        s / 3_600,
        s / 60 % 60,
        s % 60,
        away / 60,
        away % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_dates() {
        // 1997-11-21 15:55:06 UTC.
        let at = 880_127_706_000;
        for text in [
            "Fri, 21 Nov 1997 09:55:06 -0600",
            "Fri, 21 Nov 1997 09:55:06 -0600 (CST)",
            "21 Nov 1997 09:55:06 -0600",
            "Fri 21 Nov 1997 09:55:06 CST",
            "Fri, 21-Nov-97 09:55:06 CST",
            "Fri, 21-Nov-1997 09:55:06 -06:00",
            "Fri (day), 21 (x (y)) Nov 97 15:55:06",
            "Fri, 21 November 1997 15:55:06 GMT",
            "Fri Nov 21 15:55:06 1997",
            "Fri Nov 21 15:55:06 UTC 1997",
            "Fri, 21 Nov 1997 15.55.06 Z",
            "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
        ] {
            let d = parse_date(text.as_bytes());
            assert_eq!(d.map(|d| d.unix_ms), Some(at), "{text}");
            assert_eq!(d.map(|d| d.local_day), Some(at / DAY_MS), "{text}");
        }
        // The calendar day is the sender's.
        let d = parse_date(b"Thu, 1 Jan 1970 00:30:00 +0100").expect("a date");
        assert_eq!((d.unix_ms, d.local_day), (-1_800_000, 0));
        assert_eq!(parse_date(b"29 Feb 2024 00:00 +0000").map(|d| d.local_day), Some(19_782));
        for bad in
            ["", "x", "Fri", "31 Feb 2024 00:00", "1 Jan 2024 25:00:00", "0 Jan 2024 00:00", "99999999 Jan 1", ","]
        {
            assert_eq!(parse_date(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn writes_dates() {
        assert_eq!(rfc5322_date(880_127_706_999), "Fri, 21 Nov 1997 15:55:06 +0000");
        assert_eq!(rfc5322_date_at(880_127_706_999, -570), "Fri, 21 Nov 1997 06:25:06 -0930");
        assert_eq!(rfc5322_date_at(880_127_706_999, 540), "Sat, 22 Nov 1997 00:55:06 +0900");
        assert_eq!(rfc5322_date(0), "Thu, 1 Jan 1970 00:00:00 +0000");
        assert_eq!(rfc5322_date(-1), "Wed, 31 Dec 1969 23:59:59 +0000");
        assert_eq!(rfc5322_date(951_782_400_000), "Tue, 29 Feb 2000 00:00:00 +0000");
    }

    proptest! {
        #[test]
        fn written_dates_read_back(s in -2_000_000_000i64..200_000_000_000) {
            let d = parse_date(rfc5322_date(s * 1_000).as_bytes()).expect("our own date");
            prop_assert_eq!(d.unix_ms, s * 1_000);
            prop_assert_eq!(d.local_day, s.div_euclid(86_400));
        }
        #[test]
        fn garbage(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_date(&bytes);
        }
    }
}
