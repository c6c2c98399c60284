//! DELE (RFC 1939 §5).

use crate::errors::{Next, Outcome};
use crate::session::Session;

/// Marks a message; it goes at QUIT.
pub fn run(session: &mut Session, number: u32) -> Outcome {
    session.maildrop()?.get(number)?.deleted = true;
    session.ok(&format!("message {number} deleted"));
    Ok(Next::Command)
}
