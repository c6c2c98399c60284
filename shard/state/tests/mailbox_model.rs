//! The mailbox machine against a plain model of a mailbox.

mod common;

use common::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::mailbox::{FolderView, KeywordChange, StoredFlags, folders};
use zcluster_api::*;
use zcluster_state::{Table, body_chunk};

const WORDS: [&str; 4] = ["Work", "work", "$Label1", "Später"];
const PATHS: [&str; 6] = ["A", "a/b", "A/B/c", "Inbox/x", "d", "Ä"];
const QUOTA: u64 = 600;

#[derive(Clone, Debug)]
enum Op {
    Add { folder: usize, flags: u32, words: Vec<usize>, content: u8, key: Option<u8> },
    Store { folder: usize, uids: UidSet, add: u32, remove: u32, words: KeywordChange, since: Option<u64> },
    Copy(usize, UidSet, usize),
    Move(usize, UidSet, usize),
    Expunge(usize, UidSet, bool),
    AddMany(usize, Vec<New>),
    Replace(usize, u32, usize, New),
    Create(usize),
    Delete(usize),
    Rename(usize, usize),
    Recent(usize),
    Retry,
    Look(usize),
    Clock(i64),
}

/// Flags, keywords and content of a message to add.
type New = (u32, Vec<usize>, u8);

fn words() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..WORDS.len(), 0..3)
}

fn spelled(words: &[usize]) -> Vec<String> {
    words.iter().map(|w| WORDS[*w].to_string()).collect()
}

fn uids() -> impl Strategy<Value = UidSet> {
    prop::collection::vec((1u32..12, 0u32..5), 0..3).prop_map(|runs| {
        let mut set = UidSet::new();
        runs.into_iter().for_each(|(first, n)| set.insert_range(first, first + n));
        set
    })
}

fn op() -> impl Strategy<Value = Op> {
    // Mostly the Inbox, Trash and the newest folders, so that operations meet each other's messages.
    let f = prop_oneof![6 => 0usize..2, 3 => 11usize..14, 1 => 0usize..16];
    // UNREAD, DELETED, FLAGGED.
    let bits = || (0u32..8).prop_map(|b| (b & 1) << 9 | (b >> 1 & 1) << 7 | (b >> 2) << 5);
    let change = (0..3u8, words()).prop_map(|(kind, w)| match kind {
        0 => KeywordChange::Add(spelled(&w)),
        1 => KeywordChange::Remove(spelled(&w)),
        _ => KeywordChange::Replace(spelled(&w)),
    });
    prop_oneof![
        6 => (f.clone(), bits(), words(), 0u8..5, prop::option::weighted(0.3, 0u8..3))
            .prop_map(|(folder, flags, words, content, key)| Op::Add { folder, flags, words, content, key }),
        4 => (f.clone(), uids(), bits(), bits(), change, prop::option::weighted(0.3, 0u64..40))
            .prop_map(|(folder, uids, add, remove, words, since)| Op::Store { folder, uids, add, remove, words, since }),
        2 => (f.clone(), uids(), f.clone()).prop_map(|(a, u, b)| Op::Copy(a, u, b)),
        2 => (f.clone(), uids(), f.clone()).prop_map(|(a, u, b)| Op::Move(a, u, b)),
        2 => (f.clone(), uids(), any::<bool>()).prop_map(|(a, u, d)| Op::Expunge(a, u, d)),
        3 => (f.clone(), prop::collection::vec((bits(), words(), 0u8..5), 0..5)).prop_map(|(f, n)| Op::AddMany(f, n)),
        3 => (f.clone(), 1u32..12, f.clone(), (bits(), words(), 0u8..5))
            .prop_map(|(from, uid, to, new)| Op::Replace(from, uid, to, new)),
        2 => (0..PATHS.len()).prop_map(Op::Create),
        1 => f.clone().prop_map(Op::Delete),
        1 => (f.clone(), 0..PATHS.len()).prop_map(|(a, p)| Op::Rename(a, p)),
        1 => f.clone().prop_map(Op::Recent),
        2 => Just(Op::Retry),
        3 => f.prop_map(Op::Look),
        1 => (-5_000i64..5_000).prop_map(Op::Clock),
    ]
}

