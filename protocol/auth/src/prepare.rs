//! Preparing passwords (RFC 4013 SASLprep, which RFC 8265's OpaqueString follows up).

use std::borrow::Cow;

/// What is hashed for a password. One that holds what SASLprep prohibits is taken as it is: SCRAM clients do the same or
/// refuse it themselves, and no other way of signing in cares.
pub(crate) fn prepared(password: &str) -> Cow<'_, str> {
    match stringprep::saslprep(password) {
        Ok(text) if !text.is_empty() => text,
        _ => Cow::Borrowed(password),
    }
}

/// The same for bytes; nothing when it makes no difference.
pub(crate) fn differently_prepared(password: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(password).ok()?;
    match prepared(text) {
        Cow::Owned(other) if other != text => Some(other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4013_examples() {
        assert_eq!(prepared("I\u{AD}X"), "IX");
        assert_eq!(prepared("user"), "user");
        assert_eq!(prepared("USER"), "USER");
        assert_eq!(prepared("\u{AA}"), "a");
        assert_eq!(prepared("\u{2168}"), "IX");
        assert_eq!(prepared("\u{7}"), "\u{7}", "prohibited: as it is");
        assert_eq!(prepared("\u{627}1"), "\u{627}1", "bidirectional: as it is");
        assert_eq!(differently_prepared("na\u{308}ive".as_bytes()).as_deref(), Some("n\u{e4}ive"));
        assert_eq!(differently_prepared(b"plain"), None);
        assert_eq!(differently_prepared(b"\xff"), None);
    }
}
