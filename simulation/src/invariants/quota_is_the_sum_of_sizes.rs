//! What is counted is what is there: a mailbox's bytes and messages, and each folder's messages, bytes, unseen and deleted
//! ones (distributed.md §4.4). Nothing else ever counts them anew, so that a counter that is wrong once stays wrong.

use super::census::{Census, Contents, Mailbox};
use super::{Check, broken};
use zcluster_api::Flags;

const PROMISE: &str = "quota_is_the_sum_of_sizes";

/// Counts everything on all replicas.
///
/// # Errors
/// A counter is wrong.
pub fn check(census: &Census) -> Check {
    for ((account, node), mailbox) in &census.mailboxes {
        let Ok(mailbox) = mailbox else { continue };
        if let Some(fault) = fault_in(mailbox) {
            return broken(PROMISE, format!("node {node}, u{account}: {fault}"));
        }
    }
    Ok(())
}

fn fault_in(mailbox: &Mailbox) -> Option<String> {
    let (bytes, count) = mailbox.all().fold((0, 0), |(b, n), (_, _, kept)| (b + kept.row.size, n + 1));
    if (mailbox.used, mailbox.messages) != (bytes, count) {
        let (used, messages) = (mailbox.used, mailbox.messages);
        return Some(format!("{used} bytes in {messages} messages are counted, {bytes} in {count} are there"));
    }
    mailbox.folders.iter().find_map(|f| fault_in_folder(f).map(|fault| format!("{}: {fault}", f.folder.path)))
}

fn fault_in_folder(contents: &Contents) -> Option<String> {
    let rows = || contents.messages.iter().map(|m| &m.row);
    let with = |flag: Flags| rows().filter(|r| r.flags.contains(flag)).count() as u64;
    let folder = &contents.folder;
    let counted = [folder.messages.into(), folder.bytes, folder.unread.into(), folder.deleted.into()];
    let there = [rows().count() as u64, rows().map(|r| r.size).sum(), with(Flags::UNREAD), with(Flags::DELETED)];
    if counted != there {
        return Some(format!("messages, bytes, unseen, deleted are counted as {counted:?} and are {there:?}"));
    }
    let first = rows().find(|r| r.flags.contains(Flags::UNREAD)).map(|r| r.uid);
    (first != contents.first_unseen).then(|| format!("the first unseen is {first:?}, not {:?}", contents.first_unseen))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn wrong_counters_are_seen() {
        let good = vec![contents(0, vec![kept(1, 5), kept(2, 6)]), contents(1, vec![kept(1, 7)])];
        assert_eq!(check(&census(good.clone())), Ok(()));
        let spoilt = |spoil: fn(&mut Mailbox)| {
            let mut mailbox = mailbox(good.clone());
            spoil(&mut mailbox);
            let mut census = Census::default();
            census.mailboxes.insert((0, 1), Ok(mailbox));
            check(&census).is_err()
        };
        assert!(spoilt(|m| m.used += 1));
        assert!(spoilt(|m| m.messages -= 1));
        assert!(spoilt(|m| m.folders[0].folder.unread = 1));
        assert!(spoilt(|m| m.folders[1].folder.deleted = 1));
        assert!(spoilt(|m| m.folders[1].first_unseen = None));
    }
}