#[derive(Clone, Debug)]
struct Mail {
    item: u32,
    modseq: u64,
    flags: u32,
    tags: BTreeSet<String>,
    content: u8,
}

#[derive(Clone, Debug)]
struct Box_ {
    parent: u32,
    name: String,
    validity: u32,
    next: u32,
    recent: u32,
    mail: BTreeMap<u32, Mail>,
}

/// What a mailbox is, without any of the machine's thrift.
#[derive(Clone, Debug, Default)]
struct Model {
    folders: BTreeMap<u32, Box_>,
    modseq: u64,
    /// Folded keyword -> first spelling.
    words: BTreeMap<String, String>,
    keys: BTreeMap<u8, Receipt>,
    validities: BTreeSet<u32>,
}

fn fold(name: &str) -> String {
    name.to_lowercase()
}

impl Model {
    fn pick(&self, n: usize) -> FolderId {
        // One past the end is a folder that does not exist.
        FolderId(self.folders.keys().copied().nth(n).unwrap_or(99_999))
    }
    fn used(&self) -> u64 {
        self.folders.values().flat_map(|f| f.mail.values()).map(|m| content(m.content).len() as u64).sum()
    }
    fn path(&self, id: u32) -> String {
        let f = &self.folders[&id];
        if f.parent == 1 { f.name.clone() } else { format!("{}/{}", self.path(f.parent), f.name) }
    }
    fn child(&self, parent: u32, name: &str) -> Option<u32> {
        self.folders.iter().find(|(_, f)| f.parent == parent && fold(&f.name) == fold(name)).map(|(id, _)| *id)
    }
    fn find(&self, path: &str) -> Option<u32> {
        path.split('/').try_fold(1, |at, name| self.child(at, name))
    }
    fn is_below(&self, id: u32, top: u32) -> bool {
        id == top || self.folders.get(&id).is_some_and(|f| self.is_below(f.parent, top))
    }
    fn know(&mut self, words: &[String]) -> BTreeSet<String> {
        for w in words {
            self.words.entry(fold(w)).or_insert_with(|| w.clone());
        }
        words.iter().map(|w| fold(w)).collect()
    }
    fn show(&self, tags: &BTreeSet<String>) -> BTreeSet<String> {
        tags.iter().map(|t| self.words[t].clone()).collect()
    }
    fn insert(&mut self, folder: FolderId, mut mail: Mail) -> u32 {
        mail.modseq = self.modseq;
        let f = self.folders.get_mut(&folder.0).unwrap();
        f.next += 1;
        f.mail.insert(f.next - 1, mail);
        f.next - 1
    }
    /// Learns ids and validities of folders from the machine, checking that they are new.
    fn learn_folders(&mut self, rig: &Rig) {
        let Ok(MailboxReply::Folders(list)) = rig.ask(MailboxQuery::Folders) else { panic!() };
        for f in list {
            if !self.folders.contains_key(&f.id.0) {
                assert!(self.validities.insert(f.uid_validity), "UIDVALIDITY used twice");
                let name = f.path.rsplit('/').next().unwrap().to_string();
                let new = Box_ {
                    parent: f.parent.0,
                    name,
                    validity: f.uid_validity,
                    next: 1,
                    recent: 1,
                    mail: BTreeMap::new(),
                };
                self.folders.insert(f.id.0, new);
            }
        }
    }
    fn check(&self, rig: &Rig) {
        let Ok(MailboxReply::Info { used, messages, modseq, .. }) = rig.ask(MailboxQuery::Info) else { panic!() };
        let all = self.folders.values().map(|f| f.mail.len() as u64).sum::<u64>();
        assert_eq!((used, messages, modseq.0), (self.used(), all, self.modseq));
        let Ok(MailboxReply::Folders(list)) = rig.ask(MailboxQuery::Folders) else { panic!() };
        assert_eq!(list.len(), self.folders.len());
        for path in PATHS.iter().chain(&["A/B", "INBOX", "nowhere"]) {
            let found = match rig.ask(MailboxQuery::FolderByPath((*path).into())) {
                Ok(MailboxReply::Folders(f)) => Some(f[0].id.0),
                _ => None,
            };
            assert_eq!(found, self.find(path), "{path}");
        }
        for shown in list {
            self.check_folder(rig, &shown);
        }
    }
    fn check_folder(&self, rig: &Rig, shown: &mailbox::Folder) {
        let f = &self.folders[&shown.id.0];
        let count = |bit: Flags| f.mail.values().filter(|m| m.flags & bit.0 != 0).count() as u32;
        assert_eq!(shown.path, self.path(shown.id.0));
        assert_eq!((shown.messages, shown.uid_next.0), (f.mail.len() as u32, f.next));
        assert_eq!((shown.unread, shown.deleted), (count(Flags::UNREAD), count(Flags::DELETED)));
        assert_eq!((shown.uid_validity, shown.recent_from.0), (f.validity, f.recent));
        assert_eq!(shown.bytes, f.mail.values().map(|m| content(m.content).len() as u64).sum::<u64>());
        assert!(f.mail.values().all(|m| m.modseq <= shown.highest_modseq.0) && shown.highest_modseq.0 >= 1);
        let Ok(MailboxReply::Uids { uids, first_unseen, .. }) = rig.ask(MailboxQuery::Uids(shown.id)) else { panic!() };
        assert_eq!(uids, f.mail.keys().copied().collect());
        let unread = f.mail.iter().find(|(_, m)| m.flags & Flags::UNREAD.0 != 0).map(|(uid, _)| Uid(*uid));
        assert_eq!(first_unseen, unread);
        for (message, (uid, mail)) in rig.messages(shown.id).iter().zip(&f.mail) {
            assert_eq!((message.uid.0, message.item.0, message.modseq.0), (*uid, mail.item, mail.modseq));
            assert_eq!(message.flags.0, mail.flags);
            assert_eq!(message.keywords.iter().cloned().collect::<BTreeSet<_>>(), self.show(&mail.tags));
            assert_eq!(message.size, content(mail.content).len() as u64);
        }
        assert_eq!(rig.messages(shown.id).len(), f.mail.len());
    }
    fn check_bodies(&self, rig: &Rig) {
        let live: BTreeSet<u8> = self.folders.values().flat_map(|f| f.mail.values()).map(|m| m.content).collect();
        for n in 0..5 {
            let stored = body_chunk(&rig.kv, blob_id(&content(n)), 0);
            assert_eq!(stored, live.contains(&n).then(|| content(n)));
        }
        assert_eq!((rig.count(Table::Body), rig.count(Table::Blob)), (live.len(), live.len()));
    }
}

