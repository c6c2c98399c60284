//! What rights there are: a table, and the inline rights `get.TARGET.ATTRIBUTE` and `set.TARGET.ATTRIBUTE`.

use std::sync::OnceLock;
use zcluster_api::directory::{Kinds, ObjectKind};
use zcluster_schema::{Definition, Flag};

const TABLE: &str = include_str!("rights.tsv");
/// Rights inside rights, at most: the table has three.
const DEPTH_MAX: usize = 8;

/// Zimbra's words for what rights are granted on.
const TARGETS: [(&str, ObjectKind); 13] = [
    ("account", ObjectKind::Account),
    ("calresource", ObjectKind::Resource),
    ("dl", ObjectKind::DistributionList),
    ("group", ObjectKind::DynamicGroup),
    ("domain", ObjectKind::Domain),
    ("cos", ObjectKind::Cos),
    ("server", ObjectKind::Server),
    ("alwaysoncluster", ObjectKind::AlwaysOnCluster),
    ("ucservice", ObjectKind::UcService),
    ("xmppcomponent", ObjectKind::XmppComponent),
    ("zimlet", ObjectKind::Zimlet),
    ("config", ObjectKind::Config),
    ("global", ObjectKind::GlobalGrant),
];

/// What a target type is.
pub fn target_kind(word: &str) -> Option<ObjectKind> {
    TARGETS.iter().find(|(w, _)| *w == word).map(|(_, kind)| *kind)
}

/// Zimbra's word for it; none for kinds on which nothing is granted.
pub fn target_word(kind: ObjectKind) -> Option<&'static str> {
    TARGETS.iter().find(|(_, k)| *k == kind).map(|(word, _)| *word)
}

/// Attributes that a right is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attrs {
    /// Every one.
    All,
    /// These.
    Some(Vec<&'static str>),
    /// Those flagged `domainAdminModifiable`, and these.
    DomainAdmin(Vec<&'static str>),
}

impl Attrs {
    /// Whether the attribute is one of them.
    pub fn has(&self, attr: &str) -> bool {
        let named = |list: &[&str]| list.iter().any(|a| a.eq_ignore_ascii_case(attr));
        match self {
            Attrs::All => true,
            Attrs::Some(list) => named(list),
            Attrs::DomainAdmin(list) => {
                // A quota takes a right of its own, bounded by zimbraDomainAdminMaxMailQuota.
                let flagged = |attr: &str| {
                    !attr.eq_ignore_ascii_case("zimbraMailQuota")
                        && zcluster_schema::find(attr).is_some_and(|d| d.has(Flag::DomainAdminModifiable))
                };
                named(list) || flagged(attr)
            }
        }
    }
}

/// What a right allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// What it says.
    Preset,
    /// To see attributes.
    Get(Attrs),
    /// To change attributes, and see them.
    Set(Attrs),
    /// What several rights allow.
    Combo(Vec<&'static str>),
}

/// A right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// Name.
    pub name: &'static str,
    /// Users have it and grant it; others are for administrators.
    pub user: bool,
    /// Whether it is allowed where nobody said anything.
    pub default: bool,
    /// What it is about; empty for combinations.
    pub targets: Kinds,
    /// What it allows.
    pub body: Body,
    /// In a few words.
    pub meaning: &'static str,
}

/// Every right of the table.
pub fn all() -> &'static [Right] {
    static ALL: OnceLock<Vec<Right>> = OnceLock::new();
    ALL.get_or_init(|| {
        // The file is part of the program: a test reads every line.
        let mut all: Vec<Right> = TABLE.lines().skip(1).filter_map(row).collect();
        all.sort_by_key(|r| r.name);
        all
    })
}

/// A right of the table.
pub fn find(name: &str) -> Option<&'static Right> {
    let all = all();
    all.binary_search_by_key(&name, |r| r.name).ok().map(|at| &all[at])
}

