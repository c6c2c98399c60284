//! Mail comes in: LMTP (RFC 2033), SMTP for local recipients (RFC 5321) and submission (RFC 6409).
//!
//! Three services, one conversation: [`Service`] says which verbs greet, whether there is AUTH, and whether the end of
//! data is answered once or once per recipient. A message is accepted (250) only when every mailbox it was accepted
//! for has it on a quorum's disks.
//!
//! `codec` turns bytes into commands and replies into bytes, `session` keeps the conversation's state, `commands`
//! carries each verb out, `policy` is what the operator wants, `defence` keeps strangers at bay, `route` finds out where
//! a recipient lives, `identity` and `header` are for users who submit, `deliver` puts the message into the mailboxes
//! and the outbox, `errors` says our errors in SMTP's words.

mod codec;
mod commands;
mod config;
mod defence;
mod deliver;
mod dns;
mod errors;
mod header;
mod identity;
mod incoming;
mod journal;
mod policy;
mod route;
mod service;
mod session;

pub use config::SmtpConfig;
pub use defence::Defence;
pub use dns::{Dns, Unanswered};
pub use incoming::Budget;
pub use service::{Backend, Edge, Service, Smtp};
