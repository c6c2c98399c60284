//! The dump of a Zimbra site's LDAP (`slapcat`, `zmslapcat`), entry by entry, as wishes.
//!
//! The file is read once for each [`Stage`]: what others refer to comes first, and no more than a batch is held in
//! memory, however large the site is.
//!
//! | in the dump | here |
//! |---|---|
//! | `cn=config`, COS, domains, servers, zimlets, ... | entries of the same kind, name and `zimbraId` |
//! | people, resources, lists, dynamic groups | the same, with their aliases |
//! | alias entries | addresses of their targets |
//! | static units of dynamic groups | `zimbraMailForwardingAddress` of the group |
//! | identities, signatures, data sources | the same, below their account |
//! | `zimbraACE`, `zimbraMemberOf` | set at the end, when all that they name are there |

mod attributes;
mod report;

pub use report::{Noted, Report, Tally};

use crate::dn::Dn;
use crate::ldif::{Line, Record, What};
use crate::shown;
use crate::tree::{self, Place};
use crate::wanted::Wanted;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::AccountId;
use zcluster_api::directory::ObjectKind;

/// When an entry is brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Global config and classes of service.
    Config,
    /// Domains: their default COS is there.
    Domains,
    /// Domains that stand for another: that is there.
    AliasDomains,
    /// Servers, zimlets and whatever else has no owner and no address.
    Others,
    /// Accounts and resources.
    Accounts,
    /// Lists and groups.
    Lists,
    /// Aliases that are entries of their own, and units of groups.
    Aliases,
    /// What belongs to others.
    Children,
    /// Rights and memberships, when everybody is there to whom they refer.
    Grants,
}

impl Stage {
    /// In order.
    pub const ALL: [Stage; 9] = [
        Stage::Config,
        Stage::Domains,
        Stage::AliasDomains,
        Stage::Others,
        Stage::Accounts,
        Stage::Lists,
        Stage::Aliases,
        Stage::Children,
        Stage::Grants,
    ];

    /// What progress calls it.
    pub fn title(self) -> &'static str {
        match self {
            Stage::Config => "config and COS",
            Stage::Domains => "domains",
            Stage::AliasDomains => "alias domains",
            Stage::Others => "servers, zimlets and others",
            Stage::Accounts => "accounts",
            Stage::Lists => "lists and groups",
            Stage::Aliases => "aliases",
            Stage::Children => "identities, signatures and data sources",
            Stage::Grants => "rights and memberships",
        }
    }

    fn of(kind: ObjectKind, lines: &[Line]) -> Stage {
        match kind {
            ObjectKind::Domain if is_alias_domain(lines) => Stage::AliasDomains,
            ObjectKind::Config | ObjectKind::Cos => Stage::Config,
            ObjectKind::Domain => Stage::Domains,
            ObjectKind::Account | ObjectKind::Resource => Stage::Accounts,
            ObjectKind::DistributionList | ObjectKind::DynamicGroup => Stage::Lists,
            ObjectKind::Alias => Stage::Aliases,
            kind if kind.has_parent() => Stage::Children,
            _ => Stage::Others,
        }
    }
}

/// What is set at the end: it names other entries by their ids.
const LAST: [&str; 2] = ["zimbraACE", "zimbraMemberOf"];

/// What a record of the dump is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meant {
    /// An entry of this kind.
    Entry(ObjectKind, Place),
    /// Members from outside of a dynamic group.
    Unit(String),
    /// A part of the tree that is there anyway.
    Fixed,
    /// Nothing for this directory.
    Left(&'static str),
}

/// Reads records of a dump.
#[derive(Debug, Default)]
pub struct Dump {
    /// Accounts' mail goes on to the old servers.
    pub keep_transport: bool,
    /// Classes of service of the dump, by `zimbraId`.
    cos: BTreeSet<String>,
    /// `zimbraId` in the dump -> here, where they differ.
    ids: BTreeMap<String, String>,
    /// Records of each stage.
    counts: BTreeMap<Stage, u64>,
    /// What was mapped, what was left and why.
    pub report: Report,
}

