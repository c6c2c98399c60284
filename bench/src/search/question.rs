//! What is searched for, how it is put to a server, and how many messages must be found.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::mail::{KINDS, Mail};
use super::{LARGE, mailbox};
use crate::corpus;

/// Hits of a page.
const PAGE: u32 = 25;

/// What a message must have to be found.
#[derive(Clone, Debug)]
pub enum Matter {
    /// A word in the subject.
    Subject(String),
    /// A word, or a phrase, in the text.
    Body(String),
    /// A word in the text of one that arrived from then on (Unix seconds) and was not read.
    Unread(String, i64),
    /// A sender.
    From(String),
    /// All these words in subject, text, or sender's name.
    Content(Vec<String>),
    /// The same, with an attachment.
    Attached(String),
    /// It is not known: nobody counts words that begin so.
    Unknown,
}

/// How a question is put.
#[derive(Clone, Debug)]
pub enum Put {
    /// An IMAP command.
    Imap(String),
    /// A request to the node's administration.
    Admin(Value),
}

/// One question of a kind.
#[derive(Clone, Debug)]
pub struct Ask {
    /// How it is put.
    pub put: Put,
    /// What it finds.
    pub matter: Matter,
    /// How many messages it finds, if that is known.
    pub expected: Option<u64>,
}

/// Questions of one kind.
#[derive(Clone, Debug)]
pub struct Question {
    /// The load's name.
    pub name: &'static str,
    /// Different words.
    pub asks: Vec<Ask>,
}

impl Question {
    fn new(name: &'static str, ask: impl Fn(usize) -> (Put, Matter)) -> Self {
        let asks = (0..KINDS).map(|k| {
            let (put, matter) = ask(k);
            Ask { put, matter, expected: None }
        });
        Self { name, asks: asks.collect() }
    }
}

/// UID SEARCH over IMAP, the same for all servers.
pub fn over_imap(mail: &Mail, large: u64) -> Vec<Question> {
    let since = Mail::arrival(large * 3 / 4);
    // SINCE is about days.
    let since = since - since.rem_euclid(86_400);
    let imap = |keys: String| Put::Imap(format!("UID SEARCH {keys}"));
    let (rare, common) = (|k: usize| mail.rare[k].clone(), |k: usize| mail.common[k % mail.common.len()].clone());
    let subject = |k: usize| mail.rare_subject[k].clone();
    vec![
        Question::new("SUBJECT, rare word", |k| (imap(format!("SUBJECT {}", subject(k))), Matter::Subject(subject(k)))),
        Question::new("SUBJECT, common word", |k| (imap(format!("SUBJECT {}", common(k))), Matter::Subject(common(k)))),
        Question::new("FROM, address", |k| {
            let from = mail.sender(k * 3);
            (imap(format!("FROM {from}")), Matter::From(from.to_owned()))
        }),
        Question::new("BODY, rare word", |k| (imap(format!("BODY {}", rare(k))), Matter::Body(rare(k)))),
        Question::new("BODY, common word", |k| (imap(format!("BODY {}", common(k))), Matter::Body(common(k)))),
        Question::new("BODY, two words in a row", |k| {
            let phrase = &mail.phrases[k];
            (imap(format!("BODY \"{phrase}\"")), Matter::Body(phrase.clone()))
        }),
        Question::new("BODY, common word, SINCE UNSEEN", |k| {
            let keys = format!("BODY {} SINCE {} UNSEEN", common(k), corpus::date(since));
            (imap(keys), Matter::Unread(common(k), since))
        }),
        Question::new("TEXT, rare word", |k| (imap(format!("TEXT {}", rare(k))), Matter::Body(rare(k)))),
    ]
}

