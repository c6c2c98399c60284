//! BDAT (RFC 3030).

use crate::codec::Reply;
use crate::errors;
use crate::incoming::{DISCARD_BYTES_MAX, Incoming};
use crate::session::{Next, Session};
use zcluster_listener::ReadError;

impl Session {
    /// RFC 3030 §2. The octets follow in any case, and are taken in before the reply.
    pub(crate) async fn bdat(&mut self, size: u64, last: bool) -> Result<Next, ReadError> {
        self.conn.set_idle_timeout(self.smtp.config.data_timeout);
        let next = self.chunk(size, last).await;
        self.conn.set_idle_timeout(self.smtp.config.command_timeout);
        next
    }

    async fn chunk(&mut self, size: u64, last: bool) -> Result<Next, ReadError> {
        if size > self.smtp.config.max_message_bytes.saturating_add(DISCARD_BYTES_MAX) {
            return Ok(self.endless("BDAT"));
        }
        let mut incoming = match self.chunk_target().await {
            Ok(incoming) => incoming,
            Err(refusal) => {
                self.conn.discard(size).await?;
                self.count("BDAT", &refusal);
                self.reply(&refusal);
                return Ok(Next::Go);
            }
        };
        let mut left = size;
        while left > 0 {
            if self.conn.buffered().is_empty() {
                self.conn.fill().await?;
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.conn.buffered().len());
            incoming.make_room(take).await;
            incoming.append(&self.conn.buffered()[..take]);
            self.conn.consume(take);
            left -= take as u64;
            if incoming.check_endless().is_err() {
                return Ok(self.endless("BDAT"));
            }
        }
        if last {
            self.finish_message("BDAT", incoming).await;
            return Ok(Next::Go);
        }
        let reply = match incoming.problem() {
            None => Reply::new(250, "2.0.0", format!("{size} octets received")),
            Some(problem) => errors::problem(problem),
        };
        if let Some(transaction) = &mut self.transaction {
            transaction.chunks = Some(incoming);
        }
        self.count("BDAT", &reply);
        self.reply(&reply);
        Ok(Next::Go)
    }

    /// The message under way, or a new one.
    pub(crate) async fn chunk_target(&mut self) -> Result<Incoming, Reply> {
        if let Some(refusal) = self.message_refusal() {
            return Err(refusal);
        }
        if let Some(incoming) = self.transaction.as_mut().and_then(|t| t.chunks.take()) {
            return Ok(incoming);
        }
        if let Some(refusal) = self.pace_refusal() {
            return Err(refusal);
        }
        self.begin_message().await.map_err(errors::problem)
    }
}
