//! Distinguished names (RFC 4514).

mod parse;

use parse::Parser;
use std::fmt;

/// Bytes of a name.
pub const DN_BYTES_MAX: usize = 8 * 1024;
/// Parts of a name: a domain of 253 bytes has at most 127, and a few more stand before it.
const RDNS_MAX: usize = 160;

/// Why text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid DN: {0}")]
pub struct DnError(&'static str);

/// Attribute and value of a part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ava {
    /// Attribute, lower case; the usual ones by name, even where the text had their OID.
    pub attr: String,
    /// Value as it was written, without escapes.
    pub value: String,
}

/// A part of a name: one attribute, or several with `+` between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rdn(pub Vec<Ava>);

/// A name, its own part first. The empty name is the root's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dn(pub Vec<Rdn>);

impl Rdn {
    /// One attribute.
    pub fn new(attr: &str, value: impl Into<String>) -> Self {
        Rdn(vec![Ava { attr: attr.into(), value: value.into() }])
    }
    /// Its attribute and value, if it is one.
    pub fn single(&self) -> Option<(&str, &str)> {
        match self.0.as_slice() {
            [one] => Some((&one.attr, &one.value)),
            _ => None,
        }
    }
    /// For comparing: case and the number of spaces do not matter, nor does the order of several attributes.
    fn key(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = self.0.iter().map(|a| (a.attr.clone(), fold(&a.value))).collect();
        all.sort();
        all
    }
    /// Whether it is the same part.
    pub fn same(&self, other: &Rdn) -> bool {
        match (self.single(), other.single()) {
            (Some((a, v)), Some((b, w))) => a == b && (v == w || fold(v) == fold(w)),
            _ => self.key() == other.key(),
        }
    }
}

/// A value for comparing (RFC 4518 as far as it matters here).
pub fn fold(value: &str) -> String {
    let lower = value.to_lowercase();
    if !lower.starts_with(' ') && !lower.ends_with(' ') && !lower.contains("  ") {
        return lower;
    }
    lower.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

impl Dn {
    /// The root.
    pub fn root() -> Self {
        Dn(Vec::new())
    }
    /// Reads a name.
    ///
    /// # Errors
    /// It is none, or too long.
    pub fn parse(text: &str) -> Result<Self, DnError> {
        if text.len() > DN_BYTES_MAX {
            return Err(DnError("too long"));
        }
        Parser::new(text).dn()
    }
    /// Reads a part of a name.
    ///
    /// # Errors
    /// It is none, or several.
    pub fn parse_rdn(text: &str) -> Result<Rdn, DnError> {
        let mut dn = Self::parse(text)?;
        match dn.0.pop() {
            Some(rdn) if dn.0.is_empty() => Ok(rdn),
            _ => Err(DnError("one part is expected")),
        }
    }
    /// The name above it.
    pub fn parent(&self) -> Option<Dn> {
        self.0.split_first().map(|(_, rest)| Dn(rest.to_vec()))
    }
    /// A name directly below it.
    #[must_use]
    pub fn child(&self, rdn: Rdn) -> Dn {
        let mut all = Vec::with_capacity(self.0.len() + 1);
        all.push(rdn);
        all.extend_from_slice(&self.0);
        Dn(all)
    }
    /// Whether it is the same name.
    pub fn same(&self, other: &Dn) -> bool {
        self.0.len() == other.0.len() && self.ends_with(other)
    }
    /// Whether it is the other or below it.
    pub fn ends_with(&self, other: &Dn) -> bool {
        self.0.len() >= other.0.len() && self.0.iter().rev().zip(other.0.iter().rev()).all(|(a, b)| a.same(b))
    }
    /// The name of a domain: `dc=` for each label.
    pub fn of_domain(domain: &str) -> Dn {
        Dn(domain.split('.').map(|label| Rdn::new("dc", label)).collect())
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, rdn) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{rdn}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, ava) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("+")?;
            }
            write!(f, "{}=", spelling(&ava.attr))?;
            escape(f, &ava.value)?;
        }
        Ok(())
    }
}

/// RFC 4514 §2.4.
fn escape(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    if value.bytes().all(plain) {
        return f.write_str(value);
    }
    let last = value.len().saturating_sub(1);
    for (at, c) in value.char_indices() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => write!(f, "\\{c}")?,
            '#' if at == 0 => f.write_str("\\#")?,
            ' ' if at == 0 || at == last => f.write_str("\\20")?,
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for b in c.encode_utf8(&mut bytes).bytes() {
                    write!(f, "\\{b:02X}")?;
                }
            }
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}

