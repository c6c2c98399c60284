//! Which conversation a message joins, by each way of building them (`zimbraMailThreadingAlgorithm`).

mod common;

use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use zcluster_api::mailbox::{ConversationKeys, Conversations, NewMessage, folders};
use zcluster_api::sort::SortKeys;
use zcluster_api::*;
use zcluster_state::Table;

const MODES: [Conversations; 5] = [
    Conversations::Strict,
    Conversations::References,
    Conversations::SubjectReferences,
    Conversations::Subject,
    Conversations::None,
];

/// A message as its headers say; 0 is none.
#[derive(Clone, Copy, Debug, Default)]
struct Mail {
    id: u64,
    references: &'static [u64],
    subject: u64,
    answer: bool,
    index: u64,
}

fn some(n: u64) -> Option<u64> {
    (n != 0).then_some(n)
}

impl Mail {
    fn new_message(&self, mode: Conversations) -> NewMessage {
        let mut new = message(folders::INBOX, inline(&content(1)));
        let keys = SortKeys {
            id: some(self.id),
            references: self.references.to_vec(),
            reply: self.answer,
            ..SortKeys::default()
        };
        new.parsed.keys = Some(Box::new(keys));
        // Hashes are in domains of their own.
        let subject = some(self.subject).map(|n| n + 1_000_000);
        let index = some(self.index).map(|n| n + 2_000_000);
        new.parsed.conversation = Some(ConversationKeys { mode, subject, index });
        new
    }
}

/// For each message, the place (from 0) of the one that began its conversation.
fn conversations(mode: Conversations, mails: &[Mail]) -> Vec<usize> {
    mixed(&mails.iter().map(|mail| (mode, *mail)).collect::<Vec<_>>())
}

fn mixed(mails: &[(Conversations, Mail)]) -> Vec<usize> {
    let mut rig = Rig::new();
    for (mode, mail) in mails {
        rig.run(MailboxCommand::AddMessage(mail.new_message(*mode))).unwrap();
    }
    let marks = rig.count(Table::Thread);
    assert_eq!(marks, rig.count(Table::ThreadOrder), "each mark has its place in the order");
    rig.assert_replicas_agree();
    let all = rig.messages(folders::INBOX);
    all.iter().map(|m| all.iter().position(|first| Some(first.item) == m.thread).unwrap()).collect()
}

