//! LISTSCRIPTS (RFC 5804 §2.7).

use super::scripts;
use crate::codec::reply::{Reply, string};
use crate::errors::Outcome;
use crate::session::Session;

/// Names the scripts and says which is active.
pub async fn run(session: &mut Session) -> Outcome {
    let mut out = Vec::new();
    for script in scripts::list(session).await? {
        string(&mut out, script.name.as_bytes());
        out.extend_from_slice(if script.active { b" ACTIVE\r\n" } else { b"\r\n" });
    }
    session.conn.write(&out).await?;
    Ok(Reply::ok(""))
}
