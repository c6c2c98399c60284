//! What a command means: the pure state machines of the directory and of mailboxes.
//!
//! Nothing here knows a clock, chance, threads, I/O, floating point or a hash map's order: replicas that apply the
//! same log hold the same bytes. [`apply`] changes a group's tables by one [`Proposal`]; [`read_mailbox`] and
//! [`read_directory`] answer questions from them; [`body_chunk`] reads stored bodies. Storage is behind [`Kv`].
//! [`memory::Memory`] binds it all into a back end in one process, for tests of the floors above.

mod apply;
mod bodies;
mod content;
mod directory;
mod group;
mod kv;
mod mailbox;
pub mod memory;
mod objects;
pub mod planted;
mod proposal;
mod replies;

pub use apply::apply;
pub use bodies::{body_chunk, body_place};
pub use content::{Candidate, Content};
pub use directory::{Bare, read_account, read_directory};
pub use kv::{Kv, KvRead, Table, Visit};
pub use mailbox::{
    Asking, DueOutgoing, DuePage, Look, due_outgoing, outgoing, read_mailbox, read_mailbox_as, read_mailbox_with,
};
pub use mailbox::{ColdMessage, cold_message};
pub use mailbox::{FolderIndex, Indexes, NoIndexes};
pub use mailbox::{Retained, RetainedPage, retained, traits};
pub use objects::{Backlog, Count, DueObject, LooseBody, ObjectAt, PackedBody, Space, Stage};
pub use objects::{KnownBlob, MissingBlob, Namesakes, blobs, namesakes, references};
pub use objects::{backlog, due_objects, loose_bodies, objects, packed_bodies, space};
pub use proposal::{Applied, Change, Effect, Proposal, Reply, Stamp};
