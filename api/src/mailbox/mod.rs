//! The mailbox: folders, items, commands that change them and queries that read them.

mod command;
mod dumpster;
mod items;
mod query;
mod receipt;
mod reply;

pub use command::{KeywordChange, MailboxCommand};
pub use dumpster::*;
pub use items::*;
pub use query::MailboxQuery;
pub use receipt::{Receipt, StoredFlags};
pub use reply::MailboxReply;
