//! The data directory: who this node is, its keys, and who may use it.
//!
//! ```text
//! LOCK            held by the running process
//! node.json       cluster, number, incarnation, where the configuration is
//! FENCE           how far the log was synced (raft)
//! tls/            cluster CA, node certificate and key, self-signed client pair
//! admin.secret    lets commands on this machine in
//! reports.json    counts for the reports of the day (relay)
//! bootstrap.json  what `init` was told, until the first start has done it
//! log/ state/     databases
//! volume-cache/   copies of what was read of volumes; may be removed
//! ```

use crate::config::Overrides;
use crate::pki::Pair;
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The layout described here.
const FORMAT: u32 = 1;
/// Only the owner reads what is in the directory.
const PRIVATE_DIR: u32 = 0o700;
/// See [`PRIVATE_DIR`].
const PRIVATE_FILE: u32 = 0o600;

/// Who this node is (`node.json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// Version of the layout.
    pub format: u32,
    /// The cluster's id.
    pub cluster: String,
    /// Node number.
    pub number: u32,
    /// Disk incarnation: raised when the log has lost data.
    pub incarnation: u16,
    /// Whether the databases were ever opened: from then on their absence is a loss.
    pub started: bool,
    /// Where the configuration is, and flags that stand above it.
    pub overrides: Overrides,
    /// Peers' addresses by raft node id, as last known: the first ones to dial.
    pub peers: BTreeMap<u64, String>,
}

impl NodeFile {
    /// For a node that was never started.
    pub fn new(cluster: &str, number: u32, overrides: Overrides) -> NodeFile {
        NodeFile {
            format: FORMAT,
            cluster: cluster.to_string(),
            number,
            incarnation: 0,
            started: false,
            overrides,
            peers: BTreeMap::new(),
        }
    }

    /// The raft node id.
    pub fn id(&self) -> u64 {
        (u64::from(self.number) << 16) | u64::from(self.incarnation)
    }
}

