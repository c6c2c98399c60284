//! Address lists (RFC 5322 §3.4 and its obsolete forms) the way IMAP's envelope shows them.

use crate::ADDRESSES_MAX;
use crate::header::Raw;
use crate::params::Cursor;

/// One line of an IMAP address list (RFC 3501 §7.4.2): an address, or the begin or end of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Display name, quotes removed, encoded words kept.
    pub name: Option<Raw>,
    /// Source route (`@a,@b`), obsolete.
    pub adl: Option<Raw>,
    /// Local part, quotes removed; with `host` absent: a group's name, or absent at the group's end.
    pub mailbox: Option<Raw>,
    /// Domain; absent on a group's begin and end.
    pub host: Option<Raw>,
}

/// What stands for a domain that an address lacks: an absent one would mean a group.
const NO_HOST: &str = "MISSING_DOMAIN";
/// Bytes of a domain literal (`[192.0.2.1]`); what is longer is taken apart like other text.
const LITERAL_BYTES_MAX: usize = 256;
/// What stands for a missing local part.
const NO_MAILBOX: &str = "MISSING_MAILBOX";

impl Address {
    /// `local@domain`; `None` for group lines.
    pub fn addr_spec(&self) -> Option<String> {
        let (mailbox, host) = (self.mailbox.as_ref()?, self.host.as_ref()?);
        Some(format!("{}@{}", mailbox.to_text(), host.to_text()))
    }
    fn group_start(name: Vec<u8>) -> Self {
        Address { mailbox: Some(Raw(name)), ..Address::default() }
    }
}

/// Parses an address header's value (folded or not). What is broken yields what can be told of it.
pub fn addresses(value: &[u8]) -> Vec<Address> {
    match simple(value) {
        Some(address) => vec![address],
        None => any(value),
    }
}

/// The one address that most fields hold, `local@domain` or `Some Name <local@domain>`, without taking it apart into
/// tokens; `None` for everything else.
fn simple(value: &[u8]) -> Option<Address> {
    if memchr::memchr3(b'\r', b'\n', 0, value.trim_ascii()).is_some() {
        return None;
    }
    let value = value.trim_ascii();
    let Some(inner) = value.strip_suffix(b">") else { return pair(value, None) };
    let at = memchr::memchr(b'<', inner)?;
    let name = match inner[..at].trim_ascii_end() {
        [] => None,
        [b'"', text @ .., b'"'] if memchr::memchr2(b'"', b'\\', text).is_none() => Some(text),
        text if text.split(|b| *b == b' ').all(is_plain) => Some(text),
        _ => return None,
    };
    pair(&inner[at + 1..], name)
}

fn pair(spec: &[u8], name: Option<&[u8]>) -> Option<Address> {
    let at = memchr::memchr(b'@', spec)?;
    let (local, domain) = (&spec[..at], &spec[at + 1..]);
    (is_plain(local) && is_plain(domain)).then(|| Address {
        name: name.filter(|n| !n.is_empty()).map(|n| Raw(n.to_vec())),
        adl: None,
        mailbox: Some(Raw(local.to_vec())),
        host: Some(Raw(domain.to_vec())),
    })
}

/// Whether these bytes are one atom and no domain literal.
fn is_plain(atom: &[u8]) -> bool {
    let special =
        |b: &u8| matches!(b, b' ' | b'\t' | b'(' | b')' | b',' | b';' | b':' | b'<' | b'>' | b'@' | b'"' | b'[');
    !atom.is_empty() && !atom.iter().any(special)
}

fn any(value: &[u8]) -> Vec<Address> {
    let value = crate::unfold(value);
    let mut list = List {
        cursor: Cursor { bytes: &value, pos: 0 },
        out: Vec::new(),
        tokens: Vec::new(),
        in_group: false,
        comment: None,
    };
    while list.out.len() < ADDRESSES_MAX && list.step() {}
    list.end_item();
    if list.in_group {
        list.out.push(Address::default());
    }
    list.out
}

