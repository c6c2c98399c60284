//! Who may do what with another account's folders, against a model that knows sets of letters and nothing else.

mod common;

use common::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::body::BlobAt;
use zcluster_api::mailbox::{FolderView, KeywordChange, folders};
use zcluster_api::sharing::*;
use zcluster_api::*;
use zcluster_state::Table;

const A: AccountId = AccountId([0xA; 16]);
const B: AccountId = AccountId([0xB; 16]);
/// Folders 256..: W, W/x, W/x/y, V.
const PATHS: [&str; 4] = ["W", "W/x", "W/x/y", "V"];
const PARENT: [Option<usize>; 4] = [None, Some(0), Some(1), None];

fn id(n: usize) -> FolderId {
    FolderId(256 + n as u32)
}

fn rig() -> Rig {
    let mut rig = Rig::new();
    for (n, path) in PATHS.iter().enumerate() {
        let create =
            MailboxCommand::CreateFolder { path: (*path).into(), view: FolderView::Message, special_use: None };
        let Ok(Receipt::Folder(made)) = rig.run(create) else { panic!() };
        assert_eq!(made.id, id(n));
    }
    for n in 0..PATHS.len() {
        // UID 1 with everything set, UID 2 new.
        let mut message = message(id(n), inline(&content(n as u8)));
        message.flags = Flags::FLAGGED.with(Flags::DELETED);
        message.keywords = vec!["k".into()];
        rig.run(MailboxCommand::AddMessage(message)).unwrap();
        rig.run(add(id(n), 9)).unwrap();
    }
    rig
}

#[derive(Clone, Debug)]
struct Set {
    folder: usize,
    grantee: Grantee,
    negative: bool,
    change: RightsChange,
}

#[derive(Clone, Copy, Debug)]
enum Probe {
    Add(usize),
    AddMany(usize),
    Replace(usize, usize),
    Store(usize, u8),
    Copy(usize, usize),
    Move(usize, usize),
    Expunge(usize, bool),
    Create(usize),
    CreateAtTop,
    Delete(usize),
    Rename(usize, usize),
    SetAcl(usize),
    SetNote(usize, bool),
    Own(u8),
    Uids(usize),
    Messages(usize),
    Changes(usize),
    Missed(usize),
    Search(usize),
    Sort(usize),
    Thread(usize),
    Blob(usize),
    Acl(usize),
    Notes(usize),
    Folder(usize),
}

type Letters = BTreeSet<char>;

/// Per folder its own grants, if any: grantee -> (given, denied).
#[derive(Default)]
struct Model(BTreeMap<usize, BTreeMap<Grantee, (Letters, Letters)>>);

fn letters(rights: Rights) -> Letters {
    rights.to_string().chars().filter(|c| !"cd".contains(*c)).collect()
}

