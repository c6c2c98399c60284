//! Certificates by host name: a folder with one subfolder for each, as certbot keeps them (`NAME/fullchain.pem`,
//! `NAME/privkey.pem`). It is looked at now and then; a renewed, new or removed pair counts from the next handshake on.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zcluster_listener::{NamedCertificate, TlsSettings};
use zcluster_runtime::{Either, select, sleep, spawn_blocking};

/// Pairs in one folder.
const PAIRS_MAX: usize = 10_000;

/// What changes when a file does: size, time of last modification (seconds and nanoseconds), and which file it is.
type Stamp = (u64, i64, i64, u64);

/// A pair as it was found.
#[derive(Clone)]
struct Known {
    stamps: [Stamp; 2],
    /// The last one that could be used.
    certificate: Option<NamedCertificate>,
}

/// A watched folder.
pub struct Folder {
    path: PathBuf,
    known: BTreeMap<PathBuf, Known>,
}

impl Folder {
    /// One that was not looked at yet.
    pub fn new(path: PathBuf) -> Self {
        Folder { path, known: BTreeMap::new() }
    }

    /// Looks at it and, when something is different, changes what `tls` shows; says how many pairs are in use.
    ///
    /// # Errors
    /// A folder that cannot be read. A pair that cannot be used is logged, and the one before it stays.
    pub fn refresh(&mut self, tls: &TlsSettings) -> anyhow::Result<usize> {
        let mut found = BTreeMap::new();
        let mut is_new = false;
        for entry in std::fs::read_dir(&self.path)?.take(PAIRS_MAX) {
            let folder = entry?.path();
            let (chain, key) = (folder.join("fullchain.pem"), folder.join("privkey.pem"));
            let (Some(of_chain), Some(of_key)) = (stamp(&chain), stamp(&key)) else { continue };
            let stamps = [of_chain, of_key];
            let before = self.known.remove(&folder);
            if let Some(before) = &before
                && before.stamps == stamps
            {
                found.insert(folder, before.clone());
                continue;
            }
            is_new = true;
            let certificate = match read(&chain, &key) {
                Ok(certificate) => {
                    tracing::info!(folder = %folder.display(), names = ?certificate.names(), "certificate in use");
                    Some(certificate)
                }
                Err(error) => {
                    tracing::error!(folder = %folder.display(), error = %format!("{error:#}"), "certificate cannot be used");
                    before.and_then(|b| b.certificate)
                }
            };
            found.insert(folder, Known { stamps, certificate });
        }
        is_new |= !self.known.is_empty();
        self.known = found;
        let all: Vec<_> = self.known.values().filter_map(|k| k.certificate.clone()).collect();
        let count = all.len();
        if is_new {
            tls.set_named(all)?;
        }
        Ok(count)
    }

    /// Looks again and again until `stop` is ready.
    pub async fn watch(mut self, tls: TlsSettings, every: Duration, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        while let Either::Left(()) = select(sleep(every), &mut stop).await {
            let tls = tls.clone();
            let look = move || {
                let result = self.refresh(&tls);
                (self, result)
            };
            match spawn_blocking(look).await {
                Ok((folder, result)) => {
                    self = folder;
                    if let Err(error) = result {
                        tracing::error!(folder = %self.path.display(), %error, "certificates are not looked at");
                    }
                }
                Err(error) => return tracing::error!(%error, "certificates are watched no more"),
            }
        }
    }
}

/// `None` when the file is not there. Links are followed: certbot's are.
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino()))
}

fn read(chain: &Path, key: &Path) -> anyhow::Result<NamedCertificate> {
    Ok(NamedCertificate::from_pem(&std::fs::read(chain)?, &std::fs::read(key)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_string()]).unwrap();
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("fullchain.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join(name).join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn pairs_come_change_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["first".to_string()]).unwrap();
        let tls =
            TlsSettings::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
        let mut folder = Folder::new(dir.path().to_path_buf());
        assert_eq!(folder.refresh(&tls).unwrap(), 0);
        write(dir.path(), "a.example");
        write(dir.path(), "b.example");
        std::fs::write(dir.path().join("README"), "certbot leaves one").unwrap();
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        assert_eq!(folder.refresh(&tls).unwrap(), 2);
        // What is broken leaves the one before it in use.
        std::fs::write(dir.path().join("a.example/fullchain.pem"), "nonsense").unwrap();
        assert_eq!(folder.refresh(&tls).unwrap(), 2);
        std::fs::remove_dir_all(dir.path().join("b.example")).unwrap();
        assert_eq!(folder.refresh(&tls).unwrap(), 1);
        assert!(Folder::new(dir.path().join("nowhere")).refresh(&tls).is_err());
    }
}
