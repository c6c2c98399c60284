//! Two accounts, one away: a vacation reply comes back and a copy goes on, though the primary dies right after it has
//! accepted the message.

use std::process::Command;
use std::time::Duration;

use crate::support::cluster::{PASSWORD, Port};
use crate::support::eventually;
use crate::support::managesieve;
use crate::support::scene::Scene;
use crate::support::tools::succeed;

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const ADMIN: &str = "admin@example.com";
const AWAY: &str = "require [\"vacation\", \"copy\"];\nredirect :copy \"admin@example.com\";\n\
    vacation :days 7 :subject \"I am away\" \"Back on Monday.\";\n";

#[test]
fn a_vacation_reply_and_a_redirected_copy_survive_the_death_of_the_primary() {
    let mut scene = Scene::start(ALICE);
    managesieve::activate(scene.port(Port::ManageSieve), ALICE, PASSWORD, "away", AWAY).unwrap();
    send(&scene, "first");
    scene.kill_primary();
    let subjects = |account: &str| subjects(&scene, account);
    eventually("the reply", Duration::from_secs(30), || subjects(BOB).iter().any(|subject| subject == "I am away"));
    eventually("the copy", Duration::from_secs(30), || !subjects(ADMIN).is_empty());
    assert_eq!(subjects(ADMIN), ["first"]);
    assert_eq!(subjects(ALICE), ["first"]);

    // RFC 5230 §4.1: within seven days no second reply; the copy goes on.
    send(&scene, "second");
    eventually("the second copy", Duration::from_secs(30), || subjects(ADMIN).len() >= 2);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(subjects(ADMIN), ["first", "second"]);
    assert_eq!(subjects(ALICE), ["first", "second"]);
    assert_eq!(subjects(BOB), ["I am away"], "one reply");
    the_reply_is_one(&scene);
}

/// RFC 5230 §5: to whom it goes, what it answers, and that nothing answers it.
fn the_reply_is_one(scene: &Scene) {
    let mut imap = scene.cluster.imap(scene.other, BOB);
    imap.select("INBOX").unwrap();
    let reply = imap.bodies().unwrap().into_values().next().unwrap();
    let text = String::from_utf8_lossy(&reply).into_owned();
    let lower = text.to_lowercase();
    for needed in ["auto-submitted: auto-replied", "in-reply-to: <first@away>", "return-path: <>"] {
        assert!(lower.contains(needed), "{needed} is missing: {text}");
    }
    assert!(lower.contains("to: ") && lower.contains(BOB) && lower.contains(ALICE), "{text}");
    assert!(text.contains("Back on Monday."), "{text}");
}

/// Bob writes to Alice with swaks, signed in.
fn send(scene: &Scene, subject: &str) {
    let port = scene.port(Port::Submission).to_string();
    succeed(
        Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &port, "--from", BOB, "--to", ALICE, "--suppress-data"])
            .args(["--auth", "PLAIN", "--auth-user", BOB, "--auth-password", PASSWORD])
            .args([
                "--h-Subject",
                subject,
                "--header",
                &format!("Message-Id: <{subject}@away>"),
                "--body",
                "Are you there?",
            ]),
    );
}

/// The subjects of an account's Inbox, in the order of arrival.
fn subjects(scene: &Scene, account: &str) -> Vec<String> {
    let mut imap = scene.cluster.imap(scene.other, account);
    imap.select("INBOX").unwrap();
    let bodies = imap.bodies().unwrap();
    let subject = |body: &Vec<u8>| {
        let text = String::from_utf8_lossy(body).into_owned();
        let line = text.lines().find(|line| line.to_lowercase().starts_with("subject: ")).map(str::to_owned);
        line.map_or_else(String::new, |line| line["subject: ".len()..].trim().to_owned())
    };
    bodies.values().map(subject).collect()
}
