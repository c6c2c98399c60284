//! Taking in messages, also while a request is being answered: what is said then about that request (abandon it,
//! cancel it) must not wait.

use super::Session;
use crate::codec::ber::{Frame, frame};
use crate::codec::reply::{self, Extras};
use crate::codec::request::{self, Message, Nonsense, Operation};
use crate::commands::extended;
use crate::config::PIPELINE_BYTES_MAX;
use crate::errors::{Code, End, Outcome, Stop};
use futures::future::BoxFuture;
use zcluster_runtime::Either;

/// A message, or what looked like one.
pub type Incoming = Result<Message, Nonsense>;

impl Session {
    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Incoming, End> {
        if let Some((bytes, message)) = self.waiting.pop_front() {
            self.waiting_bytes -= bytes;
            return Ok(message);
        }
        loop {
            if let Some((_, message)) = self.take_buffered()? {
                return Ok(message);
            }
            self.conn.fill_between().await?;
        }
    }

    /// A message that is there completely, and its bytes.
    fn take_buffered(&mut self) -> Result<Option<(usize, Incoming)>, End> {
        let buffered = self.conn.buffered();
        let bad = |e: crate::codec::ber::Malformed| End::Notice(Code::ProtocolError, e.0.into());
        match frame(buffered).map_err(bad)? {
            Frame::Of(len) if len > self.message_max() => {
                let text = format!("a message may have {} bytes here", self.message_max());
                Err(End::Notice(Code::ProtocolError, text))
            }
            Frame::Of(len) if len <= buffered.len() => {
                let message = request::read(&buffered[..len]);
                self.conn.consume(len);
                Ok(Some((len, message)))
            }
            Frame::Of(_) | Frame::Short => Ok(None),
        }
    }

    /// Waits for a part of the request `id`, and takes in what the client says meanwhile.
    ///
    /// # Errors
    /// The client does not want to hear of it any more, or has gone.
    pub async fn attend<T>(&mut self, id: u32, mut work: BoxFuture<'_, T>) -> Result<T, Stop> {
        loop {
            self.look_ahead(id)?;
            // Who sends much without listening is not listened to for a while.
            if self.waiting_bytes + self.conn.buffered().len() > PIPELINE_BYTES_MAX {
                return Ok(work.await);
            }
            // Work that is always ready, and output that is never all sent, must not drown out what the client says.
            if self.conn.fill_now().await.map_err(End::from)? {
                continue;
            }
            match zcluster_runtime::select(&mut work, self.conn.fill()).await {
                Either::Left(done) => return Ok(done),
                Either::Right(Ok(())) => {}
                Either::Right(Err(error)) => return Err(Stop::End(error.into())),
            }
        }
    }

    /// Takes complete messages out of the buffer; acts on those about the request under way.
    fn look_ahead(&mut self, id: u32) -> Result<(), Stop> {
        while self.waiting_bytes <= PIPELINE_BYTES_MAX {
            // What is no message stays in the buffer until it is its turn.
            let Ok(Some((bytes, message))) = self.take_buffered() else { break };
            let about = match &message {
                Ok(Message { operation: Operation::Unbind, .. }) => return Err(Stop::End(End::Lost)),
                Ok(Message { operation: Operation::Abandon(other), .. }) => Some((*other, None)),
                Ok(Message { id, operation: Operation::Extended(oid, value), .. }) if oid == extended::CANCEL => {
                    extended::cancelled(value.as_deref().map(Vec::as_slice)).map(|other| (other, Some(*id)))
                }
                _ => None,
            };
            match about {
                Some((other, by)) if other == id => {
                    self.cancelled_by = by;
                    return Err(Stop::Abandoned);
                }
                Some((other, by)) if self.drop_waiting(other, by) => {}
                _ => {
                    self.waiting_bytes += bytes;
                    self.waiting.push_back((bytes, message));
                }
            }
        }
        Ok(())
    }

    /// Drops a request that waits; whether there was one. Signing in and going over to TLS cannot be dropped.
    fn drop_waiting(&mut self, id: u32, by: Option<u32>) -> bool {
        let droppable = |m: &Incoming| {
            m.as_ref()
                .is_ok_and(|m| m.id == id && !matches!(m.operation, Operation::Bind { .. } | Operation::Extended(..)))
        };
        let Some(at) = self.waiting.iter().position(|(_, m)| droppable(m)) else { return false };
        if let Some((bytes, Ok(message))) = self.waiting.remove(at) {
            self.waiting_bytes -= bytes;
            if let (Some(by), Some(tag)) = (by, message.operation.reply_tag()) {
                let none = Extras::default();
                self.conn.push(&reply::result(id, tag, &Outcome::new(Code::Canceled, ""), &none));
                self.conn.push(&reply::result(by, reply::EXTENDED, &Outcome::success(), &none));
            }
        }
        true
    }

    /// Whether nothing waits that was sent behind the request under way.
    pub fn is_alone(&self) -> bool {
        self.waiting.is_empty() && self.conn.buffered().is_empty()
    }
}
