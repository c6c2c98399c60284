//! IDLE (RFC 2177): news as they come.

use super::annotations;
use super::notify::rises;
use crate::config::LINE_BYTES_MAX;
use crate::errors::{Answer, End, Failure, Reply};
use crate::session::{Expunges, Session};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use zcluster_api::{Error, ModSeq};
use zcluster_listener::{Line, ReadError};
use zcluster_runtime::{Either, select, sleep};

/// Pause before looking again for changes that could not be read.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

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
    // Whether changes are known of that could not be read: their rise will not be told again.
    let mut behind = look(s).await?;
    let mut news = watch(s)?;
    loop {
        s.send().await?;
        if s.connection.is_deflated() {
            s.connection.flush().await?;
            s.connection.rest();
        }
        let line = s.connection.read_line(LINE_BYTES_MAX);
        let wake = match &mut news {
            None => Either::Left(line.await),
            Some(_) if behind => select(line, sleep(RETRY_AFTER).map(|()| Some(()))).await,
            Some(news) => select(line, news.next().map(|rise| rise.map(|_| ()))).await,
        };
        match wake {
            Either::Left(line) => return done(line),
            Either::Right(Some(())) => behind = look(s).await?,
            // The mailbox is gone: the client finds out when it next asks for something.
            Either::Right(None) => news = None,
        }
    }
}

/// Follows the selected folder's mailbox, and the user's own for NOTIFY and annotations, from what the client knows on.
/// Without any of them there is nothing to tell.
fn watch(s: &Session) -> Result<Option<BoxStream<'static, ModSeq>>, Failure> {
    // The user's own mailbox, where something of it besides the selected folder is told.
    let own = [s.notifier.as_deref().map(|n| n.modseq()), annotations::since(s)].into_iter().flatten().min();
    Ok(match (s.selected.as_deref(), own) {
        (view, Some(since)) => Some(rises(&s.mailbox()?, since, view)),
        (Some(view), None) => Some(view.mailbox.watch(view.modseq)),
        (None, None) => None,
    })
}

/// Tells what is new; says whether that could not be read just now. Boxed, so that a session that waits does not pay
/// for one that looks.
async fn look(s: &mut Session) -> Result<bool, Failure> {
    if s.notifier.is_some() {
        // IDLE tells what NOTIFY asked for (RFC 5465 §4).
        super::notify::look(s, Expunges::Tell).await?;
        return Ok(s.notifier.as_deref().is_some_and(|n| n.behind));
    }
    match Box::pin(sync(s)).await {
        Ok(()) => Ok(false),
        Err(Failure::Api(error @ (Error::Unavailable(_) | Error::WrongHome { .. }))) => {
            tracing::debug!(%error, "cannot look for changes now");
            Ok(true)
        }
        Err(other) => Err(other),
    }
}

async fn sync(s: &mut Session) -> Result<(), Failure> {
    s.sync(Expunges::Tell, &[]).await?;
    annotations::look(s).await
}

/// `idle = "IDLE" CRLF "DONE"` (RFC 2177 §4). Anything else ends it too, and is not taken as a command.
fn done(line: Result<Line, ReadError>) -> Answer {
    match line {
        Ok(line) if line.eq_ignore_ascii_case(b"DONE") => Ok(Reply::Ok("IDLE completed".into())),
        Ok(_) | Err(ReadError::TooLong(_)) => Err(Failure::bad("DONE was expected")),
        Err(e) => Err(End::from(e).into()),
    }
}
