//! STARTTLS (RFC 3501 §6.2.1).

use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;

/// Nothing that was said before counts afterwards; input sent behind the command breaks the connection (the listener
/// sees to it).
pub async fn starttls(s: &mut Session, tag: &str) -> Answer {
    if !s.connection.can_start_tls() {
        return Err(Failure::bad(if s.connection.is_tls() { "TLS is on already" } else { "TLS is not offered here" }));
    }
    s.line(format_args!("{tag} OK begin TLS negotiation now"));
    s.spill().await?;
    s.connection.start_tls().await?;
    Ok(Reply::Sent)
}
