//! When to try again, when to give up, and whom to tell.

use super::report::{self, Event, What};
use super::site::Times;
use super::{Failure, Results};
use std::time::Duration;
use zcluster_api::delivery::{NewOutgoing, Outgoing, OutgoingKind};
use zcluster_api::queue::Notify;
use zcluster_api::{Carried, Letter};

/// Vacation replies and notifications are worth nothing when they are old.
const KEPT_AUTOMATIC_MS: u64 = 24 * 60 * 60 * 1000;
/// Where only this cluster's own state was in the way: the shortest wait, milliseconds.
const NEAR_MS: u64 = 10_000;

/// What a try's results mean for the letter.
pub(super) fn settle(letter: &Letter, results: Results, now_ms: u64, times: &Times, hostname: &str) -> Carried {
    let message = &letter.message;
    let age = now_ms.saturating_sub(message.queued_ms);
    let too_old = age >= lifetime(message, times);
    let late = times.warn_after > 0 && age >= times.warn_after && !message.warned;
    let mut out = Carried::default();
    let (mut events, mut near) = (Vec::new(), true);
    for (recipient, result) in results {
        let wants = |what| wants(message, &recipient, what);
        match result {
            Ok(taken) => {
                if wants(Notify::SUCCESS) && !taken.reports {
                    let what = if taken.host.is_some() { What::Relayed(taken) } else { What::Delivered };
                    events.push(Event { recipient: recipient.clone(), what });
                }
                out.done.push(recipient);
            }
            Err(failure) if failure.permanent || too_old => {
                if wants(Notify::FAILURE) {
                    events.push(Event { recipient: recipient.clone(), what: What::Failed(failure) });
                }
                out.done.push(recipient);
            }
            Err(failure) => {
                out.note = note(&failure);
                near &= failure.near;
                if late && wants(Notify::DELAY) {
                    out.warned = true;
                    events.push(Event { recipient, what: What::Delayed(failure) });
                }
            }
        }
    }
    out.retry_after = wait(age, near, times);
    // RFC 5321 §4.5.5, §6.1: nobody is told of what has no sender.
    if !events.is_empty() && !message.sender.is_empty() {
        let until_ms = message.queued_ms.saturating_add(lifetime(message, times));
        let raw = report::report(letter, &events, (now_ms, until_ms), hostname);
        let body = zcluster_mail::prepare(&raw.into());
        let recipients = vec![message.sender.clone()];
        let kind = OutgoingKind::Report;
        out.reports.push((body, NewOutgoing { content: 0, kind, sender: String::new(), recipients, once: None }));
    }
    out
}

fn note(failure: &Failure) -> String {
    match &failure.host {
        Some(host) => format!("{} {host}: {}", failure.status, failure.text),
        None => format!("{} {}", failure.status, failure.text),
    }
}

fn lifetime(message: &Outgoing, times: &Times) -> u64 {
    match message.kind {
        OutgoingKind::Vacation | OutgoingKind::Notify => KEPT_AUTOMATIC_MS.min(times.lifetime),
        _ if message.sender.is_empty() => times.bounce_lifetime,
        _ => times.lifetime,
    }
}

/// Whether the sender wants to hear. Who asked for nothing hears of failures and delays (RFC 3461 §4.1).
fn wants(message: &Outgoing, recipient: &str, what: Notify) -> bool {
    let asked = message.terms.as_ref().and_then(|t| t.of(recipient)).and_then(|r| r.notify);
    asked.unwrap_or(Notify::FAILURE.with(Notify::DELAY)).contains(what)
}

/// As Postfix: so long as it has waited already, within bounds.
fn wait(age: u64, near: bool, times: &Times) -> Duration {
    let least = if near { NEAR_MS.min(times.backoff_min) } else { times.backoff_min };
    Duration::from_millis(age.clamp(least, times.backoff_max))
}

#[cfg(test)]
mod tests {
    use super::super::Taken;
    use super::*;
    use zcluster_api::directory::Attributes;
    use zcluster_api::queue::{RecipientTerms, Terms};
    use zcluster_api::{BlobId, BlobRef, Bytes, Codec, GroupId, Place};

    const HOUR: u64 = 3_600_000;

