//! What commands answer, and how it is printed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use zcluster_api::directory::Attributes;
use zcluster_schema::Kind;

/// What is shown in place of a secret, as zmprov does.
const BLOCKED: &str = "VALUE-BLOCKED";
/// Secrets that administrators have to carry elsewhere.
const SHOWN: [&str; 1] = ["zimbraPreAuthKey"];
/// Characters of base64 in one line (RFC 2045).
const BASE64_LINE: usize = 76;

/// The answer to a command, or a page of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// In order.
    pub items: Vec<Item>,
    /// Where the next page begins: ask again with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Item {
    /// A line: an id, a name.
    Text(String),
    /// A thing with attributes.
    Entry(Entry),
}

/// A thing with attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name; empty for the global settings.
    pub name: String,
    /// Attributes and values, sorted by name.
    pub attributes: Vec<(String, Vec<String>)>,
    /// Of a list: its members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
}

/// Which attributes are wanted: `name` or `name=value`; none: all.
fn wanted(only: &[&str], name: &str, values: &[String]) -> Option<Vec<String>> {
    if only.is_empty() {
        return Some(values.to_vec());
    }
    let mut some: Option<Vec<String>> = None;
    for one in only {
        let (attr, value) = one.split_once('=').map_or((*one, None), |(attr, value)| (attr, Some(value)));
        if !attr.eq_ignore_ascii_case(name) {
            continue;
        }
        let Some(value) = value else { return Some(values.to_vec()) };
        some.get_or_insert_default().extend(values.iter().filter(|v| *v == value).cloned());
    }
    some.filter(|values| !values.is_empty())
}

impl Entry {
    /// From attributes; `only` (when not empty) names those to show.
    pub fn new(name: &str, attrs: &Attributes, only: &[&str]) -> Entry {
        let shown = |name: &str, values: &[String]| {
            let secret = zcluster_schema::is_secret(name) && !SHOWN.iter().any(|s| s.eq_ignore_ascii_case(name));
            let values = if secret { vec![BLOCKED.to_string()] } else { values.to_vec() };
            wanted(only, name, &values).map(|values| (name.to_string(), values))
        };
        let mut attributes: Vec<_> = attrs.iter().filter_map(|a| shown(&a.name, &a.values)).collect();
        // Capitals first, as zmprov sorts.
        attributes.sort();
        Entry { name: name.to_string(), attributes, members: None }
    }
}

impl Reply {
    /// One line.
    pub fn text(line: impl Into<String>) -> Reply {
        Reply::lines([line.into()])
    }
    /// Lines.
    pub fn lines(lines: impl IntoIterator<Item = String>) -> Reply {
        Reply { items: lines.into_iter().map(Item::Text).collect(), more: None }
    }
    /// One thing.
    pub fn entry(entry: Entry) -> Reply {
        Reply { items: vec![Item::Entry(entry)], more: None }
    }

    /// As zmprov prints it: `# name ...`, then `attribute: value` lines, then an empty line.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for item in &self.items {
            match item {
                Item::Text(line) => out.extend([line, "\n"]),
                Item::Entry(entry) => print_entry(entry, &mut out),
            }
        }
        out
    }
}

fn print_entry(entry: &Entry, out: &mut String) {
    // Writing into a String cannot fail.
    match &entry.members {
        Some(members) => {
            let _ = writeln!(out, "# distributionList {} memberCount={}", entry.name, members.len());
        }
        None if !entry.name.is_empty() => {
            let is_class = |(name, values): &&(String, Vec<String>)| {
                name == "objectClass" && values.iter().any(|v| v == "zimbraAlias")
            };
            let word = if entry.attributes.iter().any(|a| is_class(&a)) { "alias" } else { "name" };
            let _ = writeln!(out, "# {word} {}", entry.name);
        }
        None => {}
    }
    for (name, values) in &entry.attributes {
        let binary = zcluster_schema::find(name).is_some_and(|d| matches!(d.kind, Kind::Binary | Kind::Certificate));
        for value in values {
            if binary && value != BLOCKED {
                print_binary(name, value, out);
            } else {
                let _ = writeln!(out, "{name}: {value}");
            }
        }
    }
    if !entry.name.is_empty() {
        out.push('\n');
    }
    if let Some(members) = &entry.members {
        out.push_str("members\n");
        members.iter().for_each(|m| out.extend([m, "\n"]));
        out.push('\n');
    }
}

/// Two colons, and base64 in lines of 76 characters.
fn print_binary(name: &str, value: &str, out: &mut String) {
    let compact: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    let text = STANDARD.decode(&compact).map_or(compact, |bytes| STANDARD.encode(bytes));
    out.extend([name, ":: "]);
    // Base64 is ASCII: any cut is between characters.
    for (at, line) in text.as_bytes().chunks(BASE64_LINE).enumerate() {
        if at > 0 {
            out.push('\n');
        }
        out.push_str(&String::from_utf8_lossy(line));
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(list: &[(&str, &[&str])]) -> Attributes {
        let mut attrs = Attributes::new();
        list.iter().for_each(|(name, values)| attrs.set(name, values.iter().map(|v| (*v).into()).collect()));
        attrs
    }

    #[test]
    fn entries_look_like_zmprovs() {
        let attrs = attributes(&[
            ("zimbraMailQuota", &["5"]),
            ("userPassword", &["$argon2id$secret"]),
            ("zimbraMailAlias", &["b@c", "d@c"]),
            ("zimbraCalendarMaxRevisions", &["1"]),
            ("zimbraCOSId", &["x"]),
            ("zimbraNotes", &["two\nlines"]),
            ("userCertificate", &["AAAA"]),
        ]);
        let reply = Reply::entry(Entry::new("a@c", &attrs, &[]));
        let want = "# name a@c\nuserCertificate:: AAAA\nuserPassword: VALUE-BLOCKED\nzimbraCOSId: x\n\
                    zimbraCalendarMaxRevisions: 1\nzimbraMailAlias: b@c\nzimbraMailAlias: d@c\nzimbraMailQuota: 5\n\
                    zimbraNotes: two\nlines\n\n";
        assert_eq!(reply.print(), want);
        let only = Entry::new("a@c", &attrs, &["ZIMBRAMAILQUOTA", "zimbraMailAlias=d@c", "zimbraCOSId=y"]);
        let pair = |name: &str, value: &str| (name.to_string(), vec![value.to_string()]);
        assert_eq!(only.attributes, [pair("zimbraMailAlias", "d@c"), pair("zimbraMailQuota", "5")]);
        let config = Reply::entry(Entry::new("", &attributes(&[("zimbraMailQuota", &["5"])]), &[]));
        assert_eq!(config.print(), "zimbraMailQuota: 5\n");
    }

    #[test]
    fn lists_show_their_members() {
        let mut entry = Entry::new("l@c", &attributes(&[("cn", &["l"])]), &[]);
        entry.members = Some(vec!["a@c".into()]);
        let want = "# distributionList l@c memberCount=1\ncn: l\n\nmembers\na@c\n\n";
        assert_eq!(Reply::entry(entry).print(), want);
    }

    #[test]
    fn binary_values_are_broken_into_lines() {
        let mut out = String::new();
        print_binary("userCertificate", &"A".repeat(80), &mut out);
        assert_eq!(out, format!("userCertificate:: {}\nAAAA\n", "A".repeat(76)));
    }
}
