//! What a client that was away has missed: applied to what it knew, it must give the folder as it is, from any earlier
//! point, also from before the change log begins.

mod common;

use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use zcluster_api::mailbox::{Folder, FolderView, KeywordChange, Want, folders};
use zcluster_api::*;

/// Changes a mailbox remembers.
const KEPT: u64 = 20_000;
const BOXES: [FolderId; 2] = [folders::INBOX, folders::TRASH];

type Cache = BTreeMap<u32, (Flags, Vec<String>)>;

/// A client's picture of a folder, and the position it was taken at.
struct Picture {
    folder: FolderId,
    highest: ModSeq,
    cache: Cache,
}

fn now(rig: &Rig, folder: FolderId) -> Picture {
    let cache = rig.messages(folder).into_iter().map(|m| (m.uid.0, (m.flags, m.keywords))).collect();
    Picture { folder, highest: rig.folder(folder).highest_modseq, cache }
}

fn missed(rig: &Rig, folder: FolderId, since: ModSeq, known: Option<UidSet>) -> (UidSet, UidSet, bool) {
    match rig.ask(MailboxQuery::Missed { folder, since, known }) {
        Ok(MailboxReply::Missed { vanished, touched, modseq, exact }) => {
            assert_eq!(modseq, rig.modseq());
            (vanished, touched, exact)
        }
        other => panic!("{other:?}"),
    }
}

/// What a client does with the answer.
fn catch_up(rig: &Rig, picture: &Picture) -> (Cache, bool) {
    let (folder, since) = (picture.folder, picture.highest);
    let (vanished, mut uids, exact) = missed(rig, folder, since, None);
    let mut cache = picture.cache.clone();
    cache.retain(|uid, _| !vanished.contains(*uid));
    while !uids.is_empty() {
        let query = MailboxQuery::Messages {
            folder,
            uids: uids.clone(),
            want: Want::default(),
            changed_since: Some(since),
            limit: 7,
        };
        let Ok(MailboxReply::Messages { messages, next }) = rig.ask(query) else { panic!("messages") };
        cache.extend(messages.into_iter().map(|m| (m.uid.0, (m.flags, m.keywords))));
        uids = next.map_or_else(UidSet::new, |n| uids.intersect(&UidSet::range(n.0, u32::MAX)));
    }
    (cache, exact)
}

fn check(rig: &Rig, picture: &Picture) -> bool {
    let truth = now(rig, picture.folder).cache;
    let (cache, exact) = catch_up(rig, picture);
    assert_eq!(cache, truth, "from {:?}", picture.highest);
    // Restricted to what a client knows, the answer is the same but for the rest.
    let known: UidSet = picture.cache.keys().copied().filter(|u| u % 2 == 0).collect();
    let (all_gone, all_touched, _) = missed(rig, picture.folder, picture.highest, None);
    let (gone, touched, _) = missed(rig, picture.folder, picture.highest, Some(known.clone()));
    assert_eq!((gone, touched), (all_gone.intersect(&known), all_touched.intersect(&known)));
    assert!(all_gone.iter().all(|u| !truth.contains_key(&u)));
    assert!(all_touched.iter().all(|u| truth.contains_key(&u)));
    exact
}