    fn letter(sender: &str, notify: Option<Notify>) -> Letter {
        let place = Place::Shard { codec: Codec::Plain, stored: 1, chunks: 1 };
        let asked = RecipientTerms { address: "a@x".into(), orcpt: None, notify };
        let message = Outgoing {
            number: 7,
            kind: OutgoingKind::Submitted,
            queued_ms: 1_000,
            due_ms: 1_000,
            attempts: 1,
            sender: sender.into(),
            recipients: vec!["a@x".into(), "b@x".into()],
            blob: BlobRef { id: BlobId([0; 32]), size: 1, place, at: None },
            note: String::new(),
            terms: Some(Box::new(Terms { recipients: vec![asked], ..Terms::default() })),
            held: false,
            warned: false,
        };
        Letter { group: GroupId(3), message, raw: Bytes::from_static(b"Subject: s\r\n\r\nbody\r\n") }
    }

    fn settled(letter: &Letter, results: Results, now_ms: u64) -> Carried {
        settle(letter, results, now_ms, &Times::of(&Attributes::new()), "h")
    }

    #[test]
    fn what_failed_for_now_is_tried_again() {
        let results =
            vec![("a@x".into(), Ok(Taken::default())), ("b@x".into(), Err(Failure::temporary("4.2.2", "full")))];
        let carried = settled(&letter("s@y", None), results.clone(), 2_000);
        assert_eq!((carried.done, carried.note.as_str()), (vec!["a@x".to_string()], "4.2.2 full"));
        assert_eq!((carried.retry_after.as_secs(), carried.reports.len()), (300, 0));
        let later = settled(&letter("s@y", None), results.clone(), 1_000 + HOUR);
        assert_eq!((later.retry_after.as_secs(), later.reports.len()), (3_600, 0));
        let warned = settled(&letter("s@y", None), results.clone(), 1_000 + 4 * HOUR);
        assert_eq!((warned.retry_after.as_secs(), warned.reports.len(), warned.warned), (4_000, 1, true));
        let mut told = letter("s@y", None);
        told.message.warned = true;
        assert_eq!(settled(&told, results.clone(), 1_000 + 9 * HOUR).reports.len(), 0, "once");
        let late = settled(&letter("s@y", None), results, 1_000 + 120 * HOUR);
        assert_eq!((late.done.len(), late.reports.len()), (2, 1), "given up, and told");
    }

    #[test]
    fn what_is_in_the_way_here_is_tried_again_soon() {
        let results = vec![("a@x".into(), Err(Failure::near("4.3.0", "a shard has no leader")))];
        assert_eq!(settled(&letter("s@y", None), results, 2_000).retry_after.as_secs(), 10);
    }

    #[test]
    fn senders_hear_what_they_asked_for() {
        let failed = |notify| {
            let results = vec![("a@x".into(), Err(Failure::permanent("5.1.1", "no such user")))];
            settled(&letter("s@y", notify), results, 2_000).reports.len()
        };
        assert_eq!((failed(None), failed(Some(Notify::FAILURE)), failed(Some(Notify::NEVER))), (1, 1, 0));
        let sent =
            |notify, taken| settled(&letter("s@y", notify), vec![("a@x".into(), Ok(taken))], 2_000).reports.len();
        let relayed = Taken { host: Some("mx".into()), ..Taken::default() };
        assert_eq!((sent(None, Taken::default()), sent(Some(Notify::SUCCESS), Taken::default())), (0, 1));
        assert_eq!(sent(Some(Notify::SUCCESS), relayed.clone()), 1);
        assert_eq!(sent(Some(Notify::SUCCESS), Taken { reports: true, ..relayed }), 0, "the next host will tell");
    }

    #[test]
    fn nobody_is_told_of_a_report() {
        let results = vec![("a@x".into(), Err(Failure::permanent("5.1.1", "no such user")))];
        assert_eq!(settled(&letter("", None), results.clone(), 2_000).reports.len(), 0);
        let told = settled(&letter("s@y", None), results, 2_000);
        assert_eq!(told.reports[0].1.recipients, ["s@y"]);
        assert_eq!(told.reports[0].1.sender, "");
    }
}
