//! LOGOUT (RFC 5804 §2.3).

use crate::codec::reply::Reply;
use crate::errors::Outcome;
use crate::session::Session;

/// Says goodbye.
pub fn run(session: &mut Session) -> Outcome {
    session.leaving = true;
    Ok(Reply::ok("goodbye"))
}
