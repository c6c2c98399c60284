//! UTF8 (RFC 6856 §2.1).

use crate::errors::{Next, Outcome};
use crate::session::Session;

/// Switches to UTF-8 mode. Nothing changes: names and passwords are UTF-8 anyway, and messages are sent as they were
/// accepted, with or without it.
pub fn run(session: &mut Session) -> Outcome {
    session.before_sign_in()?;
    session.ok("UTF8 enabled");
    Ok(Next::Command)
}