impl Model {
    fn owner_of_grants(&self, mut folder: usize) -> Option<usize> {
        while !self.0.contains_key(&folder) {
            folder = PARENT[folder]?;
        }
        Some(folder)
    }
    fn set(&mut self, set: &Set) {
        let mut grants = self.owner_of_grants(set.folder).map(|f| self.0[&f].clone()).unwrap_or_default();
        let entry = grants.entry(set.grantee).or_default();
        let side = if set.negative { &mut entry.1 } else { &mut entry.0 };
        match set.change {
            RightsChange::Replace(r) => *side = letters(r),
            RightsChange::Add(r) => side.extend(letters(r)),
            RightsChange::Remove(r) => side.retain(|c| !letters(r).contains(c)),
        }
        grants.retain(|_, (given, denied)| !given.is_empty() || !denied.is_empty());
        self.0.insert(set.folder, grants);
    }
    fn rights(&self, folder: usize, who: AccountId) -> Letters {
        let Some(from) = self.owner_of_grants(folder) else { return Letters::new() };
        let mine = |g: &Grantee| matches!(g, Grantee::Authenticated | Grantee::Anyone) || *g == Grantee::Account(who);
        let grants: Vec<_> = self.0[&from].iter().filter(|(g, _)| mine(g)).map(|(_, v)| v.clone()).collect();
        let denied: Letters = grants.iter().flat_map(|(_, d)| d.clone()).collect();
        grants.iter().flat_map(|(g, _)| g.clone()).filter(|c| !denied.contains(c)).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Done,
    Denied,
    NotFound,
}

/// What RFC 4314 §4 asks for, as letters per folder; the first that is missing decides.
fn expected(model: &Model, who: AccountId, probe: Probe) -> Outcome {
    let check = |needs: &[(usize, &str)]| {
        for (folder, wanted) in needs {
            let had = model.rights(*folder, who);
            if !wanted.chars().all(|c| had.contains(&c)) {
                return if had.contains(&'l') { Outcome::Denied } else { Outcome::NotFound };
            }
        }
        Outcome::Done
    };
    let note = |folder: usize, shared: bool| {
        let had = model.rights(folder, who);
        match had.contains(&'l') {
            false => Outcome::NotFound,
            true if !had.iter().any(|c| "rswip".contains(*c)) => Outcome::Denied,
            true if shared && !had.contains(&'w') => Outcome::Denied,
            true => Outcome::Done,
        }
    };
    match probe {
        Probe::Add(f) | Probe::AddMany(f) => check(&[(f, "i")]),
        Probe::Replace(f, t) => check(&[(f, "te"), (t, "i")]),
        Probe::Store(f, what) => match check(&[(f, "r")]) {
            Outcome::Done => {
                let had = model.rights(f, who);
                let may = match what {
                    0 => had.contains(&'s'),
                    1 => had.contains(&'t'),
                    2 => had.contains(&'w'),
                    _ => had.iter().any(|c| "stw".contains(*c)),
                };
                // What can be read is known to be there, with `l` or without.
                if may { Outcome::Done } else { Outcome::Denied }
            }
            other => other,
        },
        Probe::Copy(f, t) => check(&[(f, "r"), (t, "i")]),
        Probe::Move(f, t) => check(&[(f, "rte"), (t, "i")]),
        Probe::Expunge(f, true) => check(&[(f, "e")]),
        Probe::Expunge(f, false) => check(&[(f, "et")]),
        Probe::Create(f) => check(&[(f, "k")]),
        Probe::CreateAtTop | Probe::Own(_) => Outcome::Denied,
        Probe::Delete(f) => check(&[(f, "x")]),
        Probe::Rename(f, to) => check(&[(f, "x"), (to, "k")]),
        Probe::SetAcl(f) | Probe::Acl(f) => check(&[(f, "a")]),
        Probe::SetNote(f, shared) => note(f, shared),
        Probe::Notes(f) => note(f, false),
        Probe::Uids(f) | Probe::Messages(f) | Probe::Changes(f) | Probe::Missed(f) | Probe::Blob(f) => {
            check(&[(f, "r")])
        }
        Probe::Search(f) | Probe::Sort(f) | Probe::Thread(f) => check(&[(f, "r")]),
        Probe::Folder(f) => {
            if model.rights(f, who).is_empty() {
                Outcome::NotFound
            } else {
                Outcome::Done
            }
        }
    }
}

fn sorted<T>(result: &Result<T>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(Error::Denied(_)) => Outcome::Denied,
        Err(Error::NotFound(_)) => Outcome::NotFound,
        // Refused for what it asks, not for who asks.
        Err(Error::Conflict(_) | Error::Exists(_) | Error::Invalid(_)) => Outcome::Done,
        Err(other) => panic!("{other:?}"),
    }
}

