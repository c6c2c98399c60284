//! AUTH (RFC 5034).

use super::pass::signed_in;
use crate::config::LOGIN_LINE_BYTES_MAX;
use crate::errors::{Failure, Next, Outcome, parting, refused};
use crate::session::Session;
use zcluster_auth::{Credentials, Exchange, MECHANISMS, SaslError, Step};

/// Runs the exchange; without a mechanism, lists them.
pub async fn run(session: &mut Session, request: Option<(&str, Option<&[u8]>)>) -> Outcome {
    session.before_sign_in()?;
    let Some((mechanism, initial)) = request else {
        let list: String =
            if session.may_sign_in() { MECHANISMS.map(|m| format!("{m}\r\n")).concat() } else { String::new() };
        session.conn.push(format!("+OK\r\n{list}.\r\n").as_bytes());
        return Ok(Next::Command);
    };
    if !session.may_sign_in() {
        return Err(refused("plaintext authentication refused, use STLS first"));
    }
    let credentials = exchange(session, mechanism, initial).await?;
    let peer = session.conn.peer().ip();
    let service = session.service.clone();
    let verified = service.authenticator.verify_credentials(&credentials, peer, "pop3").await;
    signed_in(session, verified).await
}

/// RFC 5034 §4: challenges are `+ base64`, responses base64 lines, `*` gives up.
async fn exchange(session: &mut Session, mechanism: &str, initial: Option<&[u8]>) -> Result<Credentials, Failure> {
    let (mut exchange, mut step) = Exchange::start(mechanism, initial).map_err(sasl_refusal)?;
    loop {
        match step {
            Step::Done(credentials) => return Ok(credentials),
            Step::Challenge(text) => {
                session.conn.push(format!("+ {text}\r\n").as_bytes());
                let line = match session.conn.read_line(LOGIN_LINE_BYTES_MAX).await {
                    Ok(line) => line,
                    Err(error) => return Err(unread(session, &error)),
                };
                step = exchange.respond(&line).map_err(sasl_refusal)?;
            }
        }
    }
}

fn unread(session: &mut Session, error: &zcluster_listener::ReadError) -> Failure {
    match (parting(error), error) {
        (Some(text), zcluster_listener::ReadError::TooLong(_)) => refused(text),
        (Some(text), _) => {
            session.conn.push(format!("-ERR {text}\r\n").as_bytes());
            Failure::Ended
        }
        (None, _) => Failure::Ended,
    }
}

fn sasl_refusal(error: SaslError) -> Failure {
    refused(error.to_string())
}
