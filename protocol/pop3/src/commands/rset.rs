//! RSET (RFC 1939 §5).

use crate::errors::{Next, Outcome};
use crate::session::Session;

/// Takes all marks back.
pub fn run(session: &mut Session) -> Outcome {
    let maildrop = session.maildrop()?;
    maildrop.reset();
    let (messages, octets) = maildrop.totals();
    session.ok(&format!("{messages} messages ({octets} octets)"));
    Ok(Next::Command)
}
