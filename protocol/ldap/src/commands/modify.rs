//! Modify (RFC 4511 §4.6, RFC 4525).

use super::bind::ADMIN_PASSWORD_ATTRIBUTE;
use super::{passwords, reads};
use crate::access::Who;
use crate::attr::{Which, to_stored};
use crate::classes;
use crate::codec::controls::{self, Control};
use crate::codec::reply::Extras;
use crate::codec::request::{Attribute, Change};
use crate::errors::{Code, Outcome, Stop, clean, refused};
use crate::search::{Found, find_by_name};
use crate::session::{Done, Session};
use crate::tree::Place;
use std::collections::BTreeMap;
use zcluster_api::Actor;
use zcluster_api::directory::{Modification, ModifyKind, Object, ObjectBy, ObjectKind};

/// Changes an entry: all of it or nothing, but for aliases, which are entries of their own in the directory.
pub async fn run(session: &mut Session, dn: &str, changes: Vec<(Change, Attribute)>, all: &[Control]) -> Done {
    let who = session.who()?.clone();
    let ldap = session.ldap.clone();
    let found = find_by_name(&ldap, &who, dn).await?;
    reads::check_assertion(all, &found.entry)?;
    if !who.administers() {
        return own_password(session, &who, &found, &changes).await;
    }
    if found.place == Place::LdapAdmin {
        return admin_password(session, &who, changes).await;
    }
    let Some(object) = &found.object else {
        return refused(Code::UnwillingToPerform, "this entry is part of the tree itself");
    };
    let mut work = Work::of(object, changes)?;
    let before = reads::read(all, controls::PRE_READ, &found.entry)?;
    let with = match work.passwords.take() {
        Some(given) => passwords::new(&*ldap.directory, who.reads_as(), object, &mut work.changes, given).await?,
        None => Vec::new(),
    };
    if !work.changes.is_empty() {
        ldap.directory.modify(who.reads_as(), object, work.changes, with).await?;
    }
    for alias in &work.aliases_gone {
        let alias = ldap.directory.get(who.reads_as(), by_name(ObjectKind::Alias, alias)).await?;
        ldap.directory.delete(who.reads_as(), &alias).await?;
    }
    for alias in &work.aliases_new {
        ldap.directory.create(who.reads_as(), ObjectKind::Alias, alias, Some(object.id), Vec::new()).await?;
    }
    let mut told = Vec::from_iter(before);
    if all.iter().any(|c| c.oid == controls::POST_READ) {
        told.extend(reads::read(all, controls::POST_READ, &find_by_name(&ldap, &who, dn).await?.entry)?);
    }
    Ok((Outcome::success(), Extras { controls: told, ..Extras::default() }))
}

fn by_name(kind: ObjectKind, name: &str) -> ObjectBy {
    ObjectBy::Name { kind, name: name.to_string(), parent: None }
}

/// People who administer nothing may change their own password, as they know the old one: delete it and add the new
/// one in the same request, which is how directories without Password Modify have it.
async fn own_password(session: &mut Session, who: &Who, found: &Found, changes: &[(Change, Attribute)]) -> Done {
    let denied = || refused(Code::InsufficientAccessRights, "only administrators change entries");
    let (Who::Account { id, .. }, Some(object)) = (who, &found.object) else { return denied() };
    let password = |attribute: &Attribute| Which::of(&attribute.name) == Which::Secret("userPassword");
    match changes {
        [(Change::Delete, old), (Change::Add, new)] if password(old) && password(new) && object.id == *id => {
            match (old.values.as_slice(), new.values.as_slice()) {
                ([old], [new]) => super::extended::change_own_password(session, object, old, new).await,
                _ => refused(Code::ConstraintViolation, "the old password and the new one are expected"),
            }
        }
        _ => denied(),
    }
}

/// The administrator that only LDAP knows has nothing but a password, which stands in the global config.
async fn admin_password(session: &mut Session, who: &Who, changes: Vec<(Change, Attribute)>) -> Done {
    let mut stored = Vec::new();
    for (change, attribute) in changes {
        let password = Which::of(&attribute.name) == Which::Secret("userPassword");
        match change {
            Change::Replace | Change::Add if password => {
                stored = passwords::stored(passwords::read(&attribute.values)?).await?;
            }
            Change::Delete if password => stored.clear(),
            _ => return refused(Code::UnwillingToPerform, "this entry has a password to change and nothing else"),
        }
    }
    set_admin_password(session, who, stored).await
}

