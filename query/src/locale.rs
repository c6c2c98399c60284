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

/// Countries that do not write as others of their language do.
const COUNTRIES: [(&str, &str, Short); 13] = [
    ("en", "us as bi gu mh mp pr um vi", US),
    ("en", "ca se", ISO),
    ("en", "za", YEAR_SLASHES),
    ("es", "pa pr", US),
    ("es", "cl bo", SLASHES_OR_DASHES),
    ("fr", "ca", ISO),
    ("fr", "ch", DOTS),
    ("it", "ch", DOTS),
    ("nl", "be", SLASHES),
    ("zh", "hk mo sg", SLASHES),
    ("sr", "ba", ISO),
    ("se", "fi", DOTS),
    ("en", "", US),
];

/// Languages by how they write (CLDR 42, as Java 17 has it).
const LANGUAGES: [(&str, Short); 8] = [
    ("brx ceb chr ee fil ks lkt or zu", US),
    ("as fy ia jv kok mi my nl rm te wo", DASHES),
    ("pt", SLASHES_OR_DASHES),
    ("da", DOTS_OR_DASHES),
    (
        "az be bg bs cs de dsb et fi fo gsw he hr hsb hy is iw ka kk ksh lb lv mk nb nn no os pl ro ru sh sk sl smn sq sr tk \
         tr tt uk",
        DOTS,
    ),
    (
        "agq am ar asa ast bas bem bez bm bn br ca ccp cgg cy dav dje doi dua dyo ebu el en es ewo ff fr fur ga gd gl gu guz \
         ha haw hi id ig in it jmc kab kam kde kea khq ki kkj kln km kn ksb ksf ky lag lg ln lo lu luo luy mai mas mer mfe \
         mgh ml mni mr ms mt mua naq nd nmg nnh nus nyn om pa pcm qu rn rof rwk sa saq sat sbp seh ses sg shi so su sw ta teo \
         tg th ti to twq tzm ur uz vai vi vun xog yav yi yo zgh",
        SLASHES,
    ),
    ("af bo ce ckb dz eo gv ii jgo kl ku kw lrc lt mg mgo mzn nds rw sd se si sn sv ug wae xh", ISO),
    ("hu ko mn", YEAR_DOTS),
];

/// Languages that put the year first, with slashes.
const YEAR_FIRST: &str = "ak eu fa ja ne ps sah yue zh";

/// The form of a locale: `de`, `en_GB`, `pt-BR`.
pub(crate) fn short(locale: &str) -> Short {
    let locale = locale.trim().to_lowercase();
    let mut parts = locale.split(['_', '-', '.', '@']);
    let (language, country) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let has = |list: &str, wanted: &str| list.split_whitespace().any(|one| one == wanted);
    let own = COUNTRIES.iter().find(|(of, countries, _)| {
        *of == language && if country.is_empty() { countries.is_empty() } else { has(countries, country) }
    });
    if let Some((.., short)) = own {
        return *short;
    }
    if has(YEAR_FIRST, language) {
        return YEAR_SLASHES;
    }
    LANGUAGES.iter().find(|(languages, _)| has(languages, language)).map_or(US, |(_, short)| *short)
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

/// The text with the decimal digits of any script as ASCII's, and without marks of direction.
pub(crate) fn plain(text: &str) -> String {
    const ZEROS: [u32; 18] = [
        0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20, 0x1040,
        0x1c50, 0xff10, 0x1_1136,
    ];
    let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
    let digit = |c: char| {
        let value = ZEROS.iter().find_map(|zero| u32::from(c).checked_sub(*zero).filter(|value| *value < 10));
        value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
    };
    text.chars().filter(|c| !marks.contains(c)).map(digit).collect()
}
