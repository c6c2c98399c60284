//! Where a group's state lives on a node: the engine, the apply loop on it, snapshots, bodies, the change feed.
//!
//! One engine holds the rows of all groups ([`engine`]). A group's machine ([`Replicas::machine`]) applies its log in
//! batches that carry the position they lead to, so that what a crash leaves is always the state at some position,
//! and the log replays the rest. [`Replicas`] answers questions from consistent views and tells who follows a mailbox
//! of its changes. [`proposal`] turns commands into log payloads for the router, which knows no state machine.

mod body;
mod content;
mod discover;
mod doubt;
mod durable;
pub mod engine;
mod feed;
mod indexes;
mod keys;
mod kv;
pub mod layout;
mod machine;
mod meta;
mod node;
mod packed;
mod planted;
pub mod proposal;
mod replicas;
mod snapshot;
mod texts;
mod verdicts;

pub use body::{as_stored, check_stored};
pub use discover::{DISCOVER_MAX, Discovered, Sought, Told};
pub use engine::{MemoryEngine, RocksConfig, RocksEngine, StateEngine};
pub use feed::{Feed, Subscription};
pub use node::ClaimedOutgoing;
pub use replicas::{MailboxRead, ReplicaStatus, Replicas};
pub use texts::{MemoryTexts, TextConfig, TextState};
pub use zcluster_state::{
    Backlog, Bare, Count, DueObject, DueOutgoing, DuePage, KnownBlob, Look, LooseBody, MissingBlob, Namesakes,
    ObjectAt, PackedBody, Retained, RetainedPage, Space, Stage,
};
