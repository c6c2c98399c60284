//! Filters as text: RFC 4515, with what Zimbra's tools also take: no outer parentheses, spaces around parts.

use std::fmt::Write;
use zcluster_api::directory::{FILTER_DEPTH_MAX, Filter};

/// Bytes of a filter at most.
const TEXT_MAX: usize = 65_536;

/// Reads a filter. `~=` means `=`; an extensible match (`cn:caseIgnoreMatch:=x`) means equality.
///
/// # Errors
/// What is wrong, and where.
pub fn parse(text: &str) -> Result<Filter, String> {
    let text = text.trim();
    if text.len() > TEXT_MAX {
        return Err(format!("filter of {} bytes", text.len()));
    }
    if text.is_empty() {
        return Ok(Filter::all());
    }
    let mut parser = Parser { text, at: 0 };
    let filter = if text.starts_with('(') { parser.filter(1)? } else { item(text)? };
    if text.starts_with('(') {
        parser.space();
        if parser.at < text.len() {
            return Err(format!("what follows at {}", parser.at));
        }
    }
    Ok(filter)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }
    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }
    fn take(&mut self, c: char) -> Result<(), String> {
        if self.rest().starts_with(c) {
            self.at += c.len_utf8();
            return Ok(());
        }
        Err(format!("{c:?} is missing at {}", self.at))
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > FILTER_DEPTH_MAX {
            return Err(format!("nested more than {FILTER_DEPTH_MAX} deep"));
        }
        self.space();
        self.take('(')?;
        self.space();
        let filter = match self.rest().chars().next() {
            Some('&') => Filter::And(self.list(depth)?),
            Some('|') => Filter::Or(self.list(depth)?),
            Some('!') => {
                self.at += 1;
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => {
                let end =
                    self.rest().find([')', '(']).ok_or_else(|| format!("no end of what begins at {}", self.at))?;
                let one = item(&self.rest()[..end])?;
                self.at += end;
                one
            }
        };
        self.space();
        self.take(')')?;
        Ok(filter)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Filter>, String> {
        self.at += 1;
        let mut all = Vec::new();
        loop {
            self.space();
            if !self.rest().starts_with('(') {
                return Ok(all);
            }
            all.push(self.filter(depth + 1)?);
        }
    }
}

/// `attr=value` and its like.
fn item(text: &str) -> Result<Filter, String> {
    let bad = || format!("{text:?} is no comparison");
    let (left, value) = text.split_once('=').ok_or_else(bad)?;
    let (attr, how) = match left.char_indices().next_back() {
        Some((at, c @ ('>' | '<' | '~' | ':'))) => (&left[..at], c),
        _ => (left, '='),
    };
    let attr = attr.split(':').next().unwrap_or_default().trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-;._".contains(c);
    if attr.is_empty() || !attr.chars().all(plain) {
        return Err(bad());
    }
    // Options of an attribute (`;binary`, `;lang-de`) do not matter here.
    let attr = attr.split(';').next().unwrap_or_default().to_string();
    match how {
        '>' => Ok(Filter::AtLeast(attr, unescape(value)?)),
        '<' => Ok(Filter::AtMost(attr, unescape(value)?)),
        '=' if value.trim() == "*" => Ok(Filter::Present(attr)),
        '=' if value.contains('*') => {
            let parts = value.split('*').map(unescape).collect::<Result<Vec<_>, _>>()?;
            let (initial, end) = (parts.first().cloned(), parts.last().cloned());
            let any = parts.get(1..parts.len() - 1).unwrap_or_default();
            let any = any.iter().filter(|a| !a.is_empty()).cloned().collect();
            Ok(Filter::Substring { attr, initial: initial.unwrap_or_default(), any, end: end.unwrap_or_default() })
        }
        _ => Ok(Filter::Equal(attr, unescape(value)?)),
    }
}

/// `\2a` is `*`.
fn unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = behind;
            continue;
        }
        let hex = behind.get(..2).and_then(|h| std::str::from_utf8(h).ok()).filter(|h| !h.starts_with('+'));
        let byte = hex.and_then(|h| u8::from_str_radix(h, 16).ok());
        bytes.push(byte.ok_or_else(|| format!("{text:?} has a backslash that begins no escape"))?);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).map_err(|_| format!("{text:?} is no UTF-8"))
}

/// A value as it may stand in a filter's text: nothing in it is taken for syntax.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '*' | '(' | ')' | '\\' | '\0' => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\{:02x}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The filter as text.
pub fn print(filter: &Filter) -> String {
    let all = |sign: char, list: &[Filter]| format!("({sign}{})", list.iter().map(print).collect::<String>());
    match filter {
        Filter::And(list) => all('&', list),
        Filter::Or(list) => all('|', list),
        Filter::Not(one) => format!("(!{})", print(one)),
        Filter::Present(attr) => format!("({attr}=*)"),
        Filter::Equal(attr, value) => format!("({attr}={})", escape(value)),
        Filter::AtLeast(attr, value) => format!("({attr}>={})", escape(value)),
        Filter::AtMost(attr, value) => format!("({attr}<={})", escape(value)),
        Filter::Substring { attr, initial, any, end } => {
            let any: String = any.iter().map(|a| format!("{}*", escape(a))).collect();
            format!("({attr}={}*{any}{})", escape(initial), escape(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn filters_are_read() {
        let print_again = |text: &str| parse(text).map(|f| print(&f));
        for (text, want) in [
            ("", "(&)"),
            ("uid=a", "(uid=a)"),
            ("(uid=a)", "(uid=a)"),
            ("( & (a=1) ( | (b=*)(c=x*y*z) ) (!(d>=5)) )", "(&(a=1)(|(b=*)(c=x*y*z))(!(d>=5)))"),
            ("(cn=a\\2ab\\28)", "(cn=a\\2ab\\28)"),
            ("(cn~=a)", "(cn=a)"),
            ("(cn:caseIgnoreMatch:=a)", "(cn=a)"),
            ("(userCertificate;binary=*)", "(userCertificate=*)"),
            ("(cn=*a*)", "(cn=*a*)"),
        ] {
            assert_eq!(print_again(text), Ok(want.into()), "{text}");
        }
        for bad in ["(", "(a)", "(a=1", "(a=1))", "(&(a=1)", "(=x)", "(a b=x)", "(a=\\zz)", "(a=\\2)", "(a=\\ff)"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&"(!".repeat(1_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[()&|!=*<>~:\\\\a-c0-2 ]{0,40}") {
            if let Ok(filter) = parse(&text) {
                let printed = print(&filter);
                prop_assert_eq!(parse(&printed), Ok(filter));
            }
        }

        #[test]
        fn an_escaped_value_stays_a_value(value in "\\PC{1,20}") {
            prop_assert_eq!(parse(&format!("(cn={})", escape(&value))), Ok(Filter::equal("cn", value)));
        }
    }
}
