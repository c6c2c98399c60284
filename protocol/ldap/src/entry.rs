//! Entries as LDAP shows them.

use crate::attr::{self, Operational, Which};
use crate::classes;
use crate::codec::ber::Writer;
use crate::codec::reply;
use crate::dn::Dn;
use crate::schema::SUBSCHEMA_DN;
use crate::tree::{self, Container};
use std::borrow::Cow;
use std::fmt::Display;
use zcluster_api::AccountId;
use zcluster_api::directory::{Attributes, Object, ObjectKind};

/// An entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub dn: Dn,
    /// Its name as text.
    pub shown_dn: String,
    /// Its object classes.
    pub classes: &'static [&'static str],
    /// Its attributes, without what [`Operational`] names.
    pub attrs: Attributes,
    /// `entryUUID`.
    pub id: Option<AccountId>,
    /// What it is in the directory; nothing for fixed entries.
    pub kind: Option<ObjectKind>,
    /// Whether something stands below it, if that was found out.
    pub has_children: Option<bool>,
}

const ROLE: &[&str] = &["organizationalRole"];
const UNIT: &[&str] = &["organizationalRole"];
const DC: &[&str] = &["dcObject", "organization"];

impl Entry {
    fn fixed(dn: Dn, classes: &'static [&'static str], attrs: &[(&str, &str)]) -> Entry {
        let mut all = Attributes::new();
        attrs.iter().for_each(|(name, value)| all.set(name, vec![(*value).to_string()]));
        let shown_dn = dn.to_string();
        Entry { dn, shown_dn, classes, attrs: all, id: None, kind: None, has_children: None }
    }

    /// A fixed entry below `cn=zimbra`, or that itself.
    pub fn container(container: Container) -> Entry {
        let entry = Self::fixed(container.dn(), ROLE, &[("cn", container.name())]);
        Entry { has_children: (container == Container::Zimbra).then_some(true), ..entry }
    }

    /// The administrator that only LDAP knows.
    pub fn ldap_admin() -> Entry {
        let name = tree::LDAP_ADMIN;
        let attrs = [("uid", name), ("cn", name), ("sn", name)];
        let entry = Self::fixed(Container::ldap_admin(), &["inetOrgPerson"], &attrs);
        Entry { has_children: Some(false), ..entry }
    }

    /// A part of domains' names that is no domain: `dc=com`.
    pub fn dc(name: &str) -> Entry {
        let label = name.split('.').next().unwrap_or_default();
        let entry = Self::fixed(Dn::of_domain(name), DC, &[("dc", label), ("o", name)]);
        Entry { has_children: Some(true), ..entry }
    }

    /// `ou=people` of a domain.
    pub fn people(domain: &str) -> Entry {
        Self::fixed(tree::people(domain), UNIT, &[("ou", "people"), ("cn", "people")])
    }

    /// `cn=groups` of a domain.
    pub fn groups(domain: &str) -> Entry {
        Self::fixed(tree::groups(domain), ROLE, &[("cn", "groups")])
    }

    /// An entry of the directory, called `dn`.
    pub fn of(object: Object, dn: Dn) -> Entry {
        let Object { kind, id, name, mut attrs, .. } = object;
        complete(kind, id, &name, &mut attrs);
        let real = !matches!(kind, ObjectKind::Alias | ObjectKind::Config | ObjectKind::GlobalGrant);
        let has_children = match kind {
            ObjectKind::Domain | ObjectKind::Config => Some(true),
            ObjectKind::Account | ObjectKind::Resource | ObjectKind::DistributionList | ObjectKind::HabGroup => None,
            _ => Some(false),
        };
        let shown_dn = dn.to_string();
        Entry {
            dn,
            shown_dn,
            classes: kind.object_classes(),
            attrs,
            id: real.then_some(id),
            kind: Some(kind),
            has_children,
        }
    }

    /// The values of a plain attribute, as they are kept.
    pub fn plain(&self, name: &str) -> &[String] {
        self.attrs.all(name)
    }

    /// The values of one that the server makes up.
    pub fn operational(&self, which: Operational) -> Option<Cow<'_, str>> {
        match which {
            Operational::EntryDn => Some(Cow::Borrowed(&self.shown_dn)),
            Operational::EntryUuid => self.id.map(|id| Cow::Owned(id.to_string())),
            Operational::CreateTimestamp => self.attrs.get("zimbraCreateTimestamp").map(Cow::Borrowed),
            Operational::StructuralObjectClass => Some(Cow::Borrowed(classes::structural(self.classes))),
            Operational::SubschemaSubentry => Some(Cow::Borrowed(SUBSCHEMA_DN)),
            Operational::HasSubordinates => {
                self.has_children.map(|has| Cow::Borrowed(if has { "TRUE" } else { "FALSE" }))
            }
        }
    }

    /// Writes the attributes that were asked for.
    pub fn write(&self, w: &mut Writer, selection: &Selection, types_only: bool) {
        if selection.class {
            put(w, "objectClass", self.classes.iter().map(|c| c.as_bytes()), types_only);
        }
        for attribute in self.attrs.iter() {
            let wanted = selection.all_user || selection.names.iter().any(|n| n.eq_ignore_ascii_case(&attribute.name));
            if !wanted || zcluster_schema::is_secret(&attribute.name) {
                continue;
            }
            let definition = zcluster_schema::find(&attribute.name);
            if definition.is_some_and(attr::is_binary) {
                let values = attribute.values.iter().map(|v| attr::to_shown(true, v));
                // RFC 4523 §2.1 wants certificates to be asked for and shown so.
                let certificate = definition.is_some_and(|d| d.kind == zcluster_schema::Kind::Certificate);
                let name = format!("{}{}", attribute.name, if certificate { ";binary" } else { "" });
                put(w, &name, values, types_only);
            } else {
                put(w, &attribute.name, attribute.values.iter().map(String::as_bytes), types_only);
            }
        }
        for which in &selection.operational {
            if let Some(value) = self.operational(*which) {
                put(w, which.name().0, std::iter::once(value.as_bytes()), types_only);
            }
        }
    }
}

