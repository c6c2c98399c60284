//! Names and filters with variables: `%n` the whole address, `%u` what is before the `@`, `%d` the domain, `%D` the
//! domain as `dc=example,dc=com`, `%%` a percent sign.

use std::fmt::Write;

/// Fills a distinguished name (RFC 4514), or a name such as `%u@%d` or `EXAMPLE\%u` that Active Directory takes in its
/// place: what has no `=` is none, and is not escaped, because there is nothing that a value could break out of.
pub(crate) fn in_dn(template: &str, address: &str) -> String {
    if template.contains('=') || template.contains("%D") {
        fill(template, address, dn_value)
    } else {
        fill(template, address, |value| value.chars().filter(|c| !c.is_control()).collect())
    }
}

/// Fills a filter (RFC 4515).
pub(crate) fn in_filter(template: &str, address: &str) -> String {
    fill(template, address, filter_value)
}

fn fill(template: &str, address: &str, escaped: impl Fn(&str) -> String) -> String {
    let (user, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let mut out = String::with_capacity(template.len() + address.len());
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push_str(&escaped(address)),
            Some('u') => out.push_str(&escaped(user)),
            Some('d') => out.push_str(&escaped(domain)),
            Some('D') => {
                let labels: Vec<String> = domain.split('.').map(|label| format!("dc={}", dn_value(label))).collect();
                out.push_str(&labels.join(","));
            }
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

/// RFC 4514 §2.4; everything that is not plainly harmless is escaped, wherever it stands.
fn dn_value(value: &str) -> String {
    value.chars().fold(String::new(), |mut out, c| {
        if c.is_alphanumeric() || "-._@".contains(c) {
            out.push(c);
        } else {
            escape_bytes(&mut out, c);
        }
        out
    })
}

/// RFC 4515 §3, with the same caution.
fn filter_value(value: &str) -> String {
    dn_value(value)
}

/// Both RFCs write a byte as a backslash and two hexadecimal digits.
fn escape_bytes(out: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        let _ = write!(out, "\\{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn variables() {
        let fill = |template| in_dn(template, "joe.x@mail.example.com");
        assert_eq!(fill("uid=%u,ou=people,%D"), "uid=joe.x,ou=people,dc=mail,dc=example,dc=com");
        assert_eq!((fill("%n"), fill("%u@%d")), ("joe.x@mail.example.com".into(), "joe.x@mail.example.com".into()));
        assert_eq!(fill("EXAMPLE\\%u"), "EXAMPLE\\joe.x");
        assert_eq!(fill("cn=%%%x%"), "cn=%%x%");
        assert_eq!(
            in_filter("(&(mail=%n)(uid=%u))", "o'b*(r)@x"),
            "(&(mail=o\\27b\\2a\\28r\\29@x)(uid=o\\27b\\2a\\28r\\29))"
        );
        assert_eq!(in_dn("uid=%u,dc=x", "a,b=c+d\\ #@x"), "uid=a\\2cb\\3dc\\2bd\\5c\\20\\23,dc=x");
    }

    /// RFC 4514 §3's strings, read by hand: type, value, the rest behind a comma.
    fn first_rdn(dn: &str) -> (String, Vec<u8>, String) {
        let (kind, rest) = dn.split_once('=').unwrap();
        let mut value = Vec::new();
        let mut bytes = rest.bytes().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b',' => return (kind.into(), value, rest[at + 1..].into()),
                b'\\' => {
                    let hex = &rest[at + 1..at + 3];
                    value.push(u8::from_str_radix(hex, 16).unwrap());
                    bytes.nth(1);
                }
                b'"' | b'+' | b';' | b'<' | b'>' | 0 => panic!("{dn:?} has a bare special"),
                other => value.push(other),
            }
        }
        (kind.into(), value, String::new())
    }

    proptest! {
        #[test]
        fn nothing_breaks_out_of_a_name(user in "[^@]{0,30}", domain in "[^@]{0,20}") {
            let dn = in_dn("uid=%u,ou=people,dc=example", &format!("{user}@{domain}"));
            let (kind, value, rest) = first_rdn(&dn);
            prop_assert_eq!(kind, "uid");
            prop_assert_eq!(value, user.as_bytes());
            prop_assert_eq!(rest, "ou=people,dc=example");
            for label in in_dn("%D", &format!("{user}@{domain}")).split(',') {
                prop_assert!(label.starts_with("dc=") && !label[3..].contains('='));
            }
        }

        #[test]
        fn nothing_breaks_out_of_a_filter(user in "[^@]{0,30}", domain in "[^@]{0,20}") {
            let address = format!("{user}@{domain}");
            let filter = in_filter("(&(objectClass=person)(mail=%n))", &address);
            let inner = filter.strip_prefix("(&(objectClass=person)(mail=").unwrap().strip_suffix("))").unwrap();
            prop_assert!(!inner.contains(['(', ')', '*', '&', '|', '!', '\0']));
            let (_, value, rest) = first_rdn(&format!("mail={inner}"));
            prop_assert_eq!((value.as_slice(), rest.as_str()), (address.as_bytes(), ""));
        }
    }
}
