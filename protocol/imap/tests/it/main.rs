//! Dialogues with the IMAP service over an in-memory pipe: text in, text out.

mod append;
mod concurrent;
mod faults;
mod fetch;
mod folders;
mod hostile;
mod notify;
mod oracle;
mod qresync;
mod rev2;
mod search;
mod sessions;
mod sign_in;
mod speed;
mod store;
mod support;
mod views;
