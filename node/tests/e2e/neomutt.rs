//! NeoMutt keeps a folder open while its primary dies, and goes on: flags, copies, deletions.

use std::fs;
use std::process::Command;

use crate::support::cluster::{PASSWORD, Port, path};
use crate::support::eventually;
use crate::support::mail::message;
use crate::support::scene::{Scene, must_be_exactly};
use crate::support::smtp::{Delivery, Smtp};
use crate::support::tools::{in_terminal, succeed_with_open_input};

const ALICE: &str = "alice@example.com";

#[test]
fn neomutt_goes_on_in_an_open_folder_after_its_primary_died() {
    let mut scene = Scene::start(ALICE);
    scene.imap().must("CREATE Kept").unwrap();
    let ids: Vec<String> = (0..12).map(|n| format!("{}{n}", if n % 3 == 0 { "gone" } else { "kept" })).collect();
    let mut lmtp = Smtp::lmtp(scene.port(Port::Lmtp)).unwrap();
    for id in &ids {
        assert_eq!(lmtp.deliver(ALICE, &message(id, 1_000)), Delivery::Acknowledged);
    }
    let home = scene.home("neomutt");
    fs::create_dir_all(home.join("Mail")).unwrap();
    let (reached, go) = (home.join("reached"), home.join("go"));
    let command = neomutt(&scene, &home);
    let running = std::thread::spawn(move || succeed_with_open_input(&mut { command }));
    scene.fail_over_when(&running, || reached.exists());
    fs::write(&go, "").unwrap();
    let screen = running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));

    let kept: Vec<String> = ids.iter().filter(|id| id.starts_with("kept")).cloned().collect();
    eventually("NeoMutt's deletions arrive", std::time::Duration::from_secs(10), || {
        scene.ids("INBOX").len() == kept.len()
    });
    println!("{}", String::from_utf8_lossy(&screen).chars().filter(|c| !c.is_control()).take(400).collect::<String>());
    must_be_exactly("INBOX after NeoMutt", &scene.ids("INBOX"), &kept);
    must_be_exactly("the copies", &scene.ids("Kept"), &kept);
    let mut imap = scene.imap();
    imap.select("INBOX").unwrap();
    let flagged = imap.must("SEARCH FLAGGED").unwrap();
    let line = String::from_utf8_lossy(&flagged.untagged[0]).into_owned();
    assert_eq!(line.split_whitespace().count() - 2, kept.len(), "all are flagged: {line}");
}

/// Flags before the kill, then waits for the test, then copies and deletes.
fn neomutt(scene: &Scene, home: &std::path::Path) -> Command {
    let user = ALICE.replace('@', "%40");
    let root = format!("imap://{user}@127.0.0.1:{}/", scene.port(Port::Imap));
    let home_text = path(home);
    let config = home.join("rc");
    let wait = format!("touch {home_text}/reached; while [ ! -e {home_text}/go ]; do sleep 0.05; done");
    let text = format!(
        "set imap_user=\"{ALICE}\"\nset imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
         set imap_authenticators=\"login\"\nset folder=\"{root}\"\nset confirmappend=no\nset confirmcreate=no\n\
         set copy=no\nset delete=yes\nset quit=yes\nset mark_old=no\nset header_cache=\nset sleep_time=0\n\
         set resolve=no\nset wait_key=no\nset sort=mailbox-order\n\
         push \"<tag-pattern>~A<enter><tag-prefix><set-flag>!<sync-mailbox><shell-escape>{wait}<enter>\
         <untag-pattern>~A<enter><tag-pattern>~s kept<enter><tag-prefix><copy-message><kill-line>=Kept<enter>\
         <untag-pattern>~A<enter><delete-pattern>~s gone<enter><sync-mailbox><exit>\"\n"
    );
    fs::write(&config, text).unwrap();
    let mut command = in_terminal(&format!("neomutt -n -F {} -f '{root}INBOX'", path(&config)));
    command.env("HOME", home);
    command
}
