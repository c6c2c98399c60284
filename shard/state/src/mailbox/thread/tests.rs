//! Threads as IMAP writes them, so that they can be read beside RFC 5256.

use super::super::super::index::ids_of;
use super::super::Message as Known;
use super::*;
use proptest::prelude::*;

/// A message as people see it.
#[derive(Clone, Default)]
struct Message {
    uid: u32,
    date: i64,
    id: Option<u64>,
    references: Vec<u64>,
    subject: String,
    reply: bool,
}

fn threads(all: &[Message], by_subject: bool) -> Vec<ThreadNode> {
    let ids = ids_of(all.iter().map(|m| (m.id, m.references.clone())));
    let mut subjects: Vec<&str> = all.iter().map(|m| m.subject.as_str()).collect();
    subjects.sort_unstable();
    let list = all.iter().enumerate().map(|(at, m)| Known {
        uid: m.uid,
        date: m.date,
        id: ids.own[at],
        references: ids.references(at),
        subject: subjects.partition_point(|s| *s < m.subject.as_str()) as u32,
        no_subject: m.subject.is_empty(),
        reply: m.reply,
    });
    let (list, references) = (list.collect(), ids.references.as_slice());
    super::threads(&Messages { list, references, ids: ids.count(), subjects: subjects.len() }, by_subject)
}

/// `id: references | subject`, one message a line; the date is the line's number unless `@n` says otherwise.
fn messages(text: &str) -> Vec<Message> {
    let hash = |id: &str| id.bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    lines
        .zip(1u32..)
        .map(|(line, uid)| {
            let (ids, subject) = line.split_once('|').unwrap_or((line, ""));
            let (own, references) = ids.split_once(':').unwrap_or((ids, ""));
            let (own, date) = own.split_once('@').unwrap_or((own, ""));
            let subject = subject.trim();
            let base = subject.strip_prefix("Re: ");
            Message {
                uid,
                date: date.trim().parse().unwrap_or(i64::from(uid)),
                id: Some(own.trim()).filter(|o| !o.is_empty()).map(hash),
                references: references.split_whitespace().map(hash).collect(),
                subject: base.unwrap_or(subject).to_string(),
                reply: base.is_some(),
            }
        })
        .collect()
}

fn write(nodes: &[ThreadNode], at: &mut usize, out: &mut String) {
    let ThreadNode { uid, children } = nodes[*at];
    *at += 1;
    if uid != 0 {
        out.push_str(&uid.to_string());
        if children > 0 {
            out.push(' ');
        }
    }
    for _ in 0..children {
        if children > 1 {
            out.push('(');
        }
        write(nodes, at, out);
        if children > 1 {
            out.push(')');
        }
    }
}

fn shown(nodes: &[ThreadNode]) -> String {
    let (mut out, mut at) = (String::new(), 0);
    while at < nodes.len() {
        out.push('(');
        write(nodes, &mut at, &mut out);
        out.push(')');
    }
    out
}

fn threaded(text: &str) -> String {
    shown(&threads(&messages(text), true))
}

#[test]
fn chains_and_branches() {
    assert_eq!(threaded("a\nb: a\nc: a b\nd: a\n"), "(1 (2 3)(4))");
    assert_eq!(threaded("a\nb\n"), "(1)(2)");
    assert_eq!(threaded(""), "");
    // Answers come before their question.
    assert_eq!(threaded("c: a b\nb: a\na\n"), "(3 2 1)");
    // Siblings and threads by date.
    assert_eq!(threaded("a@9\nb@5: a\nc@3: a\nd@1\n"), "(4)(1 (3)(2))");
}

#[test]
fn missing_parents() {
    // One child takes its missing parent's place, two keep it as a dummy.
    assert_eq!(threaded("b: a\n"), "(1)");
    assert_eq!(threaded("b: a\nc: a\n"), "((1)(2))");
    // Within a thread missing ones vanish.
    assert_eq!(threaded("a\nc: a b\nd: a b\n"), "(1 (2)(3))");
    assert_eq!(threaded("x: g p\ny: g q\nz: g q\n"), "((1)(2)(3))");
}

