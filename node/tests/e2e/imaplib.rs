//! Python's imaplib, through a failover in the middle of its APPENDs.

use std::process::Command;

use crate::support::cluster::{PASSWORD, Port};
use crate::support::scene::Scene;

const BOB: &str = "bob@example.com";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/imap_session.py");

#[test]
fn a_python_script_does_everything_through_a_failover() {
    let mut scene = Scene::start(BOB);
    let marker = scene.home("imaplib").join("appending");
    let mut command = Command::new("python3");
    command.args(["-u", SCRIPT, "127.0.0.1", &scene.port(Port::Imap).to_string(), BOB, PASSWORD]).arg(&marker);
    let printed = String::from_utf8(scene.run_with_failover(command, || marker.exists())).unwrap();
    assert!(printed.ends_with("all done\n"), "{printed}");
}
