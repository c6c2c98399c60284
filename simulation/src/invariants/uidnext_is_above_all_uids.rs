//! UIDNEXT is greater than every UID of the folder, and the folder's UID set is that of its messages (RFC 3501 §2.3.1.1;
//! distributed.md §4.4).

use super::census::{Census, Contents};
use super::{Check, broken};

const PROMISE: &str = "uidnext_is_above_all_uids";

/// Looks at all folders on all replicas.
///
/// # Errors
/// One is wrong.
pub fn check(census: &Census) -> Check {
    for ((account, node), mailbox) in &census.mailboxes {
        for contents in mailbox.iter().flat_map(|m| &m.folders) {
            if let Some(fault) = fault_in(contents) {
                return broken(PROMISE, format!("node {node}, u{account}, {}: {fault}", contents.folder.path));
            }
        }
    }
    Ok(())
}

fn fault_in(contents: &Contents) -> Option<String> {
    let next = contents.folder.uid_next.0;
    let rows: Vec<u32> = contents.messages.iter().map(|m| m.row.uid.0).collect();
    if !rows.is_sorted_by(|a, b| a < b) {
        return Some(format!("UIDs out of order: {rows:?}"));
    }
    if !contents.uids.iter().eq(rows.iter().copied()) {
        return Some(format!("the set of UIDs is {:?}, the messages are {rows:?}", contents.uids));
    }
    rows.last().filter(|last| **last >= next).map(|last| format!("UIDNEXT is {next}, the last UID {last}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use zcluster_api::Uid;

    #[test]
    fn wrong_uids_are_seen() {
        let good = contents(0, vec![kept(1, 5), kept(4, 6)]);
        assert_eq!(check(&census(vec![good.clone()])), Ok(()));
        let mut low = good.clone();
        low.folder.uid_next = Uid(4);
        assert!(check(&census(vec![low])).is_err());
        let mut set = good;
        set.uids.insert(2);
        assert!(check(&census(vec![set])).is_err());
    }
}
