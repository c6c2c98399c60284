//! Reading the history: who did what to which message, and what must not fall over time.

use crate::history::{CopiedTo, Outcome, Record, Reply, What};
use crate::linear::message::Place;

/// The account of a record about a mailbox.
pub fn account_of(what: &What) -> Option<u32> {
    match what {
        What::Deliver { account, .. }
        | What::Append { account, .. }
        | What::Fetch { account, .. }
        | What::Store { account, .. }
        | What::Copy { account, .. }
        | What::Move { account, .. }
        | What::Expunge { account, .. }
        | What::Create { account, .. }
        | What::Rename { account, .. }
        | What::Delete { account, .. }
        | What::Status { account, .. }
        | What::Search { account, .. }
        | What::Idle { account, .. } => Some(*account),
        What::CreateAccount { .. }
        | What::DeleteAccount { .. }
        | What::SetPassword { .. }
        | What::ReadAccount { .. }
        | What::Login { .. } => None,
    }
}

/// Whether it may have had an effect.
pub fn may_have_happened(record: &Record) -> bool {
    !matches!(record.outcome, Outcome::Failed(_))
}

/// Where a record that was carried out put a message.
pub fn placed(record: &Record) -> Option<Place> {
    match (&record.what, &record.outcome) {
        (What::Append { folder, .. }, Outcome::Done(Reply::Appended { uid_validity, uid })) => {
            Some(Place { folder: *folder, uid_validity: *uid_validity, uid: *uid })
        }
        (
            What::Copy { to, .. } | What::Move { to, .. },
            Outcome::Done(Reply::Copied { copied: Some(CopiedTo { uid_validity, uid }) }),
        ) => Some(Place { folder: *to, uid_validity: *uid_validity, uid: *uid }),
        _ => None,
    }
}

/// The place a record speaks of.
pub fn named(what: &What) -> Option<(Place, Option<u32>)> {
    match *what {
        What::Store { folder, uid_validity, uid, message, .. }
        | What::Copy { folder, uid_validity, uid, message, .. }
        | What::Move { folder, uid_validity, uid, message, .. }
        | What::Expunge { folder, uid_validity, uid, message, .. } => {
            Some((Place { folder, uid_validity, uid }, message))
        }
        _ => None,
    }
}

/// Whether a record about message `of` (`None`: nobody knows which) may be about message `id`.
pub fn may_be(of: Option<u32>, id: u32) -> bool {
    of.is_none_or(|of| of == id)
}

/// A record in short, for reports.
pub fn told(record: &Record) -> String {
    let ms = |ns: u64| ns / 1_000_000;
    let Record { client, op, invoke, ret, node, what, outcome } = record;
    let mut outcome = format!("{outcome:?}");
    if outcome.len() > 300 {
        outcome.truncate((0..=300).rev().find(|n| outcome.is_char_boundary(*n)).unwrap_or(0));
        outcome.push_str("...");
    }
    let until = ret.map_or("?".into(), |r| ms(r).to_string());
    format!("[{}..{until} ms, client {client} op {op} node {node}] {what:?} -> {outcome}", ms(*invoke))
}

/// Something that must not fall was seen or moved: at its instant between `invoke` and `ret` it was at least `low`
/// before, and is at least `high` from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Begin of the operation.
    pub invoke: u64,
    /// Its end.
    pub ret: u64,
    /// What it was at most before; nothing known to have been higher may have ended before it began.
    pub low: u64,
    /// What it is at least afterwards.
    pub high: u64,
    /// The record.
    pub record: usize,
}

/// Two sightings of which the later one is too low, if there are such.
pub fn fall(sightings: &[Sighting]) -> Option<(Sighting, Sighting)> {
    let mut ends: Vec<&Sighting> = sightings.iter().collect();
    ends.sort_by_key(|s| s.ret);
    let mut begins: Vec<&Sighting> = sightings.iter().collect();
    begins.sort_by_key(|s| s.invoke);
    let (mut ended, mut highest): (usize, Option<&Sighting>) = (0, None);
    for now in begins {
        while let Some(s) = ends.get(ended).filter(|s| s.ret < now.invoke) {
            if highest.is_none_or(|h| s.high > h.high) {
                highest = Some(s);
            }
            ended += 1;
        }
        if let Some(before) = highest.filter(|h| h.high > now.low) {
            return Some((*before, *now));
        }
    }
    None
}

/// Names a record by its place in the history, or the census.
pub fn who(records: &[Record], record: usize) -> String {
    records.get(record).map_or_else(|| "the end of the run".into(), told)
}

/// Stands for the census in [`Sighting::record`].
pub const AT_THE_END: usize = usize::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(invoke: u64, ret: u64, low: u64, high: u64) -> Sighting {
        Sighting { invoke, ret, low, high, record: 0 }
    }

    #[test]
    fn falls_are_found() {
        let a = sighting(0, 10, 5, 6);
        assert_eq!(fall(&[a, sighting(5, 20, 2, 2)]), None, "they overlap");
        assert_eq!(fall(&[a, sighting(11, 20, 6, 6)]), None);
        let b = sighting(11, 20, 5, 5);
        assert_eq!(fall(&[b, a]), Some((a, b)));
        assert_eq!(fall(&[a, sighting(10, 20, 0, 0)]), None, "one ends as the other begins");
    }
}
