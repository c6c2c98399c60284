//! The IMAP URLs that BURL takes (RFC 4468 §3.3): absolute, of one message or part, with an authorization (RFC 4467).

use zcluster_mail::percent_decoded;

/// Bytes of a URL.
const URL_BYTES_MAX: usize = 8 * 1024;

/// Whom the owner lets open the URL (RFC 4467 §4, as far as a submission server may).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// `submit+name`: a submission server, for this user.
    Submit(String),
    /// `user+name`: this user.
    User(String),
    /// `authuser`: whoever signed in.
    AnyUser,
    /// `anonymous`.
    Anyone,
}

/// A URL that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitUrl {
    /// The owner, as the URL names him.
    pub user: String,
    /// Path of the folder, UTF-8.
    pub folder: String,
    /// UIDVALIDITY, when it says one.
    pub uid_validity: Option<u32>,
    /// The message.
    pub uid: u32,
    /// The part (RFC 9051 §6.4.5 `section`: numbers, then `HEADER`, `TEXT` or `MIME`); `None`: all of it.
    pub section: Option<String>,
    /// Until when it may be opened, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Who may.
    pub access: Access,
    /// Bytes of the URL that the token authorizes.
    pub rump: usize,
    /// The token of the mechanism INTERNAL, lower case.
    pub token: String,
}

impl SubmitUrl {
    /// `None` when it is no such URL.
    pub fn parse(url: &str) -> Option<Self> {
        if url.len() > URL_BYTES_MAX || !url.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let scheme = url.get(..7).filter(|s| s.eq_ignore_ascii_case("imap://"))?;
        let (authority, path) = url[scheme.len()..].split_once('/')?;
        let (info, host) = authority.rsplit_once('@')?;
        let user = decoded(info.split(';').next()?)?;
        if host.is_empty() {
            return None;
        }
        let (folder, parameters) = path.split_once(';')?;
        let folder = decoded(folder.trim_end_matches('/'))?;
        let (mut uid, mut uid_validity, mut section, mut expire_ms) = (None, None, None, None);
        let mut at = url.len() - parameters.len();
        for parameter in parameters.split(';') {
            let (name, value) = parameter.split_once('=')?;
            let bare = value.strip_suffix('/').unwrap_or(value);
            match name.to_ascii_uppercase().as_str() {
                "UID" if uid.is_none() => uid = Some(number(bare)?),
                "UIDVALIDITY" if uid_validity.is_none() => uid_validity = Some(number(bare)?),
                "SECTION" if section.is_none() => section = Some(decoded(bare)?),
                "EXPIRE" if expire_ms.is_none() => {
                    expire_ms = Some(chrono::DateTime::parse_from_rfc3339(bare).ok()?.timestamp_millis());
                }
                "URLAUTH" => {
                    // Nothing may stand behind it.
                    let value_at = at + name.len() + 1;
                    if value_at + value.len() != url.len() {
                        return None;
                    }
                    let (access, rest) = value.split_once(':')?;
                    let (mechanism, token) = rest.split_once(':')?;
                    if !mechanism.eq_ignore_ascii_case("INTERNAL") || token.is_empty() {
                        return None;
                    }
                    return Some(SubmitUrl {
                        user,
                        folder,
                        uid_validity,
                        uid: uid?,
                        section,
                        expire_ms,
                        rump: value_at + access.len(),
                        access: access_of(access)?,
                        token: token.to_ascii_lowercase(),
                    });
                }
                _ => return None,
            }
            at += parameter.len() + 1;
        }
        None
    }
}

fn access_of(text: &str) -> Option<Access> {
    match text.split_once('+') {
        Some((kind, name)) if kind.eq_ignore_ascii_case("submit") => decoded(name).map(Access::Submit),
        Some((kind, name)) if kind.eq_ignore_ascii_case("user") => decoded(name).map(Access::User),
        None if text.eq_ignore_ascii_case("authuser") => Some(Access::AnyUser),
        None if text.eq_ignore_ascii_case("anonymous") => Some(Access::Anyone),
        _ => None,
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?.filter(|n| *n > 0)
}

/// Takes percent-encoding away; the result must be UTF-8 without control characters and not empty.
fn decoded(text: &str) -> Option<String> {
    let text = String::from_utf8(percent_decoded(text)?).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn understood() {
        let url = "imap://joe%40example.com@imap.example.com/Drafts/a%2Fb;UIDVALIDITY=7/;uid=20/;section=1.2;\
                   expire=2002-05-31T23:59:59Z;urlauth=submit+fred:internal:0191354A";
        let parsed = SubmitUrl::parse(url).unwrap();
        assert_eq!((parsed.user.as_str(), parsed.folder.as_str()), ("joe@example.com", "Drafts/a/b"));
        assert_eq!((parsed.uid, parsed.uid_validity, parsed.section.as_deref()), (20, Some(7), Some("1.2")));
        assert_eq!(parsed.expire_ms, Some(1_022_889_599_000));
        assert_eq!(parsed.access, Access::Submit("fred".into()));
        assert!(url[..parsed.rump].ends_with("urlauth=submit+fred"));
        assert_eq!(parsed.token, "0191354a");
    }

    #[test]
    fn refused() {
        for url in [
            "",
            "imap://h/INBOX;uid=1;urlauth=anonymous:internal:00",
            "imap://a@h/INBOX;uid=1",
            "imap://a@h/INBOX;uid=1;urlauth=anonymous",
            "imap://a@h/INBOX;uid=1;urlauth=anonymous:other:00",
            "imap://a@h/INBOX;urlauth=anonymous:internal:00",
            "imap://a@h/INBOX;uid=1;urlauth=anonymous:internal:00;expire=2002-05-31T23:59:59Z",
            "imap://a@h/INBOX;uid=0;urlauth=anonymous:internal:00",
            "imap://a@h/;uid=1;urlauth=anonymous:internal:00",
            "imap://a@h/INBOX;uid=1;uid=2;urlauth=anonymous:internal:00",
            "http://a@h/INBOX;uid=1;urlauth=anonymous:internal:00",
            "imap://a@h/IN%ZZ;uid=1;urlauth=anonymous:internal:00",
            "imap://a@h/INBOX;uid=1;urlauth=everyone:internal:00",
        ] {
            assert_eq!(SubmitUrl::parse(url), None, "{url}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(url in "imap://[a-z%@;=]{0,20}/[a-z%0-9;=/:.+-]{0,60}(;uid=[0-9]{1,3})?(;urlauth=[a-z+:0-9]{0,30})?", junk in ".{0,40}") {
            let _ = SubmitUrl::parse(&url);
            let _ = SubmitUrl::parse(&junk);
        }
    }
}
