//! Addresses that a script writes, checked; addresses of header fields, taken apart.

use crate::program::AddressPart;

/// One address, taken apart. Quotes of the local part are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mailbox {
    pub name: Option<String>,
    pub local: String,
    /// Empty when the address has none.
    pub domain: String,
}

/// RFC 5321 §4.5.3.1: 64 and 255, with room for what is longer in practice.
const ADDRESS_BYTES_MAX: usize = 512;
/// What separates the detail (RFC 5233 §1).
const SEPARATOR: char = '+';
/// What `zcluster_mail::addresses` puts where a domain or a local part is missing.
const MISSING: [&str; 2] = ["MISSING_DOMAIN", "MISSING_MAILBOX"];

impl Mailbox {
    /// `local@domain`, quoted where it must be.
    pub fn addr_spec(&self) -> String {
        let atom = |c: char| c.is_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        let plain = !self.local.is_empty() && self.local.split('.').all(|p| !p.is_empty() && p.chars().all(atom));
        let local = if plain {
            self.local.clone()
        } else {
            format!("\"{}\"", self.local.replace('\\', "\\\\").replace('"', "\\\""))
        };
        if self.domain.is_empty() { local } else { format!("{local}@{}", self.domain) }
    }

    /// What a test compares; `None`: this address has no such part.
    pub fn part(&self, part: AddressPart) -> Option<String> {
        let detail = self.local.split_once(SEPARATOR);
        match part {
            // Tests see the plain form; quoting is not a part of the address's meaning.
            AddressPart::All if self.domain.is_empty() => Some(self.local.clone()),
            AddressPart::All => Some(format!("{}@{}", self.local, self.domain)),
            AddressPart::LocalPart => Some(self.local.clone()),
            AddressPart::Domain => (!self.domain.is_empty()).then(|| self.domain.clone()),
            AddressPart::User => Some(detail.map_or(self.local.as_str(), |(user, _)| user).to_string()),
            AddressPart::Detail => detail.map(|(_, detail)| detail.to_string()),
        }
    }
}

/// The addresses of a header field's value; groups' names are none.
pub(crate) fn of_field(value: &[u8]) -> Vec<Mailbox> {
    let list = zcluster_mail::addresses(value);
    let one = |a: zcluster_mail::Address| {
        let (local, host) = (a.mailbox?, a.host?);
        let domain = if host.eq_ignore_case(MISSING[0]) { String::new() } else { host.to_text().into_owned() };
        if local.eq_ignore_case(MISSING[1]) {
            return None;
        }
        let name = a.name.map(|n| zcluster_mail::decode_words(n.as_bytes()));
        Some(Mailbox { name, local: local.to_text().into_owned(), domain })
    };
    list.into_iter().filter_map(one).collect()
}

/// One whole, valid address: `local@domain`, perhaps in angle brackets after a name.
pub(crate) fn parse(text: &str) -> Option<Mailbox> {
    let text = text.trim();
    if text.len() > ADDRESS_BYTES_MAX || text.chars().any(char::is_control) {
        return None;
    }
    // The lenient parser drops what it cannot use; here it must not.
    let (open, close) = (text.matches('<').count(), text.matches('>').count());
    let mut found = of_field(text.as_bytes());
    let one = found.pop().filter(|_| found.is_empty())?;
    let quoted = text.contains('"');
    let strict = quoted || (open == close && open <= 1 && !text.contains([';', ':', ',', '\\']));
    let local = !one.local.is_empty() && (quoted || !one.local.contains([' ', '(', ')', '[', ']', '@']));
    (strict && local && is_domain(&one.domain)).then_some(one)
}

fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[') {
        return literal
            .strip_suffix(']')
            .is_some_and(|l| l.chars().all(|c| c.is_ascii_alphanumeric() || ".:-".contains(c)));
    }
    let label = |l: &str| {
        let ends = !l.starts_with('-') && !l.ends_with('-');
        !l.is_empty()
            && ends
            && l.chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || (!c.is_ascii() && c.is_alphanumeric()))
    };
    domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_addresses() {
        for (text, want) in [
            ("a@example.org", Some("a@example.org")),
            (" \"Joe, Q\" <a.b@example.org> ", Some("a.b@example.org")),
            ("\"a b\"@x.org", Some("\"a b\"@x.org")),
            ("a@[192.0.2.1]", Some("a@[192.0.2.1]")),
            ("ü@bücher.example", Some("ü@bücher.example")),
            ("a", None),
            ("a@", None),
            ("@b", None),
            ("a b@c", None),
            ("a@b, c@d", None),
            ("a@b\r\nX: y", None),
            ("a@-b", None),
            ("a@b..c", None),
            ("<a@b", None),
            ("", None),
            ("g: a@b;", None),
        ] {
            assert_eq!(parse(text).map(|m| m.addr_spec()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn parts() {
        let m = parse("ken+sieve+x@example.org").unwrap();
        assert_eq!(m.part(AddressPart::User).as_deref(), Some("ken"));
        assert_eq!(m.part(AddressPart::Detail).as_deref(), Some("sieve+x"));
        let m = parse("ken@example.org").unwrap();
        assert_eq!((m.part(AddressPart::Detail), m.part(AddressPart::User)), (None, Some("ken".into())));
    }
}
