//! Messages by number and seed, with what a search for a word must find in them.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::vocabulary::Vocabulary;
use crate::corpus::{self, date_822, date_time};
use crate::message::Chance;

/// The first message's arrival: 1 January 2024, in seconds of Unix time. The next ones follow so many seconds apart.
const FIRST: i64 = 1_704_067_200;
const APART: i64 = 90;
/// Words of a text.
const WORDS: std::ops::RangeInclusive<usize> = 60..=400;
/// Messages of a conversation; every other five are single messages.
const CONVERSATION: u64 = 5;
const SENDERS: usize = 2_000;
/// Letters of a line.
const LINE: usize = 70;
const PICTURE_BYTES: usize = 1_024;
/// Words of a kind to look for.
pub const KINDS: usize = 16;
/// Messages of the large mailbox that have one of the rare words.
const RARE_HITS: u64 = 10;
/// Messages of the large mailbox that have one of the phrases.
const PHRASE_HITS: u64 = 200;

/// Words of headers and markup, which every message has.
const FRAME: [&str; 20] = [
    "received",
    "relay",
    "example",
    "search",
    "references",
    "subject",
    "version",
    "content",
    "plain",
    "charset",
    "transfer",
    "encoding",
    "multipart",
    "alternative",
    "boundary",
    "image",
    "disposition",
    "attachment",
    "filename",
    "margin",
];

/// Makes messages.
pub struct Mail {
    seed: u64,
    vocabulary: Vocabulary,
    /// Words that few messages have in their text.
    pub rare: Vec<String>,
    /// Words that few messages have in their subject.
    pub rare_subject: Vec<String>,
    /// Two words that always stand together.
    pub phrases: Vec<String>,
    /// Words that many messages have in their text, none of them a part of another.
    pub common: Vec<String>,
    senders: Vec<(String, String)>,
    /// One message in so many has a given rare word, a given phrase.
    rare_every: u64,
    phrase_every: u64,
}

/// How a text is put into a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Alternative,
    Html,
    WithPicture,
}

/// What a message says.
pub struct Sketch<'a> {
    number: u64,
    /// Words of the subject.
    pub subject: Vec<&'a str>,
    /// Words of the text; phrases as one.
    pub body: Vec<&'a str>,
    /// Sender's address.
    pub from: &'a str,
    /// Sender's name.
    pub from_name: &'a str,
    /// Whether it was read.
    pub seen: bool,
    /// Seconds of Unix time.
    pub arrived: i64,
    /// Number of the first message of its conversation.
    first: u64,
    /// A word that no other message has.
    ticket: String,
    form: Form,
}

/// `width` letters for a number; no two numbers below 20^width have the same.
fn letters(mut number: u64, width: usize) -> String {
    const TWENTY: &[u8; 20] = b"abcdefghijklmnoprstu";
    let mut text = vec![b'a'; width];
    for place in text.iter_mut().rev() {
        *place = TWENTY[(number % 20) as usize];
        number /= 20;
    }
    String::from_utf8(text).unwrap_or_default()
}

impl Mail {
    /// Words are spread so that a mailbox of `large` messages has each of the rare ones some ten times.
    pub fn new(seed: u64, vocabulary: Vocabulary, large: u64) -> Self {
        let names = |prefix: &str| (0..KINDS).map(|n| format!("{prefix}{}", letters(n as u64, 2))).collect();
        let mut chance = Chance::new(seed ^ 0x7365_6E64_6572_7321);
        let senders = (0..SENDERS).map(|n| {
            let (given, family) = (vocabulary.pick(&mut chance), vocabulary.pick(&mut chance));
            (format!("{given} {family}"), format!("{given}.{}@host{}.example", letters(n as u64, 3), n % 97))
        });
        Self {
            // Chance has no use for the lowest bit.
            seed: seed.wrapping_add(1).wrapping_mul(0xD134_2543_DE82_EF95),
            rare: names("wexqua"),
            rare_subject: names("yaqxor"),
            phrases: (0..KINDS as u64).map(|n| format!("xivqe{} qowyx{}", letters(n, 2), letters(n, 2))).collect(),
            // Rank 60: below are words of one syllable, which are parts of many others.
            common: vocabulary
                .standing_alone(60, KINDS + FRAME.len())
                .into_iter()
                .filter(|word| FRAME.iter().all(|frame| !frame.contains(word)))
                .take(KINDS)
                .map(str::to_owned)
                .collect(),
            senders: senders.collect(),
            vocabulary,
            rare_every: (large / RARE_HITS).max(KINDS as u64),
            phrase_every: (large / PHRASE_HITS).max(KINDS as u64),
        }
    }

