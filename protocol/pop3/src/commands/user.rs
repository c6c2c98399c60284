//! USER (RFC 1939 §7).

use crate::errors::{Next, Outcome, refused};
use crate::session::{Session, State};

/// Takes the name down. Whether there is such a user is told only with the password.
pub fn run(session: &mut Session, name: &str) -> Outcome {
    session.before_sign_in()?;
    if !session.may_send_passwords() {
        return Err(refused("plaintext authentication refused, use STLS first"));
    }
    session.state = State::Authorization(Some(name.to_owned()));
    session.ok("send PASS");
    Ok(Next::Command)
}
