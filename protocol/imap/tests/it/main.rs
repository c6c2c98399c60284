//! Dialogues with the IMAP service over an in-memory pipe: text in, text out.

mod append;
mod append_many;
mod catenate;
mod compress;
mod concurrent;
mod faults;
mod fetch;
mod finding;
mod folders;
mod hostile;
mod notify;
mod oracle;
mod replace;
mod qresync;
mod rev2;
mod search;
mod sessions;
mod sign_in;
mod speed;
mod store;
mod support;
mod url_auth;
mod utf8;
mod views;
