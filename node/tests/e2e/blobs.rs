//! `zcluster blob` and `zcluster hsm` on real processes: what is damaged on a volume is found, put back as far as it is to
//! be had, and named where it is not; policies move bodies, and a volume is emptied and removed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::cluster::{ACCOUNTS, Cluster, Port, command, path, run, run_refused};
use crate::support::eventually;
use crate::support::smtp::{Delivery, Smtp};

const BOB: &str = ACCOUNTS[2];
/// Messages of one lot: more than a pack must have.
const LOT: usize = 14;

/// A message of 700 kB that does not compress much below that.
fn message(number: usize) -> Vec<u8> {
    let mut text = format!(
        "From: sender@example.org\r\nTo: {BOB}\r\nSubject: large {number}\r\nMessage-ID: <blob.{number}@ledger>\r\n\
         Date: Sat, 28 Nov 2026 03:00:00 +0000\r\n\r\n"
    )
    .into_bytes();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ (number as u64 + 1).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    for _ in 0..11_500 {
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

fn deliver(cluster: &Cluster, numbers: std::ops::Range<usize>) {
    let mut lmtp = Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap();
    for number in numbers {
        let fate = lmtp.deliver(BOB, &message(number));
        assert!(matches!(fate, Delivery::Acknowledged), "message {number}: {fate:?}");
    }
}

/// Delivers, and then has all of it packed together.
fn pack(cluster: &Cluster, numbers: std::ops::Range<usize>) {
    let all = numbers.end;
    cluster.prov(&["modifyConfig", "zclusterPackAfter", "1h"]);
    deliver(cluster, numbers);
    cluster.prov(&["modifyConfig", "zclusterPackAfter", "1s"]);
    packed(cluster, all);
}

/// The messages of the inbox whose body a node gives whole.
fn readable(cluster: &Cluster, node: usize, count: usize) -> BTreeSet<usize> {
    let mut imap = cluster.imap(node, BOB);
    assert_eq!(imap.select("INBOX").unwrap(), count);
    let bodies = imap.bodies().unwrap();
    (0..100).filter(|n| bodies.values().any(|body| body.ends_with(&message(*n)))).collect()
}

fn figure(cluster: &Cluster, name: &str) -> u64 {
    let status = cluster.status(1).unwrap_or_default();
    let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
    nodes.iter().filter_map(|n| n["packing"][name].as_u64()).sum()
}

fn packed(cluster: &Cluster, bodies: usize) {
    eventually("the bodies lie on the volume", Duration::from_secs(90), || {
        figure(cluster, "packed_bodies") == bodies as u64 && figure(cluster, "pack_backlog_bodies") == 0
    });
}

fn at<'a>(cluster: &'a Cluster, words: &[&'a str]) -> Vec<&'a str> {
    [words, &["--data", path(&cluster.node(1).data)]].concat()
}

/// The lines that a check prints, and its exit code.
fn verify(cluster: &Cluster, words: &[&str]) -> (Vec<String>, i32) {
    let output = command(&at(cluster, &[&["blob", "verify"], words].concat())).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code().unwrap_or(-1);
    assert!(code <= 1 && output.stderr.is_empty(), "{out}{}", String::from_utf8_lossy(&output.stderr));
    (out.lines().map(str::to_string).collect(), code)
}

/// All packs of a folder.
fn packs(folder: &Path) -> BTreeSet<PathBuf> {
    let groups = fs::read_dir(folder.join("packs")).into_iter().flatten().flatten();
    groups.flat_map(|g| fs::read_dir(g.path()).unwrap().flatten().map(|f| f.path())).collect()
}

fn add_volume(cluster: &Cluster, name: &str, more: &[&str]) -> PathBuf {
    let folder = cluster.folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    let url = format!("file://{}", folder.display());
    run(&at(cluster, &[&["volume", "add", name, &url], more].concat()));
    folder
}

#[test]
fn damage_on_a_volume_is_found_and_put_back_as_far_as_it_is_to_be_had() {
    let cluster = Cluster::start(3);
    let folder = add_volume(&cluster, "cold", &["--default"]);
    pack(&cluster, 0..LOT);
    let first = packs(&folder);
    // Node 3 keeps copies of what it reads.
    assert_eq!(readable(&cluster, 3, LOT).len(), LOT);
    pack(&cluster, LOT..2 * LOT);
    let second: Vec<PathBuf> = packs(&folder).difference(&first).cloned().collect();
    let (lines, code) = verify(&cluster, &["--deep"]);
    assert_eq!((lines.len(), code), (1, 0), "{lines:?}");
    assert!(lines[0].contains(&format!("{} on volumes", 2 * LOT)) && lines[0].ends_with("no problems"), "{lines:?}");

    // A byte of a body of the first lot is another, a pack of the second is gone, and something lies there that is nobody's.
    let damaged = first.first().unwrap();
    let mut bytes = fs::read(damaged).unwrap();
    bytes[5_000] ^= 0x10;
    fs::write(damaged, &bytes).unwrap();
    let missing = &second[0];
    fs::remove_file(missing).unwrap();
    let stranger = damaged.parent().unwrap().join("stranger");
    fs::write(&stranger, "somebody's").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3 * 86_400);
    fs::File::options().write(true).open(&stranger).unwrap().set_modified(long_ago).unwrap();

    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_string();
    let found = |lines: &[String], kind: &str, object: &Path| {
        lines.iter().filter(|l| l.starts_with(kind) && l.contains(&name(object))).count()
    };
    let (lines, code) = verify(&cluster, &[]);
    assert_eq!((lines.len(), code), (3, 1), "lengths, and names: {lines:?}");
    let (lines, code) = verify(&cluster, &["--deep"]);
    assert_eq!((lines.len(), code), (4, 1), "{lines:?}");
    assert_eq!(found(&lines, "damaged-body", damaged), 1, "{lines:?}");
    assert_eq!(found(&lines, "missing-object", missing), 1, "{lines:?}");
    assert_eq!(found(&lines, "orphan", &stranger), 1, "{lines:?}");

    let (lines, code) = verify(&cluster, &["--deep", "--repair"]);
    assert_eq!(code, 1, "something is lost: {lines:?}");
    let back: Vec<&String> =
        lines.iter().filter(|l| l.starts_with("damaged-body") && l.contains(&name(damaged))).collect();
    assert!(back.len() == 1 && back[0].contains("put back from node 3"), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("orphan") && l.contains("goes to the trash")), "{lines:?}");
    let lost = lines.iter().filter(|l| l.contains("LOST") && l.contains("mailbox ")).count();
    assert!((1..=LOT).contains(&lost), "{lines:?}");
    for node in 1..=2 {
        let mut imap = cluster.imap(node, BOB);
        assert_eq!(imap.select("INBOX").unwrap(), 2 * LOT);
        // What was put back is read everywhere; what is lost is said to be missing, and does not end the session.
        imap.must(&format!("FETCH 1:{LOT} (RFC822.SIZE BODY.PEEK[TEXT]<0.1000>)")).unwrap();
    }
    // When the messages whose bodies are lost are gone, all is well again.
    let mut imap = cluster.imap(2, BOB);
    imap.select("INBOX").unwrap();
    imap.must(&format!("STORE {}:{} +FLAGS.SILENT (\\Deleted)", LOT + 1, 2 * LOT)).unwrap();
    imap.must("EXPUNGE").unwrap();
    assert_eq!(readable(&cluster, 1, LOT), (0..LOT).collect());
    let (lines, code) = verify(&cluster, &["--deep"]);
    assert_eq!((lines.len(), code), (1, 0), "{lines:?}");
    assert!(run_refused(&at(&cluster, &["blob", "verify", "--volume", "no"])).contains("no volume no"));
    assert!(run(&["blob", "zmblobchk", "--help"]).contains("--deep"));
}

#[test]
fn policies_move_bodies_and_a_volume_is_emptied_and_removed() {
    let cluster = Cluster::start(3);
    let cold = add_volume(&cluster, "cold", &["--default"]);
    let warm = add_volume(&cluster, "warm", &[]);
    cluster.prov(&["modifyConfig", "zclusterPackTrashLifetime", "1s"]);
    pack(&cluster, 0..LOT);
    assert!(packs(&warm).is_empty());

    for (policy, part) in
        [("before:-30days", "unknown type"), ("message:from:bob", "not known"), ("message", "types:query")]
    {
        let error = run_refused(&at(&cluster, &["volume", "policy", "set", "warm", policy]));
        assert!(error.contains(part), "{policy}: {error}");
    }
    let policy = "message,document:before:-30days larger:1KB";
    run(&at(&cluster, &["volume", "policy", "set", "warm", policy]));
    assert!(run(&at(&cluster, &["volume", "list"])).contains(&format!("warm takes {policy}")));
    let hsm = |words: &[&str]| -> Vec<Value> {
        serde_json::from_str(&run(&at(&cluster, &[&["hsm"], words, &["--json"]].concat()))).unwrap()
    };
    let sum = |nodes: &[Value], figure: &str| -> u64 {
        let volumes = nodes.iter().flat_map(|n| n["status"]["volumes"].as_array().unwrap().clone());
        volumes.filter_map(|v| v[figure].as_u64()).sum()
    };
    // Nothing is so old.
    assert_eq!(sum(&hsm(&["dry-run", "--wait"]), "bodies"), 0);
    run(&at(&cluster, &["volume", "policy", "set", "warm", "message:larger:1KB -has:attachment"]));
    let counted = hsm(&["dry-run", "--wait"]);
    assert_eq!((sum(&counted, "bodies"), sum(&counted, "moved_bodies")), (LOT as u64, 0));
    let moved = hsm(&["run", "--wait"]);
    assert_eq!((sum(&moved, "bodies"), sum(&moved, "moved_bodies")), (LOT as u64, LOT as u64));
    assert!(!packs(&warm).is_empty());
    assert_eq!(readable(&cluster, 2, LOT).len(), LOT, "a moved body is read like any other");
    assert!(run(&at(&cluster, &["hsm", "status"])).contains("done"));
    eventually("what was moved away is deleted", Duration::from_secs(90), || packs(&cold).is_empty());
    eventually("and told of", Duration::from_secs(90), || figure(&cluster, "volume_freed_bytes") > 1_000_000);
    assert!(run(&at(&cluster, &["status"])).contains("given back since start: "));

    // Of what it costs.
    let cost = run(&at(&cluster, &["blob", "cost", "--arriving", "20"]));
    assert!(cost.contains("an object a body") && cost.contains("PUT"), "{cost}");
    let cost: Value =
        serde_json::from_str(&run(&at(&cluster, &["blob", "cost", "--arriving", "20", "--json"]))).unwrap();
    let put = |kind: &str| cost[kind]["put"].as_f64().unwrap();
    assert!(put("with_packs") > 0.0 && put("without_packs") > 3.0 * put("with_packs"), "{cost}");

    // Away from it again, and it can be removed.
    let error = run_refused(&at(&cluster, &["volume", "drain", "warm"]));
    assert!(error.contains("policy"), "{error}");
    assert!(run_refused(&at(&cluster, &["volume", "drain", "cold"])).contains("choose another"));
    run(&at(&cluster, &["volume", "policy", "remove", "warm"]));
    assert!(run_refused(&at(&cluster, &["volume", "remove", "warm"])).contains("volume drain warm"));
    let drained = run(&at(&cluster, &["volume", "drain", "warm", "--wait"]));
    assert!(drained.contains("volume warm is empty"), "{drained}");
    assert!(packs(&warm).is_empty());
    assert!(run(&at(&cluster, &["volume", "remove", "warm"])).contains("volume warm removed"));
    assert_eq!(readable(&cluster, 3, LOT).len(), LOT);

    // A domain goes, and its space comes back.
    cluster.prov(&["deleteAccount", BOB]);
    eventually("the space comes back", Duration::from_secs(120), || packs(&cold).is_empty());
    let (lines, code) = verify(&cluster, &["--deep"]);
    assert_eq!((lines.len(), code), (1, 0), "{lines:?}");
}
