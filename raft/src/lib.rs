//! Agreement for many groups in one process, on openraft. Only this crate names openraft; payloads are opaque bytes.

pub mod machine;

pub use machine::{Applied, Entry, EntryKind, LogId, SnapshotSink, SnapshotSource, StateMachine};
