//! The process: limits, signals, the service manager.

use anyhow::Result;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zcluster_runtime::{Either, select};

/// Raises the limit of open files to what is allowed, and ties the process to its parent if asked.
pub fn prepare(with_parent: bool) {
    raise_open_files();
    if with_parent {
        stop_with_parent();
    }
}

fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the call to fill.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 || limit.rlim_cur >= limit.rlim_max {
        return;
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        tracing::warn!(limit = before, "cannot raise the limit of open files");
    }
}

fn stop_with_parent() {
    // SAFETY: plain system calls without pointers.
    let parent = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        libc::getppid()
    };
    // The parent was gone before the call took effect.
    if parent == 1 {
        tracing::warn!("the parent process is gone");
        // SAFETY: a signal to ourselves.
        unsafe { libc::raise(libc::SIGTERM) };
    }
}

/// The signals that mean something.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes them over from here on.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn new() -> Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the signal to stop; SIGHUP reloads.
    pub async fn until_stop(mut self, reload: impl Fn()) -> &'static str {
        loop {
            match select(select(self.terminate.recv(), self.interrupt.recv()), self.hang_up.recv()).await {
                Either::Left(Either::Left(_)) => return "SIGTERM",
                Either::Left(Either::Right(_)) => return "SIGINT",
                Either::Right(_) => reload(),
            }
        }
    }
}

/// Tells systemd that the node serves.
pub fn tell_ready() {
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        tracing::warn!(%error, "cannot tell the service manager that the node is ready");
    }
}

/// Tells systemd that the node stops.
pub fn tell_stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
