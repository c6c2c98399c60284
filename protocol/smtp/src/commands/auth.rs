//! AUTH (RFC 4954).

use crate::codec::{AUTH_BYTES_MAX, Reply};
use crate::errors;
use crate::service::Service;
use crate::session::{Next, Session};
use zcluster_auth::{Credentials, Exchange, SaslError, Step};
use zcluster_listener::{Ending, ReadError};

/// Refused sign-ins, before the session is ended.
const FAILURES_MAX: u32 = 3;

impl Session {
    /// RFC 4954 §4.
    pub(crate) async fn auth(&mut self, mechanism: &str, initial: Option<Vec<u8>>) -> Result<Next, ReadError> {
        let reply = match self.auth_refusal() {
            Some(reply) => reply,
            None => match self.exchange(mechanism, initial).await? {
                Ok(credentials) => self.sign_in(&credentials).await,
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
        if self.service() != Service::Submission {
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
        if !self.may_offer_auth() {
            return Some(Reply::new(538, "5.7.11", "encryption required: say STARTTLS first"));
        }
        None
    }

    /// Challenges and responses until there are credentials, or a reply that ends the exchange.
    async fn exchange(
        &mut self,
        mechanism: &str,
        initial: Option<Vec<u8>>,
    ) -> Result<Result<Credentials, Reply>, ReadError> {
        let (mut exchange, mut step) = match Exchange::start(mechanism, initial.as_deref()) {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(errors::sasl(error))),
        };
        loop {
            let challenge = match step {
                Step::Done(credentials) => return Ok(Ok(credentials)),
                Step::Challenge(challenge) => challenge,
            };
            self.reply(&Reply::new(334, "", challenge));
            let response = match self.conn.read_line(AUTH_BYTES_MAX).await {
                Ok(line) if line.ending == Ending::CrLf => exchange.respond(&line),
                Ok(_) => Err(SaslError::Malformed),
                Err(ReadError::TooLong(_)) => {
                    return Ok(Err(Reply::new(500, "5.5.6", "authentication exchange line is too long")));
                }
                Err(error) => return Err(error),
            };
            match response {
                Ok(next) => step = next,
                Err(error) => return Ok(Err(errors::sasl(error))),
            }
        }
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> Reply {
        let authenticator = &self.smtp.backend.authenticator;
        let peer = self.conn.peer().ip();
        match authenticator.verify_credentials(credentials, peer, self.service().name()).await {
            Ok(account) => {
                self.account = Some(account);
                Reply::new(235, "2.7.0", "authentication successful")
            }
            Err(error) => {
                self.failed_auths += 1;
                errors::auth(&error)
            }
        }
    }
}