fn carry_out(rig: &mut Rig, probe: Probe) -> Outcome {
    use MailboxCommand as C;
    let uids = || UidSet::range(1, 1);
    let command = match probe {
        Probe::Add(f) => add(id(f), 5),
        Probe::AddMany(f) => C::AddMessages((5..8).map(|n| message(id(f), inline(&content(n)))).collect()),
        Probe::Replace(f, to) => {
            C::Replace { folder: id(f), uid: Uid(1), message: message(id(to), inline(&content(5))) }
        }
        Probe::Store(folder, what) => {
            let (add, remove, keywords) = match what {
                0 => (Flags::default(), Flags::UNREAD, KeywordChange::Add(vec![])),
                1 => (Flags::DELETED, Flags::default(), KeywordChange::Add(vec![])),
                2 => (Flags::ANSWERED, Flags::default(), KeywordChange::Add(vec!["new".into()])),
                _ => (Flags::FLAGGED, Flags::IMAP, KeywordChange::Replace(vec![])),
            };
            C::Store { folder: id(folder), uids: uids(), add, remove, keywords, unchanged_since: None }
        }
        Probe::Copy(from, to) => C::Copy { from: id(from), uids: uids(), to: id(to) },
        Probe::Move(from, to) => C::Move { from: id(from), uids: uids(), to: id(to) },
        Probe::Expunge(folder, only_deleted) => C::Expunge { folder: id(folder), uids: uids(), only_deleted },
        Probe::Create(f) => {
            C::CreateFolder { path: format!("{}/new/newer", PATHS[f]), view: FolderView::Message, special_use: None }
        }
        Probe::CreateAtTop => C::CreateFolder { path: "top".into(), view: FolderView::Message, special_use: None },
        Probe::Delete(f) => C::DeleteFolder { folder: id(f), was: None },
        Probe::Rename(f, to) => C::RenameFolder { folder: id(f), path: format!("{}/moved", PATHS[to]), was: None },
        Probe::SetAcl(f) => {
            let change = RightsChange::Add(Rights::READ);
            C::SetAcl { folder: id(f), grantee: Grantee::Account(B), negative: false, change }
        }
        Probe::SetNote(f, shared) => {
            let name = if shared { "/shared/comment" } else { "/private/comment" };
            let entries = vec![Annotation { name: name.into(), value: Some("x".into()) }];
            C::SetMetadata { folder: Some(id(f)), entries }
        }
        Probe::Own(0) => C::DeleteMailbox,
        Probe::Own(1) => C::CreateMailbox,
        Probe::Own(2) => C::TakeRecent(id(0)),
        Probe::Own(3) => C::Subscribe { folder: id(0), subscribed: true },
        Probe::Own(4) => C::SubscribeName { name: "/home/c@example.com/x".into(), subscribed: true },
        Probe::Own(_) => C::SetMetadata { folder: None, entries: vec![] },
        _ => return ask(rig, probe),
    };
    let before = rig.state();
    let outcome = sorted(&rig.run(command));
    if outcome != Outcome::Done {
        assert_eq!(rig.state(), before, "what is refused changes nothing");
    }
    outcome
}

fn by_arrival() -> Vec<sort::SortCriterion> {
    vec![sort::SortCriterion { by: sort::SortBy::Arrival, reverse: false }]
}

fn ask(rig: &Rig, probe: Probe) -> Outcome {
    use MailboxQuery as Q;
    let since = ModSeq(1);
    let want = mailbox::Want { summary: true, blob: true };
    let query = match probe {
        Probe::Uids(f) => Q::Uids(id(f)),
        Probe::Messages(f) => {
            Q::Messages { folder: id(f), uids: UidSet::range(1, 9), want, changed_since: None, limit: 9 }
        }
        Probe::Changes(f) => Q::Changes { folder: id(f), since },
        Probe::Missed(f) => Q::Missed { folder: id(f), since, known: None },
        Probe::Search(f) => Q::Search { folder: id(f), within: None, expr: SearchExpr::All },
        Probe::Sort(f) => Q::Sort { folder: id(f), within: None, expr: SearchExpr::All, by: by_arrival() },
        Probe::Thread(f) => {
            Q::Thread { folder: id(f), within: None, expr: SearchExpr::All, threading: sort::Threading::References }
        }
        Probe::Blob(f) => Q::Blob(BlobAt { folder: id(f), uid: Uid(1) }),
        Probe::Acl(f) => Q::Acl(id(f)),
        Probe::Notes(f) => {
            let entries = vec!["/shared".into(), "/private".into()];
            Q::Metadata { folder: Some(id(f)), entries, depth: Depth::Infinity, max_size: None }
        }
        Probe::Folder(f) => Q::FolderByPath(PATHS[f].into()),
        other => panic!("{other:?} is no question"),
    };
    let reply = rig.ask(query);
    if let Ok(MailboxReply::Messages { messages, .. }) = &reply {
        assert!(messages.iter().all(|m| m.blob.as_ref().is_some_and(|b| b.at.is_some_and(|at| at.uid == m.uid))));
    }
    sorted(&reply)
}

