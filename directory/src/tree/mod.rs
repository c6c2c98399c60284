//! Zimbra's tree (data model §11): names to places, entries to names.
//!
//! ```text
//! cn=zimbra                     cn=config  cn=globalgrant  cn=cos  cn=servers  cn=admins  cn=zimlets  ...
//! dc=example,dc=com             ou=people: uid=NAME (accounts, resources, lists, aliases)
//!                               cn=groups: cn=NAME (groups whose members are found)
//! uid=NAME,ou=people,...        zimbraPrefIdentityName=  zimbraSignatureName=  zimbraDataSourceName=
//! ```

mod containers;

pub use containers::{Container, LDAP_ADMIN};

use crate::dn::{Dn, Rdn};
use zcluster_api::directory::{Object, ObjectKind};

/// What stands at a name, if anything does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The root, with what the server says of itself.
    Root,
    /// The schema.
    Subschema,
    /// A fixed entry below `cn=zimbra`, or that itself.
    Container(Container),
    /// The administrator that only LDAP knows.
    LdapAdmin,
    /// An entry that is found by its kind and name: global config, COS, servers, ...
    Named(ObjectKind, String),
    /// A domain, or a part of domains' names.
    Dc(String),
    /// `ou=people` of a domain.
    People(String),
    /// `cn=groups` of a domain.
    Groups(String),
    /// An account, resource, list or alias: its address.
    Person(String),
    /// A dynamic group: its address.
    Group(String),
    /// What belongs to an entry.
    Child {
        /// Whose.
        owner: Box<Place>,
        /// What.
        kind: ObjectKind,
        /// Its name there.
        name: String,
    },
}

/// The place of a name; nothing: there can be no entry of this name.
pub fn place(dn: &Dn) -> Option<Place> {
    let Some((own, above)) = dn.0.split_first() else { return Some(Place::Root) };
    let (attr, value) = own.single()?;
    if above.is_empty() && attr == "cn" {
        return match value.to_ascii_lowercase().as_str() {
            "zimbra" => Some(Place::Container(Container::Zimbra)),
            "subschema" => Some(Place::Subschema),
            _ => None,
        };
    }
    if attr == "dc" {
        return domain(dn).map(Place::Dc);
    }
    below(place(&Dn(above.to_vec()))?, attr, value)
}

fn domain(dn: &Dn) -> Option<String> {
    let labels: Option<Vec<&str>> =
        dn.0.iter().map(|r| r.single().filter(|(a, _)| *a == "dc").map(|(_, v)| v)).collect();
    Some(labels?.join(".").to_lowercase())
}

fn below(above: Place, attr: &str, value: &str) -> Option<Place> {
    let is = |a: &str, v: &str| attr == a && value.eq_ignore_ascii_case(v);
    match above {
        Place::Container(container) => container.below(attr, value),
        Place::Named(ObjectKind::Config, _) if is("cn", "mime") => Some(Place::Container(Container::Mime)),
        Place::Dc(domain) if is("ou", "people") => Some(Place::People(domain)),
        Place::Dc(domain) if is("cn", "groups") => Some(Place::Groups(domain)),
        Place::People(domain) if attr == "uid" => Some(Place::Person(format!("{value}@{domain}").to_lowercase())),
        Place::Groups(domain) if attr == "cn" => Some(Place::Group(format!("{value}@{domain}").to_lowercase())),
        owner @ (Place::Dc(_) | Place::Person(_) | Place::Child { kind: ObjectKind::HabGroup, .. }) => {
            let kinds = children_of(&owner);
            let kind = kinds.iter().find(|k| naming(**k) == attr)?;
            Some(Place::Child { owner: Box::new(owner), kind: *kind, name: value.to_string() })
        }
        _ => None,
    }
}

/// Kinds of entries that stand below an entry at such a place.
pub fn children_of(place: &Place) -> &'static [ObjectKind] {
    match place {
        Place::Dc(_) => &[ObjectKind::DataSource, ObjectKind::AddressList, ObjectKind::HabGroup],
        Place::Person(_) => &[ObjectKind::Identity, ObjectKind::Signature, ObjectKind::DataSource],
        Place::Child { kind: ObjectKind::HabGroup, .. } => &[ObjectKind::HabGroup],
        _ => &[],
    }
}

/// The attribute that names entries of a kind, in lower case.
pub fn naming(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Account | ObjectKind::Resource | ObjectKind::DistributionList | ObjectKind::Alias => "uid",
        ObjectKind::Domain => "dc",
        ObjectKind::DataSource => "zimbradatasourcename",
        ObjectKind::Identity => "zimbraprefidentityname",
        ObjectKind::Signature => "zimbrasignaturename",
        ObjectKind::HabGroup => "ou",
        _ => "cn",
    }
}

/// `ou=people` of a domain.
pub fn people(domain: &str) -> Dn {
    Dn::of_domain(domain).child(Rdn::new("ou", "people"))
}

