//! Submitting into outboxes, the reserved mailbox, and what an operator may see and do.

mod common;

use common::*;
use proptest::prelude::*;
use zcluster_api::delivery::*;
use zcluster_api::queue::*;
use zcluster_api::*;
use zcluster_state::Table;

fn send(recipients: &[&str]) -> Send {
    let recipients: Vec<String> = recipients.iter().map(ToString::to_string).collect();
    Send { kind: OutgoingKind::Submitted, sender: "s@y".into(), recipients, terms: None, not_before_ms: 0 }
}

fn enqueue(key: u8, sends: Vec<Send>) -> MailboxCommand {
    let content = Content { body: inline(&content(0)), parsed: None };
    MailboxCommand::Enqueue(Box::new(Enqueue { content, sends, delivery_key: DeliveryKey([key; 32]) }))
}

/// A rig that speaks to the reserved mailbox, and one user's mailbox beside it.
fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.mailbox = QUEUE_MAILBOX;
    assert_eq!(rig.run(MailboxCommand::CreateMailbox), Ok(Receipt::Done));
    rig
}

fn page(rig: &Rig, query: QueueQuery) -> QueuePage {
    match rig.ask(MailboxQuery::Queue(query)) {
        Ok(MailboxReply::Queue(page)) => page,
        other => panic!("{other:?}"),
    }
}

fn all(rig: &Rig) -> Vec<QueueEntry> {
    page(rig, QueueQuery { limit: 500, ..QueueQuery::default() }).entries
}

fn manage(entry: &QueueEntry, action: QueueAction) -> MailboxCommand {
    let place = QueuePlace { mailbox: entry.mailbox, number: entry.message.number };
    MailboxCommand::ManageOutgoing { place, action }
}

#[test]
fn a_key_queues_once_and_each_row_keeps_what_was_asked() {
    let mut rig = rig();
    let asked = RecipientTerms { address: "a@x".into(), orcpt: Some("rfc822;o@x".into()), notify: Some(Notify::NEVER) };
    let terms = Terms { envid: Some("e".into()), require_tls: true, recipients: vec![asked], ..Terms::default() };
    let rows = || vec![Send { terms: Some(terms.clone()), ..send(&["a@x", "b@x"]) }, send(&["c@z"])];
    assert_eq!(rig.run(enqueue(1, rows())), Ok(Receipt::Enqueued { duplicate: false }));
    assert_eq!(rig.run(enqueue(1, rows())), Ok(Receipt::Enqueued { duplicate: true }));
    let found = all(&rig);
    assert_eq!((found.len(), found[0].message.terms.as_deref()), (2, Some(&terms)));
    assert_eq!((rig.count(Table::Blob), rig.count(Table::Body)), (1, 1), "one body for both");
    assert_eq!(rig.run(enqueue(2, vec![])), Err(Error::Invalid("nothing to send".into())));
    let stranger = Terms { recipients: vec![RecipientTerms::default()], ..Terms::default() };
    let bad = enqueue(2, vec![Send { terms: Some(stranger), ..send(&["a@x"]) }]);
    assert!(matches!(rig.run(bad), Err(Error::Invalid(_))));
    rig.assert_replicas_agree();
}

