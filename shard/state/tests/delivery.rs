//! `Deliver`, scripts and the outbox: rules one by one, and random histories that must leave nothing behind.

mod common;

use bytes::Bytes;
use common::*;
use proptest::prelude::*;
use zcluster_api::delivery::*;
use zcluster_api::mailbox::{FolderView, Parsed, SpecialUse, folders};
use zcluster_api::*;
use zcluster_state::Table;

fn piece(n: u8) -> Content {
    Content { body: inline(&content(n)), parsed: Some(Parsed::default()) }
}

fn to(content: u32, target: Target) -> Filing {
    Filing { content, target, flags: Flags::UNREAD, keywords: vec![] }
}

fn inbox() -> Target {
    Target::Folder(folders::INBOX)
}

fn path(path: &str, create: bool) -> Target {
    Target::Path { path: path.into(), create }
}

fn outgoing(content: u32) -> NewOutgoing {
    let recipients = vec!["a@x".to_string(), "b@x".to_string()];
    NewOutgoing { content, kind: OutgoingKind::Redirect, sender: "s@y".into(), recipients, once: None }
}

fn delivery(key: u8) -> Delivery {
    Delivery {
        internal_ms: 5,
        contents: vec![piece(0), piece(1)],
        filings: vec![],
        outgoing: vec![],
        remember: vec![],
        delivery_key: DeliveryKey([key; 32]),
        scripts: 0,
        warn: None,
    }
}

fn deliver(rig: &mut Rig, d: Delivery) -> Result<Delivered> {
    match rig.run(MailboxCommand::Deliver(Box::new(d)))? {
        Receipt::Delivered(done) => Ok(done),
        other => panic!("{other:?}"),
    }
}

fn put_script(name: &str, source: &str) -> MailboxCommand {
    MailboxCommand::PutScript(ScriptText { name: name.into(), source: Bytes::copy_from_slice(source.as_bytes()) })
}

fn filters(rig: &Rig, seen: &[SeenId]) -> FilterView {
    match rig.ask(MailboxQuery::Filters { all: true, folders: false, seen: seen.to_vec() }) {
        Ok(MailboxReply::Filters(view)) => view,
        other => panic!("{other:?}"),
    }
}

fn outbox(rig: &Rig) -> Vec<Outgoing> {
    match rig.ask(MailboxQuery::Outgoing(0)) {
        Ok(MailboxReply::Outgoing(all)) => all,
        other => panic!("{other:?}"),
    }
}

#[test]
fn copies_share_one_body_and_a_folder_has_one() {
    let mut rig = Rig::new();
    let filings = vec![
        to(0, inbox()),
        to(0, path("inbox", false)),
        to(0, path("Work/Lists", true)),
        to(0, path("work/lists", true)),
        to(1, path("Work/Lists", true)),
        to(0, path("No Such", false)),
        to(0, path("a//b", true)),
    ];
    let done = deliver(&mut rig, Delivery { filings, ..delivery(1) }).unwrap();
    assert_eq!(done.filed.len(), 3, "{done:?}");
    assert_eq!(rig.messages(folders::INBOX).len(), 1);
    assert_eq!(rig.messages(done.filed[1].folder).len(), 2);
    assert_eq!(rig.folder(done.filed[1].folder).path, "Work/Lists");
    assert_eq!((rig.count(Table::Blob), rig.count(Table::Body)), (2, 2));
    let again = deliver(&mut rig, Delivery { filings: vec![to(1, inbox())], ..delivery(1) }).unwrap();
    assert!(again.duplicate && again.filed.is_empty());
    rig.assert_replicas_agree();
}

#[test]
fn uses_and_views_decide_where() {
    let mut rig = Rig::new();
    let wanted = |special_use, path: &str, create| Target::Use { special_use, path: path.into(), create };
    let filings = vec![
        to(0, wanted(SpecialUse::Junk, "Spam", false)),
        to(0, wanted(SpecialUse::Archive, "Old", true)),
        to(0, path("Contacts", false)),
    ];
    let done = deliver(&mut rig, Delivery { filings, ..delivery(1) }).unwrap();
    let folders: Vec<FolderId> = done.filed.iter().map(|f| f.folder).collect();
    assert_eq!((folders[0], folders[2]), (folders::JUNK, folders::INBOX), "contacts take no mail");
    let archive = rig.folder(folders[1]);
    assert_eq!((archive.path.as_str(), archive.special_use), ("Old", Some(SpecialUse::Archive)));
    assert_eq!(archive.view, FolderView::Message);
}