fn row(line: &'static str) -> Option<Right> {
    let columns: Vec<&'static str> = line.split('\t').collect();
    let [name, class, targets, of, default, meaning] = columns[..] else { return None };
    let list: Vec<&'static str> = of.split(',').filter(|w| !w.is_empty()).collect();
    let attrs = || match list.as_slice() {
        ["*"] => Attrs::All,
        ["@domainAdminModifiable", more @ ..] => Attrs::DomainAdmin(more.to_vec()),
        some => Attrs::Some(some.to_vec()),
    };
    let body = match class {
        "user" | "preset" => Body::Preset,
        "get" => Body::Get(attrs()),
        "set" => Body::Set(attrs()),
        "combo" => Body::Combo(list),
        _ => return None,
    };
    let kinds: Option<Vec<ObjectKind>> = targets.split(',').filter(|t| !t.is_empty()).map(target_kind).collect();
    Some(Right { name, user: class == "user", default: default == "allow", targets: Kinds::of(&kinds?), body, meaning })
}

/// An inline right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inline {
    /// To change it, not only to see it.
    pub set: bool,
    /// Of what.
    pub kind: ObjectKind,
    /// Which.
    pub attr: &'static str,
}

/// Reads `get.account.displayName`; none if it is no such right, or about an attribute that such entries do not have.
pub fn inline(name: &str) -> Option<Inline> {
    let mut parts = name.splitn(3, '.');
    let set = match parts.next()? {
        "get" => false,
        "set" => true,
        _ => return None,
    };
    let kind = target_kind(parts.next()?)?;
    let definition = zcluster_schema::find(parts.next()?)?;
    stands_on(definition, kind).then_some(Inline { set, kind, attr: definition.name })
}

/// Whether entries of this kind have the attribute.
pub fn stands_on(definition: &Definition, kind: ObjectKind) -> bool {
    crate::changes::place_of(kind).iter().any(|p| definition.stands_in(*p))
}

