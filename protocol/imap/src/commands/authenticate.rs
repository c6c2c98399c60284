//! AUTHENTICATE (RFC 3501 §6.2.2, RFC 4959).

use super::login;
use crate::config::SASL_LINE_BYTES_MAX;
use crate::errors::{Answer, Failure};
use crate::session::Session;
use zcluster_auth::{AuthError, Bindings, Channel, SaslError, Service, Step};
use zcluster_listener::ReadError;

/// What a sign-in comes over.
pub fn channel(s: &Session) -> Channel {
    let connection = &s.connection;
    Channel {
        service: Service::Imap,
        peer: connection.peer().ip(),
        tls: connection.is_tls(),
        plaintext: connection.is_tls() || s.config().allow_plaintext_auth,
        success_data: false,
        bindings: Bindings { exporter: connection.tls_exporter(), end_point: connection.tls_server_end_point() },
    }
}

pub async fn authenticate(s: &mut Session, mechanism: &str, initial: Option<Vec<u8>>) -> Answer {
    match exchange(s, mechanism, initial.as_deref()).await? {
        Ok(account) => login::welcome(s, &account, "AUTHENTICATE completed"),
        Err(SaslError::Unsupported) => Err(Failure::no("[CANNOT] mechanism is not supported")),
        Err(SaslError::PrivacyRequired) => Err(login::privacy_required()),
        Err(SaslError::Cancelled) => Err(Failure::bad("authentication cancelled")),
        Err(SaslError::Malformed) => Err(Failure::bad("malformed authentication response")),
        Err(SaslError::Refused(error)) => login::refuse(s, &error),
    }
}

/// Challenges and responses (RFC 3501 §6.2.2) until it is clear who it is.
async fn exchange(
    s: &mut Session,
    mechanism: &str,
    initial: Option<&[u8]>,
) -> Result<Result<Box<zcluster_api::directory::Account>, SaslError>, Failure> {
    let authenticator = s.imap.authenticator.clone();
    let (mut exchange, mut step) = match authenticator.start(channel(s), mechanism, initial).await {
        Ok(begun) => begun,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let challenge = match step {
            Step::Done { account, .. } => return Ok(Ok(account)),
            Step::Challenge(text) => text,
        };
        s.connection.push(format!("+ {challenge}\r\n").as_bytes());
        let line = match s.connection.read_line(SASL_LINE_BYTES_MAX).await {
            Err(ReadError::TooLong(_)) => return Err(Failure::bad("a line is too long")),
            other => other?,
        };
        step = match exchange.respond(&line).await {
            Ok(step) => step,
            Err(error) => return Ok(Err(error)),
        };
    }
}

/// RFC 5530's words for a refusal.
pub fn words(error: &AuthError) -> &'static str {
    match error {
        AuthError::Invalid => "[AUTHENTICATIONFAILED] invalid credentials",
        AuthError::Disabled(status) if status == "maintenance" => "[UNAVAILABLE] account is under maintenance",
        AuthError::Disabled(_) => "[CONTACTADMIN] account is not active",
        AuthError::SwitchedOff => "[CONTACTADMIN] IMAP is not enabled for this account",
        AuthError::ChangePassword => "[EXPIRED] the password has expired and must be changed",
        AuthError::CodeRequired | AuthError::SetupRequired => "[CONTACTADMIN] a second factor is required",
        AuthError::TryLater => "[UNAVAILABLE] try again later",
    }
}
