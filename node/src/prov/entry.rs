//! What commands answer, and how it is printed.

use serde::{Deserialize, Serialize};
use std::fmt::Write;
use zcluster_api::directory::Attributes;

/// Values that are never shown.
const SECRET: [&str; 5] =
    ["userpassword", "dkimkey", "zclusterdkimnextkey", "zclustersrssecret", "zclusteracmeexternalaccount"];
/// What is shown instead, as zmprov does.
const BLOCKED: &str = "VALUE-BLOCKED";

/// The answer to a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// In order.
    pub items: Vec<Item>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name; empty for the global settings.
    pub name: String,
    /// Attributes and values, sorted by name.
    pub attributes: Vec<(String, Vec<String>)>,
}

impl Entry {
    /// From attributes; `only` (when not empty) names those to show.
    pub fn new(name: &str, attrs: &Attributes, inherited: Option<&Attributes>, only: &[&str]) -> Entry {
        let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o.eq_ignore_ascii_case(name));
        let own = attrs.iter();
        let rest = inherited.into_iter().flat_map(Attributes::iter).filter(|a| !attrs.has(&a.name));
        let mut attributes: Vec<_> =
            own.chain(rest).filter(|a| wanted(&a.name)).map(|a| (a.name.clone(), shown(&a.name, &a.values))).collect();
        attributes.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        Entry { name: name.to_string(), attributes }
    }
}

fn shown(name: &str, values: &[String]) -> Vec<String> {
    if SECRET.contains(&name.to_ascii_lowercase().as_str()) { vec![BLOCKED.into()] } else { values.to_vec() }
}

impl Reply {
    /// One line.
    pub fn text(line: impl Into<String>) -> Reply {
        Reply { items: vec![Item::Text(line.into())] }
    }
    /// One thing.
    pub fn entry(entry: Entry) -> Reply {
        Reply { items: vec![Item::Entry(entry)] }
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
    if !entry.name.is_empty() {
        let _ = writeln!(out, "# name {}", entry.name);
    }
    for (name, values) in &entry.attributes {
        for value in values {
            let _ = writeln!(out, "{name}: {value}");
        }
    }
    if !entry.name.is_empty() {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_look_like_zmprovs() {
        let mut attrs = Attributes::new();
        attrs.set("zimbraMailQuota", vec!["5".into()]);
        attrs.set("userPassword", vec!["$argon2id$secret".into()]);
        attrs.set("zimbraMailAlias", vec!["b@c".into(), "d@c".into()]);
        let mut cos = Attributes::new();
        cos.set("zimbraMailQuota", vec!["9".into()]);
        cos.set("zimbraPrefLocale", vec!["en".into()]);
        let reply = Reply::entry(Entry::new("a@c", &attrs, Some(&cos), &[]));
        let want = "# name a@c\nuserPassword: VALUE-BLOCKED\nzimbraMailAlias: b@c\nzimbraMailAlias: d@c\n\
                    zimbraMailQuota: 5\nzimbraPrefLocale: en\n\n";
        assert_eq!(reply.print(), want);
        let only = Entry::new("a@c", &attrs, Some(&cos), &["ZIMBRAMAILQUOTA"]);
        assert_eq!(only.attributes, [("zimbraMailQuota".to_string(), vec!["5".to_string()])]);
    }
}
