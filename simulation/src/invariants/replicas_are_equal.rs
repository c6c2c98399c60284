//! Replicas at the same position hold the same rows, byte for byte (distributed.md §4.4): the state is a function of the
//! log and of nothing else. Checked at every batch that is written anywhere; and at the end by what the replicas answer.

use super::census::{Census, Mailbox};
use super::{Check, broken};
use std::collections::BTreeMap;

const PROMISE: &str = "replicas_are_equal";

/// The hash of a group's rows by position (index + 1; 0: nothing applied), and the node that was first there.
#[derive(Clone, Debug, Default)]
pub struct States(BTreeMap<u64, (u128, u32)>);

impl States {
    /// `node` has applied everything below `end`, and then has `rows`.
    ///
    /// # Errors
    /// Another node had other rows there, or this one had at another time.
    pub fn written(&mut self, node: u32, end: u64, rows: u128) -> Check {
        match *self.0.entry(end).or_insert((rows, node)) {
            (known, _) if known == rows => Ok(()),
            (known, first) => broken(
                PROMISE,
                format!("below index {end} node {node} has rows {rows:032x}, and node {first} had {known:032x}"),
            ),
        }
    }

    /// The hash of the rows of whoever applied everything below `end` and nothing else.
    pub fn at(&self, end: u64) -> Option<u128> {
        self.0.get(&end).map(|s| s.0)
    }

    /// Positions and hashes, rising.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u128)> {
        self.0.iter().map(|(end, (rows, _))| (*end, *rows))
    }
}

/// Every replica answers for a mailbox as the first does, and every node's directory knows the same accounts.
///
/// # Errors
/// One answers otherwise.
pub fn check(census: &Census) -> Check {
    let (mut mailboxes, mut accounts) = (BTreeMap::new(), BTreeMap::new());
    for ((account, node), mailbox) in &census.mailboxes {
        let (first, other) = *mailboxes.entry(account).or_insert((node, mailbox));
        if other != mailbox {
            let difference = difference(other, mailbox);
            return broken(
                PROMISE,
                format!("nodes {first} and {node} answer differently for u{account}: {difference}"),
            );
        }
    }
    for ((name, node), account) in &census.administered {
        let (first, other) = *accounts.entry(name).or_insert((node, account));
        if other != account {
            return broken(PROMISE, format!("nodes {first} and {node} know a{name} differently"));
        }
    }
    Ok(())
}

/// The first thing in which two replicas of a mailbox differ.
fn difference(a: &Result<Mailbox, String>, b: &Result<Mailbox, String>) -> String {
    let (Ok(a), Ok(b)) = (a, b) else {
        let shown = |m: &Result<Mailbox, String>| m.as_ref().map_or_else(Clone::clone, |_| "an answer".into());
        return format!("{} and {}", shown(a), shown(b));
    };
    let counted = |m: &Mailbox| (m.used, m.messages, m.modseq, m.folders.len());
    for (x, y) in a.folders.iter().zip(&b.folders) {
        if x.folder != y.folder {
            return format!("{:?} and {:?}", x.folder, y.folder);
        }
        if let Some((x, y)) = x.messages.iter().zip(&y.messages).find(|(x, y)| x != y) {
            return format!("{:?} and {:?}", x.row, y.row);
        }
    }
    format!("bytes, messages, mod-sequence and folders are {:?} and {:?}", counted(a), counted(b))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{census, contents, kept, mailbox};
    use super::*;

    #[test]
    fn different_answers_are_seen() {
        let mut census = census(vec![contents(0, vec![kept(1, 5)])]);
        census.mailboxes.insert((0, 2), Ok(mailbox(vec![contents(0, vec![kept(1, 5)])])));
        assert_eq!(check(&census), Ok(()));
        census.mailboxes.insert((0, 3), Ok(mailbox(vec![contents(0, vec![kept(2, 5)])])));
        assert!(check(&census).unwrap_err().text.contains("nodes 1 and 3"));
    }

    #[test]
    fn different_rows_are_seen() {
        let mut states = States::default();
        assert_eq!(states.written(1, 5, 77), Ok(()));
        assert_eq!(states.written(2, 5, 77), Ok(()));
        assert_eq!(states.written(2, 6, 78), Ok(()));
        assert!(states.written(3, 6, 79).unwrap_err().text.contains("node 3"));
        assert_eq!((states.at(5), states.at(4)), (Some(77), None));
    }
}
