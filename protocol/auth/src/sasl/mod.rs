//! SASL (RFC 4422) as a state machine without a framing of its own: what IMAP, POP3, SMTP and ManageSieve share.

mod bearer;
mod plain;
mod scram;

use crate::authenticator::{Attempt, AuthError, Authenticator};
use crate::channel::Channel;
use crate::mechanism::{self, Mechanism};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bearer::Flavor;
use scram::ServerFirst;
use std::sync::Arc;
use zcluster_api::directory::Account;
use zcluster_runtime::Instant;
use zeroize::Zeroizing;

pub use plain::Credentials;

/// Bytes of one base64 response. RFC 4954 §4 lets a server refuse above 12,288.
pub const RESPONSE_BYTES_MAX: usize = 12_288;

/// `Username:`
const USER_PROMPT: &str = "VXNlcm5hbWU6";
/// `Password:`
const PASSWORD_PROMPT: &str = "UGFzc3dvcmQ6";

/// Why an exchange ended without an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// No such mechanism, or none that is on offer here.
    #[error("mechanism not supported")]
    Unsupported,
    /// On offer over TLS only.
    #[error("mechanism needs TLS")]
    PrivacyRequired,
    /// The client sent `*`.
    #[error("authentication cancelled")]
    Cancelled,
    /// Not base64, too long, or not what the mechanism wants.
    #[error("malformed response")]
    Malformed,
    /// The exchange was in order, but the answer is no. What a refusal should take at least has passed.
    #[error(transparent)]
    Refused(#[from] AuthError),
}

/// What comes next.
pub enum Step {
    /// Send this base64 text (perhaps empty) as the challenge and give the answer to [`Exchange::respond`].
    Challenge(String),
    /// The client has signed in.
    Done {
        /// To this account.
        account: Box<Account>,
        /// Base64 to send along with the success; only where [`Channel::success_data`] allows it. Elsewhere it went out
        /// as a challenge before.
        data: Option<String>,
    },
}

/// An exchange under way.
pub struct Exchange {
    authenticator: Arc<Authenticator>,
    channel: Channel,
    mechanism: Mechanism,
    state: State,
}

enum State {
    Plain,
    LoginUser,
    LoginPassword(String),
    ScramFirst,
    ScramFinal(Box<Scram>),
    /// The client has yet to take note of the server's signature.
    ScramDone(Box<Account>),
    Bearer(Flavor),
    /// The client has yet to take note of why its token is no good.
    BearerRefused,
    Over,
}

/// What is kept between the two messages of SCRAM.
struct Scram {
    server: ServerFirst,
    /// The account's normalised address, or nothing where there cannot be such an account.
    user: Option<String>,
    account: Option<Account>,
    authzid: Option<String>,
    /// Why the exchange cannot succeed, whatever the proof.
    spoilt: Option<&'static str>,
}

impl Authenticator {
    /// The names of the mechanisms to offer on `channel`, strongest first.
    pub fn mechanisms(&self, channel: &Channel) -> Vec<&'static str> {
        mechanism::offered(self.offer(), channel).into_iter().map(Mechanism::name).collect()
    }

    /// Begins an exchange with the mechanism's name (any case) and the initial response as it stands on the line:
    /// base64, or `=` for an empty one (RFC 4959 §3, RFC 4954 §4).
    ///
    /// # Errors
    /// [`SaslError`].
    pub async fn start(
        self: &Arc<Self>,
        channel: Channel,
        mechanism: &str,
        initial: Option<&[u8]>,
    ) -> Result<(Exchange, Step), SaslError> {
        let mechanism = Mechanism::find(mechanism, self.offer(), &channel)?;
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUser,
            Mechanism::Scram | Mechanism::ScramPlus => State::ScramFirst,
            Mechanism::OauthBearer => State::Bearer(Flavor::OauthBearer),
            Mechanism::Xoauth2 => State::Bearer(Flavor::Xoauth2),
        };
        let mut exchange = Exchange { authenticator: self.clone(), channel, mechanism, state };
        let step = match initial {
            Some(b"=") => exchange.respond(b"").await?,
            Some(response) => exchange.respond(response).await?,
            None if mechanism == Mechanism::Login => Step::Challenge(USER_PROMPT.into()),
            // The client speaks first (RFC 4422 §3.3: an empty challenge).
            None => Step::Challenge(String::new()),
        };
        Ok((exchange, step))
    }
}

