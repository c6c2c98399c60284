//! Reverse-path and forward-path (RFC 5321 §4.1.2).

/// Bytes of a path without its brackets (RFC 5321 §4.5.3.1.3: 256 with them).
const PATH_BYTES_MAX: usize = 254 + 64;

/// Splits `<path> rest` into the path without brackets and source route, and the rest. `None` when it is none.
///
/// RFC 5321 §4.1.1.11 forbids space before the bracket; many clients send one, and nothing hangs on it.
pub fn split(input: &str) -> Option<(&str, &str)> {
    let inner = input.trim_start_matches(' ').strip_prefix('<')?;
    let end = closing(inner)?;
    let path = without_route(&inner[..end])?;
    let rest = &inner[end + 1..];
    let apart = rest.is_empty() || rest.starts_with(' ');
    (apart && path.len() <= PATH_BYTES_MAX).then_some((path, rest.trim_matches(' ')))
}

/// The position of the `>` that is not within a quoted string.
fn closing(inner: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (i, b) in inner.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(i),
            b'<' | b' ' if !quoted => return None,
            _ => {}
        }
    }
    None
}

/// RFC 5321 §4.1.1.3, Appendix C: a source route is accepted and ignored.
fn without_route(path: &str) -> Option<&str> {
    if !path.starts_with('@') {
        return Some(path);
    }
    path.split_once(':').map(|(_, mailbox)| mailbox)
}

/// Whether a non-empty path is `local-part@domain` (RFC 5321 §4.1.2; the domain may be an address literal).
pub fn is_mailbox(path: &str) -> bool {
    let Some((local, domain)) = path.rsplit_once('@') else { return false };
    is_local_part(local) && is_domain(domain)
}

fn is_local_part(local: &str) -> bool {
    if let Some(quoted) = local.strip_prefix('"') {
        return quoted.strip_suffix('"').is_some_and(is_quoted_content);
    }
    // Dots in odd places are against the grammar but alive in the wild, as senders.
    !local.is_empty() && local.chars().all(|c| c == '.' || is_atext(c))
}

fn is_quoted_content(content: &str) -> bool {
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return false,
            '\\' if chars.next().is_none() => return false,
            c if c.is_control() => return false,
            _ => {}
        }
    }
    true
}

/// RFC 5321's `Atom` characters; beyond ASCII by RFC 6531 §3.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

/// A host name, or an address literal as RFC 5321 §4.1.3 writes it.
pub fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[') {
        return literal
            .strip_suffix(']')
            .is_some_and(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_graphic() && !b"[]\\<>\"".contains(&b)));
    }
    // Underscores and lone labels are common in EHLO and harmless.
    !domain.is_empty()
        && domain.len() <= 255
        && domain.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c) || (!c.is_ascii() && !c.is_control()))
}

/// The address to look up: a quoted local part that needs no quotes is the same without (RFC 5321 §4.1.2).
pub fn unquoted(path: &str) -> String {
    let Some((local, domain)) = path.rsplit_once('@') else { return path.to_string() };
    let Some(content) = local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) else { return path.to_string() };
    let mut plain = String::new();
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    let atoms = !plain.is_empty() && plain.chars().all(|c| c == '.' || is_atext(c));
    if atoms { format!("{plain}@{domain}") } else { path.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (input, path, rest) in [
            ("<a@b>", "a@b", ""),
            ("<>", "", ""),
            (" <a@b> SIZE=1", "a@b", "SIZE=1"),
            ("<@x,@y:a@b>", "a@b", ""),
            (r#"<"a>b c\""@d> X"#, r#""a>b c\""@d"#, "X"),
            ("<Postmaster>", "Postmaster", ""),
        ] {
            assert_eq!(split(input), Some((path, rest)), "{input}");
        }
        for bad in
            ["", "a@b", "<a@b", "<a@b>x", "<a b@c>", "<<a@b>>", "<@x>", r#"<"a@b>"#, &format!("<{}>", "x".repeat(400))]
        {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn mailboxes() {
        for good in
            ["a@b", "a.b+c@example.com", r#""a b"@x"#, "a@[192.0.2.1]", "a@[IPv6:::1]", "björn@exämple.se", ".a.@b"]
        {
            assert!(is_mailbox(good), "{good}");
        }
        for bad in
            ["", "a", "@b", "a@", "a@b c", "a(b)@c", r#""a@b"#, r#""a"b"@c"#, "a@[]", "a@[x", "a\u{7f}@b", "a,b@c"]
        {
            assert!(!is_mailbox(bad), "{bad}");
        }
        assert_eq!(unquoted(r#""alice"@b"#), "alice@b");
        assert_eq!(unquoted(r#""al\ice"@b"#), "alice@b");
        assert_eq!(unquoted(r#""al ice"@b"#), r#""al ice"@b"#);
    }
}
