//! Submitting into outboxes, the reserved mailbox, and what an operator may see and do.

mod common;

use common::*;
use proptest::prelude::*;
use zcluster_api::delivery::*;
use zcluster_api::queue::*;
use zcluster_api::*;
use zcluster_state::{DueOutgoing, Effect, Reply, Table};

fn send(recipients: &[&str]) -> Send {
    let recipients: Vec<String> = recipients.iter().map(ToString::to_string).collect();
    Send { kind: OutgoingKind::Submitted, sender: "s@y".into(), recipients, terms: None, not_before_ms: 0 }
}

fn enqueue(key: u8, sends: Vec<Send>) -> MailboxCommand {
    let content = Content { body: inline(&content(0)), parsed: None };
    MailboxCommand::Enqueue(Box::new(Enqueue { content, sends, delivery_key: DeliveryKey([key; 32]), claim_ms: None }))
}

/// The same, claimed as it is queued.
fn enqueue_claimed(key: u8, sends: Vec<Send>, claim_ms: u64) -> MailboxCommand {
    let MailboxCommand::Enqueue(mut enqueue) = enqueue(key, sends) else { unreachable!() };
    enqueue.claim_ms = Some(claim_ms);
    MailboxCommand::Enqueue(enqueue)
}

fn settlement(number: u64, claim: u64, done: &[&str]) -> Settlement {
    Settlement {
        number,
        claim,
        done: done.iter().map(ToString::to_string).collect(),
        retry_ms: claim + 5_000,
        note: "4.0.0 later".into(),
        contents: vec![],
        outgoing: vec![],
        warned: false,
    }
}

