//! A node of its own, and its commands.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};

use crate::process::Watch;

/// A running node; it is killed when it is dropped.
pub struct Node {
    /// The process.
    pub child: Child,
    data: PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// Starts it.
    pub fn serve(zcluster: &Path, data: &Path) -> Result<Node> {
        Self::serve_with(zcluster, data, &[])
    }
    /// Starts it with more arguments.
    pub fn serve_with(zcluster: &Path, data: &Path, more: &[&str]) -> Result<Node> {
        let log = File::options().create(true).append(true).open(data.with_extension("log"))?;
        let mut serve = Command::new(zcluster);
        serve.args(["serve", "--data"]).arg(data).args(more).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Node { child: serve.spawn()?, data: data.to_owned() })
    }
    /// Its CPU time and memory.
    pub fn watch(&self) -> Watch {
        Watch::new(&[self.child.id()])
    }
    /// Bytes of the node's folder.
    pub fn disk(&self) -> u64 {
        disk(&self.data)
    }
}

/// Bytes that all files below a folder take on the disk: a sparse file takes less than its length.
pub fn disk(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |e: fs::DirEntry| match e.metadata() {
        Ok(m) if m.is_dir() => disk(&e.path()),
        Ok(m) => m.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Runs a command of the binary and tells what it printed.
pub fn run(zcluster: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(zcluster).args(arguments).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "zcluster {}: {error}{text}", arguments.join(" "));
    Ok(text)
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
