//! Object classes: which there are, what they extend, and what entries of each kind have.

use zcluster_api::directory::ObjectKind;
use zcluster_schema::Place;

/// What a class is good for (RFC 4512 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassKind {
    /// Only to be extended.
    Abstract,
    /// Says what an entry is.
    Structural,
    /// Says what it has besides.
    Auxiliary,
}

/// An object class.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Name.
    pub name: &'static str,
    /// OID, where it has one; else it is made of the name.
    pub oid: Option<&'static str>,
    /// What it extends.
    pub superior: &'static str,
    /// What it is good for.
    pub kind: ClassKind,
    /// Where its attributes may stand, in the words of the facts; none: those in `may`.
    pub place: Option<Place>,
    /// Attributes that it must have.
    pub must: &'static [&'static str],
    /// Attributes that it may have.
    pub may: &'static [&'static str],
}

use ClassKind::{Abstract, Auxiliary, Structural};

const fn standard(
    name: &'static str,
    oid: &'static str,
    superior: &'static str,
    kind: ClassKind,
    must: &'static [&'static str],
    may: &'static [&'static str],
) -> Class {
    Class { name, oid: Some(oid), superior, kind, place: None, must, may }
}
const fn zimbra(name: &'static str, superior: &'static str, kind: ClassKind, place: Option<Place>) -> Class {
    Class { name, oid: None, superior, kind, place, must: &[], may: &[] }
}

const PERSON_MAY: &[&str] = &["userPassword", "telephoneNumber", "description"];
const WHERE_MAY: &[&str] = &[
    "title",
    "ou",
    "l",
    "st",
    "street",
    "postalCode",
    "postalAddress",
    "postOfficeBox",
    "physicalDeliveryOfficeName",
    "facsimileTelephoneNumber",
    "telephoneNumber",
];
const INET_MAY: &[&str] = &[
    "uid",
    "mail",
    "displayName",
    "givenName",
    "initials",
    "mobile",
    "pager",
    "homePhone",
    "o",
    "employeeNumber",
    "employeeType",
    "departmentNumber",
    "preferredLanguage",
    "jpegPhoto",
    "userCertificate",
    "userSMIMECertificate",
    "businessCategory",
    "carLicense",
    "manager",
    "labeledURI",
];

/// Every class that entries have or extend.
pub const CLASSES: [Class; 36] = [
    standard("top", "2.5.6.0", "", Abstract, &["objectClass"], &[]),
    standard("person", "2.5.6.6", "top", Structural, &["sn", "cn"], PERSON_MAY),
    standard("organizationalPerson", "2.5.6.7", "person", Structural, &[], WHERE_MAY),
    standard("inetOrgPerson", "2.16.840.1.113730.3.2.2", "organizationalPerson", Structural, &[], INET_MAY),
    standard("organization", "2.5.6.4", "top", Structural, &["o"], WHERE_MAY),
    standard("organizationalUnit", "2.5.6.5", "top", Structural, &["ou"], WHERE_MAY),
    standard("organizationalRole", "2.5.6.8", "top", Structural, &["cn"], &["ou", "description", "telephoneNumber"]),
    standard("dcObject", "1.3.6.1.4.1.1466.344", "top", Auxiliary, &["dc"], &[]),
    standard(
        "groupOfURLs",
        "2.16.840.1.113730.3.2.33",
        "top",
        Structural,
        &["cn"],
        &["memberURL", "description", "o", "ou"],
    ),
    standard("dgIdentityAux", "2.16.840.1.113730.3.2.444", "top", Auxiliary, &[], &[]),
    standard(
        "subschema",
        "2.5.20.1",
        "top",
        Auxiliary,
        &[],
        &["attributeTypes", "objectClasses", "matchingRules", "ldapSyntaxes"],
    ),
    standard("subentry", "2.5.17.0", "top", Structural, &["cn"], &[]),
    standard("extensibleObject", "1.3.6.1.4.1.1466.101.120.111", "top", Auxiliary, &[], &[]),
    zimbra("zimbraMailRecipient", "top", Auxiliary, Some(Place::MailRecipient)),
    zimbra("zimbraAccount", "zimbraMailRecipient", Auxiliary, Some(Place::Account)),
    zimbra("zimbraCalendarResource", "zimbraAccount", Auxiliary, Some(Place::CalendarResource)),
    zimbra("amavisAccount", "top", Auxiliary, None),
    zimbra("zimbraDistributionList", "zimbraMailRecipient", Structural, Some(Place::DistributionList)),
    zimbra("zimbraGroup", "top", Auxiliary, Some(Place::Group)),
    zimbra("zimbraAlias", "top", Structural, Some(Place::Alias)),
    zimbra("zimbraDomain", "top", Auxiliary, Some(Place::Domain)),
    zimbra("zimbraCOS", "top", Structural, Some(Place::Cos)),
    zimbra("zimbraServer", "top", Structural, Some(Place::Server)),
    zimbra("zimbraGlobalConfig", "top", Auxiliary, Some(Place::GlobalConfig)),
    zimbra("zimbraDataSource", "top", Structural, Some(Place::DataSource)),
    zimbra("zimbraIdentity", "top", Structural, Some(Place::Identity)),
    zimbra("zimbraSignature", "top", Structural, Some(Place::Signature)),
    zimbra("zimbraZimletEntry", "top", Structural, Some(Place::ZimletEntry)),
    zimbra("zimbraAclTarget", "top", Auxiliary, Some(Place::AclTarget)),
    zimbra("zimbraXMPPComponent", "top", Structural, Some(Place::XmppComponent)),
    zimbra("zimbraMimeEntry", "top", Structural, Some(Place::MimeEntry)),
    zimbra("zimbraAlwaysOnCluster", "top", Structural, Some(Place::AlwaysOnCluster)),
    zimbra("zimbraUCService", "top", Structural, Some(Place::UcService)),
    zimbra("zimbraShareLocator", "top", Structural, Some(Place::ShareLocator)),
    zimbra("zimbraAddressList", "top", Structural, Some(Place::AddressList)),
    zimbra("zimbraHabGroup", "top", Auxiliary, Some(Place::HabGroup)),
];

