//! Bodies between the shard and objects: every step of packers that die anywhere, against a store.

mod common;

use common::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::mailbox::folders;
use zcluster_api::pack::{Placed, Returned};
use zcluster_api::*;
use zcluster_state::{
    DueObject, Kv, PackedBody, Stage, Table, backlog, blobs, body_chunk, body_place, due_objects, loose_bodies,
    packed_bodies, references, space,
};

const GRACE_MS: u64 = 10_000;
const INTENT_MS: u64 = 50_000;

fn announce(rig: &mut Rig, name: &str) -> u64 {
    let (volume, object) = ("v".to_string(), name.to_string());
    match rig.bodies(BodiesCommand::Announce { volume, object }) {
        Ok(BodiesReceipt::Announced { object }) => object,
        other => panic!("{other:?}"),
    }
}

fn claim(rig: &mut Rig, object: u64, kept_ms: u64) -> Option<(String, u64)> {
    match rig.bodies(BodiesCommand::Claim { object, kept_ms }) {
        Ok(BodiesReceipt::Claimed(claimed)) => claimed.map(|c| (c.object, c.claimed_ms)),
        other => panic!("{other:?}"),
    }
}

fn entry(n: u8, offset: u64) -> Placed {
    let bytes = content(n);
    Placed { id: blob_id(&bytes), offset, len: bytes.len() as u64, codec: Codec::Plain }
}

fn moved(rig: &mut Rig, object: u64, bytes: u64, entries: Vec<Placed>, from: &[u64]) -> Result<BodiesReceipt> {
    rig.bodies(BodiesCommand::Moved { object, bytes, entries, from: from.to_vec(), last: true })
}

fn stages(rig: &Rig) -> BTreeMap<u64, Stage> {
    let stages = [Stage::Doomed, Stage::Open, Stage::Trash, Stage::Sparse];
    let due = |stage| due_objects(&rig.kv, stage, u64::MAX, 1_000).unwrap().into_iter().map(move |d| (d.number, stage));
    stages.into_iter().flat_map(due).collect()
}

fn expunge(rig: &mut Rig, uid: u32) {
    let uids = UidSet::range(uid, uid);
    rig.run(MailboxCommand::Expunge { folder: folders::INBOX, uids, only_deleted: false }).unwrap();
}

#[test]
fn without_a_packer_nothing_is_kept_in_order() {
    let mut rig = Rig::new();
    rig.run(add(folders::INBOX, 1)).unwrap();
    assert_eq!((rig.count(Table::BodyOrder), backlog(&rig.kv).unwrap().known), (0, false));
    // From before, and empty: neither is missed nor counted twice.
    rig.run(MailboxCommand::AddMessage(message(folders::INBOX, inline(b"")))).unwrap();
    rig.run(add(folders::INBOX, 2)).unwrap();
    let mut steps = 0;
    while rig.bodies(BodiesCommand::Order { max: 1 }) == Ok(BodiesReceipt::Ordered { more: true }) {
        rig.run(add(folders::INBOX, 3 + steps)).unwrap();
        steps += 1;
    }
    let seen = backlog(&rig.kv).unwrap();
    assert_eq!((seen.known, seen.unordered, seen.oldest_ms), (true, false, Some(0)));
    assert_eq!(seen.loose.number, 2 + u64::from(steps));
    assert_eq!(seen.loose.number as usize, rig.count(Table::BodyOrder));
    let sizes: u64 = (1..3 + steps).map(|n| content(n).len() as u64).sum();
    assert_eq!(seen.loose.bytes, sizes);
    let loose = loose_bodies(&rig.kv, 1, u64::MAX, 10).unwrap();
    assert!(loose.iter().all(|l| l.at_ms == 0) && loose.len() >= 2, "{loose:?}");
    expunge(&mut rig, 1);
    assert_eq!(backlog(&rig.kv).unwrap().loose.number, 1 + u64::from(steps));
    rig.assert_replicas_agree();
}

