//! AUTH (RFC 4954).

use crate::codec::{AUTH_BYTES_MAX, Reply};
use crate::defence::What;
use crate::errors;
use crate::session::{Next, Session};
use zcluster_api::directory::Account;
use zcluster_auth::{Bindings, Channel, SaslError, Service, Step};
use zcluster_listener::{Ending, ReadError};

/// Refused sign-ins, before the session is ended.
const FAILURES_MAX: u32 = 3;

impl Session {
    /// RFC 4954 §4.
    pub(crate) async fn auth(&mut self, mechanism: &str, initial: Option<Vec<u8>>) -> Result<Next, ReadError> {
        let reply = match self.auth_refusal() {
            Some(reply) => reply,
            None => match self.exchange(mechanism, initial).await? {
                Ok(account) => {
                    self.account = Some(*account);
                    Reply::new(235, "2.7.0", "authentication successful")
                }
                Err(reply) => reply,
            },
        };
        self.count("AUTH", &reply);
        self.reply(&reply);
        if self.failed_auths >= FAILURES_MAX {
            self.reply(&Reply::new(421, "4.7.0", "too many failed authentications, goodbye"));
            return Ok(Next::Close);
        }
        Ok(Next::Go)
    }

    fn auth_refusal(&self) -> Option<Reply> {
        if self.service() != crate::Service::Submission {
            return Some(Reply::new(502, "5.5.1", "authentication is not offered here"));
        }
        if !self.greeting.as_ref().is_some_and(|g| g.extended) {
            return Some(Reply::new(503, "5.5.1", "say EHLO first"));
        }
        if self.account.is_some() {
            return Some(Reply::new(503, "5.5.1", "already authenticated"));
        }
        if self.transaction.is_some() {
            return Some(Reply::new(503, "5.5.1", "not within a mail transaction"));
        }
        let (policy, edge) = (&self.policy, &self.smtp.backend.edge);
        if !self.client.trusted && !edge.defence.allow(policy, self.conn.peer().ip(), What::SignIns, 1) {
            return Some(Reply::new(454, "4.7.0", "too many sign-ins from your address, try again later"));
        }
        None
    }

    /// Challenges and responses until it is clear who it is, or a reply that ends the exchange.
    async fn exchange(
        &mut self,
        mechanism: &str,
        initial: Option<Vec<u8>>,
    ) -> Result<Result<Box<Account>, Reply>, ReadError> {
        let authenticator = self.smtp.backend.authenticator.clone();
        let (mut exchange, mut step) = match authenticator.start(self.channel(), mechanism, initial.as_deref()).await {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(self.refused(error))),
        };
        loop {
            let challenge = match step {
                Step::Done { account, .. } => return Ok(Ok(account)),
                Step::Challenge(challenge) => challenge,
            };
            self.reply(&Reply::new(334, "", challenge));
            let response = match self.conn.read_line(AUTH_BYTES_MAX).await {
                Ok(line) if line.ending == Ending::CrLf => exchange.respond(&line).await,
                Ok(_) => Err(SaslError::Malformed),
                Err(ReadError::TooLong(_)) => {
                    return Ok(Err(Reply::new(500, "5.5.6", "authentication exchange line is too long")));
                }
                Err(error) => return Err(error),
            };
            match response {
                Ok(next) => step = next,
                Err(error) => return Ok(Err(self.refused(error))),
            }
        }
    }

    fn refused(&mut self, error: SaslError) -> Reply {
        if matches!(error, SaslError::Refused(_)) {
            self.failed_auths += 1;
        }
        errors::sasl(&error)
    }

    /// What a sign-in comes over.
    pub(crate) fn channel(&self) -> Channel {
        Channel {
            service: Service::Submission,
            peer: self.conn.peer().ip(),
            tls: self.conn.is_tls(),
            plaintext: self.conn.is_tls() || self.smtp.config.auth_without_tls,
            success_data: false,
            bindings: Bindings { exporter: self.conn.tls_exporter(), end_point: self.conn.tls_server_end_point() },
        }
    }
}
