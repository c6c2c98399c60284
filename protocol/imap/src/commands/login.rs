//! LOGIN (RFC 3501 §6.2.3), and what follows any way of signing in.

use super::authenticate::words;
use super::capability;
use crate::config::LOGIN_FAILURES_MAX;
use crate::errors::{Answer, End, Failure, Reply};
use crate::session::{Mailbox, Session, User};
use zcluster_api::directory::Account;
use zcluster_api::mailbox::Conversations;
use zcluster_auth::{AuthError, Service};
use zcluster_mail::Zone;

pub async fn login(s: &mut Session, user: String, password: String) -> Answer {
    if !capability::may_send_passwords(s) {
        return Err(privacy_required());
    }
    let authenticator = s.imap.authenticator.clone();
    let peer = s.connection.peer().ip();
    match authenticator.verify(&user, password.as_bytes(), peer, Service::Imap).await {
        Ok(account) => welcome(s, &account, "LOGIN completed"),
        Err(error) => refuse(s, &error),
    }
}

/// Refuses where a password would go over the wire in plain text.
pub fn privacy_required() -> Failure {
    Failure::no("[PRIVACYREQUIRED] sign in over TLS only")
}

/// The session is the account's from here on.
pub fn welcome(s: &mut Session, account: &Account, done: &str) -> Answer {
    let conversations = Conversations::named(account.effective("zimbraMailThreadingAlgorithm"));
    let mailbox = Mailbox::new(s.imap.mailboxes.clone(), account.id, s.config().call_timeout, conversations);
    let span = tracing::info_span!("imap", account = %account.name);
    let zone = Zone::or_utc(account.effective("zimbraPrefTimeZoneId"));
    s.user = Some(Box::new(User { mailbox, name: account.name.clone(), zone, span }));
    let timeout = s.config().idle_timeout;
    s.connection.set_idle_timeout(timeout);
    Ok(Reply::Ok(format!("[CAPABILITY {}] {done}", capability::text(s)).into()))
}

/// Says no; the authenticator has delayed it.
pub fn refuse(s: &mut Session, error: &AuthError) -> Answer {
    s.login_failures += 1;
    if s.login_failures >= LOGIN_FAILURES_MAX {
        return Err(End::Bye("[AUTHENTICATIONFAILED] too many failed sign-ins").into());
    }
    Err(Failure::no(words(error)))
}