/// Carries the operation out on both; returns whether the machine refused, as the model says it must.
fn step(rig: &mut Rig, model: &mut Model, op: &Op) {
    match op {
        Op::Add { folder, flags, words, content, key } => add_step(rig, model, *folder, *flags, words, *content, *key),
        Op::Store { folder, uids, add, remove, words, since } => {
            store_step(rig, model, *folder, uids, (Flags(*add), Flags(*remove)), words, *since);
        }
        Op::Copy(from, uids, to) => transfer_step(rig, model, *from, uids, *to, true),
        Op::Move(from, uids, to) => transfer_step(rig, model, *from, uids, *to, false),
        Op::Expunge(folder, uids, only_deleted) => expunge_step(rig, model, *folder, uids, *only_deleted),
        Op::AddMany(folder, new) => add_many_step(rig, model, *folder, new),
        Op::Replace(from, uid, to, new) => replace_step(rig, model, *from, *uid, *to, new),
        Op::Create(path) => create_step(rig, model, PATHS[*path]),
        Op::Delete(folder) => delete_step(rig, model, *folder),
        Op::Rename(folder, path) => rename_step(rig, model, *folder, PATHS[*path]),
        Op::Recent(folder) => {
            let id = model.pick(*folder);
            let got = rig.run(MailboxCommand::TakeRecent(id));
            match model.folders.get_mut(&id.0) {
                Some(f) => {
                    assert_eq!(got, Ok(Receipt::Recent(Uid(f.recent))));
                    f.recent = f.next;
                }
                None => assert!(matches!(got, Err(Error::NotFound(_)))),
            }
        }
        Op::Retry => {
            if let Some(last) = rig.last.clone() {
                let before = rig.state();
                let applied = rig.propose(&last);
                assert!(applied.changed.is_empty());
                assert_eq!(rig.state(), before);
            }
        }
        Op::Clock(by) => rig.wall_ms = rig.wall_ms.saturating_add_signed(*by),
        Op::Look(_) => {}
    }
}

