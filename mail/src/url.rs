//! IMAP URLs that name a message or a piece of one (RFC 5092), as CATENATE (RFC 4469), URLAUTH (RFC 4467) and BURL (RFC
//! 4468) use them.

use crate::percent_decoded;
use chrono::DateTime;

/// Bytes of an IMAP URL at most.
pub const IMAP_URL_BYTES_MAX: usize = 8 * 1024;

/// Who may open a URL (RFC 4467 §4: `access`). Names are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlAccess {
    /// `submit+name`: a submission server, for this user.
    Submit(String),
    /// `user+name`: this user.
    User(String),
    /// `authuser`: whoever signed in.
    AnyUser,
    /// `anonymous`.
    Anyone,
}

/// `;URLAUTH=` (RFC 4467 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlAuth {
    /// Who may.
    pub access: UrlAccess,
    /// Bytes of the URL up to here: what the token is made from (the "rump").
    pub rump: usize,
    /// Mechanism in upper case, and its token.
    pub token: Option<(String, String)>,
}

/// A URL that names a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImapUrl {
    /// It names a server (whatever its name: one cluster has many).
    pub absolute: bool,
    /// The user it names.
    pub user: Option<String>,
    /// The mailbox's name, UTF-8; `None`: the selected one.
    pub mailbox: Option<String>,
    /// The UIDVALIDITY it was made under.
    pub uid_validity: Option<u32>,
    /// The message.
    pub uid: u32,
    /// Which piece of it, `1.2.MIME`, as RFC 9051 writes it between brackets; `None`: all.
    pub section: Option<String>,
    /// `offset` and, if not up to the end, `length`.
    pub partial: Option<(u32, Option<u32>)>,
    /// Until when it may be used, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Who may use it.
    pub auth: Option<UrlAuth>,
}

impl ImapUrl {
    /// `imapurl` or a relative form of it (RFC 5092 §11). The slashes before `;UID=` and kin may be missing. `None` when
    /// it is none of these or names no message.
    pub fn parse(url: &str) -> Option<ImapUrl> {
        if url.len() > IMAP_URL_BYTES_MAX || !url.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
            return None;
        }
        let scheme = url.get(..7).filter(|s| s.eq_ignore_ascii_case("imap://"));
        let (user, path, at) = match scheme {
            Some(s) => {
                let (authority, path) = url[s.len()..].split_once('/')?;
                (user_of(authority)?, path, s.len() + authority.len() + 1)
            }
            // A server without a scheme is not for us.
            None if url.starts_with("//") => return None,
            None if url.starts_with(';') => (None, url, 0),
            None => (None, url.strip_prefix('/')?, 1),
        };
        let name_end = path.find(';')?;
        let name = path[..name_end].trim_end_matches('/');
        let mailbox = if name.is_empty() { None } else { Some(decoded(name)?) };
        let mut out = ImapUrl {
            absolute: scheme.is_some(),
            user,
            mailbox,
            uid_validity: None,
            uid: 0,
            section: None,
            partial: None,
            expire_ms: None,
            auth: None,
        };
        let mut from = name_end + 1;
        for parameter in path[from..].split(';') {
            // Nothing may stand behind the token.
            if out.auth.is_some() {
                return None;
            }
            out.parameter(parameter, at + from)?;
            from += parameter.len() + 1;
        }
        (out.uid > 0).then_some(out)
    }

    /// One `name=value`, which begins at `at` of the URL. None may come twice.
    fn parameter(&mut self, parameter: &str, at: usize) -> Option<()> {
        let (name, value) = parameter.split_once('=')?;
        let bare = value.strip_suffix('/').unwrap_or(value);
        match name.to_ascii_uppercase().as_str() {
            "UIDVALIDITY" if self.uid_validity.is_none() => self.uid_validity = Some(nz(bare)?),
            "UID" if self.uid == 0 => self.uid = nz(bare)?,
            "SECTION" if self.section.is_none() => self.section = Some(decoded(bare)?),
            "PARTIAL" if self.partial.is_none() => self.partial = Some(partial(bare)?),
            "EXPIRE" if self.expire_ms.is_none() => self.expire_ms = Some(instant(bare)?),
            "URLAUTH" => self.auth = Some(url_auth(value, at + name.len() + 1)?),
            _ => return None,
        }
        Some(())
    }
}

