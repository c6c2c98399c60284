//! curl appends, searches and sends while the mailbox's primary dies.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::cluster::{Port, path};
use crate::support::eventually;
use crate::support::mail::{message, unique};
use crate::support::scene::{Scene, must_be_exactly};
use crate::support::tools::succeed;

const ALICE: &str = "alice@example.com";
const UPLOADS: usize = 30;

#[test]
fn curl_appends_sends_and_searches_through_a_failover() {
    let mut scene = Scene::start(ALICE);
    scene.imap().must("CREATE Uploads").unwrap();
    let home = scene.home("curl");
    let login = scene.login();
    let imap = format!("imap://127.0.0.1:{}", scene.port(Port::Imap));
    let smtp = format!("smtp://127.0.0.1:{}", scene.port(Port::Smtp));
    let done = Arc::new(AtomicUsize::new(0));
    let (counted, appending, signed) = (done.clone(), imap.clone(), login.clone());
    let running = std::thread::spawn(move || {
        let (mut appended, mut sent) = (Vec::new(), Vec::new());
        for _ in 0..UPLOADS {
            let (one, two) = (unique("curl"), unique("smtp"));
            let file = home.join("message");
            std::fs::write(&file, message(&one, 4_000)).unwrap();
            succeed(curl(&signed).args(["-T", path(&file), &format!("{appending}/Uploads")]));
            std::fs::write(&file, message(&two, 4_000)).unwrap();
            let envelope = ["--mail-from", "sender@example.org", "--mail-rcpt", ALICE];
            succeed(
                Command::new("curl").args(["-sS", "--max-time", "45", &smtp]).args(envelope).args(["-T", path(&file)]),
            );
            appended.push(one);
            sent.push(two);
            counted.fetch_add(1, Ordering::Relaxed);
        }
        (appended, sent)
    });
    scene.fail_over_when(&running, || done.load(Ordering::Relaxed) >= UPLOADS / 3);
    let (appended, sent) = running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    must_be_exactly("what curl appended", &scene.ids("Uploads"), &appended);
    eventually("mail arrives", Duration::from_secs(20), || scene.ids("INBOX").len() >= sent.len());
    must_be_exactly("what curl sent", &scene.ids("INBOX"), &sent);

    let found = succeed(curl(&login).arg(format!("{imap}/Uploads?HEADER%20Message-ID%20{}@ledger", appended[7])));
    assert_eq!(String::from_utf8_lossy(&found).trim_end(), "* SEARCH 8");
    let sorted = succeed(curl(&login).args([&format!("{imap}/Uploads"), "-X", "SORT (REVERSE ARRIVAL) UTF-8 1:3"]));
    assert_eq!(String::from_utf8_lossy(&sorted).trim_end(), "* SORT 3 2 1");
    let listed = String::from_utf8(succeed(curl(&login).arg(format!("{imap}/")))).unwrap();
    assert!(listed.contains("Uploads"), "{listed}");
    let pop = format!("pop3://127.0.0.1:{}/", scene.port(Port::Pop3));
    let listed = String::from_utf8(succeed(curl(&login).arg(&pop))).unwrap();
    assert_eq!(listed.trim_end().lines().count(), sent.len(), "{listed}");
}

fn curl(login: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "45", "--user", login]);
    command
}
