//! A policy as Zimbra writes it: `message,document:before:-30days has:attachment`.
//!
//! [`expr`] is a small part of Zimbra's search grammar; whatever it makes is a [`SearchExpr`], which is all that the rest
//! knows of it.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use zcluster_api::search::InFolder;
use zcluster_api::volume::check_volume_name;
use zcluster_api::{Error, Flags, Result, SearchExpr};

/// The attribute with the policies, a value for each: of the global config, of a COS or of an account.
pub const ATTRIBUTE: &str = "zclusterHsmPolicy";
/// The value of those for whom no policy is to hold.
pub const NONE: &str = "none";
/// Types of items that Zimbra knows; messages are all that is stored here.
const TYPES: [&str; 9] = ["all", "message", "document", "contact", "appointment", "task", "note", "wiki", "chat"];
/// Conditions of a policy.
const CONDITIONS_MAX: usize = 64;
const DAY_MS: i64 = 86_400_000;

/// Which bodies go to a volume.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct HsmPolicy {
    /// Where they go.
    #[n(0)]
    pub volume: String,
    /// Of which items.
    #[n(1)]
    pub types: Vec<String>,
    /// Which of these.
    #[n(2)]
    pub query: String,
}

fn bad<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(text.into()))
}

impl HsmPolicy {
    /// From an attribute's value: the volume, a space, the policy.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub fn parse(value: &str) -> Result<HsmPolicy> {
        match value.trim().split_once(' ') {
            Some((volume, policy)) => Self::of(volume, policy),
            None => bad(format!("a volume and a policy are expected: {value:?}")),
        }
    }

    /// A volume's policy, `types:query`.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub fn of(volume: &str, policy: &str) -> Result<HsmPolicy> {
        check_volume_name(volume)?;
        let Some((types, query)) = policy.trim().split_once(':') else {
            return bad(format!("types:query is expected, as message:before:-30days: {policy:?}"));
        };
        let types: Vec<String> = types.split(',').map(|t| t.trim().to_ascii_lowercase()).collect();
        if let Some(unknown) = types.iter().find(|t| !TYPES.contains(&t.as_str())) {
            return bad(format!("unknown type {unknown:?}: there are {}", TYPES.join(", ")));
        }
        let policy = HsmPolicy { volume: volume.into(), types, query: query.trim().into() };
        expr(&policy.query, 0)?;
        Ok(policy)
    }

    /// As an attribute's value.
    pub fn text(&self) -> String {
        format!("{} {}:{}", self.volume, self.types.join(","), self.query)
    }

    /// Whether it is about messages.
    pub fn is_about_messages(&self) -> bool {
        self.types.iter().any(|t| t == "message" || t == "all")
    }
}

/// What a query comes to at a time, Unix milliseconds.
///
/// # Errors
/// `Invalid`, with what is wrong.
pub(super) fn expr(query: &str, now_ms: i64) -> Result<SearchExpr> {
    let mut all = Vec::new();
    for word in words(query)? {
        let (negated, word) = match word.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, word.as_str()),
        };
        let one = condition(word, now_ms)?;
        all.push(if negated { SearchExpr::Not(Box::new(one)) } else { one });
        if all.len() > CONDITIONS_MAX {
            return bad(format!("more than {CONDITIONS_MAX} conditions"));
        }
    }
    Ok(match all.len() {
        0 => SearchExpr::All,
        1 => all.remove(0),
        _ => SearchExpr::And(all),
    })
}

/// Words apart by spaces, but not by those in quotes.
fn words(query: &str) -> Result<Vec<String>> {
    let (mut out, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in query.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => out.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    if quoted {
        return bad("a quote is not closed");
    }
    out.extend((!word.is_empty()).then_some(word));
    Ok(out)
}

fn condition(word: &str, now_ms: i64) -> Result<SearchExpr> {
    let Some((name, value)) = word.split_once(':') else {
        return bad(format!("{word:?}: a condition is written name:value"));
    };
    Ok(match name.to_ascii_lowercase().as_str() {
        "before" => SearchExpr::Internal { from_ms: i64::MIN, to_ms: moment(value, now_ms)? },
        "after" => SearchExpr::Internal { from_ms: moment(value, now_ms)?, to_ms: i64::MAX },
        "larger" | "bigger" => SearchExpr::Larger(size(value)?),
        "smaller" => SearchExpr::Smaller(size(value)?),
        "size" => match value.split_at_checked(1) {
            Some((">", rest)) => SearchExpr::Larger(size(rest)?),
            Some(("<", rest)) => SearchExpr::Smaller(size(rest)?),
            _ => {
                let n = size(value)?;
                let not = |e| SearchExpr::Not(Box::new(e));
                SearchExpr::And(vec![not(SearchExpr::Larger(n)), not(SearchExpr::Smaller(n))])
            }
        },
        "has" if value.eq_ignore_ascii_case("attachment") => SearchExpr::Flags(Flags::ATTACHED),
        "is" => match value.to_ascii_lowercase().as_str() {
            "unread" => SearchExpr::Flags(Flags::UNREAD),
            "read" => SearchExpr::Not(Box::new(SearchExpr::Flags(Flags::UNREAD))),
            "flagged" => SearchExpr::Flags(Flags::FLAGGED),
            "unflagged" => SearchExpr::Not(Box::new(SearchExpr::Flags(Flags::FLAGGED))),
            "anywhere" => SearchExpr::All,
            _ => return bad(format!("is:{value} is not known in policies")),
        },
        "in" | "under" => {
            let path = value.trim_matches('/').to_string();
            if path.is_empty() {
                return bad(format!("{name}: a folder is expected"));
            }
            SearchExpr::In(InFolder { id: None, path, below: name.eq_ignore_ascii_case("under") })
        }
        _ => {
            return bad(format!(
                "{name}: is not known in policies: there are before, after, larger, smaller, size, has:attachment, is, in, under"
            ));
        }
    })
}

/// `-30days`: so long before now. Months have 30 days here, years 365.
fn moment(value: &str, now_ms: i64) -> Result<i64> {
    let wrong =
        || Error::Invalid(format!("{value:?}: a time is written -30days (minutes, hours, weeks, months, years)"));
    let (back, rest) = match (value.strip_prefix('-'), value.strip_prefix('+')) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        _ => return Err(wrong()),
    };
    let at = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number: i64 = rest.get(..at).unwrap_or_default().parse().map_err(|_| wrong())?;
    let unit = match rest.get(at..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "mi" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "" | "d" | "day" | "days" => DAY_MS,
        "w" | "week" | "weeks" => 7 * DAY_MS,
        "m" | "mo" | "month" | "months" => 30 * DAY_MS,
        "y" | "year" | "years" => 365 * DAY_MS,
        _ => return Err(wrong()),
    };
    let length = number.checked_mul(unit).ok_or_else(wrong)?;
    let at = if back { now_ms.checked_sub(length) } else { now_ms.checked_add(length) };
    at.ok_or_else(wrong)
}

