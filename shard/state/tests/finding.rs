//! Search, Sort, Thread and thread ids, against what is written down here a second time, plainly.

mod common;

use common::*;
use proptest::prelude::*;
use zcluster_api::mailbox::{KeywordChange, NewMessage, folders};
use zcluster_api::sort::{SortBy, SortCriterion, SortKeys, Threading};
use zcluster_api::*;
use zcluster_state::Table;

const INBOX: FolderId = folders::INBOX;

fn keyed(n: u8, keys: SortKeys) -> NewMessage {
    let mut new = message(INBOX, inline(&content(n)));
    new.internal_ms = i64::from(n) * 1_000;
    new.parsed.sent_ms = keys.sent_ms;
    new.parsed.keys = Some(Box::new(keys));
    new
}

fn put(rig: &mut Rig, new: NewMessage) -> u32 {
    match rig.run(MailboxCommand::AddMessage(new)) {
        Ok(Receipt::Added { uid, .. }) => uid.0,
        other => panic!("{other:?}"),
    }
}

fn sorted(rig: &Rig, by: &[(SortBy, bool)]) -> Vec<u32> {
    let by = by.iter().map(|(by, reverse)| SortCriterion { by: *by, reverse: *reverse }).collect();
    match rig.ask(MailboxQuery::Sort { folder: INBOX, within: None, expr: SearchExpr::All, by }) {
        Ok(MailboxReply::Sorted { uids, highest_modseq }) => {
            assert_eq!(highest_modseq.is_some(), !uids.is_empty());
            uids
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sorts() {
    let mut rig = Rig::new();
    let keys = |subject: &str, from: &str, sent_ms| SortKeys {
        subject: subject.into(),
        from: from.into(),
        sent_ms,
        ..SortKeys::default()
    };
    for (n, k) in
        [keys("B", "X", Some(9_000)), keys("A", "X", None), keys("AB", "", Some(-5)), keys("A", "Y", Some(1_500))]
            .into_iter()
            .enumerate()
    {
        put(&mut rig, keyed(3 - n as u8, k));
    }
    use SortBy::*;
    assert_eq!(sorted(&rig, &[(Arrival, false)]), [4, 3, 2, 1]);
    assert_eq!(sorted(&rig, &[(Size, false)]), [4, 3, 2, 1]);
    assert_eq!(sorted(&rig, &[(Size, true)]), [1, 2, 3, 4]);
    assert_eq!(sorted(&rig, &[(Date, false)]), [3, 4, 2, 1], "INTERNALDATE stands in for a missing date");
    assert_eq!(sorted(&rig, &[(Subject, false)]), [2, 4, 3, 1]);
    assert_eq!(sorted(&rig, &[(Subject, true)]), [1, 3, 2, 4], "equal ones stay by UID");
    assert_eq!(sorted(&rig, &[(Subject, false), (Arrival, false)]), [4, 2, 3, 1]);
    assert_eq!(sorted(&rig, &[(From, false), (Subject, false)]), [3, 2, 1, 4]);
    assert_eq!(sorted(&rig, &[(From, true), (Subject, true)]), [4, 1, 2, 3]);
    assert_eq!(sorted(&rig, &[(Cc, false)]), [1, 2, 3, 4]);
    let by = vec![SortCriterion { by: Size, reverse: false }; 17];
    let many = rig.ask(MailboxQuery::Sort { folder: INBOX, within: None, expr: SearchExpr::All, by });
    assert!(matches!(many, Err(Error::Invalid(_))));
    let expr = SearchExpr::Not(Box::new(SearchExpr::Larger(25)));
    let by = vec![SortCriterion { by: Subject, reverse: false }];
    let some = rig.ask(MailboxQuery::Sort { folder: INBOX, within: Some(UidSet::range(1, 3)), expr, by }).unwrap();
    assert!(matches!(some, MailboxReply::Sorted { uids, .. } if uids == [3]));
}

#[test]
fn copies_keep_their_keys_and_removal_takes_them() {
    let mut rig = Rig::new();
    let k = SortKeys { subject: "S".into(), id: Some(5), ..SortKeys::default() };
    put(&mut rig, keyed(1, k));
    rig.run(MailboxCommand::Copy { from: INBOX, uids: UidSet::range(1, 1), to: folders::TRASH }).unwrap();
    let (a, b) = (rig.messages(INBOX).remove(0), rig.messages(folders::TRASH).remove(0));
    assert_eq!((a.copy_of, b.copy_of, a.thread, b.thread), (None, Some(a.item), Some(a.item), Some(a.item)));
    rig.run(MailboxCommand::Copy { from: folders::TRASH, uids: UidSet::range(1, 1), to: INBOX }).unwrap();
    assert_eq!(rig.messages(INBOX)[1].copy_of, Some(a.item), "a copy's copy is the first one's");
    assert_eq!(rig.count(Table::Keys), 3);
    let find = |expr| match rig.ask(MailboxQuery::Search { folder: INBOX, within: None, expr }) {
        Ok(MailboxReply::Found { uids, .. }) => uids.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(find(SearchExpr::Email(a.item)), "1:2");
    assert_eq!(find(SearchExpr::Email(b.item)), "");
    assert_eq!(find(SearchExpr::Thread(a.item)), "1:2");
    rig.run(MailboxCommand::Expunge { folder: INBOX, uids: UidSet::range(1, 9), only_deleted: false }).unwrap();
    assert_eq!((rig.count(Table::Keys), rig.count(Table::Cold)), (1, 1));
    while rig.run(MailboxCommand::DeleteMailbox) == Ok(Receipt::Deleted { more: true }) {}
    assert_eq!([Table::Keys, Table::Thread, Table::ThreadOrder].map(|t| rig.count(t)), [0; 3]);
    rig.assert_replicas_agree();
}

#[test]
fn threads_and_their_ids() {
    let mut rig = Rig::new();
    let k = |id, references: &[u64]| SortKeys { id: Some(id), references: references.to_vec(), ..SortKeys::default() };
    // An answer, its question (late), another thread, one that ties both, one without ids.
    for (n, keys) in [k(2, &[1]), k(1, &[]), k(9, &[]), k(5, &[9, 2]), SortKeys::default()].into_iter().enumerate() {
        put(&mut rig, keyed(n as u8, keys));
    }
    let all = rig.messages(INBOX);
    let (first, third) = (all[0].item, all[2].item);
    let ids: Vec<_> = all.iter().map(|m| m.thread).collect();
    assert_eq!(ids, [Some(first), Some(first), Some(third), Some(first), Some(all[4].item)]);
    let threads = |threading| {
        let query = MailboxQuery::Thread { folder: INBOX, within: None, expr: SearchExpr::All, threading };
        match rig.ask(query) {
            Ok(MailboxReply::Threads(nodes)) => nodes.iter().map(|n| (n.uid, n.children)).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(threads(Threading::References), [(2, 1), (1, 1), (4, 0), (3, 0), (5, 0)]);
    assert_eq!(threads(Threading::OrderedSubject), [(1, 4), (2, 0), (3, 0), (4, 0), (5, 0)]);
    assert_eq!(threads(Threading::Refs), [(3, 0), (2, 1), (1, 1), (4, 0), (5, 0)]);
    let bad = rig.ask(MailboxQuery::Thread {
        folder: FolderId(99),
        within: None,
        expr: SearchExpr::All,
        threading: Threading::Refs,
    });
    assert!(matches!(bad, Err(Error::NotFound(_))));
}

#[test]
fn old_messages_have_keys_made_for_them() {
    let mut rig = Rig::new();
    for (n, day) in [(0, 5), (1, 3), (2, 4)] {
        let mut new = message(INBOX, inline(&content(n)));
        new.parsed.sent_ms = Some(day * 86_400_000);
        put(&mut rig, new);
    }
    assert_eq!(rig.count(Table::Keys), 0);
    assert!(rig.messages(INBOX).iter().all(|m| m.thread.is_none()));
    assert_eq!(sorted(&rig, &[(SortBy::Date, false)]), [2, 3, 1]);
}

/// Conditions over what the messages of the property below have.
fn expr() -> impl Strategy<Value = SearchExpr> {
    use SearchExpr as E;
    let word = prop::sample::select(vec!["a", "b", "c", "aa", "zz"]);
    let leaf = prop_oneof![
        Just(E::All),
        (1u32..12, 0u32..5).prop_map(|(a, n)| E::Uids(UidSet::range(a, a + n))),
        prop::sample::select(vec![Flags::FLAGGED, Flags::UNREAD, Flags::default()]).prop_map(E::Flags),
        prop::sample::select(vec!["k", "K2", "none"]).prop_map(|k| E::Keyword(k.into())),
        (0u64..60).prop_map(E::Larger),
        (0u64..60).prop_map(E::Smaller),
        (0i64..6, 0i64..6).prop_map(|(from, n)| E::Internal { from_ms: from * 1_000, to_ms: (from + n) * 1_000 }),
        (0i64..6, 0i64..6).prop_map(|(from_day, n)| E::Sent { from_day, to_day: from_day + n }),
        word.clone().prop_map(|w| E::Text(w.into())),
        word.prop_map(|w| E::Body(w.into())),
        (256u32..270).prop_map(|i| E::Email(ItemId(i))),
        (256u32..270).prop_map(|i| E::Thread(ItemId(i))),
        (0u64..20).prop_map(|m| E::ModSeq(ModSeq(m))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(E::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(E::Or),
            inner.prop_map(|e| E::Not(Box::new(e))),
        ]
    })
}

/// One condition, tried on a message as it is told.
fn holds(e: &SearchExpr, m: &mailbox::Message, body: &str) -> bool {
    use SearchExpr as E;
    match e {
        E::All => true,
        E::And(list) => list.iter().all(|e| holds(e, m, body)),
        E::Or(list) => list.iter().any(|e| holds(e, m, body)),
        E::Not(e) => !holds(e, m, body),
        E::Uids(set) => set.contains(m.uid.0),
        E::Flags(f) => m.flags.contains(*f),
        E::Keyword(k) => m.keywords.iter().any(|have| have.eq_ignore_ascii_case(k)),
        E::Larger(n) => m.size > *n,
        E::Smaller(n) => m.size < *n,
        E::Internal { from_ms, to_ms } => (*from_ms..*to_ms).contains(&m.internal_ms),
        E::Saved { from_ms, to_ms } => (*from_ms..*to_ms).contains(&m.saved_ms),
        E::Sent { from_day, to_day } => {
            // Message n was sent on day n of the epoch, every third without a date.
            let n = i64::from(m.size as u32 / 10 - 1);
            n % 3 != 2 && (*from_day..*to_day).contains(&n)
        }
        E::Text(t) => body.contains(t.as_str()),
        // PlainText: without an empty line all is header.
        E::Body(t) => t.is_empty(),
        E::Email(i) => m.copy_of.unwrap_or(m.item) == *i,
        E::Thread(i) => m.thread == Some(*i),
        E::ModSeq(s) => m.modseq >= *s,
        E::Header { .. } => false,
        other => panic!("{other:?} is not asked for here"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn search_agrees_with_a_plain_evaluation(
        kinds in prop::collection::vec((0u8..5, any::<bool>(), any::<bool>(), 0u64..6), 0..14),
        copy in any::<bool>(),
        exprs in prop::collection::vec(expr(), 1..6),
    ) {
        let mut rig = Rig::new();
        for (n, with_keys, flagged, id) in kinds {
            let sent_ms = (n % 3 != 2).then_some(i64::from(n) * 86_400_000);
            let keys = SortKeys {
                sent_ms,
                sent_day: sent_ms.map(|_| n.into()),
                id: (id > 0).then_some(id),
                references: vec![id / 2 + 1],
                ..SortKeys::default()
            };
            let mut new = keyed(n, keys);
            if !with_keys {
                new.parsed.keys = None;
            }
            new.flags = if flagged { Flags::FLAGGED } else { Flags::UNREAD };
            new.keywords = if flagged { vec!["k".into(), "K2".into()] } else { vec![] };
            put(&mut rig, new);
        }
        if copy {
            rig.run(MailboxCommand::Copy { from: INBOX, uids: UidSet::range(1, 4), to: INBOX }).unwrap();
            rig.run(MailboxCommand::Store {
                folder: INBOX,
                uids: UidSet::range(2, 3),
                add: Flags::UNREAD,
                remove: Flags::default(),
                keywords: KeywordChange::Add(vec![]),
                unchanged_since: None,
            }).unwrap();
        }
        let all = rig.messages(INBOX);
        for expr in exprs {
            let want: Vec<u32> = all
                .iter()
                .filter(|m| {
                    let body = String::from_utf8(content((m.size / 10 - 1) as u8)).unwrap();
                    holds(&expr, m, &body)
                })
                .map(|m| m.uid.0)
                .collect();
            let query = MailboxQuery::Search { folder: INBOX, within: None, expr: expr.clone() };
            let Ok(MailboxReply::Found { uids, .. }) = rig.ask(query) else { panic!() };
            prop_assert_eq!(uids.iter().collect::<Vec<_>>(), want.clone(), "{:?}", expr);
            let by = vec![SortCriterion { by: SortBy::Date, reverse: false }];
            let Ok(MailboxReply::Sorted { mut uids, .. }) =
                rig.ask(MailboxQuery::Sort { folder: INBOX, within: None, expr, by }) else { panic!() };
            uids.sort_unstable();
            prop_assert_eq!(uids, want);
        }
        rig.assert_replicas_agree();
    }
}