#[test]
fn a_body_moves_counts_and_goes() {
    let mut rig = Rig::new();
    rig.bodies(BodiesCommand::Order { max: 10 }).unwrap();
    for n in [1, 2, 3, 3] {
        rig.run(add(folders::INBOX, n)).unwrap();
    }
    let object = announce(&mut rig, "a");
    assert_eq!(stages(&rig), [(object, Stage::Open)].into());
    let entries = vec![entry(1, 0), entry(2, 20), entry(3, 50), entry(9, 90)];
    assert_eq!(moved(&mut rig, object, 200, entries, &[]), Ok(BodiesReceipt::Moved { bodies: 3 }));
    assert_eq!((rig.count(Table::Body), rig.count(Table::BodyOrder), rig.count(Table::ObjectBody)), (0, 0, 3));
    assert_eq!(stages(&rig), [(object, Stage::Sparse)].into(), "90 of 190 bytes");
    let place = body_place(&rig.kv, blob_id(&content(2))).unwrap().unwrap().place;
    let want = Place::Object { volume: "v".into(), object: "a".into(), offset: 20, len: 30, codec: Codec::Plain };
    assert_eq!(place, want);
    assert_eq!(body_chunk(&rig.kv, blob_id(&content(2)), 0), None);
    // The same content again is one reference more.
    rig.run(add(folders::INBOX, 2)).unwrap();
    assert_eq!(rig.count(Table::Body), 0);
    expunge(&mut rig, 2);
    assert!(body_place(&rig.kv, blob_id(&content(2))).unwrap().is_some());
    // Nothing more can be put in, and it cannot be claimed.
    assert!(matches!(moved(&mut rig, object, 200, vec![], &[]), Err(Error::Conflict(_))));
    assert_eq!(claim(&mut rig, object, 0), None);
    // What is left goes into another object.
    let second = announce(&mut rig, "b");
    let (volume, name, left) = packed_bodies(&rig.kv, object, 0, 10).unwrap().unwrap();
    assert_eq!((volume.as_str(), name.as_str(), left.len()), ("v", "a", 3));
    let entries: Vec<Placed> =
        left.iter().map(|b| Placed { id: b.id, offset: b.offset, len: b.len, codec: b.codec }).collect();
    assert_eq!(moved(&mut rig, second, 90, entries.clone(), &[]), Ok(BodiesReceipt::Moved { bodies: 0 }));
    let second = announce(&mut rig, "c");
    assert_eq!(moved(&mut rig, second, 90, entries, &[object]), Ok(BodiesReceipt::Moved { bodies: 3 }));
    assert_eq!(stages(&rig).get(&object), Some(&Stage::Trash));
    for uid in [1, 3, 4, 5] {
        expunge(&mut rig, uid);
    }
    assert_eq!(stages(&rig).get(&second), Some(&Stage::Trash));
    // Content that comes now is stored anew.
    rig.run(add(folders::INBOX, 2)).unwrap();
    assert_eq!((rig.count(Table::Body), rig.count(Table::ObjectBody)), (1, 0));
    assert_eq!(claim(&mut rig, second, GRACE_MS), None, "it has not been there so long");
    rig.wall_ms += GRACE_MS;
    let (name, claimed_ms) = claim(&mut rig, second, GRACE_MS).unwrap();
    assert_eq!((name.as_str(), claim(&mut rig, second, GRACE_MS)), ("c", Some(("c".into(), claimed_ms))));
    rig.bodies(BodiesCommand::Forget { object: second, claimed_ms: claimed_ms + 1 }).unwrap();
    assert_eq!(stages(&rig).get(&second), Some(&Stage::Doomed));
    for _ in 0..2 {
        rig.bodies(BodiesCommand::Forget { object: second, claimed_ms }).unwrap();
        assert_eq!((stages(&rig).get(&second), claim(&mut rig, second, 0)), (None, None));
    }
    let seen = backlog(&rig.kv).unwrap();
    assert_eq!((seen.loose.number, seen.packed.number, seen.packed.bytes, seen.objects.number), (1, 0, 0, 2));
    rig.assert_replicas_agree();
}