/// What somebody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want<'a> {
    /// A right by name.
    Preset(&'a str),
    /// To see an attribute.
    Get(&'a str),
    /// To change it.
    Set(&'a str),
}

/// Whether a granted right holds what is wanted on an entry of this kind.
pub fn covers(granted: &str, want: Want<'_>, kind: ObjectKind) -> bool {
    within(granted, want, kind, DEPTH_MAX)
}

fn within(granted: &str, want: Want<'_>, kind: ObjectKind, depth: usize) -> bool {
    let Some(right) = find(granted) else {
        // Inline rights end here too: their name has a dot.
        let Some(inline) = granted.contains('.').then(|| inline(granted)).flatten() else { return false };
        return inline.kind == kind
            && match want {
                Want::Get(attr) => inline.attr.eq_ignore_ascii_case(attr),
                Want::Set(attr) => inline.set && inline.attr.eq_ignore_ascii_case(attr),
                Want::Preset(_) => false,
            };
    };
    match (&right.body, want) {
        (Body::Preset, Want::Preset(name)) => right.name == name && right.targets.has(kind),
        (Body::Get(attrs) | Body::Set(attrs), Want::Get(attr)) => right.targets.has(kind) && attrs.has(attr),
        (Body::Set(attrs), Want::Set(attr)) => right.targets.has(kind) && attrs.has(attr),
        (Body::Combo(list), _) => depth > 0 && list.iter().any(|r| within(r, want, kind, depth - 1)),
        _ => false,
    }
}

/// The rights that a right is made of, in the end: itself unless it is a combination.
pub fn leaves(name: &str) -> Vec<String> {
    fn walk(name: &str, depth: usize, out: &mut Vec<String>) {
        match find(name).map(|r| &r.body) {
            Some(Body::Combo(list)) if depth > 0 => list.iter().for_each(|r| walk(r, depth - 1, out)),
            _ => out.push(name.to_string()),
        }
    }
    let mut out = Vec::new();
    walk(name, DEPTH_MAX, &mut out);
    out.sort();
    out.dedup();
    out
}

/// What kinds of entries a right is about, and whether it is for users; none: there is no such right.
pub fn scope(name: &str) -> Option<(Kinds, bool)> {
    if let Some(right) = find(name) {
        return Some(match &right.body {
            Body::Combo(_) => {
                let parts = leaves(name);
                let kinds = parts.iter().filter_map(|r| scope(r)).fold(Kinds::default(), |all, (k, _)| all.and(k));
                (kinds, false)
            }
            _ => (right.targets, right.user),
        });
    }
    inline(name).map(|i| (Kinds::of(&[i.kind]), false))
}

/// The wants that a leaf stands for on a kind of entry; empty if it is not about that kind.
pub fn wants(leaf: &str, kind: ObjectKind) -> Vec<Want<'static>> {
    let of = |set: bool, attr: &'static str| if set { Want::Set(attr) } else { Want::Get(attr) };
    if let Some(i) = inline(leaf) {
        return if i.kind == kind { vec![of(i.set, i.attr)] } else { Vec::new() };
    }
    let Some(right) = find(leaf).filter(|r| r.targets.has(kind)) else { return Vec::new() };
    let (set, attrs) = match &right.body {
        Body::Preset => return vec![Want::Preset(right.name)],
        Body::Get(attrs) => (false, attrs),
        Body::Set(attrs) => (true, attrs),
        Body::Combo(_) => return Vec::new(),
    };
    let all = zcluster_schema::all().filter(|d| stands_on(d, kind) && attrs.has(d.name));
    all.map(|d| of(set, d.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_right_and_names_what_there_is() {
        assert_eq!(all().len(), TABLE.lines().count() - 1);
        for right in all() {
            match &right.body {
                Body::Combo(list) => {
                    for part in list {
                        assert!(scope(part).is_some(), "{}: {part}", right.name);
                    }
                }
                Body::Get(Attrs::Some(list) | Attrs::DomainAdmin(list))
                | Body::Set(Attrs::Some(list) | Attrs::DomainAdmin(list)) => {
                    for attr in list {
                        assert!(zcluster_schema::find(attr).is_some(), "{}: {attr}", right.name);
                    }
                }
                _ => assert!(right.targets != Kinds::default(), "{}", right.name),
            }
        }
    }

    #[test]
    fn rights_cover_what_they_are_made_of() {
        use ObjectKind::{Account, Cos, DistributionList};
        for (granted, want, kind, yes) in [
            ("sendAs", Want::Preset("sendAs"), Account, true),
            ("domainAdminRights", Want::Preset("deleteAccount"), Account, true),
            ("domainAdminConsoleRights", Want::Preset("deleteAccount"), Account, true),
            ("domainAdminRights", Want::Preset("deleteCos"), Cos, false),
            ("domainAdminRights", Want::Set("displayName"), Account, true),
            ("domainAdminRights", Want::Set("zimbraMailQuota"), Account, false),
            ("domainAdminRights", Want::Get("zimbraMailQuota"), Account, true),
            ("modifyAccount", Want::Set("zimbraMailQuota"), Account, true),
            ("modifyAccount", Want::Get("zimbraMailQuota"), Account, true),
            ("getAccount", Want::Set("zimbraMailQuota"), Account, false),
            ("modifyAccount", Want::Set("displayName"), DistributionList, false),
            ("set.account.displayName", Want::Set("DISPLAYNAME"), Account, true),
            ("set.account.displayName", Want::Get("displayName"), Account, true),
            ("get.account.displayName", Want::Set("displayName"), Account, false),
            ("get.account.displayName", Want::Get("sn"), Account, false),
            ("get.account.noSuchThing", Want::Get("noSuchThing"), Account, false),
            ("odd", Want::Preset("odd"), Account, false),
        ] {
            assert_eq!(covers(granted, want, kind), yes, "{granted} {want:?}");
        }
        assert!(inline("get.cos.zimbraAccountStatus").is_none(), "a COS has no status of an account");
    }
}
