//! Operations on one mailbox behave as if they happened one after the other, each between its beginning and its answer,
//! at whatever node they were asked for (distributed.md §4.4). Checked for each message (made, moved, expunged; seen or
//! not seen) and for the names of folders. A read from a replica that lags, a message that is in two places or in none
//! for a moment, an expunged one that comes back: all have no order that explains them.

use super::census::Census;
use super::linearized::{Story, decide};
use super::story::{account_of, may_have_happened};
use super::travels::Travels;
use super::{Check, broken};
use crate::history::{Outcome, Record, Refusal, What};
use crate::linear::folders::{Folders, Op};
use crate::linear::message::{Message, State};
use std::collections::BTreeSet;

const PROMISE: &str = "mailboxes_are_linearizable";

/// Looks for an order for each message.
///
/// # Errors
/// There is none.
pub fn messages(account: u32, travels: &Travels, records: &[Record]) -> Check {
    for (place, travel) in &travels.all {
        if let Some(text) = decide(&Message, State::NotYet, &travel.story, records) {
            return broken(PROMISE, format!("u{account}, m{:?}, first at {place:?}: {text}", travel.id));
        }
    }
    Ok(())
}

/// Looks for an order of each mailbox's folder names; what is there at the end (`now`) is the last look.
///
/// # Errors
/// There is none.
pub fn folders(census: &Census, records: &[Record], now: u64) -> Check {
    for (account, mailbox) in census.each_mailbox() {
        let mut story = Story::default();
        let mut names = BTreeSet::new();
        for (i, record) in records.iter().enumerate().filter(|(_, r)| account_of(&r.what) == Some(account)) {
            match &record.what {
                What::Create { name, .. } | What::Delete { name, .. } => names.extend([name.clone()]),
                What::Rename { name, to, .. } => names.extend([name.clone(), to.clone()]),
                _ => continue,
            }
            if let Some(op) = op(record) {
                story.add(i, record.invoke, record.ret, op);
            }
        }
        let there = mailbox.folders.iter().map(|f| f.folder.path.clone()).filter(|path| names.contains(path));
        story.at_the_end(now, Op::All(there.collect()));
        if let Some(text) = decide(&Folders, BTreeSet::new(), &story, records) {
            return broken(PROMISE, format!("folders of u{account}: {text}"));
        }
    }
    Ok(())
}

/// What a record says about names.
fn op(record: &Record) -> Option<Op> {
    match (&record.what, &record.outcome) {
        (What::Create { name, .. }, Outcome::Failed(Refusal::Exists)) => Some(Op::Is(name.clone())),
        (What::Rename { to, .. }, Outcome::Failed(Refusal::Exists)) => Some(Op::Is(to.clone())),
        (What::Rename { name, .. } | What::Delete { name, .. }, Outcome::Failed(Refusal::NotFound)) => {
            Some(Op::IsNot(name.clone()))
        }
        _ if !may_have_happened(record) => None,
        (What::Create { name, .. }, _) => Some(Op::Create(name.clone())),
        (What::Rename { name, to, .. }, _) => Some(Op::Rename { from: name.clone(), to: to.clone() }),
        (What::Delete { name, .. }, _) => Some(Op::Delete(name.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::{Reply, Seen};

    /// A FETCH of a folder that showed these (UID, message).
    fn fetch(when: (u64, u64), folder: u32, shown: &[(u32, u32)]) -> Record {
        let seen = |(uid, id): &(u32, u32)| Seen { uid: *uid, message: Some(*id), flags: BTreeSet::new(), modseq: 1 };
        let reply = Reply::Fetched {
            uid_validity: 1,
            uid_next: 100,
            highest_modseq: 1,
            exists: shown.len() as u32,
            selected: when.0 + 1,
            messages: shown.iter().map(seen).collect(),
        };
        record(when, What::Fetch { account: 0, folder }, Outcome::Done(reply))
    }
    fn verdict(records: &[Record], end: Vec<super::super::census::Contents>) -> Check {
        in_world(|| messages(0, &Travels::of(0, &mailbox(end), records, 1_000), records))
    }
    fn create(when: (u64, u64), name: &str, outcome: Outcome) -> Record {
        record(when, What::Create { account: 0, name: name.into() }, outcome)
    }
    fn done() -> Outcome {
        Outcome::Done(Reply::Accepted)
    }

    #[test]
    fn a_stale_read_is_seen() {
        let there = || vec![contents(0, vec![kept(1, 5)])];
        let append = append((0, 10), 0, 5, 1);
        assert_eq!(verdict(&[append.clone(), fetch((11, 20), 0, &[(1, 5)])], there()), Ok(()));
        assert!(verdict(&[append.clone(), fetch((11, 20), 0, &[])], there()).is_err());
        assert_eq!(verdict(&[append, fetch((5, 20), 0, &[])], there()), Ok(()));
    }

    #[test]
    fn a_delivery_is_shown_once_it_is_acknowledged() {
        let there = || vec![contents(0, vec![kept(1, 5)])];
        assert!(verdict(&[deliver((0, 10), 5), fetch((11, 20), 0, &[])], there()).is_err());
        assert_eq!(verdict(&[deliver((0, 10), 5), fetch((5, 20), 0, &[])], there()), Ok(()));
        let open = record((0, 10), What::Deliver { account: 0, message: 5 }, Outcome::Unknown);
        assert_eq!(verdict(&[open, fetch((11, 20), 0, &[])], there()), Ok(()));
    }

    #[test]
    fn an_expunged_message_that_comes_back_is_seen() {
        let gone = [append((0, 10), 0, 5, 1), expunge((20, 30), 0, 1, 5, gone())];
        assert_eq!(verdict(&gone, vec![contents(0, vec![])]), Ok(()));
        assert!(verdict(&gone, vec![contents(0, vec![kept(1, 5)])]).is_err());
    }

    #[test]
    fn a_move_leaves_nothing_behind() {
        let records = [append((0, 10), 0, 5, 1), moved((20, 30), (0, 1), 5, 1, copied(3))];
        let both = vec![contents(0, vec![kept(1, 5)]), contents(1, vec![kept(3, 5)])];
        assert!(verdict(&records, both).is_err());
        assert_eq!(verdict(&records, vec![contents(0, vec![]), contents(1, vec![kept(3, 5)])]), Ok(()));
        // Nobody knows how this one ended; the message turned up where it was to go.
        let records = [append((0, 10), 0, 5, 1), moved((20, 30), (0, 1), 5, 1, Outcome::Unknown)];
        assert_eq!(verdict(&records, vec![contents(0, vec![]), contents(1, vec![kept(3, 5)])]), Ok(()));
        assert_eq!(verdict(&records, vec![contents(0, vec![kept(1, 5)]), contents(1, vec![])]), Ok(()));
    }

    #[test]
    fn a_folder_name_that_is_made_twice_is_seen() {
        let folders = |records: &[Record]| in_world(|| folders(&census(vec![contents(1, vec![])]), records, 1_000));
        let first = create((0, 10), "F1", done());
        assert!(folders(&[first.clone(), create((20, 30), "F1", done())]).is_err());
        let exists = Outcome::Failed(Refusal::Exists);
        assert_eq!(folders(&[first, create((20, 30), "F1", exists.clone())]), Ok(()));
        assert!(folders(&[create((20, 30), "F2", exists)]).is_err());
        assert!(folders(&[create((20, 30), "F2", done())]).is_err(), "it is not there in the end");
    }
}
