//! NOOP (RFC 1939 §5).

use crate::errors::{Next, Outcome};
use crate::session::Session;

/// Does nothing.
pub fn run(session: &mut Session) -> Outcome {
    session.maildrop()?;
    session.ok("done");
    Ok(Next::Command)
}
