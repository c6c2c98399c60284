//! An index answers what reading its messages one by one would answer.
#![allow(missing_docs)]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use zcluster_api::error::Error;
use zcluster_api::search::{SearchExpr, TextField, Words};
use zcluster_api::text::{ItemSet, TextDoc, TextIndex, TextIndexes};
use zcluster_api::{GroupId, ItemId, MailboxId};
use zcluster_search::{Indexes, Settings};

const WORD: &str = "(invoice|invoices|Rechnung|Straße|strasse|the|a|b|c\\+\\+|c|voice|日本語|日本|本|jane\\.doe@mail\\.example|doe@mail\\.example|@mail\\.example|mail\\.example|1\\.234,56|234|ไทย|\\+49 170 1234567|http://x\\.example/a|é|e)";

fn field() -> impl Strategy<Value = TextField> {
    use TextField::*;
    prop_oneof![
        4 => Just(Content),
        1 => Just(Subject),
        1 => Just(From),
        1 => Just(To),
        1 => Just(Cc),
        1 => Just(EnvelopeFrom),
        1 => Just(EnvelopeTo),
        1 => Just(MessageId),
        1 => Just(FileName),
        1 => Just(Property("author".into())),
        1 => Just(Property("title".into())),
    ]
}

fn text(words: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    (prop::collection::vec(WORD, words), prop::sample::select(vec![" ", " ", ", ", "\r\n", "-", ""]))
        .prop_map(|(w, gap)| w.join(gap))
}

fn doc() -> impl Strategy<Value = TextDoc> {
    let types = prop::collection::vec(prop::sample::select(vec!["image/png", "image/gif", "application/pdf"]), 0..3);
    (prop::collection::vec((field(), text(0..8)), 0..6), types).prop_map(|(texts, types)| TextDoc {
        texts,
        types: types.into_iter().map(String::from).collect(),
        ..TextDoc::default()
    })
}

fn leaf() -> impl Strategy<Value = SearchExpr> {
    let words = (prop::collection::vec(field(), 1..3), text(0..4), 0usize..4, any::<bool>(), any::<bool>()).prop_map(
        |(fields, text, cut, prefix, suffix)| {
            // Parts of words, so that wildcards find something.
            let short: String = text.chars().skip(if suffix { cut } else { 0 }).collect();
            let keep = short.chars().count().saturating_sub(if prefix { cut } else { 0 });
            SearchExpr::Words(Words { fields, text: short.chars().take(keep).collect(), prefix, suffix })
        },
    );
    prop_oneof![
        8 => words,
        1 => prop::collection::vec(prop::sample::select(vec!["image/png", "image/*", "*/*", "text/plain"]), 0..3)
            .prop_map(|types| SearchExpr::Attachment(types.into_iter().map(String::from).collect())),
        1 => prop::sample::select(vec!["url", "phone", "ssn"]).prop_map(|kind| SearchExpr::Recognised(kind.into())),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u32, TextDoc),
    Remove(u64, Vec<u32>),
    RemoveMailbox(u64),
    Commit,
    Rest,
    Reopen,
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let mailbox = prop::sample::select(vec![1, 2, 3, u64::from(u32::MAX)]);
    let item = prop_oneof![3 => 0..12u32, 1 => 1_000..1_003u32];
    prop_oneof![
        12 => (mailbox.clone(), item.clone(), doc()).prop_map(|(m, i, d)| Step::Add(m, i, d)),
        2 => (mailbox.clone(), prop::collection::vec(item, 0..4)).prop_map(|(m, i)| Step::Remove(m, i)),
        1 => mailbox.prop_map(Step::RemoveMailbox),
        4 => Just(Step::Commit),
        1 => Just(Step::Rest),
        1 => Just(Step::Reopen),
        1 => Just(Step::Reset),
    ]
}

type Docs = BTreeMap<(u64, u32), TextDoc>;

struct Both {
    folder: PathBuf,
    indexes: Indexes,
    index: std::sync::Arc<dyn TextIndex>,
    now: Docs,
    committed: Docs,
    mark: Vec<u8>,
    commits: u32,
}

