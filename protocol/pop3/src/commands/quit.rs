//! QUIT (RFC 1939 §4, §6).

use crate::errors::{Next, Outcome, refusal};
use crate::session::{Session, State};

/// Says goodbye; after sign-in it first carries the marks out, and says so only once that is durable.
pub async fn run(session: &mut Session) -> Outcome {
    let State::Transaction(maildrop) = &session.state else {
        session.ok("goodbye");
        return Ok(Next::Close);
    };
    // Only a hint to other clients: not worth an error.
    if let Err(error) = maildrop.mark_read(&session.service).await {
        tracing::info!(account = %maildrop.account, %error, "cannot mark retrieved messages as read");
    }
    match maildrop.delete_marked(&session.service).await {
        Ok(deleted) => session.ok(&format!("goodbye, {deleted} messages deleted")),
        // RFC 1939 §6: the client must learn that some are still there, and the session ends all the same.
        Err(error) => {
            tracing::info!(account = %maildrop.account, %error, "cannot delete messages at the end of a session");
            let text = format!("-ERR {}: some deleted messages not removed\r\n", refusal(&error));
            session.conn.push(text.as_bytes());
        }
    }
    Ok(Next::Close)
}
