//! A message's flags are what the STOREs that were carried out left, each on top of the one before (distributed.md §4.4):
//! every flag of every message is a register that was written and read in some order that fits what clients were told.

use super::linearized::decide;
use super::travels::Travels;
use super::{Check, broken};
use crate::history::Record;
use crate::linear::flag::Flag;

const PROMISE: &str = "flags_are_the_fold_of_stores";

/// Looks for an order for each flag of each message.
///
/// # Errors
/// There is none.
pub fn check(account: u32, travels: &Travels, records: &[Record]) -> Check {
    for (place, travel) in &travels.all {
        // A copy begins with the flags its original had at that moment.
        let initial = travel.is_fresh.then_some(false);
        for (name, story) in &travel.flags {
            if let Some(text) = decide(&Flag, initial, story, records) {
                return broken(PROMISE, format!("u{account}, m{:?}, first at {place:?}, {name}: {text}", travel.id));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::{Outcome, Reply, Seen, What};
    use zcluster_api::Flags;

    fn store(when: (u64, u64), flag: &str, set: bool, after: Option<&[&str]>) -> Record {
        let what = What::Store {
            account: 0,
            folder: 0,
            uid_validity: 1,
            uid: 1,
            message: Some(5),
            flag: flag.into(),
            set,
            unchanged_since: None,
        };
        let outcome = match after {
            None => Outcome::Unknown,
            Some(flags) => {
                let flags = flags.iter().map(|f| f.to_string()).collect();
                let after = Some(Seen { uid: 1, message: Some(5), flags, modseq: 1 });
                Outcome::Done(Reply::Stored { modified: false, after })
            }
        };
        record(when, what, outcome)
    }
    fn verdict(records: &[Record], flags: Flags, keywords: &[&str]) -> Check {
        let mut end = kept(1, 5);
        end.row.flags = flags;
        end.row.keywords = keywords.iter().map(|k| k.to_string()).collect();
        let travels = Travels::of(0, &mailbox(vec![contents(0, vec![end])]), records, 1_000);
        in_world(|| check(0, &travels, records))
    }

    #[test]
    fn a_lost_store_is_seen() {
        let records = [append((0, 5), 0, 5, 1), store((10, 20), "\\Flagged", true, Some(&["\\Flagged"]))];
        assert_eq!(verdict(&records, Flags::UNREAD.with(Flags::FLAGGED), &[]), Ok(()));
        assert!(verdict(&records, Flags::UNREAD, &[]).is_err());
    }

    #[test]
    fn a_flag_out_of_nowhere_is_seen() {
        let records = [append((0, 5), 0, 5, 1), store((10, 20), "k0", true, None)];
        assert_eq!(verdict(&records, Flags::UNREAD, &["k0"]), Ok(()));
        assert_eq!(verdict(&records, Flags::UNREAD, &[]), Ok(()));
        let two = [
            records[0].clone(),
            store((10, 20), "k0", true, Some(&["k0"])),
            store((30, 40), "K1", true, Some(&["k0"])),
        ];
        assert!(verdict(&two, Flags::UNREAD, &["k0"]).is_err(), "it said itself that it did nothing");
        let seen = [records[0].clone(), store((10, 20), "\\Seen", false, Some(&["\\Seen"]))];
        assert!(verdict(&seen, Flags::UNREAD, &[]).is_err());
    }

    #[test]
    fn the_later_of_two_stays() {
        let set = store((10, 20), "k0", true, Some(&["k0"]));
        let clear = |when| store(when, "k0", false, Some(&[]));
        let append = append((0, 5), 0, 5, 1);
        assert!(verdict(&[append.clone(), set.clone(), clear((21, 30))], Flags::UNREAD, &["k0"]).is_err());
        assert_eq!(verdict(&[append, set, clear((15, 30))], Flags::UNREAD, &["k0"]), Ok(()));
    }
}
