//! DATA.

use crate::codec::{BodyType, DataDecoder, Reply};
use crate::errors;
use crate::session::{Next, Session};
use zcluster_listener::ReadError;

impl Session {
    /// RFC 5321 §4.1.1.4.
    pub(crate) async fn data(&mut self) -> Result<Next, ReadError> {
        let begun = match self.message_refusal() {
            Some(refusal) => Err(refusal),
            None if self.transaction.as_ref().is_some_and(|t| t.chunks.is_some()) => {
                // RFC 3030 §2: the two ways to send a message do not mix.
                Err(Reply::new(503, "5.5.1", "DATA after BDAT"))
            }
            None if self.transaction.as_ref().is_some_and(|t| t.body == BodyType::Binary) => {
                // RFC 3030 §3: dots and line ends mean nothing in it.
                Err(Reply::new(503, "5.5.1", "BINARYMIME needs BDAT"))
            }
            None => match self.pace_refusal() {
                Some(refusal) => Err(refusal),
                None => self.begin_message().await.map_err(errors::problem),
            },
        };
        let mut incoming = match begun {
            Ok(incoming) => incoming,
            Err(refusal) => {
                self.count("DATA", &refusal);
                self.reply(&refusal);
                return Ok(Next::Go);
            }
        };
        self.reply(&Reply::new(354, "", "end data with <CR><LF>.<CR><LF>"));
        self.conn.set_idle_timeout(self.smtp.config.data_timeout);
        let mut decoder = DataDecoder::default();
        loop {
            if self.conn.buffered().is_empty() {
                self.conn.fill().await?;
            }
            incoming.make_room(self.conn.buffered().len()).await;
            let (used, ended) = decoder.push(self.conn.buffered(), |piece| incoming.append(piece));
            self.conn.consume(used);
            if ended {
                break;
            }
            if incoming.check_endless().is_err() {
                return Ok(self.endless("DATA"));
            }
        }
        self.conn.set_idle_timeout(self.smtp.config.command_timeout);
        self.finish_message("DATA", incoming).await;
        Ok(Next::Go)
    }

    /// The client will not stop sending a message that is refused already.
    pub(crate) fn endless(&mut self, verb: &'static str) -> Next {
        let reply = Reply::new(421, "4.3.4", "message is far larger than allowed, goodbye");
        self.count(verb, &reply);
        self.reply(&reply);
        Next::Close
    }
}
