//! sieve-connect manages scripts while the mailbox's primary dies; mail is then filed by them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::cluster::{PASSWORD, Port, path};
use crate::support::eventually;
use crate::support::mail::{message, unique};
use crate::support::scene::{Scene, must_be_exactly};
use crate::support::smtp::{Delivery, Smtp};
use crate::support::tools::finish;

const BOB: &str = "bob@example.com";
const FILING: &str = "require [\"fileinto\", \"mailbox\", \"imap4flags\"];\n\
    if header :contains \"Subject\" \"filed\" {\n  addflag \"\\\\Flagged\";\n  fileinto :create \"By Sieve\";\n}\n";
/// Runs into an error with every message: what it includes is not there (RFC 6609 §3.2).
const FAILING: &str = "require [\"include\", \"fileinto\"];\ninclude :personal \"not there\";\ndiscard;\n";
const WRONG: &str = "require \"fileinto\";\nfileinto 42;\n";

#[test]
fn sieve_connect_puts_scripts_in_force_through_a_failover() {
    let mut scene = Scene::start(BOB);
    let home = scene.home("sieve");
    fs::write(home.join("password"), format!("{PASSWORD}\n")).unwrap();
    for (name, script) in [("filing", FILING), ("failing", FAILING), ("wrong", WRONG)] {
        fs::write(home.join(name), script).unwrap();
    }
    let run = |scene: &Scene, action: &str| sieve_connect(scene, &home, action);
    good(&run(&scene, "--upload --localsieve filing --remotesieve filing"));
    // In force before its primary has a successor.
    scene.kill_primary();
    good(&run(&scene, "--activate --remotesieve filing"));
    let listed = good(&run(&scene, "--list"));
    assert!(listed.contains("filing") && listed.contains("ACTIVE"), "{listed}");
    good(&run(&scene, "--download --remotesieve filing --localsieve downloaded"));
    assert_eq!(fs::read_to_string(home.join("downloaded")).unwrap().replace("\r\n", "\n"), FILING);

    let (filed, other) = (deliver(&scene, "filed"), deliver(&scene, "other"));
    eventually("mail is filed", Duration::from_secs(10), || !scene.ids("INBOX").is_empty());
    must_be_exactly("filed by the script", &scene.ids("By Sieve"), &[filed]);
    must_be_exactly("left in the Inbox", &scene.ids("INBOX"), std::slice::from_ref(&other));
    let mut imap = scene.imap();
    imap.select("By Sieve").unwrap();
    assert_eq!(imap.flags(1).unwrap(), ["\\Flagged"]);

    let refused = run(&scene, "--upload --localsieve wrong --remotesieve wrong");
    let said = said(&refused);
    assert!(said.contains("line 2") || said.contains("2:"), "a script that is wrong is refused with its line: {said}");
    assert!(!good(&run(&scene, "--list")).contains("wrong"), "and is not stored");

    good(&run(&scene, "--upload --localsieve failing --remotesieve failing"));
    good(&run(&scene, "--activate --remotesieve failing"));
    let kept = deliver(&scene, "filed");
    let inbox = scene.ids("INBOX");
    assert_eq!(inbox.get(&kept), Some(&1), "a script that fails keeps the mail: {inbox:?}");
    assert!(inbox.len() >= 2);

    good(&run(&scene, "--deactivate"));
    assert!(!good(&run(&scene, "--list")).contains("ACTIVE"));
    good(&run(&scene, "--delete --remotesieve filing"));
    assert!(!good(&run(&scene, "--list")).contains("filing"));
}

fn deliver(scene: &Scene, prefix: &str) -> String {
    let id = unique(prefix);
    let mut lmtp = Smtp::lmtp(scene.port(Port::Lmtp)).unwrap();
    assert_eq!(lmtp.deliver(BOB, &message(&id, 1_000)), Delivery::Acknowledged);
    id
}

fn sieve_connect(scene: &Scene, home: &Path, action: &str) -> Output {
    let port = scene.port(Port::ManageSieve);
    let script = format!(
        "cd {} && sieve-connect --server 127.0.0.1 --port {port} --nosrv --notlsverify --user {BOB} --passwordfd 0 \
         --authmech PLAIN {action} < password",
        path(home)
    );
    finish(Command::new("sh").args(["-c", &script]))
}

fn good(output: &Output) -> String {
    assert!(output.status.success(), "sieve-connect failed: {}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}
