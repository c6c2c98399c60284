//! A node as a child process.

use anyhow::{Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use zcluster_runtime::timeout;

/// A child may take so long to stop when asked; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Lines of a log that are shown when its node did not start.
const TAIL_LINES: usize = 5;

/// A running node.
pub struct NodeProcess {
    child: Child,
    pid: u32,
    /// What it writes.
    pub log: PathBuf,
}

impl NodeProcess {
    /// Starts `zcluster serve --data DATA`. Must be called on the main thread: the child stops when the thread that
    /// started it ends.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(data: &Path, log: PathBuf) -> Result<NodeProcess> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let out = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(&program)
            .arg("serve")
            .arg("--with-parent")
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().unwrap_or_default();
        Ok(NodeProcess { child, pid, log })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The end of what it wrote.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// kill -9.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        if let (Some(_), Ok(pid)) = (self.child.id(), i32::try_from(self.pid)) {
            // SAFETY: a plain system call; the child has not been waited for, so that the id is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }

    /// Waits for it to stop, and kills it when it does not.
    pub async fn stopped(&mut self) {
        if timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
