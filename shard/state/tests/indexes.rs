//! Searches with what earlier ones have read of a folder, against searches without, and SORT against a plain one.

mod common;

use common::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::cmp::Ordering;
use zcluster_api::mailbox::{FolderView, KeywordChange, folders};
use zcluster_api::sort::{SortBy, SortCriterion, SortKeys, Threading};
use zcluster_api::*;
use zcluster_state::memory::PlainText;
use zcluster_state::{Asking, FolderIndex, Indexes, Table, read_mailbox_with};

const INBOX: FolderId = folders::INBOX;

fn ask(rig: &Rig, kept: &Kept, query: &MailboxQuery) -> Result<MailboxReply> {
    let Rig { mailbox, epoch, quota, actor, .. } = *rig;
    read_mailbox_with(&rig.kv, Asking { group: GROUP, mailbox, epoch, quota, actor }, query, &PlainText, kept)
}

#[derive(Clone, Debug)]
enum Step {
    /// So many messages, beginning with this one.
    Add(u8, u8),
    Store(UidSet, bool, u8),
    Copy(UidSet),
    Away(UidSet),
    Back,
    Expunge(UidSet),
    Ask(Vec<MailboxQuery>),
    /// An older view than the index is at.
    AskBefore(MailboxQuery),
}

fn uids() -> impl Strategy<Value = UidSet> {
    prop::collection::vec((1u32..60, 0u32..9), 1..4)
        .prop_map(|runs| runs.into_iter().flat_map(|(first, n)| first..=first + n).collect())
}

fn expr() -> impl Strategy<Value = SearchExpr> {
    use SearchExpr as E;
    let leaf = prop_oneof![
        3 => Just(E::All),
        2 => prop::sample::select(vec![Flags::FLAGGED, Flags::UNREAD]).prop_map(E::Flags),
        2 => prop::sample::select(vec!["k0", "K1", "none"]).prop_map(|k| E::Keyword(k.into())),
        1 => uids().prop_map(E::Uids),
        1 => (0u64..80).prop_map(E::Larger),
        1 => (0i64..6, 0i64..6).prop_map(|(from_day, n)| E::Sent { from_day, to_day: from_day + n }),
        1 => prop::sample::select(vec!["a", "bb", "c"]).prop_map(|w| E::Text(w.into())),
        1 => (256u32..330).prop_map(|i| E::Email(ItemId(i))),
        1 => (256u32..330).prop_map(|i| E::Thread(ItemId(i))),
        1 => (0u64..60).prop_map(|m| E::ModSeq(ModSeq(m))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(E::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(E::Or),
            inner.prop_map(|e| E::Not(Box::new(e))),
        ]
    })
}

const CRITERIA: [SortBy; 9] = [
    SortBy::Arrival,
    SortBy::Cc,
    SortBy::Date,
    SortBy::From,
    SortBy::Size,
    SortBy::Subject,
    SortBy::To,
    SortBy::DisplayFrom,
    SortBy::DisplayTo,
];

