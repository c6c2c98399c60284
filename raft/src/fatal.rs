//! The one way out for failures after which this process must not go on.

use std::sync::Arc;
use zcluster_runtime::watch;

/// Where a failed disk write or a dead group core is reported. The node watches it and stops the process: after a
/// failed fsync the page cache and the disk may differ in ways no code can know, so nothing is ever retried.
#[derive(Clone)]
pub struct Fatal(Arc<watch::Sender<Option<String>>>);

impl Default for Fatal {
    fn default() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }
}

impl Fatal {
    /// Nothing reported yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Reports a failure. The first one stands.
    pub fn report(&self, what: impl Into<String>) {
        let what = what.into();
        tracing::error!(reason = %what, "this node cannot go on");
        self.0.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(what);
            }
            first
        });
    }
    /// What was reported first.
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }
    /// To wait for a report.
    pub fn subscribe(&self) -> watch::Receiver<Option<String>> {
        self.0.subscribe()
    }
    /// Ends with the first report.
    pub async fn wait(&self) -> String {
        let mut seen = self.subscribe();
        loop {
            if let Some(reason) = self.reason() {
                return reason;
            }
            // `self` holds a sender, so that the channel is never closed.
            let _ = seen.changed().await;
        }
    }
}
