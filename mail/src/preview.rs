//! The first words of a message for message lists (RFC 8970).

use crate::PREVIEW_BYTES_MAX;
use crate::decode::decode_text;
use crate::structure::{Part, PartKind};

/// Encoded bytes of the text part that are looked at; HTML begins with much that nobody sees.
const TEXT_LOOK: usize = 2 * 1024;
/// The same for HTML.
const HTML_LOOK: usize = 32 * 1024;

/// The preview of a message; empty when it has no text.
pub(crate) fn preview(raw: &[u8], root: &Part) -> String {
    let plain = find(root, "plain").map(|p| (p, TEXT_LOOK, false));
    let Some((part, look, html)) = plain.or_else(|| find(root, "html").map(|p| (p, HTML_LOOK, true))) else {
        return String::new();
    };
    let body = &raw[part.body_start as usize..part.body_end as usize];
    let text = decode_text(part, &body[..body.len().min(look)]);
    if html { words(strip_tags(&text).chars()) } else { words(text.chars()) }
}

/// The first inline text part of that subtype, not looking into embedded messages.
fn find<'p>(part: &'p Part, subtype: &str) -> Option<&'p Part> {
    match &part.kind {
        PartKind::Multipart(parts) => parts.iter().find_map(|p| find(p, subtype)),
        PartKind::Leaf => {
            let attached = part.disposition.as_ref().is_some_and(|d| d.kind.eq_ignore_case("attachment"));
            (part.is("text", subtype) && !attached).then_some(part)
        }
        PartKind::Message { .. } => None,
    }
}

/// Collapses white space and cuts at [`PREVIEW_BYTES_MAX`].
fn words(chars: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    let mut space = false;
    for c in chars {
        if c.is_whitespace() || c.is_control() {
            space = !out.is_empty();
            continue;
        }
        // A part that was cut within a character ends in U+FFFD; previews never need one.
        if c == char::REPLACEMENT_CHARACTER {
            continue;
        }
        if out.len() + usize::from(space) + c.len_utf8() > PREVIEW_BYTES_MAX {
            break;
        }
        if std::mem::take(&mut space) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// HTML without its tags, comments, styles, scripts and head; the commonest entities as characters.
fn strip_tags(html: &str) -> String {
    // ASCII lower case leaves all offsets as they are.
    let lower = html.to_ascii_lowercase();
    let mut out = String::new();
    let mut at = 0;
    while let Some(tag) = html[at..].find('<').map(|i| at + i) {
        out.push_str(&entities(&html[at..tag]));
        out.push(' ');
        at = hidden_element(&lower, tag).unwrap_or_else(|| after(&lower, tag, ">"));
    }
    out.push_str(&entities(&html[at..]));
    out
}

/// The end of the comment or unseen element that begins at `tag`.
fn hidden_element(lower: &str, tag: usize) -> Option<usize> {
    let rest = &lower[tag + 1..];
    if rest.starts_with("!--") {
        return Some(after(lower, tag, "-->"));
    }
    let opens = |(name, _): &&(&str, &str)| {
        rest.strip_prefix(name).is_some_and(|r| r.starts_with(['>', ' ', '\t', '\r', '\n']))
    };
    let pairs = [("style", "</style"), ("script", "</script"), ("title", "</title"), ("head", "</head")];
    let (_, close) = pairs.iter().find(opens)?;
    Some(after(lower, after(lower, tag, close), ">"))
}

/// The position after the next `what`; the end when there is none.
fn after(text: &str, from: usize, what: &str) -> usize {
    text[from..].find(what).map_or(text.len(), |i| from + i + what.len())
}

fn entities(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let pairs = [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |t, (from, to)| t.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html() {
        let html = "<!DOCTYPE html><HTML><head><title>no</title></head><style >p{}</style><body><!-- x > y -->\
                    <p>Hello&nbsp;<b>wo</b>&amp;<script>bad()</script> rld</p";
        assert_eq!(words(strip_tags(html).chars()), "Hello wo & rld");
        assert_eq!(strip_tags("<style>never closed"), " ");
        assert_eq!(strip_tags("a < b"), "a  ");
    }

    #[test]
    fn cut_and_collapsed() {
        assert_eq!(words(" a \r\n\t b\u{fffd}".chars()), "a b");
        let long = words("\u{fc}".repeat(999).chars());
        assert!(long.len() <= PREVIEW_BYTES_MAX && long.len() > PREVIEW_BYTES_MAX - 2);
    }
}
