//! Agreement for many groups in one process, on openraft. Only this crate names openraft; payloads are opaque bytes.
//!
//! [`MultiRaft`] owns this node's groups, [`Group`] is a handle to one of them, [`StateMachine`] is what a group's log
//! is applied to, and [`LogEngine`] is where all groups' logs are kept.

mod codec;
mod config;
mod error;
mod fatal;
pub mod fence;
mod gauges;
mod group;
pub mod log;
mod log_store;
pub mod machine;
mod multi;
mod network;
mod runtime;
mod service;
mod state_machine;
mod status;
mod types;
mod wire;

pub use config::Config;
pub use error::{AdminError, ProposeError, ReadError};
pub use fatal::Fatal;
pub use fence::{Fence, FenceState};
pub use group::Group;
pub use log::LogEngine;
pub use machine::{Applied, Entry, EntryKind, LogId, SnapshotSink, SnapshotSource, StateMachine};
pub use multi::MultiRaft;
pub use status::{FollowerLag, GroupStatus, Leadership, Role};