#[derive(Debug)]
enum Token {
    /// A run of atom characters (dots included), a quoted string without quotes, or a domain literal.
    Word {
        text: Vec<u8>,
        spaced: bool,
    },
    At,
}

struct List<'a> {
    cursor: Cursor<'a>,
    out: Vec<Address>,
    /// Tokens since the last separator.
    tokens: Vec<Token>,
    in_group: bool,
    /// The last comment since the last separator: an old way to write the name.
    comment: Option<Vec<u8>>,
}

impl List<'_> {
    /// Takes one token; false at the end.
    fn step(&mut self) -> bool {
        let spaced = self.skip_cfws();
        let Some(b) = self.cursor.peek() else { return false };
        match b {
            b',' => {
                self.cursor.pos += 1;
                self.end_item();
            }
            b';' => {
                self.cursor.pos += 1;
                self.end_item();
                if std::mem::take(&mut self.in_group) {
                    self.out.push(Address::default());
                }
            }
            b':' => {
                self.cursor.pos += 1;
                self.begin_group();
            }
            b'<' => {
                self.cursor.pos += 1;
                self.angle();
            }
            b'@' => {
                self.cursor.pos += 1;
                self.tokens.push(Token::At);
            }
            b'"' => {
                let text = self.cursor.quoted();
                self.tokens.push(Token::Word { text, spaced });
            }
            b'>' | b')' => self.cursor.pos += 1,
            _ => {
                let text = self.atom();
                self.tokens.push(Token::Word { text, spaced });
            }
        }
        true
    }

    /// Skips white space and comments, remembering the last comment; says whether there was any.
    fn skip_cfws(&mut self) -> bool {
        let start = self.cursor.pos;
        while let Some(b) = self.cursor.peek() {
            match b {
                b' ' | b'\t' => self.cursor.pos += 1,
                b'(' => self.comment = Some(self.cursor.comment()),
                _ => break,
            }
        }
        self.cursor.pos > start
    }

    /// Takes characters up to a special; a domain literal as a whole.
    fn atom(&mut self) -> Vec<u8> {
        let (bytes, start) = (self.cursor.bytes, self.cursor.pos);
        let stop: fn(&u8) -> bool =
            |b| matches!(b, b' ' | b'\t' | b'(' | b')' | b',' | b';' | b':' | b'<' | b'>' | b'@' | b'"');
        let len = match bytes[start] {
            b'[' => bytes[start..].iter().take(LITERAL_BYTES_MAX).position(|b| *b == b']').map(|i| i + 1),
            _ => None,
        };
        let len = len.unwrap_or_else(|| bytes[start..].iter().position(stop).unwrap_or(bytes.len() - start));
        self.cursor.pos = start + len;
        bytes[start..start + len].to_vec()
    }

    /// `name:` begins a group (RFC 5322 §3.4); groups do not nest.
    fn begin_group(&mut self) {
        if self.in_group || self.tokens.iter().any(|t| matches!(t, Token::At)) {
            return;
        }
        let name = phrase(&self.tokens).unwrap_or_default();
        self.tokens.clear();
        self.comment = None;
        self.in_group = true;
        self.out.push(Address::group_start(name));
    }

    /// `<route:local@domain>`; the tokens before it are the name.
    fn angle(&mut self) {
        let name = phrase(&self.tokens);
        self.tokens.clear();
        let mut adl = None;
        loop {
            let spaced = self.skip_cfws();
            match self.cursor.peek() {
                None => break,
                Some(b'>') => {
                    self.cursor.pos += 1;
                    break;
                }
                Some(b':') if adl.is_none() => {
                    self.cursor.pos += 1;
                    adl = Some(route(&std::mem::take(&mut self.tokens)));
                }
                Some(b'@') => {
                    self.cursor.pos += 1;
                    self.tokens.push(Token::At);
                }
                Some(b'"') => {
                    let text = self.cursor.quoted();
                    self.tokens.push(Token::Word { text, spaced });
                }
                // Commas separate a route's hosts.
                Some(b',' | b';' | b':' | b'<' | b')') => self.cursor.pos += 1,
                Some(_) => {
                    let text = self.atom();
                    self.tokens.push(Token::Word { text, spaced });
                }
            }
        }
        let (mailbox, host) = addr_spec(&self.tokens);
        self.push(name, adl, mailbox, host);
    }

    /// A separator: tokens not yet used are an address without angle brackets.
    fn end_item(&mut self) {
        if !self.tokens.is_empty() {
            let (mailbox, host) = addr_spec(&self.tokens);
            self.push(None, None, mailbox, host);
        }
        self.comment = None;
    }

    fn push(&mut self, name: Option<Vec<u8>>, adl: Option<Vec<u8>>, mailbox: Vec<u8>, host: Vec<u8>) {
        self.tokens.clear();
        // A comment may follow the address, as in `joe@example.com (Joe)`.
        self.skip_cfws();
        let name = name.or_else(|| self.comment.take()).filter(|n| !n.is_empty());
        let or = |v: Vec<u8>, missing: &str| if v.is_empty() { missing.into() } else { Raw(v) };
        self.out.push(Address {
            name: name.map(Raw),
            adl: adl.filter(|a| !a.is_empty()).map(Raw),
            mailbox: Some(or(mailbox, NO_MAILBOX)),
            host: Some(or(host, NO_HOST)),
        });
        self.comment = None;
    }
}

