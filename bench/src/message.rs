//! Text messages that look like people's mail: headers of the usual kind and prose that compresses like prose.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of the prose; the most common ones come first and are chosen most often.
pub const WORDS: &str = "the of and to a in is that for it as was with be by on not he his but at are this have from or had \
an they which one you were all her she there would their we him been has when who will no more if out so up said what \
its about than into them can only other time new some could these two may first then do any like my now over such our \
man me even most made after also did many off before must well back through years much where your way down should \
because long each just state those people too mr how little good world make very year still see own work men day get \
here old life both between being under three never know same last another while us might great go come since against \
right came take used himself few house use place during without again home around small however found mrs part school \
thought went say general once upon every war left number until always away something fact though less public put think \
almost enough took end government yet nothing head system set better four hand five told group meeting report attached \
please review tomorrow regards budget quarter invoice schedule customer deploy server release ticket update draft \
confirm deadline proposal agenda minutes follow question answer colleague department project milestone contract";

/// Sentences are put together from so many prepared paragraphs.
const PARAGRAPHS: usize = 128;

/// Makes messages of a wanted size, each with its own Message-ID.
pub struct Messages {
    paragraphs: Vec<String>,
    size: usize,
    run: u64,
    next: AtomicU64,
}

impl Messages {
    /// Prepares messages of about `size` bytes.
    pub fn new(size: usize) -> Self {
        let run = rand::random();
        let mut chance = Chance::new(run);
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let paragraphs = (0..PARAGRAPHS).map(|_| paragraph(&words, &mut chance)).collect();
        Self { paragraphs, size, run, next: AtomicU64::new(0) }
    }

    /// The next message, with CRLF line ends; no line begins with a dot.
    pub fn next(&self, to: &str) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut chance = Chance::new(self.run ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut text = String::with_capacity(self.size + 512);
        self.headers(&mut text, number, to);
        while text.len() < self.size {
            text.push_str(&self.paragraphs[chance.below(PARAGRAPHS)]);
        }
        text.truncate(self.size.max(400));
        while !text.ends_with(' ') && text.len() > 300 {
            text.pop();
        }
        text.push_str("end.\r\n");
        text
    }

    fn headers(&self, text: &mut String, number: u64, to: &str) {
        let (minute, second) = (number / 60 % 60, number % 60);
        let run = self.run;
        write!(
            text,
            "Received: from relay{host}.example.org (relay{host}.example.org [192.0.2.{host}])\r\n\
             \tby mx.example.com with ESMTPS id {number:08x};\r\n\
             \tMon, 23 Nov 2026 10:{minute:02}:{second:02} +0000\r\n\
             Message-ID: <{run:016x}.{number}@bench.example.org>\r\n\
             Date: Mon, 23 Nov 2026 10:{minute:02}:{second:02} +0000\r\n\
             From: Sender Number {sender} <sender{sender}@example.org>\r\n\
             To: {to}\r\n\
             Cc: \"The Team\" <team@example.org>, Someone Else <else@example.net>\r\n\
             Subject: Report {number} of the week, for review before the meeting\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n\
             User-Agent: zcluster-bench\r\n\r\n",
            host = number % 200 + 1,
            sender = number % 500,
        )
        .expect("writing to a String does not fail");
    }
}

fn paragraph(words: &[&str], chance: &mut Chance) -> String {
    let mut text = String::new();
    for _ in 0..4 + chance.below(5) {
        let mut column = 0;
        for position in 0..8 + chance.below(12) {
            // Squaring the choice favours common words, as language does.
            let pick = chance.below(words.len()) * chance.below(words.len()) / words.len();
            let word = words[pick];
            if position == 0 {
                text.push_str(&word[..1].to_uppercase());
                text.push_str(&word[1..]);
            } else {
                text.push_str(word);
            }
            column += word.len() + 1;
            text.push_str(if column > 64 { " \r\n" } else { " " });
            if column > 64 {
                column = 0;
            }
        }
        text.push_str("end. \r\n");
    }
    text.push_str("\r\n");
    text
}

/// A small generator (xorshift64): message text needs variety, not quality.
pub struct Chance(u64);

impl Chance {
    /// Begins with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_unique_sized_and_need_no_dot_stuffing() {
        let messages = Messages::new(6 * 1024);
        let one = messages.next("alice@example.com");
        let two = messages.next("alice@example.com");
        assert_ne!(one, two);
        for text in [&one, &two] {
            assert!((6_000..6_300).contains(&text.len()), "{}", text.len());
            assert!(!text.contains("\r\n."));
            assert!(text.lines().all(|line| line.len() < 998));
            assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
            assert!(text.ends_with("\r\n"));
        }
    }

    #[test]
    fn tiny_sizes_still_make_a_message() {
        let text = Messages::new(1).next("a@b");
        assert!(text.contains("Message-ID: <"));
        assert!(text.ends_with("\r\n"));
    }
}