#[test]
fn an_announcement_that_came_to_nothing_is_looked_after_twice() {
    let mut rig = Rig::new();
    let object = announce(&mut rig, "a");
    assert_eq!(claim(&mut rig, object, INTENT_MS), None);
    rig.wall_ms += INTENT_MS;
    for round in 0..2 {
        let (_, claimed_ms) = claim(&mut rig, object, GRACE_MS).unwrap();
        assert!(matches!(moved(&mut rig, object, 9, vec![], &[]), Err(Error::NotFound(_))));
        rig.bodies(BodiesCommand::Forget { object, claimed_ms }).unwrap();
        assert_eq!(stages(&rig).get(&object), (round == 0).then_some(&Stage::Trash));
        rig.wall_ms += GRACE_MS;
    }
    assert_eq!(rig.count(Table::Object) + rig.count(Table::ObjectDue), 0);
}

#[test]
fn nonsense_is_refused() {
    let mut rig = Rig::new();
    rig.bodies(BodiesCommand::Order { max: 10 }).unwrap();
    rig.run(add(folders::INBOX, 1)).unwrap();
    for (volume, object) in [("", "a"), ("v", ""), ("v", &*"x".repeat(513))] {
        let (volume, object) = (volume.to_string(), object.to_string());
        assert!(rig.bodies(BodiesCommand::Announce { volume, object }).is_err());
    }
    let object = announce(&mut rig, "a");
    let at = |offset, len| vec![Placed { offset, len, ..entry(1, 0) }];
    for entries in [at(0, 0), at(90, 20), at(u64::MAX, 2)] {
        assert!(matches!(moved(&mut rig, object, 100, entries, &[]), Err(Error::Invalid(_))));
    }
    assert!(moved(&mut rig, object, 100, vec![entry(1, 0)], &[object]).is_err());
    assert!(matches!(moved(&mut rig, object, 100_000, vec![entry(1, 0); 1_025], &[]), Err(Error::TooLarge(_))));
    assert!(moved(&mut rig, 77, 100, vec![], &[]).is_err());
    assert_eq!((rig.count(Table::Body), rig.count(Table::ObjectBody)), (1, 0));
}

#[test]
fn the_chunks_of_a_large_body_go_step_by_step() {
    let mut rig = Rig::new();
    rig.bodies(BodiesCommand::Order { max: 10 }).unwrap();
    let (upload, chunks) = (RequestId([9; 16]), 40u32);
    let chunk = Bytes::from(vec![b'x'; body::CHUNK_MAX]);
    for seq in 0..chunks {
        rig.run(MailboxCommand::Chunk { upload, seq, bytes: chunk.clone() }).unwrap();
    }
    let (id, stored) = (BlobId([4; 32]), u64::from(chunks) * chunk.len() as u64);
    let body = Body::Uploaded { id, size: stored, codec: Codec::Plain, upload, chunks, stored };
    rig.run(MailboxCommand::AddMessage(message(folders::INBOX, body))).unwrap();
    assert_eq!(backlog(&rig.kv).unwrap().loose.bytes, stored);
    // Too large for a pack of that size, but not in the way of others.
    rig.run(add(folders::INBOX, 1)).unwrap();
    let loose = loose_bodies(&rig.kv, u64::MAX, stored - 1, 10).unwrap();
    assert_eq!((loose.len(), loose[0].id), (1, blob_id(&content(1))));
    let object = announce(&mut rig, "a");
    let entry = Placed { id, offset: 5, len: stored, codec: Codec::Plain };
    assert_eq!(moved(&mut rig, object, stored + 9, vec![entry], &[]), Ok(BodiesReceipt::Moved { bodies: 1 }));
    assert_eq!((rig.count(Table::Garbage), rig.count(Table::Body)), (1, 41));
    rig.bodies(BodiesCommand::Sweep { chunks: 10 }).unwrap();
    // 16 by the apply itself.
    assert_eq!((rig.count(Table::Garbage), rig.count(Table::Body)), (1, 15));
    rig.bodies(BodiesCommand::Sweep { chunks: 100 }).unwrap();
    assert_eq!((rig.count(Table::Garbage), rig.count(Table::Body)), (0, 1));
}

