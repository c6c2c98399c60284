//! NOOP and CHECK (RFC 3501 §6.1.2, §6.4.1): the times to tell everything. All is on disk already.

use crate::errors::{Answer, Reply};
use crate::session::{Expunges, Session};

pub async fn noop(s: &mut Session, text: &'static str) -> Answer {
    if s.selected.is_some() {
        s.sync(Expunges::Tell, &[]).await?;
    }
    Ok(Reply::Ok(text.into()))
}