#[derive(Clone, Debug)]
enum Op {
    Add(usize),
    Flag(usize, u32, u32, bool),
    Keyword(usize, u32, bool),
    Expunge(usize, u32, u32),
    Move(usize, u32, u32),
    Copy(usize, u32, u32),
    Look(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let (f, u) = (0usize..2, 1u32..30);
    prop_oneof![
        4 => f.clone().prop_map(Op::Add),
        3 => (f.clone(), u.clone(), 0u32..4, any::<bool>()).prop_map(|(f, a, n, on)| Op::Flag(f, a, n, on)),
        1 => (f.clone(), u.clone(), any::<bool>()).prop_map(|(f, u, on)| Op::Keyword(f, u, on)),
        2 => (f.clone(), u.clone(), 0u32..4).prop_map(|(f, a, n)| Op::Expunge(f, a, n)),
        2 => (f.clone(), u.clone(), 0u32..4).prop_map(|(f, a, n)| Op::Move(f, a, n)),
        1 => (f.clone(), u, 0u32..3).prop_map(|(f, a, n)| Op::Copy(f, a, n)),
        3 => f.prop_map(Op::Look),
    ]
}

fn store(folder: FolderId, uids: UidSet, on: bool, keywords: KeywordChange) -> MailboxCommand {
    let (add, remove) = if on { (Flags::FLAGGED, Flags::UNREAD) } else { (Flags::UNREAD, Flags::FLAGGED) };
    MailboxCommand::Store { folder, uids, add, remove, keywords, unchanged_since: None }
}

fn step(rig: &mut Rig, op: &Op, pictures: &mut Vec<Picture>) {
    let command = match op {
        Op::Look(f) => return pictures.push(now(rig, BOXES[*f])),
        Op::Add(f) => add(BOXES[*f], 1),
        Op::Flag(f, a, n, on) => store(BOXES[*f], UidSet::range(*a, a + n), *on, KeywordChange::Add(vec![])),
        Op::Keyword(f, u, on) => {
            let words = vec!["word".to_string()];
            let change = if *on { KeywordChange::Add(words) } else { KeywordChange::Remove(words) };
            store(BOXES[*f], UidSet::range(*u, *u), *on, change)
        }
        Op::Expunge(f, a, n) => {
            MailboxCommand::Expunge { folder: BOXES[*f], uids: UidSet::range(*a, a + n), only_deleted: false }
        }
        Op::Move(f, a, n) => {
            MailboxCommand::Move { from: BOXES[*f], uids: UidSet::range(*a, a + n), to: BOXES[1 - *f] }
        }
        Op::Copy(f, a, n) => {
            MailboxCommand::Copy { from: BOXES[*f], uids: UidSet::range(*a, a + n), to: BOXES[1 - *f] }
        }
    };
    rig.run(command).expect("nothing here can be refused");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn what_was_missed_makes_up_for_being_away(ops in prop::collection::vec(op(), 1..80)) {
        let mut rig = Rig::new();
        let mut pictures = vec![now(&rig, BOXES[0]), now(&rig, BOXES[1])];
        for op in &ops {
            step(&mut rig, op, &mut pictures);
        }
        for picture in &pictures {
            prop_assert!(check(&rig, picture), "the log reaches back");
        }
        // A position from another life of the mailbox: everything is told.
        let alien = Picture { folder: BOXES[0], highest: ModSeq(u64::MAX / 2), cache: Cache::new() };
        let (gone, touched, exact) = missed(&rig, alien.folder, alien.highest, None);
        let truth = now(&rig, alien.folder).cache;
        prop_assert!(!exact && touched.iter().eq(truth.keys().copied()));
        let next = rig.folder(alien.folder).uid_next.0;
        prop_assert!((1..next).all(|u| gone.contains(u) != truth.contains_key(&u)));
    }
}

#[test]
fn also_from_before_the_log_begins() {
    let mut rig = Rig::new();
    let mut pictures = vec![now(&rig, BOXES[0])];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..300 {
        let op = proptest::strategy::ValueTree::current(&op().new_tree(&mut runner).expect("an op"));
        step(&mut rig, &op, &mut pictures);
    }
    rig.run(add(folders::JUNK, 1)).expect("added");
    let early = rig.modseq();
    // Much happens elsewhere in the mailbox: the log is full of it.
    let mut n = 0;
    while rig.modseq().0 < early.0 + KEPT {
        n += 1;
        rig.run(store(folders::JUNK, UidSet::range(1, 1), n % 2 == 0, KeywordChange::Add(vec![]))).expect("stored");
        if n % 5_000 == 0 {
            rig.run(add(BOXES[0], 2)).expect("added");
            rig.run(MailboxCommand::Expunge { folder: BOXES[0], uids: UidSet::range(1, n / 200), only_deleted: false })
                .expect("expunged");
            pictures.push(now(&rig, BOXES[0]));
        }
    }
    let exact = pictures.iter().filter(|p| check(&rig, p)).count();
    assert!(exact >= 3 && exact < pictures.len() - 10, "{exact} of {}", pictures.len());
}

#[test]
fn folder_news_names_what_changed() {
    let mut rig = Rig::new();
    let news = |rig: &Rig, since: ModSeq| match rig.ask(MailboxQuery::FolderNews(since)) {
        Ok(MailboxReply::FolderNews { folders, tree, modseq, resync }) => {
            assert_eq!(modseq, rig.modseq());
            (folders.iter().map(|f: &Folder| f.id).collect::<Vec<_>>(), tree, resync)
        }
        other => panic!("{other:?}"),
    };
    let start = rig.modseq();
    assert_eq!(news(&rig, start), (vec![], false, false));
    rig.run(add(BOXES[0], 1)).unwrap();
    let added = rig.modseq();
    rig.run(MailboxCommand::Move { from: BOXES[0], uids: UidSet::range(1, 1), to: BOXES[1] }).unwrap();
    assert_eq!(news(&rig, added), (BOXES.to_vec(), false, false));
    let create =
        |path: &str| MailboxCommand::CreateFolder { path: path.into(), view: FolderView::Message, special_use: None };
    let moved = rig.modseq();
    let Ok(Receipt::Folder(f)) = rig.run(create("x")) else { panic!("created") };
    assert_eq!(news(&rig, moved), (vec![], true, false));
    rig.run(add(f.id, 1)).unwrap();
    let before = rig.modseq();
    rig.run(MailboxCommand::DeleteFolder { folder: f.id, was: None }).unwrap();
    assert_eq!(news(&rig, before), (vec![], true, false), "a folder that is gone is not among them");
    assert_eq!(news(&rig, ModSeq(rig.modseq().0 + 1)), (vec![], false, true));
}

#[test]
fn a_subscription_is_kept_by_name() {
    let mut rig = Rig::new();
    let create =
        |path: &str| MailboxCommand::CreateFolder { path: path.into(), view: FolderView::Message, special_use: None };
    let made = |rig: &mut Rig, path: &str| match rig.run(create(path)) {
        Ok(Receipt::Folder(f)) => f,
        other => panic!("{other:?}"),
    };
    let lost = |rig: &Rig| match rig.ask(MailboxQuery::LostSubscriptions) {
        Ok(MailboxReply::Names(names)) => names,
        other => panic!("{other:?}"),
    };
    for path in ["Work/One", "Work/Two"] {
        let f = made(&mut rig, path);
        rig.run(MailboxCommand::Subscribe { folder: f.id, subscribed: true }).unwrap();
        rig.run(MailboxCommand::DeleteFolder { folder: f.id, was: None }).unwrap();
    }
    let plain = made(&mut rig, "plain");
    rig.run(MailboxCommand::DeleteFolder { folder: plain.id, was: None }).unwrap();
    assert_eq!(lost(&rig), ["Work/One", "Work/Two"]);
    assert!(made(&mut rig, "work/ONE").subscribed);
    assert_eq!(lost(&rig), ["Work/Two"]);
    let before = rig.modseq();
    assert_eq!(rig.run(MailboxCommand::ForgetSubscription("work/two".into())), Ok(Receipt::Done));
    assert!(lost(&rig).is_empty() && rig.modseq() > before);
    assert_eq!(rig.run(MailboxCommand::ForgetSubscription("work/two".into())), Ok(Receipt::Done));
    rig.assert_replicas_agree();
}

/// Annotations raise the mailbox's position, not a folder's, and the log says which they were.
#[test]
fn metadata_news_names_what_changed() {
    use zcluster_api::sharing::{Annotation, Grantee, METADATA_NEWS_MAX, MetadataChange, RightsChange};
    let mut rig = Rig::new();
    let set = |folder, names: &[&str], value: Option<&'static [u8]>| {
        let entry = |name: &&str| Annotation { name: name.to_string(), value: value.map(Bytes::from_static) };
        MailboxCommand::SetMetadata { folder, entries: names.iter().map(entry).collect() }
    };
    let news = |rig: &Rig, since: ModSeq| match rig.ask(MailboxQuery::MetadataNews(since)) {
        Ok(MailboxReply::MetadataNews { changes, modseq, resync }) => {
            assert_eq!(modseq, rig.modseq());
            (changes, resync)
        }
        other => panic!("{other:?}"),
    };
    let change =
        |folder, names: &[&str]| MetadataChange { folder, names: names.iter().map(ToString::to_string).collect() };
    let (start, inbox) = (rig.modseq(), Some(BOXES[0]));
    assert_eq!(news(&rig, start), (vec![], false));
    rig.run(set(inbox, &["/shared/b", "/private/a", "/shared/b"], Some(b"x"))).unwrap();
    let first = rig.modseq();
    assert!(first > start);
    rig.run(set(None, &["/private/comment"], Some(b"y"))).unwrap();
    rig.run(set(inbox, &["/private/a"], None)).unwrap();
    let later = [change(None, &["/private/comment"]), change(inbox, &["/private/a"])];
    assert_eq!(news(&rig, first), (later.to_vec(), false));
    assert_eq!(news(&rig, start).0[0], change(inbox, &["/private/a", "/shared/b"]));
    // No message changed by it.
    assert!(matches!(rig.ask(MailboxQuery::FolderNews(start)),
        Ok(MailboxReply::FolderNews { folders, tree: false, resync: false, .. }) if folders.is_empty()));
    // What others keep for themselves is theirs.
    let other = AccountId([7; 16]);
    rig.run(MailboxCommand::SetAcl {
        folder: BOXES[0],
        grantee: Grantee::Account(other),
        negative: false,
        change: RightsChange::Replace("lrw".parse().unwrap()),
    })
    .unwrap();
    let before = rig.modseq();
    rig.actor = Some(other);
    rig.run(set(inbox, &["/private/theirs"], Some(b"z"))).unwrap();
    rig.run(set(inbox, &["/private/theirs", "/shared/ours"], Some(b"z"))).unwrap();
    rig.actor = None;
    assert_eq!(news(&rig, before), (vec![change(inbox, &["/shared/ours"])], false));
    // Too much, or too long ago.
    let before = rig.modseq();
    for _ in 0..METADATA_NEWS_MAX {
        rig.run(set(inbox, &["/shared/b"], Some(b"x"))).unwrap();
    }
    assert_eq!(news(&rig, before).0.len(), METADATA_NEWS_MAX);
    rig.run(set(inbox, &["/shared/b"], Some(b"x"))).unwrap();
    assert_eq!(news(&rig, before), (vec![], true));
    assert_eq!(news(&rig, ModSeq(rig.modseq().0 + 1)), (vec![], true));
    rig.assert_replicas_agree();
}
