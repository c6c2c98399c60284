//! Dialogues with the IMAP service over an in-memory pipe: text in, text out.

mod append;
mod faults;
mod fetch;
mod folders;
mod hostile;
mod metadata;
mod oracle;
mod search;
mod sessions;
mod sharing;
mod sign_in;
mod speed;
mod store;
mod support;
mod views;
