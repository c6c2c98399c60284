//! Who may see and do what.
//!
//! The cluster itself and global administrators may do everything. An account sees its own entry and what is its own
//! below it, and of others in its domain what an address book shows.

use crate::{Directory, Failure};
use zcluster_api::directory::{AccountBy, Attributes, Object, ObjectKind};
use zcluster_api::{AccountId, Actor, DirectoryQuery, Error};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub enum Wish<'a> {
    /// Make an entry.
    Create {
        /// Kind.
        kind: ObjectKind,
        /// Name.
        name: &'a str,
        /// What it belongs to.
        parent: Option<AccountId>,
        /// Attributes it is made with.
        attrs: &'a [&'a str],
    },
    /// Change attributes.
    Modify {
        /// Of what.
        object: &'a Object,
        /// Which.
        attrs: &'a [&'a str],
    },
    /// Remove.
    Delete(&'a Object),
    /// Give another name.
    Rename {
        /// To what.
        object: &'a Object,
        /// Which.
        name: &'a str,
    },
    /// Add or remove an address.
    Alias {
        /// Of what.
        object: &'a Object,
        /// Which.
        alias: &'a str,
    },
}

/// What an address book shows.
pub(crate) const GAL_VIEW: [&str; 32] = [
    "cn",
    "displayName",
    "sn",
    "givenName",
    "gn",
    "initials",
    "mail",
    "uid",
    "title",
    "company",
    "ou",
    "o",
    "l",
    "st",
    "c",
    "co",
    "street",
    "postalCode",
    "telephoneNumber",
    "homePhone",
    "mobile",
    "pager",
    "facsimileTelephoneNumber",
    "description",
    "physicalDeliveryOfficeName",
    "zimbraCalResType",
    "zimbraCalResCapacity",
    "zimbraCalResLocationDisplayName",
    "zimbraPhoneticFirstName",
    "zimbraPhoneticLastName",
    "zimbraAccountCalendarUserType",
    "userCertificate",
];

/// What somebody may see.
pub(crate) enum View {
    /// Everything.
    All,
    /// His own, and the address book of his domain.
    Own { id: AccountId, domain: String },
    /// Nothing.
    None,
}

impl View {
    /// Whether nothing is hidden.
    pub fn is_all(&self) -> bool {
        matches!(self, View::All)
    }

    /// The entry as it may be seen; nothing if he may not know of it.
    pub async fn show(&self, _: &Directory, mut object: Object) -> Result<Option<Object>, Failure> {
        match self {
            View::All => Ok(Some(object)),
            View::None => Ok(None),
            View::Own { id, domain } => {
                if object.id == *id || object.parent == Some(*id) {
                    object.attrs = object.attrs.keep(|name| !zcluster_schema::is_secret(name));
                    return Ok(Some(object));
                }
                let listed = object.kind.has_address() && object.domain() == Some(domain) && !is_hidden(&object.attrs);
                object.attrs = object.attrs.keep(|name| GAL_VIEW.iter().any(|g| g.eq_ignore_ascii_case(name)));
                Ok(Some(object).filter(|_| listed))
            }
        }
    }
}

fn is_hidden(attrs: &Attributes) -> bool {
    attrs.get("zimbraHideInGal") == Some("TRUE")
}

impl Directory {
    /// What the actor may see.
    pub(crate) async fn view_for(&self, actor: Actor) -> Result<View, Failure> {
        match actor {
            Actor::System | Actor::Admin(_) => Ok(View::All),
            Actor::Delivery => Ok(View::None),
            Actor::Account(id) => match self.read(DirectoryQuery::Account(AccountBy::Id(id))).await {
                Ok(reply) => {
                    let account = reply.into_account()?;
                    let domain = account.name.rsplit_once('@').map_or("", |(_, d)| d).to_string();
                    Ok(View::Own { id, domain })
                }
                Err(Error::NotFound(_)) => Ok(View::None),
                Err(e) => Err(e.into()),
            },
        }
    }

    /// Whether the actor may do it.
    ///
    /// # Errors
    /// `PERM_DENIED`.
    pub(crate) async fn allow(&self, actor: Actor, wish: Wish<'_>) -> Result<(), Failure> {
        match actor {
            Actor::System | Actor::Admin(_) => Ok(()),
            Actor::Account(id) if self.is_own(id, &wish) => Ok(()),
            Actor::Account(_) | Actor::Delivery => Err(Failure::denied("permission denied: need adequate rights")),
        }
    }

    /// Whether it is a preference of the account itself, or an entry below it.
    fn is_own(&self, id: AccountId, wish: &Wish<'_>) -> bool {
        let below =
            |kind: ObjectKind| matches!(kind, ObjectKind::Identity | ObjectKind::Signature | ObjectKind::DataSource);
        match wish {
            Wish::Create { kind, parent, .. } => below(*kind) && *parent == Some(id),
            Wish::Modify { object, attrs } => {
                object.parent == Some(id) && below(object.kind)
                    || object.id == id && attrs.iter().all(|a| a.to_ascii_lowercase().starts_with("zimbrapref"))
            }
            Wish::Delete(object) | Wish::Rename { object, .. } => object.parent == Some(id) && below(object.kind),
            Wish::Alias { .. } => false,
        }
    }
}
