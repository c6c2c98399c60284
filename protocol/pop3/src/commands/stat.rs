//! STAT (RFC 1939 §5).

use crate::errors::{Next, Outcome};
use crate::session::Session;

/// Tells count and octets.
pub fn run(session: &mut Session) -> Outcome {
    let (messages, octets) = session.maildrop()?.totals();
    session.ok(&format!("{messages} {octets}"));
    Ok(Next::Command)
}
