//! The base subject (RFC 5256 §2.1): what is left of a subject without the marks of replies, forwards and lists.

/// Extracts the base subject of a Subject field's value. Says too whether a mark of a reply or a forward was taken off.
pub fn base_subject(value: &[u8]) -> (String, bool) {
    // Step 1: encoded words decoded, white space collapsed.
    let text = one_space(&crate::decode_words(value));
    let mut rest = &text[..];
    let mut reply = false;
    loop {
        rest = trailers(rest, &mut reply);
        rest = leaders(rest, &mut reply);
        // Step 6.
        match forwarded(rest) {
            Some(inner) => (rest, reply) = (inner, true),
            None => return (rest.to_string(), reply),
        }
    }
}

fn one_space(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if matches!(c, '\t' | '\r' | '\n') { ' ' } else { c };
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out
}

/// Step 2: `subj-trailer = "(fwd)" / WSP`, as often as it is there.
fn trailers<'a>(mut text: &'a str, reply: &mut bool) -> &'a str {
    loop {
        text = text.trim_end_matches(' ');
        match text.len().checked_sub(5).and_then(|at| text.get(at..)) {
            Some(end) if end.eq_ignore_ascii_case("(fwd)") => {
                text = &text[..text.len() - 5];
                *reply = true;
            }
            _ => return text,
        }
    }
}

/// Steps 3 to 5: leaders, and blobs that leave something.
fn leaders<'a>(mut text: &'a str, reply: &mut bool) -> &'a str {
    loop {
        text = text.trim_start_matches(' ');
        if let Some(rest) = leader(text) {
            (text, *reply) = (rest, true);
            continue;
        }
        match blob(text).filter(|rest| !rest.is_empty()) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// `subj-leader = *subj-blob subj-refwd`.
fn leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(behind) = blob(rest) {
        rest = behind;
    }
    refwd(rest)
}

/// `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`.
fn refwd(text: &str) -> Option<&str> {
    let word =
        ["fwd", "re", "fw"].into_iter().find(|w| text.get(..w.len()).is_some_and(|t| t.eq_ignore_ascii_case(w)))?;
    let rest = text[word.len()..].trim_start_matches(' ');
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`, BLOBCHAR being no bracket.
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    inner[end..].strip_prefix(']').map(|rest| rest.trim_start_matches(' '))
}

/// `subj-fwd = "[fwd:" subject "]"`.
fn forwarded(text: &str) -> Option<&str> {
    let head = text.get(..5).filter(|h| h.eq_ignore_ascii_case("[fwd:"))?;
    text[head.len()..].strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::base_subject;
    use proptest::prelude::*;

    #[test]
    fn marks_are_taken_off() {
        for (subject, base, reply) in [
            ("hello", "hello", false),
            ("Re: hello", "hello", true),
            ("re: RE : Fwd: fw:hello (FWD) ", "hello", true),
            ("Re[2]: hello", "hello", true),
            ("[list] Re: [list] hello", "hello", true),
            ("[list] hello", "hello", false),
            ("[a] [b] Re [3] : x", "x", true),
            ("[only]", "[only]", false),
            ("Re: [only]", "[only]", true),
            ("[fwd: Re: hello]", "hello", true),
            ("[Fwd: [list] hello (fwd)]  ", "hello", true),
            ("Re:", "", true),
            ("(fwd)", "", true),
            ("  two \t  words\r\n  folded ", "two words folded", false),
            ("=?utf-8?q?Re:_gr=C3=BCn?=", "gr\u{fc}n", true),
            ("Regards", "Regards", false),
            ("Fwd hello", "Fwd hello", false),
            ("[open Re: x", "[open Re: x", false),
            ("\u{fc}(fwd", "\u{fc}(fwd", false),
            ("", "", false),
        ] {
            assert_eq!(base_subject(subject.as_bytes()), (base.to_string(), reply), "{subject}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_left_to_take_off(s in "( |Re|fwd?|:|\\[|\\]|\\(fwd\\)|\\[fwd:|a|\u{fc}|\t){0,24}") {
            let (base, _) = base_subject(s.as_bytes());
            // A second look finds the same; a blob alone stays.
            prop_assert_eq!(base_subject(base.as_bytes()).0, base.clone());
            prop_assert!(!base.starts_with(' ') && !base.ends_with(' '));
        }
        #[test]
        fn any_bytes_have_one(s in prop::collection::vec(any::<u8>(), 0..200)) {
            base_subject(&s);
        }
    }
}
