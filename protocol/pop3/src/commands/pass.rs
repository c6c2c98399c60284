//! PASS (RFC 1939 §7), and what follows any sign-in.

use crate::config::LOGIN_FAILURES_MAX;
use crate::errors::{Failure, Next, Outcome, auth_refusal, refused};
use crate::session::{Maildrop, Session, State};
use zcluster_api::directory::Account;
use zcluster_auth::AuthError;

/// Checks the password of the user that USER named.
pub async fn run(session: &mut Session, password: &[u8]) -> Outcome {
    session.before_sign_in()?;
    let State::Authorization(user) = &mut session.state else { return Err(refused("already signed in")) };
    // A name is good for one attempt (RFC 1939 §7).
    let Some(user) = user.take() else { return Err(refused("send USER first")) };
    let peer = session.conn.peer().ip();
    let service = session.service.clone();
    let verified = service.authenticator.verify(&user, password, peer, "pop3").await;
    signed_in(session, verified).await
}

/// Opens the maildrop of whoever was verified.
pub async fn signed_in(session: &mut Session, verified: Result<Account, AuthError>) -> Outcome {
    let account = match verified {
        Ok(account) => account,
        Err(error) => return refuse(session, &error),
    };
    let maildrop = Maildrop::open(&session.service, account.id).await?;
    let (messages, octets) = maildrop.totals();
    tracing::debug!(account = %account.name, messages, "pop3 session opened");
    session.state = State::Transaction(Box::new(maildrop));
    session.conn.set_idle_timeout(session.service.config.idle_timeout);
    session.ok(&format!("{messages} messages ({octets} octets)"));
    Ok(Next::Command)
}

fn refuse(session: &mut Session, error: &AuthError) -> Outcome {
    session.login_failures += 1;
    let text = auth_refusal(error);
    if session.login_failures < LOGIN_FAILURES_MAX {
        return Err(Failure::Refused(text));
    }
    session.conn.push(format!("-ERR {text}\r\n").as_bytes());
    Ok(Next::Close)
}
