//! Rules of the mailbox machine that a random walk hardly meets: windows, steps, uploads, homes, paging.

mod common;

use bytes::Bytes;
use common::*;
use std::cell::Cell;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::mailbox::{FolderView, KeywordChange, SpecialUse, Want, folders};
use zcluster_api::*;
use zcluster_state::{Candidate, Change, Content, Proposal, Reply, Table, body_chunk, read_mailbox};

const MINUTE: u64 = 60_000;
const INBOX: FolderId = folders::INBOX;

fn store(uids: UidSet, add: Flags, remove: Flags) -> MailboxCommand {
    let keywords = KeywordChange::Add(vec![]);
    MailboxCommand::Store { folder: INBOX, uids, add, remove, keywords, unchanged_since: None }
}

fn create(path: &str) -> MailboxCommand {
    MailboxCommand::CreateFolder { path: path.into(), view: FolderView::Message, special_use: None }
}

fn made(rig: &mut Rig, path: &str) -> mailbox::Folder {
    match rig.run(create(path)) {
        Ok(Receipt::Folder(f)) => f,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_retry_is_answered_and_not_repeated() {
    let mut rig = Rig::new();
    let first = rig.applied(add(INBOX, 1));
    assert_eq!(first.changed, vec![(BOX, ModSeq(2))]);
    let proposal = rig.last.clone().unwrap();
    let before = rig.state();
    let again = rig.propose(&proposal);
    assert_eq!((&again.reply, again.changed.len(), again.effects.len()), (&first.reply, 0, 0));
    assert_eq!(rig.state(), before);
    // A refusal is kept as well, even when the same command would now succeed.
    let refused = rig.applied(store(UidSet::range(1, 1), Flags::SENT, Flags::SENT)).reply;
    assert!(matches!(refused, Reply::Mailbox(Ok(_))));
    rig.quota = 1;
    let refused = rig.applied(add(INBOX, 2)).reply;
    let mut proposal = rig.last.clone().unwrap();
    if let Change::Mailbox { quota, .. } = &mut proposal.what {
        *quota = 0;
    }
    assert_eq!(rig.propose(&proposal).reply, refused);
    rig.assert_replicas_agree();
}

/// Replies that are kept whatever their age.
const KEPT_MIN: u32 = 20_000;

#[test]
fn replies_are_forgotten_after_their_window() {
    let mut rig = Rig::new();
    rig.run(add(INBOX, 1)).unwrap();
    let old = rig.last.clone().unwrap();
    for n in 0..KEPT_MIN + 49 {
        rig.run(store(UidSet::range(1, 1), Flags(n % 2), Flags(1))).unwrap();
    }
    assert_eq!(rig.count(Table::Reply) as u32, KEPT_MIN + 50);
    rig.wall_ms += 9 * MINUTE;
    assert!(rig.propose(&old).repeated);
    rig.wall_ms += 2 * MINUTE;
    for n in 0..30 {
        rig.run(store(UidSet::range(1, 1), Flags(n % 2), Flags(1))).unwrap();
    }
    let kept = KEPT_MIN as usize + 1;
    assert_eq!((rig.count(Table::Reply), rig.count(Table::ReplyOrder)), (kept, kept));
    assert_eq!(rig.propose(&old).changed.len(), 1);
}

#[test]
fn a_leader_whose_clock_is_ahead_still_knows_what_was_done() {
    let mut rig = Rig::new();
    let mut new = message(INBOX, inline(&content(1)));
    new.delivery_key = Some(DeliveryKey([1; 32]));
    rig.run(MailboxCommand::AddMessage(new.clone())).unwrap();
    let mut retry = rig.last.clone().unwrap();
    for n in 2..10 {
        rig.run(add(INBOX, n)).unwrap();
    }
    rig.wall_ms += 24 * 60 * MINUTE;
    retry.wall_ms = rig.wall_ms;
    assert!(rig.propose(&retry).repeated);
    // The sender's next connection is another request, but the same delivery.
    let again = rig.run(MailboxCommand::AddMessage(new));
    assert!(matches!(again, Ok(Receipt::Added { duplicate: true, .. })));
    rig.assert_replicas_agree();
}

#[test]
fn the_clock_does_not_go_back() {
    let mut rig = Rig::new();
    rig.run(add(INBOX, 1)).unwrap();
    let first = rig.messages(INBOX)[0].saved_ms;
    rig.wall_ms = 5;
    rig.run(add(INBOX, 2)).unwrap();
    assert_eq!(rig.messages(INBOX)[1].saved_ms, first);
    assert!(u64::from(made(&mut rig, "x").uid_validity) >= START_MS / 1000);
}

#[test]
fn a_delivery_arrives_once() {
    let mut rig = Rig::new();
    let deliver = |n: u8, key: u8| {
        let mut new = message(INBOX, inline(&content(n)));
        new.delivery_key = Some(DeliveryKey([key; 32]));
        MailboxCommand::AddMessage(new)
    };
    let Ok(Receipt::Added { uid, item, duplicate: false, .. }) = rig.run(deliver(1, 1)) else { panic!() };
    let again = rig.applied(deliver(1, 1));
    assert!(again.changed.is_empty());
    let Reply::Mailbox(Ok(Receipt::Added { uid: u, item: i, duplicate: true, .. })) = again.reply else { panic!() };
    assert_eq!((u, i), (uid, item));
    // Behind the window the key goes, a few with each delivery.
    for key in 2..40 {
        rig.run(deliver(1, key)).unwrap();
    }
    rig.wall_ms += 61 * MINUTE;
    for key in 40..60 {
        rig.run(deliver(1, key)).unwrap();
    }
    assert_eq!((rig.count(Table::Delivery), rig.count(Table::DeliveryOrder)), (20, 20));
    assert!(matches!(rig.run(deliver(1, 1)), Ok(Receipt::Added { duplicate: false, .. })));
    rig.assert_replicas_agree();
}

#[test]
fn a_mailbox_is_at_home_at_one_epoch() {
    let mut rig = Rig::new();
    let elsewhere = |epoch| Err(Error::WrongHome { group: GROUP, epoch: Epoch(epoch) });
    rig.epoch = Epoch(2);
    assert_eq!(rig.run(add(INBOX, 1)), elsewhere(1));
    assert_eq!(rig.ask(MailboxQuery::Info), Err(Error::WrongHome { group: GROUP, epoch: Epoch(1) }));
    (rig.mailbox, rig.epoch) = (MailboxId(8), Epoch(1));
    // The router creates the mailbox and sends the same request again: it must not be answered from the cache.
    assert_eq!(rig.run(add(INBOX, 1)), elsewhere(0));
    let refused = rig.last.clone().unwrap();
    assert_eq!(rig.run(MailboxCommand::CreateMailbox), Ok(Receipt::Done));
    assert!(matches!(rig.propose(&refused).reply, Reply::Mailbox(Ok(Receipt::Added { .. }))));
    assert_eq!(rig.applied(MailboxCommand::CreateMailbox).changed, vec![]);
}

#[test]
fn a_deleted_mailbox_stays_away() {
    let mut rig = Rig::new();
    for n in 0..1_200u16 {
        rig.run(add(INBOX, (n % 3) as u8)).unwrap();
    }
    let Ok(Receipt::Added { .. }) = rig.run(add(INBOX, 4)) else { panic!() };
    // A neighbour shares a body.
    rig.mailbox = MailboxId(8);
    rig.run(MailboxCommand::CreateMailbox).unwrap();
    rig.run(add(INBOX, 0)).unwrap();
    rig.mailbox = BOX;
    let mut steps = 0;
    loop {
        steps += 1;
        match rig.run(MailboxCommand::DeleteMailbox) {
            Ok(Receipt::Deleted { more: true }) => {}
            Ok(Receipt::Deleted { more: false }) => break,
            other => panic!("{other:?}"),
        }
        assert!(matches!(rig.run(add(INBOX, 1)), Err(Error::WrongHome { epoch: Epoch(2), .. })));
    }
    assert_eq!(steps, 3);
    assert_eq!(rig.run(MailboxCommand::DeleteMailbox), Ok(Receipt::Deleted { more: false }));
    let late = rig.run(MailboxCommand::CreateMailbox);
    assert_eq!(late, Err(Error::WrongHome { group: GROUP, epoch: Epoch(2) }));
    let group_wide = [Table::Group, Table::Reply, Table::ReplyOrder, Table::Blob, Table::Body];
    let left = rig.kv.rows().filter(|(t, k, _)| !group_wide.contains(t) && k.starts_with(&BOX.0.to_be_bytes()));
    assert_eq!(left.map(|(t, _, _)| t).collect::<Vec<_>>(), vec![Table::Mailbox]);
    assert_eq!((rig.count(Table::Blob), rig.count(Table::Body)), (1, 1));
    // One that was never used leaves the same tombstone.
    rig.mailbox = MailboxId(99);
    assert_eq!(rig.run(MailboxCommand::DeleteMailbox), Ok(Receipt::Deleted { more: false }));
    assert!(matches!(rig.run(MailboxCommand::CreateMailbox), Err(Error::WrongHome { epoch: Epoch(2), .. })));
    rig.assert_replicas_agree();
}

#[test]
fn a_large_folder_goes_in_steps() {
    let mut rig = Rig::new();
    let id = made(&mut rig, "Big").id;
    for _ in 0..1_001 {
        rig.run(add(id, 0)).unwrap();
    }
    assert_eq!(rig.run(MailboxCommand::DeleteFolder { folder: id, was: None }), Ok(Receipt::Deleted { more: true }));
    assert_eq!(rig.folder(id).messages, 501);
    assert_eq!(rig.run(MailboxCommand::DeleteFolder { folder: id, was: None }), Ok(Receipt::Deleted { more: true }));
    assert_eq!(rig.run(MailboxCommand::DeleteFolder { folder: id, was: None }), Ok(Receipt::Deleted { more: false }));
    assert!(matches!(rig.ask(MailboxQuery::Folder(id)), Err(Error::NotFound(_))));
    let gone = rig.ask(MailboxQuery::Changes { folder: id, since: ModSeq(1) }).unwrap();
    assert!(matches!(gone, MailboxReply::Changes { folder_gone: true, resync: false, .. }));
    assert_eq!((rig.count(Table::Hot), rig.count(Table::Page), rig.count(Table::Blob)), (0, 0, 0));
    // The same name again is another folder to every client.
    let validity = made(&mut rig, "Big").uid_validity;
    assert!(validity > 0 && rig.folder(INBOX).uid_validity != validity);
}

fn chunk(upload: RequestId, seq: u32, bytes: &[u8]) -> MailboxCommand {
    MailboxCommand::Chunk { upload, seq, bytes: Bytes::copy_from_slice(bytes) }
}

fn uploaded(raw: &[u8], upload: RequestId) -> Body {
    let (size, chunks) = (raw.len() as u64, raw.len().div_ceil(CHUNK_MAX) as u32);
    Body::Uploaded { id: blob_id(raw), size, codec: Codec::Plain, upload, chunks, stored: size }
}

fn stored(rig: &Rig, id: BlobId) -> Vec<u8> {
    (0..).map_while(|seq| body_chunk(&rig.kv, id, seq)).flatten().collect()
}

#[test]
fn an_upload_becomes_a_body() {
    let mut rig = Rig::new();
    let raw: Vec<u8> = (0..CHUNK_MAX * 40 + 7).map(|i| (i % 251) as u8).collect();
    let upload = RequestId([5; 16]);
    let pieces: Vec<_> = raw.chunks(CHUNK_MAX).collect();
    assert!(matches!(rig.run(chunk(upload, 1, pieces[1])), Err(Error::Invalid(_))));
    for (seq, piece) in pieces.iter().enumerate() {
        assert_eq!(rig.run(chunk(upload, seq as u32, piece)), Ok(Receipt::Done));
        assert_eq!(rig.run(chunk(upload, seq as u32, piece)), Ok(Receipt::Done));
    }
    assert!(matches!(rig.run(chunk(upload, 41, b"more")), Err(Error::Invalid(_))), "the last chunk was not full");
    let new = message(INBOX, uploaded(&raw, upload));
    rig.mailbox = MailboxId(8);
    rig.run(MailboxCommand::CreateMailbox).unwrap();
    assert!(matches!(rig.run(MailboxCommand::AddMessage(new.clone())), Err(Error::Invalid(_))), "not its upload");
    rig.mailbox = BOX;
    let short = message(INBOX, uploaded(&raw[..CHUNK_MAX], upload));
    assert!(matches!(rig.run(MailboxCommand::AddMessage(short)), Err(Error::Invalid(_))));
    // The message carries the upload's id as its own request id, as a front-end may.
    let (mailbox, epoch, command) = (BOX, EPOCH, MailboxCommand::AddMessage(new.clone()));
    let what = Change::Mailbox { mailbox, epoch, quota: 0, command, actor: None, traits: None };
    let proposal = Proposal { request: upload, wall_ms: rig.wall_ms, what };
    assert!(matches!(rig.propose(&proposal).reply, Reply::Mailbox(Ok(Receipt::Added { .. }))));
    assert_eq!(stored(&rig, blob_id(&raw)), raw);
    assert_eq!((rig.count(Table::Upload), rig.count(Table::UploadOrder), rig.count(Table::Body)), (0, 0, 41));
    // The same body uploaded again is stored once; the second upload is swept away.
    for (seq, piece) in pieces.iter().enumerate() {
        rig.run(chunk(upload, seq as u32, piece)).unwrap();
    }
    rig.run(MailboxCommand::AddMessage(new)).unwrap();
    for _ in 0..4 {
        rig.run(MailboxCommand::TakeRecent(INBOX)).unwrap();
    }
    assert_eq!((rig.count(Table::Body), rig.count(Table::Garbage), rig.count(Table::Upload)), (41, 0, 0));
    let all = UidSet::range(1, 2);
    rig.run(MailboxCommand::Expunge { folder: INBOX, uids: all, only_deleted: false }).unwrap();
    for _ in 0..4 {
        rig.run(MailboxCommand::TakeRecent(INBOX)).unwrap();
    }
    assert_eq!((rig.count(Table::Body), rig.count(Table::Blob), rig.count(Table::Garbage)), (0, 0, 0));
    rig.assert_replicas_agree();
}

#[test]
fn abandoned_uploads_are_reaped() {
    let mut rig = Rig::new();
    for n in 0..32 {
        rig.run(chunk(RequestId([n; 16]), 0, b"x")).unwrap();
    }
    assert!(matches!(rig.run(chunk(RequestId([99; 16]), 0, b"x")), Err(Error::TooLarge(_))));
    rig.run(MailboxCommand::DropUpload(RequestId([0; 16]))).unwrap();
    assert_eq!(rig.run(MailboxCommand::DropUpload(RequestId([0; 16]))), Ok(Receipt::Done));
    rig.run(chunk(RequestId([99; 16]), 0, b"x")).unwrap();
    assert_eq!(rig.count(Table::Upload), 32);
    rig.wall_ms += 25 * 60 * MINUTE;
    for _ in 0..32 * 8 {
        rig.run(MailboxCommand::TakeRecent(INBOX)).unwrap();
    }
    assert_eq!((rig.count(Table::Upload), rig.count(Table::UploadOrder), rig.count(Table::Body)), (0, 0, 0));
    rig.run(chunk(RequestId([99; 16]), 0, b"x")).unwrap();
    rig.quota = 10;
    assert_eq!(rig.run(chunk(RequestId([98; 16]), 0, &[0; 11])), Err(Error::QuotaExceeded));
    assert!(matches!(rig.run(chunk(RequestId([97; 16]), 0, &[])), Err(Error::Invalid(_))));
    assert!(matches!(rig.run(chunk(RequestId([97; 16]), 0, &vec![0; CHUNK_MAX + 1])), Err(Error::TooLarge(_))));
}

#[test]
fn changes_reach_back_so_far_and_come_in_pages() {
    let mut rig = Rig::new();
    rig.run(add(INBOX, 1)).unwrap();
    let mut view = View::default();
    view.sync(&rig, INBOX);
    for n in 0..12_000 {
        rig.run(store(UidSet::range(1, 1), Flags(n % 2), Flags(1))).unwrap();
    }
    let first = rig.ask(MailboxQuery::Changes { folder: INBOX, since: view.since }).unwrap();
    assert!(matches!(first, MailboxReply::Changes { more: true, .. }));
    view.sync(&rig, INBOX);
    assert_eq!(view.messages[&1].0, rig.messages(INBOX)[0].flags);
    for n in 0..10_000 {
        rig.run(store(UidSet::range(1, 1), Flags(n % 2), Flags(1))).unwrap();
    }
    assert_eq!(rig.count(Table::Change), 20_000);
    let now = rig.modseq();
    let resync = |since: u64| match rig.ask(MailboxQuery::Changes { folder: INBOX, since: ModSeq(since) }) {
        Ok(MailboxReply::Changes { resync, .. }) => resync,
        other => panic!("{other:?}"),
    };
    assert_eq!((resync(now.0 - 20_000), resync(now.0 - 20_001)), (false, true));
    assert_eq!((resync(now.0), resync(now.0 + 1)), (false, true));
}

#[test]
fn messages_come_in_pages() {
    let mut rig = Rig::new();
    for n in 0..5 {
        rig.run(add(INBOX, n)).unwrap();
    }
    let ask = |changed_since, limit| {
        let want = Want::default();
        let query = MailboxQuery::Messages { folder: INBOX, uids: UidSet::range(1, 9), want, changed_since, limit };
        match rig.ask(query) {
            Ok(MailboxReply::Messages { messages, next }) => (messages.len(), next),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(None, 2), (2, Some(Uid(3))));
    assert_eq!(ask(None, 5), (5, None));
    assert_eq!(ask(None, 0), (1, Some(Uid(2))));
    assert_eq!(ask(Some(ModSeq(5)), 9), (1, None));
    assert_eq!(ask(Some(rig.modseq()), 9), (0, None));
}

#[test]
fn bounds_are_kept() {
    let mut rig = Rig::new();
    for _ in 0..1_001 {
        rig.run(add(INBOX, 0)).unwrap();
    }
    let all = || UidSet::range(1, u32::MAX);
    assert!(matches!(rig.run(store(all(), Flags::FLAGGED, Flags(0))), Err(Error::TooLarge(_))));
    let copy = MailboxCommand::Copy { from: INBOX, uids: all(), to: folders::TRASH };
    assert!(matches!(rig.run(copy), Err(Error::TooLarge(_))));
    for name in ["", "a//b", "/a", "a/", "tab\there", "nul\0"] {
        assert!(matches!(rig.run(create(name)), Err(Error::Invalid(_))), "{name:?}");
    }
    assert!(matches!(rig.run(create(&"n".repeat(129))), Err(Error::TooLarge(_))));
    assert!(matches!(rig.run(create(&["n"; 600].join("/"))), Err(Error::TooLarge(_))));
    for word in ["", "\\Seen", "a\nb"] {
        let mut new = message(INBOX, inline(b"x"));
        new.keywords = vec![word.into()];
        assert!(matches!(rig.run(MailboxCommand::AddMessage(new)), Err(Error::Invalid(_))), "{word:?}");
    }
    let mut new = message(INBOX, inline(b"x"));
    new.keywords = (0..129).map(|n| format!("k{n}")).collect();
    assert!(matches!(rig.run(MailboxCommand::AddMessage(new)), Err(Error::TooLarge(_))));
    assert_eq!(rig.count(Table::Tag), 0);
    let large = Body::Inline { id: BlobId([1; 32]), size: 1, codec: Codec::Plain, stored: vec![0; 131_073].into() };
    assert!(matches!(rig.run(MailboxCommand::AddMessage(message(INBOX, large))), Err(Error::TooLarge(_))));
}

#[test]
fn a_folder_that_was_renamed_meanwhile_is_left_alone() {
    let mut rig = Rig::new();
    let id = made(&mut rig, "Work/Plans").id;
    let rename =
        |to: &str, was: &str| MailboxCommand::RenameFolder { folder: id, path: to.into(), was: Some(was.into()) };
    assert!(matches!(rig.run(rename("Ideas", "WORK/plans")), Ok(Receipt::Folder(_))), "names compare without case");
    let modseq = rig.modseq();
    assert!(matches!(rig.run(rename("Other", "Work/Plans")), Err(Error::NotFound(_))));
    let delete = |was: &str| MailboxCommand::DeleteFolder { folder: id, was: Some(was.into()) };
    assert!(matches!(rig.run(delete("Work/Plans")), Err(Error::NotFound(_))));
    // Another folder has the name by now.
    made(&mut rig, "Work/Plans");
    assert!(matches!(rig.run(delete("Work/Plans")), Err(Error::NotFound(_))));
    assert_eq!((rig.folder(id).path.as_str(), rig.folder(id).messages), ("Ideas", 0));
    assert!(rig.modseq() > modseq, "nothing but the new folder");
    assert_eq!(rig.run(delete("ideas")), Ok(Receipt::Deleted { more: false }));
}

#[test]
fn descendants_stay_within_the_bound_of_paths() {
    let mut rig = Rig::new();
    let deep = made(&mut rig, &["n".repeat(100).as_str(); 5].join("/"));
    assert_eq!(deep.path.len(), 504);
    let top = match rig.ask(MailboxQuery::FolderByPath("N".repeat(100))) {
        Ok(MailboxReply::Folders(f)) => f[0].id,
        other => panic!("{other:?}"),
    };
    let target = ["m".repeat(100).as_str(); 7].join("/");
    let refused = rig.run(MailboxCommand::RenameFolder { folder: top, path: target.clone(), was: None });
    assert!(matches!(refused, Err(Error::TooLarge(_))));
    assert!(matches!(rig.ask(MailboxQuery::FolderByPath(target)), Err(Error::NotFound(_))));
}

#[test]
fn special_uses() {
    let mut rig = Rig::new();
    let uses = [2, 3, 4, 5, 6].map(|id| rig.folder(FolderId(id)).special_use);
    use SpecialUse::{Archive, Drafts, Junk, Sent, Trash};
    assert_eq!(uses, [None, Some(Trash), Some(Junk), Some(Sent), Some(Drafts)]);
    let path = "Old".to_string();
    let command = MailboxCommand::CreateFolder { path, view: FolderView::Message, special_use: Some(Archive) };
    let Ok(Receipt::Folder(f)) = rig.run(command) else { panic!() };
    assert_eq!(rig.folder(f.id).special_use, Some(Archive));
    assert_eq!(f, rig.folder(f.id));
    rig.run(MailboxCommand::Subscribe { folder: f.id, subscribed: true }).unwrap();
    assert!(rig.folder(f.id).subscribed);
    assert!(matches!(rig.ask(MailboxQuery::Folder(folders::USER_ROOT)), Err(Error::NotFound(_))));
}

/// Counts how often text is looked at.
struct Counting(Cell<u32>);

impl Content for Counting {
    fn matches(&self, _: &SearchExpr, candidate: &Candidate<'_>) -> Result<bool> {
        self.0.set(self.0.get() + 1);
        Ok(candidate.stored()?.starts_with(b"b"))
    }
}

#[test]
fn searches() {
    let mut rig = Rig::new();
    for n in 0..4 {
        let mut new = message(INBOX, inline(&content(n)));
        new.internal_ms = i64::from(n) * 1_000;
        new.parsed.sent_ms = (n > 0).then_some(i64::from(n) * 86_400_000);
        new.keywords = if n == 2 { vec!["$Junk".into()] } else { vec![] };
        rig.run(MailboxCommand::AddMessage(new)).unwrap();
    }
    rig.run(store(UidSet::range(2, 3), Flags::FLAGGED, Flags::UNREAD)).unwrap();
    let content = Counting(Cell::new(0));
    let find = |expr: SearchExpr| {
        let query = MailboxQuery::Search { folder: INBOX, within: Some(UidSet::range(1, 4)), expr };
        match read_mailbox(&rig.kv, GROUP, BOX, EPOCH, 0, &query, &content) {
            Ok(MailboxReply::Found { uids, highest_modseq }) => (uids.to_string(), highest_modseq.map_or(0, |m| m.0)),
            other => panic!("{other:?}"),
        }
    };
    use SearchExpr as E;
    let text = || E::Text("ignored".into());
    assert_eq!(find(E::All), ("1:4".into(), 6));
    assert_eq!(find(E::Flags(Flags::FLAGGED)), ("2:3".into(), 6));
    assert_eq!(find(E::Not(Box::new(E::Flags(Flags::UNREAD)))), ("2:3".into(), 6));
    assert_eq!(find(E::Keyword("$JUNK".into())), ("3".into(), 6));
    assert_eq!(find(E::Keyword("none".into())), (String::new(), 0));
    assert_eq!(find(E::Larger(20)), ("3:4".into(), 6));
    assert_eq!(find(E::Smaller(20)), ("1".into(), 2));
    assert_eq!(find(E::Internal { from_ms: 1_000, to_ms: 3_000 }), ("2:3".into(), 6));
    assert_eq!(find(E::Sent { from_day: 0, to_day: 3 }), ("2:3".into(), 6));
    assert_eq!(find(E::ModSeq(ModSeq(5))), ("2:4".into(), 6));
    assert_eq!(find(E::Uids(UidSet::range(4, 9))), ("4".into(), 5));
    assert_eq!(content.0.get(), 0);
    assert_eq!(find(E::And(vec![text(), E::Smaller(30)])), ("2".into(), 6));
    assert_eq!(content.0.replace(0), 2, "only the small ones were opened");
    assert_eq!(find(E::Or(vec![text(), E::Larger(10)])), ("2:4".into(), 6));
    assert_eq!(content.0.get(), 1);
    assert_eq!(find(E::And(vec![])).0, "1:4");
    assert_eq!(find(E::Or(vec![])).0, "");
    let deep = (0..60).fold(E::All, |e, _| E::Not(Box::new(e)));
    let query = MailboxQuery::Search { folder: INBOX, within: None, expr: deep };
    assert!(matches!(rig.ask(query), Err(Error::Invalid(_))));
}

#[test]
#[should_panic(expected = "stored state is damaged")]
fn damage_stops_the_node() {
    let mut rig = Rig::new();
    rig.damage(Table::Mailbox, &BOX.0.to_be_bytes());
    let _ = rig.run(add(INBOX, 1));
}
