//! The IMAP URLs that BURL takes (RFC 4468 §3.3): absolute, of one message or part, with an authorization (RFC 4467).

pub use zcluster_mail::UrlAccess as Access;
use zcluster_mail::{ImapUrl, UrlAuth};

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
        let ImapUrl { absolute, user, mailbox, uid_validity, uid, section, partial, expire_ms, auth } =
            ImapUrl::parse(url)?;
        let UrlAuth { access, rump, token } = auth?;
        let (mechanism, token) = token?;
        if !absolute || partial.is_some() || mechanism != "INTERNAL" || token.is_empty() {
            return None;
        }
        let (user, folder, token) = (user?, mailbox?, token.to_ascii_lowercase());
        Some(SubmitUrl { user, folder, uid_validity, uid, section, expire_ms, access, rump, token })
    }
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
            "imap://a@h/INBOX;uid=1;partial=0.5;urlauth=anonymous:internal:00",
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
