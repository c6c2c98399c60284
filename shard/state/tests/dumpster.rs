//! Deleted messages: whatever is done, each is in its folder, or among the deleted, or was removed for good by somebody who
//! might; none is lost or doubled, and quota, bodies and replicas are right.

mod common;

use common::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::find::{Find, FindBy, FindOrder};
use zcluster_api::mailbox::{
    Deleted, DumpsterPage, DumpsterPlace, DumpsterQuery, FolderView, Recovered, Traits, Want, folders,
};
use zcluster_api::*;
use zcluster_state::{Retained, Table, body_chunk, retained, traits};

const ACCOUNT: AccountId = AccountId([0xAC; 16]);
const PATHS: [&str; 3] = ["Inbox", "Work", "Work/Old"];
const QUOTA: u64 = 300;
const DAY_MS: u64 = 86_400_000;

fn told(dumpster: bool, hold: bool) -> Option<Traits> {
    Some(Traits { account: ACCOUNT, dumpster, hold, no_files: false })
}

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.traits = told(true, false);
    rig
}

fn add(rig: &mut Rig, folder: FolderId, n: u8) -> (ItemId, Uid) {
    match rig.run(MailboxCommand::AddMessage(message(folder, inline(&content(n))))) {
        Ok(Receipt::Added { item, uid, .. }) => (item, uid),
        other => panic!("{other:?}"),
    }
}

fn expunge(rig: &mut Rig, folder: FolderId, uids: UidSet) -> Result<Receipt> {
    rig.run(MailboxCommand::Expunge { folder, uids, only_deleted: false })
}

fn page(rig: &Rig, query: DumpsterQuery) -> DumpsterPage {
    match rig.ask(MailboxQuery::Dumpster(query)) {
        Ok(MailboxReply::Dumpster(page)) => page,
        other => panic!("{other:?}"),
    }
}

/// All of it, in small pages.
fn deleted(rig: &Rig) -> (Vec<Deleted>, u64, u64) {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let want = Want { summary: true, blob: true };
        let got = page(rig, DumpsterQuery { after, limit: 2, since_ms: None, until_ms: None, want });
        assert!(got.deleted.len() <= 2);
        all.extend(got.deleted);
        match got.next {
            Some(next) => after = Some(next),
            None => return (all, got.items, got.bytes),
        }
    }
}

fn recover(rig: &mut Rig, items: Vec<ItemId>, folder: Option<FolderId>) -> Result<Vec<Recovered>> {
    match rig.run(MailboxCommand::Recover { items, folder, since_ms: None })? {
        Receipt::Recovered { messages, .. } => Ok(messages),
        other => panic!("{other:?}"),
    }
}

fn purge(rig: &mut Rig, before_ms: u64, most: u32) -> Result<(u64, bool)> {
    match rig.run(MailboxCommand::PurgeDumpster { before_ms, most })? {
        Receipt::Purged { items, more, .. } => Ok((items, more)),
        other => panic!("{other:?}"),
    }
}

fn used(rig: &Rig) -> u64 {
    match rig.ask(MailboxQuery::Info) {
        Ok(MailboxReply::Info { used, .. }) => used,
        other => panic!("{other:?}"),
    }
}

