//! `zcluster demo`, as the README shows it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::cluster::{Permit, command, free_ports, path, scratch};
use crate::support::imap::Imap;
use crate::support::mail::message;
use crate::support::smtp::{Delivery, Smtp};

#[test]
fn the_demo_describes_itself_takes_mail_on_every_node_and_stops_cleanly() {
    let _permit = Permit::take();
    let folder = scratch();
    let base = free_ports().to_string();
    let mut demo = command(&["demo", "--json", "--base-port", &base, "--data", path(&folder.join("demo"))])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let described = describe(&mut demo);
    let nodes = described["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 3);
    let port = |node: usize, name: &str| u16::try_from(nodes[node]["ports"][name].as_u64().unwrap()).unwrap();
    for account in ["admin@example.com", "alice@example.com", "bob@example.com"] {
        assert!(described["accounts"].to_string().contains(account), "{described}");
        for node in 0..3 {
            drop(Imap::try_login(port(node, "imap"), account, "demo").unwrap());
        }
    }
    let mut bob = Imap::try_login(port(1, "imap"), "bob@example.com", "demo").unwrap();
    let before = bob.select("INBOX").unwrap();
    bob.idle().unwrap();
    let mut smtp = Smtp::esmtp(port(2, "smtp")).unwrap();
    assert_eq!(smtp.deliver("bob@example.com", &message("to the demo", 500)), Delivery::Acknowledged);
    bob.await_exists(before + 1, Duration::from_secs(5)).unwrap();

    // SAFETY: kill takes no pointers; the child is ours and has not been waited for.
    unsafe { libc::kill(demo.id() as libc::pid_t, libc::SIGINT) };
    let deadline = Instant::now() + Duration::from_secs(30);
    while demo.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the demo does not stop on Ctrl-C");
        std::thread::sleep(Duration::from_millis(50));
    }
    for node in nodes {
        let pid = node["pid"].as_u64().unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "node {pid} outlived the demo");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// The demo prints one JSON object when it is ready.
fn describe(demo: &mut Child) -> Value {
    let mut reader = BufReader::new(demo.stdout.take().unwrap());
    let mut text = String::new();
    loop {
        let count = reader.read_line(&mut text).unwrap();
        assert!(count > 0, "the demo ended before it was ready: {text}");
        if let Ok(value) = serde_json::from_str(&text) {
            return value;
        }
    }
}

#[test]
fn the_failover_demo_loses_nothing() {
    let _permit = Permit::take();
    let folder = scratch();
    let base = free_ports().to_string();
    let mut demo = command(&["demo", "--failover", "--base-port", &base, "--data", path(&folder.join("demo"))]);
    let output = crate::support::tools::finish_within(&mut demo, Duration::from_secs(180));
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_dir_all(folder).unwrap();
}