#[test]
fn nothing_happens_when_something_cannot() {
    let mut rig = Rig::new();
    let before = rig.state();
    let many = vec![to(0, inbox()); FILINGS_MAX + 1];
    let unparsed = vec![Content { parsed: None, ..piece(0) }];
    let long = NewOutgoing { sender: "x".repeat(OUTGOING_ADDRESS_BYTES_MAX + 1), ..outgoing(0) };
    let upload = Body::Uploaded {
        id: blob_id(b"u"),
        size: 1,
        codec: Codec::Plain,
        upload: RequestId([7; 16]),
        chunks: 1,
        stored: 1,
    };
    let tries = [
        Delivery { filings: many, ..delivery(1) },
        Delivery { filings: vec![to(0, inbox())], contents: unparsed, ..delivery(1) },
        Delivery { filings: vec![to(9, inbox())], ..delivery(1) },
        Delivery { outgoing: vec![outgoing(2)], ..delivery(1) },
        Delivery { outgoing: vec![NewOutgoing { recipients: vec![], ..outgoing(0) }], ..delivery(1) },
        Delivery { outgoing: vec![long], ..delivery(1) },
        Delivery { scripts: 1, filings: vec![to(0, inbox())], ..delivery(1) },
        Delivery { contents: vec![Content { body: upload, parsed: None }], ..delivery(1) },
    ];
    for (n, attempt) in tries.into_iter().enumerate() {
        assert!(deliver(&mut rig, attempt).is_err(), "{n}");
        assert_eq!(rig.state(), before, "{n}");
    }
    rig.quota = 25;
    let twice = vec![to(0, inbox()), to(1, inbox())];
    assert_eq!(deliver(&mut rig, Delivery { filings: twice, ..delivery(1) }), Err(Error::QuotaExceeded));
    assert_eq!(rig.state(), before);
    let discarded = deliver(&mut rig, Delivery { outgoing: vec![outgoing(1)], ..delivery(1) }).unwrap();
    assert_eq!((discarded.filed.len(), discarded.outgoing), (0, 1), "what is not stored needs no room");
}

#[test]
fn scripts_are_kept_by_name_and_every_change_counts() {
    let mut rig = Rig::new();
    assert_eq!(filters(&rig, &[]).version, 0);
    rig.run(put_script("a", "keep;")).unwrap();
    rig.run(put_script("b", "discard;")).unwrap();
    rig.run(MailboxCommand::ActivateScript(Some("a".into()))).unwrap();
    let view = filters(&rig, &[]);
    assert_eq!((view.version, view.active.as_deref(), view.scripts.len()), (3, Some("a"), 2));
    assert!(matches!(rig.run(MailboxCommand::DeleteScript("a".into())), Err(Error::Conflict(_))));
    assert!(matches!(rig.run(MailboxCommand::DeleteScript("x".into())), Err(Error::NotFound(_))));
    let rename = |from: &str, to: &str| MailboxCommand::RenameScript { from: from.into(), to: to.into() };
    assert!(matches!(rig.run(rename("a", "b")), Err(Error::Exists(_))));
    assert!(matches!(rig.run(rename("x", "y")), Err(Error::NotFound(_))));
    rig.run(rename("a", "c")).unwrap();
    assert_eq!(filters(&rig, &[]).active.as_deref(), Some("c"));
    rig.run(MailboxCommand::ActivateScript(None)).unwrap();
    rig.run(MailboxCommand::DeleteScript("c".into())).unwrap();
    let MailboxReply::Scripts(list) = rig.ask(MailboxQuery::Scripts).unwrap() else { panic!() };
    assert_eq!(list, [ScriptInfo { name: "b".into(), size: 8, active: false }]);
    for bad in ["", "a/b", "a\u{7}", &"x".repeat(SCRIPT_NAME_BYTES_MAX + 1)] {
        assert!(rig.run(put_script(bad, "keep;")).is_err(), "{bad:?}");
    }
    let long = "#".repeat(SCRIPT_BYTES_MAX);
    for n in 0..3 {
        rig.run(put_script(&format!("long{n}"), &long)).unwrap();
    }
    assert!(matches!(rig.run(put_script("long3", &long)), Err(Error::TooLarge(_))), "all together");
    rig.run(put_script("long0", "#")).unwrap();
    rig.run(put_script("long3", &long)).unwrap();
    let version = filters(&rig, &[]).version;
    assert!(matches!(deliver(&mut rig, delivery(1)), Err(Error::Conflict(_))));
    deliver(&mut rig, Delivery { scripts: version, ..delivery(1) }).unwrap();
}