fn query() -> impl Strategy<Value = MailboxQuery> {
    let by = (prop::sample::select(CRITERIA.to_vec()), any::<bool>())
        .prop_map(|(by, reverse)| SortCriterion { by, reverse });
    let threading = prop::sample::select(vec![Threading::OrderedSubject, Threading::References, Threading::Refs]);
    let at = (prop::option::weighted(0.3, uids()), expr()).boxed();
    let folder = INBOX;
    prop_oneof![
        at.clone().prop_map(move |(within, expr)| MailboxQuery::Search { folder, within, expr }),
        (at.clone(), prop::collection::vec(by, 1..3)).prop_map(move |((within, expr), by)| MailboxQuery::Sort {
            folder,
            within,
            expr,
            by
        }),
        (at, threading).prop_map(move |((within, expr), threading)| MailboxQuery::Thread {
            folder,
            within,
            expr,
            threading
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u8>(), 1u8..24).prop_map(|(n, count)| Step::Add(n, count)),
        3 => (uids(), any::<bool>(), 0u8..3).prop_map(|(uids, set, k)| Step::Store(uids, set, k)),
        1 => uids().prop_map(Step::Copy),
        1 => uids().prop_map(Step::Away),
        1 => Just(Step::Back),
        2 => uids().prop_map(Step::Expunge),
        8 => prop::collection::vec(query(), 1..5).prop_map(Step::Ask),
        1 => query().prop_map(Step::AskBefore),
    ]
}

/// Message `n`: what it has is a matter of `n`, and much of it others have, too.
fn keys(n: u8) -> SortKeys {
    let text = |of: u8, words: &[&str]| words[usize::from(n / of) % words.len()].to_string();
    let sent_ms = (n % 3 != 2).then_some(i64::from(n % 7) * 86_400_000);
    SortKeys {
        sent_ms,
        sent_day: sent_ms.map(|ms| ms / 86_400_000),
        subject: text(1, &["", "A", "AA", "AB", "B", "LONGER THAN EIGHT", "LONGER THAN TEN", "Z"]),
        reply: n % 5 < 2,
        from: text(3, &["x", "y", ""]),
        to: text(2, &["t", "u"]),
        cc: text(5, &["", "c", "d"]),
        display_from: text(7, &["Q", "P"]),
        display_to: text(4, &["M", "N", "O"]),
        id: (!n.is_multiple_of(8)).then_some(u64::from(n % 32)),
        references: (0..n % 4).map(|r| u64::from((n / 2 + r * 5) % 32)).collect(),
    }
}

fn carry_out(rig: &mut Rig, step: &Step) {
    let command = match step {
        Step::Add(first, count) => {
            for n in (0..*count).map(|i| first.wrapping_add(i)) {
                let mut new = message(INBOX, inline(&content(n % 8)));
                new.internal_ms = i64::from(n) * 1_000;
                new.flags = if n % 2 == 0 { Flags::FLAGGED } else { Flags::UNREAD };
                new.keywords = if n % 3 == 0 { vec!["k0".into()] } else { vec![] };
                new.parsed.sent_ms = keys(n).sent_ms;
                // Some are from before keys were kept.
                new.parsed.keys = (n % 11 != 0).then(|| Box::new(keys(n)));
                rig.run(MailboxCommand::AddMessage(new)).unwrap();
            }
            return;
        }
        Step::Store(uids, set, keyword) => MailboxCommand::Store {
            folder: INBOX,
            uids: uids.clone(),
            add: if *set { Flags::FLAGGED } else { Flags::default() },
            remove: if *set { Flags::default() } else { Flags::UNREAD },
            keywords: match (keyword, set) {
                (0, _) => KeywordChange::Add(vec![]),
                (k, true) => KeywordChange::Add(vec![format!("k{}", k - 1)]),
                (k, false) => KeywordChange::Remove(vec![format!("K{}", k - 1)]),
            },
            unchanged_since: None,
        },
        Step::Copy(uids) => MailboxCommand::Copy { from: INBOX, uids: uids.clone(), to: INBOX },
        Step::Away(uids) => MailboxCommand::Move { from: INBOX, uids: uids.clone(), to: folders::TRASH },
        Step::Back => MailboxCommand::Move { from: folders::TRASH, uids: UidSet::range(1, 900), to: INBOX },
        Step::Expunge(uids) => MailboxCommand::Expunge { folder: INBOX, uids: uids.clone(), only_deleted: false },
        Step::Ask(_) | Step::AskBefore(_) => return,
    };
    rig.run(command).unwrap();
}

/// What SORT compares of a message, as RFC 5256 says it.
fn compare(by: SortBy, a: &(mailbox::Message, SortKeys), b: &(mailbox::Message, SortKeys)) -> Ordering {
    let date = |m: &(mailbox::Message, SortKeys)| m.1.sent_ms.unwrap_or(m.0.internal_ms);
    match by {
        SortBy::Arrival => a.0.internal_ms.cmp(&b.0.internal_ms),
        SortBy::Date => date(a).cmp(&date(b)),
        SortBy::Size => a.0.size.cmp(&b.0.size),
        SortBy::Cc => a.1.cc.cmp(&b.1.cc),
        SortBy::From => a.1.from.cmp(&b.1.from),
        SortBy::To => a.1.to.cmp(&b.1.to),
        SortBy::Subject => a.1.subject.cmp(&b.1.subject),
        SortBy::DisplayFrom => a.1.display_from.cmp(&b.1.display_from),
        SortBy::DisplayTo => a.1.display_to.cmp(&b.1.display_to),
    }
}

/// Sorts the folder by looking at every message; the messages' keys are told by their time of arrival.
fn plainly_sorted(rig: &Rig, found: &UidSet, by: &[SortCriterion]) -> Vec<u32> {
    let mut all: Vec<(mailbox::Message, SortKeys)> = rig
        .messages(INBOX)
        .into_iter()
        .filter(|m| found.contains(m.uid.0))
        .map(|m| {
            let n = (m.internal_ms / 1_000) as u8;
            let old = SortKeys { sent_ms: keys(n).sent_ms, ..SortKeys::default() };
            (m, if n.is_multiple_of(11) { old } else { keys(n) })
        })
        .collect();
    all.sort_by(|a, b| {
        let one = |c: &SortCriterion| {
            let order = compare(c.by, a, b);
            if c.reverse { order.reverse() } else { order }
        };
        by.iter().map(one).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    });
    all.into_iter().map(|(m, _)| m.uid.0).collect()
}

fn check(rig: &Rig, kept: &Kept, query: &MailboxQuery) -> std::result::Result<(), TestCaseError> {
    let (with, without) = (ask(rig, kept, query), rig.ask(query.clone()));
    prop_assert_eq!(&with, &without, "{:?}", query);
    if let MailboxQuery::Sort { folder, within, expr, by } = query {
        let search = MailboxQuery::Search { folder: *folder, within: within.clone(), expr: expr.clone() };
        let (Ok(MailboxReply::Found { uids: found, .. }), Ok(MailboxReply::Sorted { uids, .. })) =
            (rig.ask(search), with)
        else {
            panic!()
        };
        prop_assert_eq!(uids, plainly_sorted(rig, &found, by), "{:?}", query);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn answers_are_the_same_with_an_index(
        steps in prop::collection::vec(step(), 1..24),
        room in prop::sample::select(vec![1usize << 20, 1 << 20, 4_000]),
    ) {
        let mut rig = Rig::new();
        let kept = Kept::new(room);
        for step in &steps {
            match step {
                Step::Ask(queries) => queries.iter().try_for_each(|query| check(&rig, &kept, query))?,
                Step::AskBefore(query) => {
                    let before = rig.kv.clone();
                    carry_out(&mut rig, &Step::Add(9, 1));
                    check(&rig, &kept, query)?;
                    let now = std::mem::replace(&mut rig.kv, before);
                    let older = Kept { kept: RefCell::new(kept.kept.borrow().clone()), ..Kept::new(room) };
                    let answer = read_mailbox_with(
                        &rig.kv,
                        Asking { group: GROUP, mailbox: BOX, epoch: EPOCH, quota: 0, actor: None },
                        query,
                        &PlainText,
                        &Forgetful(&older),
                    );
                    prop_assert_eq!(answer, rig.ask(query.clone()));
                    rig.kv = now;
                }
                step => carry_out(&mut rig, step),
            }
        }
        rig.assert_replicas_agree();
    }
}

/// Tells what is kept, and takes nothing: what a question to an older view leaves is not what is looked at.
struct Forgetful<'a>(&'a Kept);

impl Indexes for Forgetful<'_> {
    fn get(&self, mailbox: MailboxId, folder: FolderId) -> Option<FolderIndex> {
        self.0.get(mailbox, folder)
    }
    fn keep(&self, _: MailboxId, _: FolderId, _: FolderIndex) {}
    fn drop(&self, _: MailboxId, _: FolderId) {}
    fn room(&self) -> usize {
        self.0.room
    }
}

