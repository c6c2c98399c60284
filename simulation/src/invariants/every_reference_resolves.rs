//! What a shard's leader takes to lie in an object of a volume can lie there: the object is there, as large as it was told
//! to be. And no object is leaked: each that is on the volume is known to some shard, which will remove it when nothing is
//! in it (docs/decisions/0026). That the bytes themselves are right is [`super::every_body_resolves`].

use super::{Check, broken};
use crate::cluster::Cluster;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zcluster_api::GroupId;
use zcluster_replica::{ObjectAt, Stage};

const PROMISE: &str = "every_reference_resolves";

/// Compares the leaders' rows with the volume, in one instant.
///
/// # Errors
/// An object is missing, other than it should be, or unknown.
pub fn check(cluster: &Arc<Cluster>) -> Check {
    let Some(warehouse) = cluster.warehouse() else { return Ok(()) };
    let mut known = Vec::new();
    for group in cluster.groups().into_iter().filter(|g| *g != GroupId::DIRECTORY.0) {
        let Some(leader) = cluster.leader_of(group) else { continue };
        match leader.parts.replicas.objects(GroupId(group)) {
            Ok(objects) => known.extend(objects.into_iter().map(|object| (group, object))),
            Err(e) => return broken(PROMISE, format!("group {group}: {e}")),
        }
    }
    compare(&known, &warehouse.stock())
}

fn compare(known: &[(u32, ObjectAt)], stock: &BTreeMap<String, u64>) -> Check {
    let mut names = BTreeSet::new();
    for (group, object) in known {
        if !names.insert(object.object.as_str()) {
            return broken(PROMISE, format!("object {} is known twice", object.object));
        }
        let is_empty = object.live.number == 0;
        if is_empty != matches!(object.stage, Stage::Doomed | Stage::Trash) && object.stage != Stage::Open {
            let ObjectAt { object, stage, live, .. } = object;
            return broken(PROMISE, format!("group {group}: {object} is {stage:?} with {} bodies", live.number));
        }
        match stock.get(&object.object) {
            Some(bytes) if is_empty || *bytes == object.bytes => {}
            None if is_empty => {}
            found => {
                let ObjectAt { object, live, bytes, .. } = object;
                let text = format!("group {group}: {} bodies in {object} of {bytes} bytes: {found:?}", live.number);
                return broken(PROMISE, text);
            }
        }
    }
    match stock.keys().find(|name| !names.contains(name.as_str())) {
        Some(leaked) => broken(PROMISE, format!("object {leaked} is on the volume, and nobody knows it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, stage: Stage, bodies: u64) -> (u32, ObjectAt) {
        let live = zcluster_replica::Count { number: bodies, bytes: 10 * bodies };
        (
            1,
            ObjectAt {
                number: 1,
                volume: "v".into(),
                object: name.into(),
                stage,
                bytes: 100,
                live,
                filled: live.bytes,
            },
        )
    }

    #[test]
    fn missing_short_and_leaked_objects_are_seen() {
        let stock = |names: &[&str]| names.iter().map(|n| (n.to_string(), 100)).collect::<BTreeMap<_, _>>();
        let live = || object("a", Stage::Live, 3);
        assert_eq!(compare(&[live(), object("b", Stage::Trash, 0)], &stock(&["a", "b"])), Ok(()));
        assert_eq!(compare(&[live(), object("b", Stage::Open, 0)], &stock(&["a"])), Ok(()));
        assert!(compare(&[live()], &stock(&[])).is_err());
        assert!(compare(&[live()], &[("a".to_string(), 99)].into()).is_err());
        assert!(compare(&[live()], &stock(&["a", "b"])).is_err());
        assert!(compare(&[live(), live()], &stock(&["a"])).is_err());
        assert!(compare(&[object("a", Stage::Trash, 1)], &stock(&["a"])).is_err());
    }
}