#[test]
fn bodies_come_back_whole_or_not_at_all() {
    let mut rig = Rig::new();
    rig.bodies(BodiesCommand::Order { max: 10 }).unwrap();
    let (upload, chunk) = (RequestId([9; 16]), Bytes::from(vec![b'x'; body::CHUNK_MAX]));
    for seq in 0..2 {
        rig.run(MailboxCommand::Chunk { upload, seq, bytes: chunk.clone() }).unwrap();
    }
    let (id, stored) = (BlobId([4; 32]), 2 * chunk.len() as u64);
    let body = Body::Uploaded { id, size: stored, codec: Codec::Plain, upload, chunks: 2, stored };
    rig.run(MailboxCommand::AddMessage(message(folders::INBOX, body))).unwrap();
    rig.run(add(folders::INBOX, 1)).unwrap();
    let object = announce(&mut rig, "a");
    let large = Placed { id, offset: 100, len: stored, codec: Codec::Plain };
    moved(&mut rig, object, stored + 200, vec![entry(1, 0), large], &[]).unwrap();
    while backlog(&rig.kv).unwrap().garbage > 0 {
        rig.bodies(BodiesCommand::Sweep { chunks: 100 }).unwrap();
    }
    assert_eq!(rig.count(Table::Body), 0);
    let piece = |seq, last, bytes: &Bytes| Returned { id, seq, last, bytes: bytes.clone() };
    let give = |rig: &mut Rig, pieces| match rig.bodies(BodiesCommand::Return { object, pieces }) {
        Ok(BodiesReceipt::Moved { bodies }) => bodies,
        other => panic!("{other:?}"),
    };
    let small = || Returned { id: blob_id(&content(1)), seq: 0, last: true, bytes: content(1).into() };
    // Out of order, too short, too long, of another object: nothing comes back, and nothing stays but what is reaped.
    assert_eq!(give(&mut rig, vec![piece(1, true, &chunk)]), 0);
    assert_eq!(give(&mut rig, vec![piece(0, true, &chunk)]), 0);
    assert_eq!(give(&mut rig, vec![piece(0, false, &chunk), piece(1, false, &chunk), piece(2, true, &chunk)]), 0);
    assert_eq!(
        rig.bodies(BodiesCommand::Return { object: 7, pieces: vec![small()] }).unwrap(),
        BodiesReceipt::Moved { bodies: 0 }
    );
    let many = vec![piece(0, false, &chunk); 5];
    assert!(matches!(rig.bodies(BodiesCommand::Return { object, pieces: many }), Err(Error::TooLarge(_))));
    assert!(matches!(body_place(&rig.kv, id).unwrap().unwrap().place, Place::Object { .. }));
    assert_eq!(space(&rig.kv).unwrap().dead_bytes, 0);
    // Begun, and begun again by the next leader.
    assert_eq!(give(&mut rig, vec![piece(0, false, &chunk)]), 0);
    assert_eq!(give(&mut rig, vec![piece(0, false, &chunk), small()]), 1);
    assert_eq!(give(&mut rig, vec![piece(1, true, &chunk), small()]), 1);
    let place = body_place(&rig.kv, id).unwrap().unwrap().place;
    assert_eq!(place, Place::Shard { codec: Codec::Plain, stored, chunks: 2 });
    assert_eq!(
        (body_chunk(&rig.kv, id, 1), body_chunk(&rig.kv, blob_id(&content(1)), 0)),
        (Some(chunk.to_vec()), Some(content(1)))
    );
    assert_eq!(stages(&rig), [(object, Stage::Trash)].into());
    assert_eq!((space(&rig.kv).unwrap().trash.bytes, rig.count(Table::Upload)), (stored + 200, 0));
    let seen = backlog(&rig.kv).unwrap();
    assert_eq!((seen.loose.number, seen.loose.bytes, seen.packed.number), (2, stored + content(1).len() as u64, 0));
    rig.assert_replicas_agree();
}

