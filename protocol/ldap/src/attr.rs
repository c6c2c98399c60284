//! Attribute descriptions (RFC 4512 §2.5): which attribute is meant, and how its values look outside.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zcluster_schema::{Definition, Kind};

/// Zimbra's arc of attributes.
pub const ZIMBRA_ARC: &str = "1.3.6.1.4.1.19348.2.1.";

/// An attribute that the server makes up (RFC 4512 §3.4, RFC 4530, RFC 5020).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operational {
    /// The entry's name.
    EntryDn,
    /// Its `zimbraId`.
    EntryUuid,
    /// When it was made.
    CreateTimestamp,
    /// The class that says what it is.
    StructuralObjectClass,
    /// Where the schema stands.
    SubschemaSubentry,
    /// Whether something stands below it.
    HasSubordinates,
}

impl Operational {
    /// All of them.
    pub const ALL: [Operational; 6] = [
        Operational::EntryDn,
        Operational::EntryUuid,
        Operational::CreateTimestamp,
        Operational::StructuralObjectClass,
        Operational::SubschemaSubentry,
        Operational::HasSubordinates,
    ];

    /// As it is spelled, and its OID.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Operational::EntryDn => ("entryDN", "1.3.6.1.1.20"),
            Operational::EntryUuid => ("entryUUID", "1.3.6.1.1.16.4"),
            Operational::CreateTimestamp => ("createTimestamp", "2.5.18.1"),
            Operational::StructuralObjectClass => ("structuralObjectClass", "2.5.21.9"),
            Operational::SubschemaSubentry => ("subschemaSubentry", "2.5.18.10"),
            Operational::HasSubordinates => ("hasSubordinates", "2.5.18.9"),
        }
    }
}

/// Standard attributes: name, other name, OID. Those of them that Zimbra does not list stand in containers and names.
pub const STANDARD_NAMES: [(&str, &str, &str); 41] = [
    ("cn", "commonName", "2.5.4.3"),
    ("sn", "surname", "2.5.4.4"),
    ("c", "countryName", "2.5.4.6"),
    ("l", "localityName", "2.5.4.7"),
    ("st", "stateOrProvinceName", "2.5.4.8"),
    ("street", "streetAddress", "2.5.4.9"),
    ("o", "organizationName", "2.5.4.10"),
    ("ou", "organizationalUnitName", "2.5.4.11"),
    ("title", "", "2.5.4.12"),
    ("description", "", "2.5.4.13"),
    ("businessCategory", "", "2.5.4.15"),
    ("postalAddress", "", "2.5.4.16"),
    ("postalCode", "", "2.5.4.17"),
    ("postOfficeBox", "", "2.5.4.18"),
    ("physicalDeliveryOfficeName", "", "2.5.4.19"),
    ("telephoneNumber", "", "2.5.4.20"),
    ("facsimileTelephoneNumber", "fax", "2.5.4.23"),
    ("userPassword", "", "2.5.4.35"),
    ("userCertificate", "", "2.5.4.36"),
    ("givenName", "gn", "2.5.4.42"),
    ("initials", "", "2.5.4.43"),
    ("uid", "userid", "0.9.2342.19200300.100.1.1"),
    ("mail", "rfc822Mailbox", "0.9.2342.19200300.100.1.3"),
    ("info", "", "0.9.2342.19200300.100.1.4"),
    ("homePhone", "homeTelephoneNumber", "0.9.2342.19200300.100.1.20"),
    ("manager", "", "0.9.2342.19200300.100.1.10"),
    ("dc", "domainComponent", "0.9.2342.19200300.100.1.25"),
    ("mobile", "mobileTelephoneNumber", "0.9.2342.19200300.100.1.41"),
    ("pager", "pagerTelephoneNumber", "0.9.2342.19200300.100.1.42"),
    ("co", "friendlyCountryName", "0.9.2342.19200300.100.1.43"),
    ("jpegPhoto", "", "0.9.2342.19200300.100.1.60"),
    ("displayName", "", "2.16.840.1.113730.3.1.241"),
    ("employeeNumber", "", "2.16.840.1.113730.3.1.3"),
    ("employeeType", "", "2.16.840.1.113730.3.1.4"),
    ("preferredLanguage", "", "2.16.840.1.113730.3.1.39"),
    ("departmentNumber", "", "2.16.840.1.113730.3.1.2"),
    ("carLicense", "", "2.16.840.1.113730.3.1.1"),
    ("userSMIMECertificate", "", "2.16.840.1.113730.3.1.40"),
    ("memberURL", "", "2.16.840.1.113730.3.1.198"),
    ("labeledURI", "", "1.3.6.1.4.1.250.1.57"),
    ("member", "", "2.5.4.31"),
];

