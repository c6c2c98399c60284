//! Header fields that only we may set: whoever sends them pretends to be us.

use zcluster_mail::{Field, fields};

/// Removed whoever sends them: delivery goes by them.
const PREFIX: &[u8] = b"x-spam-";
const NAMES: [&str; 3] = ["X-Spam", "X-Virus-Scanned", "X-Virus-Status"];

/// The places of fields that pretend to be ours, ascending: `Authentication-Results` in our name (RFC 8601 §5) and
/// verdicts of filters, among them `spam_header` (`zimbraSpamHeader`).
pub fn places(raw: &[u8], authserv_id: &str, spam_header: &str) -> Vec<usize> {
    let ours = |field: &Field<'_>| {
        let verdict = field.name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
            || NAMES.iter().any(|name| field.is(name))
            || field.is(spam_header);
        verdict || (field.is("Authentication-Results") && says_it_is(field.value, authserv_id))
    };
    fields(raw).enumerate().filter(|(_, field)| ours(field)).map(|(place, _)| place).collect()
}

/// Whether the field's authserv-id is `id`. One that cannot be read is not anybody's, but a reader less strict than we
/// might find `id` in it: it counts.
fn says_it_is(value: &[u8], id: &str) -> bool {
    let text = String::from_utf8_lossy(value);
    let mut rest = text.as_ref();
    loop {
        rest = rest.trim_start();
        if !rest.starts_with('(') {
            break;
        }
        match comment_end(rest) {
            Some(end) => rest = &rest[end..],
            None => return text.to_ascii_lowercase().contains(&id.to_ascii_lowercase()),
        }
    }
    let named = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default().replace('\\', ""),
        None => rest.split(|c: char| c.is_whitespace() || matches!(c, ';' | '(')).next().unwrap_or_default().into(),
    };
    named.trim_end_matches('.').eq_ignore_ascii_case(id.trim_end_matches('.'))
}

/// Where the comment that `text` begins with ends.
fn comment_end(text: &str) -> Option<usize> {
    let (mut depth, mut escaped) = (0usize, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whatever_reads_as_ours_goes() {
        let raw = b"X-SPAM-Flag: NO\r\nSubject: X-Spam-Flag: NO\r\nauthentication-results: MX.example.com; spf=pass\r\n\
            Authentication-Results: (c (d\\)) x)\r\n \"mx.example.com\" 1; dkim=pass\r\n\
            Authentication-Results: other.example.com; spf=pass\r\nX-Virus-Scanned: x\r\nX-Ours: YES\r\n\
            Authentication-Results: (open mx.example.com; dkim=pass\r\nAuthentication-Results: mx.example.com.; none\r\n\
            \r\nX-Spam-Flag: NO\r\n";
        assert_eq!(places(raw, "mx.example.com", "X-Ours"), [0, 2, 3, 5, 6, 7, 8]);
    }

    proptest! {
        #[test]
        fn any_header_is_read(value in "[ ()\\\\\";.a-m\r\n]{0,40}") {
            let raw = format!("Authentication-Results: {value}; mx.test; spf=pass\r\n\r\n");
            let _ = places(raw.as_bytes(), "mx.test", "X-Spam-Flag");
        }
        #[test]
        fn comments_do_not_hide_the_name(comment in "[a-z ;.]{0,20}") {
            let raw = format!("Authentication-Results: ({comment}) mx.test; spf=pass\r\n\r\n");
            prop_assert_eq!(places(raw.as_bytes(), "mx.test", "X-Spam-Flag"), [0]);
        }
    }
}
