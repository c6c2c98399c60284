//! Words to write messages with, in the order of how common they are: made by a seed, or those of real mail.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::message::Chance;

/// Fewer words make no mailbox that is like a real one.
const FEWEST: usize = 2_000;
/// Letters of a word of real mail.
const LETTERS: std::ops::RangeInclusive<usize> = 3..=20;
/// A longer piece without a space is no prose but an encoded attachment.
const PIECE_MAX: usize = 40;
/// No `q`, `w`, `x`, `y`: words with these are free for those that a search shall find.
const ONSETS: [&str; 22] = [
    "b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "gr", "kl", "pl", "st", "tr",
];
const VOWELS: [&str; 7] = ["a", "e", "i", "o", "u", "ai", "ea"];
const CODAS: [&str; 6] = ["", "n", "r", "s", "l", "m"];

/// The words, the most common one first.
pub struct Vocabulary {
    words: Vec<String>,
    /// Natural logarithm of one more than their number.
    ln: f64,
}

impl Vocabulary {
    /// `count` words of a language that nobody speaks.
    pub fn made(seed: u64, count: usize) -> Result<Self> {
        let mut chance = Chance::new(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (mut known, mut words) = (HashSet::new(), Vec::with_capacity(count));
        while words.len() < count {
            let syllables = match words.len() {
                0..60 => 1,
                60..2_000 => 2,
                _ => 3 + chance.below(2),
            };
            let mut word = String::new();
            for _ in 0..syllables {
                word.push_str(ONSETS[chance.below(ONSETS.len())]);
                word.push_str(VOWELS[chance.below(VOWELS.len())]);
            }
            word.push_str(CODAS[chance.below(CODAS.len())]);
            if known.insert(word.clone()) {
                words.push(word);
            }
        }
        Self::of(words)
    }

    /// The `count` most common words of the files below a folder.
    ///
    /// # Errors
    /// Unreadable, or too few words.
    pub fn read(folder: &Path, count: usize) -> Result<Self> {
        let mut counts = HashMap::new();
        count_words(folder, &mut counts)?;
        let mut words: Vec<(String, u64)> = counts.into_iter().collect();
        words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.truncate(count);
        Self::of(words.into_iter().map(|(word, _)| word).collect())
    }

    fn of(words: Vec<String>) -> Result<Self> {
        ensure!(words.len() >= FEWEST, "{} words are too few: at least {FEWEST}", words.len());
        let ln = (words.len() as f64 + 1.0).ln();
        Ok(Self { words, ln })
    }

    /// A word as a text has it: the one at rank `k` about `1 / k` as often as the first (Zipf).
    pub fn pick(&self, chance: &mut Chance) -> &str {
        let part = chance.below(1 << 30) as f64 / f64::from(1 << 30);
        let rank = (part * self.ln).exp() as usize;
        &self.words[rank.clamp(1, self.words.len()) - 1]
    }

    /// `count` words from a rank on that are part of no other word, so that who looks for parts of words finds what who looks for
    /// words does.
    pub fn standing_alone(&self, rank: usize, count: usize) -> Vec<&str> {
        let alone = |word: &&String| {
            word.len() >= 5 && self.words.iter().filter(|other| other.contains(word.as_str())).count() == 1
        };
        self.words.iter().skip(rank).filter(alone).take(count).map(String::as_str).collect()
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }
}

fn count_words(folder: &Path, counts: &mut HashMap<String, u64>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            count_words(&entry.path(), counts)?;
            continue;
        }
        let bytes = fs::read(entry.path())?;
        for piece in bytes.split(u8::is_ascii_whitespace).filter(|piece| piece.len() <= PIECE_MAX) {
            for word in piece.split(|byte| !byte.is_ascii_alphabetic()).filter(|word| LETTERS.contains(&word.len())) {
                let word = String::from_utf8_lossy(word).to_ascii_lowercase();
                *counts.entry(word).or_default() += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_the_same_by_seed_and_common_by_rank() {
        let (one, two) = (Vocabulary::made(7, 5_000).unwrap(), Vocabulary::made(7, 5_000).unwrap());
        assert_eq!(one.words, two.words);
        assert_ne!(one.words, Vocabulary::made(8, 5_000).unwrap().words);
        assert_eq!(one.words.iter().collect::<HashSet<_>>().len(), 5_000);
        let mut chance = Chance::new(1);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for _ in 0..200_000 {
            *counts.entry(one.pick(&mut chance)).or_default() += 1;
        }
        let of = |rank: usize| counts.get(one.words[rank - 1].as_str()).copied().unwrap_or(0);
        assert!(of(1) > 5 * of(10) && of(10) > 5 * of(100), "{} {} {}", of(1), of(10), of(100));
        assert!(counts.len() > 4_000, "{}", counts.len());
        for word in one.standing_alone(60, 10) {
            assert_eq!(one.words.iter().filter(|other| other.contains(word)).count(), 1);
        }
    }

    #[test]
    fn words_of_real_mail_come_without_what_is_encoded() {
        let folder = tempfile::tempdir().unwrap();
        let mut text =
            String::from("Subject: Budget, budget\n\nBUDGET report\nUmFuZG9tIGJ5dGVzIG9mIHNvbWUgcGljdHVyZSB0aGF0\n");
        for n in 0..FEWEST {
            let letters: String = (0..4).map(|k| char::from(b'a' + ((n >> (3 * k)) & 7) as u8)).collect();
            text.push_str(&format!("{letters}z "));
        }
        fs::create_dir(folder.path().join("cur")).unwrap();
        fs::write(folder.path().join("cur/1"), text).unwrap();
        let words = Vocabulary::read(folder.path(), 100_000).unwrap().words;
        assert_eq!(words[0], "budget");
        assert!(words.iter().all(|word| !word.starts_with("umfu")), "{words:?}");
        assert!(Vocabulary::read(folder.path(), 10).is_err());
    }
}