fn sets() -> impl Strategy<Value = Vec<Set>> {
    let rights = prop_oneof![
        3 => (0u32..1 << 11).prop_map(Rights),
        2 => Just(Rights::IMAP),
        1 => Just(Rights::NONE),
    ];
    let change = (rights, 0..4).prop_map(|(r, how)| match how {
        0 | 1 => RightsChange::Replace(r),
        2 => RightsChange::Add(r),
        _ => RightsChange::Remove(r),
    });
    let grantee = prop_oneof![
        3 => Just(Grantee::Account(A)),
        1 => Just(Grantee::Account(B)),
        1 => Just(Grantee::Group(A)),
        1 => Just(Grantee::Authenticated),
        1 => Just(Grantee::Anyone),
    ];
    let one = (0..PATHS.len(), grantee, prop::bool::weighted(0.2), change)
        .prop_map(|(folder, grantee, negative, change)| Set { folder, grantee, negative, change });
    prop::collection::vec(one, 0..6)
}

fn probes() -> impl Strategy<Value = Probe> {
    let f = 0..PATHS.len();
    prop_oneof![
        f.clone().prop_map(Probe::Add),
        f.clone().prop_map(Probe::AddMany),
        (f.clone(), f.clone()).prop_map(|(f, t)| Probe::Replace(f, t)),
        (f.clone(), 0u8..4).prop_map(|(f, w)| Probe::Store(f, w)),
        (f.clone(), f.clone()).prop_map(|(f, t)| Probe::Copy(f, t)),
        (f.clone(), f.clone()).prop_map(|(f, t)| Probe::Move(f, t)),
        (f.clone(), any::<bool>()).prop_map(|(f, d)| Probe::Expunge(f, d)),
        f.clone().prop_map(Probe::Create),
        Just(Probe::CreateAtTop),
        f.clone().prop_map(Probe::Delete),
        (f.clone(), f.clone()).prop_map(|(f, t)| Probe::Rename(f, t)),
        f.clone().prop_map(Probe::SetAcl),
        (f.clone(), any::<bool>()).prop_map(|(f, s)| Probe::SetNote(f, s)),
        (0u8..6).prop_map(Probe::Own),
        f.clone().prop_map(Probe::Uids),
        f.clone().prop_map(Probe::Messages),
        f.clone().prop_map(Probe::Changes),
        f.clone().prop_map(Probe::Missed),
        f.clone().prop_map(Probe::Search),
        f.clone().prop_map(Probe::Sort),
        f.clone().prop_map(Probe::Thread),
        f.clone().prop_map(Probe::Blob),
        f.clone().prop_map(Probe::Acl),
        f.clone().prop_map(Probe::Notes),
        f.prop_map(Probe::Folder),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn rights_decide_as_in_the_model(sets in sets(), probe in probes(), who in prop_oneof![4 => Just(A), 1 => Just(B)]) {
        let (mut rig, mut model) = (rig(), Model::default());
        for set in &sets {
            let Set { folder, grantee, negative, change } = *set;
            let command = MailboxCommand::SetAcl { folder: id(folder), grantee, negative, change };
            let Ok(Receipt::Shared { grantees, .. }) = rig.run(command) else { panic!() };
            model.set(set);
            let given: BTreeSet<Grantee> = model.0.values().flatten().filter(|(_, v)| !v.0.is_empty()).map(|(g, _)| *g).collect();
            prop_assert_eq!(grantees, given.into_iter().collect::<Vec<_>>());
        }
        rig.actor = Some(who);
        // All folders with `l` are told, with the rights there are; the counters only to readers.
        let Ok(MailboxReply::Folders(list)) = rig.ask(MailboxQuery::Folders) else { panic!() };
        let told: Vec<_> = list.iter().map(|f| (f.path.clone(), letters(f.rights.unwrap()), f.messages)).collect();
        let mut want: Vec<_> = (0..PATHS.len())
            .map(|n| (PATHS[n].to_string(), model.rights(n, who)))
            .filter(|(_, r)| r.contains(&'l'))
            .map(|(p, r)| { let messages = if r.contains(&'r') { 2 } else { 0 }; (p, r, messages) })
            .collect();
        want.sort();
        prop_assert_eq!(told, want);
        let expected = expected(&model, who, probe);
        prop_assert_eq!(carry_out(&mut rig, probe), expected, "{:?}", probe);
        rig.assert_replicas_agree();
    }
}

fn grant(rig: &mut Rig, folder: FolderId, rights: &str) {
    let change = RightsChange::Replace(rights.parse().unwrap());
    let command = MailboxCommand::SetAcl { folder, grantee: Grantee::Account(A), negative: false, change };
    rig.run(command).unwrap();
}

/// Whatever the rights on folders, some things stay the owner's: they are about the mailbox, and not about a folder.
#[test]
fn what_is_the_owners_alone() {
    use MailboxCommand as C;
    use MailboxQuery as Q;
    use delivery::*;
    let mut rig = rig();
    let source = Bytes::from_static(b"keep;");
    let script = |name: &str| ScriptText { name: name.into(), source: source.clone() };
    rig.run(C::PutScript(script("one"))).unwrap();
    rig.run(C::SetUrlAuthKey { folder: id(0), key: mailbox::UrlAuthKey([1; 32]), keep: false }).unwrap();
    rig.run(C::Subscribe { folder: id(2), subscribed: true }).unwrap();
    rig.run(C::DeleteFolder { folder: id(2), was: None }).unwrap();
    for n in [0, 1, 3] {
        grant(&mut rig, id(n), "lrswipkxtea");
    }
    let deliver = |scripts| {
        let parsed = message(id(0), inline(b"d")).parsed;
        let filing = Filing { content: 0, target: Target::Folder(id(0)), flags: Flags::UNREAD, keywords: vec![] };
        C::Deliver(Box::new(Delivery {
            internal_ms: 0,
            contents: vec![Content { body: inline(b"d"), parsed: Some(parsed) }],
            filings: vec![filing],
            outgoing: vec![],
            remember: vec![],
            delivery_key: DeliveryKey([2; 32]),
            scripts,
            warn: None,
        }))
    };
    let settlement = Settlement {
        number: 0,
        claim: 0,
        done: vec![],
        retry_ms: 0,
        note: String::new(),
        contents: vec![],
        outgoing: vec![],
        warned: false,
    };
    rig.actor = Some(A);
    let before = rig.state();
    for command in [
        deliver(1),
        C::PutScript(script("two")),
        C::DeleteScript("one".into()),
        C::RenameScript { from: "one".into(), to: "two".into() },
        C::ActivateScript(Some("one".into())),
        C::ActivateScript(None),
        C::ClaimOutgoing { number: 0, due_ms: 0, until_ms: 1 },
        C::SettleOutgoing(Box::new(settlement.clone())),
        C::SettleOutgoings(vec![queue::PlacedSettlement { mailbox: BOX, settlement }]),
        C::ClaimOutgoings { claims: vec![], until_ms: 1 },
        C::SetUrlAuthKey { folder: id(0), key: mailbox::UrlAuthKey([9; 32]), keep: true },
        C::DropUrlAuthKeys,
        C::ForgetSubscription(PATHS[2].into()),
        C::TakeRecent(id(0)),
        C::Subscribe { folder: id(0), subscribed: true },
    ] {
        let told = format!("{command:?}");
        assert!(matches!(rig.run(command), Err(Error::Denied(_))), "{told}");
        assert_eq!(rig.state(), before, "{told}");
    }
    for query in [
        Q::Scripts,
        Q::Script("one".into()),
        Q::Filters { all: true, folders: true, seen: vec![] },
        Q::Outgoing(0),
        Q::UrlAuthKey(id(0)),
        Q::LostSubscriptions,
        Q::FolderNews(ModSeq(0)),
        Q::MetadataNews(ModSeq(0)),
        Q::SubscribedNames,
    ] {
        let told = format!("{query:?}");
        assert!(matches!(rig.ask(query), Err(Error::Denied(_))), "{told}");
    }
    // The same by the owner, or for a delivery.
    rig.actor = None;
    assert_eq!(rig.ask(Q::LostSubscriptions), Ok(MailboxReply::Names(vec![PATHS[2].into()])));
    assert!(matches!(rig.run(deliver(1)), Ok(Receipt::Delivered(d)) if d.filed.len() == 1));
    rig.run(C::ActivateScript(Some("one".into()))).unwrap();
    rig.assert_replicas_agree();
}

/// What one command with several messages, or one in place of another, sets is narrowed as that of one message is.
#[test]
fn flags_of_several_messages_and_replacements() {
    let mut rig = rig();
    grant(&mut rig, id(0), "lrite");
    grant(&mut rig, id(3), "lriw");
    rig.actor = Some(A);
    let new = |folder, n| {
        let mut new = message(folder, inline(&content(n)));
        (new.flags, new.keywords) = (Flags::ANSWERED, vec!["mine".into()]);
        new.delivery_key = Some(DeliveryKey([n; 32]));
        new
    };
    rig.run(MailboxCommand::AddMessages(vec![new(id(0), 1), new(id(0), 2)])).unwrap();
    rig.run(MailboxCommand::AddMessages(vec![new(id(3), 1)])).unwrap();
    rig.run(MailboxCommand::Replace { folder: id(0), uid: Uid(1), message: new(id(0), 3) }).unwrap();
    // With the rights of both folders also from one to the other.
    rig.run(MailboxCommand::Replace { folder: id(0), uid: Uid(2), message: new(id(3), 3) }).unwrap();
    rig.actor = None;
    let told = |rig: &Rig, n| {
        let all = rig.messages(id(n)).into_iter();
        all.map(|m| (m.uid.0, m.flags, m.keywords.join(" "))).collect::<Vec<_>>()
    };
    let plain = |uid| (uid, Flags::UNREAD, String::new());
    assert_eq!(told(&rig, 0), vec![plain(3), plain(4), plain(5)]);
    let written = |uid| (uid, Flags::UNREAD.with(Flags::ANSWERED), "mine".to_string());
    assert_eq!(told(&rig, 3)[2..], [written(3), written(4)]);
    assert_eq!(rig.count(Table::Delivery), 0);
    rig.assert_replicas_agree();
}

#[test]
fn flags_go_as_far_as_the_rights() {
    let mut rig = rig();
    grant(&mut rig, id(0), "lr");
    grant(&mut rig, id(3), "lri");
    rig.actor = Some(A);
    let uids = UidSet::range(1, 1);
    rig.run(MailboxCommand::Copy { from: id(0), uids: uids.clone(), to: id(3) }).unwrap();
    let mut new = message(id(3), inline(b"mine"));
    (new.flags, new.keywords) = (Flags::ANSWERED, vec!["mine".into()]);
    new.delivery_key = Some(DeliveryKey([1; 32]));
    rig.run(MailboxCommand::AddMessage(new)).unwrap();
    rig.actor = None;
    for m in rig.messages(id(3)).split_off(2) {
        assert_eq!((m.flags, m.keywords), (Flags::UNREAD, vec![]));
    }
    assert_eq!(rig.count(Table::Delivery), 0);
    // Replacing flags leaves alone what may not be changed.
    grant(&mut rig, id(0), "lrs");
    rig.actor = Some(A);
    let replace = MailboxCommand::Store {
        folder: id(0),
        uids,
        add: Flags::UNREAD,
        remove: Flags::IMAP,
        keywords: KeywordChange::Replace(vec![]),
        unchanged_since: None,
    };
    let Ok(Receipt::Stored { changed, .. }) = rig.run(replace) else { panic!() };
    assert_eq!(changed[0].flags, Flags::FLAGGED.with(Flags::DELETED).with(Flags::UNREAD));
    assert_eq!(changed[0].keywords, vec!["k".to_string()]);
}

#[test]
fn a_folder_that_is_moved_by_another_keeps_its_grants() {
    let mut rig = rig();
    grant(&mut rig, id(1), "lrx");
    grant(&mut rig, id(3), "lrswipkxtea");
    rig.actor = Some(A);
    let rename = |path: &str| MailboxCommand::RenameFolder { folder: id(2), path: path.into(), was: None };
    rig.run(rename("V/y")).unwrap();
    assert_eq!(rig.folder(id(2)).rights.unwrap().to_string(), "lrxc");
    // The owner's own move follows the new parent.
    rig.actor = None;
    rig.run(MailboxCommand::RenameFolder { folder: id(1), path: "V/x".into(), was: None }).unwrap();
    grant(&mut rig, id(1), "");
    rig.actor = Some(A);
    assert!(matches!(rig.ask(MailboxQuery::Folder(id(1))), Err(Error::NotFound(_))));
}

#[test]
fn annotations() {
    let mut rig = rig();
    grant(&mut rig, id(0), "lrw");
    let set = |rig: &mut Rig, folder, entries: &[(&str, Option<&str>)]| {
        let entries = entries
            .iter()
            .map(|(n, v)| Annotation { name: (*n).into(), value: v.map(|v| Bytes::copy_from_slice(v.as_bytes())) })
            .collect();
        rig.run(MailboxCommand::SetMetadata { folder, entries })
    };
    let get = |rig: &Rig, folder, entries: &[&str], depth, max_size| {
        let entries = entries.iter().map(|e| (*e).into()).collect();
        match rig.ask(MailboxQuery::Metadata { folder, entries, depth, max_size }) {
            Ok(MailboxReply::Metadata { entries, longest }) => {
                let shown =
                    |a: &Annotation| format!("{}={}", a.name, String::from_utf8_lossy(a.value.as_ref().unwrap()));
                (entries.iter().map(shown).collect::<Vec<_>>().join(" "), longest)
            }
            other => panic!("{other:?}"),
        }
    };
    let w = Some(id(0));
    set(&mut rig, w, &[("/shared/comment", Some("ours")), ("/private/comment", Some("mine"))]).unwrap();
    set(&mut rig, w, &[("/shared/a/b", Some("1")), ("/shared/a/b/c", Some("22")), ("/shared/ab", Some(""))]).unwrap();
    set(&mut rig, None, &[("/private/x", Some("server"))]).unwrap();
    assert_eq!(get(&rig, None, &["/private/x"], Depth::Zero, None), ("/private/x=server".into(), None));
    assert_eq!(get(&rig, w, &["/shared/a"], Depth::One, None), ("/shared/a/b=1".into(), None));
    assert_eq!(get(&rig, w, &["/shared/a"], Depth::Infinity, Some(1)), ("/shared/a/b=1".into(), Some(2)));
    let all = get(&rig, w, &["/shared", "/private"], Depth::Infinity, None).0;
    assert_eq!(all, "/private/comment=mine /shared/a/b=1 /shared/a/b/c=22 /shared/ab= /shared/comment=ours");
    // Another reader has private ones of his own.
    rig.actor = Some(A);
    set(&mut rig, w, &[("/private/comment", Some("his"))]).unwrap();
    let both = &["/private/comment", "/shared/comment"];
    assert_eq!(get(&rig, w, both, Depth::Zero, None).0, "/private/comment=his /shared/comment=ours");
    rig.actor = None;
    assert_eq!(get(&rig, w, both, Depth::Zero, None).0, "/private/comment=mine /shared/comment=ours");
    for bad in ["/other/x", "/shared", "/shared/", "/shared//x", "/shared/x/", "/shared/*", "/shared/A", "shared/x"] {
        assert!(matches!(set(&mut rig, w, &[(bad, Some("x"))]), Err(Error::Invalid(_))), "{bad}");
    }
    let long = "x".repeat(ANNOTATION_VALUE_BYTES_MAX + 1);
    assert!(matches!(set(&mut rig, w, &[("/shared/x", Some(&long))]), Err(Error::TooLarge(_))));
    for n in 0..ANNOTATIONS_PER_FOLDER_MAX - 4 {
        set(&mut rig, w, &[(&format!("/shared/n{n}"), Some("x"))]).unwrap();
    }
    assert!(matches!(set(&mut rig, w, &[("/shared/more", Some("x"))]), Err(Error::Conflict(_))));
    set(&mut rig, w, &[("/shared/n0", None), ("/shared/more", Some("x"))]).unwrap();
    let large = "x".repeat(ANNOTATION_VALUE_BYTES_MAX);
    let fill: Vec<String> = (1..40).map(|n| format!("/shared/n{n}")).collect();
    let fill: Vec<(&str, Option<&str>)> = fill.iter().map(|n| (n.as_str(), Some(large.as_str()))).collect();
    assert_eq!(set(&mut rig, w, &fill), Err(Error::QuotaExceeded));
    // They go with their folder.
    assert_eq!(rig.count(Table::Annotation), 2 + ANNOTATIONS_PER_FOLDER_MAX + 1);
    for n in [2, 1, 0] {
        rig.run(MailboxCommand::DeleteFolder { folder: id(n), was: None }).unwrap();
    }
    assert_eq!((rig.count(Table::Annotation), rig.count(Table::Acl)), (1, 0));
    set(&mut rig, None, &[("/private/x", None)]).unwrap();
    assert_eq!(rig.count(Table::Annotation), 0);
    rig.assert_replicas_agree();
}

#[test]
fn subscriptions_to_others_folders() {
    let mut rig = rig();
    let name = |n: usize| format!("/home/c@example.com/{n}");
    let sub = |rig: &mut Rig, n, subscribed| rig.run(MailboxCommand::SubscribeName { name: name(n), subscribed });
    for n in [2, 1, 2] {
        sub(&mut rig, n, true).unwrap();
    }
    assert_eq!(rig.ask(MailboxQuery::SubscribedNames), Ok(MailboxReply::SubscribedNames(vec![name(1), name(2)])));
    sub(&mut rig, 1, false).unwrap();
    sub(&mut rig, 1, false).unwrap();
    assert_eq!(rig.ask(MailboxQuery::SubscribedNames), Ok(MailboxReply::SubscribedNames(vec![name(2)])));
    for n in 100..100 + SUBSCRIBED_NAMES_MAX - 1 {
        sub(&mut rig, n, true).unwrap();
    }
    assert!(matches!(sub(&mut rig, 99, true), Err(Error::TooLarge(_))));
    assert!(matches!(
        rig.run(MailboxCommand::SubscribeName { name: "".into(), subscribed: true }),
        Err(Error::Invalid(_))
    ));
}

#[test]
fn the_root_is_nobodys_to_share() {
    let mut rig = rig();
    let change = RightsChange::Add(Rights::IMAP);
    let set = MailboxCommand::SetAcl { folder: folders::USER_ROOT, grantee: Grantee::Anyone, negative: false, change };
    assert!(matches!(rig.run(set), Err(Error::NotFound(_))));
}

#[test]
fn the_directory_knows_who_shares_with_whom() {
    use zcluster_state::memory::Memory;
    let memory = Memory::new();
    let ids: Vec<AccountId> =
        ["a", "b", "c"].iter().map(|n| memory.add_account(&format!("{n}@example.com"), "x")).collect();
    let set = |owner: usize, modseq, grantees: &[Grantee]| {
        let command =
            DirectoryCommand::SetShares { owner: ids[owner], grantees: grantees.to_vec(), modseq: ModSeq(modseq) };
        memory.command(command)
    };
    let with = |account: usize, after: Option<usize>, limit| {
        let after = after.map(|n| ids[n]);
        match memory.directory(DirectoryQuery::SharedWith { account: ids[account], after, limit }) {
            Ok(DirectoryReply::Sharers(list)) => {
                list.iter().map(|(_, name)| name.chars().next().unwrap()).collect::<String>()
            }
            other => panic!("{other:?}"),
        }
    };
    set(0, 5, &[Grantee::Account(ids[2]), Grantee::Anyone]).unwrap();
    set(1, 5, &[Grantee::Account(ids[2])]).unwrap();
    assert_eq!((with(0, None, 9), with(1, None, 9), with(2, None, 9)), ("".into(), "a".into(), "ab".into()));
    assert_eq!((with(2, None, 1), with(2, Some(0), 1), with(2, Some(1), 1)), ("a".into(), "b".into(), "".into()));
    // News that comes late changes nothing.
    set(0, 4, &[]).unwrap();
    assert_eq!(with(1, None, 9), "a");
    set(0, 6, &[Grantee::Account(ids[1])]).unwrap();
    assert_eq!((with(1, None, 9), with(2, None, 9)), ("a".into(), "b".into()));
    memory.command(DirectoryCommand::DeleteAccount(ids[0])).unwrap();
    assert_eq!(with(1, None, 9), "");
    assert!(matches!(set(0, 9, &[Grantee::Anyone]), Err(Error::NotFound(_))));
}
