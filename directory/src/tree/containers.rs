//! What stands below `cn=zimbra`.

use super::Place;
use crate::dn::{Dn, Rdn};
use zcluster_api::directory::ObjectKind;

/// The administrator that only LDAP knows: the user name of its entry.
pub const LDAP_ADMIN: &str = "zimbra";

/// A fixed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Container {
    Zimbra,
    Admins,
    AlwaysOnClusters,
    Cos,
    Mime,
    Servers,
    ShareLocators,
    UcServices,
    XmppComponents,
    Zimlets,
}

impl Container {
    /// All of them.
    pub const ALL: [Container; 10] = [
        Container::Zimbra,
        Container::Admins,
        Container::AlwaysOnClusters,
        Container::Cos,
        Container::Mime,
        Container::Servers,
        Container::ShareLocators,
        Container::UcServices,
        Container::XmppComponents,
        Container::Zimlets,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Container::Zimbra => "zimbra",
            Container::Admins => "admins",
            Container::AlwaysOnClusters => "alwaysonclusters",
            Container::Cos => "cos",
            Container::Mime => "mime",
            Container::Servers => "servers",
            Container::ShareLocators => "sharelocators",
            Container::UcServices => "ucservices",
            Container::XmppComponents => "xmppcomponents",
            Container::Zimlets => "zimlets",
        }
    }

    /// What stands in it.
    pub fn kind(self) -> Option<ObjectKind> {
        Some(match self {
            Container::Zimbra | Container::Admins => return None,
            Container::AlwaysOnClusters => ObjectKind::AlwaysOnCluster,
            Container::Cos => ObjectKind::Cos,
            Container::Mime => ObjectKind::MimeType,
            Container::Servers => ObjectKind::Server,
            Container::ShareLocators => ObjectKind::ShareLocator,
            Container::UcServices => ObjectKind::UcService,
            Container::XmppComponents => ObjectKind::XmppComponent,
            Container::Zimlets => ObjectKind::Zimlet,
        })
    }

    /// Its name in the tree.
    pub fn dn(self) -> Dn {
        let top = Dn::root().child(Rdn::new("cn", "zimbra"));
        match self {
            Container::Zimbra => top,
            Container::Mime => top.child(Rdn::new("cn", "config")).child(Rdn::new("cn", "mime")),
            other => top.child(Rdn::new("cn", other.name())),
        }
    }

    /// The name of an entry that stands below `cn=zimbra`.
    pub fn dn_of(kind: ObjectKind, name: &str) -> Dn {
        let top = Container::Zimbra.dn();
        match Self::ALL.into_iter().find(|c| c.kind() == Some(kind)) {
            Some(container) => container.dn().child(Rdn::new("cn", name)),
            None if kind == ObjectKind::GlobalGrant => top.child(Rdn::new("cn", "globalgrant")),
            None => top.child(Rdn::new("cn", "config")),
        }
    }

    /// The name of the administrator that only LDAP knows.
    pub fn ldap_admin() -> Dn {
        Container::Admins.dn().child(Rdn::new("uid", LDAP_ADMIN))
    }

    pub(super) fn below(self, attr: &str, value: &str) -> Option<Place> {
        if self == Container::Admins {
            return (attr == "uid" && value.eq_ignore_ascii_case(LDAP_ADMIN)).then_some(Place::LdapAdmin);
        }
        if attr != "cn" {
            return None;
        }
        if let Some(kind) = self.kind() {
            return Some(Place::Named(kind, value.to_string()));
        }
        match value.to_ascii_lowercase().as_str() {
            "config" => Some(Place::Named(ObjectKind::Config, "config".into())),
            "globalgrant" => Some(Place::Named(ObjectKind::GlobalGrant, "globalgrant".into())),
            // Those two stand elsewhere.
            "zimbra" | "mime" => None,
            name => Self::ALL.into_iter().find(|c| c.name() == name).map(Place::Container),
        }
    }
}
