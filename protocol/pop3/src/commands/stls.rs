//! STLS (RFC 2595 §4).

use crate::errors::{Failure, Next, Outcome, refused};
use crate::session::{Session, State};

/// Makes the handshake. What was known about the client before is forgotten.
pub async fn run(session: &mut Session) -> Outcome {
    session.before_sign_in()?;
    if session.conn.is_tls() {
        return Err(refused("TLS is already active"));
    }
    if !session.conn.can_start_tls() {
        return Err(refused("TLS is not available"));
    }
    session.ok("begin TLS");
    match session.conn.start_tls().await {
        Ok(()) => {
            session.state = State::Authorization(None);
            Ok(Next::Command)
        }
        Err(error) => {
            tracing::debug!(%error, "tls handshake failed");
            Err(Failure::Ended)
        }
    }
}