#[derive(Clone, Debug)]
enum Op {
    Add(usize, u8, bool),
    Expunge(usize, UidSet),
    Move(usize, UidSet, usize),
    Copy(usize, UidSet, usize),
    Replace(usize, u32, u8),
    Create(usize),
    Delete(usize),
    Recover(Vec<usize>, Option<usize>),
    Purge(u64, u32),
    Drop(Vec<usize>),
    PurgeFolder(usize, u64, u32),
    Traits(bool, bool),
    Retry,
    Clock(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let (folder, uids) = (0..PATHS.len(), (1u32..6, 0u32..4).prop_map(|(a, n)| UidSet::range(a, a + n)));
    let some = prop::collection::vec(0usize..8, 0..5);
    prop_oneof![
        6 => (folder.clone(), 0u8..4, any::<bool>()).prop_map(|(f, n, d)| Op::Add(f, n, d)),
        4 => (folder.clone(), uids.clone()).prop_map(|(f, u)| Op::Expunge(f, u)),
        1 => (folder.clone(), uids.clone(), folder.clone()).prop_map(|(f, u, t)| Op::Move(f, u, t)),
        1 => (folder.clone(), uids, folder.clone()).prop_map(|(f, u, t)| Op::Copy(f, u, t)),
        1 => (folder.clone(), 1u32..6, 0u8..4).prop_map(|(f, u, n)| Op::Replace(f, u, n)),
        2 => (1..PATHS.len()).prop_map(Op::Create),
        2 => (1..PATHS.len()).prop_map(Op::Delete),
        4 => (some.clone(), prop::option::of(folder.clone())).prop_map(|(i, f)| Op::Recover(i, f)),
        1 => (0u64..60, 1u32..4).prop_map(|(age, most)| Op::Purge(age, most)),
        1 => some.prop_map(Op::Drop),
        1 => (folder, 0u64..60, 1u32..4).prop_map(|(f, age, most)| Op::PurgeFolder(f, age, most)),
        1 => (any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(d, h)| Op::Traits(d, h)),
        1 => Just(Op::Retry),
        1 => (0u64..20).prop_map(Op::Clock),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Mail {
    content: u8,
    draft: bool,
    saved_ms: u64,
}

/// What should be where: by item.
#[derive(Default)]
struct Model {
    live: BTreeMap<u32, (FolderId, u32, Mail)>,
    /// With path and time.
    deleted: BTreeMap<u32, (FolderId, u32, Mail, String, u64)>,
}

impl Model {
    fn bury(&mut self, item: u32, path: &str, at: u64, kept: bool) {
        let (folder, uid, mail) = self.live.remove(&item).expect("a live message");
        if kept {
            self.deleted.insert(item, (folder, uid, mail, path.to_string(), at));
        }
    }

    fn among(&self, folder: FolderId, uids: &UidSet) -> Vec<u32> {
        let those = self.live.iter().filter(|(_, (f, uid, _))| *f == folder && uids.contains(*uid));
        those.map(|(item, _)| *item).collect()
    }

    fn used(&self) -> u64 {
        self.live.values().map(|(_, _, m)| content(m.content).len() as u64).sum()
    }

    /// The `n`th deleted item, or one that is not.
    fn pick(&self, n: usize) -> ItemId {
        ItemId(self.deleted.keys().nth(n).copied().unwrap_or(90_000))
    }
}

fn folder_of(rig: &Rig, path: usize) -> Option<FolderId> {
    match rig.ask(MailboxQuery::FolderByPath(PATHS[path].into())) {
        Ok(MailboxReply::Folders(list)) => list.first().map(|f| f.id),
        _ => None,
    }
}

/// The path as it was first written.
fn path_of(rig: &Rig, folder: FolderId) -> String {
    rig.folder(folder).path
}

fn step(rig: &mut Rig, model: &mut Model, op: &Op) {
    let traits = rig.traits.expect("traits");
    let (kept, now) = (traits.dumpster || traits.hold, rig.wall_ms);
    let id = |rig: &Rig, n: usize| folder_of(rig, n);
    match op {
        Op::Add(n, content_no, draft) => {
            let Some(folder) = id(rig, *n) else { return };
            let mut new = message(folder, inline(&content(*content_no)));
            new.flags = if *draft { Flags::DRAFT.with(Flags::DELETED) } else { Flags::DELETED };
            match rig.run(MailboxCommand::AddMessage(new)) {
                Ok(Receipt::Added { item, uid, .. }) => {
                    let mail = Mail { content: *content_no, draft: *draft, saved_ms: now };
                    model.live.insert(item.0, (folder, uid.0, mail));
                }
                other => {
                    assert_eq!(other, Err(Error::QuotaExceeded));
                    assert!(model.used() + content(*content_no).len() as u64 > QUOTA);
                }
            }
        }
        Op::Expunge(n, uids) => {
            let Some(folder) = id(rig, *n) else { return };
            let path = path_of(rig, folder);
            expunge(rig, folder, uids.clone()).unwrap();
            model.among(folder, uids).into_iter().for_each(|item| model.bury(item, &path, now, kept));
        }
        Op::Move(n, uids, to) | Op::Copy(n, uids, to) => {
            let (Some(from), Some(to)) = (id(rig, *n), id(rig, *to)) else { return };
            let is_copy = matches!(op, Op::Copy(..));
            let uids = uids.clone();
            let command = match is_copy {
                true => MailboxCommand::Copy { from, uids: uids.clone(), to },
                false => MailboxCommand::Move { from, uids: uids.clone(), to },
            };
            let Ok(Receipt::Copied { pairs, .. }) = rig.run(command) else { return };
            let items: BTreeMap<Uid, ItemId> = rig.messages(to).into_iter().map(|m| (m.uid, m.item)).collect();
            for (old, new) in pairs {
                let item = model.live.iter().find(|(_, (f, uid, _))| (*f, *uid) == (from, old.0)).map(|(i, _)| *i);
                let (_, _, mail) = model.live[&item.unwrap()].clone();
                let mail = Mail { saved_ms: now, ..mail };
                model.live.insert(items[&new].0, (to, new.0, mail));
            }
        }
        Op::Replace(n, uid, content_no) => {
            let Some(folder) = id(rig, *n) else { return };
            let path = path_of(rig, folder);
            let new = message(folder, inline(&content(*content_no)));
            let command = MailboxCommand::Replace { folder, uid: Uid(*uid), message: new };
            let Ok(Receipt::Replaced { uid: at, .. }) = rig.run(command) else { return };
            let old = model.among(folder, &UidSet::range(*uid, *uid))[0];
            let is_draft = model.live[&old].2.draft;
            model.bury(old, &path, now, kept && (!is_draft || traits.hold));
            let item = rig.messages(folder).into_iter().find(|m| m.uid == at).unwrap().item;
            let mail = Mail { content: *content_no, draft: false, saved_ms: now };
            model.live.insert(item.0, (folder, at.0, mail));
        }
        Op::Create(n) => {
            let (path, view) = (PATHS[*n].to_string(), FolderView::Message);
            let _ = rig.run(MailboxCommand::CreateFolder { path, view, special_use: None });
        }
        Op::Delete(n) => {
            let Some(folder) = id(rig, *n) else { return };
            let path = path_of(rig, folder);
            if rig.run(MailboxCommand::DeleteFolder { folder, was: None }).is_ok() {
                let all = model.among(folder, &UidSet::range(1, u32::MAX));
                all.into_iter().for_each(|item| model.bury(item, &path, now, kept));
            }
        }
        Op::Recover(items, into) => recover_step(rig, model, items, *into),
        Op::Purge(age, most) => {
            let before = now.saturating_sub(*age);
            let mut due: Vec<(u64, u32)> =
                model.deleted.iter().filter(|(_, d)| d.4 < before).map(|(i, d)| (d.4, *i)).collect();
            due.sort_unstable();
            match purge(rig, before, *most) {
                Ok((items, more)) => {
                    assert!(!traits.hold);
                    assert_eq!((items, more), (due.len().min(*most as usize) as u64, due.len() > *most as usize));
                    due.iter().take(*most as usize).for_each(|(_, item)| _ = model.deleted.remove(item));
                }
                Err(e) => assert!(traits.hold && matches!(e, Error::Denied(_))),
            }
        }
        Op::Drop(items) => {
            let items: Vec<ItemId> = items.iter().map(|n| model.pick(*n)).collect();
            match rig.run(MailboxCommand::DropFromDumpster { items: items.clone(), since_ms: None }) {
                Ok(_) => {
                    assert!(!traits.hold);
                    items.iter().for_each(|item| _ = model.deleted.remove(&item.0));
                }
                Err(e) => assert!(traits.hold && matches!(e, Error::Denied(_))),
            }
        }
        Op::PurgeFolder(n, age, most) => {
            let Some(folder) = id(rig, *n) else { return };
            let (path, before_ms) = (path_of(rig, folder), now.saturating_sub(*age));
            let mut old: Vec<(u32, u32)> =
                model.live.iter().filter(|(_, l)| l.0 == folder).map(|(i, l)| (l.1, *i)).collect();
            old.sort_unstable();
            let old: Vec<u32> =
                old.into_iter().map(|(_, i)| i).filter(|i| model.live[i].2.saved_ms < before_ms).collect();
            let got = rig.run(MailboxCommand::PurgeFolder { folder, before_ms, most: *most });
            let Ok(Receipt::Purged { items, more, .. }) = got else { panic!("{got:?}") };
            assert_eq!((items, more), (old.len().min(*most as usize) as u64, old.len() > *most as usize));
            old.into_iter().take(*most as usize).for_each(|item| model.bury(item, &path, now, kept));
        }
        Op::Traits(dumpster, hold) => rig.traits = told(*dumpster, *hold),
        Op::Retry => {
            if let Some(last) = rig.last.clone() {
                let before = rig.state();
                rig.propose(&last);
                assert!(rig.state() == before, "a command done twice");
            }
        }
        Op::Clock(by) => rig.wall_ms += by,
    }
}

fn recover_step(rig: &mut Rig, model: &mut Model, items: &[usize], into: Option<usize>) {
    let now = rig.wall_ms;
    let items: Vec<ItemId> = items.iter().map(|n| model.pick(*n)).collect();
    let there: BTreeSet<u32> = items.iter().map(|i| i.0).filter(|i| model.deleted.contains_key(i)).collect();
    let into = match into.map(|n| folder_of(rig, n)) {
        Some(None) => return,
        Some(there) => there,
        None => None,
    };
    let bytes: u64 = there.iter().map(|i| content(model.deleted[i].2.content).len() as u64).sum();
    match recover(rig, items, into) {
        Err(e) => {
            assert_eq!(e, Error::QuotaExceeded);
            assert!(model.used() + bytes > QUOTA);
        }
        Ok(back) => {
            assert!(bytes == 0 || model.used() + bytes <= QUOTA);
            assert_eq!(back.iter().map(|r| r.item.0).collect::<BTreeSet<_>>(), there);
            for Recovered { item, folder, uid } in back {
                let (was_in, _, mail, path, _) = model.deleted.remove(&item.0).unwrap();
                assert!(into.is_none_or(|into| into == folder));
                if into.is_none() {
                    assert!(folder == was_in || path_of(rig, folder).eq_ignore_ascii_case(&path));
                }
                let used_before = model.live.values().any(|(f, u, _)| (*f, *u) == (folder, uid.0));
                assert!(!used_before, "a UID twice");
                model.live.insert(item.0, (folder, uid.0, Mail { saved_ms: now, ..mail }));
            }
        }
    }
}

impl Model {
    fn check(&self, rig: &Rig) {
        let mut live = BTreeMap::new();
        for folder in (0..PATHS.len()).filter_map(|n| folder_of(rig, n)) {
            let messages = rig.messages(folder);
            assert_eq!(rig.folder(folder).messages as usize, messages.len());
            for m in messages {
                assert!(live.insert(m.item.0, (folder, m.uid.0, m.size, m.blob.unwrap().id)).is_none());
            }
        }
        let size = |m: &Mail| (content(m.content).len() as u64, blob_id(&content(m.content)));
        let want: BTreeMap<u32, _> =
            self.live.iter().map(|(i, (f, u, m))| (*i, (*f, *u, size(m).0, size(m).1))).collect();
        assert_eq!(live, want);
        assert_eq!(used(rig), self.used());
        let (shown, items, bytes) = deleted(rig);
        assert!(shown.is_sorted_by_key(Deleted::place));
        assert!(shown.iter().all(|d| !d.flags.contains(Flags::DELETED)));
        assert_eq!(items, self.deleted.len() as u64);
        assert_eq!(bytes, self.deleted.values().map(|d| size(&d.2).0).sum::<u64>());
        let shown: BTreeMap<u32, _> = shown
            .into_iter()
            .map(|d| (d.item.0, (d.folder, d.uid.0, d.path, d.deleted_ms, d.blob.unwrap().id)))
            .collect();
        let want: BTreeMap<u32, _> =
            self.deleted.iter().map(|(i, (f, u, m, p, at))| (*i, (*f, *u, p.clone(), *at, size(m).1))).collect();
        assert_eq!(shown, want);
        let all = self.live.values().map(|l| &l.2).chain(self.deleted.values().map(|d| &d.2));
        let contents: BTreeSet<u8> = all.map(|m| m.content).collect();
        for n in 0..4 {
            let stored = body_chunk(&rig.kv, blob_id(&content(n)), 0);
            assert_eq!(stored, contents.contains(&n).then(|| content(n)));
        }
        assert_eq!(rig.count(Table::Cold), self.live.len() + self.deleted.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn nothing_is_lost_and_nothing_doubled(ops in prop::collection::vec(op(), 1..60)) {
        let (mut rig, mut model) = (rig(), Model::default());
        rig.quota = QUOTA;
        for op in &ops {
            step(&mut rig, &mut model, op);
            model.check(&rig);
        }
        rig.assert_replicas_agree();
        // What is left of it all when the mailbox goes: its tombstone.
        while rig.run(MailboxCommand::DeleteMailbox) != Ok(Receipt::Deleted { more: false }) {}
        for table in [Table::Cold, Table::Keys, Table::Dumpster, Table::DumpsterOrder, Table::Blob, Table::Body] {
            prop_assert_eq!(rig.count(table), 0, "{:?}", table);
        }
        rig.assert_replicas_agree();
    }
}

#[test]
fn without_the_trait_nothing_is_kept() {
    let mut rig = rig();
    rig.traits = told(false, false);
    let (_, uid) = add(&mut rig, folders::INBOX, 1);
    expunge(&mut rig, folders::INBOX, UidSet::range(uid.0, uid.0)).unwrap();
    assert_eq!((rig.count(Table::Cold), rig.count(Table::Dumpster), rig.count(Table::Blob)), (0, 0, 0));
    // Whoever does not know the account leaves what was known.
    assert_eq!(traits(&rig.kv, BOX), Ok(told(false, false)));
    rig.traits = None;
    add(&mut rig, folders::INBOX, 1);
    assert_eq!(traits(&rig.kv, BOX), Ok(told(false, false)));
}

#[test]
fn a_message_comes_back_as_it_was() {
    let mut rig = rig();
    let mut new = message(folders::INBOX, inline(&content(2)));
    (new.flags, new.keywords, new.internal_ms) = (Flags::FLAGGED.with(Flags::DELETED), vec!["Red".into()], 77);
    rig.run(MailboxCommand::AddMessage(new)).unwrap();
    let before = rig.messages(folders::INBOX).remove(0);
    rig.run(MailboxCommand::Expunge { folder: folders::INBOX, uids: UidSet::range(1, 9), only_deleted: true }).unwrap();
    assert!(rig.messages(folders::INBOX).is_empty());
    let (all, items, bytes) = deleted(&rig);
    assert_eq!((items, bytes, all[0].path.as_str(), all[0].uid), (1, 30, "Inbox", Uid(1)));
    assert_eq!((&all[0].keywords, all[0].internal_ms, &all[0].summary), (&before.keywords, 77, &before.summary));
    let back = recover(&mut rig, vec![all[0].item, ItemId(1)], None).unwrap();
    assert_eq!(back, [Recovered { item: before.item, folder: folders::INBOX, uid: Uid(2) }]);
    let after = rig.messages(folders::INBOX).remove(0);
    assert_eq!((after.flags, &after.keywords, after.blob), (Flags::FLAGGED, &before.keywords, before.blob));
    assert_eq!(recover(&mut rig, vec![all[0].item], None), Ok(Vec::new()), "a second time there is nothing");
}

#[test]
fn a_folder_that_is_gone_is_made_anew() {
    let mut rig = rig();
    let create =
        |path: &str| MailboxCommand::CreateFolder { path: path.into(), view: FolderView::Message, special_use: None };
    let Ok(Receipt::Folder(old)) = rig.run(create("A/B")) else { panic!() };
    let (item, _) = add(&mut rig, old.id, 0);
    rig.run(MailboxCommand::DeleteFolder { folder: old.id, was: None }).unwrap();
    rig.run(MailboxCommand::DeleteFolder { folder: old.parent, was: None }).unwrap();
    let back = recover(&mut rig, vec![item], None).unwrap();
    let now = rig.folder(back[0].folder);
    assert_eq!((now.path.as_str(), now.messages, now.id == old.id), ("A/B", 1, false));
    assert!(matches!(recover(&mut rig, vec![item], Some(FolderId(9_999))), Err(Error::NotFound(_))));
}

#[test]
fn times_bound_what_is_seen_and_brought_back() {
    let mut rig = rig();
    let mut at = Vec::new();
    for n in 0..3 {
        let (item, uid) = add(&mut rig, folders::INBOX, n);
        rig.wall_ms += DAY_MS;
        at.push((rig.wall_ms, item));
        expunge(&mut rig, folders::INBOX, UidSet::range(uid.0, uid.0)).unwrap();
    }
    let seen = |since_ms, until_ms| {
        let got = page(&rig, DumpsterQuery { limit: 10, since_ms, until_ms, ..DumpsterQuery::default() });
        got.deleted.iter().map(|d| d.item).collect::<Vec<_>>()
    };
    assert_eq!(seen(Some(at[1].0), None), [at[1].1, at[2].1]);
    assert_eq!(seen(Some(at[0].0 + 1), Some(at[2].0)), [at[1].1]);
    let after = Some(DumpsterPlace { deleted_ms: at[0].0, item: at[0].1 });
    let got = page(&rig, DumpsterQuery { after, limit: 1, since_ms: Some(0), ..DumpsterQuery::default() });
    assert_eq!((got.deleted[0].item, got.next.is_some(), got.items), (at[1].1, true, 3));
    let command = MailboxCommand::Recover { items: vec![at[0].1, at[2].1], folder: None, since_ms: Some(at[2].0) };
    let Ok(Receipt::Recovered { messages, .. }) = rig.run(command) else { panic!() };
    assert_eq!(messages.len(), 1);
    let command = MailboxCommand::DropFromDumpster { items: vec![at[0].1], since_ms: Some(at[1].0) };
    assert_eq!(rig.run(command), Ok(Receipt::Purged { items: 0, bytes: 0, more: false }));
    assert_eq!(purge(&mut rig, at[1].0, 500), Ok((1, false)));
}

#[test]
fn a_hold_keeps_everything() {
    let mut rig = rig();
    rig.traits = told(false, true);
    let (item, uid) = add(&mut rig, folders::DRAFTS, 1);
    rig.run(MailboxCommand::Store {
        folder: folders::DRAFTS,
        uids: UidSet::range(1, 1),
        add: Flags::DRAFT,
        remove: Flags::default(),
        keywords: mailbox::KeywordChange::Add(vec![]),
        unchanged_since: None,
    })
    .unwrap();
    let new = message(folders::DRAFTS, inline(&content(2)));
    rig.run(MailboxCommand::Replace { folder: folders::DRAFTS, uid, message: new }).unwrap();
    assert_eq!(deleted(&rig).0[0].item, item);
    assert!(matches!(purge(&mut rig, u64::MAX, 500), Err(Error::Denied(_))));
    let command = MailboxCommand::DropFromDumpster { items: vec![item], since_ms: None };
    assert!(matches!(rig.run(command), Err(Error::Denied(_))));
    rig.traits = told(false, false);
    assert_eq!(purge(&mut rig, u64::MAX, 500), Ok((1, false)));
}

#[test]
fn it_is_nobody_elses() {
    let mut rig = rig();
    rig.actor = Some(AccountId([9; 16]));
    for command in [
        MailboxCommand::Recover { items: vec![], folder: None, since_ms: None },
        MailboxCommand::PurgeDumpster { before_ms: 0, most: 1 },
        MailboxCommand::DropFromDumpster { items: vec![], since_ms: None },
        MailboxCommand::PurgeFolder { folder: folders::TRASH, before_ms: 0, most: 1 },
    ] {
        assert!(matches!(rig.run(command), Err(Error::Denied(_))));
    }
    assert!(matches!(rig.ask(MailboxQuery::Dumpster(DumpsterQuery::default())), Err(Error::Denied(_))));
}

fn find(rig: &Rig, expr: SearchExpr, dumpster: Option<u64>) -> Result<Vec<(u32, FolderId)>> {
    let order = FindOrder { by: FindBy::Date, descending: false };
    let find = Find { expr, order, conversations: false, after: None, offset: 0, limit: 10, deleted: false, dumpster };
    match rig.ask(MailboxQuery::Find(find))? {
        MailboxReply::Hits { hits, total, .. } => {
            assert_eq!(hits.len() as u64, total);
            Ok(hits.into_iter().map(|h| (h.item.0, h.folder)).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn searches_find_one_or_the_other() {
    let mut rig = rig();
    let (here, _) = add(&mut rig, folders::INBOX, 0);
    let (gone, uid) = add(&mut rig, folders::INBOX, 1);
    let (other, other_uid) = add(&mut rig, folders::SENT, 2);
    expunge(&mut rig, folders::INBOX, UidSet::range(uid.0, uid.0)).unwrap();
    rig.wall_ms += DAY_MS;
    let later = rig.wall_ms;
    expunge(&mut rig, folders::SENT, UidSet::range(other_uid.0, other_uid.0)).unwrap();
    let everything = SearchExpr::All;
    assert_eq!(find(&rig, everything.clone(), None).unwrap(), [(here.0, folders::INBOX)]);
    let both = [(gone.0, folders::INBOX), (other.0, folders::SENT)];
    assert_eq!(find(&rig, everything.clone(), Some(0)).unwrap(), both);
    assert_eq!(find(&rig, everything, Some(later)).unwrap(), both[1..]);
    assert_eq!(find(&rig, SearchExpr::Larger(25), Some(0)).unwrap(), both[1..]);
    let text = String::from_utf8(content(1)).unwrap();
    assert_eq!(find(&rig, SearchExpr::Text(text), Some(0)).unwrap(), both[..1]);
}

#[test]
fn the_leader_sees_what_is_old() {
    let mut rig = Rig::new();
    let nothing = retained(&rig.kv, None, 10).unwrap();
    assert!(nothing.mailboxes.is_empty() && nothing.next.is_none(), "no command of an account came yet");
    rig.traits = told(true, false);
    let (_, uid) = add(&mut rig, folders::INBOX, 0);
    assert!(retained(&rig.kv, None, 10).unwrap().mailboxes.is_empty(), "nothing is old there");
    let create =
        MailboxCommand::CreateFolder { path: "Trash/Below".into(), view: FolderView::Message, special_use: None };
    let Ok(Receipt::Folder(below)) = rig.run(create) else { panic!() };
    let moved = rig.wall_ms;
    rig.run(MailboxCommand::Move { from: folders::INBOX, uids: UidSet::range(uid.0, uid.0), to: below.id }).unwrap();
    add(&mut rig, folders::JUNK, 1);
    let gone = rig.wall_ms;
    expunge(&mut rig, folders::JUNK, UidSet::range(1, 1)).unwrap();
    let page = retained(&rig.kv, None, 1).unwrap();
    let trash = vec![(below.id, moved)];
    let want = Retained { mailbox: BOX, account: ACCOUNT, deleted_ms: Some(gone), trash, junk: vec![] };
    assert_eq!((page.mailboxes, page.next), (vec![want], Some(BOX)));
    assert!(retained(&rig.kv, Some(BOX), 1).unwrap().next.is_none());
}
