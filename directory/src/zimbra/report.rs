//! What an import did: mapped, left, and why.

use crate::wanted::{Done, Outcome, Wanted, kind_name};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use zcluster_api::directory::ObjectKind;

/// Names kept as examples of one reason.
const EXAMPLES: usize = 3;
/// Reasons told apart; what comes beyond is counted together.
const REASONS_MAX: usize = 5_000;
/// Characters of a reason.
const REASON_CHARS: usize = 200;

/// What became of the entries of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Were not there.
    pub created: u64,
    /// Were there with other values.
    pub changed: u64,
    /// Were there like this.
    pub same: u64,
    /// Are not as they shall be.
    pub left: u64,
}

/// Something that was left, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// Kind of entry, or attribute.
    pub what: String,
    /// Why.
    pub why: String,
    /// How often.
    pub count: u64,
    /// Of what, for example.
    pub examples: Vec<String>,
}

/// What an import did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// By kind of entry.
    pub entries: BTreeMap<String, Tally>,
    /// Entries that were left.
    pub entries_left: Vec<Noted>,
    /// Values that were left.
    pub attributes_left: Vec<Noted>,
    /// Parts of the tree that are there anyway.
    pub fixed: u64,
    /// Values that follow from others here, or that LDAP servers keep for themselves.
    pub derived: u64,
    #[serde(skip)]
    index: BTreeMap<(bool, String, String), usize>,
}

impl Report {
    /// Notes what became of a wish.
    pub fn note(&mut self, wanted: &Wanted, outcome: &Outcome) {
        // A second look at an entry that was counted already counts as what is looked for.
        let kind = match wanted.must_exist {
            false => kind_name(wanted.kind),
            true if wanted.attrs.contains_key("zimbraMailForwardingAddress") => "with outside members".to_string(),
            true => "with rights or groups".to_string(),
        };
        let tally = self.entries.entry(kind.clone()).or_default();
        match outcome.done {
            Done::Created => tally.created += 1,
            Done::Changed => tally.changed += 1,
            Done::Same => tally.same += 1,
            Done::Left => {
                tally.left += 1;
                let why = outcome.why.as_deref().unwrap_or("refused");
                // The name stands among the examples.
                let why = why.replace(wanted.name.as_str(), "...");
                self.add(false, &kind, &why, &wanted.name);
            }
        }
        for (attr, why) in &outcome.attrs_left {
            self.attribute_left(attr, why, &wanted.name);
        }
    }

    /// Whether nothing was written.
    pub fn is_unchanged(&self) -> bool {
        self.entries.values().all(|t| t.created == 0 && t.changed == 0)
    }

    pub(super) fn left(&mut self, what: &str, why: &str, example: &str) {
        self.add(false, what, why, example);
    }

    /// A record that cannot be read.
    pub fn unreadable(&mut self, why: &str) {
        let (line, why) = why.split_once(": ").unwrap_or(("", why));
        self.add(false, "record", why, line);
    }

    pub(super) fn entry_left(&mut self, kind: ObjectKind, why: &str, example: &str) {
        self.entries.entry(kind_name(kind)).or_default().left += 1;
        self.add(false, &kind_name(kind), why, example);
    }

    pub(super) fn attribute_left(&mut self, attr: &str, why: &str, example: &str) {
        self.add(true, attr, why, example);
    }

    fn add(&mut self, attribute: bool, what: &str, why: &str, example: &str) {
        let list = if attribute { &mut self.attributes_left } else { &mut self.entries_left };
        let why: String = why.chars().take(REASON_CHARS).collect();
        let mut key = (attribute, what.to_string(), why);
        if self.index.len() >= REASONS_MAX && !self.index.contains_key(&key) {
            key = (attribute, "others".into(), "more reasons than are told apart".into());
        }
        let at = *self.index.entry(key.clone()).or_insert_with(|| {
            list.push(Noted { what: key.1, why: key.2, count: 0, examples: Vec::new() });
            list.len() - 1
        });
        let noted = &mut list[at];
        noted.count += 1;
        if noted.examples.len() < EXAMPLES && !noted.examples.iter().any(|e| e == example) {
            noted.examples.push(example.to_string());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<20} {:>10} {:>10} {:>10} {:>10}", "entries", "created", "changed", "same", "left")?;
        for (kind, t) in &self.entries {
            writeln!(f, "{kind:<20} {:>10} {:>10} {:>10} {:>10}", t.created, t.changed, t.same, t.left)?;
        }
        writeln!(f, "{} entries are parts of the tree that are there anyway.", self.fixed)?;
        writeln!(f, "{} values follow from others here, or are an LDAP server's own.", self.derived)?;
        for (title, list) in [("Entries left", &self.entries_left), ("Values left out", &self.attributes_left)] {
            if list.is_empty() {
                continue;
            }
            writeln!(f, "\n{title}:")?;
            let mut sorted: Vec<&Noted> = list.iter().collect();
            sorted.sort_by(|a, b| b.count.cmp(&a.count).then(a.what.cmp(&b.what)));
            for noted in sorted {
                let mut examples = String::new();
                write!(examples, "{}", noted.examples.join(", "))?;
                writeln!(f, "{:>8}  {}: {} ({examples})", noted.count, noted.what, noted.why)?;
            }
        }
        Ok(())
    }
}