/// The class, by its name in any case or its OID.
pub fn find(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|c| c.name.eq_ignore_ascii_case(name) || c.oid == Some(name))
}

/// Whether an entry of these classes is of this one: it is among them, or one of them extends it.
pub fn includes(classes: &[&str], wanted: &str) -> bool {
    let Some(wanted) = find(wanted) else { return false };
    classes.iter().any(|c| lineage(c).any(|c| c.name == wanted.name))
}

/// The class and all that it extends.
fn lineage(name: &str) -> impl Iterator<Item = &'static Class> {
    std::iter::successors(find(name), |c| find(c.superior))
}

/// The class that says what an entry is.
pub fn structural<'a>(classes: &[&'a str]) -> &'a str {
    let found = classes.iter().find(|c| find(c).is_some_and(|c| c.kind == Structural));
    found.or(classes.first()).copied().unwrap_or("top")
}

/// The kind of entry that these classes make, where the entry's place leaves a choice.
pub fn kind_of(classes: &[String]) -> Option<ObjectKind> {
    let has = |name: &str| classes.iter().any(|c| c.eq_ignore_ascii_case(name));
    let choice = [
        ("zimbraCalendarResource", ObjectKind::Resource),
        ("zimbraAccount", ObjectKind::Account),
        ("zimbraDistributionList", ObjectKind::DistributionList),
        ("zimbraAlias", ObjectKind::Alias),
    ];
    choice.into_iter().find(|(name, _)| has(name)).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_known_classes() {
        for kind in ObjectKind::ALL {
            for class in kind.object_classes() {
                assert!(find(class).is_some(), "{kind:?} {class}");
            }
        }
        for class in &CLASSES {
            assert!(class.superior.is_empty() || find(class.superior).is_some(), "{}", class.name);
        }
    }

    #[test]
    fn classes_include_what_they_extend() {
        let account = ObjectKind::Account.object_classes();
        for class in ["TOP", "person", "organizationalPerson", "inetOrgPerson", "zimbraAccount", "zimbraMailRecipient"]
        {
            assert!(includes(account, class), "{class}");
        }
        assert!(!includes(account, "zimbraCOS") && !includes(account, "nonsense"));
        assert_eq!(structural(account), "inetOrgPerson");
        assert_eq!(structural(ObjectKind::Domain.object_classes()), "organization");
    }
}
