use super::*;
use std::collections::BTreeMap;

/// A disk that forgets at a crash what was not synced: contents of files by file, names by folder. Every name that is
/// not synced may be there afterwards or not, as the bits of `luck` say.
#[derive(Clone, Default)]
struct Model(Arc<Mutex<Disk>>);

#[derive(Clone, Default)]
struct Disk {
    /// Nodes by number: none, a folder; some, a file's bytes and whether they are synced.
    nodes: Vec<Option<(Vec<u8>, bool)>>,
    now: BTreeMap<PathBuf, usize>,
    synced: BTreeMap<PathBuf, usize>,
    calls: Vec<String>,
    crash_at: Option<usize>,
}

impl Disk {
    fn call(&mut self, what: &str, path: &Path) -> io::Result<()> {
        if self.crash_at == Some(self.calls.len()) {
            return Err(io::Error::other("crash"));
        }
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let name = if name.starts_with(TEMPORARY) { TEMPORARY.to_string() } else { name };
        self.calls.push(format!("{what} {name}"));
        Ok(())
    }

    /// What is found after the machine has lost its power.
    fn after_crash(&self, luck: u32) -> Disk {
        let mut out = self.clone();
        let changed: BTreeSet<_> = self.now.keys().chain(self.synced.keys()).cloned().collect();
        let mut n = 0;
        let mut names = BTreeMap::new();
        for path in changed {
            let (now, before) = (self.now.get(&path), self.synced.get(&path));
            let kept = if now == before {
                now
            } else {
                n += 1;
                if luck >> (n - 1) & 1 == 1 { now } else { before }
            };
            // A name below a folder that has none is lost with it.
            let above = path.parent().is_none_or(|p| p == Path::new("/v") || names.contains_key(p));
            if let Some(node) = kept
                && above
            {
                names.insert(path, *node);
            }
        }
        out.now = names.clone();
        out.synced = names;
        for (bytes, synced) in out.nodes.iter_mut().flatten() {
            if !*synced {
                // Half of it, say.
                bytes.truncate(bytes.len() / 2);
            }
        }
        out.crash_at = None;
        out
    }
}

impl FileSystem for Model {
    fn read(&self, path: &Path, range: Range<u64>) -> io::Result<(Bytes, u64)> {
        let disk = self.0.lock();
        let node = disk.now.get(path).ok_or(ErrorKind::NotFound)?;
        let Some((bytes, _)) = &disk.nodes[*node] else { return Err(ErrorKind::NotFound.into()) };
        let size = bytes.len() as u64;
        let end = range.end.min(size) as usize;
        Ok((Bytes::copy_from_slice(&bytes[(range.start as usize).min(end)..end]), size))
    }
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call("create", path)?;
        let node = disk.nodes.len();
        disk.nodes.push(Some((bytes.to_vec(), false)));
        disk.now.insert(path.into(), node);
        disk.call("fsync", path)?;
        disk.nodes[node] = Some((bytes.to_vec(), true));
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call("rename", to)?;
        let node = disk.now.remove(from).ok_or(ErrorKind::NotFound)?;
        disk.now.insert(to.into(), node);
        Ok(())
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call("fsync-folder", path)?;
        let inside = |p: &PathBuf| p.parent() == Some(path);
        disk.synced.retain(|p, _| !inside(p));
        let names: Vec<_> = disk.now.iter().filter(|(p, _)| inside(p)).map(|(p, n)| (p.clone(), *n)).collect();
        disk.synced.extend(names);
        Ok(())
    }
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        if disk.now.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        disk.call("mkdir", path)?;
        let node = disk.nodes.len();
        disk.nodes.push(None);
        disk.now.insert(path.into(), node);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call("remove", path)?;
        disk.now.remove(path).map(drop).ok_or(ErrorKind::NotFound.into())
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.0.lock().now.contains_key(path))
    }
    fn entries(&self, path: &Path) -> io::Result<Vec<(String, Found)>> {
        let disk = self.0.lock();
        let inside = disk.now.iter().filter(|(p, _)| p.parent() == Some(path));
        let found = inside.map(|(p, n)| {
            let found = match &disk.nodes[*n] {
                None => Found::Folder,
                Some((bytes, _)) => Found::File { size: bytes.len() as u64, changed_ms: 0 },
            };
            (p.file_name().unwrap().to_str().unwrap().to_string(), found)
        });
        Ok(found.collect())
    }
}

fn modelled(disk: Disk) -> (Inner<Model>, Model) {
    let model = Model(Arc::new(Mutex::new(disk)));
    (Inner { root: "/v".into(), system: model.clone(), synced: Mutex::default() }, model)
}

const BODY: &[u8] = b"a body, all of it";

#[test]
fn files_and_folders_are_synced_in_this_order() {
    let (folder, model) = modelled(Disk::default());
    folder.put("packs/17/a", BODY).unwrap();
    let expected = "mkdir packs, fsync-folder v, mkdir 17, fsync-folder packs, create .tmp-, fsync .tmp-, rename a, fsync-folder 17";
    assert_eq!(model.0.lock().calls.join(", "), expected);
    model.0.lock().calls.clear();
    folder.put("packs/17/b", BODY).unwrap();
    folder.delete("packs/17/a").unwrap();
    let expected = "create .tmp-, fsync .tmp-, rename b, fsync-folder 17, remove a, fsync-folder 17";
    assert_eq!(model.0.lock().calls.join(", "), expected);
}

