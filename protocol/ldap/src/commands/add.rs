//! Add (RFC 4511 §4.7).

use super::{passwords, reads};
use crate::attr::{Which, to_stored};
use crate::classes;
use crate::codec::controls::{self, Control};
use crate::codec::reply::Extras;
use crate::codec::request::Attribute;
use crate::dn::Dn;
use crate::errors::{Code, Outcome, Stop, clean, refused};
use crate::search::{find, find_by_name};
use crate::session::{Done, Session};
use crate::tree::{self, Place, naming};
use zcluster_api::AccountId;
use zcluster_api::directory::{Modification, ModifyKind, ObjectKind};

/// Adds an entry. What kind it is follows from where it is to stand and, among people, from its classes.
pub async fn run(session: &mut Session, dn: &str, attributes: Vec<Attribute>, all: &[Control]) -> Done {
    let who = session.administrator()?.clone();
    let ldap = session.ldap.clone();
    let dn = Dn::parse(dn)?;
    let classes = classes_of(&attributes)?;
    let (kind, name) = what(&dn, &classes)?;
    let above = dn.parent().filter(|d| !d.0.is_empty());
    let mut parent = None;
    // A domain's name may begin a new part of the tree.
    if let (Some(above), false) = (&above, kind == ObjectKind::Domain) {
        parent = find(&ldap, &who, above).await?.object.filter(|_| kind.has_parent()).map(|o| o.id);
    }
    let given = Given::of(kind, &name, attributes)?;
    if kind == ObjectKind::Alias {
        parent = Some(given.target()?);
    }
    let (actor, mut changes, aliases) = (who.reads_as(), given.changes, given.aliases);
    let object = match kind {
        ObjectKind::Account | ObjectKind::Resource => {
            let with = passwords::first(&*ldap.directory, actor, (kind, &name), &mut changes, given.passwords).await?;
            ldap.directory.create_person(actor, kind, &name, changes, with).await?
        }
        _ if !given.passwords.is_empty() => {
            return refused(Code::ObjectClassViolation, "only accounts have passwords");
        }
        _ => ldap.directory.create(actor, kind, &name, parent, changes).await?,
    };
    if kind == ObjectKind::Domain {
        ldap.domains.forget();
    }
    // Further addresses are entries of their own there; one that is taken already is told, and the entry stays.
    for alias in &aliases {
        let made = ldap.directory.create(who.reads_as(), ObjectKind::Alias, alias, Some(object.id), Vec::new());
        if let Err(failure) = made.await {
            let outcome = crate::errors::failure(&failure);
            let text = format!("the entry was added, but not its alias {}: {}", clean(alias), outcome.text);
            return refused(outcome.code, text);
        }
    }
    let mut told = Vec::new();
    if all.iter().any(|c| c.oid == controls::POST_READ) {
        let found = find_by_name(&ldap, &who, &dn.to_string()).await?;
        told.extend(reads::read(all, controls::POST_READ, &found.entry)?);
    }
    Ok((Outcome::success(), Extras { controls: told, ..Extras::default() }))
}

fn classes_of(attributes: &[Attribute]) -> Result<Vec<String>, Stop> {
    let mut out = Vec::new();
    for attribute in attributes.iter().filter(|a| Which::of(&a.name) == Which::Class) {
        for value in &attribute.values {
            let Some(class) = std::str::from_utf8(value).ok().and_then(classes::find) else {
                let text = format!("no object class {}", clean(&String::from_utf8_lossy(value)));
                return refused(Code::InvalidAttributeSyntax, text);
            };
            out.push(class.name.to_string());
        }
    }
    if out.is_empty() {
        return refused(Code::ObjectClassViolation, "an entry needs an object class");
    }
    Ok(out)
}

fn what(dn: &Dn, classes: &[String]) -> Result<(ObjectKind, String), Stop> {
    let wrong = |what: &str| refused(Code::ObjectClassViolation, format!("an entry there must be {what}"));
    let (kind, name) = match tree::place(dn) {
        Some(Place::Person(address)) => match classes::kind_of(classes) {
            Some(kind) => (kind, address),
            None => return wrong("zimbraAccount, zimbraCalendarResource, zimbraDistributionList or zimbraAlias"),
        },
        Some(Place::Group(address)) => (ObjectKind::DynamicGroup, address),
        Some(Place::Dc(name)) => (ObjectKind::Domain, name),
        Some(Place::Named(ObjectKind::Config | ObjectKind::GlobalGrant, _)) => {
            return refused(Code::EntryAlreadyExists, "there is one, always");
        }
        Some(Place::Named(kind, name) | Place::Child { kind, name, .. }) => (kind, name),
        Some(_) => return refused(Code::EntryAlreadyExists, "this entry is part of the tree itself"),
        None => return refused(Code::NamingViolation, "no entry can stand there"),
    };
    let main = match kind {
        ObjectKind::DynamicGroup => "zimbraGroup",
        ObjectKind::Account | ObjectKind::Resource => "zimbraAccount",
        other => other.object_classes().iter().rev().find(|c| c.starts_with("zimbra")).copied().unwrap_or("top"),
    };
    let names: Vec<&str> = classes.iter().map(String::as_str).collect();
    if !classes::includes(&names, main) {
        return wrong(main);
    }
    Ok((kind, name))
}

