//! `Find` against a plain reading of all messages: what is found, in which order, page by page, with folders kept in memory
//! and without, with an index of texts that lacks some messages and without.

mod common;

use common::*;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::find::{Find, FindBy, FindCursor, FindKey, FindOrder, Hit};
use zcluster_api::mailbox::{FolderView, folders};
use zcluster_api::search::{Comparison, InFolder};
use zcluster_api::sort::{SortBy, SortKeys};
use zcluster_api::text::Marked;
use zcluster_api::*;
use zcluster_state::memory::PlainText;
use zcluster_state::{Asking, Candidate, Content, read_mailbox_with};

/// What message `n` is sorted by: much of it others have, too.
fn keys(n: u8) -> SortKeys {
    let text = |of: u8, words: &[&str]| words[usize::from(n / of) % words.len()].to_string();
    SortKeys {
        subject: text(1, &["", "A", "AB", "B", "LONGER THAN EIGHT", "LONGER THAN TEN"]),
        display_from: text(3, &["Q", "P", ""]),
        display_to: text(4, &["M", "N", "O"]),
        id: Some(u64::from(n)),
        references: if n % 3 == 1 { vec![u64::from(n / 4)] } else { Vec::new() },
        ..SortKeys::default()
    }
}

/// Finds text as [`PlainText`] does, and knows beforehand what it would find of items whose number is no multiple of five.
struct Indexed<'a>(&'a BTreeMap<u32, Vec<u8>>);

impl Content for Indexed<'_> {
    fn matches(&self, leaf: &SearchExpr, candidate: &Candidate<'_>) -> Result<bool> {
        PlainText.matches(leaf, candidate)
    }
    fn marked(&self, _: MailboxId, leaf: &SearchExpr) -> Result<Option<Marked>> {
        let SearchExpr::Text(text) = leaf else { return Ok(None) };
        if text == "c" {
            return Ok(None);
        }
        let mut marked = Marked::default();
        for (item, body) in self.0 {
            let has = String::from_utf8_lossy(body).contains(text);
            match item % 5 {
                0 => marked.may.insert(*item),
                _ if has => marked.sure.insert(*item),
                _ => {}
            }
        }
        Ok(Some(marked))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8, u8),
    Move(u8, UidSet, u8),
    Expunge(u8, UidSet),
    Delete(UidSet),
}

/// Inbox, Trash, a folder, a folder in it.
const FOLDERS: usize = 4;

fn uids() -> impl Strategy<Value = UidSet> {
    prop::collection::vec((1u32..30, 0u32..5), 1..3)
        .prop_map(|runs| runs.into_iter().flat_map(|(first, n)| first..=first + n).collect())
}

fn step() -> impl Strategy<Value = Step> {
    let folder = 0..FOLDERS as u8;
    prop_oneof![
        5 => (any::<u8>(), 0..FOLDERS as u8).prop_map(|(n, to)| Step::Add(n, to)),
        1 => (folder.clone(), uids(), folder.clone()).prop_map(|(from, uids, to)| Step::Move(from, uids, to)),
        1 => (folder, uids()).prop_map(|(folder, uids)| Step::Expunge(folder, uids)),
        1 => uids().prop_map(Step::Delete),
    ]
}

