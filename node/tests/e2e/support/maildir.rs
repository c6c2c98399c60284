//! Maildirs that programs fill.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::mail::id_of;

/// The files of its messages; none while it does not exist.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let subs = ["cur", "new"].iter().filter_map(|sub| fs::read_dir(folder.join(sub)).ok());
    subs.flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The id of the message in a file with LF line ends.
pub fn id_in(file: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(file).ok()?).into_owned();
    id_of(text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes())
}

/// The ids of its messages and how often each is there.
pub fn ids(folder: &Path) -> BTreeMap<String, usize> {
    ids_of(&files(folder))
}

/// The same for files anywhere.
pub fn ids_of(files: &[PathBuf]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for file in files {
        *ids.entry(id_in(file).unwrap_or_default()).or_insert(0) += 1;
    }
    ids
}

/// The file of one message.
pub fn file_of(folder: &Path, id: &str) -> PathBuf {
    let found = files(folder).into_iter().find(|file| id_in(file).as_deref() == Some(id));
    found.unwrap_or_else(|| panic!("{id} is not in {}", folder.display()))
}

/// The letters behind `:2,` of a message's file name.
pub fn flags(file: &Path) -> String {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    name.rsplit_once(":2,").map_or_else(String::new, |(_, flags)| flags.to_owned())
}

/// Gives a message other flags, as a mail program does.
pub fn set_flags(file: &Path, flags: &str) {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let base = name.split(":2,").next().unwrap();
    let folder = file.parent().unwrap().parent().unwrap().join("cur");
    fs::rename(file, folder.join(format!("{base}:2,{flags}"))).unwrap();
}

/// Puts a message there, as a mail program does.
pub fn add(folder: &Path, id: &str, flags: &str) {
    let text = String::from_utf8(super::mail::message(id, 1_000)).unwrap().replace("\r\n", "\n");
    fs::write(folder.join("cur").join(format!("{id}.test:2,{flags}")), text).unwrap();
}
