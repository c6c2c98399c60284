//! `mailto:` URIs (RFC 6068) as notification methods (RFC 5436).

use crate::address;
use crate::diagnostic::shown;
use crate::valid;

/// Recipients of one notification.
const RECIPIENTS_MAX: usize = 16;
/// Header fields that a URI may set besides those with a meaning of their own.
const HEADERS_MAX: usize = 16;
/// Bytes of a URI.
const URI_BYTES_MAX: usize = 8 * 1024;

/// What RFC 5436 §2.7 forbids a URI to set, and what would break the message.
const UNSAFE: [&str; 17] = [
    "auto-submitted",
    "received",
    "from",
    "sender",
    "date",
    "message-id",
    "return-path",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "resent-from",
    "resent-to",
    "resent-date",
    "resent-message-id",
    "apparently-to",
    "reply-to",
];

/// A parsed URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MailTo {
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub bcc: Vec<String>,
    pub subject: Option<String>,
    pub body: Option<String>,
    /// Names capitalized.
    pub headers: Vec<(String, String)>,
}

impl MailTo {
    pub fn parse(uri: &str) -> Result<MailTo, String> {
        let wrong = |why: String| Err(format!("\"{}\" is no method that can be used: {why}", shown(uri)));
        let Some((scheme, rest)) = uri.split_once(':') else { return wrong("it is no URI".into()) };
        if !scheme.eq_ignore_ascii_case("mailto") {
            return wrong("only `mailto` is supported".into());
        }
        if uri.len() > URI_BYTES_MAX {
            return wrong("it is too long".into());
        }
        let (to, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut out = MailTo::default();
        if let Err(e) = out.recipients(to, |m| &mut m.to) {
            return wrong(e);
        }
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Err(e) = out.header(name, value) {
                return wrong(e);
            }
        }
        match out.to.len() + out.cc.len() + out.bcc.len() {
            0 => wrong("it names no recipient".into()),
            1..=RECIPIENTS_MAX => Ok(out),
            _ => wrong(format!("it names more than {RECIPIENTS_MAX} recipients")),
        }
    }

    /// Percent-encoded addresses between commas.
    fn recipients(&mut self, list: &str, of: impl Fn(&mut Self) -> &mut Vec<String>) -> Result<(), String> {
        for one in list.split(',').filter(|a| !a.is_empty()) {
            let decoded = decode(one)?;
            // A header's value may hold an encoded comma, and so several addresses.
            for text in decoded.split(',').filter(|a| !a.trim().is_empty()) {
                let found = address::parse(text);
                let found = found.ok_or_else(|| format!("\"{}\" is no mail address", shown(text)))?.addr_spec();
                let list = of(self);
                if !list.contains(&found) {
                    list.push(found);
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name = decode(name)?.to_ascii_lowercase();
        match name.as_str() {
            "to" => return self.recipients(value, |m| &mut m.to),
            "cc" => return self.recipients(value, |m| &mut m.cc),
            "bcc" => return self.recipients(value, |m| &mut m.bcc),
            _ => {}
        }
        let value = decode(value)?;
        match name.as_str() {
            "subject" => self.subject = Some(one_line(&value)),
            "body" => self.body = Some(value),
            _ if UNSAFE.contains(&name.as_str()) || !valid::field_name(&name) => {}
            _ if self.headers.len() < HEADERS_MAX => {
                let mut letters = name.chars();
                let first = letters.next().map(|c| c.to_ascii_uppercase());
                self.headers.push((first.into_iter().chain(letters).collect(), one_line(&value)));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Without characters that could end a header field.
pub(crate) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.trim().to_string()
}

fn decode(text: &str) -> Result<String, String> {
    let out = zcluster_mail::percent_decoded(text);
    let out = out.ok_or("a `%` must be followed by two hexadecimal digits")?;
    String::from_utf8(out).map_err(|_| "it is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        let m = MailTo::parse(
            "mailto:0123@sms.example.net,b%2Bx@y.org?to=backup@example.com&Subject=a%20b%0D%0AX:%20y&body=hi&from=evil@x.org\
             &priority=urgent&Auto-Submitted=no",
        )
        .unwrap();
        assert_eq!(m.to, ["0123@sms.example.net", "b+x@y.org", "backup@example.com"]);
        assert_eq!((m.subject.as_deref(), m.body.as_deref()), (Some("a b  X: y"), Some("hi")));
        assert_eq!(m.headers, [("Priority".to_string(), "urgent".to_string())]);
        for bad in ["mailto:", "xmpp:a@b", "mailto:a", "mailto:a%4", "mailto:a@b?cc=x", "x", "mailto:a%FF@b"] {
            assert!(MailTo::parse(bad).is_err(), "{bad}");
        }
    }
}
