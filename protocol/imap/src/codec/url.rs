//! IMAP URLs, with the section as FETCH has it.

use super::command::BodyItem;
use super::parse_fetch::url_section;
use std::ops::Deref;
use zcluster_mail::ImapUrl;
pub use zcluster_mail::{IMAP_URL_BYTES_MAX as URL_BYTES_MAX, UrlAccess as Access, UrlAuth};

/// A URL that names a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUrl {
    url: ImapUrl,
    /// Which piece of it; `None`: all.
    pub section: Option<BodyItem>,
}

impl MessageUrl {
    /// `None` when it is no [`ImapUrl`], or its section none that can be fetched.
    pub fn parse(url: &str) -> Option<MessageUrl> {
        let url = ImapUrl::parse(url)?;
        let section = url.section.as_deref().map(url_section).transpose().ok()?;
        Some(MessageUrl { url, section })
    }
}

impl Deref for MessageUrl {
    type Target = ImapUrl;
    fn deref(&self) -> &ImapUrl {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::command::SectionText;
    use proptest::prelude::*;

    #[test]
    fn sections() {
        let section = |text: &str| MessageUrl::parse(&format!("/INBOX;UID=1;SECTION={text}"))?.section;
        assert_eq!(section("HEADER").unwrap().text, SectionText::Header);
        assert_eq!(section("1.2").unwrap().path, [1, 2]);
        for bad in ["1.x", "HEADER.FIELDS%20({3}", ""] {
            assert_eq!(section(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(section in "[0-9.A-Z%() ]{0,20}", junk in ".{0,40}") {
            let _ = MessageUrl::parse(&format!("/INBOX;UID=1;SECTION={section}"));
            let _ = MessageUrl::parse(&junk);
        }
    }
}
