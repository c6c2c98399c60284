//! The words all floors share: ids, items, commands, errors and the two API traits.
//!
//! Every protocol front-end speaks to [`MailboxApi`] and [`DirectoryApi`] only; the real implementation is the
//! router. The types here are also what is written into the Raft log and sent between nodes, in CBOR with numbered
//! fields (see [`codec`]): a newer node may add optional fields and new variants, never re-use a number.
//!
//! This crate knows no async runtime, no storage and no outside protocol.

pub mod body;
pub mod codec;
pub mod delivery;
pub mod directory;
pub mod error;
pub mod find;
pub mod ids;
pub mod mailbox;
pub mod pack;
pub mod queue;
pub mod search;
pub mod sharing;
pub mod sort;
pub mod text;
pub mod traits;
pub mod uids;
pub mod volume;

pub use body::{BlobRef, Body, Codec, Place, PreparedBody};
pub use bytes::Bytes;
pub use directory::{DirectoryCommand, DirectoryQuery, DirectoryReply};
pub use error::{Error, Result};
pub use find::{Find, FindBy, FindCursor, FindKey, FindOrder, Hit};
pub use ids::*;
pub use mailbox::{Flags, MailboxCommand, MailboxQuery, MailboxReply, Receipt};
pub use pack::{BodiesCommand, BodiesReceipt};
pub use search::{SearchExpr, TextField, Words};
pub use text::{TextDoc, TextIndex, TextIndexes, TextView};
pub use traits::{Actor, BodyStream, Call, Carried, Carrier, DirectoryApi, Freshness, Letter, MailboxApi};
pub use uids::UidSet;
pub use volume::{Listed, VolumeUse, Volumes};