/// A data directory.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Names a directory; nothing is looked at yet.
    pub fn at(path: &Path) -> DataDir {
        DataDir(path.to_path_buf())
    }
    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// The log database.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }
    /// The state database.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }
    /// The fence file.
    pub fn fence(&self) -> PathBuf {
        self.0.join("FENCE")
    }
    fn node_file(&self) -> PathBuf {
        self.0.join("node.json")
    }
    fn tls(&self, name: &str) -> PathBuf {
        self.0.join("tls").join(name)
    }

    /// Makes the directory ready for a new node.
    ///
    /// # Errors
    /// It belongs to a node already, or cannot be written.
    pub fn create(&self) -> Result<Lock> {
        if let Ok(node) = self.read_node() {
            bail!(
                "{} already belongs to node {} of cluster {}: start it with `zcluster serve --data {}`, or choose an \
                 empty directory",
                self.0.display(),
                node.number,
                node.cluster,
                self.0.display()
            );
        }
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(PRIVATE_DIR);
        builder.create(self.0.join("tls")).with_context(|| format!("cannot create {}", self.0.display()))?;
        for (path, what) in [(self.log(), "log"), (self.state(), "state"), (self.fence(), "fence")] {
            if path.exists() {
                bail!(
                    "{} holds a {what} but no node.json: it is what is left of another node. Choose an empty directory",
                    self.0.display()
                );
            }
        }
        self.lock()
    }

    /// Takes the directory for this process.
    ///
    /// # Errors
    /// Another process has it.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.0.join("LOCK");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE_FILE)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(std::fs::TryLockError::WouldBlock) => {
                bail!("another zcluster process uses {}: stop it first", self.0.display())
            }
            Err(std::fs::TryLockError::Error(e)) => Err(e).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Who this node is.
    ///
    /// # Errors
    /// Says what to do when there is no node here.
    pub fn read_node(&self) -> Result<NodeFile> {
        let path = self.node_file();
        if !path.exists() {
            bail!(
                "there is no node in {}: make one with `zcluster init` (a new cluster) or `zcluster join` (a member of \
                 an existing one)",
                self.0.display()
            );
        }
        let node: NodeFile = self.read_json("node.json")?;
        if node.format != FORMAT {
            bail!("{} has format {}, this program knows {FORMAT}: use a newer zcluster", path.display(), node.format);
        }
        Ok(node)
    }

    /// Writes who this node is.
    ///
    /// # Errors
    /// The disk.
    pub fn write_node(&self, node: &NodeFile) -> Result<()> {
        self.write_json("node.json", node)
    }

    /// Reads a JSON file.
    ///
    /// # Errors
    /// Unreadable, or not what it should be.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.0.join(name);
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Writes a JSON file, atomically and durably.
    ///
    /// # Errors
    /// The disk.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        write_durably(&self.0.join(name), &serde_json::to_vec_pretty(value)?)
    }

    /// Removes a file, durably.
    ///
    /// # Errors
    /// The disk.
    pub fn remove(&self, name: &str) -> Result<()> {
        match std::fs::remove_file(self.0.join(name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(File::open(&self.0)?.sync_all()?),
        }
    }

    /// Stores the cluster CA's certificate and this node's pair.
    ///
    /// # Errors
    /// The disk.
    pub fn write_cluster_tls(&self, ca_pem: &str, node: &Pair) -> Result<()> {
        write_durably(&self.tls("ca.pem"), ca_pem.as_bytes())?;
        write_durably(&self.tls("node.key"), node.key_pem.as_bytes())?;
        write_durably(&self.tls("node.pem"), node.cert_pem.as_bytes())
    }

    /// The cluster CA's certificate.
    ///
    /// # Errors
    /// Unreadable.
    pub fn ca_pem(&self) -> Result<String> {
        read_text(&self.tls("ca.pem"))
    }

    /// This node's pair for the cluster.
    ///
    /// # Errors
    /// Unreadable.
    pub fn node_pair(&self) -> Result<Pair> {
        Ok(Pair { cert_pem: read_text(&self.tls("node.pem"))?, key_pem: read_text(&self.tls("node.key"))? })
    }

    /// The self-signed pair for clients.
    ///
    /// # Errors
    /// The disk.
    pub fn write_client_tls(&self, pair: &Pair) -> Result<()> {
        write_durably(&self.tls("client.key"), pair.key_pem.as_bytes())?;
        write_durably(&self.tls("client.pem"), pair.cert_pem.as_bytes())
    }

    /// Where the indexes of texts are. May be removed while the node is stopped: they are made anew.
    pub fn texts(&self) -> PathBuf {
        self.path().join("texts")
    }

    /// Where copies of what was read of volumes are kept.
    pub fn volume_cache(&self) -> PathBuf {
        self.path().join("volume-cache")
    }

    /// Paths of the self-signed pair for clients: certificate, key.
    pub fn client_tls(&self) -> (PathBuf, PathBuf) {
        (self.tls("client.pem"), self.tls("client.key"))
    }

    /// Makes the secret that lets commands on this machine in.
    ///
    /// # Errors
    /// The disk.
    pub fn write_admin_secret(&self) -> Result<()> {
        let secret: [u8; 32] = zcluster_runtime::random_bytes();
        let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
        write_durably(&self.0.join("admin.secret"), hex.as_bytes())
    }

    /// The secret that lets commands on this machine in.
    ///
    /// # Errors
    /// Unreadable: says whose it is.
    pub fn admin_secret(&self) -> Result<String> {
        let path = self.0.join("admin.secret");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("cannot read {}: run the command as the user that runs the node, or use --server", path.display())
        })?;
        Ok(text.trim().to_string())
    }
}

/// Held while a process uses the directory; the kernel releases it with the process.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, not used")] File);

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes beside, syncs, renames, syncs the directory: after a crash there is the old file or the new one.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || -> std::io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(PRIVATE_FILE).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    attempt().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_is_taken_once_and_its_files_are_private() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::at(&temp.path().join("n1"));
        assert!(dir.read_node().unwrap_err().to_string().contains("zcluster init"));
        let lock = dir.create().unwrap();
        assert!(dir.lock().unwrap_err().to_string().contains("another zcluster process"));
        let node = NodeFile::new("c", 3, Overrides::default());
        dir.write_node(&node).unwrap();
        assert_eq!(dir.read_node().unwrap(), node);
        dir.write_admin_secret().unwrap();
        let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("admin.secret"), mode("node.json"), mode("tls")), (0o600, 0o600, 0o700));
        drop(lock);
        assert!(dir.create().unwrap_err().to_string().contains("node 3 of cluster c"));
    }

    #[test]
    fn leftovers_without_a_node_are_not_built_upon() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("log")).unwrap();
        assert!(DataDir::at(temp.path()).create().unwrap_err().to_string().contains("empty directory"));
    }
}
