//! LIST (RFC 1939 §5).

use crate::errors::{Failure, Next, Outcome};
use crate::session::{Entry, Maildrop, Session, State};

/// Lines gathered before they are handed to the connection.
const LINES_AT_ONCE: usize = 500;

/// Tells the sizes.
pub async fn run(session: &mut Session, which: Option<u32>) -> Outcome {
    scan(session, which, |_, entry| entry.size.to_string()).await
}

/// A scan listing of one message, or of all not marked as deleted, which `tell` writes (LIST and UIDL).
pub async fn scan(session: &mut Session, which: Option<u32>, tell: fn(&Maildrop, &Entry) -> String) -> Outcome {
    let maildrop = session.maildrop()?;
    if let Some(number) = which {
        let entry = *maildrop.get(number)?;
        let text = format!("{number} {}", tell(maildrop, &entry));
        session.ok(&text);
        return Ok(Next::Command);
    }
    let (messages, octets) = maildrop.totals();
    session.ok(&format!("{messages} messages ({octets} octets)"));
    let State::Transaction(maildrop) = &session.state else { return Err(Failure::Ended) };
    let mut alive = maildrop.alive().peekable();
    while alive.peek().is_some() {
        let lines: String =
            alive.by_ref().take(LINES_AT_ONCE).map(|(n, e)| format!("{n} {}\r\n", tell(maildrop, e))).collect();
        session.conn.write(lines.as_bytes()).await?;
    }
    session.conn.write(b".\r\n").await?;
    Ok(Next::Command)
}
