//! Which passwords an account may have, and for how long: Zimbra's COS attributes `zimbraPassword...`.

use crate::password::{HashParams, PASSWORD_BYTES_MAX, password_values, verify_password};
use crate::scram_keys::ScramKeys;
use crate::status::{generalized_time, generalized_time_ms};
use regex::{Regex, RegexBuilder};
use zcluster_api::directory::{Account, Modification, ModifyKind};

/// Old passwords that are remembered at most: each costs a hash when a new one is checked.
const HISTORY_MAX: usize = 24;
/// Bytes of a value of `zimbraPasswordHistory` (the schema's).
const HISTORY_VALUE_BYTES_MAX: usize = 128;
/// Bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 256 * 1_024;
const DAY_MS: u64 = 86_400_000;

/// Passwords that everybody tries first, of six and more characters, sorted, lower case: the list that Django carries
/// (BSD licence: `policy/common.LICENSE`), which Royce Williams made of what was stolen elsewhere.
static COMMON: &str = include_str!("policy/common.txt");

/// What is wrong with a new password. The text is for the user; [`Self::code`] is Zimbra's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It is not as the attribute wants it.
    #[error("invalid password: {text} ({attribute}={limit})")]
    Invalid {
        /// Which attribute it violates.
        attribute: &'static str,
        /// The attribute's value.
        limit: String,
        /// In words.
        text: &'static str,
    },
    /// It is among the last `zimbraPasswordEnforceHistory` ones.
    #[error("password was recently used")]
    RecentlyUsed,
    /// The old one is younger than `zimbraPasswordMinAge` days.
    #[error("password can't be changed yet")]
    TooSoon,
    /// `zimbraPasswordLocked`.
    #[error("password is locked and can't be changed")]
    Locked,
}

impl Violation {
    /// Zimbra's code.
    pub fn code(&self) -> &'static str {
        match self {
            Violation::Invalid { .. } => "account.INVALID_PASSWORD",
            Violation::RecentlyUsed => "account.PASSWORD_RECENTLY_USED",
            Violation::TooSoon => "account.PASSWORD_CHANGE_TOO_SOON",
            Violation::Locked => "account.PASSWORD_LOCKED",
        }
    }
}

/// Whether a user may change the account's password to `new` now. Old passwords are compared as well, each of which costs
/// a hash: not on an event loop.
///
/// # Errors
/// [`Violation`].
pub fn check_new_password(account: &Account, new: &str, now_ms: u64) -> Result<(), Violation> {
    if account.effective("zimbraPasswordLocked") == Some("TRUE") {
        return Err(Violation::Locked);
    }
    let least_ms = number(account, "zimbraPasswordMinAge").saturating_mul(DAY_MS);
    if least_ms > 0 && modified_ms(account).is_some_and(|at| now_ms < at.saturating_add(least_ms)) {
        return Err(Violation::TooSoon);
    }
    check_password_strength(account, new)?;
    check_history(account, new)
}

/// Whether `new` is as the account's attributes want passwords to be: all that counts for a new account and for an
/// administrator who sets somebody's password.
///
/// # Errors
/// [`Violation::Invalid`].
pub fn check_password_strength(account: &Account, new: &str) -> Result<(), Violation> {
    let invalid = |attribute, limit: String, text| Err(Violation::Invalid { attribute, limit, text });
    let length = new.chars().count() as u64;
    let (min, max) = (number(account, "zimbraPasswordMinLength"), number(account, "zimbraPasswordMaxLength"));
    if length < min.max(1) {
        return invalid("zimbraPasswordMinLength", min.to_string(), "too short");
    }
    if max > 0 && length > max {
        return invalid("zimbraPasswordMaxLength", max.to_string(), "too long");
    }
    if new.len() > PASSWORD_BYTES_MAX {
        return invalid("zimbraPasswordMaxLength", format!("{PASSWORD_BYTES_MAX} bytes"), "too long");
    }
    if let Some(allowed) = account.effective("zimbraPasswordAllowedChars").filter(|a| !a.is_empty()) {
        let Some(pattern) = pattern(allowed) else {
            return invalid("zimbraPasswordAllowedChars", allowed.into(), "the attribute is no regular expression");
        };
        if !new.chars().all(|c| pattern.is_match(c.encode_utf8(&mut [0; 4]))) {
            return invalid("zimbraPasswordAllowedChars", allowed.into(), "contains a character that is not allowed");
        }
    }
    let have = Classes::of(account, new);
    for (attribute, have, text) in [
        ("zimbraPasswordMinUpperCaseChars", have.upper, "not enough upper case characters"),
        ("zimbraPasswordMinLowerCaseChars", have.lower, "not enough lower case characters"),
        ("zimbraPasswordMinAlphaChars", have.letters, "not enough alphabetic characters"),
        ("zimbraPasswordMinNumericChars", have.digits, "not enough numeric characters"),
        ("zimbraPasswordMinPunctuationChars", have.punctuation, "not enough punctuation characters"),
        (
            "zimbraPasswordMinDigitsOrPuncs",
            have.digits + have.punctuation,
            "not enough digits or punctuation characters",
        ),
    ] {
        let min = number(account, attribute);
        if have < min {
            return invalid(attribute, min.to_string(), text);
        }
    }
    if account.effective("zimbraPasswordBlockCommonEnabled") == Some("TRUE") && is_common(new) {
        return invalid("zimbraPasswordBlockCommonEnabled", "TRUE".into(), "password is known to be too common");
    }
    Ok(())
}

/// What a password is made of.
#[derive(Default)]
struct Classes {
    upper: u64,
    lower: u64,
    letters: u64,
    digits: u64,
    punctuation: u64,
}

