//! AUTH (RFC 5034).

use super::pass::{refuse, signed_in};
use crate::config::LOGIN_LINE_BYTES_MAX;
use crate::errors::{Failure, Next, Outcome, parting, refused};
use crate::session::Session;
use zcluster_api::directory::Account;
use zcluster_auth::{SaslError, Step};
use zcluster_listener::ReadError;

/// Runs the exchange; without a mechanism, lists them.
pub async fn run(session: &mut Session, request: Option<(&str, Option<&[u8]>)>) -> Outcome {
    session.before_sign_in()?;
    let Some((mechanism, initial)) = request else {
        let offered = session.service.authenticator.mechanisms(&session.channel());
        let list: String = offered.into_iter().map(|m| format!("{m}\r\n")).collect();
        session.conn.push(format!("+OK\r\n{list}.\r\n").as_bytes());
        return Ok(Next::Command);
    };
    match exchange(session, mechanism, initial).await? {
        Ok(account) => signed_in(session, *account).await,
        Err(SaslError::Refused(error)) => refuse(session, &error),
        Err(SaslError::PrivacyRequired) => Err(refused("plaintext authentication refused, use STLS first")),
        Err(error @ (SaslError::Unsupported | SaslError::Cancelled | SaslError::Malformed)) => {
            Err(refused(error.to_string()))
        }
    }
}

/// RFC 5034 §4: challenges are `+ base64`, responses base64 lines, `*` gives up.
async fn exchange(
    session: &mut Session,
    mechanism: &str,
    initial: Option<&[u8]>,
) -> Result<Result<Box<Account>, SaslError>, Failure> {
    let authenticator = session.service.authenticator.clone();
    let (mut exchange, mut step) = match authenticator.start(session.channel(), mechanism, initial).await {
        Ok(begun) => begun,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let challenge = match step {
            Step::Done { account, .. } => return Ok(Ok(account)),
            Step::Challenge(text) => text,
        };
        session.conn.push(format!("+ {challenge}\r\n").as_bytes());
        let line = match session.conn.read_line(LOGIN_LINE_BYTES_MAX).await {
            Ok(line) => line,
            Err(error) => return Err(unread(session, &error)),
        };
        step = match exchange.respond(&line).await {
            Ok(step) => step,
            Err(error) => return Ok(Err(error)),
        };
    }
}

fn unread(session: &mut Session, error: &ReadError) -> Failure {
    match (parting(error), error) {
        (Some(text), ReadError::TooLong(_)) => refused(text),
        (Some(text), _) => {
            session.conn.push(format!("-ERR {text}\r\n").as_bytes());
            Failure::Ended
        }
        (None, _) => Failure::Ended,
    }
}