#[test]
fn a_folder_that_another_node_made_is_synced_too() {
    let disk = Disk { nodes: vec![None], now: BTreeMap::from([("/v/packs".into(), 0)]), ..Disk::default() };
    let (folder, model) = modelled(disk);
    folder.put("packs/a", BODY).unwrap();
    let disk = model.0.lock().after_crash(0);
    assert_eq!(modelled(disk).0.get("packs/a", 0..99).unwrap().bytes, BODY);
}

#[test]
fn after_a_crash_there_is_all_of_it_or_nothing() {
    let mut acknowledged = 0;
    for crash_at in 0.. {
        let (folder, model) = modelled(Disk { crash_at: Some(crash_at), ..Disk::default() });
        let outcome = folder.put("packs/17/a", BODY);
        let disk = model.0.lock().clone();
        for luck in 0..64 {
            let after = modelled(disk.after_crash(luck)).0;
            let listed = after.list("", "", 10).unwrap();
            match after.get("packs/17/a", 0..99) {
                Ok(piece) => assert_eq!(piece.bytes, BODY, "crash at {crash_at}, luck {luck}"),
                Err(Fault::NotFound) => {
                    assert!(outcome.is_err(), "acknowledged and lost: crash at {crash_at}, luck {luck}");
                    assert!(listed.is_empty(), "{listed:?}");
                }
                Err(e) => panic!("{e}"),
            }
            assert!(listed.iter().all(|l| l.object == "packs/17/a" && l.bytes == BODY.len() as u64), "{listed:?}");
            // It can be written again, whatever was left.
            assert!(matches!(after.put("packs/17/a", BODY), Ok(()) | Err(Fault::Exists)));
        }
        acknowledged += usize::from(outcome.is_ok());
        if outcome.is_ok() {
            assert_eq!(crash_at, disk.calls.len(), "every call before the acknowledgement was met with a crash");
            break;
        }
    }
    assert_eq!(acknowledged, 1);
}

#[test]
fn a_second_try_of_a_put_that_was_not_acknowledged_makes_it_durable() {
    // The name is there, its folder is not synced.
    let (folder, model) = modelled(Disk { crash_at: Some(7), ..Disk::default() });
    assert!(folder.put("packs/17/a", BODY).is_err());
    model.0.lock().crash_at = None;
    assert_eq!(folder.put("packs/17/a", BODY), Err(Fault::Exists));
    let disk = model.0.lock().after_crash(0);
    assert_eq!(modelled(disk).0.get("packs/17/a", 0..99).unwrap().bytes, BODY);
}

fn real() -> (tempfile::TempDir, Inner<Os>) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_path_buf();
    (dir, Inner { root, system: Os, synced: Mutex::default() })
}

#[test]
fn ranges_and_what_is_not_there() {
    let (_dir, folder) = real();
    folder.put("a/b", BODY).unwrap();
    let get = |range| folder.get("a/b", range);
    assert_eq!(get(2..6).unwrap(), Piece { bytes: Bytes::from_static(b"body"), size: 17 });
    assert_eq!(get(13..99).unwrap().bytes, Bytes::from_static(b"f it"));
    assert_eq!(get(17..99).unwrap().bytes, Bytes::new());
    assert_eq!(get(18..99), Err(Fault::Short));
    for none in ["a", "c", "a/b/c"] {
        assert_eq!(folder.get(none, 0..1), Err(Fault::NotFound), "{none}");
    }
    assert_eq!(folder.put("a/b", b"other"), Err(Fault::Exists));
    assert_eq!((folder.delete("a/b"), folder.delete("a/b")), (Ok(()), Ok(())));
    assert_eq!(get(0..1), Err(Fault::NotFound));
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Inner { root: dir.path().join("mount"), system: Os, synced: Mutex::default() };
    assert!(matches!(folder.put("a/b", BODY), Err(Fault::Away(_))));
    assert!(matches!(folder.list("", "", 9), Err(Fault::Away(_))));
    assert!(!dir.path().join("mount").exists());
}

#[test]
fn lists_are_in_the_order_of_names_and_go_on_anywhere() {
    let (dir, folder) = real();
    let mut names = ["a/b/c", "a/b.d", "a/b-e", "a/b0", "a.x", "b", "a/z/y/x", "0/1"].map(String::from);
    for name in &names {
        folder.put(name, BODY).unwrap();
    }
    std::fs::write(dir.path().join(".mark"), "x").unwrap();
    std::fs::write(dir.path().join("a/.tmp-1"), "x").unwrap();
    names.sort();
    let list = |prefix: &str, after: &str, limit| -> Vec<String> {
        folder.list(prefix, after, limit).unwrap().into_iter().map(|l| l.object).collect()
    };
    assert_eq!(list("", "", 99), names);
    for (i, name) in names.iter().enumerate() {
        assert_eq!(list("", name, 3), names[i + 1..].iter().take(3).cloned().collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(list("", "a/b/", 1), ["a/b/c"]);
    assert_eq!(list("a/b/", "", 9), ["a/b/c"]);
    assert_eq!(list("none/", "", 9), [""; 0]);
    // Young: it may be somebody's, who is writing.
    assert!(dir.path().join("a/.tmp-1").exists());
    let old = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    std::fs::File::options().write(true).open(dir.path().join("a/.tmp-1")).unwrap().set_times(old).unwrap();
    list("", "", 99);
    assert!(!dir.path().join("a/.tmp-1").exists());
}
