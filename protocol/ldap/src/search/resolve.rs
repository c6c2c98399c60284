//! What stands at a name.

use crate::Ldap;
use crate::access::Who;
use crate::back_end::{Failure, is_missing};
use crate::dn::Dn;
use crate::entry::Entry;
use crate::errors::{Outcome, Stop};
use crate::tree::{self, Place};
use futures::future::{BoxFuture, FutureExt};
use zcluster_api::Actor;
use zcluster_api::directory::{Attributes, Object, ObjectBy, ObjectKind};

/// What stands at a name.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its place.
    pub place: Place,
    /// What a client may see of it.
    pub entry: Entry,
    /// What it is in the directory; nothing for fixed entries.
    pub object: Option<Object>,
}

/// What stands at a name, as far as somebody may see it.
///
/// # Errors
/// `noSuchObject`, with the nearest entry above that is there; the directory's.
pub async fn find(ldap: &Ldap, who: &Who, dn: &Dn) -> Result<Found, Stop> {
    if let Some(place) = tree::place(dn)
        && let Some((entry, object)) = at(ldap, who, &place).await?
        && let Some(entry) = who.show(entry)
    {
        return Ok(Found { place, entry, object });
    }
    let mut above = dn.parent();
    while let Some(dn) = above.filter(|d| !d.0.is_empty()) {
        if let Some(place) = tree::place(&dn)
            && let Some((entry, _)) = at(ldap, who, &place).await?
            && who.show(entry).is_some()
        {
            return Err(Outcome::no_such_object(Some(&dn)).into());
        }
        above = dn.parent();
    }
    Err(Outcome::no_such_object(None).into())
}

/// The same, from text.
///
/// # Errors
/// It is no name; as before.
pub async fn find_by_name(ldap: &Ldap, who: &Who, dn: &str) -> Result<Found, Stop> {
    find(ldap, who, &Dn::parse(dn)?).await
}

type Seen = Option<(Entry, Option<Object>)>;

fn at<'a>(ldap: &'a Ldap, who: &'a Who, place: &'a Place) -> BoxFuture<'a, Result<Seen, Failure>> {
    async move {
        let actor = who.reads_as();
        let named = |kind, name: &str, parent| ObjectBy::Name { kind, name: name.to_string(), parent };
        let object = match place {
            Place::Root | Place::Subschema => None,
            Place::Container(container) => return Ok(Some((Entry::container(*container), None))),
            Place::LdapAdmin => return Ok(Some((Entry::ldap_admin(), None))),
            Place::Named(kind, name) => get(ldap, actor, named(*kind, name, None)).await?,
            Place::Dc(name) => match get(ldap, who.looks_as(), named(ObjectKind::Domain, name, None)).await? {
                None => {
                    let names = ldap.domains.names(&*ldap.directory, who.looks_as()).await?;
                    return Ok(names.below(name).then(|| (Entry::dc(name), None)));
                }
                found => found,
            },
            Place::People(domain) | Place::Groups(domain) => {
                let there = get(ldap, who.looks_as(), named(ObjectKind::Domain, domain, None)).await?.is_some();
                let people = matches!(place, Place::People(_));
                let entry = if people { Entry::people(domain) } else { Entry::groups(domain) };
                return Ok(there.then_some((entry, None)));
            }
            Place::Person(address) => {
                let found = get(ldap, actor, ObjectBy::Address(address.clone())).await?;
                found
                    .filter(|o| o.kind != ObjectKind::DynamicGroup || o.name != *address)
                    .map(|object| if object.name == *address { object } else { alias(address, &object) })
            }
            Place::Group(address) => {
                let found = get(ldap, actor, ObjectBy::Address(address.clone())).await?;
                found.filter(|o| o.kind == ObjectKind::DynamicGroup && o.name == *address)
            }
            Place::Child { owner, kind, name } => match at(ldap, who, owner).await? {
                Some((above, Some(owner))) if owner.kind != ObjectKind::Alias => {
                    let found = get(ldap, actor, named(*kind, name, Some(owner.id))).await?;
                    return Ok(found.map(|object| {
                        let dn = tree::child_dn(&above.dn, &object);
                        (Entry::of(object.clone(), dn), Some(object))
                    }));
                }
                _ => None,
            },
        };
        Ok(object.and_then(|object| {
            let dn = tree::dn_of(&object)?;
            Some((Entry::of(object.clone(), dn), Some(object)))
        }))
    }
    .boxed()
}

async fn get(ldap: &Ldap, actor: Actor, by: ObjectBy) -> Result<Option<Object>, Failure> {
    match ldap.directory.get(actor, by).await {
        Ok(object) => Ok(Some(object)),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// An alias as an entry of its own.
pub fn alias(address: &str, target: &Object) -> Object {
    let mut attrs = Attributes::new();
    attrs.set("uid", vec![address.split('@').next().unwrap_or_default().to_string()]);
    attrs.set("zimbraAliasTargetId", vec![target.id.to_string()]);
    Object { kind: ObjectKind::Alias, id: target.id, name: address.to_string(), parent: None, attrs, home: None }
}

/// The name of what belongs to an entry: that entry's own name and the ones above it are looked up.
pub async fn owned_dn(ldap: &Ldap, actor: Actor, object: &Object) -> Result<Option<Dn>, Failure> {
    /// Entries above each other that belong to each other.
    const OWNERS_MAX: usize = 8;
    let mut chain = vec![object.clone()];
    while chain.len() <= OWNERS_MAX {
        let Some(last) = chain.last() else { break };
        if let Some(top) = tree::dn_of(last) {
            chain.pop();
            return Ok(Some(chain.iter().rev().fold(top, |dn, o| tree::child_dn(&dn, o))));
        }
        let Some(parent) = last.parent else { break };
        match get(ldap, actor, ObjectBy::Id(parent)).await? {
            Some(owner) => chain.push(owner),
            None => break,
        }
    }
    Ok(None)
}
