//! Things recognised in running text: links and telephone numbers (`has:url`, `has:phone`).

use memchr::memmem;

/// Beginnings of links.
const LINKS: [&[u8]; 3] = [b"://", b"www.", b"WWW."];

/// What a text holds.
pub(crate) fn kinds(text: &str) -> impl Iterator<Item = &'static str> {
    let bytes = text.as_bytes();
    [("url", url(bytes)), ("phone", phone(bytes))].into_iter().filter(|(_, found)| *found).map(|(kind, _)| kind)
}

fn url(text: &[u8]) -> bool {
    LINKS.iter().any(|link| {
        memmem::find_iter(text, link).any(|at| {
            let host =
                text.get(at + link.len()).is_some_and(|b| b.is_ascii_alphanumeric() || !b.is_ascii() || *b == b'[');
            let before = at.checked_sub(1).map(|i| text[i]);
            let fits = if link[0] == b':' {
                before.is_some_and(|b| b.is_ascii_alphabetic())
            } else {
                !before.is_some_and(|b| b.is_ascii_alphanumeric())
            };
            host && fits
        })
    })
}

/// A telephone number as people write them: with `+` and 8 to 15 digits; 3-3-4 digits, a 1 before; or 9 to 13 digits in
/// groups that begin with a 0.
fn phone(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(from) = text[at..].iter().position(|b| matches!(b, b'+' | b'(' | b'0'..=b'9')).map(|i| at + i) {
        let len = text[from..]
            .iter()
            .take(32)
            .take_while(|b| matches!(b, b'+' | b'(' | b')' | b' ' | b'-' | b'.' | b'/' | b'0'..=b'9'))
            .count();
        let end = from + text[from..from + len].iter().rposition(u8::is_ascii_digit).map_or(len, |i| i + 1);
        let joined = |i: Option<usize>| {
            i.and_then(|i| text.get(i))
                .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'=' | b':'))
        };
        if !joined(from.checked_sub(1)) && !joined(Some(end)) && number(&text[from..end]) {
            return true;
        }
        at = end.max(from + 1);
    }
    false
}

fn number(text: &[u8]) -> bool {
    let groups: Vec<usize> = text.split(|b| !b.is_ascii_digit()).map(<[u8]>::len).filter(|n| *n > 0).collect();
    let digits: usize = groups.iter().sum();
    let first = text.iter().find(|b| b.is_ascii_digit());
    match groups.as_slice() {
        _ if text[0] == b'+' => (8..=15).contains(&digits),
        [3, 3, 4] => true,
        [1, 3, 3, 4] => first == Some(&b'1'),
        // A 0 in front, in two groups at least; dates have two digits behind.
        [a, .., last] => first == Some(&b'0') && *a >= 2 && *last >= 3 && (9..=13).contains(&digits),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises() {
        for (text, want) in [
            ("see http://x.org", "url"),
            ("see HTTPS://x.org and www.x.org", "url"),
            ("www. nothing ://x www", ""),
            ("call (555) 123-4567 now", "phone"),
            ("+49 170 1234567", "phone"),
            ("Tel. 030/1234 567.", "phone"),
            ("1-800-555-0199", "phone"),
            ("2031-10-17 10:30, 17.10.2031, 3.14159, 192.168.100.1, 1234567890", ""),
            ("id=555-123-4567 and 1.234.567,89", ""),
            ("tel:+4917012345 ", ""),
            ("+1", ""),
            ("07.10.2031", ""),
            ("http://x.org +4917012345678", "url phone"),
        ] {
            assert_eq!(kinds(text).collect::<Vec<_>>().join(" "), want, "{text}");
        }
    }
}