/// `10KB`: bytes; units are of 1,024.
fn size(value: &str) -> Result<u64> {
    let wrong = || Error::Invalid(format!("{value:?}: a size is written 500, 10KB, 5MB or 1GB"));
    let at = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let number: u64 = value.get(..at).unwrap_or_default().parse().map_err(|_| wrong())?;
    let unit = match value.get(at..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// The expression for the messages of one folder: conditions about folders are decided.
pub(super) fn within(expr: &SearchExpr, path: &str) -> SearchExpr {
    let all = |list: &[SearchExpr]| list.iter().map(|e| within(e, path)).collect();
    match expr {
        SearchExpr::And(list) => SearchExpr::And(all(list)),
        SearchExpr::Or(list) => SearchExpr::Or(all(list)),
        SearchExpr::Not(one) => SearchExpr::Not(Box::new(within(one, path))),
        SearchExpr::In(place) => {
            let (path, wanted) = (path.to_lowercase(), place.path.to_lowercase());
            let is_below = path.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('/'));
            match path == wanted || (place.below && is_below) {
                true => SearchExpr::All,
                false => SearchExpr::Not(Box::new(SearchExpr::All)),
            }
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000_000;

    fn before(days: i64) -> SearchExpr {
        SearchExpr::Internal { from_ms: i64::MIN, to_ms: NOW - days * DAY_MS }
    }

    #[test]
    fn zimbras_form() {
        let policy = HsmPolicy::parse("cold message,document:before:-30days has:attachment").unwrap();
        assert_eq!((policy.volume.as_str(), policy.types.len()), ("cold", 2));
        assert!(policy.is_about_messages());
        assert_eq!(HsmPolicy::parse(&policy.text()), Ok(policy.clone()));
        let want = SearchExpr::And(vec![before(30), SearchExpr::Flags(Flags::ATTACHED)]);
        assert_eq!(expr(&policy.query, NOW), Ok(want));
        assert!(!HsmPolicy::of("cold", "document:before:-30d").unwrap().is_about_messages());
        for (query, want) in [
            ("", SearchExpr::All),
            ("before:-2w", before(14)),
            ("before:-1month", before(30)),
            ("before:-1year", before(365)),
            ("larger:10KB", SearchExpr::Larger(10_240)),
            ("size:>5mb", SearchExpr::Larger(5 << 20)),
            ("size:<7", SearchExpr::Smaller(7)),
            ("-larger:1", SearchExpr::Not(Box::new(SearchExpr::Larger(1)))),
            ("is:unread", SearchExpr::Flags(Flags::UNREAD)),
        ] {
            assert_eq!(expr(query, NOW), Ok(want), "{query}");
        }
        for (value, part) in [
            ("cold", "a volume and a policy"),
            ("COLD message:", "volume's name"),
            ("cold before:-30days", "unknown type"),
            ("cold message", "types:query"),
            ("cold message:hello", "name:value"),
            ("cold message:before:yesterday", "-30days"),
            ("cold message:before:-9999999999999999years", "-30days"),
            ("cold message:larger:x", "10KB"),
            ("cold message:from:bob", "not known"),
            ("cold message:in:\"a", "quote"),
        ] {
            let error = HsmPolicy::parse(value).unwrap_err().to_string();
            assert!(error.contains(part), "{value}: {error}");
        }
    }

    #[test]
    fn folders_are_decided_folder_by_folder() {
        let all = SearchExpr::All;
        let none = SearchExpr::Not(Box::new(SearchExpr::All));
        let of = |query: &str, path: &str| within(&expr(query, NOW).unwrap(), path);
        assert_eq!(of("in:Archive", "archive"), all);
        assert_eq!(of("in:Archive", "Archive/2026"), none);
        assert_eq!(of("under:/Archive/", "Archive/2026"), all);
        assert_eq!(of("under:Archive", "Archived"), none);
        assert_eq!(of("in:\"My Mail/Old\"", "my mail/old"), all);
        assert_eq!(of("-in:Inbox", "Inbox"), SearchExpr::Not(Box::new(SearchExpr::All)));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,60}", spiced in "(-|before:|size:|larger:|in:|\"|[0-9a-z<> ]){0,12}") {
            let _ = HsmPolicy::parse(&text);
            let _ = HsmPolicy::parse(&format!("v message:{spiced}"));
        }
    }
}
