//! Several messages in one command, replacement and access keys: the cases that a model of small messages does not reach.

mod common;

use bytes::Bytes;
use common::*;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::mailbox::{ADD_BYTES_MAX, ADD_MESSAGES_MAX, FolderView, NewMessage, UrlAuthKey, folders};
use zcluster_api::*;
use zcluster_state::{Table, body_chunk};

const INBOX: FolderId = folders::INBOX;

fn upload(rig: &mut Rig, upload: RequestId, bytes: &[u8]) -> Body {
    let mut chunks = 0;
    for piece in bytes.chunks(CHUNK_MAX) {
        let bytes = Bytes::copy_from_slice(piece);
        assert_eq!(rig.run(MailboxCommand::Chunk { upload, seq: chunks, bytes }), Ok(Receipt::Done));
        chunks += 1;
    }
    let size = bytes.len() as u64;
    Body::Uploaded { id: blob_id(bytes), size, codec: Codec::Plain, upload, chunks, stored: size }
}

fn many(messages: Vec<NewMessage>) -> MailboxCommand {
    MailboxCommand::AddMessages(messages)
}

#[test]
fn large_and_small_bodies_in_one_command() {
    let mut rig = Rig::new();
    let (a, b) = (vec![b'A'; CHUNK_MAX + 1], vec![b'B'; 300_000]);
    let first = upload(&mut rig, RequestId([1; 16]), &a);
    let second = upload(&mut rig, RequestId([2; 16]), &b);
    // The same content a second time, by an upload of its own: it is to go.
    let again = upload(&mut rig, RequestId([3; 16]), &a);
    let bodies = [first, inline(b"small"), second, inline(b"other"), again, inline(b"small")];
    let got = rig.run(many(bodies.iter().map(|b| message(INBOX, b.clone())).collect()));
    assert!(matches!(&got, Ok(Receipt::AddedMany { uids, .. }) if uids.to_string() == "1:6"), "{got:?}");
    assert_eq!((rig.count(Table::Upload), rig.count(Table::UploadOrder)), (0, 0));
    let (mut sizes, messages) = (Vec::new(), rig.messages(INBOX));
    for m in &messages {
        sizes.push(m.size);
    }
    assert_eq!(sizes, [a.len() as u64, 5, b.len() as u64, 5, a.len() as u64, 5]);
    assert_eq!(body_chunk(&rig.kv, blob_id(b"small"), 0), Some(b"small".to_vec()));
    assert_eq!(body_chunk(&rig.kv, blob_id(b"other"), 0), Some(b"other".to_vec()));
    assert_eq!(body_chunk(&rig.kv, blob_id(&a), 1), Some(vec![b'A']));
    // Everything goes when nobody names it any more: no body was written over another.
    let all = MailboxCommand::Expunge { folder: INBOX, uids: UidSet::range(1, 6), only_deleted: false };
    assert!(rig.run(all).is_ok());
    for _ in 0..20 {
        assert!(rig.run(MailboxCommand::TakeRecent(INBOX)).is_ok());
    }
    assert_eq!((rig.count(Table::Body), rig.count(Table::Blob), rig.count(Table::Garbage)), (0, 0, 0));
    rig.assert_replicas_agree();
}

#[test]
fn one_bad_message_keeps_all_out() {
    let mut rig = Rig::new();
    let good = || message(INBOX, inline(b"good"));
    let known = upload(&mut rig, RequestId([1; 16]), &vec![b'x'; 200_000]);
    let before = rig.state();
    let mut refused = |messages: Vec<NewMessage>| {
        let error = rig.run(many(messages)).expect_err("refused");
        assert!(rig.state() == before, "{error} left something behind");
        error
    };
    let lost = Body::Uploaded {
        id: BlobId([9; 32]),
        size: 1,
        codec: Codec::Plain,
        upload: RequestId([8; 16]),
        chunks: 1,
        stored: 1,
    };
    assert!(matches!(refused(vec![good(), message(INBOX, lost)]), Error::Invalid(_)));
    let twice = vec![message(INBOX, known.clone()), good(), message(INBOX, known)];
    assert!(matches!(refused(twice), Error::Invalid(_)));
    assert!(matches!(refused(vec![good(), message(folders::TRASH, inline(b"t"))]), Error::Invalid(_)));
    let keyed = NewMessage { delivery_key: Some(DeliveryKey([1; 32])), ..good() };
    assert!(matches!(refused(vec![good(), keyed]), Error::Invalid(_)));
    let worded = NewMessage { keywords: vec!["\\Bad".into()], ..good() };
    assert!(matches!(refused(vec![NewMessage { keywords: vec!["New".into()], ..good() }, worded]), Error::Invalid(_)));
    assert!(matches!(refused(vec![good(); ADD_MESSAGES_MAX + 1]), Error::TooLarge(_)));
    let heavy = message(INBOX, inline(&vec![b'h'; 120_000]));
    assert!(matches!(refused(vec![heavy; ADD_BYTES_MAX / 120_000 + 1]), Error::TooLarge(_)));
    assert!(matches!(refused(vec![]), Error::Invalid(_)));
    assert!(rig.run(many(vec![good(); ADD_MESSAGES_MAX])).is_ok());
    rig.assert_replicas_agree();
}

