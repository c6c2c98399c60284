//! Scripts that are written without spaces between words.

/// Whether text in this character's script is taken apart into pairs of characters: Chinese, Japanese, Korean, Thai, Lao,
/// Khmer, Burmese.
pub(super) fn in_pairs(c: char) -> bool {
    match c as u32 {
        // Thai (without the currency sign) and Lao.
        0xe01..=0xe3a | 0xe40..=0xe5b | 0xe81..=0xedf => true,
        // Burmese, Hangul's letters, Khmer.
        0x1000..=0x109f | 0x1100..=0x11ff | 0x1780..=0x17d3 | 0x17d7 | 0x17dc..=0x17e9 => true,
        // Radicals; iteration mark, zero, numerals; kana; bopomofo; Hangul's compatibility letters.
        0x2e80..=0x2fd5 | 0x3005 | 0x3007 | 0x3021..=0x3029 | 0x3031..=0x3035 | 0x303b => true,
        0x3041..=0x309f | 0x30a1..=0x30fa | 0x30fc..=0x312f | 0x3131..=0x318e | 0x31a0..=0x31bf | 0x31f0..=0x31ff => {
            true
        }
        // Ideographs, Hangul.
        0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xa960..=0xa97c | 0xac00..=0xd7fb | 0xf900..=0xfaff => true,
        // Half-width forms; ideographs outside of the basic plane.
        0xff66..=0xff9f | 0xffa0..=0xffdc | 0x1b000..=0x1b16f | 0x20000..=0x323af => true,
        _ => false,
    }
}

/// Whether it makes one character with the one before: voicing marks, Hangul's vowels and finals.
pub(super) fn joins(c: char) -> bool {
    matches!(c as u32, 0x3099 | 0x309a | 0xff9e | 0xff9f | 0x1160..=0x11ff | 0xd7b0..=0xd7fb)
}
