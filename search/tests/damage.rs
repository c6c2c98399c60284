//! What an index makes of damaged files, old versions, full disks and a killed process.
#![allow(missing_docs, clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zcluster_api::error::Error;
use zcluster_api::search::{SearchExpr, TextField, Words};
use zcluster_api::text::{TextDoc, TextIndex, TextIndexes, TextView};
use zcluster_api::{GroupId, ItemId, MailboxId};
use zcluster_search::{ANALYSIS, Indexes, Settings};

const GROUP: GroupId = GroupId(7);
const MAILBOX: MailboxId = MailboxId(1);

fn doc(text: &str) -> TextDoc {
    TextDoc { texts: vec![(TextField::Content, text.to_owned())], ..TextDoc::default() }
}

fn words(text: &str) -> SearchExpr {
    SearchExpr::Words(Words { fields: vec![TextField::Content], text: text.into(), prefix: false, suffix: false })
}

fn open(folder: &Path) -> Arc<dyn TextIndex> {
    Indexes::new(folder.to_owned(), Settings::default()).open(GROUP).unwrap()
}

fn filled(folder: &Path) {
    let index = open(folder);
    for item in 0..200 {
        let text: String = (0..60).map(|i| format!("word{} ", item * i % 301)).collect();
        index.add(MAILBOX, ItemId(item), &doc(&text)).unwrap();
        if item % 50 == 49 {
            index.commit(format!("mark {item}").as_bytes()).unwrap();
        }
    }
    index.remove(MAILBOX, &[ItemId(3)]).unwrap();
    index.commit(b"last").unwrap();
    index.rest();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("7")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| !p.file_name().unwrap().to_string_lossy().ends_with(".lock"));
    files.sort();
    files
}

fn count(view: &dyn TextView) -> usize {
    view.items(MAILBOX).unwrap().len()
}

/// Opens after a change: the index is whole, or it is as new and takes what it is given.
fn whole_or_new(folder: &Path, what: &str) -> bool {
    let index = open(folder);
    let view = index.view();
    let whole = view.mark() == b"last";
    assert_eq!(count(&*view), if whole { 199 } else { 0 }, "{what}");
    assert!(whole || view.mark().is_empty(), "{what}");
    for n in 0..301 {
        view.find(MAILBOX, &words(&format!("word{n}"))).unwrap();
    }
    index.add(MAILBOX, ItemId(900), &doc("fresh")).unwrap();
    index.commit(b"again").unwrap();
    let found = index.view().find(MAILBOX, &words("fresh")).unwrap().unwrap();
    assert_eq!(found.sure.iter().collect::<Vec<_>>(), [900], "{what}");
    index.rest();
    whole
}

fn restored(folder: &Path, kept: &[(PathBuf, Vec<u8>)]) {
    fs::remove_dir_all(folder.join("7")).unwrap();
    fs::create_dir_all(folder.join("7")).unwrap();
    kept.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
}

#[test]
fn damaged_files_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    filled(folder);
    let kept: Vec<(PathBuf, Vec<u8>)> = files(folder).into_iter().map(|p| (p.clone(), fs::read(p).unwrap())).collect();
    restored(folder, &kept);
    assert!(whole_or_new(folder, "nothing"));
    for (path, bytes) in &kept {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The list of files to clean up is not needed to read.
        let needed = !name.starts_with('.') && !name.ends_with(".store");
        for at in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            restored(folder, &kept);
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            fs::write(path, wrong).unwrap();
            let whole = whole_or_new(folder, &format!("{name} byte {at}"));
            assert!(!whole || !needed || name == "meta.json", "{name} byte {at}");
        }
        for len in [0, bytes.len() / 2, bytes.len() - 1] {
            restored(folder, &kept);
            fs::write(path, &bytes[..len]).unwrap();
            let whole = whole_or_new(folder, &format!("{name} cut to {len}"));
            assert!(!whole || !needed || name == "meta.json", "{name} cut to {len}");
        }
        restored(folder, &kept);
        fs::remove_file(path).unwrap();
        let whole = whole_or_new(folder, &format!("{name} removed"));
        assert!(!whole || !needed, "{name} removed");
    }
}

