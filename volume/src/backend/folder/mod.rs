//! A folder as a volume. What `put` has acknowledged is on the disk: the file and every folder on the way to it were
//! synced (`object_store`'s own local store does not do that). A file appears under its name whole or not at all.

mod system;
#[cfg(test)]
mod tests;

pub(crate) use system::{FileSystem, Found, Os};

use super::{Backend, Fault, Piece, is_hidden};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zcluster_api::Listed;
use zcluster_runtime::{fill_random, spawn_blocking, wall_ms};

/// Begin of names that files have until they are whole.
const TEMPORARY: &str = ".tmp-";
/// A file that is not whole after so long will never be, milliseconds.
const TEMPORARY_MS: u64 = 24 * 3600 * 1000;
/// Folders that are remembered as synced.
const SYNCED_MAX: usize = 65_536;

/// A folder.
pub(crate) struct Folder<F>(Arc<Inner<F>>);

struct Inner<F> {
    root: PathBuf,
    system: F,
    /// Folders whose own names are known to be on the disk.
    synced: Mutex<BTreeSet<PathBuf>>,
}

impl<F: FileSystem> Folder<F> {
    pub(crate) fn new(root: PathBuf, system: F) -> Self {
        Folder(Arc::new(Inner { root, system, synced: Mutex::default() }))
    }

    /// Off the event loop.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner<F>) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, Fault>> {
        let inner = self.0.clone();
        async move {
            let done = spawn_blocking(move || work(&inner)).await;
            done.unwrap_or_else(|_| Err(Fault::Away("the work on the folder did not end".into())))
        }
        .boxed()
    }
}

fn away(what: &str, path: &Path, e: &io::Error) -> Fault {
    Fault::Away(format!("{what} {}: {e}", path.display()))
}

impl<F: FileSystem> Inner<F> {
    /// Where an object is. Its name has no part that begins with a dot, so it leads nowhere else.
    fn path(&self, object: &str) -> PathBuf {
        self.root.join(object)
    }

    fn get(&self, object: &str, range: Range<u64>) -> Result<Piece, Fault> {
        let path = self.path(object);
        match self.system.read(&path, range.clone()) {
            Ok((_, size)) if range.start > size => Err(Fault::Short),
            Ok((bytes, size)) => Ok(Piece { bytes, size }),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(Fault::NotFound),
            Err(e) => Err(away("read", &path, &e)),
        }
    }

    fn put(&self, object: &str, bytes: &[u8]) -> Result<(), Fault> {
        let path = self.path(object);
        let Some(folder) = path.parent() else { return Err(Fault::Refused("no folder".into())) };
        self.make_folder(folder)?;
        match self.system.exists(&path) {
            Ok(true) => {
                // Perhaps from a try that did not hear of its success, and that did not come to the last step.
                self.system.sync_folder(folder).map_err(|e| away("sync", folder, &e))?;
                return Err(Fault::Exists);
            }
            Ok(false) => {}
            Err(e) => return Err(away("look for", &path, &e)),
        }
        let mut random = [0; 8];
        fill_random(&mut random);
        let temporary = folder.join(format!("{TEMPORARY}{:016x}", u64::from_le_bytes(random)));
        let written = self.system.write_synced(&temporary, bytes).and_then(|()| self.system.rename(&temporary, &path));
        if let Err(e) = written {
            // What a failed sync left is not to be trusted, nor synced again: the next try writes another file.
            let _ = self.system.remove(&temporary);
            return Err(away("write", &path, &e));
        }
        self.system.sync_folder(folder).map_err(|e| away("sync", folder, &e))
    }

