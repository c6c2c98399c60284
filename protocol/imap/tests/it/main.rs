//! Dialogues with the IMAP service over an in-memory pipe: text in, text out.

mod append;
mod faults;
mod fetch;
mod finding;
mod folders;
mod hostile;
mod oracle;
mod search;
mod sessions;
mod sign_in;
mod speed;
mod store;
mod support;
mod views;
