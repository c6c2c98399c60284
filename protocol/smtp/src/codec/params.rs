//! Values of ESMTP parameters.

/// BODY: what the lines of the message are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyType {
    /// `7BIT`.
    #[default]
    SevenBit,
    /// `8BITMIME` (RFC 6152).
    EightBit,
    /// `BINARYMIME` (RFC 3030): any octets, by BDAT only.
    Binary,
}

impl BodyType {
    /// From the parameter's value.
    pub fn parse(value: &str) -> Option<Self> {
        match value.to_ascii_uppercase().as_str() {
            "7BIT" => Some(BodyType::SevenBit),
            "8BITMIME" => Some(BodyType::EightBit),
            "BINARYMIME" => Some(BodyType::Binary),
            _ => None,
        }
    }
}

/// RET (RFC 3461 §4.3): how much of the message a report of failure carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

impl Return {
    /// From the parameter's value.
    pub fn parse(value: &str) -> Option<Self> {
        match value.to_ascii_uppercase().as_str() {
            "FULL" => Some(Return::Full),
            "HDRS" => Some(Return::Headers),
            _ => None,
        }
    }
}

/// NOTIFY (RFC 3461 §4.1): of what the sender wants to hear. All off: `NEVER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// It arrived.
    pub success: bool,
    /// It will not arrive.
    pub failure: bool,
    /// It is late.
    pub delay: bool,
}

impl Notify {
    /// From the parameter's value.
    pub fn parse(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("NEVER") {
            return Some(Notify::default());
        }
        let mut notify = Notify::default();
        for word in value.split(',') {
            match word.to_ascii_uppercase().as_str() {
                "SUCCESS" => notify.success = true,
                "FAILURE" => notify.failure = true,
                "DELAY" => notify.delay = true,
                _ => return None,
            }
        }
        Some(notify)
    }
}

/// When a message may be released (RFC 4865).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// HOLDFOR: seconds from now.
    For(u64),
    /// HOLDUNTIL: Unix milliseconds.
    Until(i64),
}

impl Hold {
    /// From the parameter's name (upper case) and value.
    pub fn parse(name: &str, value: &str) -> Option<Self> {
        match name {
            // RFC 4865 §5: one to nine digits.
            "HOLDFOR" if value.len() <= 9 && value.bytes().all(|b| b.is_ascii_digit()) => {
                value.parse().ok().map(Hold::For)
            }
            "HOLDUNTIL" => {
                let at = chrono::DateTime::parse_from_rfc3339(value).ok()?;
                Some(Hold::Until(at.timestamp_millis())).filter(|_| at.timestamp() > 0)
            }
            _ => None,
        }
    }
}

/// Whether a value is xtext (RFC 3461 §4): printable ASCII in which `+` begins two hexadecimal digits in upper case.
pub fn is_xtext(value: &str) -> bool {
    let mut bytes = value.bytes();
    while let Some(b) = bytes.next() {
        let hex = |b: Option<u8>| b.is_some_and(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
        match b {
            b'+' if hex(bytes.next()) && hex(bytes.next()) => {}
            b'+' => return false,
            b'!'..=b'~' => {}
            _ => return false,
        }
    }
    !value.is_empty()
}

/// Whether a value is an ORCPT (RFC 3461 §4.2; `utf-8` addresses by RFC 6533 §3): an address type, `;` and an address.
pub fn is_original_recipient(value: &str) -> bool {
    let Some((kind, address)) = value.split_once(';') else { return false };
    let atom = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if value.len() > 500 || kind.is_empty() || !kind.bytes().all(atom) || address.is_empty() {
        return false;
    }
    match kind.eq_ignore_ascii_case("utf-8") {
        true => !address.chars().any(|c| c.is_control() || c.is_whitespace()),
        false => is_xtext(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values() {
        assert_eq!(Notify::parse("never"), Some(Notify::default()));
        assert_eq!(Notify::parse("FAILURE"), Some(Notify { failure: true, ..Notify::default() }));
        assert_eq!(Notify::parse(""), None);
        assert_eq!(Notify::parse("SUCCESS,NEVER"), None);
        assert_eq!(Hold::parse("HOLDFOR", "0012"), Some(Hold::For(12)));
        assert_eq!(Hold::parse("HOLDFOR", "1234567890"), None);
        assert_eq!(Hold::parse("HOLDUNTIL", "2026-11-27T19:00:00+01:00"), Some(Hold::Until(1_795_802_400_000)));
        assert!(is_xtext("a+2Bb") && !is_xtext("a+2b") && !is_xtext("a+") && !is_xtext("a b") && !is_xtext(""));
        assert!(is_original_recipient("rfc822;a+40b@c") && is_original_recipient("utf-8;j\u{f6}@x"));
        for bad in ["", "rfc822", "rfc822;", ";a@b", "r f;a", "rfc822;a+4", "utf-8;a b"] {
            assert!(!is_original_recipient(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}", date in "[0-9TZ:+.-]{0,30}") {
            let _ = (Notify::parse(&text), Return::parse(&text), BodyType::parse(&text), is_xtext(&text));
            let _ = (is_original_recipient(&text), Hold::parse("HOLDFOR", &text), Hold::parse("HOLDUNTIL", &date));
        }
    }
}