#[test]
fn an_auditor_reads_every_body_and_every_name_of_one() {
    let mut rig = Rig::new();
    for n in [1, 2, 2, 3] {
        rig.run(add(folders::INBOX, n)).unwrap();
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = blobs(&rig.kv, after, 2).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|b| (b.id, b.refs)));
    }
    let mut want: Vec<_> = [(1, 1), (2, 2), (3, 1)].map(|(n, refs)| (blob_id(&content(n)), refs)).into();
    want.sort();
    assert_eq!(seen, want);
    let (mut at, mut names, mut pages) = (Vec::new(), 0, 0);
    loop {
        let (some, missing, next) = references(&rig.kv, &at, 3).unwrap();
        assert_eq!(missing, []);
        (names, pages) = (names + some, pages + 1);
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    assert_eq!((names, pages), (4, 2));
    rig.kv.delete(Table::Blob, &blob_id(&content(2)).0);
    let (_, missing, _) = references(&rig.kv, &[], 100).unwrap();
    assert_eq!(missing.iter().map(|m| (m.id, m.item)).collect::<Vec<_>>().len(), 2);
}

#[derive(Clone, Debug)]
enum Op {
    Add(u8),
    Expunge(u32),
    Copy(u32),
    /// A packer begins: with what is loose, or with what is in a sparse object.
    Begin {
        which: usize,
        compact: bool,
    },
    /// It goes on by one step.
    Step(usize),
    /// It dies.
    Die(usize),
    /// The bodies of an object come back, from the one of so many.
    Return(u64),
    /// The look after objects, cut short after so many steps.
    Tend(u8),
    Order(u32),
    Retry,
    Clock(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0u8..8).prop_map(Op::Add),
        5 => (1u32..30).prop_map(Op::Expunge),
        1 => (1u32..30).prop_map(Op::Copy),
        4 => (0usize..2, any::<bool>()).prop_map(|(which, compact)| Op::Begin { which, compact }),
        9 => (0usize..2).prop_map(Op::Step),
        1 => (0usize..2).prop_map(Op::Die),
        2 => (0u64..12).prop_map(Op::Return),
        4 => (0u8..8).prop_map(Op::Tend),
        1 => (0u32..4).prop_map(Op::Order),
        1 => Just(Op::Retry),
        3 => (0u64..40_000).prop_map(Op::Clock),
    ]
}

/// A packer, and how far it is.
#[derive(Clone, Debug)]
enum Packer {
    Announced {
        number: u64,
        name: String,
        at_ms: u64,
        entries: Vec<Placed>,
        bytes: Vec<u8>,
        from: Vec<u64>,
    },
    /// It is written; these are still to be told.
    Written {
        number: u64,
        name: String,
        entries: Vec<Placed>,
        bytes: u64,
        from: Vec<u64>,
    },
}

#[derive(Default)]
struct World {
    store: BTreeMap<String, Vec<u8>>,
    packers: [Option<Packer>; 2],
    named: u32,
}

