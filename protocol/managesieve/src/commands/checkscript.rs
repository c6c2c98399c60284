//! CHECKSCRIPT (RFC 5804 §2.12).

use super::scripts;
use crate::errors::Outcome;
use crate::session::Session;
use zcluster_api::Bytes;

/// Says whether a script makes sense; nothing is stored, and how much is stored already does not matter.
pub async fn run(session: &mut Session, source: Bytes) -> Outcome {
    session.user()?;
    scripts::check(session, &source).await
}
