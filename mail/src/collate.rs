//! i;unicode-casemap (RFC 5051): text in the form whose bytes are compared.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// `text` in that form: title case of single characters, then decomposed, at most `max` bytes.
pub fn casemap(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    if text.is_ascii() {
        out.extend(text.bytes().take(max).filter(|b| *b != 0).map(|b| char::from(b.to_ascii_uppercase())));
        return out;
    }
    // What is decomposed gets no shorter than a third of a character's bytes: a prefix is enough.
    let titled: String = text.chars().take(max.saturating_mul(3)).filter(|c| *c != '\0').map(title).collect();
    for c in DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(titled.chars()) {
        if out.len() + c.len_utf8() > max {
            break;
        }
        out.push(c);
    }
    out
}

/// The simple title case mapping of UnicodeData: the upper case but for four letters that are two in one.
fn title(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::casemap;

    #[test]
    fn maps() {
        assert_eq!(casemap("Hello", 99), "HELLO");
        assert_eq!(casemap("grün", 99), casemap("GRU\u{308}N", 99));
        assert_eq!(casemap("straße", 99), "STRAßE");
        assert_eq!(casemap("\u{1c6}", 99), casemap("\u{1c4}", 99));
        assert_eq!(casemap("\u{fb01}n", 99), "fiN", "decomposed only after the mapping (RFC 5051 §2)");
        assert_eq!(casemap("abcdef", 3), "ABC");
        assert_eq!(casemap("aüüü", 4).len(), 4);
    }
}