#[test]
fn one_reply_in_its_time() {
    let mut rig = Rig::new();
    let id = SeenId([4; 32]);
    let reply = || NewOutgoing { once: Some(Remember { id, for_ms: 1_000 }), ..outgoing(0) };
    for (key, wait, sent) in [(1, 0, 1), (2, 10, 0), (3, 2_000, 1)] {
        rig.wall_ms += wait;
        let done = deliver(&mut rig, Delivery { outgoing: vec![reply(), reply()], ..delivery(key) }).unwrap();
        assert_eq!(done.outgoing, sent, "{key}");
    }
    assert_eq!(filters(&rig, &[id, SeenId([5; 32])]).seen, [true, false]);
    rig.wall_ms += 5_000;
    deliver(&mut rig, Delivery { remember: vec![Remember { id: SeenId([6; 32]), for_ms: 1 }], ..delivery(9) }).unwrap();
    assert_eq!(filters(&rig, &[id]).seen, [false]);
    assert_eq!((rig.count(Table::Seen), rig.count(Table::SeenOrder)), (1, 1), "the old one was pruned");
}

#[test]
fn a_claim_is_one_mans_and_a_settlement_everybodys() {
    let mut rig = Rig::new();
    deliver(&mut rig, Delivery { outgoing: vec![outgoing(0)], ..delivery(1) }).unwrap();
    let (due, next) = rig.due(rig.wall_ms, 10);
    assert_eq!((due.len(), next), (1, None));
    let (number, due_ms) = (due[0].number, due[0].due_ms);
    let until_ms = due_ms + 1_000;
    let claim = MailboxCommand::ClaimOutgoing { number, due_ms, until_ms };
    let Receipt::Claimed(Some(message)) = rig.run(claim.clone()).unwrap() else { panic!() };
    assert_eq!((message.attempts, message.due_ms), (1, until_ms));
    assert_eq!(rig.run(claim), Ok(Receipt::Claimed(None)), "somebody has it");
    assert_eq!(rig.due(rig.wall_ms, 10), (vec![], Some(until_ms)));

    let settled = |claim, done: &[&str]| Settlement {
        number,
        claim,
        done: done.iter().map(ToString::to_string).collect(),
        retry_ms: 99,
        note: "é".repeat(400),
        contents: vec![],
        outgoing: vec![],
        warned: false,
    };
    let late = MailboxCommand::SettleOutgoing(Box::new(settled(due_ms, &["a@x"])));
    rig.run(late).unwrap();
    let left = outbox(&rig);
    assert_eq!((left[0].recipients.as_slice(), left[0].due_ms), (&["b@x".to_string()][..], until_ms));
    rig.run(MailboxCommand::SettleOutgoing(Box::new(settled(until_ms, &[])))).unwrap();
    let left = outbox(&rig);
    assert_eq!((left[0].due_ms, left[0].note.len()), (99, 500));
    let report = Settlement { contents: vec![piece(1)], outgoing: vec![outgoing(0)], ..settled(0, &["b@x"]) };
    rig.run(MailboxCommand::SettleOutgoing(Box::new(report.clone()))).unwrap();
    assert_eq!(outbox(&rig).len(), 1, "the report");
    rig.run(MailboxCommand::SettleOutgoing(Box::new(report))).unwrap();
    assert_eq!(outbox(&rig).len(), 1, "told once");
    assert_eq!(rig.count(Table::OutgoingDue), 1);
    rig.assert_replicas_agree();
}