impl Both {
    fn new(folder: PathBuf) -> Self {
        let indexes = Indexes::new(folder.clone(), Settings::default());
        let index = indexes.open(GroupId(1)).unwrap();
        Both { folder, indexes, index, now: Docs::new(), committed: Docs::new(), mark: Vec::new(), commits: 0 }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Add(mailbox, item, doc) => {
                self.index.add(MailboxId(*mailbox), ItemId(*item), doc).unwrap();
                self.now.insert((*mailbox, *item), doc.clone());
            }
            Step::Remove(mailbox, items) => {
                let ids: Vec<ItemId> = items.iter().map(|i| ItemId(*i)).collect();
                self.index.remove(MailboxId(*mailbox), &ids).unwrap();
                items.iter().for_each(|i| drop(self.now.remove(&(*mailbox, *i))));
            }
            Step::RemoveMailbox(mailbox) => {
                self.index.remove_mailbox(MailboxId(*mailbox)).unwrap();
                self.now.retain(|(m, _), _| m != mailbox);
            }
            Step::Commit => {
                self.commits += 1;
                self.mark = self.commits.to_be_bytes().to_vec();
                self.index.commit(&self.mark).unwrap();
                self.committed = self.now.clone();
            }
            Step::Rest => {
                self.index.rest();
                self.now = self.committed.clone();
            }
            Step::Reopen => {
                self.index.rest();
                self.index = std::sync::Arc::new(NoIndex);
                self.indexes = Indexes::new(self.folder.clone(), Settings::default());
                self.index = self.indexes.open(GroupId(1)).unwrap();
                self.now = self.committed.clone();
            }
            Step::Reset => {
                self.index.reset().unwrap();
                self.now.clear();
                self.committed.clear();
                self.mark.clear();
            }
        }
    }

    fn compare(&self, leaves: &[SearchExpr]) {
        let view = self.index.view();
        assert_eq!(view.mark(), self.mark);
        assert_eq!(view.size().items, self.committed.len() as u64);
        let mut mailboxes: Vec<MailboxId> = self.committed.keys().map(|(m, _)| MailboxId(*m)).collect();
        mailboxes.dedup();
        assert_eq!(view.mailboxes().unwrap(), mailboxes);
        for mailbox in [1, 2, 3, u64::from(u32::MAX), 77, u64::MAX] {
            let of = |matches: &dyn Fn(&TextDoc) -> bool| -> Vec<u32> {
                self.committed.iter().filter(|((m, _), d)| *m == mailbox && matches(d)).map(|((_, i), _)| *i).collect()
            };
            let shown = |set: &ItemSet| set.iter().collect::<Vec<_>>();
            assert_eq!(shown(&view.items(MailboxId(mailbox)).unwrap()), of(&|_| true));
            for item in 0..14 {
                assert_eq!(
                    view.has(MailboxId(mailbox), ItemId(item)).unwrap(),
                    self.committed.contains_key(&(mailbox, item))
                );
            }
            for leaf in leaves {
                let found = view.find(MailboxId(mailbox), leaf).unwrap().expect("words are known");
                assert!(found.may.is_empty());
                assert_eq!(shown(&found.sure), of(&|d| self.indexes.matches(leaf, d).unwrap()), "{leaf:?}");
            }
        }
    }
}

/// Stands for an index while there is none.
struct NoIndex;
impl TextIndex for NoIndex {
    fn view(&self) -> std::sync::Arc<dyn zcluster_api::text::TextView> {
        unreachable!()
    }
    fn add(&self, _: MailboxId, _: ItemId, _: &TextDoc) -> Result<(), Error> {
        unreachable!()
    }
    fn remove(&self, _: MailboxId, _: &[ItemId]) -> Result<(), Error> {
        unreachable!()
    }
    fn remove_mailbox(&self, _: MailboxId) -> Result<(), Error> {
        unreachable!()
    }
    fn commit(&self, _: &[u8]) -> Result<(), Error> {
        unreachable!()
    }
    fn reset(&self) -> Result<(), Error> {
        unreachable!()
    }
    fn rest(&self) {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn index_and_reading_agree(steps in prop::collection::vec(step(), 1..40), leaves in prop::collection::vec(leaf(), 20..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut both = Both::new(folder.path().join("text"));
        for step in &steps {
            both.take(step);
            if matches!(step, Step::Commit | Step::Rest | Step::Reopen | Step::Reset) {
                both.compare(&leaves);
            }
        }
        both.take(&Step::Commit);
        both.compare(&leaves);
    }
}

/// Many small segments, merged while documents come, go and come again.
#[test]
fn merges_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut both = Both::new(folder.path().join("text"));
    let mut state = 1u32;
    let mut next = |n: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % n
    };
    for _ in 0..60 {
        for _ in 0..6 {
            let mailbox = 1 + u64::from(next(3));
            let text = format!("all w{} w{} x{}", next(9), next(9), next(40));
            let texts = vec![(TextField::Content, text), (TextField::Subject, format!("s{}", next(5)))];
            both.take(&Step::Add(mailbox, next(60), TextDoc { texts, ..TextDoc::default() }));
        }
        both.take(&Step::Remove(1, vec![next(60), next(60)]));
        if next(20) == 0 {
            both.take(&Step::RemoveMailbox(2));
        }
        both.take(&Step::Commit);
        if next(4) == 0 {
            both.take(&Step::Rest);
        }
    }
    let words = |text: &str| {
        SearchExpr::Words(Words { fields: vec![TextField::Content], text: text.into(), prefix: true, suffix: false })
    };
    let leaves: Vec<SearchExpr> =
        ["all", "all w1", "w1 w2", "x1", "x", "s1", "w3 w4 x"].iter().map(|t| words(t)).collect();
    both.compare(&leaves);
    both.take(&Step::Reopen);
    both.compare(&leaves);
    let segments = std::fs::read_dir(folder.path().join("text/1"))
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".idx"));
    assert!(segments.count() < 20, "60 commits were merged");
}

#[test]
fn a_wildcard_for_too_many_words() {
    let folder = tempfile::tempdir().unwrap();
    let index = Indexes::new(folder.path().to_owned(), Settings::default()).open(GroupId(1)).unwrap();
    for item in 0..300u32 {
        let text: String = (0..200).map(|i| format!("word{} ", item * 200 + i)).collect();
        let mailbox = if item < 10 { 2 } else { 1 };
        let doc = TextDoc { texts: vec![(TextField::Content, text)], ..TextDoc::default() };
        index.add(MailboxId(mailbox), ItemId(item), &doc).unwrap();
    }
    index.commit(b"x").unwrap();
    let find = |mailbox: u64, text: &str, suffix: bool| {
        let fields = vec![TextField::Content];
        index
            .view()
            .find(MailboxId(mailbox), &SearchExpr::Words(Words { fields, text: text.into(), prefix: true, suffix }))
    };
    for suffix in [false, true] {
        assert!(matches!(find(1, "wor", suffix), Err(Error::TooLarge(_))));
        assert_eq!(find(2, "wor", suffix), Ok(None), "a few messages are rather read");
        assert_eq!(find(1, "ord1234", true).unwrap().unwrap().sure.len(), 2, "1234 and 12340 to 12349");
    }
    index.rest();
}