    fn chance(&self, kind: u64, number: u64) -> Chance {
        let mut chance = Chance::new((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.seed ^ (kind << 56));
        // Seeds that are near each other begin alike.
        for _ in 0..3 {
            chance.below(2);
        }
        chance
    }

    /// Which of [`KINDS`] words message `number` has, of those that one message in `every` has.
    fn planted(number: u64, every: u64) -> Option<usize> {
        let step = every / KINDS as u64;
        let within = number % every;
        (within.is_multiple_of(step) && within / step < KINDS as u64).then_some((within / step) as usize)
    }

    /// A sender whom many messages are from.
    pub fn sender(&self, k: usize) -> &str {
        &self.senders[k % SENDERS].1
    }

    /// Message `number`. `position` is its place in its mailbox.
    pub fn sketch(&self, number: u64, position: u64) -> Sketch<'_> {
        let mut chance = self.chance(1, number);
        let block = number / CONVERSATION;
        let first = if block.is_multiple_of(2) { block * CONVERSATION } else { number };
        let mut topic = self.chance(2, first);
        let mut subject: Vec<&str> = (0..3 + topic.below(4)).map(|_| self.vocabulary.pick(&mut topic)).collect();
        if let Some(kind) = Self::planted(first / CONVERSATION, (self.rare_every / CONVERSATION).max(KINDS as u64)) {
            subject.push(&self.rare_subject[kind]);
        }
        let words = WORDS.start() + chance.below(WORDS.end() - WORDS.start() + 1);
        let mut body: Vec<&str> = (0..words).map(|_| self.vocabulary.pick(&mut chance)).collect();
        if let Some(kind) = Self::planted(number, self.rare_every) {
            let at = chance.below(words);
            body.insert(at, &self.rare[kind]);
        }
        // Moved by one, so that it does not always stand beside the other.
        if let Some(kind) = Self::planted(number + 1, self.phrase_every) {
            let at = chance.below(words);
            body.insert(at, &self.phrases[kind]);
        }
        // Squaring the choice favours some senders.
        let sender = chance.below(SENDERS) * chance.below(SENDERS) / SENDERS;
        let (from_name, from) = &self.senders[sender];
        let form = match chance.below(20) {
            0..11 => Form::Plain,
            11..16 => Form::Alternative,
            16..18 => Form::Html,
            _ => Form::WithPicture,
        };
        Sketch {
            number,
            subject,
            body,
            from,
            from_name,
            seen: chance.below(5) != 0,
            arrived: FIRST + position as i64 * APART,
            first,
            ticket: format!("zxq{}", letters(number, 6)),
            form,
        }
    }

    /// The arrival of the message at a place, in seconds of Unix time.
    pub fn arrival(position: u64) -> i64 {
        FIRST + position as i64 * APART
    }

    /// How many words there are.
    pub fn vocabulary_len(&self) -> usize {
        self.vocabulary.len()
    }
}

