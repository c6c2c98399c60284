//! Bind (RFC 4511 §4.2, RFC 4513 §5).

use crate::access::Who;
use crate::codec::reply::Extras;
use crate::codec::request::Credentials;
use crate::config::LOGIN_FAILURES_MAX;
use crate::dn::Dn;
use crate::errors::{Code, End, Outcome, Stop, auth_refusal, refused};
use crate::session::{Done, Session, done};
use crate::tree::{self, Container, Place};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zcluster_api::Actor;
use zcluster_api::directory::{Account, ObjectBy, ObjectKind};
use zcluster_auth::{AuthError, Exchange, SaslError, Service, Step};
use zeroize::Zeroizing;

/// Attribute of the global config that holds the hashes of the password of `uid=zimbra,cn=admins,cn=zimbra`.
pub const ADMIN_PASSWORD_ATTRIBUTE: &str = "zclusterLdapAdminPassword";

/// The mechanism of those whom something else has made known: here, their certificate.
pub const EXTERNAL: &str = "EXTERNAL";

/// A SASL exchange between two of its steps.
pub struct SaslUnderway {
    mechanism: String,
    exchange: Exchange,
}

/// Signs in. Whatever comes of it, who had signed in before has not any more (RFC 4513 §4).
pub async fn run(session: &mut Session, version: i64, name: &str, credentials: Credentials) -> Done {
    session.forget_who();
    let underway = session.sasl.take();
    if version != 3 {
        return refused(Code::ProtocolError, "only version 3 of LDAP is spoken");
    }
    match credentials {
        Credentials::Simple(password) if password.is_empty() && name.is_empty() => done(),
        // RFC 4513 §5.1.2: programs take success for a check of the password.
        Credentials::Simple(password) if password.is_empty() => {
            refused(Code::UnwillingToPerform, "a name without a password proves nothing")
        }
        Credentials::Simple(password) => simple(session, name, &password).await,
        Credentials::Sasl(mechanism, response) => sasl(session, underway, mechanism, response).await,
        Credentials::Unknown => refused(Code::AuthMethodNotSupported, "no such way to sign in"),
    }
}

async fn simple(session: &mut Session, name: &str, password: &[u8]) -> Done {
    let channel = session.channel();
    if !channel.plaintext {
        return refused(Code::ConfidentialityRequired, "passwords are taken over TLS only");
    }
    let ldap = session.ldap.clone();
    let place = Dn::parse(name).ok().and_then(|dn| tree::place(&dn));
    let user = match place {
        Some(Place::LdapAdmin) => return ldap_admin(session, password).await,
        Some(Place::Person(address)) => address,
        // As Active Directory has it: an address will do.
        _ if name.contains('@') => name.to_string(),
        // Nobody; the authenticator takes as long as it takes for somebody.
        _ => String::new(),
    };
    match ldap.authenticator.verify(&user, password, channel.peer, Service::Ldap).await {
        Ok(account) => {
            welcome(session, &account);
            done()
        }
        Err(error) => refuse(session, &error),
    }
}

async fn ldap_admin(session: &mut Session, password: &[u8]) -> Done {
    let ldap = session.ldap.clone();
    let config = ObjectBy::Name { kind: ObjectKind::Config, name: "config".into(), parent: None };
    let config = ldap.directory.get(Actor::System, config).await?;
    let stored = config.attrs.all(ADMIN_PASSWORD_ATTRIBUTE);
    let name = Container::ldap_admin().to_string();
    match ldap.authenticator.verify_stored(&name, stored, password, session.channel().peer, Service::Ldap).await {
        Ok(()) => {
            session.welcome(Who::LdapAdmin);
            done()
        }
        Err(error) => refuse(session, &error),
    }
}

fn welcome(session: &mut Session, account: &Account) {
    session.login_failures = 0;
    session.welcome(Who::of(account));
}

fn refuse(session: &mut Session, error: &AuthError) -> Done {
    session.login_failures += 1;
    if session.login_failures >= LOGIN_FAILURES_MAX {
        return Err(Stop::End(End::Notice(Code::Unavailable, "too many refused sign-ins".into())));
    }
    Err(auth_refusal(error).into())
}

