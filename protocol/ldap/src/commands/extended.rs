//! Extended operations (RFC 4511 §4.12): StartTLS (§4.14), Who Am I (RFC 4532), Password Modify (RFC 3062), Cancel
//! (RFC 3909).

use super::{modify, passwords};
use crate::access::Who;
use crate::codec::ber::{self, INTEGER, Malformed, Reader, SEQUENCE, Writer, context};
use crate::codec::reply::{self, Extras};
use crate::dn::Dn;
use crate::errors::{Code, End, Outcome, Stop, auth_refusal, refused};
use crate::search::find;
use crate::session::{Done, Session, done};
use crate::tree::{self, Container, Place};
use zcluster_api::Actor;
use zcluster_api::directory::{Object, ObjectBy, ObjectKind};
use zcluster_auth::{ChangeError, Service};
use zcluster_directory::Failure;
use zeroize::Zeroizing;

/// StartTLS.
pub const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// Who Am I.
pub const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
/// Password Modify.
pub const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";
/// Cancel.
pub const CANCEL: &str = "1.3.6.1.1.8";
/// Letters of made-up passwords: none that look alike.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// How many of them: some 93 bits.
const GENERATED: usize = 16;

/// Runs an extended operation.
pub async fn run(session: &mut Session, id: u32, oid: &str, value: Option<Zeroizing<Vec<u8>>>) -> Done {
    match oid {
        START_TLS => start_tls(session, id).await,
        WHO_AM_I => who_am_i(session).await,
        PASSWORD_MODIFY => password_modify(session, value.as_deref().map(Vec::as_slice)).await,
        // What could be cancelled was, when the request came in.
        CANCEL => match cancelled(value.as_deref().map(Vec::as_slice)) {
            Some(_) => refused(Code::NoSuchOperation, "no such operation is under way"),
            None => refused(Code::ProtocolError, "the number of a message is expected"),
        },
        _ => refused(Code::ProtocolError, "no such extended operation"),
    }
}

/// The number of the message that a Cancel is about.
pub fn cancelled(value: Option<&[u8]>) -> Option<u32> {
    let mut r = Reader::new(value?).nested(SEQUENCE).ok()?;
    u32::try_from(r.integer(INTEGER).ok()?).ok()
}

/// Answers first and shakes hands then. Who signed in before that is forgotten: in plain text anybody may have.
async fn start_tls(session: &mut Session, id: u32) -> Done {
    if session.conn.is_tls() {
        return refused(Code::OperationsError, "TLS is already active");
    }
    if !session.conn.can_start_tls() {
        return refused(Code::Unavailable, "TLS is not available");
    }
    if !session.is_alone() {
        return refused(Code::OperationsError, "other requests are under way");
    }
    let extras = Extras { name: Some(START_TLS), ..Extras::default() };
    session.conn.push(&reply::result(id, reply::EXTENDED, &Outcome::success(), &extras));
    if let Err(error) = session.conn.start_tls().await {
        tracing::debug!(%error, "tls handshake failed");
        return Err(Stop::End(End::Lost));
    }
    session.sasl = None;
    session.forget_who();
    Err(Stop::Answered)
}

async fn who_am_i(session: &Session) -> Done {
    let dn = match &session.who {
        None => None,
        Some(Who::LdapAdmin) => Some(Container::ldap_admin()),
        Some(Who::Account { id, .. }) => {
            let object = session.ldap.directory.get(Actor::System, ObjectBy::Id(*id)).await?;
            tree::dn_of(&object)
        }
    };
    let value = dn.map_or_else(String::new, |dn| format!("dn:{dn}"));
    Ok((Outcome::success(), Extras { value: Some(value.into_bytes()), ..Extras::default() }))
}

/// A request to change a password (RFC 3062 §2).
#[derive(Default)]
struct Request {
    user: Option<String>,
    old: Option<Zeroizing<Vec<u8>>>,
    new: Option<Zeroizing<Vec<u8>>>,
}

impl Request {
    fn read(value: Option<&[u8]>) -> Result<Request, Malformed> {
        let Some(value) = value else { return Ok(Request::default()) };
        let mut r = Reader::new(value).nested(SEQUENCE)?;
        Ok(Request {
            user: r.maybe(context(0))?.map(ber::text).transpose()?.map(str::to_string),
            old: r.maybe(context(1))?.map(|v| Zeroizing::new(v.to_vec())),
            new: r.maybe(context(2))?.map(|v| Zeroizing::new(v.to_vec())),
        })
    }
}

async fn password_modify(session: &mut Session, value: Option<&[u8]>) -> Done {
    let request = Request::read(value)?;
    let who = session.who()?.clone();
    if !session.channel().plaintext {
        return refused(Code::ConfidentialityRequired, "passwords are taken over TLS only");
    }
    let generated = request.new.is_none().then(generate);
    let new = match (&request.new, &generated) {
        (Some(new), _) => Zeroizing::new(new.to_vec()),
        (None, Some(made)) => Zeroizing::new(made.as_bytes().to_vec()),
        (None, None) => Zeroizing::new(Vec::new()),
    };
    let changed = match target(session, &who, request.user.as_deref()).await? {
        Target::LdapAdmin => set_admin(session, &who, &request, &new).await,
        Target::Account(object) => set(session, &who, &object, request.old.as_deref().map(Vec::as_slice), &new).await,
    };
    let (outcome, mut extras) = changed?;
    extras.value = generated.map(|made| {
        let mut w = Writer::new();
        w.nest(SEQUENCE, |w| w.put(context(0), made.as_bytes()));
        w.finish()
    });
    Ok((outcome, extras))
}

