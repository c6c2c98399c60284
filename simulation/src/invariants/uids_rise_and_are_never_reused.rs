//! Within a folder and its UIDVALIDITY a UID is given once, for one message, and later messages get higher ones; the
//! UIDVALIDITY of a folder that stays does not change (RFC 3501 §2.3.1.1; distributed.md §4.4).

use super::census::{Census, number_of};
use super::story::{AT_THE_END, Sighting, account_of, fall, named, placed, who};
use super::{Check, broken};
use crate::history::{Outcome, Record, Reply, What};
use crate::linear::message::Place;
use std::collections::BTreeMap;

const PROMISE: &str = "uids_rise_and_are_never_reused";

/// What is known of UIDs: per account and folder.
#[derive(Default)]
struct Known {
    /// Which message has a UID, and who says so.
    messages: BTreeMap<(u32, Place), (u32, usize)>,
    validity: BTreeMap<(u32, u32), (u32, usize)>,
    /// UIDNEXT over time.
    next: BTreeMap<(u32, u32), Vec<Sighting>>,
}

/// Holds everything that was ever told of UIDs against each other, and against what is there at the end (`now`).
///
/// # Errors
/// They contradict each other.
pub fn check(census: &Census, records: &[Record], now: u64) -> Check {
    let mut known = Known::default();
    for (i, record) in records.iter().enumerate() {
        let Some(account) = account_of(&record.what) else { continue };
        known.record(account, i, record).or_else(|(what, other)| {
            broken(PROMISE, format!("u{account}: {what}: {}; {}", who(records, other), who(records, i)))
        })?;
    }
    for (account, mailbox) in census.each_mailbox() {
        let conflict = |(what, other): Conflict| {
            broken(PROMISE, format!("u{account}, at the end: {what}: {}", who(records, other)))
        };
        for (place, _, kept) in mailbox.all() {
            if let (Some(place), Some(id)) = (place, kept.id) {
                known.message(account, place, id, AT_THE_END).or_else(conflict)?;
            }
        }
        for folder in mailbox.folders.iter().map(|f| &f.folder) {
            if let Some(number) = number_of(folder) {
                known.validity(account, number, folder.uid_validity, AT_THE_END).or_else(conflict)?;
                known.next(account, number, now, (folder.uid_next.0, folder.uid_next.0));
            }
        }
    }
    for ((account, folder), sightings) in &known.next {
        if let Some((before, after)) = fall(sightings) {
            return broken(
                PROMISE,
                format!(
                    "u{account}, folder {folder}: UIDNEXT was {} after {}, and then {} before {}",
                    before.high,
                    who(records, before.record),
                    after.low,
                    who(records, after.record)
                ),
            );
        }
    }
    Ok(())
}

type Conflict = (String, usize);

impl Known {
    fn message(&mut self, account: u32, place: Place, id: u32, record: usize) -> Result<(), Conflict> {
        match *self.messages.entry((account, place)).or_insert((id, record)) {
            (known, _) if known == id => Ok(()),
            (known, other) => Err((format!("{place:?} is m{known} and m{id}"), other)),
        }
    }
    fn validity(&mut self, account: u32, folder: u32, validity: u32, record: usize) -> Result<(), Conflict> {
        match *self.validity.entry((account, folder)).or_insert((validity, record)) {
            (known, _) if known == validity => Ok(()),
            (known, other) => Err((format!("folder {folder} has UIDVALIDITY {known} and {validity}"), other)),
        }
    }
    fn next(&mut self, account: u32, folder: u32, now: u64, (low, high): (u32, u32)) {
        let (low, high) = (u64::from(low), u64::from(high));
        let sighting = Sighting { invoke: now, ret: now, low, high, record: AT_THE_END };
        self.next.entry((account, folder)).or_default().push(sighting);
    }