impl Dump {
    /// A dump of which nothing is known yet.
    pub fn new(keep_transport: bool) -> Dump {
        Dump { keep_transport, ..Dump::default() }
    }

    /// Looks at a record before all stages.
    pub fn survey(&mut self, record: &Record) {
        let lines = match &record.what {
            What::Content(lines) | What::Add(lines) => lines,
            _ => return self.report.left("record", "a change, not an entry", &record.dn),
        };
        match meant(&record.dn, lines) {
            Meant::Fixed => self.report.fixed += 1,
            Meant::Left(why) => self.report.left("record", why, &record.dn),
            Meant::Unit(_) => *self.counts.entry(Stage::Aliases).or_default() += 1,
            Meant::Entry(kind, _) => {
                *self.counts.entry(Stage::of(kind, lines)).or_default() += 1;
                if kind == ObjectKind::Cos {
                    self.cos.extend(first(lines, "zimbraId"));
                }
                if LAST.iter().any(|name| all(lines, name).next().is_some()) {
                    *self.counts.entry(Stage::Grants).or_default() += 1;
                }
            }
        }
    }

    /// Records that a stage will have.
    pub fn count(&self, stage: Stage) -> u64 {
        self.counts.get(&stage).copied().unwrap_or(0)
    }

    /// The wish that a record is, if it belongs to this stage. What is left out of it is noted in the report.
    pub fn wish(&mut self, stage: Stage, record: &Record) -> Option<Wanted> {
        let (What::Content(lines) | What::Add(lines)) = &record.what else { return None };
        match meant(&record.dn, lines) {
            Meant::Unit(group) if stage == Stage::Aliases => self.unit(group, lines),
            Meant::Entry(kind, place) if stage == Stage::Grants => self.grants(kind, &place, lines),
            Meant::Entry(kind, place) if stage == Stage::of(kind, lines) => self.entry(kind, &place, lines, &record.dn),
            _ => None,
        }
    }

    /// An entry has another `zimbraId` here: what refers to it is told so.
    pub fn is_called(&mut self, wanted: &Wanted, id: &str) {
        if let Some(old) = &wanted.id
            && old != id
        {
            self.ids.insert(old.clone(), id.to_string());
        }
    }

    fn entry(&mut self, kind: ObjectKind, place: &Place, lines: &[Line], dn: &str) -> Option<Wanted> {
        let mut wanted = self.named(kind, place, lines)?;
        if kind == ObjectKind::Alias {
            let Some(target) = first(lines, "zimbraAliasTargetId") else {
                self.report.entry_left(kind, "an alias without a target", dn);
                return None;
            };
            wanted.attrs.insert("zimbraAliasTargetId".into(), vec![self.renumbered(target)]);
            return Some(wanted);
        }
        wanted.created = first(lines, "zimbraCreateTimestamp");
        if kind.has_address() {
            let aliases = all(lines, "zimbraMailAlias").map(|a| a.to_lowercase());
            wanted.aliases = aliases.filter(|a| *a != wanted.name).collect();
        }
        for (description, value) in lines {
            self.attribute(kind, &mut wanted, lines, description, value);
        }
        Some(wanted)
    }

    /// A wish with name and id alone.
    fn named(&mut self, kind: ObjectKind, place: &Place, lines: &[Line]) -> Option<Wanted> {
        let (name, owner) = shown::name_at(place)?;
        let mut wanted = Wanted { owner, ..Wanted::new(kind, name) };
        let of_its_own = match kind {
            ObjectKind::DataSource => "zimbraDataSourceId",
            ObjectKind::Identity => "zimbraPrefIdentityId",
            ObjectKind::Signature => "zimbraSignatureId",
            _ => "zimbraId",
        };
        let without = matches!(kind, ObjectKind::Alias | ObjectKind::Config);
        let id = first(lines, of_its_own).or_else(|| first(lines, "zimbraId")).filter(|_| !without);
        if let Some(text) = id {
            let usable = match text.parse::<AccountId>() {
                Ok(id) => id.to_string(),
                // Zimbra's fixed ids are not all UUIDs.
                Err(()) => substitute(&text).to_string(),
            };
            if usable != text {
                self.ids.insert(text, usable.clone());
            }
            wanted.id = Some(usable);
        }
        Some(wanted)
    }