impl Classes {
    fn of(account: &Account, text: &str) -> Self {
        let listed = account.effective("zimbraPasswordAllowedPunctuationChars").filter(|a| !a.is_empty());
        let pattern = listed.and_then(pattern);
        let is_punctuation = |c: char| match (&pattern, listed) {
            (Some(pattern), _) => pattern.is_match(c.encode_utf8(&mut [0; 4])),
            // Not an expression: then it is meant as it stands.
            (None, Some(listed)) => listed.contains(c),
            (None, None) => c.is_ascii_punctuation(),
        };
        let mut have = Classes::default();
        for c in text.chars() {
            have.upper += u64::from(c.is_uppercase());
            have.lower += u64::from(c.is_lowercase());
            have.letters += u64::from(c.is_alphabetic());
            have.digits += u64::from(c.is_numeric());
            have.punctuation += u64::from(!c.is_alphanumeric() && is_punctuation(c));
        }
        have
    }
}

/// A pattern that one character must match as a whole.
fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?:{text})$")).size_limit(PATTERN_BYTES_MAX).build().ok()
}

fn is_common(password: &str) -> bool {
    let wanted = password.to_lowercase();
    let (mut from, mut to) = (0, COMMON.len());
    // Between `from` and `to`, both at the beginnings of lines.
    while from < to {
        let middle = from + (to - from) / 2;
        let begin = COMMON[from..middle].rfind('\n').map_or(from, |at| from + at + 1);
        let end = COMMON[begin..].find('\n').map_or(COMMON.len(), |at| begin + at);
        match COMMON[begin..end].cmp(wanted.as_str()) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => from = end + 1,
            std::cmp::Ordering::Greater => to = begin,
        }
    }
    false
}

fn check_history(account: &Account, new: &str) -> Result<(), Violation> {
    let kept = history_length(account);
    if kept == 0 {
        return Ok(());
    }
    let now = account.attrs.all("userPassword").iter().map(String::as_str).filter(|v| ScramKeys::parse(v).is_none());
    let history = sorted_history(account);
    let old = history.iter().take(kept).filter_map(|v| v.split_once(':')).map(|(_, hash)| hash);
    match now.take(1).chain(old).any(|hash| verify_password(hash, new.as_bytes())) {
        true => Err(Violation::RecentlyUsed),
        false => Ok(()),
    }
}

fn history_length(account: &Account) -> usize {
    usize::try_from(number(account, "zimbraPasswordEnforceHistory")).unwrap_or(HISTORY_MAX).min(HISTORY_MAX)
}

/// The newest first; values are `TIME:HASH`, so their text has the order of their times.
fn sorted_history(account: &Account) -> Vec<&String> {
    let mut history: Vec<&String> = account.attrs.all("zimbraPasswordHistory").iter().collect();
    history.sort_unstable_by(|a, b| b.cmp(a));
    history
}

/// Everything that changes when the account gets the password `new`: hash and SCRAM keys, the history, the time, no more
/// duty to change it, no more auth tokens, and no more app passwords where the COS says so. Checks nothing; costs what
/// `params` say: not on an event loop.
pub fn password_changes(account: &Account, new: &str, params: HashParams, now_ms: u64) -> Vec<Modification> {
    stored_password_changes(account, password_values(params, new), now_ms)
}

/// What goes with an account's first password: when it was set.
pub fn first_password_changes(now_ms: u64) -> Vec<Modification> {
    vec![Modification::set("zimbraPasswordModifiedTime", generalized_time(now_ms))]
}

/// As [`password_changes`], where what is stored of the password (`userPassword`) has been computed before.
pub fn stored_password_changes(account: &Account, stored: Vec<String>, now_ms: u64) -> Vec<Modification> {
    let now = generalized_time(now_ms);
    let replace = |name: &str, values| Modification { name: name.into(), kind: ModifyKind::Replace, values };
    let mut changes = vec![
        replace("userPassword", stored),
        Modification::set("zimbraPasswordModifiedTime", now.clone()),
        replace("zimbraPasswordHistory", new_history(account, &now)),
        crate::auth_token::raised_validity(account),
    ];
    if account.effective("zimbraPasswordMustChange") == Some("TRUE") {
        changes.push(Modification::set("zimbraPasswordMustChange", "FALSE"));
    }
    if account.effective("zimbraRevokeAppSpecificPasswordsOnPasswordChange") != Some("FALSE") {
        changes.push(replace("zimbraAppSpecificPassword", Vec::new()));
    }
    changes
}

/// The history once the present password is an old one. Hashes that are too long for the attribute are left out.
fn new_history(account: &Account, now: &str) -> Vec<String> {
    let kept = history_length(account);
    if kept == 0 {
        return Vec::new();
    }
    let present = account.attrs.all("userPassword").iter().find(|v| ScramKeys::parse(v).is_none());
    let present = present.map(|hash| format!("{now}:{hash}")).filter(|v| v.len() <= HISTORY_VALUE_BYTES_MAX);
    present.into_iter().chain(sorted_history(account).into_iter().cloned()).take(kept).collect()
}

/// Whether the account may do nothing before its password is changed: `zimbraPasswordMustChange`, or the password is older
/// than `zimbraPasswordMaxAge` days.
pub(crate) fn must_change(account: &Account, now_ms: u64) -> bool {
    if account.effective("zimbraPasswordMustChange") == Some("TRUE") {
        return true;
    }
    let most_ms = number(account, "zimbraPasswordMaxAge").saturating_mul(DAY_MS);
    most_ms > 0 && modified_ms(account).is_some_and(|at| now_ms > at.saturating_add(most_ms))
}

fn modified_ms(account: &Account) -> Option<u64> {
    account.attrs.get("zimbraPasswordModifiedTime").and_then(generalized_time_ms)
}

fn number(account: &Account, name: &str) -> u64 {
    account.effective(name).and_then(|v| v.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
