//! LIST patterns: `*` matches anything, `%` anything but the hierarchy delimiter (RFC 3501 §6.3.8).

/// The hierarchy delimiter.
pub const DELIMITER: char = '/';

/// Whether `name` matches `pattern`. `INBOX` as a first component compares without case (RFC 3501 §5.1).
pub fn matches(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = fold_inbox(name).chars().collect();
    reached(pattern, &name).last() == Some(&true)
}

/// The first ancestor of `name` that matches `pattern`.
pub fn matching_ancestor(pattern: &str, name: &str) -> Option<String> {
    let name: Vec<char> = fold_inbox(name).chars().collect();
    let reached = reached(pattern, &name);
    let end = (0..name.len()).find(|i| name[*i] == DELIMITER && reached[*i])?;
    Some(name[..end].iter().collect())
}

/// For each beginning of `name`, by its length, whether it matches `pattern`.
///
/// Works through the pattern with the set of places in the name it may have reached, so that no pattern costs more than
/// the product of both lengths.
fn reached(pattern: &str, name: &[char]) -> Vec<bool> {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for p in fold_inbox(pattern).chars() {
        match p {
            '*' | '%' => {
                for i in 0..name.len() {
                    let passes = p == '*' || name[i] != DELIMITER;
                    reached[i + 1] |= reached[i] && passes;
                }
            }
            c => {
                for i in (0..name.len()).rev() {
                    reached[i + 1] = reached[i] && name[i] == c;
                }
                reached[0] = false;
            }
        }
    }
    reached
}

/// The name with a leading `INBOX` component in upper case.
pub fn fold_inbox(name: &str) -> String {
    match name.as_bytes().get(..5) {
        Some(first) if first.eq_ignore_ascii_case(b"INBOX") && matches!(name.as_bytes().get(5), None | Some(b'/')) => {
            format!("INBOX{}", &name[5..])
        }
        _ => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, matching_ancestor};

    #[test]
    fn wildcards() {
        for (pattern, name, expect) in [
            ("*", "a/b/c", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*", "a/b/c", true),
            ("*c", "a/b/c", true),
            ("a%c", "abc", true),
            ("a%c", "a/c", false),
            ("inbox", "INBOX", true),
            ("InBox/%", "INBOX/x", true),
            ("inboxes", "INBOXes", false),
            ("", "", true),
            ("", "a", false),
            ("%/%", "a/b", true),
            ("foo*bar", "foobar", true),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn ancestors() {
        assert_eq!(matching_ancestor("%", "a/b/c").as_deref(), Some("a"));
        assert_eq!(matching_ancestor("a/%", "a/b/c").as_deref(), Some("a/b"));
        assert_eq!(matching_ancestor("inbox/%", "Inbox/b/c").as_deref(), Some("INBOX/b"));
        assert_eq!(matching_ancestor("x%", "a/b"), None);
    }

    #[test]
    fn many_wildcards_are_no_trap() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
        assert!(matches(&"%*".repeat(500), &"a/".repeat(300)));
    }
}
