//! The subschema: attribute types and object classes as RFC 4512 §4.1 writes them.

use crate::attr::{Operational, STANDARD_NAMES, ZIMBRA_ARC};
use crate::classes::{CLASSES, Class, ClassKind};
use crate::search::matching::RULES;
use std::fmt::Write;
use std::sync::OnceLock;
use zcluster_schema::{Definition, Kind};

/// Where it stands.
pub const SUBSCHEMA_DN: &str = "cn=Subschema";

/// Its four lists.
#[derive(Debug)]
pub struct Subschema {
    /// `attributeTypes`.
    pub attribute_types: Vec<String>,
    /// `objectClasses`.
    pub object_classes: Vec<String>,
    /// `matchingRules`.
    pub matching_rules: Vec<String>,
    /// `ldapSyntaxes`.
    pub syntaxes: Vec<String>,
}

const SYNTAXES: [(&str, &str); 14] = [
    ("1.3.6.1.4.1.1466.115.121.1.3", "Attribute Type Description"),
    ("1.3.6.1.4.1.1466.115.121.1.7", "Boolean"),
    ("1.3.6.1.4.1.1466.115.121.1.8", "Certificate"),
    ("1.3.6.1.4.1.1466.115.121.1.12", "DN"),
    ("1.3.6.1.4.1.1466.115.121.1.15", "Directory String"),
    ("1.3.6.1.4.1.1466.115.121.1.24", "Generalized Time"),
    ("1.3.6.1.4.1.1466.115.121.1.26", "IA5 String"),
    ("1.3.6.1.4.1.1466.115.121.1.27", "INTEGER"),
    ("1.3.6.1.4.1.1466.115.121.1.37", "Object Class Description"),
    ("1.3.6.1.4.1.1466.115.121.1.38", "OID"),
    ("1.3.6.1.4.1.1466.115.121.1.40", "Octet String"),
    ("1.3.6.1.4.1.1466.115.121.1.50", "Telephone Number"),
    ("1.3.6.1.4.1.1466.115.121.1.58", "Substring Assertion"),
    ("1.3.6.1.1.16.1", "UUID"),
];

/// The schema; made once, since the tables do not change while the process lives.
pub fn subschema() -> &'static Subschema {
    static MADE: OnceLock<Subschema> = OnceLock::new();
    MADE.get_or_init(|| Subschema {
        attribute_types: attribute_types(),
        object_classes: CLASSES.iter().map(object_class).collect(),
        matching_rules: RULES
            .iter()
            .map(|(oid, name, syntax)| format!("( {oid} NAME '{name}' SYNTAX {syntax} )"))
            .collect(),
        syntaxes: SYNTAXES.iter().map(|(oid, text)| format!("( {oid} DESC '{text}' )")).collect(),
    })
}

/// An OID for a name that was given none: ITU-T X.667 lets everybody take 2.25 and a UUID; ours is made of the name, so
/// that it is the same everywhere.
fn made_oid(kind: &str, name: &str) -> String {
    let hash = blake3::hash(format!("zcluster ldap {kind} {}", name.to_ascii_lowercase()).as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    // Version 8, variant 1 (RFC 9562 §5.8).
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(id))
}

fn attribute_types() -> Vec<String> {
    let mut out = vec![
        "( 2.5.4.0 NAME 'objectClass' EQUALITY objectIdentifierMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 )"
            .to_string(),
        made_up(Operational::EntryDn, "EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12"),
        made_up(Operational::EntryUuid, "EQUALITY uuidMatch SYNTAX 1.3.6.1.1.16.1"),
        made_up(
            Operational::CreateTimestamp,
            "EQUALITY generalizedTimeMatch ORDERING generalizedTimeOrderingMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.24",
        ),
        made_up(
            Operational::StructuralObjectClass,
            "EQUALITY objectIdentifierMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.38",
        ),
        made_up(Operational::SubschemaSubentry, "EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12"),
        made_up(Operational::HasSubordinates, "EQUALITY booleanMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.7"),
    ];
    for (oid, name, syntax) in [
        // Not kept here, but asked for by libraries that look every name up first.
        ("2.5.18.2", "modifyTimestamp", "1.3.6.1.4.1.1466.115.121.1.24"),
        ("2.5.21.5", "attributeTypes", "1.3.6.1.4.1.1466.115.121.1.3"),
        ("2.5.21.6", "objectClasses", "1.3.6.1.4.1.1466.115.121.1.37"),
        ("2.5.21.4", "matchingRules", "1.3.6.1.4.1.1466.115.121.1.15"),
        ("1.3.6.1.4.1.1466.101.120.16", "ldapSyntaxes", "1.3.6.1.4.1.1466.115.121.1.15"),
    ] {
        out.push(format!("( {oid} NAME '{name}' SYNTAX {syntax} USAGE directoryOperation )"));
    }
    let known = |name: &str| zcluster_schema::find(name).is_some();
    for (name, other, oid) in STANDARD_NAMES.iter().filter(|s| !known(s.0)) {
        out.push(attribute_type(oid, name, other, "", Kind::Text, false, false));
    }
    for definition in zcluster_schema::all().filter(|d| !d.name.eq_ignore_ascii_case("objectClass")) {
        let standard = STANDARD_NAMES.iter().find(|s| s.0.eq_ignore_ascii_case(definition.name));
        // The facts list some attributes under two names; each is one of its own there.
        let other = standard.map_or("", |s| if known(s.1) { "" } else { s.1 });
        let Definition { name, kind, single, immutable, meaning, .. } = definition;
        out.push(attribute_type(&oid(definition), name, other, meaning, *kind, *single, *immutable));
    }
    out
}

