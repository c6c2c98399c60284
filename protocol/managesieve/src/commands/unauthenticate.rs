//! UNAUTHENTICATE (RFC 5804 §2.14).

use crate::codec::reply::Reply;
use crate::errors::Outcome;
use crate::session::Session;

/// Signs out. TLS stays.
pub fn run(session: &mut Session) -> Outcome {
    session.user()?;
    session.await_sign_in();
    Ok(Reply::ok(""))
}
