//! Mail comes in: LMTP (RFC 2033), SMTP for local recipients (RFC 5321) and submission (RFC 6409).
//!
//! Three services, one conversation: [`Service`] says which verbs greet, whether there is AUTH, and whether the end of
//! data is answered once or once per recipient. A message is accepted (250) only when every mailbox it was accepted
//! for has it on a quorum's disks.
//!
//! `codec` turns bytes into commands and replies into bytes, `session` keeps the conversation's state, `commands`
//! carries each verb out, `deliver` puts the message into the mailboxes, `errors` says our errors in SMTP's words.

mod codec;
mod commands;
mod config;
mod deliver;
mod errors;
mod incoming;
mod service;
mod session;

pub use config::SmtpConfig;
pub use incoming::Budget;
pub use service::{Backend, Service, Smtp};