fn placed(mailbox: MailboxId, settlement: Settlement) -> PlacedSettlement {
    PlacedSettlement { mailbox, settlement }
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

#[test]
fn what_is_queued_with_a_claim_is_its_leaders_until_the_claim_ends() {
    let mut rig = rig();
    let later = rig.wall_ms + 9_000;
    let sends = || {
        vec![
            send(&["a@x"]),
            Send { not_before_ms: later, ..send(&["b@y"]) },
            Send { not_before_ms: HELD_MS, ..send(&["c@z"]) },
            send(&["d@v"]),
        ]
    };
    let now = rig.wall_ms;
    let applied = rig.applied(enqueue_claimed(1, sends(), 20_000));
    let claimed = |number| {
        let at = DueOutgoing { mailbox: QUEUE_MAILBOX, epoch: EPOCH, number, due_ms: now + 20_000 };
        Effect::OutboxClaimed(at)
    };
    // One row is not claimed and not yet due: the outbox may have to be looked at.
    assert_eq!(applied.effects, [Effect::OutboxDue(now), claimed(1), claimed(4)]);
    let found = all(&rig);
    let state: Vec<_> = found.iter().map(|e| (e.message.due_ms, e.message.attempts, e.message.held)).collect();
    assert_eq!(state, [(now + 20_000, 1, false), (later, 0, false), (now, 0, true), (now + 20_000, 1, false)]);
    assert_eq!(rig.due(now + 8_999, 10).0, []);
    // Again: nothing is claimed a second time.
    assert_eq!(rig.applied(enqueue_claimed(1, sends(), 20_000)).effects, []);
    let again = rig.last.clone().unwrap();
    assert_eq!(rig.propose(&again).effects, []);
    // An operator may not hasten what is being tried; the claim is given up with the first settlement.
    rig.run(manage(&found[0], QueueAction::Retry)).unwrap();
    assert_eq!(rig.due(now + 8_999, 10).0, []);
    rig.run(MailboxCommand::SettleOutgoings(vec![placed(QUEUE_MAILBOX, settlement(1, now + 20_000, &[]))])).unwrap();
    assert_eq!(all(&rig)[0].message.due_ms, now + 25_000);
    // Nobody came: whoever finds it due when the claim has run out may have it, and that is a new try.
    let (due, _) = rig.due(now + 20_000, 10);
    assert_eq!(due.iter().map(|d| d.number).collect::<Vec<_>>(), [2, 4]);
    rig.wall_ms = now + 20_000;
    let claim = MailboxCommand::ClaimOutgoing { number: 4, due_ms: due[1].due_ms, until_ms: now + 40_000 };
    let Receipt::Claimed(Some(message)) = rig.run(claim).unwrap() else { panic!() };
    assert_eq!(message.attempts, 2);
    for bad in [0, CLAIM_MS_MAX + 1] {
        assert!(matches!(rig.run(enqueue_claimed(2, vec![send(&["a@x"])], bad)), Err(Error::Invalid(_))));
    }
    let all_claimed = rig.applied(enqueue_claimed(3, vec![send(&["a@x"])], 7)).effects;
    assert_eq!(all_claimed[0], Effect::OutboxDue(now + 20_000 + 3 + 7), "due again when the claim ends");
    rig.assert_replicas_agree();
}

#[test]
fn claims_together_are_each_its_own() {
    // The reserved mailbox was never used: what is in the others is none the less to be sent.
    let mut rig = Rig::new();
    for key in 1..=4 {
        rig.run(enqueue(key, vec![send(&["a@x"])])).unwrap();
    }
    let (due, _) = rig.due(rig.wall_ms, 10);
    let claim = |n: usize| OutgoingClaim {
        place: QueuePlace { mailbox: due[n].mailbox, number: due[n].number },
        due_ms: due[n].due_ms,
    };
    let until_ms = rig.wall_ms + 20_000;
    let claims = |claims| MailboxCommand::ClaimOutgoings { claims, until_ms };
    let denied = claims(vec![claim(0)]);
    assert!(matches!(rig.run(denied), Err(Error::Denied(_))), "by another mailbox");
    rig.mailbox = QUEUE_MAILBOX;
    let strange = OutgoingClaim { place: QueuePlace { mailbox: MailboxId(99), number: 1 }, due_ms: 1 };
    let gone = OutgoingClaim { place: QueuePlace { mailbox: BOX, number: 77 }, due_ms: 1 };
    let late = OutgoingClaim { due_ms: claim(3).due_ms - 1, ..claim(3) };
    let command = claims(vec![claim(2), strange, claim(0), gone, late, claim(2)]);
    assert_eq!(rig.run(command), Ok(Receipt::ClaimedSome(vec![due[0].number, due[2].number])));
    // A retry of the same request is told the same; another one has nothing of it.
    let again = rig.last.clone().unwrap();
    let repeated = rig.propose(&again);
    assert!(repeated.repeated);
    assert_eq!(repeated.reply, Reply::Mailbox(Ok(Receipt::ClaimedSome(vec![due[0].number, due[2].number]))));
    assert_eq!(rig.run(claims(vec![claim(0), claim(2)])), Ok(Receipt::ClaimedSome(vec![])));
    let (left, _) = rig.due(rig.wall_ms, 10);
    assert_eq!(left.iter().map(|d| d.number).collect::<Vec<_>>(), [due[1].number, due[3].number]);
    // None or all where the command itself is wrong.
    let before = rig.state();
    let ended = MailboxCommand::ClaimOutgoings { claims: vec![claim(1)], until_ms: claim(1).due_ms };
    assert!(matches!(rig.run(ended), Err(Error::Invalid(_))));
    let many = claims(vec![claim(1); CLAIMS_PER_COMMAND_MAX + 1]);
    assert!(matches!(rig.run(many), Err(Error::TooLarge(_))));
    assert_eq!(rig.state(), before);
    rig.assert_replicas_agree();
}

#[test]
fn settlements_together_are_each_its_own_and_may_be_repeated() {
    let mut rig = rig();
    rig.run(enqueue(1, vec![send(&["a@x", "b@x"]), send(&["c@y"])])).unwrap();
    rig.mailbox = BOX;
    rig.run(enqueue(2, vec![send(&["d@z"])])).unwrap();
    let denied = MailboxCommand::SettleOutgoings(vec![placed(BOX, settlement(3, 0, &["d@z"]))]);
    assert!(matches!(rig.run(denied), Err(Error::Denied(_))));
    rig.mailbox = QUEUE_MAILBOX;
    let due_ms = all(&rig)[1].message.due_ms;
    let before = rig.state();
    let report = Settlement {
        contents: vec![Content { body: inline(&content(1)), parsed: None }],
        outgoing: vec![NewOutgoing {
            content: 0,
            kind: OutgoingKind::Report,
            sender: String::new(),
            recipients: vec!["s@y".into()],
            once: None,
        }],
        ..settlement(1, due_ms, &["a@x"])
    };
    let reported = MailboxCommand::SettleOutgoings(vec![placed(BOX, settlement(3, 0, &["d@z"])), placed(BOX, report)]);
    assert!(matches!(rig.run(reported), Err(Error::Invalid(_))), "reports go alone");
    let one = placed(QUEUE_MAILBOX, settlement(1, due_ms, &["a@x"]));
    let many = MailboxCommand::SettleOutgoings(vec![one.clone(); SETTLEMENTS_PER_COMMAND_MAX + 1]);
    assert!(matches!(rig.run(many), Err(Error::TooLarge(_))));
    assert_eq!(rig.state(), before, "a wrong one settles nothing");

    let command = MailboxCommand::SettleOutgoings(vec![
        one,
        placed(MailboxId(99), settlement(1, due_ms, &["a@x"])),
        placed(QUEUE_MAILBOX, settlement(77, due_ms, &["a@x"])),
        placed(QUEUE_MAILBOX, settlement(2, due_ms, &["c@y"])),
        placed(BOX, settlement(3, 0, &["d@z"])),
    ]);
    let applied = rig.applied(command.clone());
    assert_eq!(applied.reply, Reply::Mailbox(Ok(Receipt::Done)));
    assert_eq!((applied.effects, applied.changed), (vec![Effect::OutboxDue(5_000)], vec![]));
    let left: Vec<_> = all(&rig).into_iter().map(|e| (e.message.recipients, e.message.due_ms)).collect();
    assert_eq!(left, [(vec!["b@x".to_string()], due_ms + 5_000)]);
    assert_eq!((rig.count(Table::Outgoing), rig.count(Table::OutgoingDue)), (1, 1));
    // No reply is kept, and none is needed.
    let (after, replies) = (rig.state(), rig.count(Table::Reply));
    let again = rig.last.clone().unwrap();
    assert!(!rig.propose(&again).repeated);
    assert_eq!(rig.run(command), Ok(Receipt::Done));
    assert_eq!((rig.state(), rig.count(Table::Reply)), (after, replies));
    rig.assert_replicas_agree();
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

    /// Many settlements in one command leave what as many commands leave, whatever is settled twice, late, or unknown.
    #[test]
    fn together_or_one_by_one(
        rows in prop::collection::vec((any::<bool>(), 1usize..4), 1..12),
        tries in prop::collection::vec((0u64..14, 0usize..4, any::<bool>()), 0..30),
    ) {
        let filled = || {
            let mut rig = rig();
            for (n, (own, recipients)) in rows.iter().enumerate() {
                rig.mailbox = if *own { BOX } else { QUEUE_MAILBOX };
                let names: Vec<String> = (0..*recipients).map(|r| format!("{r}@x")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                rig.run(enqueue_claimed(n as u8, vec![send(&names)], 20_000)).unwrap();
            }
            rig.mailbox = QUEUE_MAILBOX;
            rig
        };
        let (mut together, mut single) = (filled(), filled());
        let claims: Vec<u64> = all(&together).iter().map(|e| e.message.due_ms).collect();
        let mut settlements = Vec::new();
        for (number, done, is_own) in tries {
            let mailbox = if rows.get(number as usize).is_some_and(|(own, _)| *own) { BOX } else { QUEUE_MAILBOX };
            let claim = if is_own { claims.get(number as usize).copied().unwrap_or(0) } else { 1 };
            let done: Vec<String> = (0..done).map(|r| format!("{r}@x")).collect();
            let done: Vec<&str> = done.iter().map(String::as_str).collect();
            settlements.push(placed(mailbox, settlement(number + 1, claim, &done)));
        }
        together.run(MailboxCommand::SettleOutgoings(settlements.clone())).unwrap();
        for PlacedSettlement { mailbox, settlement } in settlements {
            single.mailbox = mailbox;
            single.run(MailboxCommand::SettleOutgoing(Box::new(settlement))).unwrap();
        }
        prop_assert_eq!(together.state(), single.state());
        together.assert_replicas_agree();
    }
}
