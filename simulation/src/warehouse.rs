//! A volume in memory, shared by all nodes, with the troubles of an object store: refusals, lost answers, effects that
//! come late, slowness, lists that lag, outages. It outlives all nodes.

use crate::plan::VolumeShape;
use crate::world::{self, OUTSIDE, Stream};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zcluster_api::{Error, Listed, Result, Volumes};

/// Its name.
pub const VOLUME: &str = "shared";
/// A caller whose answer is lost waits so long.
const LOST_AFTER: Duration = Duration::from_millis(1_500);
/// The latest that the effect of a failed write comes.
const LATE_MAX_MS: u64 = 1_500;

struct Object {
    bytes: Bytes,
    /// From when on lists show it.
    listed_ns: u64,
}

/// The volume's contents and its condition.
pub struct Warehouse {
    shape: VolumeShape,
    objects: Mutex<BTreeMap<String, Object>>,
    troubled: AtomicBool,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Refused,
    AnswerLost,
    Late(Duration),
}

impl Warehouse {
    /// An empty one, in peace.
    pub fn new(shape: &VolumeShape) -> Arc<Self> {
        Arc::new(Warehouse { shape: *shape, objects: Mutex::default(), troubled: AtomicBool::new(false) })
    }

    /// Whether the troubles strike.
    pub fn set_troubled(&self, troubled: bool) {
        self.troubled.store(troubled, Ordering::Relaxed);
    }

    /// Names and sizes of what is there.
    pub fn stock(&self) -> BTreeMap<String, u64> {
        self.objects.lock().iter().map(|(name, object)| (name.clone(), object.bytes.len() as u64)).collect()
    }

    /// What becomes of the next call, and how long it takes.
    fn fate(&self) -> (Fate, Duration) {
        let VolumeShape { refuse, lose, late, slow, outage_every_ms, outage_ms, .. } = self.shape;
        let troubled = self.troubled.load(Ordering::Relaxed);
        let now_ms = world::now() / 1_000_000;
        world::draw(Stream::Volume, |chance| {
            let usual = Duration::from_micros(chance.range(2_000, 20_000));
            if !troubled {
                return (Fate::Done, usual);
            }
            let is_out = outage_ms > 0 && now_ms % outage_every_ms.max(1) < outage_ms;
            let took = if chance.chance(slow) { Duration::from_millis(chance.range(100, 3_000)) } else { usual };
            let fate = if is_out || chance.chance(refuse) {
                Fate::Refused
            } else if chance.chance(lose) {
                Fate::AnswerLost
            } else if chance.chance(late) {
                Fate::Late(Duration::from_millis(chance.range(50, LATE_MAX_MS)))
            } else {
                Fate::Done
            };
            (fate, took)
        })
    }

    /// Carries a call out as its fate says.
    fn call<T: Send + 'static>(
        self: &Arc<Self>,
        effect: impl FnOnce(&Warehouse) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let this = self.clone();
        Box::pin(async move {
            let (fate, took) = this.fate();
            world::sleep(took).await;
            let failed = |why: &str| Err(Error::Unavailable(format!("the volume: {why}")));
            match fate {
                Fate::Done => effect(&this),
                Fate::Refused => {
                    world::count("volume.refused");
                    failed("503 slow down")
                }
                Fate::AnswerLost => {
                    world::count("volume.answer_lost");
                    let _ = effect(&this);
                    world::sleep(LOST_AFTER).await;
                    failed("no answer")
                }
                Fate::Late(by) => {
                    world::count("volume.late");
                    world::spawn_on(OUTSIDE, async move {
                        world::sleep(by).await;
                        let _ = effect(&this);
                    });
                    failed("connection reset")
                }
            }
        })
    }
}

/// A node's access to the warehouse.
pub struct Door(pub Arc<Warehouse>);

impl Volumes for Door {
    fn read(&self, _: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>> {
        let object = object.to_string();
        self.0.call(move |w| {
            let objects = w.objects.lock();
            let found = objects.get(&object).ok_or_else(|| Error::NotFound(object.clone()))?;
            let range = range.start as usize..range.end as usize;
            if range.end > found.bytes.len() || range.start > range.end {
                return Err(Error::NotFound(format!("bytes {range:?} of {object}")));
            }
            Ok(found.bytes.slice(range))
        })
    }

    fn put(&self, _: &str, object: &str, bytes: Bytes) -> BoxFuture<'static, Result<()>> {
        let object = object.to_string();
        let lag_ms = self.0.shape.list_lag_ms;
        self.0.call(move |w| {
            world::event("volume.put", &[bytes.len() as u64]);
            let listed_ns = world::now() + world::draw(Stream::Volume, |c| c.below(lag_ms + 1)) * 1_000_000;
            let before = w.objects.lock().insert(object.clone(), Object { bytes: bytes.clone(), listed_ns });
            if before.is_some_and(|before| before.bytes != bytes) {
                world::violate("every_reference_resolves", format!("object {object} was written over"));
            }
            Ok(())
        })
    }

    fn delete(&self, _: &str, object: &str) -> BoxFuture<'static, Result<()>> {
        let object = object.to_string();
        self.0.call(move |w| {
            world::event("volume.delete", &[]);
            w.objects.lock().remove(&object);
            Ok(())
        })
    }

    fn list(&self, _: &str, prefix: &str, after: &str, limit: usize) -> BoxFuture<'static, Result<Vec<Listed>>> {
        let (prefix, after) = (prefix.to_string(), after.to_string());
        self.0.call(move |w| {
            let now = world::now();
            let objects = w.objects.lock();
            let shown = objects.iter().filter(|(name, object)| {
                name.starts_with(&prefix) && name.as_str() > after.as_str() && object.listed_ns <= now
            });
            let listed = |(name, object): (&String, &Object)| Listed {
                object: name.clone(),
                bytes: object.bytes.len() as u64,
                changed_ms: object.listed_ns / 1_000_000,
            };
            Ok(shown.map(listed).take(limit).collect())
        })
    }

    fn default_volume(&self) -> Option<String> {
        Some(VOLUME.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Keep;

    #[test]
    fn a_failed_write_may_have_its_effect() {
        let guard = world::enter(3, Keep::default());
        let always = 1_000_000;
        let shape = VolumeShape { refuse: 0, lose: 0, late: always, list_lag_ms: 0, ..VolumeShape::default() };
        let warehouse = Warehouse::new(&shape);
        let (door, inside) = (Door(warehouse.clone()), warehouse.clone());
        world::spawn_on(OUTSIDE, async move {
            inside.set_troubled(true);
            assert!(door.put(VOLUME, "a", Bytes::from_static(b"abc")).await.is_err());
            assert!(inside.stock().is_empty());
            world::sleep(Duration::from_millis(LATE_MAX_MS)).await;
            assert_eq!(inside.stock(), [("a".to_string(), 3)].into());
            inside.set_troubled(false);
            assert_eq!(door.read(VOLUME, "a", 1..3).await, Ok(Bytes::from_static(b"bc")));
            assert!(matches!(door.read(VOLUME, "a", 1..4).await, Err(Error::NotFound(_))));
            assert_eq!(door.list(VOLUME, "", "", 9).await.unwrap().len(), 1);
            assert_eq!(door.delete(VOLUME, "a").await, Ok(()));
            assert!(matches!(door.read(VOLUME, "a", 0..1).await, Err(Error::NotFound(_))));
        });
        world::run_until(60_000_000_000);
        assert!(guard.summary().violations.is_empty(), "{:?}", guard.summary().violations);
    }
}