/// `cn=groups` of a domain.
pub fn groups(domain: &str) -> Dn {
    Dn::of_domain(domain).child(Rdn::new("cn", "groups"))
}

/// The name of an entry that belongs to no other; nothing for those that do, see [`child_dn`].
pub fn dn_of(object: &Object) -> Option<Dn> {
    let local = || object.name.rsplit_once('@');
    Some(match object.kind {
        ObjectKind::Account | ObjectKind::Resource | ObjectKind::DistributionList | ObjectKind::Alias => {
            let (local, domain) = local()?;
            people(domain).child(Rdn::new("uid", local))
        }
        ObjectKind::DynamicGroup => {
            let (local, domain) = local()?;
            groups(domain).child(Rdn::new("cn", local))
        }
        ObjectKind::Domain => Dn::of_domain(&object.name),
        kind if kind.has_parent() => return None,
        kind => Container::dn_of(kind, &object.name),
    })
}

/// The name of an entry that belongs to the entry called `owner`.
pub fn child_dn(owner: &Dn, object: &Object) -> Dn {
    owner.child(Rdn::new(naming(object.kind), object.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zcluster_api::AccountId;
    use zcluster_api::directory::Attributes;

    fn at(text: &str) -> Option<Place> {
        place(&Dn::parse(text).unwrap())
    }

    #[test]
    fn places() {
        let s = String::from;
        assert_eq!(at(""), Some(Place::Root));
        assert_eq!(at("CN=Zimbra"), Some(Place::Container(Container::Zimbra)));
        assert_eq!(at("cn=config,cn=zimbra"), Some(Place::Named(ObjectKind::Config, s("config"))));
        assert_eq!(at("cn=default,cn=cos,cn=zimbra"), Some(Place::Named(ObjectKind::Cos, s("default"))));
        assert_eq!(
            at("cn=text/plain,cn=mime,cn=config,cn=zimbra"),
            Some(Place::Named(ObjectKind::MimeType, s("text/plain")))
        );
        assert_eq!(at("uid=zimbra,cn=admins,cn=zimbra"), Some(Place::LdapAdmin));
        assert_eq!(at("dc=Example,dc=com"), Some(Place::Dc(s("example.com"))));
        assert_eq!(at("ou=people,dc=example,dc=com"), Some(Place::People(s("example.com"))));
        let bob = Place::Person(s("bob@example.com"));
        assert_eq!(at("uid=Bob,ou=People,dc=example,dc=com"), Some(bob.clone()));
        assert_eq!(at("cn=all,cn=groups,dc=example,dc=com"), Some(Place::Group(s("all@example.com"))));
        let child = Place::Child { owner: Box::new(bob), kind: ObjectKind::Signature, name: s("Short") };
        assert_eq!(at("zimbraSignatureName=Short,uid=bob,ou=people,dc=example,dc=com"), Some(child));
        for nowhere in [
            "cn=other",
            "uid=bob",
            "uid=bob,dc=example,dc=com",
            "uid=a,uid=bob,ou=people,dc=example,dc=com",
            "dc=example,cn=zimbra",
            "uid=bob+cn=bob,ou=people,dc=example,dc=com",
            "cn=a,cn=default,cn=cos,cn=zimbra",
            "uid=other,cn=admins,cn=zimbra",
        ] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
    }

    proptest! {
        #[test]
        fn entries_stand_at_their_names(kind in prop::sample::select(ObjectKind::ALL.to_vec()), local in "[a-z0-9._+#=-]{1,12}", domain in "[a-z]{1,5}(\\.[a-z]{1,5}){0,3}", name in "[ -~]{1,12}") {
            let name = if kind.has_address() || kind == ObjectKind::Alias { format!("{local}@{domain}") } else if kind == ObjectKind::Domain { domain } else { name };
            let object = Object { kind, id: AccountId([1; 16]), name: name.clone(), parent: None, attrs: Attributes::new(), home: None };
            let owner = Dn::parse("uid=bob,ou=people,dc=example,dc=com").unwrap();
            let dn = dn_of(&object).unwrap_or_else(|| child_dn(&owner, &object));
            let read = Dn::parse(&dn.to_string()).unwrap();
            let found = place(&read);
            let fits = match &found {
                Some(Place::Person(n)) => (kind.has_address() || kind == ObjectKind::Alias) && *n == name,
                Some(Place::Group(n) | Place::Dc(n)) => *n == name,
                Some(Place::Named(k, n)) => *k == kind && (*n == name || matches!(kind, ObjectKind::Config | ObjectKind::GlobalGrant)),
                Some(Place::Child { kind: k, name: n, .. }) => *k == kind && *n == name,
                // Those of domains have other names than those of accounts.
                _ => matches!(kind, ObjectKind::AddressList | ObjectKind::HabGroup),
            };
            prop_assert!(fits, "{kind:?} {name}: {dn} {found:?}");
        }
    }
}