#[test]
fn what_is_to_wait_waits() {
    let mut rig = rig();
    let later = rig.wall_ms + 1_000;
    rig.run(enqueue(1, vec![Send { not_before_ms: later, ..send(&["a@x"]) }])).unwrap();
    assert_eq!(rig.due(rig.wall_ms, 10), (vec![], Some(later)));
    let entry = all(&rig).remove(0);
    rig.run(manage(&entry, QueueAction::Hold)).unwrap();
    assert_eq!(rig.due(later + 1, 10), (vec![], None));
    rig.run(manage(&entry, QueueAction::Retry)).unwrap();
    assert_eq!(rig.due(later + 1, 10).0.len(), 0, "still held");
    assert!(all(&rig)[0].message.held);
    rig.run(manage(&entry, QueueAction::Release)).unwrap();
    let (due, _) = rig.due(rig.wall_ms, 10);
    assert_eq!(due.len(), 1);
    // Claimed, it is somebody's: no second try beside it; removed, it is removed.
    let (number, due_ms) = (due[0].number, due[0].due_ms);
    rig.run(MailboxCommand::ClaimOutgoing { number, due_ms, until_ms: due_ms + 60_000 }).unwrap();
    rig.run(manage(&entry, QueueAction::Retry)).unwrap();
    assert_eq!(rig.due(rig.wall_ms, 10).0.len(), 0);
    rig.run(manage(&entry, QueueAction::Delete)).unwrap();
    assert!(matches!(rig.run(manage(&entry, QueueAction::Delete)), Err(Error::NotFound(_))));
    assert_eq!((rig.count(Table::Outgoing), rig.count(Table::OutgoingDue), rig.count(Table::Blob)), (0, 0, 0));
    rig.assert_replicas_agree();
}

#[test]
fn the_whole_shard_is_seen_through_its_queue_account_only() {
    let mut rig = rig();
    rig.run(enqueue(1, vec![send(&["a@One.example", "b@one.example"]), send(&["c@two.example"])])).unwrap();
    rig.mailbox = BOX;
    rig.run(enqueue(2, vec![Send { sender: String::new(), ..send(&["d@two.example"]) }])).unwrap();
    let place = QueuePlace { mailbox: QUEUE_MAILBOX, number: 1 };
    let denied = MailboxCommand::ManageOutgoing { place, action: QueueAction::Delete };
    assert!(matches!(rig.run(denied), Err(Error::Denied(_))));
    assert!(matches!(rig.ask(MailboxQuery::Queue(QueueQuery::default())), Err(Error::Denied(_))));
    assert!(matches!(rig.ask(MailboxQuery::QueueSummary(None)), Err(Error::Denied(_))));
    rig.mailbox = QUEUE_MAILBOX;
    assert_eq!(all(&rig).len(), 3);
    let by = |filter: QueueFilter| page(&rig, QueueQuery { filter, limit: 9, ..QueueQuery::default() }).entries.len();
    let domain = |d: &str| QueueFilter { domain: Some(d.into()), ..QueueFilter::default() };
    assert_eq!((by(domain("TWO.example")), by(domain("one.example")), by(domain("example"))), (2, 1, 0));
    assert_eq!(by(QueueFilter { sender: Some(String::new()), ..QueueFilter::default() }), 1);
    assert_eq!(by(QueueFilter { number: Some(2), ..QueueFilter::default() }), 1);
    let Ok(MailboxReply::QueueSummary(summary)) = rig.ask(MailboxQuery::QueueSummary(None)) else { panic!() };
    let counts: Vec<_> = summary.counts.iter().map(|c| (c.domain.as_str(), c.messages, c.recipients)).collect();
    assert_eq!(counts, [("one.example", 1, 2), ("two.example", 2, 2)]);
    // Of another mailbox of the shard.
    let other = all(&rig).into_iter().find(|e| e.mailbox == BOX).unwrap();
    rig.run(manage(&other, QueueAction::Delete)).unwrap();
    assert_eq!(all(&rig).len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn pages_together_are_the_queue(rows in prop::collection::vec(0u8..3, 1..40), limit in 1u32..7) {
        let mut rig = rig();
        for (n, kind) in rows.iter().enumerate() {
            rig.mailbox = if kind % 2 == 0 { BOX } else { QUEUE_MAILBOX };
            rig.run(enqueue(n as u8, vec![send(&["a@x"])])).unwrap();
        }
        rig.mailbox = QUEUE_MAILBOX;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let next = page(&rig, QueueQuery { after, limit, ..QueueQuery::default() });
            prop_assert!(next.entries.len() <= limit as usize);
            seen.extend(next.entries);
            match next.next {
                Some(place) => after = Some(place),
                None => break,
            }
        }
        prop_assert_eq!(seen, all(&rig));
        prop_assert_eq!(rig.count(Table::Outgoing), rows.len());
    }
}