/// What a client gave.
struct Given {
    changes: Vec<Modification>,
    aliases: Vec<String>,
    target: Option<String>,
    passwords: Vec<passwords::Given>,
}

impl Given {
    fn of(kind: ObjectKind, name: &str, attributes: Vec<Attribute>) -> Result<Given, Stop> {
        let mut given = Given { changes: Vec::new(), aliases: Vec::new(), target: None, passwords: Vec::new() };
        let mut seen: Vec<String> = Vec::new();
        for attribute in attributes {
            let which = Which::of(&attribute.name);
            if attribute.values.is_empty() {
                return refused(Code::InvalidAttributeSyntax, format!("{} without a value", clean(&attribute.name)));
            }
            let (attr, binary) = match which {
                Which::Class => continue,
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
            let key = attr.to_ascii_lowercase();
            if seen.contains(&key) {
                return refused(Code::AttributeOrValueExists, format!("{attr} is given twice"));
            }
            seen.push(key);
            if attr == "userPassword" {
                given.passwords = passwords::read(&attribute.values)?;
                continue;
            }
            let values = attribute.values.iter().map(|v| to_stored(binary, v)).collect::<Option<Vec<String>>>();
            let Some(values) = values else {
                return refused(Code::InvalidAttributeSyntax, format!("{attr} must be UTF-8"));
            };
            given.take(kind, name, attr, values)?;
        }
        Ok(given)
    }

    /// What follows from the entry's name is compared with it; the rest is passed on.
    fn take(&mut self, kind: ObjectKind, name: &str, attr: &str, values: Vec<String>) -> Result<(), Stop> {
        let local = name.split('@').next().unwrap_or_default();
        let lower = attr.to_ascii_lowercase();
        let own_name = match kind {
            ObjectKind::Domain => name.split('.').next().unwrap_or_default(),
            k if k.has_address() || k == ObjectKind::Alias => local,
            _ => name,
        };
        let differs = |expected: &str| !values.iter().all(|v| v.eq_ignore_ascii_case(expected));
        match lower.as_str() {
            "zimbraaliastargetid" if kind == ObjectKind::Alias => self.target = values.into_iter().next(),
            // A common name may be another than what an entry is called by.
            "cn" if naming(kind) == "cn" && !values.iter().any(|v| v.eq_ignore_ascii_case(own_name)) => {
                return refused(Code::NamingViolation, "cn differs from the entry's name");
            }
            "cn" if naming(kind) == "cn" => {}
            attr if attr == naming(kind) && differs(own_name) => {
                return refused(Code::NamingViolation, format!("{attr} differs from the entry's name"));
            }
            attr if attr == naming(kind) => {}
            "o" if kind == ObjectKind::Domain => {}
            "zimbradomainname" if kind == ObjectKind::Domain && !differs(name) => {}
            "mail" if kind.has_address() && !values.iter().any(|v| v.eq_ignore_ascii_case(name)) => {
                return refused(Code::NamingViolation, "mail does not have the entry's own address");
            }
            "mail" | "zimbramailalias" if kind.has_address() => {
                let more = values.into_iter().filter(|v| !v.eq_ignore_ascii_case(name)).map(|v| v.to_lowercase());
                for alias in more {
                    if !self.aliases.contains(&alias) {
                        self.aliases.push(alias);
                    }
                }
            }
            "zimbramaildeliveryaddress" if kind.has_address() && !differs(name) => {}
            _ => self.changes.push(Modification { name: attr.to_string(), kind: ModifyKind::Replace, values }),
        }
        Ok(())
    }

    fn target(&self) -> Result<AccountId, Stop> {
        match self.target.as_deref().map(str::parse) {
            Some(Ok(id)) => Ok(id),
            _ => refused(Code::ObjectClassViolation, "an alias needs zimbraAliasTargetId, the id of whose it is"),
        }
    }
}
