//! iCalendar (RFC 5545), vCalendar and vCard (RFC 6350, 2.1): the values that people search for.

use super::plain;
use super::reading::{Reading, Stop};
use std::borrow::Cow;

/// Properties whose value is text, in either format.
const TEXTS: [&str; 19] = [
    "SUMMARY",
    "LOCATION",
    "DESCRIPTION",
    "COMMENT",
    "CATEGORIES",
    "CONTACT",
    "RESOURCES",
    "FN",
    "N",
    "NICKNAME",
    "ORG",
    "TITLE",
    "ROLE",
    "NOTE",
    "ADR",
    "EMAIL",
    "TEL",
    "URL",
    "LABEL",
];
/// Properties whose value is an address, and whose `CN` parameter is a name.
const PEOPLE: [&str; 2] = ["ATTENDEE", "ORGANIZER"];

pub fn read(bytes: &[u8], charset: Option<&str>, to: &mut Reading) -> Result<(), Stop> {
    let text = plain::decode(bytes, charset);
    let mut seen = 0u32;
    for line in lines(&text) {
        let Some(property) = Property::parse(&line) else { continue };
        seen += 1;
        if PEOPLE.contains(&property.name.as_str()) {
            to.push(property.parameter("CN").unwrap_or_default())?;
            to.space();
            to.push(strip_scheme(property.value))?;
            to.line();
        } else if TEXTS.contains(&property.name.as_str()) {
            push_text(&property, to)?;
            to.line();
        }
    }
    if seen == 0 { Err(Stop::malformed("it has no property")) } else { Ok(()) }
}

fn push_text(property: &Property, to: &mut Reading) -> Result<(), Stop> {
    // vCard 2.1.
    let is_quoted = property.parameters().any(|p| {
        let (name, value) = p.split_once('=').unwrap_or(("ENCODING", p));
        name.eq_ignore_ascii_case("ENCODING") && value.eq_ignore_ascii_case("QUOTED-PRINTABLE")
    });
    let value: Cow<str> = if is_quoted {
        let bytes = quoted_printable(property.value);
        plain::decode(&bytes, property.parameter("CHARSET")).into_owned().into()
    } else {
        property.value.into()
    };
    // `;` separates the parts of names and addresses, `,` the items of lists.
    let mut characters = strip_scheme(&value).chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('n' | 'N') => to.line(),
                Some(c) => to.push_char(c)?,
                None => {}
            },
            ';' => to.space(),
            ',' if property.name == "CATEGORIES" || property.name == "NICKNAME" => to.space(),
            c => to.push_char(c)?,
        }
    }
    Ok(())
}

fn strip_scheme(value: &str) -> &str {
    ["mailto:", "tel:"]
        .iter()
        .find(|s| value.get(..s.len()).is_some_and(|v| v.eq_ignore_ascii_case(s)))
        .map_or(value, |s| &value[s.len()..])
}

/// Content lines, unfolded: a line that begins with white space goes on with the one before; in vCard 2.1 a quoted-printable
/// value goes on where its line ends with `=`.
fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = text.lines().peekable();
    std::iter::from_fn(move || {
        let mut line = Cow::Borrowed(rest.next()?);
        let is_quoted = line.split(':').next().is_some_and(|p| p.to_ascii_uppercase().contains("QUOTED-PRINTABLE"));
        while let Some(next) = rest.peek() {
            if let Some(folded) = next.strip_prefix([' ', '\t']) {
                line.to_mut().push_str(folded);
            } else if is_quoted && line.ends_with('=') {
                line.to_mut().pop();
                line.to_mut().push_str(next);
            } else {
                break;
            }
            rest.next();
        }
        Some(line)
    })
}

struct Property<'a> {
    /// In upper case, without its group (`item1.EMAIL`).
    name: String,
    parameters: &'a str,
    value: &'a str,
}

impl<'a> Property<'a> {
    /// `name *(";" param) ":" value`, where parameters may be quoted.
    fn parse(line: &'a str) -> Option<Self> {
        let mut in_quotes = false;
        let colon = line.find(|c| {
            in_quotes ^= c == '"';
            c == ':' && !in_quotes
        })?;
        let (left, value) = (&line[..colon], &line[colon + 1..]);
        let (name, parameters) = left.split_once(';').unwrap_or((left, ""));
        let name = name.rsplit('.').next()?.trim().to_ascii_uppercase();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        is_name.then_some(Property { name, parameters, value })
    }

    fn parameters(&self) -> impl Iterator<Item = &'a str> {
        let mut in_quotes = false;
        self.parameters.split(move |c| {
            in_quotes ^= c == '"';
            c == ';' && !in_quotes
        })
    }

    fn parameter(&self, wanted: &str) -> Option<&'a str> {
        self.parameters().find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim_matches('"'))
        })
    }
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()).filter(|_| byte == b'=') {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn text(card: &str) -> String {
        let mut to = Reading::new(&Limits::default());
        let end = read(card.as_bytes(), None, &mut to);
        to.finish(end).unwrap().text
    }

    #[test]
    fn an_invitation() {
        let calendar = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260102T030405Z\r\nSUMMARY;LANGUAGE=en:Budget\\, round\r\n  2\r\n\
            ATTENDEE;CN=\"Doe; Jane: x\";RSVP=TRUE:MAILTO:jane@example.org\r\nDESCRIPTION:line\\nnext\r\nEND:VEVENT\r\n";
        assert_eq!(text(calendar), "Budget, round 2\nDoe; Jane: x jane@example.org\nline\nnext");
    }

    #[test]
    fn a_card() {
        let card = "BEGIN:VCARD\nVERSION:3.0\nN:Doe;Jane;;Dr.;\nitem1.EMAIL;TYPE=work:jane@example.org\nORG:Example\\; Inc;Sales\n\
            PHOTO;ENCODING=b:AAAA\nTEL;VALUE=uri:tel:+1-2\nEND:VCARD\n";
        assert_eq!(text(card), "Doe Jane Dr.\njane@example.org\nExample; Inc Sales\n+1-2");
    }

    #[test]
    fn an_old_card() {
        let card = "BEGIN:VCARD\nVERSION:2.1\nNOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:gr=FC=\n=DFe=0D=0A=zz\nEND:VCARD";
        assert_eq!(text(card), "grüße\n=zz");
    }

    #[test]
    fn what_is_no_card() {
        let mut to = Reading::new(&Limits::default());
        let end = read(b"no colon here", None, &mut to);
        assert!(to.finish(end).is_err());
    }
}