/// Tokens as a display name; `None` when there are none.
fn phrase(tokens: &[Token]) -> Option<Vec<u8>> {
    if tokens.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    for token in tokens {
        match token {
            Token::Word { text, spaced } => {
                if *spaced && !out.is_empty() {
                    out.push(b' ');
                }
                out.extend_from_slice(text);
            }
            Token::At => out.push(b'@'),
        }
    }
    Some(out)
}

/// Tokens as local part and domain. Without `@` all of it is the local part.
fn addr_spec(tokens: &[Token]) -> (Vec<u8>, Vec<u8>) {
    let at = tokens.iter().rposition(|t| matches!(t, Token::At));
    let (local, domain) = at.map_or((tokens, &[][..]), |i| (&tokens[..i], &tokens[i + 1..]));
    // White space around dots is obsolete syntax and means nothing; between words it is a mistake and is kept.
    let join = |tokens: &[Token]| {
        let mut out: Vec<u8> = Vec::new();
        for token in tokens {
            match token {
                Token::Word { text, spaced } => {
                    let dots = out.last().is_none_or(|b| *b == b'.') || text.starts_with(b".");
                    if *spaced && !dots {
                        out.push(b' ');
                    }
                    out.extend_from_slice(text);
                }
                Token::At => out.push(b'@'),
            }
        }
        out
    };
    (join(local), join(domain))
}