/// `iserver = [iuserinfo "@"] host [":" port]`: the user (RFC 5092 §11). An `;AUTH=` is passed over.
fn user_of(authority: &str) -> Option<Option<String>> {
    let Some((info, host)) = authority.rsplit_once('@') else {
        return (!authority.is_empty()).then_some(None);
    };
    let user = info.split(';').next().unwrap_or_default();
    if host.is_empty() {
        return None;
    }
    if user.is_empty() { Some(None) } else { Some(Some(decoded(user)?)) }
}

/// `access [":" mechanism ":" enc-urlauth]`, at `at` of the URL (RFC 4467 §4).
fn url_auth(value: &str, at: usize) -> Option<UrlAuth> {
    let mut parts = value.splitn(3, ':');
    let text = parts.next()?;
    let access = match text.split_once('+') {
        Some((kind, name)) if kind.eq_ignore_ascii_case("submit") => UrlAccess::Submit(decoded(name)?),
        Some((kind, name)) if kind.eq_ignore_ascii_case("user") => UrlAccess::User(decoded(name)?),
        None if text.eq_ignore_ascii_case("authuser") => UrlAccess::AnyUser,
        None if text.eq_ignore_ascii_case("anonymous") => UrlAccess::Anyone,
        _ => return None,
    };
    let token = match (parts.next(), parts.next()) {
        (None, _) => None,
        (Some(mechanism), Some(token)) => Some((mechanism.to_ascii_uppercase(), token.to_string())),
        (Some(_), None) => return None,
    };
    Some(UrlAuth { access, rump: at + text.len(), token })
}

