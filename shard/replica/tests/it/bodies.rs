//! Bodies small and large, whole and in ranges, and searches that look into them.

use crate::support::*;
use bytes::Bytes;
use futures::TryStreamExt;
use std::sync::Arc;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::mailbox::{Want, folders};
use zcluster_api::*;
use zcluster_raft::{Fatal, StateMachine};
use zcluster_replica::{MemoryEngine, Replicas};

/// Uploads and adds a message; returns the next log index.
fn upload(machine: &mut Box<dyn StateMachine>, mut index: u64, raw: &Bytes) -> u64 {
    let prepared = zcluster_mail::prepare(raw);
    let body = prepared.inline().unwrap_or_else(|| {
        let (upload, stored) = (request(index + 1_000_000), prepared.stored.len() as u64);
        let chunks: Vec<_> = prepared.stored.chunks(CHUNK_MAX).collect();
        for (seq, bytes) in chunks.iter().enumerate() {
            let bytes = Bytes::copy_from_slice(bytes);
            let chunk = command(index, MailboxCommand::Chunk { upload, seq: seq as u32, bytes });
            receipt(&machine.apply(vec![chunk]).unwrap()[0]);
            index += 1;
        }
        let (id, size, codec, chunks) = (prepared.id, prepared.size, prepared.codec, chunks.len() as u32);
        Body::Uploaded { id, size, codec, upload, chunks, stored }
    });
    let reply = machine.apply(vec![command(index, message(raw, body))]).unwrap();
    assert!(matches!(receipt(&reply[0]), Receipt::Added { .. }));
    index + 1
}

async fn blobs(replicas: &Arc<Replicas>) -> Vec<BlobRef> {
    let query = MailboxQuery::Messages {
        folder: folders::INBOX,
        uids: UidSet::range(1, u32::MAX),
        want: Want { summary: false, blob: true },
        changed_since: None,
        limit: 1000,
    };
    let Ok(MailboxReply::Messages { messages, .. }) = ask(replicas, query).await else { panic!() };
    messages.into_iter().map(|m| m.blob.unwrap()).collect()
}

async fn read(replicas: &Replicas, blob: &BlobRef, range: std::ops::Range<u64>) -> Vec<u8> {
    let stream = replicas.body(GROUP, blob, range).await.unwrap().expect("the body is here");
    let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert!(pieces.iter().all(|p| !p.is_empty() && p.len() <= 256 * 1024));
    pieces.concat()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 88172645463325252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_range_of_every_kind_of_body() {
    let tmp = tempfile::tempdir().unwrap();
    let replicas = rocks(tmp.path());
    let mut machine = replicas.machine(GROUP).unwrap();
    apply(&mut machine, &log(3));
    let head = "Subject: x\r\n\r\n";
    let raws: Vec<Bytes> = vec![
        mail(1),
        b"Subject: tiny\r\n\r\nx".to_vec().into(),
        [head.as_bytes(), &noise(100_000)].concat().into(),
        [head.as_bytes(), &noise(700_000)].concat().into(),
        format!("{head}{}", "compressible line of text\r\n".repeat(60_000)).into(),
        [head.as_bytes(), &noise(2 * CHUNK_MAX - head.len())].concat().into(),
        // Compresses, but not to a single chunk.
        [head.as_bytes(), &noise(900_000), &[b'a'; 2_000_000][..], &noise(50_000)].concat().into(),
    ];
    let mut index = 3;
    for raw in &raws {
        index = upload(&mut machine, index, raw);
    }
    let blobs = blobs(&replicas).await;
    assert_eq!(blobs.len(), raws.len());
    for (raw, blob) in raws.iter().zip(&blobs) {
        assert_eq!(blob.size, raw.len() as u64);
        let len = blob.size;
        for (from, to) in
            [(0, len), (0, 1), (len - 1, len), (len / 2, len / 2 + 70_000), (5, 5), (len, len + 9), (0, u64::MAX)]
        {
            let want = &raw[from.min(len) as usize..to.min(len) as usize];
            assert!(read(&replicas, blob, from..to).await == want, "{len} bytes, {from}..{to}");
        }
    }
    let unknown = BlobRef { id: BlobId([9; 32]), ..blobs[0].clone() };
    assert!(replicas.body(GROUP, &unknown, 0..10).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_look_into_headers_and_bodies() {
    let replicas = Replicas::with_engine(MemoryEngine::new(), Fatal::new()).unwrap();
    let mut machine = replicas.machine(GROUP).unwrap();
    apply(&mut machine, &log(9));
    let found = async |expr: SearchExpr| {
        let query = MailboxQuery::Search { folder: folders::INBOX, within: None, expr };
        match ask(&replicas, query).await {
            Ok(MailboxReply::Found { uids, .. }) => uids.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let header = |name: &str, text: &str| SearchExpr::Header { name: name.into(), text: text.into() };
    assert_eq!(found(SearchExpr::Body("DULL boy".into())).await, "1:6");
    assert_eq!(found(SearchExpr::Text("number5".into())).await, "3");
    assert_eq!(found(SearchExpr::Body("number5".into())).await, "");
    assert_eq!(found(header("subject", "day 4")).await, "2");
    assert_eq!(found(header("x-day", "NUMBER8")).await, "6");
    // 09:55 -0600 on the 21st: day 10186.
    assert_eq!(found(SearchExpr::Sent { from_day: 10_186, to_day: 10_187 }).await, "1:6");
    assert_eq!(found(SearchExpr::Sent { from_day: 10_187, to_day: 10_188 }).await, "");
}
