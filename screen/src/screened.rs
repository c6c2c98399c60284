//! What a screen found.

use bytes::Bytes;

/// A header field to put in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value, unfolded or folded with CRLF; no CRLF at its end.
    pub value: String,
}

impl Field {
    /// A field.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Field { name: name.into(), value: value.into() }
    }
}

/// The SMTP answer of a message that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 4yz or 5yz.
    pub code: u16,
    /// RFC 3463's enhanced code, such as `5.7.1`.
    pub status: String,
    /// A line for people, printable ASCII.
    pub text: String,
}

/// What is to become of the message, worst last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// It is taken.
    #[default]
    Accept,
    /// It is taken and belongs into the recipients' Junk folders: [`Screened::fields`] already say so
    /// (`X-Spam-Flag: YES`), which is what delivery goes by.
    Junk,
    /// It is answered with 250 and not stored.
    Discard,
    /// The client shall come again (4yz).
    Defer(Answer),
    /// It is refused (5yz).
    Reject(Answer),
}

/// What the spam filters think.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spam {
    /// Points; more is worse.
    pub score: f64,
    /// Points from which it is spam.
    pub threshold: f64,
    /// The rules that matched.
    pub tests: Vec<String>,
}

/// What the virus scanner says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Virus {
    /// Nothing was found.
    Clean,
    /// This was found.
    Found(String),
}

/// What a screen found and wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Screened {
    /// What is to become of the message.
    pub disposition: Disposition,
    /// Fields to put above all that the client sent and below our own trace fields, first one first.
    pub fields: Vec<Field>,
    /// Places of header fields that the client sent (0 is the topmost) and that must go, ascending: forged verdicts.
    pub removed: Vec<usize>,
    /// What stands in the message's place, when a milter changed it: [`Screened::removed`] counts in this one.
    pub replaced: Option<Bytes>,
    /// What the spam filters think, when one was asked and answered.
    pub spam: Option<Spam>,
    /// What the virus scanner says, when it was asked and answered.
    pub virus: Option<Virus>,
}

impl Screened {
    /// The message as it is to be stored, trace fields apart: without what was removed, with the new fields in front.
    pub fn apply(&self, raw: &Bytes) -> Bytes {
        let raw = self.replaced.as_ref().unwrap_or(raw);
        if self.fields.is_empty() && self.removed.is_empty() {
            return raw.clone();
        }
        let added: usize = self.fields.iter().map(|f| f.name.len() + f.value.len() + 4).sum();
        let mut out = Vec::with_capacity(raw.len() + added);
        for field in &self.fields {
            out.extend_from_slice(field.name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        let mut from = 0;
        let mut end = 0;
        for (place, field) in zcluster_mail::fields(raw).enumerate() {
            let start = end;
            end += field.raw.len();
            if self.removed.binary_search(&place).is_ok() {
                out.extend_from_slice(&raw[from..start]);
                from = end;
            }
        }
        out.extend_from_slice(&raw[from..]);
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_front_and_forged_ones_go() {
        let raw = Bytes::from_static(
            b"X-Spam-Flag: NO\r\nSubject: a\r\n b\r\nX-Spam-Score:\r\n 1\r\n\r\nX-Spam-Flag: NO\r\n",
        );
        let fields = vec![Field::new("X-Spam-Flag", "YES"), Field::new("B", "1\r\n\t2")];
        let screened = Screened { fields, removed: vec![0, 2], ..Screened::default() };
        let expected = b"X-Spam-Flag: YES\r\nB: 1\r\n\t2\r\nSubject: a\r\n b\r\n\r\nX-Spam-Flag: NO\r\n";
        assert_eq!(&screened.apply(&raw)[..], expected);
        assert_eq!(Screened::default().apply(&raw), raw);
        let screened = Screened { replaced: Some(Bytes::from_static(b"\r\nx")), removed: vec![0], ..screened };
        assert_eq!(&screened.apply(&raw)[..], b"X-Spam-Flag: YES\r\nB: 1\r\n\t2\r\n\r\nx");
    }
}
