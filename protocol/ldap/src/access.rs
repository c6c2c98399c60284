//! Who sees what.
//!
//! The directory decides what somebody may see of its entries: administrators what they may administer, everybody else
//! their own entry and of the others in their domain what an address book has. What is decided here is what the tree
//! has besides: its fixed entries, and the domains that names lead through.

use crate::entry::Entry;
use crate::tree::naming;
use zcluster_api::directory::{Account, Kinds, ObjectKind};
use zcluster_api::{AccountId, Actor};
use zcluster_directory::place_of;

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
            Who::Account { id, .. } => Actor::Account(*id),
        }
    }

    /// In whose name it is asked for what a name leads through: domains. Everybody may know their own, whose attributes
    /// are nobody's business; what is found is cut down by [`Who::show`].
    pub fn looks_as(&self) -> Actor {
        if self.administers() { self.reads_as() } else { Actor::System }
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

    /// What it sees of an entry that the directory has shown.
    pub fn show(&self, mut entry: Entry) -> Option<Entry> {
        let Who::Account { id, .. } = self else { return Some(entry) };
        if self.administers() || entry.id == Some(*id) {
            return Some(entry);
        }
        if !self.is_near(&entry) {
            return None;
        }
        match entry.kind {
            // The way to its people, and no more.
            Some(ObjectKind::Domain) => entry.attrs = entry.attrs.keep(|n| ["dc", "o"].contains(&n)),
            Some(_) => entry.attrs = entry.attrs.keep(|n| !n.eq_ignore_ascii_case("zimbraId")),
            None => {}
        }
        Some(entry)
    }

    /// Whether an entry stands on the way to its domain, or in it.
    fn is_near(&self, entry: &Entry) -> bool {
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

/// Whether entries of a kind can have an attribute: the service lets none be set elsewhere than the schema says. So a
/// search for people looks neither at domains, of which there are thousands and no index, nor at what belongs to people.
pub fn can_have(kind: ObjectKind, attr: &str) -> bool {
    let always = ["zimbraId", "zimbraCreateTimestamp", naming(kind)];
    let always = if kind == ObjectKind::Alias { &always[2..] } else { &always[..] };
    if always.iter().any(|a| a.eq_ignore_ascii_case(attr)) {
        return true;
    }
    // Its attributes may also be its account's, whose others it has not.
    if kind == ObjectKind::Signature {
        return attr.to_ascii_lowercase().contains("signature");
    }
    zcluster_schema::find(attr).is_none_or(|definition| place_of(kind).iter().any(|p| definition.stands_in(*p)))
}