/// The attributes that names are made of, as they are shown, and their OIDs.
const KNOWN: [(&str, &str, &str); 14] = [
    ("cn", "cn", "2.5.4.3"),
    ("commonname", "cn", "2.5.4.3"),
    ("c", "c", "2.5.4.6"),
    ("l", "l", "2.5.4.7"),
    ("st", "st", "2.5.4.8"),
    ("street", "street", "2.5.4.9"),
    ("o", "o", "2.5.4.10"),
    ("ou", "ou", "2.5.4.11"),
    ("uid", "uid", "0.9.2342.19200300.100.1.1"),
    ("userid", "uid", "0.9.2342.19200300.100.1.1"),
    ("dc", "dc", "0.9.2342.19200300.100.1.25"),
    ("domaincomponent", "dc", "0.9.2342.19200300.100.1.25"),
    ("zimbrasignaturename", "zimbraSignatureName", "-"),
    ("zimbradatasourcename", "zimbraDataSourceName", "-"),
];

fn spelling(attr: &str) -> &str {
    match attr {
        "zimbraprefidentityname" => "zimbraPrefIdentityName",
        other => KNOWN.iter().find(|k| k.0 == other).map_or(other, |k| k.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn names() {
        let bob = dn("uid=bob,ou=people,dc=example,dc=com");
        for same in [
            "UID=Bob, OU=People; dc=Example,dc=COM",
            "0.9.2342.19200300.100.1.1=bob,2.5.4.11=people,dc=example,OID.0.9.2342.19200300.100.1.25=com",
            "uid = bob , ou=people,dc=example,dc=com ",
            "uid=\\62ob,ou=people,dc=example,dc=com",
            "uid=#0403626f62,ou=people,dc=example,dc=com",
        ] {
            assert!(dn(same).same(&bob), "{same}");
        }
        assert!(bob.ends_with(&Dn::of_domain("example.com")) && bob.ends_with(&Dn::root()));
        assert!(!bob.ends_with(&dn("ou=people,dc=com")) && !Dn::of_domain("com").ends_with(&bob));
        assert_eq!(bob.parent().unwrap().to_string(), "ou=people,dc=example,dc=com");
        assert_eq!(dn("").0.len(), 0);
        assert_eq!(dn("cn=a  b").0[0].single(), Some(("cn", "a  b")));
        assert!(dn("cn=a  B ").same(&dn("cn=A b")) && dn("cn=a+sn=b").same(&dn("sn=B+cn=A")));
    }

    #[test]
    fn escapes() {
        // RFC 4514 §4.
        for (text, value) in [
            (r"cn=James \22Jim\22 Smith\, III", "James \"Jim\" Smith, III"),
            (r"cn=Lu\C4\8Di\C4\87", "Lučić"),
            (r"cn=\ a\ ", " a "),
            (r"cn=\#1", "#1"),
            (r"cn=a\=b", "a=b"),
            ("cn=a=b", "a=b"),
            ("cn=#0C0161", "a"),
            ("cn=#0C810161", "a"),
        ] {
            assert_eq!(dn(text).0[0].single(), Some(("cn", value)), "{text}");
        }
        assert_eq!(dn(r"cn=\ a\,\00").to_string(), r"cn=\20a\,\00");
    }

    #[test]
    fn no_names() {
        for text in [
            "bob",
            "=",
            "uid=",
            "uid=bob,",
            ",uid=bob",
            "uid=bob,,dc=x",
            "uid=a\"b",
            r"uid=\zz",
            r"uid=a\",
            "uid=#zz",
            "uid=#0500",
            "-a=b",
        ] {
            assert!(Dn::parse(text).is_err(), "{text}");
        }
        assert!(Dn::parse(&"dc=a,".repeat(3_000)).is_err());
        assert!(Dn::parse(&format!("dc=a{}", ",dc=a".repeat(200))).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(parts in prop::collection::vec(("(cn|uid|ou|dc|x-y|zimbraSignatureName)", "\\PC{1,12}|[ -~]{1,12}|[\\x01-\\x7f]{1,4}"), 0..5)) {
            let name = Dn(parts.iter().map(|(a, v)| Rdn::new(&a.to_ascii_lowercase(), v.clone())).collect());
            let read = Dn::parse(&name.to_string());
            prop_assert_eq!(read.as_ref(), Ok(&name), "{}", name);
        }

        #[test]
        fn any_text(text in "\\PC{0,60}|[a-z=,+\\\\ #0-9;\"]{0,60}") {
            if let Ok(name) = Dn::parse(&text) {
                let again = Dn::parse(&name.to_string()).expect("what was written can be read");
                prop_assert!(name.same(&again));
                prop_assert_eq!(again, name);
            }
        }
    }
}
