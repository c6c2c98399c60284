//! STARTTLS (RFC 5804 §2.2).

use super::capability;
use crate::codec::reply::Reply;
use crate::errors::{End, Failure, Outcome, refused};
use crate::session::Session;

/// Makes the handshake and tells what is on offer now. What was known about the client before is forgotten; what it
/// sent in plain text behind the command ends the connection (the listener sees to it).
pub async fn run(session: &mut Session) -> Outcome {
    session.before_sign_in()?;
    if session.conn.is_tls() {
        return Err(refused("TLS is already active"));
    }
    if !session.conn.can_start_tls() {
        return Err(refused("TLS is not available"));
    }
    session.conn.push(b"OK \"begin TLS\"\r\n");
    if let Err(error) = session.conn.start_tls().await {
        tracing::debug!(%error, "tls handshake failed");
        return Err(Failure::End(End::Lost));
    }
    session.await_sign_in();
    capability::list(session);
    Ok(Reply::ok("TLS is active"))
}