/// RFC 5322 §4.4 obs-route, as `@a,@b`.
fn route(tokens: &[Token]) -> Vec<u8> {
    let mut out = Vec::new();
    for token in tokens {
        match token {
            Token::At if out.is_empty() => out.push(b'@'),
            Token::At => out.extend_from_slice(b",@"),
            Token::Word { text, .. } => out.extend_from_slice(text),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{addresses, any as by_tokens};
    use proptest::prelude::*;

    fn shown(value: &str) -> String {
        let list = addresses(value.as_bytes());
        let field = |f: &Option<crate::Raw>| f.as_ref().map_or("NIL".into(), |v| format!("{:?}", v.to_text()));
        list.iter()
            .map(|a| format!("({} {} {} {})", field(&a.name), field(&a.adl), field(&a.mailbox), field(&a.host)))
            .collect()
    }

    #[test]
    fn forms() {
        for (input, want) in [
            ("", ""),
            ("gray@cac.washington.edu", r#"(NIL NIL "gray" "cac.washington.edu")"#),
            ("Terry Gray <gray@cac.washington.edu>", r#"("Terry Gray" NIL "gray" "cac.washington.edu")"#),
            ("\"Gray, Terry \\\"T\\\"\" <gray@x.org>", r#"("Gray, Terry \"T\"" NIL "gray" "x.org")"#),
            ("gray@x.org (Terry (T) Gray)", r#"("Terry (T) Gray" NIL "gray" "x.org")"#),
            ("a@b, c@d,, e@f ,", r#"(NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL "e" "f")"#),
            (
                "=?iso-8859-1?q?Fr=FCh?= =?us-ascii?q?_X?= <f@x.org>",
                r#"("=?iso-8859-1?q?Fr=FCh?= =?us-ascii?q?_X?=" NIL "f" "x.org")"#,
            ),
            (
                "A Group:Ed Jones <joe@where.test>,joe@a.test,John <jdoe@one.test>;",
                r#"(NIL NIL "A Group" NIL)("Ed Jones" NIL "joe" "where.test")(NIL NIL "joe" "a.test")("John" NIL "jdoe" "one.test")(NIL NIL NIL NIL)"#,
            ),
            ("Undisclosed recipients:;", r#"(NIL NIL "Undisclosed recipients" NIL)(NIL NIL NIL NIL)"#),
            (
                "undisclosed-recipients: ;, a@b",
                r#"(NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)(NIL NIL "a" "b")"#,
            ),
            ("Open: a@b", r#"(NIL NIL "Open" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)"#),
            ("Mary <@node.test,@hub.test:mary@example.net>", r#"("Mary" "@node.test,@hub.test" "mary" "example.net")"#),
            ("\"john doe\"@x.org", r#"(NIL NIL "john doe" "x.org")"#),
            ("john . doe @ x . org", r#"(NIL NIL "john.doe" "x.org")"#),
            ("Joe Q. Public <john.q.public@example.com>", r#"("Joe Q. Public" NIL "john.q.public" "example.com")"#),
            ("a@[IPv6:::1]", r#"(NIL NIL "a" "[IPv6:::1]")"#),
            ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", r#"("Pete" NIL "pete" "silly.test")"#),
            ("MAILER-DAEMON", r#"(NIL NIL "MAILER-DAEMON" "MISSING_DOMAIN")"#),
            ("Daemon <>", r#"("Daemon" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")"#),
            ("Smith, John <j@x.org>", r#"(NIL NIL "Smith" "MISSING_DOMAIN")("John" NIL "j" "x.org")"#),
            ("\"open quote <a@b>", r#"(NIL NIL "open quote <a@b>" "MISSING_DOMAIN")"#),
            ("a@b.com <a@b.com>", r#"("a@b.com" NIL "a" "b.com")"#),
            ("Open <a@b", r#"("Open" NIL "a" "b")"#),
            ("\"\" <a@b>", r#"(NIL NIL "a" "b")"#),
            ("J\u{fc}rgen <j@x>", "(\"J\u{fc}rgen\" NIL \"j\" \"x\")"),
            (";;:<>)(", r#"(NIL NIL "" NIL)(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL NIL NIL)"#),
        ] {
            assert_eq!(shown(input), want, "{input}");
        }
    }

    proptest! {
        #[test]
        fn garbage(value in "[ab@<>,;:()\"\\\\\\[\\]. \t\r\n\u{fc}]{0,80}") {
            let list = addresses(value.as_bytes());
            // Group begins and ends alternate, so that IMAP clients can read the list.
            let mut open = false;
            for a in list.iter().filter(|a| a.host.is_none()) {
                prop_assert_eq!(a.mailbox.is_some(), !open);
                open = !open;
            }
            prop_assert!(!open);
        }
        #[test]
        fn the_short_way_leads_to_the_same(
            value in prop_oneof![
                "[ab@<>,;:()\"\\\\\\[\\]. \t\r\n\u{fc}]{0,30}",
                "[ \t]{0,2}(\"?[a.\\\\ \u{fc}<]{0,6}\"?)?[ \t]{0,2}<?[ab.]{0,3}@?[ab.\\[]{0,3}>?[ \r\n]{0,2}",
            ],
        ) {
            prop_assert_eq!(addresses(value.as_bytes()), by_tokens(value.as_bytes()));
        }
        #[test]
        fn noise(value in prop::collection::vec(any::<u8>(), 0..200)) {
            addresses(&value);
        }
    }
}