fn expr() -> impl Strategy<Value = SearchExpr> {
    use SearchExpr as E;
    let place = |path: &str, below| E::In(InFolder { id: None, path: path.into(), below });
    let is = prop::sample::select(vec![
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    let leaf = prop_oneof![
        2 => Just(E::All),
        2 => Just(E::Flags(Flags::FLAGGED)),
        1 => prop::collection::btree_set(256u32..300, 0..20).prop_map(|items| E::Items(items.into_iter().collect())),
        2 => prop::sample::select(vec!["a", "bb", "c", "d"]).prop_map(|w| E::Text(w.into())),
        1 => prop::sample::select(vec![place("inbox", false), place("A", true), place("a/b", false), place("", true)]),
        1 => Just(E::In(InFolder { id: Some(folders::TRASH), path: String::new(), below: true })),
        1 => (0u32..4, 1u32..4).prop_map(|(from, n)| E::ConversationSize { from, to: from + n }),
        1 => (is, any::<bool>()).prop_map(|(is, subject)| E::Compare {
            by: if subject { SortBy::Subject } else { SortBy::DisplayFrom },
            is,
            text: "b".into()
        }),
        1 => (256u32..300).prop_map(|i| E::Thread(ItemId(i))),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(E::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(E::Or),
            inner.prop_map(|e| E::Not(Box::new(e))),
        ]
    })
}

const ORDERS: [FindBy; 8] = [
    FindBy::Id,
    FindBy::Date,
    FindBy::Subject,
    FindBy::Name,
    FindBy::Recipient,
    FindBy::Size,
    FindBy::Flag,
    FindBy::Read,
];

fn question() -> impl Strategy<Value = Find> {
    let order = (prop::sample::select(ORDERS.to_vec()), any::<bool>());
    (expr(), order, any::<bool>(), any::<bool>(), 1u32..6).prop_map(
        |(expr, (by, descending), conversations, deleted, limit)| Find {
            expr,
            order: FindOrder { by, descending },
            conversations,
            after: None,
            offset: 0,
            limit,
            deleted,
            dumpster: None,
        },
    )
}

struct World {
    rig: Rig,
    folders: [FolderId; FOLDERS],
}

/// A message as a plain reading sees it.
#[derive(Clone)]
struct Seen {
    n: u8,
    folder: usize,
    message: mailbox::Message,
    body: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let mut rig = Rig::new();
        let mut make = |path: &str| {
            let command =
                MailboxCommand::CreateFolder { path: path.into(), view: FolderView::Message, special_use: None };
            rig.run(command).unwrap();
            match rig.ask(MailboxQuery::FolderByPath(path.into())) {
                Ok(MailboxReply::Folders(list)) => list[0].id,
                other => panic!("{other:?}"),
            }
        };
        let folders = [folders::INBOX, folders::TRASH, make("A"), make("A/B")];
        World { rig, folders }
    }

    fn carry_out(&mut self, step: &Step) {
        let at = |n: &u8| self.folders[usize::from(*n)];
        let command = match step {
            Step::Add(n, folder) => {
                let mut new = message(at(folder), inline(&content(n % 8)));
                new.internal_ms = i64::from(*n) * 1_000;
                new.flags = if n % 2 == 0 { Flags::FLAGGED } else { Flags::UNREAD };
                new.parsed.keys = Some(Box::new(keys(*n)));
                MailboxCommand::AddMessage(new)
            }
            Step::Move(from, uids, to) if from != to => {
                MailboxCommand::Move { from: at(from), uids: uids.clone(), to: at(to) }
            }
            Step::Move(from, uids, _) | Step::Expunge(from, uids) => {
                MailboxCommand::Expunge { folder: at(from), uids: uids.clone(), only_deleted: false }
            }
            Step::Delete(uids) => MailboxCommand::Store {
                folder: at(&0),
                uids: uids.clone(),
                add: Flags::DELETED,
                remove: Flags::default(),
                keywords: mailbox::KeywordChange::Add(vec![]),
                unchanged_since: None,
            },
        };
        self.rig.run(command).unwrap();
    }

    fn all(&self) -> Vec<Seen> {
        let of = |(folder, id): (usize, &FolderId)| {
            let seen = move |message: mailbox::Message| {
                let n = (message.internal_ms / 1_000) as u8;
                Seen { n, folder, body: content(n % 8), message }
            };
            self.rig.messages(*id).into_iter().map(seen)
        };
        self.folders.iter().enumerate().flat_map(of).collect()
    }
}

fn thread(seen: &Seen) -> u32 {
    seen.message.thread.map_or(seen.message.item.0, |t| t.0)
}

fn holds(expr: &SearchExpr, seen: &Seen, all: &[Seen]) -> bool {
    use SearchExpr as E;
    match expr {
        E::All => true,
        E::And(list) => list.iter().all(|e| holds(e, seen, all)),
        E::Or(list) => list.iter().any(|e| holds(e, seen, all)),
        E::Not(one) => !holds(one, seen, all),
        E::Flags(flags) => seen.message.flags.contains(*flags),
        E::Items(set) => set.contains(seen.message.item.0),
        E::Text(text) => String::from_utf8_lossy(&seen.body).contains(text),
        E::In(InFolder { id: Some(_), .. }) => seen.folder == 1,
        E::In(place) => match place.path.as_str() {
            "inbox" => seen.folder == 0,
            "A" => seen.folder >= 2,
            "a/b" => seen.folder == 3,
            _ => true,
        },
        E::ConversationSize { from, to } => {
            let size = all.iter().filter(|other| thread(other) == thread(seen)).count() as u32;
            (*from..*to).contains(&size)
        }
        E::Compare { by, is, .. } => {
            let keys = keys(seen.n);
            let order = if *by == SortBy::Subject { keys.subject } else { keys.display_from }.as_str().cmp("B");
            match is {
                Comparison::Less => order == Ordering::Less,
                Comparison::LessOrEqual => order != Ordering::Greater,
                Comparison::Greater => order == Ordering::Greater,
                Comparison::GreaterOrEqual => order != Ordering::Less,
            }
        }
        E::Thread(item) => seen.message.thread == Some(*item),
        other => panic!("{other:?}"),
    }
}