#[test]
fn other_versions_are_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    filled(folder);
    let meta = folder.join("7/meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    let ours = format!("zcluster-text {ANALYSIS} ");
    assert!(text.contains(&ours));
    fs::write(&meta, text.replace(&ours, "zcluster-text 0 ")).unwrap();
    assert!(!whole_or_new(folder, "older"));
    fs::write(folder.join("7/meta.json"), "not JSON").unwrap();
    assert!(!whole_or_new(folder, "garbage"));
}

#[test]
fn groups_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let indexes = Indexes::new(folder.path().join("deep/text"), Settings::default());
    assert_eq!(indexes.on_disk().unwrap(), []);
    let (one, two) = (indexes.open(GroupId(1)).unwrap(), indexes.open(GroupId(20)).unwrap());
    one.add(MAILBOX, ItemId(1), &doc("x")).unwrap();
    one.commit(b"m").unwrap();
    assert!(one.view().size().bytes > 100);
    assert_eq!(indexes.open(GroupId(1)).unwrap().view().mark(), b"m", "the same index, not a second one");
    assert_eq!(indexes.on_disk().unwrap(), [GroupId(1), GroupId(20)]);
    let view = one.view();
    one.reset().unwrap();
    assert_eq!((count(&*view), count(&*one.view())), (1, 0), "who looks at the old one still sees it");
    drop(two);
    indexes.remove(GroupId(20)).unwrap();
    indexes.remove(GroupId(20)).unwrap();
    assert_eq!(indexes.on_disk().unwrap(), [GroupId(1)]);
    assert!(matches!(one.add(MailboxId(1 << 40), ItemId(1), &doc("x")), Err(Error::Invalid(_))));
}

/// A folder that nothing can be written to, as a full disk is: what was committed stays, and nothing is committed that was
/// lost.
#[test]
fn a_disk_that_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    filled(folder);
    let index = open(folder);
    index.add(MAILBOX, ItemId(500), &doc("before")).unwrap();
    // The folder is gone under the writer: root may write anywhere, so that permissions would not do.
    fs::rename(folder.join("7"), folder.join("away")).unwrap();
    index.add(MAILBOX, ItemId(501), &doc("lost")).unwrap();
    assert!(matches!(index.commit(b"lost"), Err(Error::Unavailable(_))));
    fs::rename(folder.join("away"), folder.join("7")).unwrap();
    assert!(
        matches!(index.add(MAILBOX, ItemId(502), &doc("late")), Err(Error::Unavailable(_))),
        "until it is told to rest"
    );
    assert!(matches!(index.commit(b"lost"), Err(Error::Unavailable(_))));
    assert_eq!(index.view().mark(), b"last");
    assert_eq!(count(&*index.view()), 199);
    index.rest();
    index.add(MAILBOX, ItemId(502), &doc("late")).unwrap();
    index.commit(b"late").unwrap();
    assert_eq!(count(&*index.view()), 200);
}

/// The child of the test below: commits until it is killed.
#[test]
#[ignore = "run by killed_while_it_commits"]
fn commits_for_ever() {
    let Ok(folder) = std::env::var("ZCLUSTER_TEXT_FOLDER") else { return };
    let index = open(Path::new(&folder));
    let mut at = index.view().mark().try_into().map_or(0, u32::from_be_bytes);
    loop {
        for _ in 0..7 {
            index.add(MAILBOX, ItemId(at), &doc(&format!("all number{at}"))).unwrap();
            at += 1;
        }
        index.commit(&at.to_be_bytes()).unwrap();
    }
}

#[test]
fn killed_while_it_commits() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for round in 0..12u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "commits_for_ever", "--ignored"])
            .env("ZCLUSTER_TEXT_FOLDER", folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300 + round * 97));
        child.kill().unwrap();
        child.wait().unwrap();
        let index = open(folder.path());
        let view = index.view();
        let mark = view.mark().try_into().map_or(0, u32::from_be_bytes);
        assert!(mark >= seen, "{mark} after {seen}");
        seen = mark;
        assert_eq!(view.items(MAILBOX).unwrap().iter().collect::<Vec<_>>(), (0..mark).collect::<Vec<_>>());
        let all = view.find(MAILBOX, &words("all")).unwrap().unwrap();
        assert_eq!(all.sure.len() as u32, mark);
        if let Some(last) = mark.checked_sub(1) {
            assert!(view.find(MAILBOX, &words(&format!("number{last}"))).unwrap().unwrap().sure.contains(last));
        }
        index.rest();
    }
    assert!(seen > 0, "it was never left to commit");
}
