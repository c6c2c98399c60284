//! OfflineIMAP keeps a Maildir and an account the same, in both directions, while the mailbox's primary dies.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::cluster::{PASSWORD, Port, path};
use crate::support::mail::{message, unique};
use crate::support::maildir;
use crate::support::scene::{Scene, must_be_exactly, spawn};

const ALICE: &str = "alice@example.com";
const SEEDED: usize = 120;

#[test]
fn offlineimap_keeps_both_sides_the_same_through_a_failover() {
    let mut scene = Scene::start(ALICE);
    scene.imap().must("CREATE \"Entw\u{26}APw-rfe\"").unwrap();
    assert!(scene.imap().append("Entw\u{26}APw-rfe", &message("a draft", 800)).unwrap().ok());
    let ids = scene.deliver("offline", SEEDED);
    let home = scene.home("offlineimap");
    let inbox = home.join("mail/INBOX");
    let fetched = inbox.clone();
    let command = offlineimap(&scene, &home);
    scene.run_with_failover(command, || maildir::files(&fetched).len() > SEEDED / 10);
    must_be_exactly("OfflineIMAP's copy", &maildir::ids(&inbox), &ids);

    // Changes on both sides, then once more, with the node still dead.
    maildir::set_flags(&maildir::file_of(&inbox, &ids[0]), "FS");
    let written = unique("written");
    maildir::add(&inbox, &written, "S");
    let mut imap = scene.imap();
    imap.select("INBOX").unwrap();
    imap.must("STORE 2 +FLAGS (\\Answered \\Seen)").unwrap();
    imap.must("STORE 3 +FLAGS (\\Deleted)").unwrap();
    imap.must("EXPUNGE").unwrap();
    spawn(offlineimap(&scene, &home)).join().unwrap();
    let expected: Vec<String> = [&ids[..2], &ids[3..], &[written]].concat();
    must_be_exactly("OfflineIMAP's copy", &maildir::ids(&inbox), &expected);
    must_be_exactly("the server", &scene.ids("INBOX"), &expected);
    imap.select("INBOX").unwrap();
    let flagged = imap.must("UID SEARCH FLAGGED SEEN").unwrap();
    assert!(flagged.says("* SEARCH ") && flagged.untagged.len() == 1, "{flagged:?}");
    assert_eq!(maildir::flags(&maildir::file_of(&inbox, &ids[1])), "RS");
    assert_eq!(maildir::files(&home.join("mail/Entw\u{26}APw-rfe")).len(), 1, "a name in modified UTF-7");
}

fn offlineimap(scene: &Scene, home: &Path) -> Command {
    fs::create_dir_all(home.join("mail")).unwrap();
    let config = home.join("offlineimaprc");
    let home_text = path(home);
    let text = format!(
        "[general]\naccounts = z\nmetadata = {home_text}/meta\nfsync = False\n\n\
         [Account z]\nlocalrepository = near\nremoterepository = far\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {home_text}/mail\n\n\
         [Repository far]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {}\nremoteuser = {ALICE}\n\
         remotepass = {PASSWORD}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN\nmaxconnections = 1\n\
         folderfilter = lambda name: name not in ['Trash', 'Junk', 'Sent', 'Drafts', 'Chats']\n",
        scene.port(Port::Imap),
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("offlineimap");
    command.args(["-o", "-u", "basic", "-c"]).arg(&config).env("HOME", home);
    command
}