fn oid(definition: &Definition) -> String {
    if let Some(number) = definition.number {
        return format!("{ZIMBRA_ARC}{number}");
    }
    match STANDARD_NAMES.iter().find(|s| s.0.eq_ignore_ascii_case(definition.name)) {
        Some((_, _, oid)) => (*oid).to_string(),
        None => made_oid("attribute", definition.name),
    }
}

fn made_up(which: Operational, how: &str) -> String {
    let (name, oid) = which.name();
    format!("( {oid} NAME '{name}' {how} SINGLE-VALUE NO-USER-MODIFICATION USAGE directoryOperation )")
}

fn attribute_type(oid: &str, name: &str, other: &str, meaning: &str, kind: Kind, single: bool, fixed: bool) -> String {
    let (equality, more, syntax) = match kind {
        Kind::Boolean => ("booleanMatch", "", "1.3.6.1.4.1.1466.115.121.1.7"),
        Kind::Binary | Kind::Certificate => ("octetStringMatch", "", "1.3.6.1.4.1.1466.115.121.1.40"),
        Kind::Integer | Kind::Long | Kind::Port => {
            ("integerMatch", " ORDERING integerOrderingMatch", "1.3.6.1.4.1.1466.115.121.1.27")
        }
        // Fractions and times far ahead are allowed, so that clients must not take it for the narrower syntax.
        Kind::GenTime => {
            ("generalizedTimeMatch", " ORDERING generalizedTimeOrderingMatch", "1.3.6.1.4.1.1466.115.121.1.24")
        }
        _ => (
            "caseIgnoreMatch",
            " ORDERING caseIgnoreOrderingMatch SUBSTR caseIgnoreSubstringsMatch",
            "1.3.6.1.4.1.1466.115.121.1.15",
        ),
    };
    let mut out = format!("( {oid} NAME ");
    let names = if other.is_empty() { format!("'{name}'") } else { format!("( '{name}' '{other}' )") };
    out += &names;
    if !meaning.is_empty() {
        let _ = write!(out, " DESC '{}'", quoted(meaning));
    }
    let _ = write!(out, " EQUALITY {equality}{more} SYNTAX {syntax}");
    if single {
        out += " SINGLE-VALUE";
    }
    // Others than operational attributes cannot be called unmodifiable (RFC 4512 §4.1.2); a write says so then.
    let _ = fixed;
    out + " )"
}

/// RFC 4512 §4.1: apostrophes and backslashes in quoted text.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\5C").replace('\'', "\\27")
}

fn object_class(class: &Class) -> String {
    let oid = class.oid.map_or_else(|| made_oid("class", class.name), str::to_string);
    let kind = match class.kind {
        ClassKind::Abstract => "ABSTRACT",
        ClassKind::Structural => "STRUCTURAL",
        ClassKind::Auxiliary => "AUXILIARY",
    };
    let mut out = format!("( {oid} NAME '{}'", class.name);
    if !class.superior.is_empty() {
        let _ = write!(out, " SUP {}", class.superior);
    }
    let _ = write!(out, " {kind}");
    list(&mut out, "MUST", class.must);
    let mut may: Vec<&str> = class.may.to_vec();
    if let Some(place) = class.place {
        may.extend(zcluster_schema::all().filter(|d| d.stands_in(place)).map(|d| d.name));
    }
    if class.name == "amavisAccount" {
        may.extend(zcluster_schema::all().filter(|d| d.name.starts_with("amavis")).map(|d| d.name));
    }
    may.sort_unstable();
    may.dedup();
    may.retain(|name| !class.must.contains(name));
    list(&mut out, "MAY", &may);
    out + " )"
}

fn list(out: &mut String, word: &str, names: &[&str]) {
    match names {
        [] => {}
        [one] => {
            let _ = write!(out, " {word} {one}");
        }
        many => {
            let _ = write!(out, " {word} ( {} )", many.join(" $ "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// OIDs and names of a list.
    fn oids(list: &[String]) -> Vec<&str> {
        list.iter().map(|d| d.split(' ').nth(1).unwrap()).collect()
    }

    #[test]
    fn each_oid_and_name_once() {
        let schema = subschema();
        let mut seen = BTreeSet::new();
        for oid in oids(&schema.attribute_types).into_iter().chain(oids(&schema.object_classes)) {
            assert!(oid.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())), "{oid}");
            assert!(seen.insert(oid), "{oid} twice");
        }
        let mut names = BTreeSet::new();
        for text in &schema.attribute_types {
            let names_at = text.find("NAME ").unwrap() + 5;
            let part = &text[names_at..];
            let part = part
                .strip_prefix("( ")
                .map_or_else(|| part.split(' ').next().unwrap(), |p| p.split(')').next().unwrap());
            for name in part.split(' ').filter(|n| !n.is_empty()) {
                assert!(names.insert(name.to_ascii_lowercase()), "{name} twice");
            }
        }
        assert!(schema.attribute_types.len() > 1_900);
    }

    #[test]
    fn what_classes_name_is_defined() {
        let schema = subschema();
        let defined = |name: &str| {
            let quoted = format!("'{name}'").to_ascii_lowercase();
            schema.attribute_types.iter().any(|t| t.to_ascii_lowercase().contains(&quoted))
        };
        for class in &CLASSES {
            for name in class.must.iter().chain(class.may) {
                assert!(defined(name), "{}: {name}", class.name);
            }
        }
        let quota = schema.attribute_types.iter().find(|t| t.contains("'zimbraMailQuota'")).unwrap();
        assert!(quota.starts_with("( 1.3.6.1.4.1.19348.2.1.16 ") && quota.ends_with(" SINGLE-VALUE )"), "{quota}");
        assert_eq!(quoted("it's \\"), "it\\27s \\5C");
        assert_eq!(made_oid("class", "zimbraCOS"), made_oid("class", "ZIMBRAcos"));
    }
}
