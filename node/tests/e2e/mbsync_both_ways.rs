//! mbsync keeps a Maildir and the account the same, in both directions, while the mailbox's primary dies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::cluster::{PASSWORD, Port, path};
use crate::support::imap::Imap;
use crate::support::mail::{message, unique};
use crate::support::maildir;
use crate::support::scene::{Scene, must_be_exactly};
use crate::support::tools::succeed;

const BOB: &str = "bob@example.com";
const SEEDED: usize = 200;
/// Messages that are written on the client's side.
const WRITTEN: usize = 60;

#[test]
fn mbsync_keeps_both_sides_the_same_through_failovers() {
    let mut scene = Scene::start(BOB);
    let ids = scene.deliver("mbsync", SEEDED);
    let home = scene.home("mbsync");
    let inbox = home.join("mail/INBOX");
    let fetched = inbox.clone();
    let command = mbsync(&scene, &home);
    scene.run_with_failover(command, || maildir::files(&fetched).len() > SEEDED / 10);
    must_be_exactly("the Maildir after the first run", &maildir::ids(&inbox), &ids);
    scene.heal();

    // The client's side: flags, a message less, new ones.
    maildir::set_flags(&maildir::file_of(&inbox, &ids[0]), "FS");
    maildir::set_flags(&maildir::file_of(&inbox, &ids[1]), "RS");
    fs::remove_file(maildir::file_of(&inbox, &ids[2])).unwrap();
    let written: Vec<String> = (0..WRITTEN).map(|_| unique("written")).collect();
    for id in &written {
        maildir::add(&inbox, id, "S");
    }
    // The server's side: the same, elsewhere.
    let mut imap = scene.imap();
    imap.select("INBOX").unwrap();
    let delivered = change_on_server(&mut imap, &ids);
    let expected: Vec<String> = [&ids[..2], &ids[3..8], &ids[9..], &written, &[delivered]].concat();

    let mut far = scene.imap();
    far.select("INBOX").unwrap();
    let command = mbsync(&scene, &home);
    scene.run_with_failover(command, || pushed(&mut far) > SEEDED + 5);
    let (near, far) = (maildir::ids(&inbox), scene.ids("INBOX"));
    must_be_exactly("the Maildir after the second run", &near, &expected);
    must_be_exactly("the server after the second run", &far, &expected);

    let mut imap = scene.imap();
    imap.select("INBOX").unwrap();
    assert_eq!(flags_of(&mut imap, &ids[0]), ["\\Flagged", "\\Seen"]);
    assert_eq!(flags_of(&mut imap, &ids[1]), ["\\Answered", "\\Seen"]);
    assert_eq!(flags_of(&mut imap, &written[0]), ["\\Seen"]);
    assert_eq!(maildir::flags(&maildir::file_of(&inbox, &ids[6])), "FS");
    assert_eq!(maildir::flags(&maildir::file_of(&inbox, &ids[7])), "S");

    // Both sides agree: another run changes nothing.
    succeed(&mut mbsync(&scene, &home));
    assert_eq!((maildir::ids(&inbox), scene.ids("INBOX")), (near, far));
}

/// How many messages the server has now.
fn pushed(imap: &mut Imap) -> usize {
    imap.select("INBOX").unwrap_or(0)
}

/// Flags two messages, expunges one, appends one; returns the new one's id.
fn change_on_server(imap: &mut Imap, ids: &[String]) -> String {
    let uid = |imap: &mut Imap, id: &str| uid_of(imap, id);
    let (six, seven, eight) = (uid(imap, &ids[6]), uid(imap, &ids[7]), uid(imap, &ids[8]));
    imap.must(&format!("UID STORE {six} +FLAGS (\\Flagged \\Seen)")).unwrap();
    imap.must(&format!("UID STORE {seven} +FLAGS (\\Seen)")).unwrap();
    imap.must(&format!("UID STORE {eight} +FLAGS (\\Deleted)")).unwrap();
    imap.must(&format!("UID EXPUNGE {eight}")).unwrap();
    let id = unique("delivered");
    assert!(imap.append("INBOX", &message(&id, 1_000)).unwrap().ok());
    id
}

fn uid_of(imap: &mut Imap, id: &str) -> u32 {
    let answer = imap.must(&format!("UID SEARCH HEADER Message-ID \"<{id}@ledger>\"")).unwrap();
    let line = answer.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned());
    let found = line.into_iter().find_map(|line| line.trim_end().strip_prefix("* SEARCH ")?.parse().ok());
    found.unwrap_or_else(|| panic!("{id} is not found: {answer:?}"))
}

fn flags_of(imap: &mut Imap, id: &str) -> Vec<String> {
    let uid = uid_of(imap, id);
    imap.flags(uid).unwrap()
}

fn mbsync(scene: &Scene, home: &Path) -> Command {
    let mail = home.join("mail");
    fs::create_dir_all(&mail).unwrap();
    let config: PathBuf = home.join("mbsyncrc");
    let text = format!(
        "IMAPAccount z\nHost 127.0.0.1\nPort {}\nUser {BOB}\nPass \"{PASSWORD}\"\nSSLType None\nAuthMechs LOGIN\nPipelineDepth 4\n\n\
         IMAPStore far\nAccount z\n\nMaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Both\nExpunge Both\nSync All\nSyncState *\n",
        scene.port(Port::Imap),
        mail = path(&mail),
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("mbsync");
    command.arg("-c").arg(&config).arg("-a").env("HOME", home);
    command
}
