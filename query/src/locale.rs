//! How dates are written where: Java's SHORT forms, those of CLDR and, where they do not contradict, those before it.

use chrono::{Datelike, NaiveDate};

/// How a locale writes its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    order: Order,
    /// What stands between the numbers.
    separators: &'static [char],
    /// The form, to be shown.
    pub form: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    MonthDayYear,
    DayMonthYear,
    YearMonthDay,
}

use Order::*;

const US: Short = Short { order: MonthDayYear, separators: &['/'], form: "mm/dd/yyyy" };
const SLASHES: Short = Short { order: DayMonthYear, separators: &['/'], form: "dd/mm/yyyy" };
const SLASHES_OR_DASHES: Short = Short { separators: &['/', '-'], ..SLASHES };
const DOTS: Short = Short { order: DayMonthYear, separators: &['.'], form: "dd.mm.yyyy" };
const DOTS_OR_DASHES: Short = Short { separators: &['.', '-'], ..DOTS };
const DASHES: Short = Short { order: DayMonthYear, separators: &['-'], form: "dd-mm-yyyy" };
const ISO: Short = Short { order: YearMonthDay, separators: &['-', '/', '.'], form: "yyyy-mm-dd" };
const YEAR_SLASHES: Short = Short { order: YearMonthDay, separators: &['/', '-', '.'], form: "yyyy/mm/dd" };
const YEAR_DOTS: Short = Short { order: YearMonthDay, separators: &['.', '-', '/'], form: "yyyy.mm.dd" };

/// The form of a locale: `de`, `en_GB`, `pt-BR`.
pub(crate) fn short(locale: &str) -> Short {
    let locale = locale.trim().to_lowercase();
    let mut parts = locale.split(['_', '-', '.', '@']);
    let (language, country) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    match (language, country) {
        ("en", "" | "us" | "as" | "gu" | "mh" | "mp" | "pr" | "um" | "vi" | "bi") => US,
        ("en", "ca" | "se") | ("fr", "ca") => ISO,
        ("en", "za") => YEAR_SLASHES,
        ("es", "us") => SLASHES,
        ("es", "pa" | "pr") => US,
        ("es", "cl" | "bo") => SLASHES_OR_DASHES,
        ("fr" | "it", "ch") => DOTS,
        ("nl", "be") => SLASHES,
        ("zh", "hk" | "mo" | "sg") | ("en", _) => SLASHES,
        ("da", _) => DOTS_OR_DASHES,
        ("nl" | "fy" | "mi", _) => DASHES,
        ("pt", _) => SLASHES_OR_DASHES,
        (
            "ar" | "ca" | "cy" | "el" | "es" | "fr" | "ga" | "gd" | "gl" | "hi" | "id" | "in" | "it" | "lo" | "ms"
            | "mt",
            _,
        )
        | ("ta" | "te" | "th" | "ur" | "vi", _) => SLASHES,
        (
            "az" | "be" | "bg" | "bs" | "cs" | "de" | "et" | "fi" | "he" | "hr" | "hy" | "is" | "iw" | "ka" | "kk"
            | "lb",
            _,
        )
        | ("lv" | "mk" | "nb" | "nn" | "no" | "pl" | "ro" | "ru" | "sk" | "sl" | "sq" | "sr" | "tr" | "uk", _) => DOTS,
        ("eo" | "lt" | "si" | "sv", _) => ISO,
        ("eu" | "fa" | "ja" | "zh", _) => YEAR_SLASHES,
        ("hu" | "ko" | "mn", _) => YEAR_DOTS,
        _ => US,
    }
}

/// The day that a text names, in the locale's form, or as `mm/dd/yyyy`, or with a year of four digits first.
/// Years of two digits are those around `this_year`, from 80 years before it.
pub(crate) fn day(text: &str, short: Short, this_year: i32) -> Option<NaiveDate> {
    let (numbers, separator) = split(text)?;
    let date = |order| {
        let [a, b, c] = numbers;
        let (year, month, day) = match order {
            MonthDayYear => (c, a, b),
            DayMonthYear => (c, b, a),
            YearMonthDay => (a, b, c),
        };
        NaiveDate::from_ymd_opt(full_year(year, this_year)?, small(month)?, small(day)?)
    };
    if numbers[0].len() == 4 {
        return date(YearMonthDay);
    }
    let local = if short.separators.contains(&separator) { date(short.order) } else { None };
    local.or_else(|| if separator == '/' { date(MonthDayYear) } else { None })
}

/// Three numbers, and what stands between the first two and the last two: the same, perhaps with white space.
fn split(text: &str) -> Option<([&str; 3], char)> {
    // Bulgarian ends with an abbreviated word; Korean, Hungarian and others with a dot.
    let text = text.trim().trim_end_matches("г.").trim_end_matches(['.', '日', '일']).trim_end();
    let mut parts = text.split(['/', '-', '.', '年', '月', '년', '월']);
    let numbers = [parts.next()?.trim(), parts.next()?.trim(), parts.next()?.trim()];
    let mut between = text.chars().filter(|c| !c.is_ascii_digit() && !c.is_whitespace());
    let separator = between.next()?;
    let same = between
        .next()
        .is_some_and(|second| second == separator || matches!((separator, second), ('年', '月') | ('년', '월')));
    (parts.next().is_none() && same && numbers.iter().all(|n| !n.is_empty())).then_some((numbers, separator))
}

fn small(text: &str) -> Option<u32> {
    (text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn full_year(text: &str, this_year: i32) -> Option<i32> {
    if text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let short = i32::try_from(small(text)?).ok()?;
    let first = this_year - 80;
    Some(first + (short - first).rem_euclid(100))
}

/// The first of January of a year, for `year:2031`.
pub(crate) fn year(text: &str) -> Option<NaiveDate> {
    (text.len() == 4).then(|| text.parse().ok()).flatten().and_then(|year| NaiveDate::from_ymd_opt(year, 1, 1))
}

/// The year of a day.
pub(crate) fn year_of(day: NaiveDate) -> i32 {
    day.year()
}
