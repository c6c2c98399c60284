//! Every message's body can be read on every replica, is as long as its row says, and is what its name says: the BLAKE3
//! of its bytes (distributed.md §4.4: every blob reference resolves).

use super::census::{Census, Kept};
use super::{Check, broken};

const PROMISE: &str = "every_body_resolves";

/// Looks at all bodies on all replicas.
///
/// # Errors
/// One is missing or another.
pub fn check(census: &Census) -> Check {
    for ((account, node), mailbox) in &census.mailboxes {
        let mailbox = match mailbox {
            Ok(mailbox) => mailbox,
            Err(e) => return broken(PROMISE, format!("node {node} cannot read the mailbox of u{account}: {e}")),
        };
        if let Some(fault) = mailbox.unreadable.first() {
            return broken(PROMISE, format!("node {node}, u{account}: {fault}"));
        }
        for (_, contents, kept) in mailbox.all() {
            if let Some(fault) = fault_in(kept) {
                let (path, uid) = (&contents.folder.path, kept.row.uid);
                return broken(PROMISE, format!("node {node}, u{account}, {path} UID {uid}: {fault}"));
            }
        }
    }
    Ok(())
}

fn fault_in(kept: &Kept) -> Option<String> {
    let body = match &kept.body {
        Ok(body) => body,
        Err(e) => return Some(e.clone()),
    };
    let blob = kept.row.blob.as_ref()?;
    if body.len() as u64 != blob.size || blob.size != kept.row.size {
        return Some(format!("{} bytes, the body says {}, the row {}", body.len(), blob.size, kept.row.size));
    }
    (blake3::hash(body).as_bytes() != &blob.id.0).then(|| format!("its bytes are not those of {}", blob.id))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn missing_short_and_other_bodies_are_seen() {
        let with = |kept: Kept| check(&census(vec![contents(0, vec![kept])]));
        assert_eq!(with(kept(1, 5)), Ok(()));
        assert!(with(Kept { body: Err("gone".into()), ..kept(1, 5) }).is_err());
        assert!(with(Kept { body: kept(1, 6).body, ..kept(1, 5) }).is_err());
        assert!(with(Kept { body: Ok("short".into()), ..kept(1, 5) }).is_err());
        let mut deleted = census(vec![contents(0, vec![kept(1, 5)])]);
        if let Some(Ok(mailbox)) = deleted.mailboxes.values_mut().next() {
            mailbox.unreadable.push("deleted item 300: gone".into());
        }
        assert!(check(&deleted).is_err());
        let mut unreadable = census(vec![]);
        unreadable.mailboxes.insert((0, 1), Err("no".into()));
        assert!(check(&unreadable).is_err());
    }
}
