//! fetchmail and getmail take an account's mail away, over IMAP and POP3, while the mailbox's primary dies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::cluster::{PASSWORD, Port, path};
use crate::support::maildir;
use crate::support::scene::{Scene, must_be_exactly, spawn};
use crate::support::tools::finish;

const BOB: &str = "bob@example.com";
const SEEDED: usize = 120;

#[test]
fn fetchmail_empties_an_account_over_imap_through_a_failover() {
    let mut scene = Scene::start(BOB);
    let ids = scene.deliver("fetchmail", SEEDED);
    let home = scene.home("fetchmail");
    let taken = home.join("in");
    fs::create_dir_all(&taken).unwrap();
    let command = fetchmail(&scene, &home, &taken, "imap", Port::Imap);
    let watched = taken.clone();
    scene.run_with_failover(command, || files(&watched).len() > SEEDED / 10);
    must_be_exactly("what fetchmail took", &maildir::ids_of(&files(&taken)), &ids);
    assert!(scene.ids("INBOX").is_empty(), "fetchmail left nothing behind");
}

#[test]
fn fetchmail_empties_an_account_over_pop3_through_a_failover() {
    let mut scene = Scene::start(BOB);
    let ids = scene.deliver("pop", SEEDED);
    let home = scene.home("fetchmail");
    let taken = home.join("in");
    fs::create_dir_all(&taken).unwrap();
    let command = fetchmail(&scene, &home, &taken, "pop3", Port::Pop3);
    let watched = taken.clone();
    scene.run_with_failover(command, || files(&watched).len() > SEEDED / 10);
    must_be_exactly("what fetchmail took", &maildir::ids_of(&files(&taken)), &ids);
    assert!(scene.ids("INBOX").is_empty(), "fetchmail left nothing behind");
    // 1: there was no mail.
    let again = finish(&mut fetchmail(&scene, &home, &taken, "pop3", Port::Pop3));
    assert_eq!(again.status.code(), Some(1), "{again:?}");
}

fn fetchmail(scene: &Scene, home: &Path, taken: &Path, protocol: &str, port: Port) -> Command {
    let config = home.join("fetchmailrc");
    let text = format!(
        "poll 127.0.0.1 protocol {protocol} service {} timeout 60\n  username \"{BOB}\" password \"{PASSWORD}\"\n\
         \x20 fetchall no keep no rewrite sslproto ''\n  mda \"cat > {}/$$\"\n",
        scene.port(port),
        path(taken),
    );
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new("fetchmail");
    command.arg("-f").arg(&config).args(["--nosyslog", "--nodetach", "--pidfile"]).arg(home.join("pid"));
    command.env("HOME", home).env("FETCHMAILHOME", home);
    command
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn getmail_leaves_mail_on_the_server_and_takes_only_what_is_new_through_a_failover() {
    let mut scene = Scene::start(BOB);
    let mut ids = scene.deliver("getmail", SEEDED);
    let home = scene.home("getmail");
    let taken = home.join("in");
    fs::create_dir_all(&taken).unwrap();
    let command = getmail(&scene, &home, &taken);
    let watched = taken.clone();
    scene.run_with_failover(command, || files(&watched).len() > SEEDED / 10);
    must_be_exactly("what getmail took", &maildir::ids_of(&files(&taken)), &ids);
    must_be_exactly("what getmail left", &scene.ids("INBOX"), &ids);
    // UIDL stays what it was on the new primary: only the new messages are taken.
    ids.extend(scene.deliver("later", 3));
    spawn(getmail(&scene, &home, &taken)).join().unwrap();
    must_be_exactly("what getmail took in two runs", &maildir::ids_of(&files(&taken)), &ids);
}

/// It refuses to write a Maildir as root, which tests may be: a program takes the messages.
fn getmail(scene: &Scene, home: &Path, taken: &Path) -> Command {
    let config = home.join("getmailrc");
    let text = format!(
        "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {}\nusername = {BOB}\n\
         password = {PASSWORD}\ntimeout = 60\n\n[destination]\ntype = MDA_external\npath = /bin/sh\n\
         arguments = (\"-c\", \"cat > {}/$$\")\nallow_root_commands = true\nunixfrom = false\n\n\
         [options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\nverbose = 1\n",
        scene.port(Port::Pop3),
        path(taken),
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("getmail");
    command.arg("--getmaildir").arg(home).arg("--rcfile").arg(&config).env("HOME", home);
    command
}