impl Sketch<'_> {
    /// Whether something is attached.
    pub fn has_attachment(&self) -> bool {
        self.form == Form::WithPicture
    }

    /// Bytes of what a reader sees: subject and text.
    pub fn text_bytes(&self) -> u64 {
        let of = |words: &[&str]| words.iter().map(|word| word.len() as u64 + 1).sum::<u64>();
        of(&self.subject) + of(&self.body) + self.ticket.len() as u64
    }

    /// The message with what APPEND says about it.
    pub fn message(&self, to: &str) -> corpus::Message {
        let mut text = String::with_capacity(4_000);
        let (number, day) = (self.number, date_822(self.arrived - 60));
        let reply = if self.first == number { "" } else { "Re: " };
        let _ = write!(
            text,
            "Received: from relay{host}.example.org (relay{host}.example.org [192.0.2.{host}])\r\n\
             \tby mx.bench.example with ESMTPS id {number:08x}; {day}\r\n\
             Message-ID: <{number}.search@example.org>\r\nDate: {day}\r\nFrom: {} <{}>\r\nTo: <{to}>\r\n\
             Subject: {reply}{}\r\nMIME-Version: 1.0\r\n",
            self.from_name,
            self.from,
            self.subject.join(" "),
            host = number % 200 + 1,
        );
        if self.first != number {
            let _ = write!(
                text,
                "In-Reply-To: <{0}.search@example.org>\r\nReferences: <{0}.search@example.org>\r\n",
                self.first
            );
        }
        const PLAIN: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n";
        const HTML: &str = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n";
        let _ = match self.form {
            Form::Plain => write!(text, "{PLAIN}{}", self.prose()),
            Form::Html => write!(text, "{HTML}{}", self.html()),
            Form::Alternative => write!(
                text,
                "Content-Type: multipart/alternative; boundary=\"b{number}\"\r\n\r\n--b{number}\r\n{PLAIN}{}\r\n\
                 --b{number}\r\n{HTML}{}\r\n--b{number}--\r\n",
                self.prose(),
                self.html()
            ),
            Form::WithPicture => write!(
                text,
                "Content-Type: multipart/mixed; boundary=\"b{number}\"\r\n\r\n--b{number}\r\n{PLAIN}{}\r\n\
                 --b{number}\r\nContent-Type: image/png; name=\"p{number}.png\"\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-Disposition: attachment; filename=\"p{number}.png\"\r\n\r\n{}--b{number}--\r\n",
                self.prose(),
                picture(number)
            ),
        };
        let flags = if self.seen { "\\Seen" } else { "" };
        corpus::Message { text, flags, internal_date: date_time(self.arrived) }
    }

    fn prose(&self) -> String {
        let mut text = String::new();
        self.write_words(&mut text, |text, _, word| text.push_str(word));
        text.push_str(&self.ticket);
        text.push_str(".\r\n");
        text
    }

    fn html(&self) -> String {
        let mut text = String::from("<html><head><style>p { margin: 0 }</style></head><body><p>\r\n");
        self.write_words(&mut text, |text, n, word| match n % 40 {
            0 => text.push_str(&format!("<b>{word}</b>")),
            39 => text.push_str(&format!("{word}</p><p>")),
            _ => text.push_str(word),
        });
        let _ = write!(text, "<a href=\"https://host.example/{0}\">{0}</a></p></body></html>\r\n", self.ticket);
        text
    }

    fn write_words(&self, text: &mut String, write: impl Fn(&mut String, usize, &str)) {
        let mut column = 0;
        for (n, word) in self.body.iter().enumerate() {
            write(text, n, word);
            column += word.len() + 1;
            if column > LINE {
                text.push_str("\r\n");
                column = 0;
            } else {
                text.push(' ');
            }
        }
        if column > 0 {
            text.push_str("\r\n");
        }
    }
}

/// What looks like a picture's bytes, in lines of base64.
fn picture(number: u64) -> String {
    let mut chance = Chance::new(number.wrapping_mul(0xD134_2543_DE82_EF95));
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend((0..PICTURE_BYTES).map(|_| chance.below(256) as u8));
    let mut text = String::new();
    for line in bytes.chunks(57) {
        STANDARD.encode_string(line, &mut text);
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_by_seed_well_formed_and_say_what_their_sketch_says() {
        let mail = |seed| Mail::new(seed, Vocabulary::made(seed, 5_000).unwrap(), 1_000);
        let (one, two, other) = (mail(3), mail(3), mail(4));
        let mut forms = [0; 4];
        for number in 0..300 {
            let sketch = one.sketch(number, number);
            let text = sketch.message("a@bench.example").text;
            assert_eq!(text, two.sketch(number, number).message("a@bench.example").text);
            assert_ne!(text, other.sketch(number, number).message("a@bench.example").text);
            assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
            assert!(text.ends_with("\r\n") && !text.contains("\r\n."));
            assert!(text.lines().all(|line| line.len() < 998));
            assert!(sketch.body.iter().all(|word| text.contains(word)));
            assert!(WORDS.contains(&(sketch.body.len() - 2)) || WORDS.contains(&sketch.body.len()));
            forms[sketch.form as usize] += 1;
        }
        assert!(forms.iter().all(|count| *count > 10), "{forms:?}");
    }

    #[test]
    fn planted_words_are_as_rare_as_promised() {
        let mail = Mail::new(1, Vocabulary::made(1, 5_000).unwrap(), 1_000);
        let count = |has: &dyn Fn(&Sketch) -> bool| (0..1_000).filter(|n| has(&mail.sketch(*n, *n))).count();
        for kind in [0, 7, KINDS - 1] {
            let (rare, phrase) = (mail.rare[kind].as_str(), mail.phrases[kind].as_str());
            assert_eq!(count(&|s| s.body.contains(&rare)), 10);
            assert!((12..=63).contains(&count(&|s| s.body.contains(&phrase))));
            assert!((5..=50).contains(&count(&|s| s.subject.contains(&mail.rare_subject[kind].as_str()))));
        }
        assert_eq!(mail.common.len(), KINDS);
        assert!(count(&|s| s.body.contains(&mail.common[0].as_str())) > 50);
    }
}