fn nz(text: &str) -> Option<u32> {
    number(text).filter(|n| *n > 0)
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `partial-range = number ["." nz-number]` (RFC 5092 §11).
fn partial(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once('.') {
        Some((first, length)) => Some((number(first)?, Some(nz(length)?))),
        None => Some((number(text)?, None)),
    }
}

/// Takes percent-encoding away; the result must be UTF-8 without control characters and not empty.
fn decoded(text: &str) -> Option<String> {
    let text = String::from_utf8(percent_decoded(text)?).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

/// `date-time` of RFC 3339 as Unix milliseconds; fractions of a second are cut off.
fn instant(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok()?.timestamp().checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn relative_and_absolute() {
        let u = ImapUrl::parse("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER").unwrap();
        assert_eq!((u.mailbox.as_deref(), u.uid_validity, u.uid), (Some("Drafts"), Some(385_759_045), 20));
        assert_eq!((u.absolute, u.section.as_deref()), (false, Some("HEADER")));
        let u = ImapUrl::parse("/INBOX;UIDVALIDITY=7;UID=20;SECTION=1.2").unwrap();
        assert_eq!(u.section.as_deref(), Some("1.2"));
        let u = ImapUrl::parse("imap://al%40x.example;AUTH=*@host:143/a%2Fb/c%C3%A4/;UID=3/;PARTIAL=5.10").unwrap();
        assert_eq!((u.user.as_deref(), u.mailbox.as_deref()), (Some("al@x.example"), Some("a/b/c\u{e4}")));
        assert_eq!((u.absolute, u.partial), (true, Some((5, Some(10)))));
        assert_eq!(ImapUrl::parse(";UID=4").unwrap().mailbox, None);
        assert_eq!(ImapUrl::parse("/;UID=4/").unwrap().uid, 4);
    }

    #[test]
    fn authorized() {
        let url = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;expire=2002-05-31T23:59:59Z;urlauth=submit+fred:\
                   internal:91354a473744909de610943775f92038";
        let u = ImapUrl::parse(url).unwrap();
        let auth = u.auth.unwrap();
        assert_eq!(auth.access, UrlAccess::Submit("fred".into()));
        assert!(url[..auth.rump].ends_with("urlauth=submit+fred"));
        assert_eq!(auth.token, Some(("INTERNAL".into(), "91354a473744909de610943775f92038".into())));
        assert_eq!(u.expire_ms, Some(1_022_889_599_000));
        for (text, access) in [("anonymous", UrlAccess::Anyone), ("authuser", UrlAccess::AnyUser)] {
            let u = ImapUrl::parse(&format!("imap://a@h/b;uid=1;urlauth={text}")).unwrap();
            assert_eq!(u.auth.unwrap().access, access);
        }
    }

    #[test]
    fn instants() {
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant("2000-03-01T01:00:00.5+01:00"), Some(951_868_800_000));
        assert_eq!(instant("2000-02-29t00:00:00-00:01"), Some(951_782_460_000));
        for bad in
            ["", "2000", "2000-13-01T00:00:00Z", "2000-01-01T24:00:00Z", "2000-01-01T00:00:00", "T", "2000-01-01TZ"]
        {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn others_are_refused() {
        for url in [
            "",
            "/",
            "/INBOX",
            "/INBOX;UID=0",
            "/INBOX;UID=x",
            "/INBOX;UID=1;UID=2",
            "/INBOX;UID=1;WHAT=1",
            "//h/INBOX;UID=1",
            "http://h/INBOX;UID=1",
            "imap:///INBOX;UID=1",
            "imap://h",
            "/IN%ZZ;UID=1",
            "/%FF;UID=1",
            "/a%00;UID=1",
            "/INBOX;UID=1;PARTIAL=1.0",
            "/INBOX;UID=4294967296",
            "/\u{e4};UID=1",
            "/a b;UID=1",
            "/INBOX;UID=1;URLAUTH=else",
            "/INBOX;UID=1;URLAUTH=anonymous:internal",
            "/INBOX;UID=1;URLAUTH=anonymous;PARTIAL=1",
        ] {
            assert_eq!(ImapUrl::parse(url), None, "{url}");
        }
    }

    proptest! {
        /// What is put in comes out, whatever has to be encoded, and the rump is all before the token.
        #[test]
        fn written_and_read(user in "[a-z%@;/:.+]{1,12}", mailbox in "[^\\p{Cc}]{1,12}", uid in 1u32.., validity in 1u32.., first: u32, length in 1u32.., name in "[a-z@:;+]{1,9}", token in "[0-9a-f]{1,40}") {
            prop_assume!(!mailbox.ends_with('/'));
            let encoded = |text: &str| text.bytes().fold(String::new(), |out, b| out + &format!("%{b:02X}"));
            let rump = format!(
                "imap://{}@h/{};UIDVALIDITY={validity}/;UID={uid}/;PARTIAL={first}.{length};URLAUTH=submit+{}",
                encoded(&user), encoded(&mailbox), encoded(&name)
            );
            let parsed = ImapUrl::parse(&format!("{rump}:internal:{token}")).unwrap();
            prop_assert_eq!((parsed.user, parsed.mailbox), (Some(user), Some(mailbox)));
            prop_assert_eq!((parsed.uid, parsed.uid_validity, parsed.partial), (uid, Some(validity), Some((first, Some(length)))));
            let auth = parsed.auth.unwrap();
            prop_assert_eq!((auth.rump, auth.access), (rump.len(), UrlAccess::Submit(name)));
            prop_assert_eq!(auth.token, Some(("INTERNAL".to_string(), token)));
        }

        #[test]
        fn never_panics(url in "(imap://|/)?[a-z%@0-9A-F;=/:.+-]{0,60}(;UID=[0-9]{1,3})?(;URLAUTH=[a-z+:]{0,12})?", junk in ".{0,40}") {
            let _ = ImapUrl::parse(&url);
            let _ = ImapUrl::parse(&junk);
        }
    }
}
