//! Indexes on disk: one of tantivy's per group.

mod delete;
mod dictionary;
mod group;
mod packed;
mod segment;
mod view;

use group::Group;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use zcluster_api::error::{Error, Result};
use zcluster_api::search::SearchExpr;
use zcluster_api::text::{Fragment, TextDoc, TextIndex, TextIndexes};
use zcluster_api::{GroupId, MailboxId};

/// What an operator may decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Memory that changing one index takes, bytes: at least 15 MB. Larger segments are written with more.
    pub writer_bytes: usize,
    /// An index of at most so many bytes is read through and its checksums compared when it is opened; of a larger one
    /// only the lists and ends of files are looked at.
    pub check_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { writer_bytes: 32 << 20, check_bytes_max: 256 << 20 }
    }
}

/// All indexes of a node, in folders of their groups' numbers.
pub struct Indexes {
    folder: PathBuf,
    settings: Settings,
    open: Mutex<BTreeMap<GroupId, Weak<Group>>>,
}

impl Indexes {
    /// Indexes in `folder`, which is made when the first one is.
    pub fn new(folder: PathBuf, settings: Settings) -> Self {
        Indexes { folder, settings, open: Mutex::new(BTreeMap::new()) }
    }

    fn of(&self, group: GroupId) -> PathBuf {
        self.folder.join(group.0.to_string())
    }
}

impl TextIndexes for Indexes {
    fn open(&self, group: GroupId) -> Result<Arc<dyn TextIndex>> {
        let mut open = self.open.lock();
        if let Some(index) = open.get(&group).and_then(Weak::upgrade) {
            return Ok(index);
        }
        let index = Arc::new(Group::open(self.of(group), self.settings.clone())?);
        open.insert(group, Arc::downgrade(&index));
        Ok(index)
    }

    fn remove(&self, group: GroupId) -> Result<()> {
        let mut open = self.open.lock();
        open.remove(&group);
        match std::fs::remove_dir_all(self.of(group)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::Unavailable(e.to_string())),
            _ => Ok(()),
        }
    }

    fn on_disk(&self) -> Result<Vec<GroupId>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => fault(entries)?,
        };
        let number =
            |entry: std::io::Result<std::fs::DirEntry>| fault(entry).map(|e| e.file_name().to_str()?.parse().ok());
        let mut groups: Vec<GroupId> = entries
            .map(number)
            .filter_map(Result::transpose)
            .collect::<Result<Vec<u32>>>()?
            .into_iter()
            .map(GroupId)
            .collect();
        groups.sort_unstable();
        Ok(groups)
    }

    fn matches(&self, leaf: &SearchExpr, doc: &TextDoc) -> Result<bool> {
        crate::matches(leaf, doc)
    }

    fn fragment(&self, conditions: &[SearchExpr], doc: &TextDoc, chars: usize) -> Option<Fragment> {
        crate::fragment::fragment(conditions, doc, chars)
    }
}

/// What a commit is told about itself: which way of taking texts apart, and the caller's mark.
mod payload {
    use crate::words::ANALYSIS;
    use data_encoding::HEXLOWER;

    const NAME: &str = "zcluster-text";

    pub fn of(mark: &[u8]) -> String {
        format!("{NAME} {ANALYSIS} {}", HEXLOWER.encode(mark))
    }

    /// The mark, or why it cannot be used.
    pub fn mark(payload: &str) -> Result<Vec<u8>, String> {
        let mut pieces = payload.split(' ');
        match (pieces.next(), pieces.next(), pieces.next(), pieces.next()) {
            (Some(NAME), Some(version), Some(mark), None) if version == ANALYSIS.to_string() => {
                HEXLOWER.decode(mark.as_bytes()).map_err(|_| "its mark is damaged".into())
            }
            (Some(NAME), Some(version), ..) => Err(format!("its words are of version {version}")),
            _ => Err("it has no mark".into()),
        }
    }
}

/// A mailbox's number as keys have it. Ids are handed out from 1 on, one by one.
fn number(mailbox: MailboxId) -> Option<u32> {
    u32::try_from(mailbox.0).ok()
}

/// The bytes of a folder's files.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}

/// Runs what reads files that may be damaged: a panic of the library is damage.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    quietly(read).unwrap_or_else(|why| Err(Error::Internal(why)))
}

/// The same, where the caller tells what damage means.
fn quietly<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).map_err(|_| "the text index is damaged".to_owned())
}

/// Errors that come to ours.
trait Fault {
    fn ours(self) -> Error;
}

impl Fault for TantivyError {
    fn ours(self) -> Error {
        error(self)
    }
}

impl Fault for std::io::Error {
    fn ours(self) -> Error {
        of_io(&self)
    }
}

fn fault<T, E: Fault>(result: Result<T, E>) -> Result<T> {
    result.map_err(Fault::ours)
}

/// What went wrong: the disk, or the index.
fn error(error: TantivyError) -> Error {
    match &error {
        TantivyError::IoError(e) => of_io(e),
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => of_io(io_error),
        TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. }) => of_io(io_error),
        TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => of_io(io_error),
        TantivyError::LockFailure(LockError::IoError(e), _) => of_io(e),
        TantivyError::LockFailure(..) => Error::Unavailable("the text index is locked by another process".into()),
        TantivyError::SystemError(_) | TantivyError::ErrorInThread(_) => Error::Unavailable(error.to_string()),
        _ => Error::Internal(format!("text index: {error}")),
    }
}

fn of_io(e: &std::io::Error) -> Error {
    use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match e.kind() {
        InvalidData | InvalidInput | UnexpectedEof | Other => Error::Internal(format!("text index: {e}")),
        _ => Error::Unavailable(format!("text index: {e}")),
    }
}
