//! Stage one of reading: where a command ends.
//!
//! A command is a line, and each line that ends in a literal's header is followed by that many bytes and another line.

/// A literal's header at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Bytes that follow the line end; saturated when the digits overflow.
    pub size: u64,
    /// The client waits for our continuation (RFC 3501 §4.3); otherwise it sends at once (RFC 7888).
    pub sync: bool,
    /// `literal8` (RFC 3516 §4.4): may hold NUL.
    pub binary: bool,
    /// Where the header begins within the line.
    pub start: usize,
}

/// `literal = "{" number ["+"] "}"` and `literal8 = "~" literal` at the end of a line without its CRLF (RFC 3501 §4.3,
/// RFC 7888 §3, RFC 3516 §4.4). Quotes are not looked at: the parser says whether a literal may stand here.
pub fn literal_at_end(line: &[u8]) -> Option<Literal> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, sync) = match inner.strip_suffix(b"+") {
        Some(rest) => (rest, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let brace = inner.len().checked_sub(digits + 1)?;
    if digits == 0 || inner[brace] != b'{' {
        return None;
    }
    let size = inner[brace + 1..].iter().fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0')));
    let binary = brace > 0 && inner[brace - 1] == b'~';
    Some(Literal { size, sync, binary, start: brace - usize::from(binary) })
}

#[cfg(test)]
mod tests {
    use super::{Literal, literal_at_end};

    #[test]
    fn headers_are_found() {
        let found = |s: &str| literal_at_end(s.as_bytes());
        let literal = |size, sync, binary, start| Some(Literal { size, sync, binary, start });
        assert_eq!(found("a LOGIN {11}"), literal(11, true, false, 8));
        assert_eq!(found("a LOGIN {11+}"), literal(11, false, false, 8));
        assert_eq!(found("a APPEND x ~{3+}"), literal(3, false, true, 11));
        assert_eq!(found("{0}"), literal(0, true, false, 0));
        assert_eq!(found("x {99999999999999999999999}"), literal(u64::MAX, true, false, 2));
    }

    #[test]
    fn other_lines_are_not() {
        for s in ["", "}", "{}", "{+}", "a NOOP", "a {1", "a {1}x", "a {-1}", "a {1 }", "a {1++}", "a 1}"] {
            assert_eq!(literal_at_end(s.as_bytes()), None, "{s}");
        }
    }
}
