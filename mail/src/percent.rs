//! Percent-encoding (RFC 3986 §2.1).

/// Takes percent-encoding away; `None` where a `%` is not followed by two hexadecimal digits.
pub fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictly() {
        assert_eq!(percent_decoded("a%40b%c3%BC+").as_deref(), Some("a@b\u{fc}+".as_bytes()));
        for bad in ["%", "%4", "%4g", "a%%20", "%\u{fc}1"] {
            assert_eq!(percent_decoded(bad), None, "{bad}");
        }
    }
}