    /// Makes a folder below the root, and makes sure that its name and those above it are on the disk, also where another
    /// has made them a moment ago. The root must be there: it may be a place where a file system is not mounted now.
    fn make_folder(&self, folder: &Path) -> Result<(), Fault> {
        let Ok(below) = folder.strip_prefix(&self.root) else { return Err(Fault::Refused("outside".into())) };
        let mut at = self.root.clone();
        for part in below.components() {
            let above = at.clone();
            at.push(part);
            if self.synced.lock().contains(&at) && self.system.exists(&at).is_ok_and(|there| there) {
                continue;
            }
            match self.system.make_folder(&at) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(away("make", &at, &e)),
            }
            self.system.sync_folder(&above).map_err(|e| away("sync", &above, &e))?;
            let mut synced = self.synced.lock();
            if synced.len() >= SYNCED_MAX {
                synced.clear();
            }
            synced.insert(at.clone());
        }
        Ok(())
    }

    fn delete(&self, object: &str) -> Result<(), Fault> {
        let path = self.path(object);
        match self.system.remove(&path) {
            Ok(()) => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(e) => return Err(away("remove", &path, &e)),
        }
        // So that what was deleted does not come back. An empty folder stays: another may be about to write there.
        match path.parent() {
            Some(folder) => self.system.sync_folder(folder).map_err(|e| away("sync", folder, &e)),
            None => Ok(()),
        }
    }

    /// Depth first, in the order of whole names: a folder sorts as its name with the slash behind it.
    fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Listed>, Fault> {
        let mut out = Vec::new();
        self.walk(prefix, after, limit, &mut out)?;
        Ok(out)
    }

    /// Objects below the folder `at` (empty, or with a slash at its end).
    fn walk(&self, at: &str, after: &str, limit: usize, out: &mut Vec<Listed>) -> Result<(), Fault> {
        let path = self.root.join(at);
        let mut names: Vec<(String, Found)> = match self.system.entries(&path) {
            Ok(names) => names,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) && !at.is_empty() => {
                return Ok(());
            }
            Err(e) => return Err(away("list", &path, &e)),
        };
        for (name, found) in &mut names {
            if *found == Found::Folder {
                name.push('/');
            }
        }
        names.sort();
        for (name, found) in names {
            if out.len() >= limit {
                return Ok(());
            }
            let whole = format!("{at}{name}");
            match found {
                Found::Folder if is_hidden(&name) || (whole.as_str() <= after && !after.starts_with(&whole)) => {}
                Found::Folder => self.walk(&whole, after, limit, out)?,
                Found::File { .. } if name.starts_with(TEMPORARY) => self.forget(&path.join(name), found),
                Found::File { .. } if is_hidden(&name) || whole.as_str() <= after => {}
                Found::File { size, changed_ms } => out.push(Listed { object: whole, bytes: size, changed_ms }),
                Found::Other => {}
            }
        }
        Ok(())
    }

    /// Removes what a put left that did not come to its end.
    fn forget(&self, path: &Path, found: Found) {
        if let Found::File { changed_ms, .. } = found
            && changed_ms.saturating_add(TEMPORARY_MS) < wall_ms()
            && self.system.remove(path).is_ok()
        {
            tracing::info!(path = %path.display(), "a file that was never finished is removed");
        }
    }
}

impl<F: FileSystem> Backend for Folder<F> {
    fn get(&self, object: &str, range: Range<u64>) -> BoxFuture<'_, Result<Piece, Fault>> {
        let object = object.to_string();
        self.run(move |inner| inner.get(&object, range))
    }
    fn put(&self, object: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), Fault>> {
        let object = object.to_string();
        self.run(move |inner| inner.put(&object, &bytes))
    }
    fn delete(&self, object: &str) -> BoxFuture<'_, Result<(), Fault>> {
        let object = object.to_string();
        self.run(move |inner| inner.delete(&object))
    }
    fn list(&self, prefix: &str, after: &str, limit: usize) -> BoxFuture<'_, Result<Vec<Listed>, Fault>> {
        let (prefix, after) = (prefix.to_string(), after.to_string());
        self.run(move |inner| inner.list(&prefix, &after, limit))
    }
    fn may_be_replaced(&self) -> bool {
        true
    }
    fn durability(&self) -> &'static str {
        "fsync of the file, then of its folder"
    }
}
