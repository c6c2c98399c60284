//! Reading the tables, and finding attributes in them.

use crate::definition::{Constraint, Definition, Flag, Kind, Place};
use regex::Regex;
use std::sync::OnceLock;

const ZIMBRA: &str = include_str!("../attributes.tsv");
const OWN: &str = include_str!("../own.tsv");
const COLUMNS: usize = 17;
/// Attributes of an extension file at most.
const EXTENSION_MAX: usize = 10_000;

/// Zimbra has these on accounts only; here a COS may have them for all its accounts.
const INHERITED_TOO: [&str; 1] = ["zimbraArchiveAccount"];

static BUILT_IN: OnceLock<Vec<Definition>> = OnceLock::new();
static EXTENSION: OnceLock<Vec<Definition>> = OnceLock::new();

fn built_in() -> &'static [Definition] {
    BUILT_IN.get_or_init(|| {
        // Both files are part of the program: the tests read every line of them.
        let lines = |text: &'static str| text.lines().skip(1).filter_map(|line| parse(line).ok());
        sorted(lines(ZIMBRA).chain(lines(OWN)).collect())
    })
}

fn sorted(mut all: Vec<Definition>) -> Vec<Definition> {
    all.sort_by(|a, b| compare(a.name, b.name));
    all
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    a.bytes().map(|b| b.to_ascii_lowercase()).cmp(b.bytes().map(|b| b.to_ascii_lowercase()))
}

/// Where names are in a list: every entry looked at by LDAP asks for some, so that a search by halves would be felt.
struct Places {
    /// Places in the list, raised by one; 0: free. A power of two of them, at most half of them taken.
    slots: Vec<u16>,
}

impl Places {
    fn of(list: &[Definition]) -> Places {
        let mut places = Places { slots: vec![0; (2 * list.len()).next_power_of_two().max(2)] };
        for (at, definition) in list.iter().enumerate() {
            let mut slot = places.first(definition.name);
            while places.slots[slot] != 0 {
                slot = (slot + 1) & (places.slots.len() - 1);
            }
            // Neither list has so many entries that this could be another one.
            places.slots[slot] = u16::try_from(at + 1).unwrap_or(0);
        }
        places
    }

