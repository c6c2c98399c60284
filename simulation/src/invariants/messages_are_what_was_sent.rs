//! Nothing is in a mailbox that nobody put there, and what is there is byte for byte what was sent, after the trace fields
//! of a delivery (RFC 5321 §4.4; DESIGN: bodies are named by their content).

use super::census::Census;
use super::story::{account_of, may_have_happened};
use super::{Check, broken};
use crate::clients::Catalogue;
use crate::history::{Record, What};

const PROMISE: &str = "messages_are_what_was_sent";

/// Compares all messages on all replicas.
///
/// # Errors
/// One is not what was sent, or was never sent.
pub fn check(census: &Census, records: &[Record], catalogue: &Catalogue) -> Check {
    for ((account, node), mailbox) in &census.mailboxes {
        let Ok(mailbox) = mailbox else { continue };
        for (place, contents, kept) in mailbox.all() {
            let at = || format!("node {node}, u{account}, {} UID {}", contents.folder.path, kept.row.uid);
            let Ok(body) = &kept.body else { continue };
            let Some(id) = kept.id else { return broken(PROMISE, format!("{}: no message of ours", at())) };
            if place.is_none() {
                return broken(PROMISE, format!("{}: nobody puts mail there", at()));
            }
            if !records.iter().any(|r| account_of(&r.what) == Some(*account) && may_have_happened(r) && sends(r, id)) {
                return broken(PROMISE, format!("{}: nobody sent m{id} to this account", at()));
            }
            if let Some(fault) = catalogue.fault_in(id, body) {
                return broken(PROMISE, format!("{}: {fault}", at()));
            }
        }
    }
    Ok(())
}

fn sends(record: &Record, id: u32) -> bool {
    matches!(record.what, What::Deliver { message, .. } | What::Append { message, .. } if message == id)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::{Outcome, Refusal};
    use crate::plan::{ClientKind, ClientPlan, Op, TimedOp};

    #[test]
    fn strangers_and_damage_are_seen() {
        let op = TimedOp { wait_ms: 0, id: 5, op: Op::Append { folder: 0, bytes: 100 } };
        let catalogue = Catalogue::of(&[ClientPlan { kind: ClientKind::Imap { account: 0 }, ops: vec![op] }]);
        let there = census(vec![contents(0, vec![kept(1, 5)])]);
        let text = |records: &[Record]| check(&there, records, &catalogue).unwrap_err().text;
        assert!(text(&[]).contains("nobody sent"));
        let mut refused = append((0, 10), 0, 5, 1);
        refused.outcome = Outcome::Failed(Refusal::NotFound);
        assert!(text(&[refused]).contains("nobody sent"));
        assert!(text(&[append((0, 10), 0, 5, 1)]).contains("not what was sent"));
    }
}