    fn unit(&mut self, group: String, lines: &[Line]) -> Option<Wanted> {
        let members: Vec<String> = all(lines, "zimbraMailForwardingAddress").collect();
        if members.is_empty() {
            self.report.fixed += 1;
            return None;
        }
        let mut wanted = Wanted { must_exist: true, ..Wanted::new(ObjectKind::DynamicGroup, group) };
        wanted.attrs.insert("zimbraMailForwardingAddress".into(), members);
        Some(wanted)
    }

    fn grants(&mut self, kind: ObjectKind, place: &Place, lines: &[Line]) -> Option<Wanted> {
        if kind == ObjectKind::Alias || LAST.iter().all(|name| all(lines, name).next().is_none()) {
            return None;
        }
        let mut wanted = Wanted { must_exist: true, ..self.named(kind, place, lines)? };
        for name in LAST {
            let values: Vec<String> = all(lines, name).map(|value| self.renumbered(value)).collect();
            if !values.is_empty() {
                wanted.attrs.insert(name.into(), values);
            }
        }
        Some(wanted)
    }

    /// The value with ids of the dump replaced by those that the entries have here.
    fn renumbered(&self, value: String) -> String {
        if self.ids.is_empty() || value.len() < 36 || value.len() > 4_096 {
            return value;
        }
        let mut out = String::with_capacity(value.len());
        let mut rest = value.as_str();
        while !rest.is_empty() {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            out.push_str(self.ids.get(word).map_or(word, String::as_str));
            let next = behind.chars().next().map_or(0, char::len_utf8);
            out.push_str(&behind[..next]);
            rest = &behind[next..];
        }
        out
    }
}

fn all<'a>(lines: &'a [Line], name: &'a str) -> impl Iterator<Item = String> + 'a {
    let here = lines.iter().filter(move |(attr, _)| attr.eq_ignore_ascii_case(name));
    here.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn is_alias_domain(lines: &[Line]) -> bool {
    all(lines, "zimbraDomainType").any(|t| t.eq_ignore_ascii_case("alias"))
}

fn first(lines: &[Line], name: &str) -> Option<String> {
    all(lines, name).next()
}

/// An id for an entry whose own is no UUID: the same at each import (FNV-1a, 128 bits).
fn substitute(text: &str) -> AccountId {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let mut bytes = hash.to_be_bytes();
    bytes[6] = (bytes[6] & 0x0F) | 0x80;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    AccountId(bytes)
}

fn meant(dn: &str, lines: &[Line]) -> Meant {
    let Ok(dn) = Dn::parse(dn) else { return Meant::Left("its DN cannot be read") };
    let classes: Vec<String> = all(lines, "objectClass").collect();
    let has = |name: &str| classes.iter().any(|c| c.eq_ignore_ascii_case(name));
    if has("zimbraGroupStaticUnit") || has("zimbraGroupDynamicUnit") {
        return match dn.parent().as_ref().and_then(tree::place) {
            Some(Place::Group(group)) => Meant::Unit(group),
            _ => Meant::Left("a unit of no group"),
        };
    }
    let below_admins = dn.parent().is_some_and(|p| p.0.first().and_then(|r| r.single()) == Some(("cn", "admins")));
    if below_admins {
        return Meant::Left(
            "an account of Zimbra's LDAP servers alone (zimbra, zmpostfix, zmreplica, ...): none is needed here",
        );
    }
    let Some(place) = tree::place(&dn) else { return Meant::Left("Zimbra's tree has no such place") };
    match shown::kind_at(&place, &classes) {
        Some(kind) => Meant::Entry(kind, place),
        None => match place {
            Place::Person(_) => Meant::Left("its object classes do not tell what it is"),
            _ => Meant::Fixed,
        },
    }
}