#[test]
fn loops_and_doubles() {
    // b under a, and a under b: the first link stands.
    assert_eq!(threaded("a: b\nb: a\n"), "(2 1)");
    assert_eq!(threaded("a: a\n"), "(1)");
    assert_eq!(threaded("a: b c\nb: c a\nc: a b\n"), threaded("a: b c\nb: c a\nc: a b\n"));
    // Two messages with one id: the second is of its own.
    assert_eq!(threaded("a\na\nb: a\n"), "(1 3)(2)");
    assert_eq!(threaded("\n: a\n: a\n"), "((1)(2))");
    // A message knows better than others' lists that it answers none.
    assert_eq!(threaded("c: a b\nb\na\n"), "(2 1)(3)");
    // A truncated list is put right by the message itself.
    assert_eq!(threaded("a\nb: a\nx: a c\nc: b\n"), "(1 2 4 3)");
}

#[test]
fn subjects_gather() {
    // An answer without references, under its question.
    assert_eq!(threaded("a | one\nb | Re: one\nc | two\n"), "(1 2)(3)");
    assert_eq!(threaded("b | Re: one\na | one\n"), "(2 1)");
    // Two questions alike, or two answers, hang from a dummy.
    assert_eq!(threaded("a | one\nb | one\nc | one\n"), "((1)(2)(3))");
    assert_eq!(threaded("a | Re: one\nb | Re: one\n"), "((1)(2))");
    // A dummy takes in what has its subject, and two dummies become one.
    assert_eq!(threaded("b: a | Re: one\nc: a | Re: one\nd | one\n"), "((1)(2)(3))");
    assert_eq!(threaded("b: a | one\nc: a | one\ne: d | one\nf: d | one\n"), "((1)(2)(3)(4))");
    // No subject gathers nothing.
    assert_eq!(threaded("a |\nb |\n"), "(1)(2)");
    // Subjects count at the top only.
    assert_eq!(threaded("a | one\nb: a | two\nc | two\n"), "(1 2)(3)");
    assert_eq!(shown(&threads(&messages("a | one\nb | Re: one\n"), false)), "(1)(2)");
}

#[test]
fn refs_go_by_the_newest() {
    assert_eq!(shown(&threads(&messages("a\nb\nc: a\n"), false)), "(2)(1 3)");
}

#[test]
fn a_long_chain_is_no_deep_stack() {
    let chain: Vec<Message> = (1..=100_000u32)
        .map(|n| Message {
            uid: n,
            date: n.into(),
            id: Some(n.into()),
            references: if n > 1 { vec![u64::from(n) - 1] } else { vec![] },
            ..Message::default()
        })
        .collect();
    let nodes = threads(&chain, true);
    assert_eq!(nodes.len(), chain.len());
}

proptest! {
    #[test]
    fn every_message_is_shown_once(list in prop::collection::vec(
        (0u64..12, prop::collection::vec(0u64..14, 0..5), 0u8..4, any::<bool>(), 0i64..5), 0..25), refs: bool) {
        let all: Vec<Message> = list.into_iter().zip(1u32..).map(|((id, references, subject, reply, date), uid)| Message {
            uid, date, references, reply, id: (id > 0).then_some(id),
            subject: if subject == 0 { String::new() } else { subject.to_string() },
        }).collect();
        let nodes = threads(&all, refs);
        let mut uids: Vec<u32> = nodes.iter().map(|n| n.uid).filter(|u| *u != 0).collect();
        uids.sort_unstable();
        prop_assert_eq!(uids, (1..=all.len() as u32).collect::<Vec<_>>());
        prop_assert!(nodes.iter().all(|n| n.uid != 0 || n.children > 1), "a dummy has two children");
        // The counts make a forest: reading it takes exactly all nodes.
        shown(&nodes);
    }
}
