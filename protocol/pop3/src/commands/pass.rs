//! PASS (RFC 1939 §7), and what follows any sign-in.

use crate::config::LOGIN_FAILURES_MAX;
use crate::errors::{Failure, Next, Outcome, auth_refusal, refused};
use crate::session::{Maildrop, Session, State};
use zcluster_api::directory::Account;
use zcluster_auth::{AuthError, Service};

/// Checks the password of the user that USER named.
pub async fn run(session: &mut Session, password: &[u8]) -> Outcome {
    session.before_sign_in()?;
    let State::Authorization(user) = &mut session.state else { return Err(refused("already signed in")) };
    // A name is good for one attempt (RFC 1939 §7).
    let Some(user) = user.take() else { return Err(refused("send USER first")) };
    let peer = session.conn.peer().ip();
    let service = session.service.clone();
    match service.authenticator.verify(&user, password, peer, Service::Pop3).await {
        Ok(account) => signed_in(session, account).await,
        Err(error) => refuse(session, &error),
    }
}

/// Opens the maildrop of whoever was verified.
pub async fn signed_in(session: &mut Session, account: Account) -> Outcome {
    let service = session.service.clone();
    if !service.delays.allow(account.id, service.config.login_delay) {
        // RFC 2449 §8.1.1: said only to those who have shown who they are.
        return Err(refused(format!(
            "[LOGIN-DELAY] minimum time between two sessions is {} seconds",
            service.config.login_delay.as_secs()
        )));
    }
    let maildrop = Maildrop::open(&service, &account).await?;
    let (messages, octets) = maildrop.totals();
    tracing::debug!(account = %account.name, messages, "pop3 session opened");
    session.state = State::Transaction(Box::new(maildrop));
    session.conn.set_idle_timeout(service.config.idle_timeout);
    session.ok(&format!("{messages} messages ({octets} octets)"));
    Ok(Next::Command)
}

/// Says no; the authenticator has delayed it.
pub fn refuse(session: &mut Session, error: &AuthError) -> Outcome {
    session.login_failures += 1;
    let text = auth_refusal(error);
    if session.login_failures < LOGIN_FAILURES_MAX {
        return Err(Failure::Refused(text));
    }
    session.conn.push(format!("-ERR {text}\r\n").as_bytes());
    Ok(Next::Close)
}
