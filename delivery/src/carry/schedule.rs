//! When to try again, when to give up, and whom to tell.

use super::report::report;
use super::{Failure, Results};
use std::time::Duration;
use zcluster_api::delivery::{NewOutgoing, OutgoingKind};
use zcluster_api::{Carried, Letter};

/// A message that has waited so long comes back (RFC 5321 §4.5.4.1: at least four to five days).
const KEPT_MS: u64 = 5 * 24 * 60 * 60 * 1000;
/// Vacation replies and notifications are worth nothing when they are old.
const KEPT_AUTOMATIC_MS: u64 = 24 * 60 * 60 * 1000;
/// Waits between tries, seconds; the last one goes on.
const WAITS: [u64; 8] = [60, 5 * 60, 15 * 60, 30 * 60, 3600, 2 * 3600, 3 * 3600, 4 * 3600];

/// What a try's results mean for the letter.
pub(super) fn settle(letter: &Letter, results: Results, now_ms: u64, hostname: &str) -> Carried {
    let message = &letter.message;
    let automatic = matches!(message.kind, OutgoingKind::Vacation | OutgoingKind::Notify);
    let kept_ms = if automatic { KEPT_AUTOMATIC_MS } else { KEPT_MS };
    let too_old = now_ms.saturating_sub(message.queued_ms) >= kept_ms;
    let mut out = Carried { retry_after: wait(message.attempts), ..Carried::default() };
    let mut failed: Vec<(String, Failure)> = Vec::new();
    for (recipient, result) in results {
        match result {
            Ok(()) => out.done.push(recipient),
            Err(failure) if failure.permanent || too_old => {
                out.done.push(recipient.clone());
                failed.push((recipient, failure));
            }
            Err(failure) => out.note = format!("{} {}", failure.status, failure.text),
        }
    }
    // RFC 5321 §4.5.5, §6.1: nobody is told of what has no sender.
    if !failed.is_empty() && !message.sender.is_empty() {
        let raw = report(letter, &failed, now_ms, hostname);
        let body = zcluster_mail::prepare(&raw.into());
        let recipients = vec![message.sender.clone()];
        let kind = OutgoingKind::Report;
        out.reports.push((body, NewOutgoing { content: 0, kind, sender: String::new(), recipients, once: None }));
    }
    out
}

/// By tries begun, this one included.
fn wait(attempts: u32) -> Duration {
    let at = (attempts.saturating_sub(1) as usize).min(WAITS.len() - 1);
    Duration::from_secs(WAITS[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::delivery::Outgoing;
    use zcluster_api::{BlobId, BlobRef, Bytes, Codec, GroupId, Place};

    fn letter(sender: &str, attempts: u32) -> Letter {
        let place = Place::Shard { codec: Codec::Plain, stored: 1, chunks: 1 };
        let message = Outgoing {
            number: 7,
            kind: OutgoingKind::Redirect,
            queued_ms: 1_000,
            due_ms: 1_000,
            attempts,
            sender: sender.into(),
            recipients: vec!["a@x".into(), "b@x".into()],
            blob: BlobRef { id: BlobId([0; 32]), size: 1, place, at: None },
            note: String::new(),
        };
        Letter { group: GroupId(3), message, raw: Bytes::from_static(b"Subject: s\r\n\r\nbody\r\n") }
    }

    #[test]
    fn what_failed_for_now_is_tried_again() {
        let results = vec![("a@x".into(), Ok(())), ("b@x".into(), Err(Failure::temporary("4.2.2", "full")))];
        let carried = settle(&letter("s@y", 1), results.clone(), 2_000, "h");
        assert_eq!((carried.done, carried.note.as_str()), (vec!["a@x".to_string()], "4.2.2 full"));
        assert_eq!((carried.retry_after.as_secs(), carried.reports.len()), (60, 0));
        assert_eq!(settle(&letter("s@y", 99), results.clone(), 2_000, "h").retry_after.as_secs(), 4 * 3600);
        let late = settle(&letter("s@y", 9), results, 1_000 + KEPT_MS, "h");
        assert_eq!((late.done.len(), late.reports.len()), (2, 1), "given up, and told");
    }

    #[test]
    fn nobody_is_told_of_a_report() {
        let results = vec![("a@x".into(), Err(Failure::permanent("5.1.1", "no such user")))];
        assert_eq!(settle(&letter("", 1), results.clone(), 2_000, "h").reports.len(), 0);
        let told = settle(&letter("s@y", 1), results, 2_000, "h");
        assert_eq!(told.reports[0].1.recipients, ["s@y"]);
        assert_eq!(told.reports[0].1.sender, "");
    }
}