impl World {
    fn begin(&mut self, rig: &mut Rig, which: usize, compact: bool) {
        let (mut entries, mut bytes, mut from) = (Vec::new(), vec![0xEE; 3], Vec::new());
        let mut put = |id: BlobId, stored: &[u8]| {
            let (offset, len) = (bytes.len() as u64, stored.len() as u64);
            bytes.extend_from_slice(stored);
            entries.push(Placed { id, offset, len, codec: Codec::Plain });
        };
        if compact {
            for DueObject { number, .. } in due_objects(&rig.kv, Stage::Sparse, u64::MAX, 2).unwrap() {
                let (_, name, bodies) = packed_bodies(&rig.kv, number, 0, 100).unwrap().unwrap();
                from.push(number);
                for b in bodies {
                    put(b.id, &self.store[&name][b.offset as usize..(b.offset + b.len) as usize]);
                }
            }
        } else {
            for loose in loose_bodies(&rig.kv, rig.wall_ms, 150, 100).unwrap() {
                put(loose.id, &body_chunk(&rig.kv, loose.id, 0).unwrap());
            }
        }
        if entries.is_empty() {
            return;
        }
        self.named += 1;
        let name = format!("o{}", self.named);
        let (number, at_ms) = (announce(rig, &name), rig.wall_ms);
        self.packers[which] = Some(Packer::Announced { number, name, at_ms, entries, bytes, from });
    }

    fn step(&mut self, rig: &mut Rig, which: usize) {
        self.packers[which] = match self.packers[which].take() {
            None => None,
            // It has given up by then. (A write that was on its way may come somewhat later still.)
            Some(Packer::Announced { at_ms, .. }) if rig.wall_ms > at_ms + INTENT_MS + GRACE_MS / 2 => None,
            Some(Packer::Announced { number, name, entries, bytes, from, .. }) => {
                let len = bytes.len() as u64;
                self.store.insert(name.clone(), bytes);
                Some(Packer::Written { number, name, entries, bytes: len, from })
            }
            Some(Packer::Written { number, name, mut entries, bytes, from }) => {
                let rest = entries.split_off(entries.len().min(2));
                let last = rest.is_empty();
                let command = BodiesCommand::Moved { object: number, bytes, entries, from: from.clone(), last };
                match rig.bodies(command) {
                    Ok(_) if !last => Some(Packer::Written { number, name, entries: rest, bytes, from }),
                    Ok(_) => None,
                    // Not its own any more: others have found bodies in it, or nothing lies in it for ever.
                    Err(Error::Conflict(_)) => None,
                    Err(Error::NotFound(_)) => {
                        self.store.remove(&name);
                        None
                    }
                    Err(e) => panic!("{e}"),
                }
            }
        };
    }

    /// What lies in an object comes back into the shard.
    fn give_back(&self, rig: &mut Rig, number: u64) {
        let Some((_, name, bodies)) = packed_bodies(&rig.kv, number, 0, 100).unwrap() else { return };
        let all = bodies.len() as u64;
        let piece = |b: PackedBody| {
            let bytes = Bytes::copy_from_slice(&self.store[&name][b.offset as usize..(b.offset + b.len) as usize]);
            Returned { id: b.id, seq: 0, last: true, bytes }
        };
        let pieces: Vec<Returned> = bodies.into_iter().map(piece).collect();
        let back = rig.bodies(BodiesCommand::Return { object: number, pieces });
        assert_eq!(back, Ok(BodiesReceipt::Moved { bodies: all }));
    }

    /// Takes at most `steps` steps; says whether there was nothing left to do.
    fn tend(&mut self, rig: &mut Rig, mut steps: u32) -> bool {
        let now = rig.wall_ms;
        let stages = [(Stage::Doomed, 0), (Stage::Trash, GRACE_MS), (Stage::Open, INTENT_MS)];
        let mut idle = true;
        for (stage, kept_ms) in stages {
            for due in due_objects(&rig.kv, stage, now.saturating_sub(kept_ms), 100).unwrap() {
                idle = false;
                for step in 0..3 {
                    if steps == 0 {
                        return false;
                    }
                    steps -= 1;
                    if step == 0 && claim(rig, due.number, kept_ms).is_none() {
                        break;
                    }
                    let (name, claimed_ms) = claim(rig, due.number, kept_ms).unwrap();
                    match step {
                        1 => drop(self.store.remove(&name)),
                        2 => drop(rig.bodies(BodiesCommand::Forget { object: due.number, claimed_ms }).unwrap()),
                        _ => {}
                    }
                }
            }
        }
        idle
    }

