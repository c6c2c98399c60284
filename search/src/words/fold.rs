//! Characters as they are compared: lower case, without accents, compatibility forms as what they stand for.

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;

const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();
const CLASSES: CanonicalCombiningClassMapBorrowed<'static> = CanonicalCombiningClassMapBorrowed::new();

/// Whether a character belongs to the one before it: combining marks, joiners, soft hyphens, directions, variations.
pub(super) fn extends(c: char) -> bool {
    match c {
        '\u{ad}' | '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => true,
        _ => CLASSES.get_u8(c) != 0,
    }
}

/// Whether a mark is an accent, points or a vowel sign that is commonly left out (Latin, Greek, Cyrillic, Hebrew, Arabic):
/// those above and below letters. Nuktas, viramas, voicing marks and the signs of Thai and its kin make another word.
fn is_accent(class: u8) -> bool {
    matches!(class, 10..=36 | 200..)
}

/// Appends `text` folded. With `all`, what is neither letter nor digit stays as it is; else it is left out.
pub(super) fn fold(text: &str, all: bool, out: &mut String) {
    if text.is_ascii() {
        out.extend(
            text.bytes().filter(|b| all || b.is_ascii_alphanumeric()).map(|b| char::from(b.to_ascii_lowercase())),
        );
        return;
    }
    for c in NFKD.normalize_iter(text.chars()) {
        if c.is_ascii() {
            if all || c.is_ascii_alphanumeric() {
                out.push(c.to_ascii_lowercase());
            }
            continue;
        }
        let class = CLASSES.get_u8(c);
        if is_accent(class) || (!all && class == 0 && !c.is_alphanumeric()) {
            continue;
        }
        c.to_lowercase().for_each(|c| push(c, out));
    }
}

/// Appends a lower-case letter; those that are letters with something on or in them but have no decomposition, and other
/// ways to write the same letter, as what people type in their place.
fn push(c: char, out: &mut String) {
    match c {
        'ß' => out.push_str("ss"),
        'æ' => out.push_str("ae"),
        'œ' => out.push_str("oe"),
        'þ' => out.push_str("th"),
        'ø' => out.push('o'),
        'đ' | 'ð' => out.push('d'),
        'ħ' => out.push('h'),
        // Turkish: the dotless i and the dotted capital, whose dot is gone with the accents.
        'ı' => out.push('i'),
        'ł' => out.push('l'),
        'ŧ' => out.push('t'),
        'ς' => out.push('σ'),
        // Persian keyboards' and final forms of Arabic letters; the line that only makes words longer.
        'ى' | 'ی' => out.push('ي'),
        'ک' => out.push('ك'),
        '\u{640}' => {}
        '\u{307}' => {}
        _ => out.push(digit(c)),
    }
}

/// Decimal digits of scripts whose readers use both as ASCII ones.
fn digit(c: char) -> char {
    const ZEROS: [char; 5] = ['\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{a66}'];
    let value = |zero: &char| (c as u32).checked_sub(*zero as u32).filter(|v| *v < 10);
    ZEROS.iter().find_map(value).map_or(c, |v| char::from(b'0' + v as u8))
}
