//! HIGHESTMODSEQ never falls and is never below a mod-sequence that was shown; a message's mod-sequence never falls
//! (RFC 7162 §3.1.1; distributed.md §4.4). A read that began after a write was answered therefore shows at least that
//! write's mod-sequence: a stale replica that answers is caught here.

use super::census::{Census, number_of};
use super::story::{AT_THE_END, Sighting, account_of, fall, named, who};
use super::{Check, broken};
use crate::history::{Outcome, Record, Reply, What};
use crate::linear::message::Place;
use std::collections::BTreeMap;

const PROMISE: &str = "modseq_never_falls";

#[derive(Default)]
struct Known {
    folders: BTreeMap<(u32, u32), Vec<Sighting>>,
    messages: BTreeMap<(u32, Place), Vec<Sighting>>,
}

/// Holds every mod-sequence that was ever told against the others, and against what is there at the end (`now`).
///
/// # Errors
/// One is lower than it may be.
pub fn check(census: &Census, records: &[Record], now: u64) -> Check {
    let mut known = Known::default();
    for (i, record) in records.iter().enumerate() {
        if let (Some(account), Some(ret)) = (account_of(&record.what), record.ret) {
            known.record(account, i, record, ret);
        }
    }
    for (account, mailbox) in census.each_mailbox() {
        for contents in &mailbox.folders {
            let highest = contents.folder.highest_modseq.0;
            let message = contents.messages.iter().map(|m| m.row.modseq.0).max().unwrap_or(0);
            if message > highest || highest > mailbox.modseq {
                let path = &contents.folder.path;
                let text =
                    format!("u{account}: mailbox at {}, {path} at {highest}, a message at {message}", mailbox.modseq);
                return broken(PROMISE, text);
            }
            if let Some(number) = number_of(&contents.folder) {
                known.folder(account, number, exactly(now, now, highest, AT_THE_END));
            }
        }
        for (place, _, kept) in mailbox.all() {
            place.into_iter().for_each(|p| known.message(account, p, exactly(now, now, kept.row.modseq.0, AT_THE_END)));
        }
    }
    for ((account, folder), sightings) in &known.folders {
        verdict(records, sightings, || format!("u{account}, folder {folder}: HIGHESTMODSEQ"))?;
    }
    for ((account, place), sightings) in &known.messages {
        verdict(records, sightings, || format!("u{account}, {place:?}: MODSEQ"))?;
    }
    Ok(())
}

fn verdict(records: &[Record], sightings: &[Sighting], what: impl Fn() -> String) -> Check {
    let Some((before, after)) = fall(sightings) else { return Ok(()) };
    broken(
        PROMISE,
        format!(
            "{} was {} in {}, and then {} in {}",
            what(),
            before.high,
            who(records, before.record),
            after.low,
            who(records, after.record)
        ),
    )
}

fn exactly(invoke: u64, ret: u64, modseq: u64, record: usize) -> Sighting {
    Sighting { invoke, ret, low: modseq, high: modseq, record }
}

impl Known {
    fn folder(&mut self, account: u32, folder: u32, sighting: Sighting) {
        self.folders.entry((account, folder)).or_default().push(sighting);
    }
    /// A message's mod-sequence; its folder's is at least that from then on.
    fn message(&mut self, account: u32, place: Place, sighting: Sighting) {
        self.messages.entry((account, place)).or_default().push(sighting);
        self.folder(account, place.folder, Sighting { low: u64::MAX, ..sighting });
    }

    fn record(&mut self, account: u32, i: usize, record: &Record, ret: u64) {
        let invoke = record.invoke;
        match (&record.what, &record.outcome) {
            (
                What::Fetch { folder, .. },
                Outcome::Done(Reply::Fetched { uid_validity, highest_modseq, selected, messages, .. }),
            ) => {
                self.folder(account, *folder, exactly(invoke, *selected, *highest_modseq, i));
                for seen in messages {
                    let place = Place { folder: *folder, uid_validity: *uid_validity, uid: seen.uid };
                    self.message(account, place, exactly(invoke, ret, seen.modseq, i));
                }
            }
            (What::Status { folder, .. }, Outcome::Done(Reply::Status { highest_modseq, .. })) => {
                self.folder(account, *folder, exactly(invoke, ret, *highest_modseq, i));
            }
            (What::Store { .. }, Outcome::Done(Reply::Stored { after: Some(seen), .. })) => {
                if let Some((place, _)) = named(&record.what) {
                    self.message(account, place, exactly(invoke, ret, seen.modseq, i));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::Seen;
    use std::collections::BTreeSet;

    fn status(when: (u64, u64), highest_modseq: u64) -> Record {
        let reply = Reply::Status { messages: 0, uid_next: 9, uid_validity: 1, highest_modseq, unseen: 0 };
        record(when, What::Status { account: 0, folder: 0 }, Outcome::Done(reply))
    }
    fn store(when: (u64, u64), modseq: u64) -> Record {
        let (uid, flag) = (1, "k0".to_string());
        let what = What::Store {
            account: 0,
            folder: 0,
            uid_validity: 1,
            uid,
            message: Some(5),
            flag,
            set: true,
            unchanged_since: None,
        };
        let after = Some(Seen { uid, message: Some(5), flags: BTreeSet::new(), modseq });
        record(when, what, Outcome::Done(Reply::Stored { modified: false, after }))
    }
    fn verdict(records: &[Record]) -> Check {
        check(&Census::default(), records, 1_000)
    }

    #[test]
    fn falls_are_seen() {
        assert_eq!(verdict(&[status((0, 10), 5), status((11, 20), 5)]), Ok(()));
        assert!(verdict(&[status((0, 10), 5), status((11, 20), 4)]).is_err());
        assert!(verdict(&[store((0, 10), 5), store((11, 20), 4)]).is_err());
    }

    #[test]
    fn a_stale_read_is_seen() {
        assert_eq!(verdict(&[store((0, 10), 5), status((5, 20), 4)]), Ok(()), "they overlap");
        assert!(verdict(&[store((0, 10), 5), status((11, 20), 4)]).is_err());
    }

    #[test]
    fn the_end_is_looked_at() {
        let mut low = contents(0, vec![kept(1, 5)]);
        low.messages[0].row.modseq = zcluster_api::ModSeq(7);
        assert!(check(&census(vec![low]), &[], 1_000).is_err());
        assert!(check(&census(vec![contents(0, vec![kept(1, 5)])]), &[store((0, 10), 5)], 1_000).is_err());
    }
}
