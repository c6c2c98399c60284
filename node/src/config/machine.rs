//! `[limits]`, `[storage]`, `[raft]`, `[log]`: what the node takes of its machine.

use serde::{Deserialize, Serialize};

/// Bounds per listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections to one port at a time.
    pub connections: usize,
    /// Connections from one address to one port; 0 = no limit.
    pub connections_per_address: usize,
    /// Seconds sessions may go on when the node stops.
    pub stop_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 20_000, connections_per_address: 1_000, stop_seconds: 5 }
    }
}

/// Memory and disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Bytes of the state database's block cache.
    pub cache_bytes: u64,
    /// Bytes of the state database's write buffers.
    pub write_buffer_bytes: u64,
    /// Bytes of memory for what searches have read of folders; 0: nothing is kept between searches.
    pub folder_index_bytes: u64,
    /// Bytes on the node's disk for copies of what was read of volumes; 0: none are kept there.
    pub volume_cache_bytes: u64,
    /// Bytes of memory for the newest of them.
    pub volume_memory_bytes: u64,
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            cache_bytes: 256 * 1024 * 1024,
            write_buffer_bytes: 128 * 1024 * 1024,
            folder_index_bytes: 128 * 1024 * 1024,
            volume_cache_bytes: 1024 * 1024 * 1024,
            volume_memory_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Indexes of the texts of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Keep them. Without, searches for words are refused, and IMAP's look into every message.
    pub index: bool,
    /// Seconds until a new message is in an index; searches find it at once.
    pub every_seconds: u64,
    /// Indexes that are written at a time; each takes `writer_bytes`.
    pub parallel: usize,
    /// Bytes of memory for writing one.
    pub writer_bytes: u64,
    /// Processes that get texts out of attached files; 0: these are not searched.
    pub readers: usize,
    /// Seconds one file may take.
    pub file_seconds: u64,
    /// Bytes of memory that one reader may take.
    pub reader_bytes: u64,
}

impl Default for Search {
    fn default() -> Self {
        Search {
            index: true,
            every_seconds: 3,
            parallel: 2,
            writer_bytes: 32 * 1024 * 1024,
            readers: 2,
            file_seconds: 20,
            reader_bytes: 512 * 1024 * 1024,
        }
    }
}

/// Failure detection. The same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raft {
    /// Milliseconds between two heartbeats of a leader.
    pub heartbeat_ms: u64,
    /// Shortest wait before an election, milliseconds.
    pub election_min_ms: u64,
    /// Longest wait before an election, and a leader's lease, milliseconds.
    pub election_max_ms: u64,
}

impl Default for Raft {
    fn default() -> Self {
        Raft { heartbeat_ms: 250, election_min_ms: 700, election_max_ms: 1_000 }
    }
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// A level, or `tracing` directives.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Text, filter: "info".into() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}
