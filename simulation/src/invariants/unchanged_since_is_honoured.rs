//! A STORE with UNCHANGEDSINCE changes no message whose mod-sequence is known to have been higher (RFC 7162 §3.1.3):
//! what mail programs build compare-and-set on.

use super::story::{account_of, named, told};
use super::{Check, broken};
use crate::history::{Outcome, Record, Reply, What};
use crate::linear::message::Place;
use std::collections::BTreeMap;

const PROMISE: &str = "unchanged_since_is_honoured";

/// Looks at all conditional stores that were carried out.
///
/// # Errors
/// One changed a message that had changed before.
pub fn check(records: &[Record]) -> Check {
    let shown = shown(records);
    for record in records {
        let What::Store { unchanged_since: Some(since), .. } = record.what else { continue };
        let carried_out = matches!(record.outcome, Outcome::Done(Reply::Stored { after: Some(_), .. }));
        let (Some(account), Some((place, _))) = (account_of(&record.what), named(&record.what)) else { continue };
        let before = shown.get(&(account, place)).into_iter().flatten();
        let mut newer = before.filter(|(end, modseq, _)| *end < record.invoke && *modseq > since);
        if let Some((_, modseq, other)) = newer.next().filter(|_| carried_out) {
            return broken(
                PROMISE,
                format!("the message was at {modseq} before: {}; {}", told(&records[*other]), told(record)),
            );
        }
    }
    Ok(())
}

/// A mod-sequence that was shown: when the answer ended, which one, and the record.
type Shown = (u64, u64, usize);

/// Mod-sequences of messages as they were shown.
fn shown(records: &[Record]) -> BTreeMap<(u32, Place), Vec<Shown>> {
    let mut shown: BTreeMap<_, Vec<Shown>> = BTreeMap::new();
    for (i, record) in records.iter().enumerate() {
        let (Some(account), Some(ret)) = (account_of(&record.what), record.ret) else { continue };
        match (&record.what, &record.outcome) {
            (What::Fetch { folder, .. }, Outcome::Done(Reply::Fetched { uid_validity, messages, .. })) => {
                for seen in messages {
                    let place = Place { folder: *folder, uid_validity: *uid_validity, uid: seen.uid };
                    shown.entry((account, place)).or_default().push((ret, seen.modseq, i));
                }
            }
            (_, Outcome::Done(Reply::Stored { after: Some(seen), .. })) => {
                if let Some((place, _)) = named(&record.what) {
                    shown.entry((account, place)).or_default().push((ret, seen.modseq, i));
                }
            }
            _ => {}
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::Seen;
    use std::collections::BTreeSet;

    fn store(when: (u64, u64), since: Option<u64>, modseq: Option<u64>) -> Record {
        let (uid, flag) = (1, "k0".to_string());
        let what = What::Store {
            account: 0,
            folder: 0,
            uid_validity: 1,
            uid,
            message: None,
            flag,
            set: true,
            unchanged_since: since,
        };
        let after = modseq.map(|modseq| Seen { uid, message: None, flags: BTreeSet::new(), modseq });
        record(when, what, Outcome::Done(Reply::Stored { modified: after.is_none(), after }))
    }

    #[test]
    fn a_lost_update_is_seen() {
        let first = store((0, 10), None, Some(7));
        assert!(check(&[first.clone(), store((20, 30), Some(6), Some(8))]).is_err());
        assert_eq!(check(&[first.clone(), store((20, 30), Some(7), Some(8))]), Ok(()));
        assert_eq!(check(&[first.clone(), store((20, 30), Some(6), None)]), Ok(()));
        assert_eq!(check(&[first, store((5, 30), Some(6), Some(8))]), Ok(()), "they overlap");
    }
}
