//! IDLE (RFC 2177): news as they come.

use crate::config::LINE_BYTES_MAX;
use crate::errors::{Answer, End, Failure, Reply};
use crate::session::{Expunges, Session, passed_over};
use futures::StreamExt;
use futures::stream::BoxStream;
use zcluster_api::ModSeq;
use zcluster_listener::{Line, ReadError};
use zcluster_runtime::{Either, select};

/// Counts a session as idling while it lives.
struct Idling;

impl Idling {
    fn begin() -> Self {
        metrics::gauge!("zcluster_imap_idling").increment(1.0);
        Idling
    }
}

impl Drop for Idling {
    fn drop(&mut self) {
        metrics::gauge!("zcluster_imap_idling").decrement(1.0);
    }
}

pub async fn idle(s: &mut Session) -> Answer {
    let _idling = Idling::begin();
    s.connection.push(b"+ idling\r\n");
    let mut news = watch(s).await?;
    loop {
        s.send().await?;
        let wake = match &mut news {
            Some(news) => select(s.connection.read_line(LINE_BYTES_MAX), news.next()).await,
            None => Either::Left(s.connection.read_line(LINE_BYTES_MAX).await),
        };
        match wake {
            Either::Left(line) => return done(line),
            Either::Right(Some(_)) => look(s).await?,
            // The mailbox is gone: the client finds out when it next asks for something.
            Either::Right(None) => news = None,
        }
    }
}

/// Tells what happened so far, then follows the mailbox. Without a selected mailbox there is nothing to tell.
async fn watch(s: &mut Session) -> Result<Option<BoxStream<'static, ModSeq>>, Failure> {
    if s.selected.is_none() {
        return Ok(None);
    }
    look(s).await?;
    let since = s.view()?.modseq;
    Ok(Some(s.mailbox()?.watch(since)))
}

/// Boxed, so that a session that waits does not pay for one that looks.
async fn look(s: &mut Session) -> Result<(), Failure> {
    let looked = Box::pin(s.sync(Expunges::Tell, &[])).await;
    passed_over(looked)
}

/// `idle = "IDLE" CRLF "DONE"` (RFC 2177 §4). Anything else ends it too, and is not taken as a command.
fn done(line: Result<Line, ReadError>) -> Answer {
    match line {
        Ok(line) if line.eq_ignore_ascii_case(b"DONE") => Ok(Reply::Ok("IDLE completed".into())),
        Ok(_) | Err(ReadError::TooLong(_)) => Err(Failure::bad("DONE was expected")),
        Err(e) => Err(End::from(e).into()),
    }
}
