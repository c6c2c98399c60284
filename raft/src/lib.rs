//! Agreement for many groups in one process, on openraft. Only this crate names openraft; payloads are opaque bytes.
//!
//! [`MultiRaft`] owns this node's groups, [`Group`] is a handle to one of them, [`StateMachine`] is what a group's log
//! is applied to, and [`LogEngine`] is where all groups' logs are kept.

mod config;
mod error;
mod fatal;
mod group;
pub mod log;
pub mod machine;
mod multi;
mod status;

pub use config::Config;
pub use error::{AdminError, ProposeError, ReadError};
pub use fatal::Fatal;
pub use group::Group;
pub use log::LogEngine;
pub use machine::{Applied, Entry, EntryKind, LogId, SnapshotSink, SnapshotSource, StateMachine};
pub use multi::MultiRaft;
pub use status::{FollowerLag, GroupStatus, Leadership, Role};