/// What each mode makes of the same messages.
#[test]
fn one_mailbox_five_ways() {
    let mails = [
        // A question, its answer by reference, and one by subject only.
        Mail { id: 1, subject: 1, ..Mail::default() },
        Mail { id: 2, references: &[1], subject: 1, answer: true, ..Mail::default() },
        Mail { id: 3, subject: 1, answer: true, ..Mail::default() },
        // An answer that changes the subject.
        Mail { id: 4, references: &[1, 2], subject: 2, answer: true, ..Mail::default() },
        // A newsletter of the question's subject, and an answer without references to the last of them.
        Mail { id: 5, subject: 1, ..Mail::default() },
        Mail { id: 6, subject: 1, answer: true, ..Mail::default() },
        // Answers by Thread-Index, with and without the subject.
        Mail { id: 7, subject: 3, index: 9, ..Mail::default() },
        Mail { id: 8, subject: 3, index: 9, ..Mail::default() },
        Mail { id: 10, subject: 4, index: 9, ..Mail::default() },
        // Neither ids nor subject.
        Mail::default(),
        Mail { answer: true, ..Mail::default() },
        // An answer to nothing that is here.
        Mail { id: 11, subject: 5, answer: true, ..Mail::default() },
    ];
    let found = |mode| conversations(mode, &mails);
    assert_eq!(found(Conversations::Strict), [0, 0, 2, 0, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(found(Conversations::References), [0, 0, 0, 0, 4, 4, 6, 6, 6, 9, 10, 11]);
    assert_eq!(found(Conversations::SubjectReferences), [0, 0, 0, 3, 4, 4, 6, 6, 8, 9, 10, 11]);
    assert_eq!(found(Conversations::Subject), [0, 0, 0, 3, 0, 0, 6, 6, 8, 9, 10, 11]);
    assert_eq!(found(Conversations::None), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
}

#[test]
fn a_question_that_comes_late_joins_its_answers() {
    let answer = Mail { id: 2, references: &[1], subject: 1, answer: true, ..Mail::default() };
    let question = Mail { id: 1, subject: 1, ..Mail::default() };
    let changed = Mail { subject: 2, ..question };
    for mode in [Conversations::Strict, Conversations::References, Conversations::SubjectReferences] {
        assert_eq!(conversations(mode, &[answer, question]), [0, 0], "{mode:?}");
    }
    assert_eq!(conversations(Conversations::References, &[answer, changed]), [0, 0]);
    assert_eq!(conversations(Conversations::SubjectReferences, &[answer, changed]), [0, 1]);
}

/// An answer with references goes by them, although its subject is another conversation's.
#[test]
fn references_before_subjects() {
    let mails = [
        Mail { id: 1, subject: 1, ..Mail::default() },
        Mail { id: 2, subject: 2, ..Mail::default() },
        Mail { id: 3, references: &[1], subject: 2, answer: true, ..Mail::default() },
        Mail { id: 4, references: &[77], subject: 2, answer: true, ..Mail::default() },
    ];
    assert_eq!(conversations(Conversations::References, &mails), [0, 1, 0, 3]);
}

/// What was remembered in one mode is there in the next; what it had no use for is not.
#[test]
fn the_mode_changes() {
    use Conversations::*;
    let question = Mail { id: 1, subject: 1, ..Mail::default() };
    let answer = Mail { id: 2, references: &[1], subject: 1, answer: true, ..Mail::default() };
    let two = |first, second| mixed(&[(first, question), (second, answer)]);
    assert_eq!(two(Strict, References), [0, 0]);
    assert_eq!(two(References, Strict), [0, 0]);
    assert_eq!(two(References, Subject), [0, 0]);
    assert_eq!(two(Strict, Subject), [0, 1]);
    assert_eq!(two(None, References), [0, 1]);
    assert_eq!(two(References, None), [0, 1]);
}

/// Edges from before there were modes are understood as they were meant.
#[test]
fn commands_without_a_mode() {
    let mut rig = Rig::new();
    for mail in [
        Mail { id: 1, subject: 1, ..Mail::default() },
        Mail { id: 2, subject: 1, answer: true, ..Mail::default() },
        Mail { id: 3, references: &[1], subject: 1, answer: true, ..Mail::default() },
    ] {
        let mut new = mail.new_message(Conversations::Subject);
        new.parsed.conversation = None;
        rig.run(MailboxCommand::AddMessage(new)).unwrap();
    }
    let all = rig.messages(folders::INBOX);
    let ids: Vec<_> = all.iter().map(|m| m.thread).collect();
    assert_eq!(ids, [Some(all[0].item), Some(all[1].item), Some(all[0].item)]);
}

/// The rules once more, over lists instead of tables: what each message is known by, and to which the next one looks.
fn plainly(mode: Conversations, mails: &[Mail]) -> Vec<usize> {
    let mut marks: BTreeMap<(&str, u64, u64), usize> = BTreeMap::new();
    let mut subjects: BTreeMap<u64, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for (at, mail) in mails.iter().enumerate() {
        let under = if mode == Conversations::SubjectReferences { mail.subject } else { u64::MAX };
        let mut own: Vec<_> = mail.references.iter().chain(&some(mail.id)).map(|id| ("id", *id, under)).collect();
        if mode != Conversations::Strict {
            own.extend(some(mail.index).map(|index| ("index", index, under)));
        }
        if matches!(mode, Conversations::Subject | Conversations::None) {
            own.clear();
        }
        let by_subject = match mode {
            Conversations::Strict | Conversations::None => false,
            Conversations::Subject => true,
            _ => mail.answer && mail.references.is_empty(),
        };
        let certain = own.iter().filter_map(|mark| marks.get(mark)).min().copied();
        let last = subjects.get(&mail.subject).filter(|_| by_subject && mail.subject != 0).copied();
        let first = certain.or(last).unwrap_or(at);
        for mark in own {
            marks.entry(mark).or_insert(first);
        }
        subjects.insert(mail.subject, first);
        out.push(first);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn agrees_with_the_rules_written_plainly(
        mails in prop::collection::vec((0u64..8, 0usize..8, 0u64..4, any::<bool>(), 0u64..3), 1..25),
        mode in prop::sample::select(MODES.to_vec()),
    ) {
        const REFERENCES: [&[u64]; 8] = [&[], &[], &[], &[1], &[2, 3], &[4], &[9, 5], &[6, 1, 7]];
        let mails: Vec<Mail> = mails
            .into_iter()
            .map(|(id, at, subject, answer, index)| Mail { id, references: REFERENCES[at], subject, answer, index })
            .collect();
        prop_assert_eq!(conversations(mode, &mails), plainly(mode, &mails));
    }
}