#[test]
fn replacement_makes_its_own_room() {
    let mut rig = Rig::new();
    rig.quota = 1_000;
    let body = |n: usize, b: u8| message(INBOX, inline(&vec![b; n]));
    assert!(rig.run(MailboxCommand::AddMessage(body(900, b'a'))).is_ok());
    let replace = |uid, message| MailboxCommand::Replace { folder: INBOX, uid: Uid(uid), message };
    assert_eq!(rig.run(replace(1, body(1_001, b'b'))), Err(Error::QuotaExceeded));
    assert!(matches!(rig.run(replace(1, body(1_000, b'b'))), Ok(Receipt::Replaced { uid: Uid(2), .. })));
    assert!(matches!(rig.run(replace(1, body(10, b'c'))), Err(Error::NotFound(_))));
    // The quota was lowered meanwhile: what does not grow may still be replaced.
    rig.quota = 10;
    assert!(matches!(rig.run(replace(2, body(1_000, b'd'))), Ok(Receipt::Replaced { uid: Uid(3), .. })));
    // The same content: one body, still there.
    assert!(matches!(rig.run(replace(3, body(1_000, b'd'))), Ok(Receipt::Replaced { uid: Uid(4), .. })));
    assert_eq!(body_chunk(&rig.kv, blob_id(&[b'd'; 1_000]), 0), Some(vec![b'd'; 1_000]));
    assert_eq!((rig.count(Table::Body), rig.count(Table::Cold), rig.count(Table::Hot)), (1, 1, 1));
    rig.assert_replicas_agree();
}

#[test]
fn access_keys_live_with_their_folders() {
    let mut rig = Rig::new();
    let ask = |rig: &Rig, folder| match rig.ask(MailboxQuery::UrlAuthKey(folder)) {
        Ok(MailboxReply::UrlAuthKey(key)) => Ok(key),
        Ok(other) => panic!("{other:?}"),
        Err(e) => Err(e),
    };
    let (one, two) = (UrlAuthKey([1; 32]), UrlAuthKey([2; 32]));
    let modseq = rig.modseq();
    let set = |folder, key, keep| MailboxCommand::SetUrlAuthKey { folder, key, keep };
    assert_eq!(ask(&rig, INBOX), Ok(None));
    assert_eq!(rig.run(set(INBOX, one, true)), Ok(Receipt::Done));
    assert_eq!(rig.run(set(INBOX, two, true)), Ok(Receipt::Done));
    assert_eq!(ask(&rig, INBOX), Ok(Some(one)), "the first one wins");
    assert_eq!(rig.run(set(INBOX, two, false)), Ok(Receipt::Done));
    assert_eq!(ask(&rig, INBOX), Ok(Some(two)));
    assert!(matches!(rig.run(set(FolderId(99_999), one, true)), Err(Error::NotFound(_))));
    assert!(matches!(ask(&rig, FolderId(99_999)), Err(Error::NotFound(_))));
    assert_eq!(rig.modseq(), modseq);
    let create = MailboxCommand::CreateFolder { path: "F".into(), view: FolderView::Message, special_use: None };
    let Ok(Receipt::Folder(f)) = rig.run(create) else { panic!() };
    assert_eq!(rig.run(set(f.id, one, true)), Ok(Receipt::Done));
    assert_eq!(rig.count(Table::UrlAuthKey), 2);
    assert!(rig.run(MailboxCommand::DeleteFolder { folder: f.id, was: None }).is_ok());
    assert_eq!(rig.count(Table::UrlAuthKey), 1);
    assert_eq!(rig.run(MailboxCommand::DropUrlAuthKeys), Ok(Receipt::Done));
    assert_eq!(ask(&rig, INBOX), Ok(None));
    assert_eq!(rig.run(set(INBOX, one, true)), Ok(Receipt::Done));
    assert_eq!(rig.run(MailboxCommand::DeleteMailbox), Ok(Receipt::Deleted { more: false }));
    assert_eq!(rig.count(Table::UrlAuthKey), 0);
    rig.assert_replicas_agree();
}
