//! COMPRESS (RFC 4978).

use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;

/// The tagged OK is the last thing that goes out plain, and nothing that comes in is plain behind it.
pub async fn compress(s: &mut Session, tag: &str, mechanism: &str) -> Answer {
    if mechanism != "DEFLATE" {
        return Err(Failure::no("[CANNOT] the only algorithm is DEFLATE"));
    }
    if s.connection.is_deflated() {
        return Err(Failure::no("[COMPRESSIONACTIVE] DEFLATE is on already"));
    }
    // RFC 4978 §3: a client waits for the answer. One that does not cannot be understood from here on.
    if !s.connection.buffered().is_empty() {
        return Err(Failure::bad("nothing may be sent behind COMPRESS before it is answered"));
    }
    s.line(format_args!("{tag} OK DEFLATE active"));
    s.spill().await?;
    s.connection.start_deflate().await?;
    Ok(Reply::Sent)
}
