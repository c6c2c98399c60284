//! What was answered with 250 or with OK to APPEND, COPY or MOVE is there, readable on every replica, unless an EXPUNGE
//! or MOVE that may have happened explains its absence (DESIGN §0: "250 means stored"; distributed.md §4.4).

use super::census::{Census, Mailbox};
use super::story::{account_of, may_be, may_have_happened, named, placed, told};
use super::{Check, broken};
use crate::history::{Outcome, Record, What};
use std::collections::BTreeMap;

const PROMISE: &str = "no_acknowledged_mail_is_lost";

/// Looks for every acknowledged message.
///
/// # Errors
/// One is missing.
pub fn check(census: &Census, records: &[Record]) -> Check {
    for (account, mailbox) in census.each_mailbox() {
        let of = |r: &&Record| account_of(&r.what) == Some(account);
        let mine: Vec<&Record> = records.iter().filter(of).collect();
        places(account, mailbox, &mine)?;
        counts(account, mailbox, &mine)?;
    }
    Ok(())
}

/// Messages whose UID was told are at that UID.
fn places(account: u32, mailbox: &Mailbox, records: &[&Record]) -> Check {
    for record in records {
        let Some(place) = placed(record) else { continue };
        let takes_away = |r: &&&Record| {
            matches!(r.what, What::Move { .. } | What::Expunge { .. })
                && may_have_happened(r)
                && named(&r.what).is_some_and(|(p, _)| p == place)
        };
        if mailbox.at(place).is_none() && !records.iter().any(|r| takes_away(&r)) {
            return broken(PROMISE, format!("nothing is at {place:?} of u{account}, although {}", told(record)));
        }
    }
    Ok(())
}

/// There are at least as many of each message as were acknowledged, less those that may have been expunged.
fn counts(account: u32, mailbox: &Mailbox, records: &[&Record]) -> Check {
    let mut made: BTreeMap<u32, Vec<&Record>> = BTreeMap::new();
    for record in records.iter().filter(|r| matches!(r.outcome, Outcome::Done(_))) {
        match record.what {
            What::Deliver { message, .. } | What::Append { message, .. } => {
                made.entry(message).or_default().push(record)
            }
            What::Copy { message: Some(id), .. } if placed(record).is_some() => {
                made.entry(id).or_default().push(record)
            }
            _ => {}
        }
    }
    for (id, made) in made {
        let expunged = records
            .iter()
            .filter(|r| matches!(r.what, What::Expunge { message, .. } if may_be(message, id)) && may_have_happened(r));
        let least = made.len().saturating_sub(expunged.count());
        let there = mailbox.count(id);
        if there < least {
            let acknowledged: Vec<String> = made.iter().map(|r| told(r)).collect();
            return broken(
                PROMISE,
                format!(
                    "m{id} is {there} times in u{account}, not {least} times, although {}",
                    acknowledged.join("; ")
                ),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_lost_delivery_is_seen() {
        let records = [deliver((0, 10), 5)];
        assert_eq!(check(&census(vec![contents(0, vec![kept(1, 5)])]), &records), Ok(()));
        assert!(check(&census(vec![contents(0, vec![kept(1, 6)])]), &records).is_err());
        let expunged = [records[0].clone(), expunge((20, 30), 0, 1, 5, Outcome::Unknown)];
        assert_eq!(check(&census(vec![contents(0, vec![])]), &expunged), Ok(()));
    }

    #[test]
    fn a_lost_append_is_seen_although_its_like_is_there() {
        let records = [append((0, 10), 1, 5, 7), copy((20, 30), (1, 7), 5, 0, copied(2))];
        let both = census(vec![contents(0, vec![kept(2, 5)]), contents(1, vec![kept(7, 5)])]);
        assert_eq!(check(&both, &records), Ok(()));
        let one = census(vec![contents(0, vec![kept(2, 5)]), contents(1, vec![])]);
        assert!(check(&one, &records).is_err());
        let elsewhere = census(vec![contents(0, vec![kept(2, 5), kept(3, 5)]), contents(1, vec![])]);
        assert!(check(&elsewhere, &records).unwrap_err().text.contains("uid: 7"));
    }

    #[test]
    fn a_moved_message_is_looked_for_where_it_was_moved() {
        let records = [append((0, 10), 0, 5, 7), moved((20, 30), (0, 7), 5, 1, copied(1))];
        assert_eq!(check(&census(vec![contents(0, vec![]), contents(1, vec![kept(1, 5)])]), &records), Ok(()));
        assert!(check(&census(vec![contents(0, vec![]), contents(1, vec![])]), &records).is_err());
        let unknown = [records[0].clone(), moved((20, 30), (0, 7), 5, 1, Outcome::Unknown)];
        assert!(
            check(&census(vec![contents(0, vec![]), contents(1, vec![])]), &unknown).is_err(),
            "moving loses nothing"
        );
    }
}
