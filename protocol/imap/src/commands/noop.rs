//! NOOP and CHECK (RFC 3501 §6.1.2, §6.4.1): the times to tell everything. All is on disk already.

use super::annotations;
use crate::errors::{Answer, Reply};
use crate::session::{Expunges, Session, passed_over};

pub async fn noop(s: &mut Session, text: &'static str) -> Answer {
    if s.selected.is_some() {
        s.sync(Expunges::Tell, &[]).await?;
    }
    if s.annotations.is_some() {
        let looked = Box::pin(annotations::look(s)).await;
        passed_over(looked)?;
    }
    Ok(Reply::Ok(text.into()))
}