fn add_step(rig: &mut Rig, model: &mut Model, folder: usize, flags: u32, words: &[usize], n: u8, key: Option<u8>) {
    let id = model.pick(folder);
    let mut new = message(id, inline(&content(n)));
    (new.flags, new.keywords) = (Flags(flags), spelled(words));
    new.delivery_key = key.map(|k| DeliveryKey([k; 32]));
    let got = rig.run(MailboxCommand::AddMessage(new));
    if let Some(before) = key.and_then(|k| model.keys.get(&k)) {
        assert_eq!(got.as_ref(), Ok(before));
    } else if !model.folders.contains_key(&id.0) {
        assert!(matches!(got, Err(Error::NotFound(_))));
    } else if model.used() + content(n).len() as u64 > QUOTA {
        assert_eq!(got, Err(Error::QuotaExceeded));
    } else {
        model.modseq += 1;
        let tags = model.know(&spelled(words));
        let Ok(Receipt::Added { item, uid, uid_validity, modseq, duplicate: false }) = got else { panic!("{got:?}") };
        let at = model.insert(id, Mail { item: item.0, modseq: 0, flags, tags, content: n });
        assert_eq!((uid.0, modseq.0, uid_validity), (at, model.modseq, model.folders[&id.0].validity));
        if let Some(k) = key {
            model.keys.insert(k, Receipt::Added { item, uid, uid_validity, modseq, duplicate: true });
        }
    }
}

fn new_message(folder: FolderId, (flags, words, n): &New) -> mailbox::NewMessage {
    let mut new = message(folder, inline(&content(*n)));
    (new.flags, new.keywords) = (Flags(*flags), spelled(words));
    new
}

/// Puts a message into the model as the machine must have put it into its tables.
fn learn_new(rig: &Rig, model: &mut Model, folder: FolderId, (flags, words, n): &New) -> u32 {
    let tags = model.know(&spelled(words));
    let uid = model.insert(folder, Mail { item: 0, modseq: 0, flags: *flags, tags, content: *n });
    // Item ids are taken from the machine, all different.
    let item = rig.messages(folder).iter().find(|m| m.uid.0 == uid).expect("the new message").item.0;
    let all = model.folders.values().flat_map(|f| f.mail.values());
    assert!(all.filter(|m| m.item == item).count() == 0, "an item id twice");
    model.folders.get_mut(&folder.0).unwrap().mail.get_mut(&uid).unwrap().item = item;
    uid
}

