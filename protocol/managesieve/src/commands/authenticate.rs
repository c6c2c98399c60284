//! AUTHENTICATE (RFC 5804 §2.1).

use crate::codec::reply::{Code, Reply, Status, string};
use crate::codec::words::Word;
use crate::config::LOGIN_FAILURES_MAX;
use crate::errors::{End, Failure, Outcome, auth_refusal, refused, refused_with};
use crate::session::{Input, Session, User};
use zcluster_api::Bytes;
use zcluster_api::directory::Account;
use zcluster_auth::{AuthError, SaslError, Step};

/// Mechanisms that no site should allow (RFC 6331 and the registry of mechanisms on the others): clients are told why.
const WEAK: [&str; 3] = ["CRAM-MD5", "DIGEST-MD5", "NTLM"];

/// Runs the exchange: challenges and responses are strings of base64, `"*"` gives up.
pub async fn run(session: &mut Session, mechanism: &str, initial: Option<Bytes>) -> Outcome {
    session.before_sign_in()?;
    let authenticator = session.service.authenticator.clone();
    let started = authenticator.start(session.channel(), mechanism, initial.as_deref()).await;
    let (mut exchange, mut step) = match started {
        Ok(started) => started,
        Err(error) => return sasl_refusal(session, mechanism, &error),
    };
    loop {
        match step {
            Step::Done { account, data } => return Ok(signed_in(session, &account, data)),
            Step::Challenge(text) => {
                let mut out = Vec::new();
                string(&mut out, text.as_bytes());
                out.extend_from_slice(b"\r\n");
                session.conn.push(&out);
            }
        }
        let line = response(session).await?;
        step = match exchange.respond(&line).await {
            Ok(step) => step,
            Err(error) => return sasl_refusal(session, mechanism, &error),
        };
    }
}

async fn response(session: &mut Session) -> Result<Bytes, Failure> {
    match session.read().await? {
        Input::Bad(reply) | Input::Refused(reply) => Err(Failure::Refused(reply)),
        Input::Words(words) => match <[Word; 1]>::try_from(words) {
            Ok([Word::String(line)]) => Ok(line),
            // Not what the RFC says, but there is no doubt about what is meant.
            Ok([Word::Atom(star)]) if star == "*" => Ok(Bytes::from_static(b"*")),
            _ => Err(refused("malformed response: one string is expected")),
        },
    }
}

fn signed_in(session: &mut Session, account: &Account, data: Option<String>) -> Reply {
    tracing::debug!(account = %account.name, "managesieve session opened");
    session.user = Some(Box::new(User::new(account)));
    session.conn.set_idle_timeout(session.service.config.idle_timeout);
    let reply = Reply::ok("");
    match data {
        Some(data) => reply.with(Code::Sasl(data)),
        None => reply,
    }
}

fn sasl_refusal(session: &mut Session, mechanism: &str, error: &SaslError) -> Outcome {
    let weak = WEAK.iter().any(|w| w.eq_ignore_ascii_case(mechanism));
    match error {
        SaslError::Unsupported if weak => Err(refused_with(Code::AuthTooWeak, "mechanism is too weak")),
        SaslError::PrivacyRequired => {
            Err(refused_with(Code::EncryptNeeded, "this mechanism needs TLS, use STARTTLS first"))
        }
        SaslError::Unsupported | SaslError::Cancelled | SaslError::Malformed => Err(refused(error.to_string())),
        SaslError::Refused(error) => refuse(session, error),
    }
}

fn refuse(session: &mut Session, error: &AuthError) -> Outcome {
    session.login_failures += 1;
    let reply = auth_refusal(error);
    if session.login_failures < LOGIN_FAILURES_MAX {
        return Err(Failure::Refused(reply));
    }
    Err(Failure::End(End::Bye(Reply { status: Status::Bye, ..reply })))
}
