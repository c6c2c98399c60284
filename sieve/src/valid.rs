//! What names may look like: asked when a script is compiled, and again of names that it computes.

/// Bytes of a mailbox's name.
const MAILBOX_BYTES_MAX: usize = 1_024;
/// Bytes of a flag.
const FLAG_BYTES_MAX: usize = 128;

/// A mailbox's name, with `/` between its parts.
pub(crate) fn mailbox(name: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("\"{}\" is no mailbox's name: {why}", crate::diagnostic::shown(name)));
    let inside = name.strip_prefix('/').unwrap_or(name);
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    if inside.is_empty() {
        return wrong("it is empty");
    }
    if name.len() > MAILBOX_BYTES_MAX {
        return wrong("it is too long");
    }
    if name.chars().any(char::is_control) {
        return wrong("it has control characters in it");
    }
    if inside.split('/').any(|part| part.trim().is_empty() || part == "." || part == "..") {
        return wrong("one of its parts is empty or made of dots");
    }
    Ok(())
}

/// A flag that a client may set (RFC 3501 §9 `flag`): a keyword, or a system flag other than `\Recent`.
pub(crate) fn flag(flag: &str) -> bool {
    let atom = |s: &str| {
        let special = |b: u8| b <= b' ' || b >= 127 || b"(){%*\"\\]".contains(&b);
        !s.is_empty() && !s.bytes().any(special)
    };
    let system = ["\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"];
    let name = match flag.strip_prefix('\\') {
        Some(_) => return system.contains(&flag.to_ascii_lowercase().as_str()),
        None => flag,
    };
    flag.len() <= FLAG_BYTES_MAX && atom(name)
}

/// A special use (RFC 6154 §6): a backslash and an atom.
pub(crate) fn special_use(name: &str) -> bool {
    name.strip_prefix('\\').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// RFC 5322 §2.2: printable ASCII without colon.
pub(crate) fn field_name(name: &str) -> bool {
    (1..=256).contains(&name.len()) && name.bytes().all(|b| matches!(b, 33..=57 | 59..=126))
}

/// The name of a script to include: RFC 5804 §1.6, and no way out of the place where scripts are.
pub(crate) fn script_name(name: &str) -> bool {
    let control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    (1..=512).contains(&name.len()) && !name.chars().any(control)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        use super::*;
        for good in ["INBOX", "/Inbox/a b", "Ärger", "a/b/"] {
            assert_eq!(mailbox(good), Ok(()), "{good}");
        }
        for bad in ["", "/", "a//b", "a/../b", "a\r\nb", "a/ /b"] {
            assert!(mailbox(bad).is_err(), "{bad}");
        }
        assert!(flag("\\Seen") && flag("$label1") && flag("NonJunk"));
        assert!(!flag("\\Recent") && !flag("\\*") && !flag("a b") && !flag("") && !flag("\\") && !flag("a{"));
        assert!(field_name("X-Foo") && !field_name("X:") && !field_name("a b") && !field_name(""));
        assert!(special_use("\\Junk") && !special_use("Junk") && !special_use("\\"));
    }
}
