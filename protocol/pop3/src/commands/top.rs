//! TOP (RFC 1939 §7).

use super::retr::send;
use crate::codec::wire::Wire;
use crate::errors::{Next, Outcome};
use crate::session::Session;

/// Sends a message's header and the first lines of its body. Looking is not reading: the message stays unread.
pub async fn run(session: &mut Session, number: u32, lines: u64) -> Outcome {
    send(session, number, "top of message follows", Wire::top(lines)).await?;
    Ok(Next::Command)
}