/// Which attribute a description means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// `objectClass`.
    Class,
    /// One that the server makes up.
    Operational(Operational),
    /// One that entries have; its name as it is spelled, and whether its values are bytes.
    Plain {
        /// Name.
        name: &'static str,
        /// Values are kept in base64.
        binary: bool,
    },
    /// One that nobody is shown.
    Secret(&'static str),
    /// None that we know.
    Unknown,
}

impl Which {
    /// The attribute of a description: a name in any case or an OID, perhaps with the option `binary`.
    pub fn of(description: &str) -> Which {
        let (name, options) = description.split_once(';').unwrap_or((description, ""));
        if !options.is_empty() && !options.eq_ignore_ascii_case("binary") {
            return Which::Unknown;
        }
        if name.eq_ignore_ascii_case("objectClass") || name == "2.5.4.0" {
            return Which::Class;
        }
        let made_up = |o: &Operational| o.name().0.eq_ignore_ascii_case(name) || o.name().1 == name;
        if let Some(found) = Operational::ALL.into_iter().find(made_up) {
            return Which::Operational(found);
        }
        if let Some(found) = zcluster_schema::find(name) {
            return of_definition(found);
        }
        let standard = STANDARD_NAMES.iter().find(|s| {
            s.2 == name || s.0.eq_ignore_ascii_case(name) || (!s.1.is_empty() && s.1.eq_ignore_ascii_case(name))
        });
        if let Some((name, _, _)) = standard {
            return match zcluster_schema::find(name) {
                Some(found) => of_definition(found),
                None => Which::Plain { name, binary: false },
            };
        }
        let number = name.strip_prefix(ZIMBRA_ARC).and_then(|n| n.parse::<u32>().ok());
        match number.and_then(|n| zcluster_schema::all().find(|d| d.number == Some(n))) {
            Some(found) => of_definition(found),
            None => Which::Unknown,
        }
    }
}

fn of_definition(definition: &'static Definition) -> Which {
    if zcluster_schema::is_secret(definition.name) {
        return Which::Secret(definition.name);
    }
    Which::Plain { name: definition.name, binary: is_binary(definition) }
}

/// Whether values are bytes, which the directory keeps in base64.
pub fn is_binary(definition: &Definition) -> bool {
    matches!(definition.kind, Kind::Binary | Kind::Certificate)
}

/// A value as it is kept, from what a client sent. Nothing: it is not text.
pub fn to_stored(binary: bool, value: &[u8]) -> Option<String> {
    if binary {
        return Some(STANDARD.encode(value));
    }
    std::str::from_utf8(value).ok().map(str::to_string)
}

/// A value as it is shown.
pub fn to_shown(binary: bool, value: &str) -> Vec<u8> {
    if binary && let Ok(bytes) = STANDARD.decode(value) {
        return bytes;
    }
    value.as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_is_meant() {
        let plain = |name| Which::Plain { name, binary: false };
        assert_eq!(Which::of("CN"), plain("cn"));
        assert_eq!(Which::of("2.5.4.3"), plain("cn"));
        assert_eq!(Which::of("surname"), plain("sn"));
        assert_eq!(Which::of("zimbramailquota"), plain("zimbraMailQuota"));
        assert_eq!(Which::of("1.3.6.1.4.1.19348.2.1.1"), plain("zimbraId"));
        assert_eq!(Which::of("userPassword"), Which::Secret("userPassword"));
        assert_eq!(Which::of("entryUUID"), Which::Operational(Operational::EntryUuid));
        assert_eq!(Which::of("objectclass"), Which::Class);
        assert!(matches!(Which::of("userCertificate;binary"), Which::Plain { binary: true, .. }));
        for unknown in ["", "nonsense", "cn;lang-en", "1.3.6.1.4.1.19348.2.1.", "1.2.3"] {
            assert_eq!(Which::of(unknown), Which::Unknown, "{unknown}");
        }
    }

    #[test]
    fn values_of_bytes_are_kept_in_base64() {
        assert_eq!(to_stored(true, b"\x00\xff").as_deref(), Some("AP8="));
        assert_eq!(to_shown(true, "AP8="), b"\x00\xff");
        assert_eq!(to_shown(true, "no base64!"), b"no base64!");
        assert_eq!(to_stored(false, b"\xff"), None);
    }
}
