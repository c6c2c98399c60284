//! Who sees what.
//!
//! Administrators, also those of a domain, ask the directory in their own name: it decides what they may. Everybody
//! else sees their own entry without its secrets, and of the others in their domain what an address book has.

use crate::classes::places;
use crate::entry::Entry;
use crate::tree::naming;
use zcluster_api::directory::{Account, Attributes, Kinds, ObjectKind};
use zcluster_api::{AccountId, Actor};

/// What an address book shows (Zimbra's GAL: names, addresses, telephones).
const ADDRESS_BOOK: [&str; 44] = [
    "businessCategory",
    "c",
    "cn",
    "co",
    "company",
    "departmentNumber",
    "description",
    "displayName",
    "employeeNumber",
    "facsimileTelephoneNumber",
    "fullName",
    "givenName",
    "gn",
    "homePhone",
    "info",
    "initials",
    "jpegPhoto",
    "l",
    "mail",
    "manager",
    "middleName",
    "mobile",
    "o",
    "ou",
    "pager",
    "physicalDeliveryOfficeName",
    "postalAddress",
    "postalCode",
    "sn",
    "st",
    "street",
    "telephoneNumber",
    "title",
    "uid",
    "userCertificate",
    "userSMIMECertificate",
    "zimbraAccountCalendarUserType",
    "zimbraCalResBuilding",
    "zimbraCalResCapacity",
    "zimbraCalResFloor",
    "zimbraCalResLocationDisplayName",
    "zimbraCalResType",
    "zimbraMailAlias",
    "zimbraPhoneticLastName",
];

/// Kinds of entries in an address book.
const LISTED: Kinds = Kinds(Kinds::ACCOUNTS.0 | Kinds::GROUPS.0);

/// Somebody who signed in.
#[derive(Clone, Debug)]
pub enum Who {
    /// The administrator that only LDAP knows.
    LdapAdmin,
    /// An account.
    Account {
        /// Its id.
        id: AccountId,
        /// Its address.
        name: String,
        /// May do anything.
        admin: bool,
        /// May do what it was granted.
        delegated: bool,
    },
}

impl Who {
    /// An account that signed in.
    pub fn of(account: &Account) -> Who {
        let delegated = account.effective("zimbraIsDelegatedAdminAccount") == Some("TRUE");
        Who::Account { id: account.id, name: account.name.clone(), admin: account.is_admin(), delegated }
    }

    /// In whose name the directory is asked.
    pub fn reads_as(&self) -> Actor {
        match self {
            Who::LdapAdmin => Actor::System,
            Who::Account { id, admin: true, .. } => Actor::Admin(*id),
            Who::Account { id, delegated: true, .. } => Actor::Account(*id),
            // What is found is cut down here.
            Who::Account { .. } => Actor::System,
        }
    }

    /// In whose name the directory is changed.
    pub fn writes_as(&self) -> Actor {
        match self {
            Who::Account { id, admin: false, .. } => Actor::Account(*id),
            other => other.reads_as(),
        }
    }

    /// Whether it is an administrator of something.
    pub fn administers(&self) -> bool {
        match self {
            Who::LdapAdmin => true,
            Who::Account { admin, delegated, .. } => *admin || *delegated,
        }
    }

    /// Kinds of entries that it can see any of.
    pub fn sees(&self) -> Kinds {
        if self.administers() { Kinds(u32::MAX) } else { LISTED.and(Kinds::of(&CHILDREN)) }
    }

    /// The domain that it sees something of, if that is not all.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Who::Account { name, .. } if !self.administers() => name.rsplit_once('@').map(|(_, domain)| domain),
            _ => None,
        }
    }

    /// What it sees of an entry.
    pub fn show(&self, entry: Entry) -> Option<Entry> {
        let Who::Account { id, name, .. } = self else { return Some(entry) };
        if self.administers() {
            return Some(entry);
        }
        let Some(kind) = entry.kind else { return self.shows_fixed(&entry).then_some(entry) };
        if entry.id == Some(*id) {
            return Some(entry);
        }
        if kind == ObjectKind::Domain {
            // The way to its people, and no more.
            return self.shows_fixed(&entry).then(|| Entry { attrs: only(&entry.attrs, &["dc", "o"]), ..entry });
        }
        if CHILDREN.contains(&kind) {
            let own = entry.dn.0.get(1).and_then(|r| r.single()).is_some_and(|(_, local)| {
                let address = name.rsplit_once('@').map_or("", |(local, _)| local);
                local.eq_ignore_ascii_case(address)
            });
            return (own && self.shows_fixed(&entry)).then_some(entry);
        }
        let hidden = entry.attrs.get("zimbraHideInGal") == Some("TRUE");
        let usable = matches!(
            entry.attrs.get("zimbraAccountStatus"),
            None | Some("active" | "lockout" | "locked" | "maintenance")
        );
        if !LISTED.has(kind) || hidden || !usable || !self.shows_fixed(&entry) {
            return None;
        }
        Some(Entry { attrs: only(&entry.attrs, &ADDRESS_BOOK), id: entry.id, ..entry })
    }

    /// Whether an entry stands on the way to its domain, or in it.
    fn shows_fixed(&self, entry: &Entry) -> bool {
        let Some(domain) = self.domain() else { return true };
        let own = crate::dn::Dn::of_domain(domain);
        if own.ends_with(&entry.dn) {
            return true;
        }
        // Directly below: not in a domain below that one.
        let below = entry.dn.ends_with(&own);
        let next = entry.dn.0.len().checked_sub(own.0.len() + 1).and_then(|at| entry.dn.0.get(at));
        below && next.and_then(|r| r.single()).is_some_and(|(attr, _)| attr != "dc")
    }
}

/// Kinds of what belongs to an account.
const CHILDREN: [ObjectKind; 3] = [ObjectKind::Identity, ObjectKind::Signature, ObjectKind::DataSource];

fn only(attrs: &Attributes, names: &[&str]) -> Attributes {
    let mut out = Attributes::new();
    for attribute in attrs.iter().filter(|a| names.iter().any(|n| n.eq_ignore_ascii_case(&a.name))) {
        out.set(&attribute.name, attribute.values.clone());
    }
    out
}

/// Whether entries of a kind can have an attribute. Asked only of those kinds that are many and have few attributes, so
/// that a search for people need not look at what belongs to them.
pub fn can_have(kind: ObjectKind, attr: &str) -> bool {
    if !kind.has_parent() && kind != ObjectKind::Alias {
        return true;
    }
    let always = ["zimbraId", "zimbraCreateTimestamp", naming(kind)];
    if always.iter().any(|a| a.eq_ignore_ascii_case(attr)) && (kind != ObjectKind::Alias || attr == "uid") {
        return true;
    }
    zcluster_schema::find(attr).is_none_or(|definition| places(kind).iter().any(|p| definition.stands_in(*p)))
}