/// Stores hashes as the password of the administrator that only LDAP knows.
///
/// # Errors
/// The directory's.
pub async fn set_admin_password(session: &Session, who: &Who, stored: Vec<String>) -> Done {
    let directory = &session.ldap.directory;
    let config = directory.get(Actor::System, by_name(ObjectKind::Config, "config")).await?;
    let change = Modification { name: ADMIN_PASSWORD_ATTRIBUTE.into(), kind: ModifyKind::Replace, values: stored };
    directory.modify(who.reads_as(), &config, vec![change], Vec::new()).await?;
    crate::session::done()
}

/// What changes come to.
#[derive(Debug, Default)]
struct Work {
    changes: Vec<Modification>,
    aliases_new: Vec<String>,
    aliases_gone: Vec<String>,
    /// The new passwords, if they change.
    passwords: Option<Vec<passwords::Given>>,
    /// Values as they will be, for attributes that several changes of the request touch.
    now: BTreeMap<&'static str, Vec<String>>,
}

impl Work {
    fn of(object: &Object, changes: Vec<(Change, Attribute)>) -> Result<Work, Stop> {
        let mut work = Work::default();
        for (change, attribute) in changes {
            let (name, binary) = match Which::of(&attribute.name) {
                Which::Class => {
                    work.classes(object, change, &attribute)?;
                    continue;
                }
                Which::Operational(_) => {
                    return refused(Code::ConstraintViolation, format!("{} is the server's", attribute.name));
                }
                Which::Unknown => {
                    let text = format!("no such attribute: {}", clean(&attribute.name));
                    return refused(Code::UndefinedAttributeType, text);
                }
                Which::Secret(name) => (name, false),
                Which::Plain { name, binary } => (name, binary),
            };
            if name == "userPassword" {
                work.password(object, change, &attribute)?;
                continue;
            }
            let values = attribute.values.iter().map(|v| to_stored(binary, v)).collect::<Option<Vec<String>>>();
            let Some(values) = values else {
                return refused(Code::InvalidAttributeSyntax, format!("{name} must be UTF-8"));
            };
            if values.iter().any(String::is_empty) {
                return refused(Code::InvalidAttributeSyntax, format!("{name} cannot have an empty value"));
            }
            work.add(object, change, name, values)?;
        }
        Ok(work)
    }

    /// Adding the classes that an entry has anyway is what many programs do first.
    fn classes(&self, object: &Object, change: Change, attribute: &Attribute) -> Result<(), Stop> {
        let has =
            |v: &Vec<u8>| std::str::from_utf8(v).is_ok_and(|c| classes::includes(object.kind.object_classes(), c));
        match change {
            Change::Replace | Change::Add if attribute.values.iter().all(has) => Ok(()),
            _ => refused(Code::ObjectClassModsProhibited, "an entry's classes follow from what it is"),
        }
    }

    fn password(&mut self, object: &Object, change: Change, attribute: &Attribute) -> Result<(), Stop> {
        if !matches!(object.kind, ObjectKind::Account | ObjectKind::Resource) {
            return refused(Code::ObjectClassViolation, "only accounts have passwords");
        }
        // The last change of the request counts.
        match change {
            // An account has one password: who adds one changes it.
            Change::Replace | Change::Add => {
                self.changes.retain(|c| c.name != "userPassword");
                self.passwords = Some(passwords::read(&attribute.values)?);
            }
            Change::Delete if attribute.values.is_empty() => {
                self.changes.retain(|c| c.name != "userPassword");
                self.passwords = Some(Vec::new());
            }
            Change::Delete => {
                // The hash itself must be given: a password cannot be looked up by its clear text.
                let given = attribute.values.iter().map(|v| String::from_utf8_lossy(v).into_owned());
                let given: Vec<String> = given.collect();
                if !given.iter().all(|v| object.attrs.all("userPassword").contains(v)) {
                    return refused(Code::NoSuchAttribute, "userPassword has no such value");
                }
                let change = Modification { name: "userPassword".into(), kind: ModifyKind::Take, values: given };
                self.changes.push(change);
            }
            Change::Increment | Change::Unknown => {
                return refused(Code::UnwillingToPerform, "a password cannot be changed so");
            }
        }
        Ok(())
    }

