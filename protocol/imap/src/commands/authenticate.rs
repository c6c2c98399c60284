//! AUTHENTICATE (RFC 3501 §6.2.2, RFC 4959).

use super::login::{check_privacy, sign_in};
use crate::config::SASL_LINE_BYTES_MAX;
use crate::errors::{Answer, Failure};
use crate::session::Session;
use zcluster_auth::{Exchange, SaslError, Step};
use zcluster_listener::ReadError;

pub async fn authenticate(s: &mut Session, mechanism: &str, initial: Option<Vec<u8>>) -> Answer {
    check_privacy(s)?;
    let (mut exchange, mut step) = Exchange::start(mechanism, initial.as_deref()).map_err(refused)?;
    loop {
        let challenge = match step {
            Step::Done(credentials) => return sign_in(s, &credentials, "AUTHENTICATE completed").await,
            Step::Challenge(text) => text,
        };
        s.connection.push(format!("+ {challenge}\r\n").as_bytes());
        let line = match s.connection.read_line(SASL_LINE_BYTES_MAX).await {
            Err(ReadError::TooLong(_)) => return Err(Failure::bad("a line is too long")),
            other => other?,
        };
        step = exchange.respond(&line).map_err(refused)?;
    }
}

fn refused(e: SaslError) -> Failure {
    match e {
        SaslError::Unsupported => Failure::no("[CANNOT] mechanism is not supported"),
        SaslError::Cancelled => Failure::bad("authentication cancelled"),
        SaslError::Malformed => Failure::bad("malformed authentication response"),
    }
}