    fn record(&mut self, account: u32, i: usize, record: &Record) -> Result<(), Conflict> {
        let (Outcome::Done(reply), Some(ret)) = (&record.outcome, record.ret) else { return Ok(()) };
        let mut next = |folder: u32, ret: u64, low: u32, high: u32| {
            let (low, high) = (u64::from(low), u64::from(high));
            let sighting = Sighting { invoke: record.invoke, ret, low, high, record: i };
            self.next.entry((account, folder)).or_default().push(sighting);
        };
        if let Some(place) = placed(record) {
            next(place.folder, ret, place.uid, place.uid.saturating_add(1));
            self.validity(account, place.folder, place.uid_validity, i)?;
            let id = match record.what {
                What::Append { message, .. } => Some(message),
                _ => named(&record.what).and_then(|(_, id)| id),
            };
            return id.map_or(Ok(()), |id| self.message(account, place, id, i));
        }
        match (&record.what, reply) {
            (What::Fetch { folder, .. }, Reply::Fetched { uid_validity, uid_next, selected, messages, .. }) => {
                next(*folder, *selected, *uid_next, *uid_next);
                self.validity(account, *folder, *uid_validity, i)?;
                for seen in messages {
                    let place = Place { folder: *folder, uid_validity: *uid_validity, uid: seen.uid };
                    seen.message.map_or(Ok(()), |id| self.message(account, place, id, i))?;
                }
                Ok(())
            }
            (What::Status { folder, .. }, Reply::Status { uid_validity, uid_next, .. }) => {
                next(*folder, ret, *uid_next, *uid_next);
                self.validity(account, *folder, *uid_validity, i)
            }
            (What::Search { folder, uid_validity, of, .. }, Reply::Found { uids }) => {
                let place = |uid: &u32| Place { folder: *folder, uid_validity: *uid_validity, uid: *uid };
                uids.iter().try_for_each(|uid| self.message(account, place(uid), *of, i))
            }
            (What::Idle { folder, .. }, Reply::Idled { uid_validity, .. }) => {
                self.validity(account, *folder, *uid_validity, i)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn verdict(records: &[Record]) -> Check {
        check(&Census::default(), records, 1_000)
    }

    #[test]
    fn a_uid_that_is_given_twice_is_seen() {
        assert!(verdict(&[append((0, 10), 0, 5, 1), append((5, 15), 0, 6, 1)]).is_err());
        assert_eq!(verdict(&[append((0, 10), 0, 5, 1), append((5, 15), 1, 6, 1)]), Ok(()), "another folder");
        let there = census(vec![contents(0, vec![kept(1, 6)])]);
        assert!(check(&there, &[append((0, 10), 0, 5, 1)], 1_000).is_err());
    }

    #[test]
    fn uids_that_do_not_rise_are_seen() {
        assert_eq!(verdict(&[append((0, 10), 0, 5, 2), append((5, 15), 0, 6, 1)]), Ok(()), "they overlap");
        assert!(verdict(&[append((0, 10), 0, 5, 2), append((11, 15), 0, 6, 1)]).is_err());
        let status = |uid_next| {
            let reply = Reply::Status { messages: 0, uid_next, uid_validity: 1, highest_modseq: 1, unseen: 0 };
            record((20, 30), What::Status { account: 0, folder: 0 }, Outcome::Done(reply))
        };
        assert_eq!(verdict(&[append((0, 10), 0, 5, 2), status(3)]), Ok(()));
        assert!(verdict(&[append((0, 10), 0, 5, 2), status(2)]).is_err(), "a stale read");
        assert!(verdict(&[status(3), append((40, 50), 0, 5, 2)]).is_err());
    }

    #[test]
    fn a_new_uidvalidity_is_seen() {
        let mut other = append((20, 30), 0, 6, 2);
        other.outcome = Outcome::Done(Reply::Appended { uid_validity: 2, uid: 2 });
        assert!(verdict(&[append((0, 10), 0, 5, 1), other]).is_err());
    }
}