    fn add(&mut self, object: &Object, change: Change, name: &'static str, values: Vec<String>) -> Result<(), Stop> {
        let present = self.now.entry(name).or_insert_with(|| object.attrs.all(name).to_vec());
        let has = |present: &[String], v: &String| present.iter().any(|p| p == v || p.eq_ignore_ascii_case(v));
        let kind = match change {
            Change::Add => {
                if values.is_empty() {
                    return refused(Code::ProtocolError, format!("nothing to add to {name}"));
                }
                if let Some(twice) = values.iter().find(|v| has(present, v)) {
                    return refused(
                        Code::AttributeOrValueExists,
                        format!("{name} has the value {} already", clean(twice)),
                    );
                }
                present.extend(values.iter().cloned());
                ModifyKind::Add
            }
            Change::Delete if values.is_empty() => {
                if present.is_empty() {
                    return refused(Code::NoSuchAttribute, format!("the entry has no {name}"));
                }
                present.clear();
                ModifyKind::Replace
            }
            Change::Delete => {
                if let Some(missing) = values.iter().find(|v| !has(present, v)) {
                    return refused(Code::NoSuchAttribute, format!("{name} has no value {}", clean(missing)));
                }
                // As they are spelled there.
                let spelled: Vec<String> = present.iter().filter(|p| has(&values, p)).cloned().collect();
                present.retain(|p| !has(&values, p));
                return self.push(object, name, ModifyKind::Take, spelled);
            }
            Change::Replace => {
                present.clone_from(&values);
                ModifyKind::Replace
            }
            Change::Increment => {
                let [by] = values.as_slice() else {
                    return refused(Code::ProtocolError, "an increment is one number");
                };
                let numbers = [present.first().map_or("", String::as_str), by.as_str()];
                if present.len() != 1 || numbers.iter().any(|n| n.parse::<i64>().is_err()) {
                    return refused(Code::ConstraintViolation, format!("{name} is not one number to add to"));
                }
                ModifyKind::Increment
            }
            Change::Unknown => return refused(Code::ProtocolError, "a kind of change that we do not know"),
        };
        self.push(object, name, kind, values)
    }

    /// Further addresses become changes of aliases; what follows from the name alone is not changed here.
    fn push(&mut self, object: &Object, name: &'static str, kind: ModifyKind, values: Vec<String>) -> Result<(), Stop> {
        let follows = object.kind.has_address() && ["mail", "zimbraMailAlias"].contains(&name);
        if !follows {
            if name.eq_ignore_ascii_case(crate::tree::naming(object.kind)) && object.kind != ObjectKind::Domain {
                return refused(Code::NotAllowedOnRdn, format!("{name} names the entry: rename it (modify DN)"));
            }
            self.changes.push(Modification { name: name.to_string(), kind, values });
            return Ok(());
        }
        let before = object.attrs.all("zimbraMailAlias");
        let now = self.now.get(name).map(Vec::as_slice).unwrap_or_default();
        if name == "mail" && !now.iter().any(|v| v.eq_ignore_ascii_case(&object.name)) {
            return refused(Code::NotAllowedOnRdn, "mail has the entry's own address: rename it (modify DN)");
        }
        let is = |a: &str, b: &String| a.eq_ignore_ascii_case(b);
        let new = now.iter().filter(|v| !is(&object.name, v) && !before.iter().any(|b| is(b, v)));
        let gone = before.iter().filter(|b| !now.iter().any(|v| is(v, b)));
        let add = |list: &mut Vec<String>, values: Vec<String>| {
            for v in values {
                if !list.contains(&v) {
                    list.push(v);
                }
            }
        };
        let (new, gone) = (new.map(|v| v.to_lowercase()).collect(), gone.cloned().collect());
        add(&mut self.aliases_new, new);
        add(&mut self.aliases_gone, gone);
        Ok(())
    }
}