#[test]
fn the_owner_is_warned_at_the_level_and_not_every_time() {
    let mut rig = Rig::new();
    rig.quota = 100;
    let warn = Some(QuotaWarning { percent: 30, interval_ms: 1_000 });
    let next = |key| Delivery { filings: vec![to(0, inbox())], warn, ..delivery(key) };
    assert_eq!(deliver(&mut rig, next(1)).unwrap().warn, None);
    deliver(&mut rig, next(2)).unwrap();
    assert_eq!(deliver(&mut rig, next(3)).unwrap().warn, Some((30, 100)));
    assert_eq!(deliver(&mut rig, next(4)).unwrap().warn, None);
    rig.wall_ms += 1_000;
    assert_eq!(deliver(&mut rig, next(5)).unwrap().warn, Some((50, 100)));
}

#[derive(Clone, Debug)]
enum Op {
    Deliver { key: u8, filings: Vec<(u8, u8)>, sends: Vec<(u8, bool)> },
    Carry { done: bool },
    Expunge,
    Clock(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0u8..6, prop::collection::vec((0u8..2, 0u8..4), 0..4), prop::collection::vec((0u8..2, any::<bool>()), 0..3))
            .prop_map(|(key, filings, sends)| Op::Deliver { key, filings, sends }),
        3 => any::<bool>().prop_map(|done| Op::Carry { done }),
        1 => Just(Op::Expunge),
        1 => (0u64..10_000_000).prop_map(Op::Clock),
    ]
}

fn run(rig: &mut Rig, op: Op) {
    match op {
        Op::Deliver { key, filings, sends } => {
            let targets = [inbox(), path("New", true), path("Gone", false), path("new/deeper", true)];
            let filings = filings.iter().map(|(c, t)| to(u32::from(*c), targets[usize::from(*t)].clone())).collect();
            let once = |key: u8| Some(Remember { id: SeenId([key; 32]), for_ms: 1_000_000 });
            let send = |(c, o): &(u8, bool)| NewOutgoing {
                once: if *o { once(key) } else { None },
                ..outgoing(u32::from(*c))
            };
            let outgoing = sends.iter().map(send).collect();
            deliver(rig, Delivery { filings, outgoing, ..delivery(key) }).unwrap();
        }
        Op::Carry { done } => {
            for due in rig.due(rig.wall_ms, 2).0 {
                let (number, until_ms) = (due.number, due.due_ms + 60_000);
                let claim = MailboxCommand::ClaimOutgoing { number, due_ms: due.due_ms, until_ms };
                assert!(matches!(rig.run(claim).unwrap(), Receipt::Claimed(Some(_))));
                let done = if done { vec!["a@x".to_string(), "b@x".to_string()] } else { vec!["a@x".to_string()] };
                let retry_ms = rig.wall_ms + 5_000;
                let (note, contents, outgoing) = (String::new(), vec![], vec![]);
                let warned = false;
                let settlement =
                    Settlement { number, claim: until_ms, done, retry_ms, note, contents, outgoing, warned };
                rig.run(MailboxCommand::SettleOutgoing(Box::new(settlement))).unwrap();
            }
        }
        Op::Expunge => {
            let uids = UidSet::range(1, u32::MAX);
            let expunge = MailboxCommand::Expunge { folder: folders::INBOX, uids, only_deleted: false };
            rig.run(expunge).unwrap();
        }
        Op::Clock(ms) => rig.wall_ms += ms,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_left_of_a_deleted_mailbox(ops in prop::collection::vec(op(), 1..40)) {
        let mut rig = Rig::new();
        for op in ops {
            run(&mut rig, op);
            let waiting = outbox(&rig);
            prop_assert_eq!(rig.count(Table::OutgoingDue), waiting.len());
            prop_assert_eq!(rig.count(Table::Seen), rig.count(Table::SeenOrder));
            for message in &waiting {
                // Every message that waits still has its bytes.
                let chunk = zcluster_state::body_chunk(&rig.kv, message.blob.id, 0);
                prop_assert_eq!(chunk.map(|c| c.len() as u64), Some(message.blob.size));
            }
        }
        rig.assert_replicas_agree();
        while rig.run(MailboxCommand::DeleteMailbox).unwrap() != (Receipt::Deleted { more: false }) {}
        let left: Vec<Table> = rig.state().into_iter().map(|(table, _, _)| table).collect();
        prop_assert_eq!(left, vec![Table::Mailbox], "its tombstone");
    }
}