fn add_many_step(rig: &mut Rig, model: &mut Model, folder: usize, new: &[New]) {
    let id = model.pick(folder);
    let got = rig.run(MailboxCommand::AddMessages(new.iter().map(|n| new_message(id, n)).collect()));
    let bytes: u64 = new.iter().map(|(_, _, n)| content(*n).len() as u64).sum();
    if new.is_empty() {
        assert!(matches!(got, Err(Error::Invalid(_))));
    } else if !model.folders.contains_key(&id.0) {
        assert!(matches!(got, Err(Error::NotFound(_))));
    } else if model.used() + bytes > QUOTA {
        assert_eq!(got, Err(Error::QuotaExceeded));
    } else {
        model.modseq += 1;
        let added: UidSet = new.iter().map(|n| learn_new(rig, model, id, n)).collect();
        let (uid_validity, modseq) = (model.folders[&id.0].validity, ModSeq(model.modseq));
        assert_eq!(got, Ok(Receipt::AddedMany { uids: added, uid_validity, modseq }));
    }
}

fn replace_step(rig: &mut Rig, model: &mut Model, from: usize, uid: u32, to: usize, new: &New) {
    let (from, to) = (model.pick(from), model.pick(to));
    let message = new_message(to, new);
    let got = rig.run(MailboxCommand::Replace { folder: from, uid: Uid(uid), message });
    let old = model.folders.get(&from.0).and_then(|f| f.mail.get(&uid)).cloned();
    let (Some(old), true) = (old, model.folders.contains_key(&to.0)) else {
        assert!(matches!(got, Err(Error::NotFound(_))), "{got:?}");
        return;
    };
    let growth = (content(new.2).len() as u64).saturating_sub(content(old.content).len() as u64);
    if growth > 0 && model.used() + growth > QUOTA {
        assert_eq!(got, Err(Error::QuotaExceeded));
        return;
    }
    model.modseq += 1;
    let at = learn_new(rig, model, to, new);
    model.folders.get_mut(&from.0).unwrap().mail.remove(&uid);
    let (uid_validity, modseq) = (model.folders[&to.0].validity, ModSeq(model.modseq));
    assert_eq!(got, Ok(Receipt::Replaced { uid: Uid(at), uid_validity, modseq }));
}

fn store_step(
    rig: &mut Rig,
    model: &mut Model,
    folder: usize,
    uids: &UidSet,
    (add, remove): (Flags, Flags),
    words: &KeywordChange,
    since: Option<u64>,
) {
    let id = model.pick(folder);
    let command = MailboxCommand::Store {
        folder: id,
        uids: uids.clone(),
        add,
        remove,
        keywords: words.clone(),
        unchanged_since: since.map(ModSeq),
    };
    let got = rig.run(command);
    let Some(f) = model.folders.get(&id.0).cloned() else {
        assert!(matches!(got, Err(Error::NotFound(_))));
        return;
    };
    let fresh = |w: &[String]| w.iter().map(|w| fold(w)).collect::<BTreeSet<_>>();
    let mut changed: BTreeMap<u32, Mail> = BTreeMap::new();
    let (mut unaltered, mut modified) = (Vec::new(), UidSet::new());
    for (uid, old) in f.mail.iter().filter(|(uid, _)| uids.contains(**uid)) {
        if since.is_some_and(|s| old.modseq > s) {
            modified.insert(*uid);
            continue;
        }
        let mut new = old.clone();
        new.flags = new.flags & !remove.0 | add.0;
        new.tags = match words {
            KeywordChange::Add(w) => &old.tags | &fresh(w),
            KeywordChange::Remove(w) => &old.tags - &fresh(w),
            KeywordChange::Replace(w) => fresh(w),
        };
        if new.flags == old.flags && new.tags == old.tags {
            unaltered.push(*uid);
        } else {
            changed.insert(*uid, new);
        }
    }
    if !changed.is_empty() {
        model.modseq += 1;
        if let KeywordChange::Add(w) | KeywordChange::Replace(w) = words {
            model.know(w);
        }
    }
    let Ok(Receipt::Stored { changed: told, unaltered: same, modified: left, modseq }) = got else { panic!("{got:?}") };
    assert_eq!((left, modseq.0), (modified, model.modseq));
    assert_eq!(same.iter().map(|s| s.uid.0).collect::<Vec<_>>(), unaltered);
    assert_eq!(told.iter().map(|s| s.uid.0).collect::<Vec<_>>(), changed.keys().copied().collect::<Vec<_>>());
    for (StoredFlags { modseq, flags, keywords, .. }, mail) in told.iter().zip(changed.values()) {
        assert_eq!((modseq.0, flags.0), (model.modseq, mail.flags));
        assert_eq!(keywords.iter().cloned().collect::<BTreeSet<_>>(), model.show(&mail.tags));
    }
    let now = model.modseq;
    let f = model.folders.get_mut(&id.0).unwrap();
    f.mail.extend(changed.into_iter().map(|(uid, mail)| (uid, Mail { modseq: now, ..mail })));
}

