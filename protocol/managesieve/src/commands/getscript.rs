//! GETSCRIPT (RFC 5804 §2.9).

use super::scripts;
use crate::codec::reply::{Reply, literal};
use crate::errors::Outcome;
use crate::session::Session;

/// Shows a script, byte for byte as it was stored: always as a literal, which all clients take.
pub async fn run(session: &mut Session, name: String) -> Outcome {
    let source = scripts::text(session, &name).await?;
    let mut out = Vec::with_capacity(source.len() + 32);
    literal(&mut out, &source);
    out.extend_from_slice(b"\r\n");
    session.conn.write(&out).await?;
    Ok(Reply::ok(""))
}
