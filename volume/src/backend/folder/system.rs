//! The few calls that a folder needs of a file system; tests put one in their place that can crash.

use bytes::Bytes;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Its bytes.
        size: u64,
        /// Unix milliseconds.
        changed_ms: u64,
    },
    /// A link, a device.
    Other,
}

/// Calls, each as the operating system has it.
pub(crate) trait FileSystem: Send + Sync + 'static {
    /// The bytes of a range as far as the file goes, and its whole length.
    fn read(&self, path: &Path, range: Range<u64>) -> io::Result<(Bytes, u64)>;
    /// Makes a new file and syncs it; it fails if there is one.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file another name in the same folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Syncs the names in a folder.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder in one that exists.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Whether there is something of that name.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// What is in a folder.
    fn entries(&self, path: &Path) -> io::Result<Vec<(String, Found)>>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Os;

impl FileSystem for Os {
    fn read(&self, path: &Path, range: Range<u64>) -> io::Result<(Bytes, u64)> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(ErrorKind::NotFound.into());
        }
        let size = meta.len();
        let n = range.end.min(size).saturating_sub(range.start);
        let mut out = Vec::with_capacity(usize::try_from(n).map_err(|_| ErrorKind::OutOfMemory)?);
        if n > 0 {
            file.seek(SeekFrom::Start(range.start))?;
            file.take(n).read_to_end(&mut out)?;
        }
        if out.len() as u64 != n {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok((out.into(), size))
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // Mail is for nobody else on the machine.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<(String, Found)>> {
        let mut out = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // A name that is not UTF-8 is not one of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let found = match entry.metadata() {
                Ok(meta) if meta.is_dir() => Found::Folder,
                Ok(meta) if meta.is_file() => {
                    let changed = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
                    let changed_ms = changed.and_then(|d| u64::try_from(d.as_millis()).ok()).unwrap_or(0);
                    Found::File { size: meta.len(), changed_ms }
                }
                Ok(_) => Found::Other,
                // Removed in the meantime.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            out.push((name, found));
        }
        Ok(out)
    }
}
