//! One grant, in the form of Zimbra's attribute `zimbraACE`: `GRANTEE TYPE RIGHT`, the right with a modifier in front.

use std::fmt;
use zcluster_api::AccountId;

/// The grantee of type `all`: every account of the cluster (Zimbra's `GUID_AUTHUSER`).
pub const ALL: &str = "00000000-0000-0000-0000-000000000000";
/// The grantee of type `pub`: everybody (Zimbra's `GUID_PUBLIC`).
pub const PUBLIC: &str = "99999999-9999-9999-9999-999999999999";

/// What a grantee is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GranteeKind {
    /// An account.
    User,
    /// A list or group: its members.
    Group,
    /// A group of an external directory. Kept, never matched: nobody signs in with external groups here.
    ExternalGroup,
    /// A domain: its accounts.
    Domain,
    /// A domain that is not ours, by name.
    ExternalDomain,
    /// Every account.
    All,
    /// An address outside, with a password.
    Guest,
    /// A name and a key that go with a link.
    Key,
    /// Everybody.
    Public,
    /// An address.
    Email,
}

impl GranteeKind {
    /// Every kind, with Zimbra's code.
    pub const CODES: [(GranteeKind, &str); 10] = [
        (GranteeKind::User, "usr"),
        (GranteeKind::Group, "grp"),
        (GranteeKind::ExternalGroup, "egp"),
        (GranteeKind::Domain, "dom"),
        (GranteeKind::ExternalDomain, "edom"),
        (GranteeKind::All, "all"),
        (GranteeKind::Guest, "gst"),
        (GranteeKind::Key, "key"),
        (GranteeKind::Public, "pub"),
        (GranteeKind::Email, "email"),
    ];
    /// By its code.
    pub fn parse(code: &str) -> Option<GranteeKind> {
        Self::CODES.iter().find(|(_, c)| *c == code).map(|(kind, _)| *kind)
    }
    /// `usr`, `grp`, ...
    pub fn code(self) -> &'static str {
        Self::CODES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, code)| code)
    }
    /// Whether a grant to it carries a password or key.
    fn has_secret(self) -> bool {
        matches!(self, GranteeKind::Guest | GranteeKind::Key)
    }
}

/// What a grant says beside its right. A grant has one of these at most, as in Zimbra.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Modifier {
    /// The right is given.
    #[default]
    None,
    /// `-`: it is refused.
    Deny,
    /// `+`: it is given, and may be passed on.
    Delegate,
    /// `*`: it is given below the domain, not on the domain itself.
    Subdomain,
    /// `^`: it is given on the list's own members, not on those of lists in it.
    DirectMembers,
}

impl Modifier {
    const SIGNS: [(Modifier, char); 4] =
        [(Modifier::Deny, '-'), (Modifier::Delegate, '+'), (Modifier::Subdomain, '*'), (Modifier::DirectMembers, '^')];

    /// Takes it off a right's front.
    pub fn split(right: &str) -> (Modifier, &str) {
        for (modifier, sign) in Self::SIGNS {
            if let Some(rest) = right.strip_prefix(sign) {
                return (modifier, rest);
            }
        }
        (Modifier::None, right)
    }
    fn sign(self) -> Option<char> {
        Self::SIGNS.iter().find(|(m, _)| *m == self).map(|(_, sign)| *sign)
    }
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ace {
    /// `zimbraId`; of guests and addresses the address, of keys a name, of external domains the domain.
    pub grantee: String,
    /// What that is.
    pub kind: GranteeKind,
    /// A guest's password or a key.
    pub secret: Option<String>,
    /// What the grant says beside the right.
    pub modifier: Modifier,
    /// The right's name.
    pub right: String,
}

impl Ace {
    /// Reads a value of `zimbraACE`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(value: &str) -> Result<Ace, String> {
        let words = words(value)?;
        let code = words.get(1).map(String::as_str).unwrap_or_default();
        let kind = GranteeKind::parse(code).ok_or_else(|| format!("{code:?} is no grantee type"))?;
        let (grantee, secret, right) = match words.as_slice() {
            [grantee, _, right] => (grantee, None, right),
            [grantee, _, secret, right] if kind.has_secret() => (grantee, Some(secret.clone()), right),
            _ => return Err(format!("{} words are no grant", words.len())),
        };
        let (modifier, right) = Modifier::split(right);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if grantee.is_empty() || !right.starts_with(|c: char| c.is_ascii_alphabetic()) || !right.chars().all(plain) {
            return Err(format!("{value:?} is no grant"));
        }
        Ok(Ace { grantee: grantee.clone(), kind, secret, modifier, right: right.to_string() })
    }

