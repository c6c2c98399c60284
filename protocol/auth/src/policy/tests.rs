use super::*;
use std::sync::Arc;
use zcluster_api::directory::{Attributes, Home, HomeState};
use zcluster_api::{AccountId, Epoch, GroupId, MailboxId};

const NOW: u64 = 1_767_225_600_000;

fn account(cos: &[(&str, &str)], own: &[(&str, &str)]) -> Account {
    let attributes = |list: &[(&str, &str)]| {
        let mut attrs = Attributes::new();
        for (name, value) in list {
            let values = attrs.all(name).iter().cloned().chain([value.to_string()]).collect();
            attrs.set(name, values);
        }
        attrs
    };
    Account {
        id: AccountId([1; 16]),
        name: "a@example.com".into(),
        attrs: attributes(own),
        home: Home { mailbox: MailboxId(1), group: GroupId(1), epoch: Epoch(1), state: HomeState::Active },
        cos: Some(Arc::new(attributes(cos))),
        domain: None,
    }
}

#[test]
fn each_attribute_refuses_by_its_name() {
    for (attribute, value, bad, good) in [
        ("zimbraPasswordMinLength", "6", "fünf!", "sechs!"),
        ("zimbraPasswordMaxLength", "6", "sieben!", "sechs!"),
        ("zimbraPasswordMinUpperCaseChars", "2", "Ab", "ÄB"),
        ("zimbraPasswordMinLowerCaseChars", "1", "ABC1", "ABc1"),
        ("zimbraPasswordMinAlphaChars", "2", "a1!", "ab!"),
        ("zimbraPasswordMinNumericChars", "2", "abc1", "1bc1"),
        ("zimbraPasswordMinPunctuationChars", "1", "abc 1", "abc,1"),
        ("zimbraPasswordMinDigitsOrPuncs", "2", "abc1", "abc1,"),
        ("zimbraPasswordAllowedChars", "[a-z0-9]", "abcD", "abc9"),
        ("zimbraPasswordBlockCommonEnabled", "TRUE", "Password1", "Grünspecht-7"),
    ] {
        let account = account(&[(attribute, value)], &[]);
        let got = check_new_password(&account, bad, NOW).unwrap_err();
        assert!(matches!(&got, Violation::Invalid { attribute: a, .. } if *a == attribute), "{got}");
        assert_eq!(got.code(), "account.INVALID_PASSWORD");
        assert_eq!(check_new_password(&account, good, NOW), Ok(()), "{attribute}");
        let alone = super::tests::account(&[(attribute, value)], &[(attribute, "0")]);
        if !matches!(value, "TRUE" | "[a-z0-9]") {
            assert_eq!(check_new_password(&alone, bad, NOW), Ok(()), "the account's own value counts: {attribute}");
        }
    }
}

#[test]
fn punctuation_may_be_listed_or_described() {
    let min = ("zimbraPasswordMinPunctuationChars", "1");
    let described = account(&[min, ("zimbraPasswordAllowedPunctuationChars", "[.,]")], &[]);
    assert!(
        check_password_strength(&described, "abc!").is_err() && check_password_strength(&described, "abc,").is_ok()
    );
    let listed = account(&[min, ("zimbraPasswordAllowedPunctuationChars", "*+(")], &[]);
    assert!(check_password_strength(&listed, "abc!").is_err() && check_password_strength(&listed, "abc(").is_ok());
}

#[test]
fn odd_settings_and_passwords() {
    let bad = account(&[("zimbraPasswordAllowedChars", "[")], &[]);
    assert_eq!(check_password_strength(&bad, "abc").unwrap_err().code(), "account.INVALID_PASSWORD");
    let plain = account(&[], &[]);
    assert!(check_password_strength(&plain, "").is_err());
    assert!(check_password_strength(&plain, "x").is_ok());
    assert!(check_password_strength(&plain, &"x".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
}

#[test]
fn the_list_of_common_passwords_is_sorted_and_searched() {
    let lines: Vec<&str> = COMMON.lines().collect();
    assert!(lines.len() > 10_000 && lines.is_sorted() && lines.iter().all(|l| l.len() >= 6 && l.is_ascii()));
    assert!(lines.iter().all(|l| is_common(l)));
    assert!(is_common("QWERTY") && !is_common("") && !is_common("qwert") && !is_common("zzzzzzzzzzzzzzz-zzzz"));
}

#[test]
fn locks_and_ages() {
    let changed = ("zimbraPasswordModifiedTime", "20251231000000Z");
    let locked = account(&[("zimbraPasswordLocked", "TRUE")], &[]);
    assert_eq!(check_new_password(&locked, "whatever", NOW), Err(Violation::Locked));
    let young = account(&[("zimbraPasswordMinAge", "2")], &[changed]);
    assert_eq!(check_new_password(&young, "whatever", NOW), Err(Violation::TooSoon));
    assert_eq!(check_new_password(&young, "whatever", NOW + DAY_MS), Ok(()));
    let old = account(&[("zimbraPasswordMaxAge", "1")], &[changed]);
    assert!(!must_change(&old, NOW) && must_change(&old, NOW + 1));
    assert!(!must_change(&account(&[("zimbraPasswordMaxAge", "1")], &[]), NOW), "nobody knows how old it is");
    assert!(must_change(&account(&[], &[("zimbraPasswordMustChange", "TRUE")]), NOW));
}

#[test]
fn history_is_kept_as_hashes() {
    let cheap = HashParams::cheap();
    let cos = [("zimbraPasswordEnforceHistory", "2")];
    let mut it = account(&cos, &[("zimbraPasswordMustChange", "TRUE"), ("zimbraAppSpecificPassword", "x")]);
    for (n, password) in ["one", "two", "three", "four"].into_iter().enumerate() {
        assert_eq!(check_new_password(&it, password, NOW), Ok(()));
        for change in password_changes(&it, password, cheap, NOW + n as u64 * 1_000) {
            assert_eq!(change.kind, ModifyKind::Replace);
            it.attrs.set(&change.name, change.values);
        }
        assert_eq!(check_new_password(&it, password, NOW), Err(Violation::RecentlyUsed), "{password}");
    }
    let shown: Vec<_> = it.attrs.all("zimbraPasswordHistory").iter().map(|v| v.split_once(':').unwrap()).collect();
    assert_eq!(shown.iter().map(|(time, _)| *time).collect::<Vec<_>>(), ["20260101000003Z", "20260101000002Z"]);
    assert!(verify_password(shown[0].1, b"three") && verify_password(shown[1].1, b"two"));
    assert!(it.attrs.all("zimbraPasswordHistory").iter().all(|v| v.len() <= HISTORY_VALUE_BYTES_MAX));
    assert_eq!(check_new_password(&it, "one", NOW), Ok(()), "long ago");
    assert_eq!(it.attrs.get("zimbraPasswordModifiedTime"), Some("20260101000003Z"));
    assert_eq!(it.attrs.get("zimbraAuthTokenValidityValue"), Some("4"));
    assert_eq!(it.attrs.get("zimbraPasswordMustChange"), Some("FALSE"));
    assert_eq!(it.attrs.all("zimbraAppSpecificPassword"), [""; 0]);
    assert_eq!(it.attrs.all("userPassword").len(), 2, "a hash, and SCRAM's keys");
    let full = account(&cos, &[("userPassword", &password_values(HashParams::default(), "x")[0])]);
    assert_eq!(new_history(&full, "20260101000000Z").len(), 1, "our own hashes fit");
}