fn generate() -> Zeroizing<String> {
    let pick = |_| char::from(ALPHABET[zcluster_runtime::random_below(ALPHABET.len() as u64) as usize]);
    Zeroizing::new((0..GENERATED).map(pick).collect())
}

enum Target {
    LdapAdmin,
    Account(Box<Object>),
}

/// Whose password: by name, by address, or the client's own.
async fn target(session: &Session, who: &Who, user: Option<&str>) -> Result<Target, Stop> {
    let ldap = &session.ldap;
    let object = match user.filter(|u| !u.is_empty()) {
        None => match who {
            Who::LdapAdmin => return Ok(Target::LdapAdmin),
            Who::Account { id, .. } => ldap.directory.get(Actor::System, ObjectBy::Id(*id)).await?,
        },
        Some(user) => {
            let name = user.strip_prefix("dn:").or(user.strip_prefix("u:")).unwrap_or(user);
            let dn = match Dn::parse(name) {
                Ok(dn) => dn,
                Err(error) => match name.rsplit_once('@') {
                    Some((local, domain)) => tree::people(domain).child(crate::dn::Rdn::new("uid", local)),
                    None => return Err(error.into()),
                },
            };
            if tree::place(&dn) == Some(Place::LdapAdmin) {
                session.administrator()?;
                return Ok(Target::LdapAdmin);
            }
            match find(ldap, who, &dn).await?.object {
                Some(object) => object,
                None => return refused(Code::UnwillingToPerform, "this entry has no password"),
            }
        }
    };
    if !matches!(object.kind, ObjectKind::Account | ObjectKind::Resource) {
        return refused(Code::UnwillingToPerform, "this entry has no password");
    }
    Ok(Target::Account(Box::new(object)))
}

async fn set(session: &mut Session, who: &Who, object: &Object, old: Option<&[u8]>, new: &[u8]) -> Done {
    match (who, old) {
        (Who::Account { id, .. }, Some(old)) if *id == object.id => {
            change_own_password(session, object, old, new).await
        }
        // Who administers need not know the old one.
        _ if who.administers() => store(session, who.reads_as(), object, new).await,
        (Who::Account { id, .. }, None) if *id == object.id => {
            refused(Code::UnwillingToPerform, "the old password is expected")
        }
        _ => refused(Code::InsufficientAccessRights, "this is not your password"),
    }
}

/// Changes the password of who signed in and knows the old one.
///
/// # Errors
/// It is not the old one; the new one is no good.
pub async fn change_own_password(session: &mut Session, object: &Object, old: &[u8], new: &[u8]) -> Done {
    let channel = session.channel();
    if !channel.plaintext {
        return refused(Code::ConfidentialityRequired, "passwords are taken over TLS only");
    }
    let Ok(new) = std::str::from_utf8(new) else {
        return refused(Code::ConstraintViolation, "a password must be UTF-8");
    };
    let authenticator = session.ldap.authenticator.clone();
    match authenticator.change_password(&object.name, old, new, channel.peer, Service::Ldap).await {
        Ok(_) => done(),
        Err(ChangeError::Auth(error)) => Err(auth_refusal(&error).into()),
        Err(ChangeError::Violation(violation)) => Err(passwords::violation(&violation)),
        Err(ChangeError::Directory(error)) => Err(Failure::of(&error, object.kind, &object.name).into()),
    }
}

/// An administrator sets somebody's password.
async fn store(session: &Session, actor: Actor, object: &Object, new: &[u8]) -> Done {
    let directory = &*session.ldap.directory;
    let given = vec![passwords::clear_text(new)?];
    let mut changes = Vec::new();
    let with = passwords::new(directory, actor, object, &mut changes, given).await?;
    directory.modify(actor, object, changes, with).await?;
    done()
}

async fn set_admin(session: &Session, who: &Who, request: &Request, new: &[u8]) -> Done {
    if let (Who::LdapAdmin, Some(old)) = (who, &request.old) {
        let config = ObjectBy::Name { kind: ObjectKind::Config, name: "config".into(), parent: None };
        let config = session.ldap.directory.get(Actor::System, config).await?;
        let stored = config.attrs.all(super::bind::ADMIN_PASSWORD_ATTRIBUTE);
        let (name, peer) = (Container::ldap_admin().to_string(), session.channel().peer);
        let right = session.ldap.authenticator.verify_stored(&name, stored, old, peer, Service::Ldap).await;
        right.map_err(|e| Stop::With(auth_refusal(&e)))?;
    }
    let Ok(text) = std::str::from_utf8(new) else {
        return refused(Code::ConstraintViolation, "a password must be UTF-8");
    };
    modify::set_admin_password(session, who, passwords::hash(text).await?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let mut w = Writer::new();
        w.nest(SEQUENCE, |w| {
            w.put(context(0), b"uid=x");
            w.put(context(2), b"new");
        });
        let bytes = w.finish();
        let request = Request::read(Some(&bytes)).unwrap();
        assert_eq!(request.user.as_deref(), Some("uid=x"));
        assert!(request.old.is_none() && request.new.is_some());
        assert!(Request::read(Some(b"\x04\x00")).is_err() && Request::read(None).is_ok());
        let mut w = Writer::new();
        w.nest(SEQUENCE, |w| w.integer(INTEGER, 7));
        assert_eq!(cancelled(Some(&w.finish())), Some(7));
        assert_eq!(cancelled(Some(b"\x30\x00")), None);
        assert_eq!(generate().len(), GENERATED);
    }
}