    /// Where to begin: FNV-1a over the name in lower case.
    fn first(&self, name: &str) -> usize {
        let step = |hash: u64, b: u8| (hash ^ u64::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        (hash ^ hash >> 32) as usize & (self.slots.len() - 1)
    }

    fn find(&self, list: &'static [Definition], name: &str) -> Option<&'static Definition> {
        let mut slot = self.first(name);
        loop {
            let found = list.get(usize::from(*self.slots.get(slot)?).checked_sub(1)?)?;
            if found.name.eq_ignore_ascii_case(name) {
                return Some(found);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// The attribute, by its name in any case.
pub fn find(name: &str) -> Option<&'static Definition> {
    static PLACES: OnceLock<Places> = OnceLock::new();
    static EXTENSION_PLACES: OnceLock<Places> = OnceLock::new();
    let built_in = built_in();
    if let Some(found) = PLACES.get_or_init(|| Places::of(built_in)).find(built_in, name) {
        return Some(found);
    }
    let extension = EXTENSION.get()?;
    EXTENSION_PLACES.get_or_init(|| Places::of(extension)).find(extension, name)
}

/// Every attribute, the built-in ones by name, then those of the extension.
pub fn all() -> impl Iterator<Item = &'static Definition> {
    built_in().iter().chain(EXTENSION.get().map(Vec::as_slice).unwrap_or_default())
}

/// Adds a site's own attributes: the text of an extension file, in the form of the built-in tables: a line of column
/// names, then a line each, columns separated by tabs, trailing ones left out if empty; lines that begin with `#` are
/// passed over. To be called once, before anything is looked up that it defines.
///
/// # Errors
/// Line number and reason; nothing is added then. A second call fails.
pub fn extend(text: &str) -> Result<usize, String> {
    // It stays for the life of the process, as the built-in tables do.
    let text: &'static str = Box::leak(text.to_string().into_boxed_str());
    let mut list = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let definition = parse(line).map_err(|e| format!("line {}: {e}", number + 1))?;
        if built_in().binary_search_by(|d| compare(d.name, definition.name)).is_ok() {
            return Err(format!("line {}: {} is known already", number + 1, definition.name));
        }
        list.push(definition);
        if list.len() > EXTENSION_MAX {
            return Err(format!("more than {EXTENSION_MAX} attributes"));
        }
    }
    let list = sorted(list);
    if let Some(twice) = list.windows(2).find(|w| w[0].name.eq_ignore_ascii_case(w[1].name)) {
        return Err(format!("{} is defined twice", twice[0].name));
    }
    let count = list.len();
    EXTENSION.set(list).map(|()| count).map_err(|_| "an extension was read already".to_string())
}

fn parse(line: &'static str) -> Result<Definition, String> {
    let mut columns: Vec<&'static str> = line.split('\t').collect();
    if columns.len() > COLUMNS {
        return Err(format!("{} columns", columns.len()));
    }
    columns.resize(COLUMNS, "");
    let [name, id, kind, cardinality, flags, required, optional, constraints, global, cos, meaning, external] =
        columns[..12]
    else {
        return Err("columns".into());
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.bytes().all(plain) || name.len() > 128 {
        return Err(format!("attribute name {name:?}"));
    }
    let number = match id {
        "" => None,
        id => Some(id.parse().map_err(|_| format!("id {id:?}"))?),
    };
    let single = match cardinality {
        "single" => true,
        "multi" | "" => false,
        other => return Err(format!("cardinality {other:?}")),
    };
    let words = |text: &'static str| text.split(',').map(str::trim).filter(|w| !w.is_empty());
    let mut flag_bits = 0;
    for word in words(flags) {
        flag_bits |= 1 << Flag::parse(word).ok_or_else(|| format!("flag {word:?}"))? as u32;
    }
    let mut places = 0;
    for word in words(required).chain(words(optional)) {
        places |= 1 << Place::parse(word).ok_or_else(|| format!("entry kind {word:?}"))? as u32;
    }
    if INHERITED_TOO.contains(&name) {
        flag_bits |= 1 << Flag::AccountInherited as u32;
        places |= 1 << Place::Cos as u32;
    }
    Ok(Definition {
        name,
        number,
        kind: Kind::parse(kind).ok_or_else(|| format!("type {kind:?}"))?,
        single,
        immutable: columns[12] == "1",
        constraint: constraint(constraints)?,
        global_default: defaults(global)?,
        cos_default: defaults(cos)?,
        external_cos_default: if external.is_empty() { None } else { Some(defaults(external)?) },
        meaning,
        core: columns[16] == "1",
        flags: flag_bits,
        places,
    })
}

/// A `;` list; a pattern is the rest, since it may hold anything, but for a `;max=` at its end.
fn constraint(text: &'static str) -> Result<Constraint, String> {
    let mut out = Constraint::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, behind) = match rest.strip_prefix("regex=") {
            Some(pattern) => {
                let end = pattern.rfind(";max=").unwrap_or(pattern.len());
                (&rest[..6 + end], pattern[end..].trim_start_matches(';'))
            }
            None => rest.split_once(';').unwrap_or((rest, "")),
        };
        rest = behind;
        let (key, value) = part.split_once('=').ok_or_else(|| format!("constraint {part:?}"))?;
        let number = || value.parse().map(Some).map_err(|_| format!("constraint {part:?}"));
        match key {
            "enum" => out.one_of = value.split(',').collect(),
            "min" => out.min = number()?,
            "max" => out.max = number()?,
            "regex" => {
                let whole = format!("^(?:{})$", value.trim_start_matches('^').trim_end_matches('$'));
                out.pattern = Some(Regex::new(&whole).map_err(|e| format!("pattern: {e}"))?);
            }
            _ => return Err(format!("constraint {part:?}")),
        }
    }
    Ok(out)
}

/// Plain text, or a JSON array of texts; `""` is one empty value, nothing is no default.
fn defaults(text: &str) -> Result<Vec<String>, String> {
    match text {
        "" | "\"\"" => Ok(Vec::new()),
        list if list.starts_with("[\"") => array(list),
        one => Ok(vec![one.to_string()]),
    }
}

/// A JSON array of strings.
fn array(text: &str) -> Result<Vec<String>, String> {
    let bad = || format!("list of defaults {text:?}");
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or_else(bad)?;
    let mut out = Vec::new();
    let mut chars = inner.chars();
    loop {
        match chars.by_ref().find(|c| !c.is_whitespace() && *c != ',') {
            None => return Ok(out),
            Some('"') => {}
            Some(_) => return Err(bad()),
        }
        let mut value = String::new();
        loop {
            match chars.next().ok_or_else(bad)? {
                '"' => break,
                '\\' => value.push(match chars.next().ok_or_else(bad)? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'u' => {
                        let hex: String = chars.by_ref().take(4).collect();
                        u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).ok_or_else(bad)?
                    }
                    plain => plain,
                }),
                plain => value.push(plain),
            }
        }
        out.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_understood() {
        let mut count = 0;
        for line in ZIMBRA.lines().skip(1).chain(OWN.lines().skip(1)) {
            parse(line).unwrap_or_else(|e| panic!("{e} in {line}"));
            count += 1;
        }
        assert_eq!(all().count(), count);
        assert!(count > 1_940, "{count}");
        let names: Vec<String> = all().map(|d| d.name.to_ascii_lowercase()).collect();
        assert!(names.windows(2).all(|w| w[0] < w[1]), "sorted, none twice");
        assert_eq!(all().filter(|d| d.core).count(), 305);
    }

    #[test]
    fn every_name_is_found_in_any_case_and_no_other() {
        for definition in all() {
            for name in [definition.name.to_ascii_lowercase(), definition.name.to_ascii_uppercase()] {
                assert!(find(&name).is_some_and(|found| std::ptr::eq(found, definition)), "{name}");
            }
            for name in [format!("{}x", definition.name), definition.name[1..].to_string()] {
                let halves = built_in().binary_search_by(|d| compare(d.name, &name)).ok();
                assert_eq!(find(&name).map(|d| d.name), halves.map(|at| built_in()[at].name), "{name}");
            }
        }
        assert!(find("").is_none() && find("ä").is_none());
        assert!(Places::of(&[]).find(&[], "cn").is_none());
    }

    #[test]
    fn facts_of_some() {
        let quota = find("ZIMBRAMAILQUOTA").unwrap();
        assert_eq!((quota.name, quota.kind, quota.single), ("zimbraMailQuota", Kind::Long, true));
        assert!(quota.has(Flag::AccountInherited) && quota.stands_in(Place::Cos) && !quota.stands_in(Place::Domain));
        let catch_all = find("zimbraMailCatchAllAddress").unwrap();
        assert!(catch_all.constraint.pattern.as_ref().unwrap().is_match("@example.com") && !catch_all.single);
        let blocked = find("zimbraMtaCommonBlockedExtension").unwrap();
        assert!(blocked.global_default.len() > 20 && blocked.global_default.contains(&"exe".to_string()));
        assert!(find("zimbraNoSuchThing").is_none());
        assert_eq!(find("zimbraId").unwrap().number, Some(1));
    }

    #[test]
    fn bad_lines_are_named() {
        for (line, reason) in [
            ("no good\t\tstring", "attribute name"),
            ("a\tx\tstring", "id"),
            ("a\t\tmagic", "type"),
            ("a\t\tstring\tfew", "cardinality"),
            ("a\t\tstring\tsingle\tpretty", "flag"),
            ("a\t\tstring\tsingle\t\tnowhere", "entry kind"),
            ("a\t\tstring\tsingle\t\t\t\tmax=x", "constraint"),
            ("a\t\tstring\tsingle\t\t\t\t\t[\"x", "list of defaults"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.starts_with(reason), "{line:?}: {error}");
        }
    }
}