fn put<V: AsRef<[u8]>>(w: &mut Writer, name: &str, values: impl Iterator<Item = V>, types_only: bool) {
    let none = if types_only { 0 } else { usize::MAX };
    reply::attribute(w, name, values.take(none));
}

/// Adds what follows from an entry's name and is not stored with it.
fn complete(kind: ObjectKind, id: AccountId, name: &str, attrs: &mut Attributes) {
    let mut need = |attr: &str, value: &dyn Display| {
        if !attrs.has(attr) {
            attrs.set(attr, vec![value.to_string()]);
        }
    };
    match kind {
        ObjectKind::Account | ObjectKind::Resource | ObjectKind::DistributionList | ObjectKind::DynamicGroup => {
            let local = name.split('@').next().unwrap_or_default();
            need(if kind == ObjectKind::DynamicGroup { "cn" } else { "uid" }, &local);
            need("mail", &name);
            need("zimbraId", &id);
            if kind.has_address() && matches!(kind, ObjectKind::Account | ObjectKind::Resource) {
                // inetOrgPerson must have them; Zimbra sets them to the user name as well.
                need("cn", &local);
                need("sn", &local);
            }
        }
        ObjectKind::Domain => {
            need("dc", &name.split('.').next().unwrap_or_default());
            need("o", &name);
            need("zimbraDomainName", &name);
            need("zimbraId", &id);
        }
        ObjectKind::Alias => need("uid", &name.split('@').next().unwrap_or_default()),
        ObjectKind::Config => need("cn", &"config"),
        ObjectKind::GlobalGrant => need("cn", &"globalgrant"),
        ObjectKind::DataSource => need("zimbraDataSourceName", &name),
        ObjectKind::Identity => need("zimbraPrefIdentityName", &name),
        ObjectKind::Signature => need("zimbraSignatureName", &name),
        ObjectKind::HabGroup => need("ou", &name),
        _ => need("cn", &name),
    }
}

/// Attributes that a client wants (RFC 4511 §4.5.1.8, RFC 3673, RFC 4529).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// All that are not operational.
    pub all_user: bool,
    /// `objectClass`.
    pub class: bool,
    /// Operational ones.
    pub operational: Vec<Operational>,
    /// Others by name.
    pub names: Vec<&'static str>,
}

impl Selection {
    /// What a list of descriptions asks for; none: everything that is not operational.
    pub fn of(list: &[String]) -> Selection {
        let mut out = Selection::default();
        if list.is_empty() {
            (out.all_user, out.class) = (true, true);
        }
        for description in list {
            match description.as_str() {
                "*" => (out.all_user, out.class) = (true, true),
                "+" => out.operational = Operational::ALL.to_vec(),
                "1.1" => {}
                class if class.starts_with('@') => out.add_class(&class[1..]),
                name => out.add(name),
            }
        }
        out
    }

    fn add(&mut self, description: &str) {
        match Which::of(description) {
            Which::Class => self.class = true,
            Which::Operational(o) if !self.operational.contains(&o) => self.operational.push(o),
            Which::Plain { name, .. } if !self.names.contains(&name) => self.names.push(name),
            Which::Plain { .. } | Which::Operational(_) | Which::Secret(_) | Which::Unknown => {}
        }
    }

    fn add_class(&mut self, class: &str) {
        let Some(class) = classes::find(class) else { return };
        class.must.iter().chain(class.may).for_each(|name| self.add(name));
        if let Some(place) = class.place {
            let there = zcluster_schema::all().filter(|d| d.stands_in(place)).map(|d| d.name);
            there.for_each(|name| self.names.push(name));
        }
    }

    /// Whether it asks for this one that the server makes up.
    pub fn has(&self, which: Operational) -> bool {
        self.operational.contains(&which)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections() {
        let of = |list: &[&str]| Selection::of(&list.iter().map(|s| (*s).to_string()).collect::<Vec<_>>());
        assert!(of(&[]).all_user && of(&["*"]).class && of(&[]).operational.is_empty());
        assert_eq!(of(&["1.1"]), Selection::default());
        assert_eq!(of(&["+"]).operational.len(), Operational::ALL.len());
        let some = of(&["MAIL", "surname", "objectclass", "nonsense", "entryDN", "userPassword", "mail"]);
        assert_eq!((some.names, some.class, some.operational.len()), (vec!["mail", "sn"], true, 1));
        assert!(of(&["@zimbraCOS"]).names.contains(&"zimbraMailQuota"));
    }
}