fn subjects() -> MailboxQuery {
    let by = vec![SortCriterion { by: SortBy::Subject, reverse: false }];
    MailboxQuery::Sort { folder: INBOX, within: None, expr: SearchExpr::All, by }
}

#[test]
fn an_index_reads_only_what_changed() {
    let mut rig = Rig::new();
    carry_out(&mut rig, &Step::Add(0, 60));
    let kept = Kept::new(1 << 20);
    let before = ask(&rig, &kept, &subjects()).unwrap();
    assert_eq!(kept.hits.get(), 0);
    // Rows that are damaged later show that nobody reads them again.
    let mut row = BOX.0.to_be_bytes().to_vec();
    row.extend_from_slice(&INBOX.0.to_be_bytes());
    row.extend_from_slice(&7u32.to_be_bytes());
    rig.damage(Table::Hot, &row);
    assert!(matches!(rig.ask(subjects()), Err(Error::Internal(_))));
    assert_eq!(ask(&rig, &kept, &subjects()).unwrap(), before);
    rig.run(MailboxCommand::Expunge { folder: INBOX, uids: UidSet::range(3, 4), only_deleted: false }).unwrap();
    carry_out(&mut rig, &Step::Add(60, 2));
    let MailboxReply::Sorted { uids, .. } = ask(&rig, &kept, &subjects()).unwrap() else { panic!() };
    assert_eq!(uids.len(), 60);
    let mut sorted = uids.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq((1..=62).filter(|uid| *uid != 3 && *uid != 4)));
}

