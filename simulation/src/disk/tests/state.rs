use super::*;
use zcluster_replica::engine;

const ALL: [u8; 2] = [0xFF, 0xFF];

fn rows(reader: &dyn Reader, column: Column, reverse: bool) -> Vec<Row> {
    reader.scan(column, &[], &ALL, reverse).map(|r| r.unwrap()).collect()
}

fn everything(reader: &dyn Reader) -> Vec<Row> {
    Column::ALL.into_iter().flat_map(|c| rows(reader, c, false)).collect()
}

/// A row of group 1-3, generation 1-2.
fn key(chance: &mut Random) -> Vec<u8> {
    let mut key = Vec::new();
    key.extend_from_slice(&(chance.range(1, 4) as u32).to_be_bytes());
    key.extend_from_slice(&(chance.range(1, 3) as u32).to_be_bytes());
    key.extend_from_slice(&[1, chance.below(30) as u8]);
    key
}

fn batch(chance: &mut Random) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..chance.below(12) {
        let column = if chance.chance(200_000) { Column::Body } else { Column::State };
        match chance.below(10) {
            0..7 => batch.put(column, key(chance), vec![chance.below(256) as u8; chance.below(40) as usize]),
            7..9 => batch.delete(column, key(chance)),
            _ => batch.delete_range(column, key(chance), key(chance)),
        }
    }
    batch
}

/// The rows as plain maps have them.
#[derive(Clone, Default, Debug, PartialEq)]
struct Model(BTreeMap<(Column, Vec<u8>), Vec<u8>>);

impl Model {
    fn write(&mut self, batch: &Batch) {
        for op in &batch.0 {
            match op {
                engine::Op::Put(c, k, v) => drop(self.0.insert((*c, k.clone()), v.to_vec())),
                engine::Op::Delete(c, k) => drop(self.0.remove(&(*c, k.clone()))),
                engine::Op::DeleteRange(c, from, to) => self.0.retain(|(kc, k), _| kc != c || k < from || k >= to),
            }
        }
    }
    fn everything(&self) -> Vec<Row> {
        self.0.iter().map(|((_, k), v)| (k.clone(), v.clone())).collect()
    }
    fn sum(&self, group: u32, generation: u32) -> u128 {
        let prefix = [group.to_be_bytes(), generation.to_be_bytes()].concat();
        let own = self.0.iter().filter(|((_, k), _)| k.starts_with(&prefix));
        own.fold(0, |sum, ((_, k), v)| u128::wrapping_add(sum, audit::row_hash(&k[8..], v)))
    }
}

#[test]
fn rows_views_flushes_and_crashes_are_those_of_a_plain_map() {
    let (mut went_back, mut kept_all) = (0, 0);
    for seed in 0..60 {
        let mut rig = Rig::new(seed);
        let mut chance = Random::new(seed, 5);
        let mut engine = rig.open().engine;
        let mut model = Model::default();
        // What a crash may go back to: everything since the last flush.
        let mut since_flush = vec![model.clone()];
        let mut views: Vec<(Arc<dyn Reader>, Model)> = Vec::new();
        for _ in 0..60 {
            match chance.below(20) {
                0..12 => {
                    let batch = batch(&mut chance);
                    model.write(&batch);
                    engine.write(batch).unwrap();
                    since_flush.push(model.clone());
                }
                12..15 => views.push((engine.view(), model.clone())),
                15..17 if !views.is_empty() => drop(views.swap_remove(chance.below(views.len() as u64) as usize)),
                17..19 => {
                    engine.flush().unwrap();
                    since_flush = vec![model.clone()];
                }
                19 => {
                    views.clear();
                    rig.disk.crash(false);
                    engine = rig.open().engine;
                    let found = everything(engine.as_ref());
                    let at = since_flush.iter().rposition(|m| m.everything() == found).expect("a state that was");
                    if at + 1 < since_flush.len() {
                        went_back += 1
                    } else {
                        kept_all += 1
                    }
                    model = since_flush.swap_remove(at);
                    since_flush = vec![model.clone()];
                }
                _ => {}
            }
            assert_eq!(everything(engine.as_ref()), model.everything());
            for (view, then) in &views {
                assert_eq!(everything(view.as_ref()), then.everything());
            }
            for (group, generation) in [(1, 1), (1, 2), (2, 1), (3, 2)] {
                let sum = rig.disk.state.lock().sum(zcluster_api::GroupId(group), generation);
                assert_eq!(sum, model.sum(group, generation));
            }
        }
    }
    assert!(went_back > 10 && kept_all > 10, "{went_back} {kept_all}");
}

#[test]
fn scans_both_ways_see_the_moment_they_began() {
    let mut rig = Rig::new(1);
    let engine = rig.open().engine;
    let put = |from: u16, to: u16, value: u8| {
        let mut batch = Batch::new();
        (from..to).for_each(|n| batch.put(Column::State, n.to_be_bytes().to_vec(), vec![value]));
        engine.write(batch).unwrap();
    };
    put(0, 1_000, 1);
    let mut scan = engine.scan(Column::State, &[], &ALL, false);
    let first = scan.next().unwrap().unwrap();
    put(0, 2_000, 2);
    let mut all = vec![first];
    all.extend(scan.map(|r| r.unwrap()));
    assert_eq!(all, (0..1_000u16).map(|n| (n.to_be_bytes().to_vec(), vec![1])).collect::<Vec<_>>());
    let mut forth = rows(engine.as_ref(), Column::State, false);
    assert_eq!(forth.len(), 2_000);
    forth.reverse();
    assert_eq!(rows(engine.as_ref(), Column::State, true), forth);
    assert_eq!(engine.scan(Column::State, &[9], &[9], false).count(), 0);
    assert_eq!(engine.scan(Column::State, &[9], &[8], true).count(), 0);
}

#[test]
fn what_nobody_can_see_is_forgotten() {
    let mut rig = Rig::new(1);
    let engine = rig.open().engine;
    let view = engine.view();
    for n in 0..100u8 {
        let mut batch = Batch::new();
        batch.put(Column::State, vec![1], vec![n]);
        batch.put(Column::State, vec![2, n], vec![n]);
        batch.delete(Column::State, vec![2, n.wrapping_sub(1)]);
        engine.write(batch).unwrap();
    }
    engine.flush().unwrap();
    let kept = || rig.disk.state.lock().kept();
    assert!(kept().0 > 100, "a view holds them");
    drop(view);
    assert_eq!(kept(), (2, 0));
}