impl Exchange {
    /// Takes the client's line (base64, without its ending).
    ///
    /// # Errors
    /// [`SaslError`]; the exchange is over then.
    pub async fn respond(&mut self, line: &[u8]) -> Result<Step, SaslError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        if line == b"*" {
            return Err(SaslError::Cancelled);
        }
        if line.len() > RESPONSE_BYTES_MAX {
            return Err(SaslError::Malformed);
        }
        let response = Zeroizing::new(STANDARD.decode(line).map_err(|_| SaslError::Malformed)?);
        match state {
            State::Plain => self.password(plain::decode(&response)?).await,
            State::LoginUser => {
                self.state = State::LoginPassword(text(&response)?.to_string());
                Ok(Step::Challenge(PASSWORD_PROMPT.into()))
            }
            State::LoginPassword(user) => self.password(Credentials { authzid: None, user, password: response }).await,
            State::ScramFirst => self.scram_first(text(&response)?).await,
            State::ScramFinal(scram) => self.scram_final(*scram, text(&response)?).await,
            State::ScramDone(account) if response.is_empty() => Ok(Step::Done { account, data: None }),
            State::Bearer(flavor) => self.bearer(flavor, text(&response)?).await,
            // RFC 7628 §3.2.3: whatever the client says, it has failed.
            State::BearerRefused => Err(AuthError::Invalid.into()),
            State::ScramDone(_) | State::Over => Err(SaslError::Malformed),
        }
    }

    async fn password(&self, credentials: Credentials) -> Result<Step, SaslError> {
        let Channel { service, peer, .. } = self.channel;
        let mechanism = self.mechanism.name();
        let account = self.authenticator.verify_credentials(&credentials, peer, service, mechanism).await?;
        Ok(Step::Done { account: Box::new(account), data: None })
    }

    /// RFC 5802 §5: client-first-message in, server-first-message out. Whether there is such an account shows in neither
    /// the answer nor the time it takes.
    async fn scram_first(&mut self, message: &str) -> Result<Step, SaslError> {
        let first = scram::ClientFirst::parse(message)?;
        let spoilt = first.binding_fault(self.mechanism == Mechanism::ScramPlus, &self.channel.bindings, || {
            mechanism::offered(self.authenticator.offer(), &self.channel).contains(&Mechanism::ScramPlus)
        })?;
        let begun = Instant::now();
        let Channel { service, peer, .. } = self.channel;
        let found = match self.authenticator.scram_candidate(&first.user, peer).await {
            Ok(found) => found,
            Err(error) => {
                let attempt = Attempt { begun, ..Attempt::new(service, self.mechanism.name(), peer, &first.user) };
                return Err(self.authenticator.refuse(&attempt, error).await.into());
            }
        };
        let expected = first.expected_binding(&self.channel.bindings);
        let nonce = STANDARD.encode(zcluster_runtime::random_bytes::<{ scram::NONCE_BYTES }>());
        let server = ServerFirst::new(&first, found.keys, &nonce, expected);
        let challenge = STANDARD.encode(server.message());
        let (user, account, authzid) = (found.user, found.account, first.authzid);
        self.state = State::ScramFinal(Box::new(Scram { server, user, account, authzid, spoilt }));
        Ok(Step::Challenge(challenge))
    }

    /// RFC 5802 §5: client-final-message in, server-final-message out.
    async fn scram_final(&mut self, scram: Scram, message: &str) -> Result<Step, SaslError> {
        let begun = Instant::now();
        let last = scram::ClientFinal::parse(message)?;
        let outcome = scram.server.verify(&last);
        if let Some(why) = scram.spoilt.or(outcome.as_ref().err().copied()) {
            tracing::debug!(why, "scram exchange fails");
        }
        let right = outcome.is_ok() && scram.spoilt.is_none();
        let Channel { service, peer, .. } = self.channel;
        let user = scram.user.unwrap_or_default();
        let attempt = Attempt { begun, ..Attempt::new(service, self.mechanism.name(), peer, &user) };
        let result = self.authenticator.proven(&attempt, scram.account, right, scram.authzid.as_deref()).await;
        let account = Box::new(self.authenticator.conclude(&attempt, result).await?);
        let data = STANDARD.encode(outcome.unwrap_or_default());
        if self.channel.success_data {
            return Ok(Step::Done { account, data: Some(data) });
        }
        self.state = State::ScramDone(account);
        Ok(Step::Challenge(data))
    }

    /// RFC 7628 §3, and Google's XOAUTH2.
    async fn bearer(&mut self, flavor: Flavor, message: &str) -> Result<Step, SaslError> {
        let bearer = bearer::parse(flavor, message)?;
        let Channel { service, peer, .. } = self.channel;
        let user = bearer.user.unwrap_or_default();
        let begun = Instant::now();
        let attempt = Attempt { begun, ..Attempt::new(service, self.mechanism.name(), peer, &user) };
        match self.authenticator.verify_token(&attempt, bearer.token).await {
            Ok(account) => Ok(Step::Done { account: Box::new(account), data: None }),
            Err((error, None)) => Err(error.into()),
            Err((_, Some(why))) => {
                self.state = State::BearerRefused;
                let json = bearer::refusal(flavor, why, &self.authenticator.token_hints());
                Ok(Step::Challenge(STANDARD.encode(json)))
            }
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, SaslError> {
    std::str::from_utf8(bytes).map_err(|_| SaslError::Malformed)
}
