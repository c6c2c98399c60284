//! One file per verb; the small ones are in [`crate::session`].

mod auth;
mod bdat;
mod burl;
mod data;
mod hello;
mod mail;
mod message;
mod rcpt;
mod starttls;
