//! Another directory's part of the address list: what the domain's `zimbraGalLdap...` say, asked through whatever client
//! the node has.

use super::fields::Contact;
use super::{Book, GalKind};
use crate::filter_text;
use std::future::Future;
use std::pin::Pin;
use zcluster_api::directory::Attributes;

/// Bytes of a filter that a template makes.
const FILTER_MAX: usize = 16_384;

/// A question to another directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalQuery {
    /// `zimbraGalLdapURL`, tried in order.
    pub urls: Vec<String>,
    /// `zimbraGalLdapStartTlsEnabled`.
    pub start_tls: bool,
    /// `zimbraGalLdapBindDn` and its password; none: anonymous.
    pub bind: Option<(String, String)>,
    /// `zimbraGalLdapSearchBase`.
    pub base: String,
    /// RFC 4515.
    pub filter: String,
    /// Attributes wanted.
    pub attributes: Vec<String>,
    /// Entries wanted; with more the answer is cut, not an error.
    pub limit: usize,
}

/// The way to other directories.
pub trait ExternalBook: Send + Sync {
    /// The attributes of the entries found, `limit` at most; or why there are none, for people.
    fn look<'a>(
        &'a self,
        query: &'a ExternalQuery,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Attributes>, String>> + Send + 'a>>;
}

/// How is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Search,
    Complete,
}

impl Way {
    /// The attribute that says whether every word must fit or one is enough.
    pub fn tokenize(self) -> &'static str {
        match self {
            Way::Search => "zimbraGalTokenizeSearchKey",
            Way::Complete => "zimbraGalTokenizeAutoCompleteKey",
        }
    }
    fn filter(self) -> &'static str {
        match self {
            Way::Search => "zimbraGalLdapFilter",
            Way::Complete => "zimbraGalAutoCompleteLdapFilter",
        }
    }
}

/// The filter of a template: `%s` is the word; several words by `&` or `|`. A template may be the name of one
/// (`zimbraGalLdapFilterDef`: `name:filter`).
pub(super) fn filter(template: &str, defined: &[String], words: &[String], any: bool) -> Result<String, String> {
    let named = defined.iter().find_map(|d| d.split_once(':').filter(|(name, _)| *name == template).map(|(_, f)| f));
    let template = named.unwrap_or(template).trim();
    if template.is_empty() {
        return Err("the domain names no filter (zimbraGalLdapFilter)".into());
    }
    let with = |word: &str| {
        let text = template.replace("*%s*", &if word.is_empty() { "*".into() } else { format!("*{word}*") });
        let text = text.replace("%s*", &format!("{word}*")).replace("*%s", &format!("*{word}"));
        let text = text.replace("%s", if word.is_empty() { "*" } else { word });
        if text.starts_with('(') { text } else { format!("({text})") }
    };
    let text = match words {
        [] => with(""),
        [one] => with(&filter_text::escape(one)),
        several => {
            let all: String = several.iter().map(|w| with(&filter_text::escape(w))).collect();
            format!("({}{all})", if any { '|' } else { '&' })
        }
    };
    if text.len() > FILTER_MAX {
        return Err("the filter becomes too long".into());
    }
    filter_text::parse(&text).map(|_| text)
}

/// Contacts that the other directory has, `wanted` at most, and whether it has more.
pub(super) async fn look(
    book: &Book,
    external: Option<&dyn ExternalBook>,
    kind: GalKind,
    words: &[String],
    way: Way,
    wanted: usize,
) -> Result<(Vec<Contact>, bool), String> {
    // Another directory knows no rooms of ours, and its own only by its filter.
    if wanted == 0 || kind == GalKind::Resource {
        return Ok((Vec::new(), wanted == 0));
    }
    let Some(external) = external else { return Err("this node has no way to other directories".into()) };
    let settings = &book.settings;
    let get = |name: &str| settings.get(name).unwrap_or_default().to_string();
    let template = match get(way.filter()) {
        text if text.is_empty() => get("zimbraGalLdapFilter"),
        text => text,
    };
    let any = settings.get(way.tokenize()) == Some("or");
    let defined = settings.all("zimbraGalLdapFilterDef");
    let urls = settings.all("zimbraGalLdapURL").to_vec();
    if urls.is_empty() {
        return Err("the domain names no directory (zimbraGalLdapURL)".into());
    }
    let bind = match settings.get("zimbraGalLdapAuthMech") {
        Some("none") => None,
        _ => settings.get("zimbraGalLdapBindDn").map(|dn| (dn.to_string(), get("zimbraGalLdapBindPassword"))),
    };
    let query = ExternalQuery {
        urls,
        start_tls: settings.get("zimbraGalLdapStartTlsEnabled") == Some("TRUE"),
        bind,
        base: get("zimbraGalLdapSearchBase"),
        filter: filter(&template, defined, words, any)?,
        attributes: book.map.attributes(),
        limit: wanted,
    };
    let entries = external.look(&query).await?;
    let more = entries.len() >= wanted;
    let fits = |c: &Contact| match kind {
        GalKind::Group => c.is_group,
        GalKind::Account => !c.is_group,
        GalKind::All | GalKind::Resource => true,
    };
    Ok((entries.iter().take(wanted).map(|e| book.map.foreign(e)).filter(fits).collect(), more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn templates() {
        let defined = vec!["ad:(&(|(cn=%s*)(mail=*%s*))(objectclass=user))".to_string()];
        let of = |template: &str, words: &[&str], any| {
            filter(template, &defined, &words.iter().map(ToString::to_string).collect::<Vec<_>>(), any)
        };
        assert_eq!(of("ad", &["al"], false).as_deref(), Ok("(&(|(cn=al*)(mail=*al*))(objectclass=user))"));
        assert_eq!(of("ad", &[], false).as_deref(), Ok("(&(|(cn=*)(mail=*))(objectclass=user))"));
        assert_eq!(of("cn=%s*", &["a", "b"], true).as_deref(), Ok("(|(cn=a*)(cn=b*))"));
        assert_eq!(of("(cn=%s)", &["a*)(b"], false).as_deref(), Ok("(cn=a\\2a\\29\\28b)"));
        assert!(of("", &["a"], false).is_err() && of("(((", &["a"], false).is_err());
    }

    proptest! {
        #[test]
        fn what_is_typed_stays_a_value(word in "\\PC{1,20}") {
            let made = filter("(cn=*%s*)", &[], &[word.to_lowercase()], false).unwrap();
            let parsed = filter_text::parse(&made).unwrap();
            let one = matches!(parsed, zcluster_api::directory::Filter::Substring { .. });
            prop_assert!(one, "{made}");
        }
    }
}