fn key(by: FindBy, seen: &Seen) -> FindKey {
    let has = |flag| i64::from(seen.message.flags.contains(flag));
    let keys = keys(seen.n);
    match by {
        FindBy::Date => FindKey::Number(seen.message.internal_ms),
        FindBy::Size => FindKey::Number(seen.message.size as i64),
        FindBy::Flag => FindKey::Number(has(Flags::FLAGGED)),
        FindBy::Read => FindKey::Number(1 - has(Flags::UNREAD)),
        FindBy::Subject => FindKey::Text(keys.subject),
        FindBy::Name => FindKey::Text(keys.display_from),
        FindBy::Recipient => FindKey::Text(keys.display_to),
        _ => FindKey::Number(0),
    }
}

/// Items and keys, as they should come.
fn expected(find: &Find, all: &[Seen]) -> Vec<(FindKey, u32, u32)> {
    let alive = |seen: &&Seen| find.deleted || !seen.message.flags.contains(Flags::DELETED);
    let found = all.iter().filter(alive).filter(|seen| holds(&find.expr, seen, all));
    let mut list: Vec<_> = found.map(|seen| (key(find.order.by, seen), seen.message.item.0, thread(seen))).collect();
    list.sort();
    if find.order.descending {
        list.reverse();
    }
    if find.conversations {
        let mut shown = BTreeSet::new();
        list.retain(|(_, _, thread)| shown.insert(*thread));
    }
    list
}

fn ask(world: &World, kept: &Kept, content: &dyn Content, find: Find) -> (Vec<Hit>, bool, u64) {
    let asking = Asking { group: GROUP, mailbox: BOX, epoch: EPOCH, quota: 0, actor: None };
    match read_mailbox_with(&world.rig.kv, asking, &MailboxQuery::Find(find), content, kept) {
        Ok(MailboxReply::Hits { hits, more, total }) => (hits, more, total),
        other => panic!("{other:?}"),
    }
}

/// All pages, by cursor or by offset.
fn pages(world: &World, kept: &Kept, content: &dyn Content, find: &Find, by_cursor: bool) -> Vec<(FindKey, u32, u32)> {
    let mut find = find.clone();
    let mut out = Vec::new();
    loop {
        let (hits, more, total) = ask(world, kept, content, find.clone());
        assert!(hits.len() <= find.limit as usize && (hits.len() == find.limit as usize || !more));
        out.extend(hits.iter().map(|hit| (hit.key.clone(), hit.item.0, hit.conversation.0)));
        if !more {
            assert_eq!(out.len() as u64, total);
            return out;
        }
        match hits.last().filter(|_| by_cursor) {
            Some(last) => find.after = Some(FindCursor { key: last.key.clone(), item: last.item }),
            None => find.offset += find.limit,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]
    #[test]
    fn finds_what_a_plain_reading_finds(
        rounds in prop::collection::vec((prop::collection::vec(step(), 1..25), question()), 1..5),
        room in prop::sample::select(vec![1usize << 20, 3_000, 0]),
    ) {
        let mut world = World::new();
        let kept = Kept::new(room);
        for (steps, find) in rounds {
            steps.iter().for_each(|step| world.carry_out(step));
            let all = world.all();
            let bodies = all.iter().map(|seen| (seen.message.item.0, seen.body.clone())).collect();
            let expected = expected(&find, &all);
            for by_cursor in [true, false] {
                prop_assert_eq!(&pages(&world, &kept, &PlainText, &find, by_cursor), &expected, "{:?}", find);
                prop_assert_eq!(&pages(&world, &kept, &Indexed(&bodies), &find, by_cursor), &expected, "{:?}", find);
            }
        }
    }
}

#[test]
fn hits_say_what_they_are() {
    let mut world = World::new();
    for (n, folder) in [(4, 0), (16, 1), (6, 2)] {
        world.carry_out(&Step::Add(n, folder));
    }
    let find = Find {
        expr: SearchExpr::All,
        order: FindOrder::default(),
        conversations: true,
        after: None,
        offset: 0,
        limit: 10,
        deleted: false,
        dumpster: None,
    };
    let kept = Kept::new(0);
    let (hits, more, total) = ask(&world, &kept, &PlainText, find.clone());
    assert_eq!((hits.len(), more, total), (2, false, 2));
    // 16 answers 4: one conversation, shown where its newest message is.
    assert_eq!((hits[0].folder, hits[0].messages, hits[0].internal_ms), (folders::TRASH, 2, 16_000));
    assert_eq!((hits[1].folder, hits[1].messages, hits[1].uid), (world.folders[2], 1, Uid(1)));
    let query = |find: Find| world.rig.ask(MailboxQuery::Find(find));
    let missing = SearchExpr::In(InFolder { id: None, path: "none".into(), below: false });
    assert!(matches!(query(Find { expr: missing, ..find.clone() }), Err(Error::NotFound(_))));
    let cursor = Some(FindCursor { key: FindKey::Text("x".into()), item: ItemId(1) });
    assert!(matches!(query(Find { after: cursor, ..find.clone() }), Err(Error::Invalid(_))));
    assert!(matches!(query(Find { offset: 2_000_000, ..find }), Err(Error::TooLarge(_))));
}