#[test]
fn a_record_that_is_too_short_is_not_relied_on() {
    let mut rig = Rig::new();
    carry_out(&mut rig, &Step::Add(0, 3));
    let kept = Kept::new(1 << 20);
    ask(&rig, &kept, &subjects()).unwrap();
    // Changes elsewhere cost nothing, however many.
    for n in 0..4_200 {
        rig.run(MailboxCommand::Subscribe { folder: folders::SENT, subscribed: n % 2 == 0 }).unwrap();
    }
    assert!(rig.modseq().0 > 4_200);
    assert_eq!(ask(&rig, &kept, &subjects()), rig.ask(subjects()));
    // Many here, after which all is read anew.
    for n in 0..4_200u32 {
        let add = if n % 2 == 0 { Flags::FLAGGED } else { Flags::default() };
        let remove = if n % 2 == 0 { Flags::default() } else { Flags::FLAGGED };
        let (keywords, uids) = (KeywordChange::Add(vec![]), UidSet::range(1, 1));
        let store = MailboxCommand::Store { folder: INBOX, uids, add, remove, keywords, unchanged_since: None };
        rig.run(store).unwrap();
    }
    let flagged = MailboxQuery::Search { folder: INBOX, within: None, expr: SearchExpr::Flags(Flags::FLAGGED) };
    assert_eq!(ask(&rig, &kept, &flagged), rig.ask(flagged));
}

#[test]
fn a_folder_made_anew_is_another_one() {
    let mut rig = Rig::new();
    let make = |rig: &mut Rig| {
        let command = MailboxCommand::CreateFolder { path: "X".into(), view: FolderView::Message, special_use: None };
        match rig.run(command) {
            Ok(Receipt::Folder(folder)) => folder.id,
            other => panic!("{other:?}"),
        }
    };
    let folder = make(&mut rig);
    carry_out(&mut rig, &Step::Add(0, 5));
    rig.run(MailboxCommand::Copy { from: INBOX, uids: UidSet::range(1, 3), to: folder }).unwrap();
    let kept = Kept::new(1 << 20);
    let all = |folder| MailboxQuery::Search { folder, within: None, expr: SearchExpr::Larger(0) };
    let found = ask(&rig, &kept, &all(folder)).unwrap();
    assert!(matches!(found, MailboxReply::Found { uids, .. } if uids.len() == 3));
    while rig.run(MailboxCommand::DeleteFolder { folder, was: None }) == Ok(Receipt::Deleted { more: true }) {}
    assert!(matches!(ask(&rig, &kept, &all(folder)), Err(Error::NotFound(_))));
}
