//! What lies on a volume outside of all shards' parts.

use super::shard::{adopt, is_there};
use super::{PROBLEMS_MAX, Problem, ProblemKind as Kind, Tally, VerifyAsk, VerifyNews};
use crate::packer::{Packer, VOLUME_STEP_MAX, prefix, within};
use futures::SinkExt;
use futures::channel::mpsc;
use zcluster_api::volume::check_object_name;
use zcluster_api::{Error, GroupId, Result};

/// Names asked of a volume at a time.
const LIST: usize = 1_000;

/// Of which shard a name tells that it belongs to.
fn shard_of(name: &str, groups: &[GroupId]) -> Option<GroupId> {
    let number = name.strip_prefix("packs/")?.split_once('/')?.0;
    let group = GroupId(number.parse().ok()?);
    // A number has one way to be written.
    (groups.contains(&group) && name.starts_with(&prefix(group))).then_some(group)
}

/// Goes through a volume, but not through the shards' parts of it: these are skipped with one list each.
pub(super) async fn look(
    packer: &Packer,
    volume: &str,
    ask: &VerifyAsk,
    groups: &[GroupId],
    out: &mut mpsc::Sender<VerifyNews>,
) -> Result<Tally> {
    let (mut tally, mut after) = (Tally::default(), String::new());
    loop {
        let page = within(VOLUME_STEP_MAX, packer.volumes.list(volume, "", &after, LIST)).await?;
        let is_last = page.len() < LIST;
        let mut skipped = None;
        let mut next = None;
        for listed in page {
            if let Some(group) = shard_of(&listed.object, groups) {
                skipped = Some(format!("{}{}", prefix(group), "z".repeat(64)));
                break;
            }
            if check_object_name(&listed.object).is_ok() {
                next = Some(listed.object.clone());
            }
            if !is_there(packer, volume, &listed).await? {
                continue;
            }
            let (text, repaired) = match groups.first() {
                Some(first) if check_object_name(&listed.object).is_ok() => {
                    adopt(packer, ask.repair, *first, volume, &listed).await
                }
                _ => ("not a name that this cluster gives: it is not touched".into(), false),
            };
            tally.problems += 1;
            tally.repaired += u64::from(repaired);
            if tally.problems <= PROBLEMS_MAX {
                let problem = Problem { repaired, ..Problem::new(Kind::Orphan, text).on(volume, &listed.object) };
                let told = out.send(VerifyNews::Problem(problem)).await;
                told.map_err(|_| Error::Unavailable("nobody listens any more".into()))?;
            }
        }
        match (skipped, next) {
            (Some(skip), _) => after = skip,
            (None, Some(next)) if !is_last => after = next,
            _ => return Ok(tally),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_shards_are_known_by_their_names() {
        let groups = [GroupId(1), GroupId(17)];
        for (name, of) in [
            ("packs/1/ab", Some(1)),
            ("packs/17/x", Some(17)),
            ("packs/170/x", None),
            ("packs/017/x", None),
            ("packs/+1/x", None),
            ("packs/1", None),
            ("other/1/x", None),
            ("a", None),
        ] {
            assert_eq!(shard_of(name, &groups), of.map(GroupId), "{name}");
        }
    }
}