fn transfer_step(rig: &mut Rig, model: &mut Model, from: usize, uids: &UidSet, to: usize, copy: bool) {
    let (from, to) = (model.pick(from), model.pick(to));
    let command = if copy {
        MailboxCommand::Copy { from, uids: uids.clone(), to }
    } else {
        MailboxCommand::Move { from, uids: uids.clone(), to }
    };
    let got = rig.run(command);
    let (Some(f), true) = (model.folders.get(&from.0), model.folders.contains_key(&to.0)) else {
        assert!(matches!(got, Err(Error::NotFound(_))));
        return;
    };
    let list: Vec<_> = f.mail.iter().filter(|(uid, _)| uids.contains(**uid)).map(|(u, m)| (*u, m.clone())).collect();
    let bytes: u64 = list.iter().map(|(_, m)| content(m.content).len() as u64).sum();
    if copy && !list.is_empty() && model.used() + bytes > QUOTA {
        assert_eq!(got, Err(Error::QuotaExceeded));
        return;
    }
    let Ok(Receipt::Copied { uid_validity, pairs, modseq }) = got else { panic!("{got:?}") };
    model.modseq += u64::from(!list.is_empty());
    assert_eq!((uid_validity, modseq.0), (model.folders[&to.0].validity, model.modseq));
    let mut want = Vec::new();
    for (uid, mut mail) in list {
        if copy {
            mail.item = 0;
        } else {
            model.folders.get_mut(&from.0).unwrap().mail.remove(&uid);
        }
        want.push((Uid(uid), Uid(model.insert(to, mail))));
    }
    assert_eq!(pairs, want);
    // Copies are new items: take their ids from the machine, all different.
    let items: BTreeMap<u32, u32> = rig.messages(to).iter().map(|m| (m.uid.0, m.item.0)).collect();
    for (uid, mail) in &mut model.folders.get_mut(&to.0).unwrap().mail {
        mail.item = if mail.item == 0 { items[uid] } else { mail.item };
    }
    let all: Vec<u32> = model.folders.values().flat_map(|f| f.mail.values()).map(|m| m.item).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "an item id twice");
}

fn expunge_step(rig: &mut Rig, model: &mut Model, folder: usize, uids: &UidSet, only_deleted: bool) {
    let id = model.pick(folder);
    let got = rig.run(MailboxCommand::Expunge { folder: id, uids: uids.clone(), only_deleted });
    let Some(f) = model.folders.get_mut(&id.0) else {
        assert!(matches!(got, Err(Error::NotFound(_))));
        return;
    };
    let goes = |m: &Mail| !only_deleted || m.flags & Flags::DELETED.0 != 0;
    let gone: UidSet = f.mail.iter().filter(|(u, m)| uids.contains(**u) && goes(m)).map(|(u, _)| *u).collect();
    f.mail.retain(|uid, _| !gone.contains(*uid));
    model.modseq += u64::from(!gone.is_empty());
    assert_eq!(got, Ok(Receipt::Expunged { uids: gone, modseq: ModSeq(model.modseq) }));
}

