//! Places in the tree of folders, as searches name them.

use super::names;
use super::read::View;
use super::work::no_folder;
use std::collections::BTreeSet;
use zcluster_api::mailbox::folders::USER_ROOT;
use zcluster_api::search::InFolder;
use zcluster_api::{Error, FolderId, Result};

/// The folders that a place names: itself, and with `below` all below it.
///
/// # Errors
/// `NotFound` when there is no such folder.
pub(super) fn folders(view: &View<'_>, place: &InFolder) -> Result<BTreeSet<FolderId>> {
    let root = place.id.unwrap_or(USER_ROOT);
    let mut at = root;
    if at != USER_ROOT {
        view.row(at)?;
    }
    if !place.path.is_empty() {
        let missing = || Error::NotFound(format!("folder {:?}", place.path));
        for name in names::split(&place.path).map_err(|_| missing())? {
            at = names::child(view.kv, view.mailbox, at, name)?.ok_or_else(missing)?;
        }
    } else if place.id.is_none() && !place.below {
        return Err(no_folder(root));
    }
    let mut found = BTreeSet::from([at]);
    if place.below {
        let all = names::all(view.kv, view.mailbox)?;
        // Parents may come behind their children: until nothing is added.
        loop {
            let before = found.len();
            found.extend(
                all.iter().filter(|(_, row)| found.contains(&row.parent)).map(|(id, _)| *id).collect::<Vec<_>>(),
            );
            if found.len() == before {
                break;
            }
        }
    }
    Ok(found)
}
