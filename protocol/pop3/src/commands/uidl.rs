//! UIDL (RFC 1939 §7).

use super::list::scan;
use crate::errors::Outcome;
use crate::session::{Maildrop, Session};

/// Tells the unique ids.
pub async fn run(session: &mut Session, which: Option<u32>) -> Outcome {
    scan(session, which, Maildrop::unique_id).await
}
