//! Where all groups' logs and votes of a node are kept.

use crate::Fatal;

/// A node's log store, shared by all its groups.
pub trait LogEngine: Send + Sync + 'static {
    /// Where failures are reported.
    fn fatal(&self) -> &Fatal;
}
