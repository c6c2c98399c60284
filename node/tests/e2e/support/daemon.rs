//! Servers of others that a test runs beside the cluster.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::eventually;

/// How long a server may take until it answers: clamd and rspamd compile their rules first.
const STARTUP: Duration = Duration::from_secs(90);

/// A server in the foreground, killed at the end.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it and waits until it takes connections. What it says goes into a file in `folder`.
    pub fn start(name: &str, command: &mut Command, folder: &Path, port: u16) -> Self {
        let this = Self::start_silent(name, command, folder);
        eventually(&format!("{name} listens; {}", this.said()), STARTUP, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        this
    }

    /// Starts it.
    pub fn start_silent(name: &str, command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run deploy/prerequisites test"));
        Self { child, log }
    }

    /// What it has said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} says:\n{}", self.log.display(), self.said());
        }
        // Politely first: some have children of their own.
        // SAFETY: kill takes no pointers; the child has not been reaped.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        for _ in 0..50 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