/// Zimbra's language, through the node's administration.
pub fn in_language(mail: &Mail) -> Vec<Question> {
    let ask = |query: String, more: Value| {
        let mut request = json!({ "account": mailbox(LARGE), "query": query, "limit": PAGE });
        if let (Some(request), Value::Object(more)) = (request.as_object_mut(), more) {
            request.extend(more);
        }
        Put::Admin(request)
    };
    let plain = || json!({});
    let common = |k: usize| mail.common[k % mail.common.len()].clone();
    let content = |k: usize| Matter::Content(vec![common(k)]);
    vec![
        Question::new("rare word", |k| {
            (ask(mail.rare[k].clone(), plain()), Matter::Content(vec![mail.rare[k].clone()]))
        }),
        Question::new("common word", |k| (ask(common(k), plain()), content(k))),
        Question::new("two common words", |k| {
            let both = vec![common(k), common(k + 1)];
            (ask(both.join(" "), plain()), Matter::Content(both))
        }),
        Question::new("\"two words in a row\"", |k| {
            let phrase = &mail.phrases[k];
            (ask(format!("\"{phrase}\""), plain()), Matter::Body(phrase.clone()))
        }),
        Question::new("begin*", |k| (ask(format!("{}*", &common(k)[..4]), plain()), Matter::Unknown)),
        Question::new("from:address", |k| {
            let from = mail.sender(k * 3);
            (ask(format!("from:{from}"), plain()), Matter::From(from.to_owned()))
        }),
        Question::new("common word, has:attachment", |k| {
            (ask(format!("has:attachment {}", common(k)), plain()), Matter::Attached(common(k)))
        }),
        Question::new("common word, by subject", |k| (ask(common(k), json!({ "sortBy": "subjAsc" })), content(k))),
        Question::new("common word, conversations", |k| {
            (ask(common(k), json!({ "conversations": true })), Matter::Unknown)
        }),
    ]
}

/// Counts in the messages of the large mailbox how many each question must find.
pub fn count(mail: &Mail, large: u64, questions: &mut [Question]) {
    let mut at: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
    let mut counts: Vec<Vec<u64>> = Vec::new();
    for (q, question) in questions.iter().enumerate() {
        counts.push(vec![0; question.asks.len()]);
        for (a, ask) in question.asks.iter().enumerate() {
            let word = match &ask.matter {
                Matter::Subject(word) | Matter::Body(word) | Matter::Unread(word, _) => word,
                Matter::From(word) | Matter::Attached(word) => word,
                Matter::Content(words) => &words[0],
                Matter::Unknown => continue,
            };
            at.entry(word.clone()).or_default().push((q, a));
        }
    }
    for number in 0..large {
        let sketch = mail.sketch(number, number);
        let name = || sketch.from_name.split(' ');
        let mut met: Vec<&str> = sketch.subject.iter().chain(&sketch.body).copied().chain(name()).collect();
        met.push(sketch.from);
        met.retain(|word| at.contains_key(*word));
        met.sort_unstable();
        met.dedup();
        for word in met {
            for (q, a) in &at[word] {
                let content = |word: &String| {
                    let word = word.as_str();
                    sketch.subject.contains(&word) || sketch.body.contains(&word) || name().any(|part| part == word)
                };
                let found = match &questions[*q].asks[*a].matter {
                    Matter::Subject(word) => sketch.subject.contains(&word.as_str()),
                    Matter::Body(word) => sketch.body.contains(&word.as_str()),
                    Matter::Unread(word, since) => {
                        !sketch.seen && sketch.arrived >= *since && sketch.body.contains(&word.as_str())
                    }
                    Matter::From(address) => sketch.from == address,
                    Matter::Content(words) => words.iter().all(content),
                    Matter::Attached(word) => sketch.has_attachment() && content(word),
                    Matter::Unknown => false,
                };
                counts[*q][*a] += u64::from(found);
            }
        }
    }
    for (question, counts) in questions.iter_mut().zip(counts) {
        for (ask, count) in question.asks.iter_mut().zip(counts) {
            ask.expected = (!matches!(ask.matter, Matter::Unknown)).then_some(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::vocabulary::Vocabulary;

    #[test]
    fn what_must_be_found_is_what_a_reader_of_the_messages_finds() {
        const LARGE: u64 = 400;
        let mail = Mail::new(5, Vocabulary::made(5, 5_000).unwrap(), LARGE);
        let mut questions = over_imap(&mail, LARGE);
        count(&mail, LARGE, &mut questions);
        for question in &questions {
            for ask in &question.asks {
                let Matter::Body(word) = &ask.matter else { continue };
                let said = |n: &u64| mail.sketch(*n, *n).message("a@bench.example").text.contains(word.as_str());
                let read = (0..LARGE).filter(said).count() as u64;
                let expected = ask.expected.unwrap();
                // Subjects and names have common words, too, which the plain look at the message sees.
                if question.name.contains("common") {
                    assert!(expected <= read && expected > 0, "{word}: {expected}, {read}");
                } else {
                    assert_eq!(expected, read, "{word}");
                }
            }
        }
        let unread = questions.iter().find(|q| q.name.contains("UNSEEN")).unwrap();
        let all = questions.iter().find(|q| q.name == "BODY, common word").unwrap();
        let sum = |question: &Question| question.asks.iter().filter_map(|ask| ask.expected).sum::<u64>();
        assert!(sum(unread) > 0 && sum(unread) * 3 < sum(all));
    }
}