async fn sasl(
    session: &mut Session,
    underway: Option<SaslUnderway>,
    mechanism: String,
    response: Option<Zeroizing<Vec<u8>>>,
) -> Done {
    if mechanism.eq_ignore_ascii_case(EXTERNAL) {
        return external(session, response.as_deref().map(Vec::as_slice)).await;
    }
    // Between here and the authenticator, responses are in base64 as on the lines of other protocols.
    let response = response.map(|r| match plain_message(&r) {
        Some(message) if mechanism.eq_ignore_ascii_case("PLAIN") => Zeroizing::new(message),
        _ => r,
    });
    let encoded = response.map(|r| Zeroizing::new(STANDARD.encode(&*r)));
    let step = match underway.filter(|u| u.mechanism.eq_ignore_ascii_case(&mechanism)) {
        Some(mut underway) => {
            let line = encoded.unwrap_or_default();
            let step = underway.exchange.respond(line.as_bytes()).await;
            step.map(|step| (underway.exchange, step))
        }
        None => {
            let initial = encoded.map(|e| if e.is_empty() { Zeroizing::new("=".to_string()) } else { e });
            let authenticator = session.ldap.authenticator.clone();
            authenticator.start(session.channel(), &mechanism, initial.as_deref().map(|s| s.as_bytes())).await
        }
    };
    let (exchange, step) = match step {
        Ok(step) => step,
        Err(error) => return sasl_refusal(session, &error),
    };
    let raw = |text: &str| STANDARD.decode(text).unwrap_or_default();
    match step {
        Step::Challenge(text) => {
            session.sasl = Some(SaslUnderway { mechanism, exchange });
            let extras = Extras { sasl: Some(raw(&text)), ..Extras::default() };
            Ok((Outcome::new(Code::SaslBindInProgress, ""), extras))
        }
        Step::Done { account, data } => {
            welcome(session, &account);
            Ok((Outcome::success(), Extras { sasl: data.as_deref().map(raw), ..Extras::default() }))
        }
    }
}

/// RFC 4422 §A, RFC 4513 §5.2.3: who the client is says its certificate.
async fn external(session: &mut Session, response: Option<&[u8]>) -> Done {
    let addresses = session.conn.client_addresses().to_vec();
    if addresses.is_empty() {
        return refused(Code::InappropriateAuthentication, "no certificate that is made out to an address");
    }
    let Ok(authzid) = std::str::from_utf8(response.unwrap_or_default()) else {
        return refused(Code::ProtocolError, "an authorization identity must be UTF-8");
    };
    let authzid = address_of(authzid);
    let ldap = session.ldap.clone();
    let peer = session.channel().peer;
    match ldap.authenticator.verify_certificate(&addresses, authzid.as_deref(), peer, Service::Ldap).await {
        Ok(account) => {
            welcome(session, &account);
            done()
        }
        Err(error) => refuse(session, &error),
    }
}

/// The address that an authorization identity means: `dn:`, `u:` (RFC 4513 §5.2.1.8), or plain; nothing for none.
fn address_of(authzid: &str) -> Option<String> {
    let dn = authzid.strip_prefix("dn:").and_then(|dn| Dn::parse(dn).ok());
    if let Some(Place::Person(address)) = dn.and_then(|dn| tree::place(&dn)) {
        return Some(address);
    }
    Some(authzid.strip_prefix("u:").unwrap_or(authzid).to_string()).filter(|a| !a.is_empty())
}

/// PLAIN's message with an authorization identity in LDAP's form (RFC 4616 §2, RFC 4513 §5.2.1.8).
fn plain_message(message: &[u8]) -> Option<Vec<u8>> {
    let end = message.iter().position(|b| *b == 0)?;
    let (authzid, rest) = message.split_at(end);
    let address = address_of(std::str::from_utf8(authzid).ok()?)?;
    Some([address.as_bytes(), rest].concat())
}

fn sasl_refusal(session: &mut Session, error: &SaslError) -> Done {
    match error {
        SaslError::Unsupported => refused(Code::AuthMethodNotSupported, "no such SASL mechanism here"),
        SaslError::PrivacyRequired => refused(Code::ConfidentialityRequired, "this mechanism needs TLS"),
        SaslError::Cancelled | SaslError::Malformed => refused(Code::ProtocolError, error.to_string()),
        SaslError::Refused(error) => refuse(session, error),
    }
}