    fn check(&self, rig: &Rig) {
        let (mut live, mut referred) = (BTreeMap::<u64, u64>::new(), 0);
        for n in 0..8 {
            let Some(blob) = body_place(&rig.kv, blob_id(&content(n))).unwrap() else { continue };
            let stored = match blob.place {
                Place::Shard { .. } => body_chunk(&rig.kv, blob.id, 0).unwrap(),
                Place::Object { object, offset, len, .. } => {
                    referred += 1;
                    let object = self.store.get(&object).unwrap_or_else(|| panic!("{object} is gone"));
                    object[offset as usize..(offset + len) as usize].to_vec()
                }
            };
            assert_eq!(stored, content(n));
        }
        for (_, key, value) in rig.kv.rows().filter(|(t, _, _)| *t == Table::ObjectBody) {
            assert!(value.len() == 32);
            *live.entry(u64::from_be_bytes(key[..8].try_into().unwrap())).or_default() += 1;
        }
        assert_eq!(live.values().sum::<u64>(), referred);
        let seen = backlog(&rig.kv).unwrap();
        assert_eq!((seen.packed.number, seen.objects.number), (referred, rig.count(Table::Object) as u64));
        assert_eq!(seen.loose.number, rig.count(Table::BodyOrder) as u64);
        for (number, bodies) in &live {
            let (_, _, told) = packed_bodies(&rig.kv, *number, 0, 100).unwrap().unwrap();
            assert_eq!(told.len() as u64, *bodies);
            assert!(!matches!(stages(rig).get(number), Some(Stage::Trash | Stage::Doomed)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever packers, sweepers and clients do, and wherever they are cut off: every body is where its row says, byte
    /// for byte, and in the end no object is left that holds none.
    #[test]
    fn every_reference_resolves_and_nothing_is_left(ops in prop::collection::vec(op(), 1..120), late in 0u8..3) {
        let (mut rig, mut world) = (Rig::new(), World::default());
        for (at, op) in ops.into_iter().enumerate() {
            if at == usize::from(late) * 10 {
                rig.bodies(BodiesCommand::Order { max: 2 }).unwrap();
            }
            match op {
                Op::Add(n) => drop(rig.run(add(folders::INBOX, n))),
                Op::Expunge(uid) => expunge(&mut rig, uid),
                Op::Copy(uid) => {
                    let uids = UidSet::range(uid, uid);
                    drop(rig.run(MailboxCommand::Copy { from: folders::INBOX, uids, to: folders::INBOX }));
                }
                Op::Begin { which, compact } => world.begin(&mut rig, which, compact),
                Op::Step(which) => world.step(&mut rig, which),
                Op::Die(which) => world.packers[which] = None,
                Op::Return(number) => world.give_back(&mut rig, number),
                Op::Tend(steps) => drop(world.tend(&mut rig, steps.into())),
                Op::Order(max) => drop(rig.bodies(BodiesCommand::Order { max })),
                // As a retry after a lost answer: the same request again.
                Op::Retry => if let Some(last) = rig.last.clone() {
                    let before = rig.state();
                    rig.propose(&last);
                    prop_assert_eq!(rig.state(), before);
                },
                Op::Clock(ms) => rig.wall_ms += ms,
            }
            world.check(&rig);
        }
        rig.assert_replicas_agree();
        // All packers die, and time goes by.
        world.packers = [None, None];
        for _ in 0..3 {
            rig.wall_ms += INTENT_MS + GRACE_MS;
            while !world.tend(&mut rig, u32::MAX) {}
            world.check(&rig);
        }
        let left: BTreeSet<String> = world.store.keys().cloned().collect();
        let mut needed = BTreeSet::new();
        for n in 0..8 {
            if let Some(BlobRef { place: Place::Object { object, .. }, .. }) =
                body_place(&rig.kv, blob_id(&content(n))).unwrap()
            {
                needed.insert(object);
            }
        }
        prop_assert_eq!(left, needed);
        prop_assert!(stages(&rig).values().all(|s| *s == Stage::Sparse));
    }
}
