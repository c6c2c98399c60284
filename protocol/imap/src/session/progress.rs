//! INPROGRESS (RFC 9585): a command that takes long says so now and then, so that its client does not give up.

use super::Session;
use crate::errors::End;
use std::pin::pin;
use zcluster_runtime::{Either, Instant, select, sleep};

impl Session {
    /// Waits for something that may take long; its progress is not known.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn during<T>(&mut self, tag: &str, work: impl Future<Output = T>) -> Result<T, End> {
        let mut work = pin!(work);
        loop {
            match select(work.as_mut(), sleep(self.config().progress_every)).await {
                Either::Left(done) => return Ok(done),
                Either::Right(()) => self.tell_progress(tag, None).await?,
            }
        }
    }

    /// Tells how far a command is, if nothing was said for a while. A command that changes something goes on to its end
    /// for a client that is gone, too.
    pub async fn progress(&mut self, tag: &str, done: u64, total: u64) {
        if self.spoke.elapsed() >= self.config().progress_every
            && let Err(end) = self.tell_progress(tag, Some((done, total))).await
        {
            tracing::debug!(?end, "cannot tell how far a command is");
        }
    }

    /// `[INPROGRESS ("tag" done total)]`; what is not known is NIL (RFC 9585 §4). A tag has no quotes inside. The spec's
    /// numbers are those of IMAP, 32 bits.
    async fn tell_progress(&mut self, tag: &str, known: Option<(u64, u64)>) -> Result<(), End> {
        // Not in the middle of the response to one message.
        if self.mark.is_some() {
            return Ok(());
        }
        self.spoke = Instant::now();
        match known.filter(|(done, total)| done < total && *total <= u64::from(u32::MAX)) {
            Some((done, total)) => {
                self.line(format_args!("* OK [INPROGRESS (\"{tag}\" {done} {total})] still at it"));
            }
            None => self.line(format_args!("* OK [INPROGRESS (\"{tag}\" NIL NIL)] still at it")),
        }
        self.spill().await?;
        // What is written leaves when the session waits for the client: here it does not.
        Ok(self.connection.flush().await?)
    }
}