    /// The grants among these values; what is none is passed over.
    pub fn all(values: &[String]) -> Vec<Ace> {
        values.iter().filter_map(|v| Ace::parse(v).ok()).collect()
    }

    /// Whether it refuses.
    pub fn denies(&self) -> bool {
        self.modifier == Modifier::Deny
    }

    /// The grantee's id.
    pub fn grantee_id(&self) -> Option<AccountId> {
        self.grantee.parse().ok()
    }

    /// Whether both are about the same right of the same grantee: the one replaces the other.
    pub fn is_about(&self, other: &Ace) -> bool {
        self.kind == other.kind && self.right == other.right && self.grantee.eq_ignore_ascii_case(&other.grantee)
    }
}

impl fmt::Display for Ace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.has_secret() {
            true => write!(f, "{} {}", quoted(&self.grantee), self.kind.code())?,
            false => write!(f, "{} {}", word(&self.grantee), self.kind.code())?,
        }
        if let Some(secret) = &self.secret {
            write!(f, " {}", quoted(secret))?;
        }
        f.write_str(" ")?;
        if let Some(sign) = self.modifier.sign() {
            write!(f, "{sign}")?;
        }
        f.write_str(&self.right)
    }
}

fn word(text: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && c != '"';
    if text.chars().all(plain) { text.to_string() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Words between spaces; what is in quotes is one word, a backslash in it takes what follows as it is.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(first) = chars.peek().copied() else { return Ok(out) };
        let mut word = String::new();
        if first == '"' {
            chars.next();
            loop {
                match chars.next() {
                    Some('"') => break,
                    Some('\\') => word.extend(chars.next()),
                    Some(c) => word.push(c),
                    None => return Err("a quote is not closed".into()),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        out.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "11111111-1111-4111-8111-111111111111";

    #[test]
    fn grants_are_read_as_zimbra_writes_them() {
        for (text, kind, modifier, right) in [
            (format!("{ID} usr sendAs"), GranteeKind::User, Modifier::None, "sendAs"),
            (format!("{ID} usr -sendAs"), GranteeKind::User, Modifier::Deny, "sendAs"),
            (format!("{ID} grp +domainAdminRights"), GranteeKind::Group, Modifier::Delegate, "domainAdminRights"),
            (format!("{ID} usr *createAccount"), GranteeKind::User, Modifier::Subdomain, "createAccount"),
            (format!("{ID} usr ^modifyAccount"), GranteeKind::User, Modifier::DirectMembers, "modifyAccount"),
            (format!("{ID} usr set.account.displayName"), GranteeKind::User, Modifier::None, "set.account.displayName"),
            (format!("{ALL} all invite"), GranteeKind::All, Modifier::None, "invite"),
            (format!("{PUBLIC} pub viewFreeBusy"), GranteeKind::Public, Modifier::None, "viewFreeBusy"),
        ] {
            let ace = Ace::parse(&text).unwrap();
            assert_eq!((ace.kind, ace.modifier, ace.right.as_str()), (kind, modifier, right), "{text}");
            assert_eq!(ace.to_string(), text);
        }
        let guest = Ace::parse("\"a b@x\" gst \"se \\\" cret\" viewFreeBusy").unwrap();
        assert_eq!((guest.grantee.as_str(), guest.secret.as_deref()), ("a b@x", Some("se \" cret")));
        assert_eq!(Ace::parse(&guest.to_string()), Ok(guest));
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for bad in
            ["", "x", "x usr", "x odd sendAs", "x usr a b", "x usr --sendAs", "x usr 1", "\"x usr sendAs", "x usr a/b"]
        {
            assert!(Ace::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_answered(text in "\\PC{0,60}|[a-z\" \\\\]{0,20} (usr|gst|key) [-+*^a-z\" .]{0,20}") {
            if let Ok(ace) = Ace::parse(&text) {
                prop_assert_eq!(Ace::parse(&ace.to_string()), Ok(ace));
            }
        }
    }
}
