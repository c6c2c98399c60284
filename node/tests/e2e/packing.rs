//! Bodies leave their shard for a bucket: mail flows while the bucket is away, and every byte comes back.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::support::cluster::{ACCOUNTS, Cluster, Port, path, run};
use crate::support::eventually;
use crate::support::smtp::{Delivery, Smtp};
use crate::volumes::{SECRET, serve_s3};

const BOB: &str = ACCOUNTS[2];
/// Messages of one lot: more than a pack must have.
const LOT: usize = 11;

/// A message of about a megabyte that does not compress below a pack's part of it.
fn message(number: usize) -> Vec<u8> {
    let mut text = format!(
        "From: sender@example.org\r\nTo: {BOB}\r\nSubject: large {number}\r\nMessage-ID: <pack.{number}@ledger>\r\n\
         Date: Sat, 28 Nov 2026 03:00:00 +0000\r\n\r\n"
    )
    .into_bytes();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ number as u64;
    for _ in 0..18_000 {
        for _ in 0..76 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push(letters[(state >> 58) as usize]);
        }
        text.extend_from_slice(b"\r\n");
    }
    text
}

fn deliver(cluster: &Cluster, node: usize, numbers: std::ops::Range<usize>) {
    let mut lmtp = Smtp::lmtp(cluster.port(node, Port::Lmtp)).unwrap();
    for number in numbers {
        let fate = lmtp.deliver(BOB, &message(number));
        assert!(matches!(fate, Delivery::Acknowledged), "message {number}: {fate:?}");
    }
}

/// What the inbox holds, read on one node.
fn read(cluster: &Cluster, node: usize) -> BTreeMap<u32, Vec<u8>> {
    let mut imap = cluster.imap(node, BOB);
    imap.select("INBOX").unwrap();
    imap.bodies().unwrap()
}

/// A figure of packing, over the nodes that answer.
fn figure(cluster: &Cluster, node: usize, name: &str) -> u64 {
    let status = cluster.status(node).unwrap_or_default();
    let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
    nodes.iter().filter_map(|n| n["packing"][name].as_u64()).sum()
}

#[test]
fn bodies_move_to_a_bucket_and_every_byte_comes_back() {
    let mut cluster = Cluster::start(3);
    let bucket = cluster.folder.join("s3/mail");
    fs::create_dir_all(&bucket).unwrap();
    let endpoint = format!("endpoint=http://127.0.0.1:{}", serve_s3(&cluster.folder.join("s3")));
    let secret = cluster.folder.join("secret");
    fs::write(&secret, SECRET).unwrap();
    let secret = format!("secret_access_key={}", secret.display());
    let mut add = vec!["volume", "add", "cold", "s3://mail/zc", "-o", &endpoint, "-o", "region=us-east-1"];
    add.extend(["--credential", "access_key_id=key", "--credential-file", &secret, "--default"]);
    add.extend(["--data", path(&cluster.node(1).data)]);
    run(&add);
    cluster.prov(&["modifyConfig", "zclusterPackAfter", "1s"]);

    deliver(&cluster, 1, 0..LOT);
    let sent = read(&cluster, 2);
    assert_eq!(sent.len(), LOT);
    for (number, body) in sent.values().enumerate() {
        assert!(body.ends_with(&message(number)), "message {number} is not what was sent");
    }
    eventually("the bodies lie in the bucket", Duration::from_secs(90), || {
        figure(&cluster, 1, "packed_bodies") >= LOT as u64
    });
    let packs = |folder: &std::path::Path| fs::read_dir(folder).map(|d| d.count()).unwrap_or(0);
    assert!(packs(&bucket.join("zc")) > 1, "the mark, and packs");
    for node in 1..=3 {
        assert!(read(&cluster, node) == sent, "what node {node} reads from the bucket is not what was there before");
    }

    // Without the bucket mail is taken, and read from the shard.
    let away = cluster.folder.join("away");
    fs::rename(&bucket, &away).unwrap();
    // A file in its place: the server fails at whatever it is asked.
    fs::write(&bucket, "").unwrap();
    deliver(&cluster, 3, LOT..2 * LOT);
    let mut imap = cluster.imap(2, BOB);
    assert_eq!(imap.select("INBOX").unwrap(), 2 * LOT);
    imap.must(&format!("FETCH {}:* (BODY.PEEK[TEXT]<0.100>)", LOT + 1)).unwrap();
    eventually("the packer notices", Duration::from_secs(90), || figure(&cluster, 1, "pack_failures") > 0);
    assert!(figure(&cluster, 1, "pack_backlog_bodies") >= LOT as u64);

    fs::remove_file(&bucket).unwrap();
    fs::rename(&away, &bucket).unwrap();
    eventually("the others follow", Duration::from_secs(180), || {
        figure(&cluster, 1, "packed_bodies") >= 2 * LOT as u64
    });
    let primary = cluster.primary_of(BOB);
    cluster.kill9(primary);
    let all = read(&cluster, cluster.another(primary));
    assert_eq!(all.len(), 2 * LOT);
    for (number, body) in all.values().enumerate() {
        assert!(body.ends_with(&message(number)), "message {number} after the failover");
    }
}