fn create_step(rig: &mut Rig, model: &mut Model, path: &str) {
    let got = rig.run(MailboxCommand::CreateFolder { path: path.into(), view: FolderView::Message, special_use: None });
    if model.find(path).is_some() {
        assert!(matches!(got, Err(Error::Exists(_))));
        return;
    }
    model.modseq += 1;
    model.learn_folders(rig);
    let Ok(Receipt::Folder(f)) = got else { panic!("{got:?}") };
    assert_eq!((f.path.to_lowercase(), model.find(path)), (path.to_lowercase(), Some(f.id.0)));
}

fn delete_step(rig: &mut Rig, model: &mut Model, folder: usize) {
    let id = model.pick(folder);
    let got = rig.run(MailboxCommand::DeleteFolder { folder: id, was: None });
    if !model.folders.contains_key(&id.0) {
        assert!(matches!(got, Err(Error::NotFound(_))));
    } else if id.0 < 256 {
        assert!(matches!(got, Err(Error::Denied(_))));
    } else if model.folders.values().any(|f| f.parent == id.0) {
        assert!(matches!(got, Err(Error::Conflict(_))));
    } else {
        assert_eq!(got, Ok(Receipt::Deleted { more: false }));
        model.folders.remove(&id.0);
        model.modseq += 1;
    }
}

fn rename_step(rig: &mut Rig, model: &mut Model, folder: usize, path: &str) {
    let id = model.pick(folder);
    let got = rig.run(MailboxCommand::RenameFolder { folder: id, path: path.into(), was: None });
    if !model.folders.contains_key(&id.0) {
        assert!(matches!(got, Err(Error::NotFound(_))));
        return;
    }
    if id.0 < 256 {
        assert!(matches!(got, Err(Error::Denied(_))));
        return;
    }
    let (parents, name) = path.rsplit_once('/').map_or((vec![], path), |(p, n)| (p.split('/').collect(), n));
    // The deepest existing folder on the way.
    let deepest = parents.iter().try_fold(1, |at, n| model.child(at, n).ok_or(at)).unwrap_or_else(|at| at);
    let is_there = model.find(path);
    if model.is_below(deepest, id.0) {
        assert!(matches!(got, Err(Error::Invalid(_))), "{got:?}");
    } else if is_there.is_some_and(|other| other != id.0) {
        assert!(matches!(got, Err(Error::Exists(_))), "{got:?}");
    } else {
        let Ok(Receipt::Folder(shown)) = got else { panic!("{got:?}") };
        model.modseq += 1;
        let f = model.folders.get_mut(&id.0).unwrap();
        (f.parent, f.name) = (shown.parent.0, name.to_string());
        model.learn_folders(rig);
        assert_eq!(model.find(path), Some(id.0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn agrees_with_a_plain_mailbox(ops in prop::collection::vec(op(), 1..60)) {
        let mut rig = Rig::new();
        rig.quota = QUOTA;
        let mut model = Model { modseq: 1, ..Model::default() };
        model.learn_folders(&rig);
        let mut views: BTreeMap<FolderId, View> = BTreeMap::new();
        for op in &ops {
            let (before, modseq) = (rig.state(), model.modseq);
            step(&mut rig, &mut model, op);
            if model.modseq == modseq && !matches!(op, Op::Recent(_)) {
                prop_assert!(rig.state() == before, "{:?} changed rows but not the mod-sequence", op);
            }
            if let Op::Look(n) = op {
                let id = model.pick(*n);
                views.entry(id).or_default().sync(&rig, id);
            }
            model.check(&rig);
        }
        model.check_bodies(&rig);
        rig.assert_replicas_agree();
        for (id, view) in &mut views {
            view.sync(&rig, *id);
            prop_assert_eq!(view.gone, !model.folders.contains_key(&id.0));
            if !view.gone {
                let truth = rig.messages(*id).into_iter().map(|m| (m.uid.0, (m.flags, m.keywords))).collect();
                prop_assert_eq!(&view.messages, &truth);
            }
        }
    }
}

#[test]
fn inbox_is_there() {
    let rig = Rig::new();
    assert_eq!(rig.folder(folders::INBOX).path, "Inbox");
}
