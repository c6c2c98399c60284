//! Match types and comparators (RFC 5228 §2.7, RFC 4790, RFC 5231, draft-ietf-sieve-regex).

use crate::budget::Budget;
use crate::outcome::Failure;
use regex::{Regex, RegexBuilder};
use std::cmp::Ordering;

/// RFC 4790's collations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Comparator {
    Octet,
    #[default]
    AsciiCasemap,
    AsciiNumeric,
    UnicodeCasemap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
}

impl Relation {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "gt" => Relation::Gt,
            "ge" => Relation::Ge,
            "lt" => Relation::Lt,
            "le" => Relation::Le,
            "eq" => Relation::Eq,
            "ne" => Relation::Ne,
            _ => return None,
        })
    }
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Relation::Gt => order.is_gt(),
            Relation::Ge => order.is_ge(),
            Relation::Lt => order.is_lt(),
            Relation::Le => order.is_le(),
            Relation::Eq => order.is_eq(),
            Relation::Ne => order.is_ne(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MatchKind {
    #[default]
    Is,
    Contains,
    Matches,
    Regex,
    Count(Relation),
    Value(Relation),
}

/// How a test compares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Match {
    pub kind: MatchKind,
    pub comparator: Comparator,
    /// For `:regex`: the keys that are constant, compiled; by their number.
    pub regexes: Vec<Option<Regex>>,
}

/// What matched, if something did: values for `${0}`, `${1}`, ... when the match type has them.
pub(crate) type Captures = Vec<String>;

/// Compiles an expression of the regex extension: POSIX extended ones (as this engine has them: linear time, leftmost
/// instead of longest alternative), any text with any line breaks in it.
pub(crate) fn regex(pattern: &str, comparator: Comparator, size: usize) -> Result<Regex, String> {
    let fold = matches!(comparator, Comparator::AsciiCasemap | Comparator::UnicodeCasemap);
    RegexBuilder::new(pattern)
        .case_insensitive(fold)
        .dot_matches_new_line(true)
        .size_limit(size)
        .dfa_size_limit(size.saturating_mul(2))
        .nest_limit(50)
        .build()
        .map_err(|e| match e {
            regex::Error::CompiledTooBig(_) => "this regular expression is too large".to_string(),
            // The last line of a syntax error says what is wrong; those before it draw where.
            e => {
                let text = e.to_string();
                let last = text.lines().last().unwrap_or_default().trim();
                format!("this regular expression is wrong: {}", last.strip_prefix("error: ").unwrap_or(last))
            }
        })
}

impl Match {
    /// Whether `value` matches the `number`th key. Captures are given for `:matches` and `:regex`.
    pub fn matches(
        &self,
        value: &str,
        key: &str,
        number: usize,
        regex_bytes: usize,
        budget: &mut Budget,
    ) -> Result<Option<Captures>, Failure> {
        budget.spend_bytes(value.len() + key.len())?;
        let plain = |yes: bool| yes.then(Vec::new);
        Ok(match self.kind {
            MatchKind::Is => plain(self.comparator.compare(value, key).is_eq()),
            // The count was made into a value by the caller.
            MatchKind::Count(relation) => plain(relation.holds(Comparator::AsciiNumeric.compare(value, key))),
            MatchKind::Value(relation) => plain(relation.holds(self.comparator.compare(value, key))),
            MatchKind::Contains => plain(self.comparator.contains(value, key)),
            MatchKind::Matches => glob(value, key, self.comparator, budget)?,
            MatchKind::Regex => match self.regexes.get(number).and_then(Option::as_ref) {
                Some(regex) => captures(regex, value),
                None => {
                    budget.spend(REGEX_STEPS)?;
                    captures(&regex(key, self.comparator, regex_bytes).map_err(Failure::Error)?, value)
                }
            },
        })
    }
}

/// What compiling an expression at run time costs: about as much as a thousand commands.
const REGEX_STEPS: u64 = 1_000;
/// Captures that variables can name, `${0}` included (RFC 5229 §3.2: at least up to 9).
const CAPTURES_MAX: usize = 100;

fn captures(regex: &Regex, value: &str) -> Option<Captures> {
    let found = regex.captures(value)?;
    Some(found.iter().take(CAPTURES_MAX).map(|m| m.map_or("", |m| m.as_str()).to_string()).collect())
}

impl Comparator {
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Comparator::Octet => a.as_bytes().cmp(b.as_bytes()),
            Comparator::AsciiCasemap => {
                let fold = |s: &'_ str| s.bytes().map(|b| b.to_ascii_uppercase()).collect::<Vec<_>>();
                if a.len() == b.len() && a.eq_ignore_ascii_case(b) { Ordering::Equal } else { fold(a).cmp(&fold(b)) }
            }
            Comparator::AsciiNumeric => compare_numbers(a, b),
            Comparator::UnicodeCasemap => a.chars().map(|c| self.fold(c)).cmp(b.chars().map(|c| self.fold(c))),
        }
    }
    fn contains(self, value: &str, key: &str) -> bool {
        match self {
            Comparator::Octet | Comparator::AsciiNumeric => value.contains(key),
            Comparator::AsciiCasemap => value.to_ascii_lowercase().contains(&key.to_ascii_lowercase()),
            Comparator::UnicodeCasemap => {
                let fold = |s: &str| s.chars().map(|c| self.fold(c)).collect::<String>();
                fold(value).contains(&fold(key))
            }
        }
    }
    /// A character as it is compared. RFC 5051's titlecase mapping, near enough: upper case, then lower; characters
    /// whose other case is several characters stay themselves.
    fn fold(self, c: char) -> char {
        match self {
            Comparator::Octet | Comparator::AsciiNumeric => c,
            Comparator::AsciiCasemap => c.to_ascii_lowercase(),
            Comparator::UnicodeCasemap => single(single(c, char::to_uppercase), char::to_lowercase),
        }
    }
    /// Whether it can look for a part of a string (RFC 4790 §9.1: i;ascii-numeric cannot).
    pub fn has_substrings(self) -> bool {
        self != Comparator::AsciiNumeric
    }
}

