//! LOGIN (RFC 3501 §6.2.3), and what follows any way of signing in.

use super::capability;
use crate::config::LOGIN_FAILURES_MAX;
use crate::errors::{Answer, End, Failure, Reply};
use crate::session::{Mailbox, Session, User};
use zcluster_api::directory::Account;
use zcluster_auth::{AuthError, Credentials};

pub async fn login(s: &mut Session, user: String, password: String) -> Answer {
    let credentials = Credentials { authzid: None, user, password: password.into_bytes().into() };
    sign_in(s, &credentials, "LOGIN completed").await
}

/// Refuses where a password would go over the wire in plain text.
pub fn check_privacy(s: &Session) -> Result<(), Failure> {
    if capability::may_sign_in(s) {
        return Ok(());
    }
    Err(Failure::no("[PRIVACYREQUIRED] sign in over TLS only"))
}

/// Checks credentials; the authenticator delays refusals.
pub async fn sign_in(s: &mut Session, credentials: &Credentials, done: &str) -> Answer {
    check_privacy(s)?;
    let peer = s.connection.peer().ip();
    let verified = s.imap.authenticator.verify_credentials(credentials, peer, "imap").await;
    let account = match verified {
        Ok(account) if account.effective("zimbraImapEnabled") == Some("FALSE") => {
            return refuse(s, "[CONTACTADMIN] IMAP is not enabled for this account").await;
        }
        Ok(account) => account,
        Err(AuthError::Invalid) => return refuse(s, "[AUTHENTICATIONFAILED] invalid credentials").await,
        Err(AuthError::Disabled(status)) if status == "maintenance" => {
            return refuse(s, "[UNAVAILABLE] account is under maintenance").await;
        }
        Err(AuthError::Disabled(_)) => return refuse(s, "[CONTACTADMIN] account is not active").await,
        Err(AuthError::TryLater) => return refuse(s, "[UNAVAILABLE] try again later").await,
    };
    welcome(s, &account);
    Ok(Reply::Ok(format!("[CAPABILITY {}] {done}", capability::text(s)).into()))
}

fn welcome(s: &mut Session, account: &Account) {
    let mailbox = Mailbox::new(s.imap.mailboxes.clone(), account.id, s.config().call_timeout);
    let span = tracing::info_span!("imap", account = %account.name);
    s.user = Some(Box::new(User { mailbox, name: account.name.clone(), span }));
    let timeout = s.config().idle_timeout;
    s.connection.set_idle_timeout(timeout);
}

async fn refuse(s: &mut Session, text: &'static str) -> Answer {
    s.login_failures += 1;
    if s.login_failures >= LOGIN_FAILURES_MAX {
        return Err(End::Bye("[AUTHENTICATIONFAILED] too many failed sign-ins").into());
    }
    Err(Failure::no(text))
}
