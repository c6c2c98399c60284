//! Operations on accounts behave as if they happened one after the other, each between its beginning and its answer, at
//! whatever node they were asked for (DESIGN: the directory; distributed.md §4.4). Names are independent of each other.
//!
//! Signing in is no part of it: it asks for a recent answer and takes what the node has when the directory cannot be
//! reached (`Freshness::Recent`).

use super::census::Census;
use super::linearized::{Story, decide};
use super::story::may_have_happened;
use super::{Check, broken};
use crate::history::{Outcome, Record, Refusal, Reply, What};
use crate::linear::account::{Account, Op};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::directory;

const PROMISE: &str = "directory_is_linearizable";

/// The numbers of the accounts that administrators spoke of.
pub fn names(records: &[Record]) -> BTreeSet<u32> {
    records.iter().filter_map(|r| name_of(&r.what)).collect()
}

fn name_of(what: &What) -> Option<u32> {
    match what {
        What::CreateAccount { name, .. }
        | What::DeleteAccount { name, .. }
        | What::SetPassword { name, .. }
        | What::ReadAccount { name } => Some(*name),
        _ => None,
    }
}

/// Looks for an order, for each name; what is there at the end (`now`) is the last read.
///
/// # Errors
/// There is none.
pub fn check(census: &Census, records: &[Record], now: u64) -> Check {
    let mut stories: BTreeMap<u32, Story<Op>> = BTreeMap::new();
    for (i, record) in records.iter().enumerate() {
        if let (Some(name), Some(op)) = (name_of(&record.what), op(record)) {
            stories.entry(name).or_default().add(i, record.invoke, record.ret, op);
        }
    }
    for (name, mut story) in stories {
        let end = census.administered.iter().find(|((n, _), _)| *n == name).map(|(_, account)| account);
        if let Some(account) = end {
            story.at_the_end(now, Op::Read(account.as_ref().map(shown)));
        }
        if let Some(text) = decide(&Account, None, &story, records) {
            return broken(PROMISE, format!("a{name}: {text}"));
        }
    }
    Ok(())
}

/// What the record says about the name; nothing if it says nothing.
fn op(record: &Record) -> Option<Op> {
    let is_refused = !may_have_happened(record);
    match (&record.what, &record.outcome) {
        (What::CreateAccount { .. }, Outcome::Failed(Refusal::Exists)) => Some(Op::Taken),
        (What::DeleteAccount { id, .. } | What::SetPassword { id, .. }, Outcome::Failed(Refusal::NotFound)) => {
            Some(Op::Gone { id: id.clone() })
        }
        (What::ReadAccount { .. }, Outcome::Failed(Refusal::NotFound)) => Some(Op::Read(None)),
        (What::ReadAccount { .. }, Outcome::Done(Reply::Account { id, password })) => {
            Some(Op::Read(Some((id.clone(), *password))))
        }
        _ if is_refused => None,
        (What::CreateAccount { id, .. }, _) => Some(Op::Create { id: id.clone(), password: record.op }),
        (What::DeleteAccount { id, .. }, _) => Some(Op::Delete { id: id.clone() }),
        (What::SetPassword { id, .. }, _) => Some(Op::Set { id: id.clone(), password: record.op }),
        // A read that broke off, or no operation on accounts.
        _ => None,
    }
}

fn shown(account: &directory::Account) -> (String, Option<u32>) {
    (account.id.to_string(), account.attrs.get("description").and_then(|d| d.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{in_world, record};
    use super::*;

    fn create(when: (u64, u64), op: u32, id: &str, outcome: Outcome) -> Record {
        Record { op, ..record(when, What::CreateAccount { name: 1, id: id.into() }, outcome) }
    }
    fn set(when: (u64, u64), op: u32, id: &str, outcome: Outcome) -> Record {
        Record { op, ..record(when, What::SetPassword { name: 1, id: id.into() }, outcome) }
    }
    fn read(when: (u64, u64), shown: Option<(&str, u32)>) -> Record {
        let outcome = match shown {
            Some((id, op)) => Outcome::Done(Reply::Account { id: id.into(), password: Some(op) }),
            None => Outcome::Failed(Refusal::NotFound),
        };
        record(when, What::ReadAccount { name: 1 }, outcome)
    }
    fn done() -> Outcome {
        Outcome::Done(Reply::Accepted)
    }
    fn verdict(records: &[Record]) -> bool {
        in_world(|| check(&Census::default(), records, 1_000).is_ok())
    }

    #[test]
    fn stale_reads_and_lost_writes_are_seen() {
        let base = [create((0, 10), 1, "x", done()), set((20, 30), 2, "x", done())];
        let with = |more: Record| verdict(&[&base[..], &[more]].concat());
        assert!(with(read((40, 50), Some(("x", 2)))));
        assert!(!with(read((40, 50), Some(("x", 1)))));
        assert!(!with(read((40, 50), None)));
        assert!(with(read((25, 50), Some(("x", 1)))));
        assert!(!with(create((40, 50), 3, "y", done())));
        assert!(with(create((40, 50), 3, "y", Outcome::Failed(Refusal::Exists))));
        assert!(!with(set((40, 50), 3, "x", Outcome::Failed(Refusal::NotFound))));
    }

    #[test]
    fn unknown_outcomes_leave_both_ways_open() {
        let base = [create((0, 10), 1, "x", done()), set((20, 30), 2, "x", Outcome::Unknown)];
        for password in [1, 2] {
            assert!(verdict(&[&base[..], &[read((40, 50), Some(("x", password)))]].concat()));
        }
        assert!(!verdict(&[&base[..], &[read((40, 50), Some(("x", 3)))]].concat()));
    }
}