fn single<I: Iterator<Item = char>>(c: char, map: impl Fn(char) -> I) -> char {
    let mut mapped = map(c);
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// RFC 4790 §9.1: by the digits at the beginning, of any length; what begins with none is larger than all numbers and
/// equal to its like.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let digits = |s: &'_ str| {
        let end = s.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(s.len());
        (end > 0).then(|| s[..end].trim_start_matches('0').to_string())
    };
    match (digits(a), digits(b)) {
        (Some(a), Some(b)) => a.len().cmp(&b.len()).then(a.cmp(&b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glob {
    Star,
    One,
    Char(char),
}

/// RFC 5228 §2.7.1's `:matches`: `*` any text, `?` one character, a backslash before either (or itself) takes its
/// meaning. Each wildcard takes as little as it can (RFC 5229 §3.2).
fn glob(value: &str, pattern: &str, comparator: Comparator, budget: &mut Budget) -> Result<Option<Captures>, Failure> {
    let pattern = parse_glob(pattern, comparator);
    let value_chars: Vec<char> = value.chars().collect();
    // For each wildcard passed: where what it took begins and ends.
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let (mut p, mut v) = (0, 0);
    // The last star: its place, how many wildcards were passed with it, and where what it took ends.
    let mut star: Option<(usize, usize, usize)> = None;
    let mut steps = 0usize;
    loop {
        steps += 1;
        if steps.is_multiple_of(64) {
            budget.spend(1)?;
        }
        let here = value_chars.get(v).copied();
        match (pattern.get(p).copied(), here) {
            (Some(Glob::Star), _) => {
                taken.push((v, v));
                star = Some((p, taken.len(), v));
                p += 1;
            }
            (Some(Glob::One), Some(_)) => {
                taken.push((v, v + 1));
                p += 1;
                v += 1;
            }
            (Some(Glob::Char(c)), Some(h)) if c == comparator.fold(h) => {
                p += 1;
                v += 1;
            }
            (None, None) => break,
            _ => {
                // The last star takes one more.
                let Some((at, passed, end)) = star.filter(|(_, _, end)| *end < value_chars.len()) else {
                    return Ok(None);
                };
                taken.truncate(passed);
                if let Some(last) = taken.last_mut() {
                    last.1 = end + 1;
                }
                star = Some((at, passed, end + 1));
                p = at + 1;
                v = end + 1;
            }
        }
    }
    budget.spend_bytes(value.len())?;
    let text = |range: &(usize, usize)| value_chars.get(range.0..range.1).unwrap_or_default().iter().collect();
    Ok(Some(std::iter::once(value.to_string()).chain(taken.iter().take(CAPTURES_MAX - 1).map(text)).collect()))
}

fn parse_glob(pattern: &str, comparator: Comparator) -> Vec<Glob> {
    let mut out = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '*' => Glob::Star,
            '?' => Glob::One,
            '\\' => Glob::Char(comparator.fold(chars.next().unwrap_or('\\'))),
            c => Glob::Char(comparator.fold(c)),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(value: &str, pattern: &str) -> Option<Vec<String>> {
        glob(value, pattern, Comparator::AsciiCasemap, &mut Budget::new(1_000)).unwrap()
    }

    #[test]
    fn wildcards() {
        let some = |list: &[&str]| Some(list.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        assert_eq!(globs("frop frop", "*p*"), some(&["frop frop", "fro", " frop"]));
        assert_eq!(globs("[fileserver] disk", "[*] *"), some(&["[fileserver] disk", "fileserver", "disk"]));
        assert_eq!(globs("aXbXc", "*x?"), some(&["aXbXc", "aXb", "c"]));
        assert_eq!(globs("aXbXc", "?x?"), None);
        assert_eq!(globs("aXbXc", "*x*?"), some(&["aXbXc", "a", "bX", "c"]));
        assert_eq!(globs("a*b", "a\\*b"), some(&["a*b"]));
        assert_eq!(globs("axb", "a\\*b"), None);
        assert_eq!(globs("ü", "?"), some(&["ü", "ü"]));
        assert_eq!(globs("", "*"), some(&["", ""]));
        assert_eq!(globs("abab", "*ab"), some(&["abab", "ab"]));
        assert_eq!(globs("aaab", "a*ab?"), None);
        assert_eq!(globs("x", ""), None);
    }

    #[test]
    fn numbers() {
        use Ordering::*;
        for (a, b, want) in
            [("2", "10", Less), ("007x", "7", Equal), ("x", "9999", Greater), ("", "x", Equal), ("1", "-1", Less)]
        {
            assert_eq!(Comparator::AsciiNumeric.compare(a, b), want, "{a} {b}");
        }
    }

    #[test]
    fn cases() {
        assert!(Comparator::UnicodeCasemap.compare("ÄÖÜß", "äöüß").is_eq());
        assert!(!Comparator::AsciiCasemap.compare("Ä", "ä").is_eq());
        assert!(Comparator::AsciiCasemap.contains("aBc", "Bc") && !Comparator::Octet.contains("aBc", "bc"));
    }
}
