//! Entries as LDIF shows them, and what LDIF says as wishes.

use crate::dn::Dn;
use crate::ldif::Line;
use crate::tree::{self, Place};
use crate::wanted::{Owner, Wanted, kind_text};
use crate::{Directory, Failure, filter_text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zcluster_api::directory::{Attributes, Filter, Kinds, Object, ObjectBy, ObjectKind, Search};
use zcluster_api::{AccountId, Actor};
use zcluster_schema::Kind;

/// Entries of one page of a listing.
const PAGE: u32 = 250;
/// What LDAP servers keep by themselves (RFC 4512 §3.4, RFC 4530, slapcat).
const OPERATIONAL: [&str; 13] = [
    "structuralobjectclass",
    "entryuuid",
    "entrycsn",
    "entrydn",
    "creatorsname",
    "createtimestamp",
    "modifiersname",
    "modifytimestamp",
    "contextcsn",
    "subschemasubentry",
    "hassubordinates",
    "numsubordinates",
    "pwdchangedtime",
];

/// Whether an LDAP server keeps it by itself.
pub fn is_operational(attr: &str) -> bool {
    OPERATIONAL.iter().any(|o| o.eq_ignore_ascii_case(attr))
}

/// Whether it follows from an entry's kind, name or id, so that it is not set by itself.
pub fn is_derived(kind: ObjectKind, attr: &str) -> bool {
    let is = |name: &str| attr.eq_ignore_ascii_case(name);
    let by_name = match kind {
        ObjectKind::Domain => is("dc") || is("o"),
        ObjectKind::DynamicGroup => is("cn"),
        kind if kind.has_address() || kind == ObjectKind::Alias => is("uid"),
        kind => is(tree::naming(kind)) || is("ou") && kind == ObjectKind::HabGroup,
    };
    by_name || zcluster_schema::KEPT.iter().any(|k| is(k)) && !is("zimbraMemberOf")
}

/// An attribute's name without options, and a value in the form that the directory keeps.
///
/// # Errors
/// The value is not UTF-8.
pub fn text_of(description: &str, value: &[u8]) -> Result<(String, String), String> {
    let name = description.split(';').next().unwrap_or_default().to_string();
    let binary = zcluster_schema::find(&name).is_some_and(|d| matches!(d.kind, Kind::Binary | Kind::Certificate));
    if binary {
        return Ok((name, STANDARD.encode(value)));
    }
    match std::str::from_utf8(value) {
        Ok(text) => Ok((name, text.to_string())),
        Err(_) => Err("the value is not UTF-8".into()),
    }
}

/// The kind of entry at a place, by its object classes where the place leaves a choice; nothing for fixed entries.
pub fn kind_at(place: &Place, classes: &[String]) -> Option<ObjectKind> {
    let has = |name: &str| classes.iter().any(|c| c.eq_ignore_ascii_case(name));
    Some(match place {
        Place::Named(kind, _) | Place::Child { kind, .. } => *kind,
        Place::Dc(_) if has("zimbraDomain") => ObjectKind::Domain,
        Place::Group(_) => ObjectKind::DynamicGroup,
        Place::Person(_) if has("zimbraCalendarResource") => ObjectKind::Resource,
        Place::Person(_) if has("zimbraAccount") => ObjectKind::Account,
        Place::Person(_) if has("zimbraDistributionList") => ObjectKind::DistributionList,
        Place::Person(_) if has("zimbraAlias") => ObjectKind::Alias,
        _ => return None,
    })
}

/// The name of an entry at a place, and what it belongs to.
pub fn name_at(place: &Place) -> Option<(String, Option<Owner>)> {
    Some(match place {
        Place::Named(_, name) | Place::Dc(name) | Place::Person(name) | Place::Group(name) => (name.clone(), None),
        Place::Child { owner, name, .. } => (name.clone(), Some(owner_at(owner)?)),
        _ => return None,
    })
}

fn owner_at(place: &Place) -> Option<Owner> {
    Some(match place {
        Place::Dc(name) => Owner::Domain(name.clone()),
        Place::Person(name) | Place::Group(name) => Owner::Address(name.clone()),
        Place::Child { owner, kind, name } => {
            Owner::Child { owner: Box::new(owner_at(owner)?), kind: *kind, name: name.clone() }
        }
        _ => return None,
    })
}

/// An entry of a file as a wish; nothing for fixed entries and for what stands between domains.
///
/// # Errors
/// There can be no such entry.
pub fn wanted(dn: &str, lines: &[Line]) -> Result<Option<Wanted>, String> {
    let place = Dn::parse(dn).map_err(|e| e.to_string())?;
    let place = tree::place(&place).ok_or("no entry of this directory can have this name")?;
    let of = |name: &str| {
        let here = lines.iter().filter(|(attr, _)| attr.eq_ignore_ascii_case(name));
        here.map(|(_, v)| String::from_utf8_lossy(v).into_owned()).collect::<Vec<String>>()
    };
    let Some(kind) = kind_at(&place, &of("objectClass")) else {
        return match place {
            Place::Person(_) => Err("its object classes do not tell what it is".into()),
            _ => Ok(None),
        };
    };
    let (name, owner) = name_at(&place).ok_or("it has no name")?;
    let mut wanted = Wanted { owner, ..Wanted::new(kind, name) };
    wanted.id = of("zimbraId").into_iter().next();
    wanted.created = of("zimbraCreateTimestamp").into_iter().next();
    if kind.has_address() {
        wanted.aliases = of("zimbraMailAlias").into_iter().filter(|a| !a.eq_ignore_ascii_case(&wanted.name)).collect();
    }
    for (description, value) in lines {
        let (attr, text) = text_of(description, value).map_err(|e| format!("{description}: {e}"))?;
        if !is_derived(kind, &attr) && !is_operational(&attr) {
            let attr = zcluster_schema::find(&attr).map_or(attr, |d| d.name.to_string());
            wanted.attrs.entry(attr).or_default().push(text);
        }
    }
    Ok(Some(wanted))
}

/// Which entries to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Listing {
    /// Kinds, by name.
    pub kinds: Vec<KindName>,
    /// Only those of this domain.
    #[serde(default)]
    pub domain: Option<String>,
    /// Only this entry and those below it, by name.
    #[serde(default)]
    pub base: Option<String>,
    /// Filter (RFC 4515).
    #[serde(default)]
    pub filter: Option<String>,
    /// With what they inherit.
    #[serde(default)]
    pub effective: bool,
    /// Where the page before ended.
    #[serde(default)]
    pub after: Option<String>,
}

/// A kind, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KindName(#[serde(with = "kind_text")] pub ObjectKind);

/// A page of entries.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Listed {
    /// The entries.
    pub entries: Vec<Shown>,
    /// Where to go on.
    pub next: Option<String>,
}

/// An entry with its name in the tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Name in the tree.
    pub dn: String,
    /// Name in the directory.
    pub name: String,
    /// Attributes.
    pub attrs: Vec<ShownAttribute>,
}

/// One attribute with its values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownAttribute {
    /// Name, `;binary` behind it where LDAP wants that.
    pub name: String,
    /// Values.
    pub values: Vec<String>,
    /// Whether the values are base64 of what they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub base64: bool,
}

impl Shown {
    /// Its lines.
    pub fn lines(self) -> Vec<Line> {
        let of = |a: ShownAttribute| {
            let bytes =
                move |v: String| if a.base64 { STANDARD.decode(&v).unwrap_or_default() } else { v.into_bytes() };
            let name = a.name;
            a.values.into_iter().map(move |v| (name.clone(), bytes(v))).collect::<Vec<Line>>()
        };
        self.attrs.into_iter().flat_map(of).collect()
    }
}

impl Directory {
    /// A page of entries as LDIF shows them.
    ///
    /// # Errors
    /// The base or filter cannot be read; the directory cannot.
    pub async fn list(&self, actor: Actor, listing: &Listing) -> Result<Listed, Failure> {
        let base = listing.base.as_deref().map(Dn::parse).transpose().map_err(|e| Failure::invalid(e.to_string()))?;
        let filter = listing.filter.as_deref().map(filter_text::parse).transpose().map_err(Failure::invalid)?;
        let after = listing.after.as_deref().map(|a| STANDARD.decode(a)).transpose();
        let kinds: Vec<ObjectKind> = listing.kinds.iter().map(|k| k.0).collect();
        let search = Search {
            kinds: Kinds::of(&kinds),
            domain: listing.domain.clone(),
            parent: None,
            filter: filter.unwrap_or_else(Filter::all),
            after: after.map_err(|_| Failure::invalid("cursor"))?,
            limit: PAGE,
        };
        let page = self.search(actor, search).await?;
        let mut owners: BTreeMap<AccountId, Option<Dn>> = BTreeMap::new();
        let mut entries = Vec::with_capacity(page.objects.len());
        for object in page.objects {
            // What has lost its owner has no name; it will go with a later clean-up.
            let Some(dn) = self.dn_of(&object, &mut owners).await? else { continue };
            if base.as_ref().is_none_or(|base| dn.ends_with(base)) {
                let attrs = if listing.effective { self.effective(&object).await? } else { object.attrs.clone() };
                entries.push(shown(&object, dn.to_string(), &attrs));
            }
        }
        Ok(Listed { entries, next: page.next.map(|next| STANDARD.encode(next)) })
    }

    async fn dn_of(
        &self,
        object: &Object,
        owners: &mut BTreeMap<AccountId, Option<Dn>>,
    ) -> Result<Option<Dn>, Failure> {
        if let Some(dn) = tree::dn_of(object) {
            return Ok(Some(dn));
        }
        let Some(parent) = object.parent else { return Ok(None) };
        if !owners.contains_key(&parent) {
            let dn = match self.find(ObjectBy::Id(parent)).await {
                Ok(owner) => Box::pin(self.dn_of(&owner, owners)).await?,
                Err(f) if f.code.contains("NO_SUCH") => None,
                Err(f) => return Err(f),
            };
            owners.insert(parent, dn);
        }
        Ok(owners.get(&parent).and_then(Option::as_ref).map(|owner| tree::child_dn(owner, object)))
    }

    /// The entry at a name.
    ///
    /// # Errors
    /// There is none, or there can be none.
    pub async fn at(&self, dn: &Dn) -> Result<Object, Failure> {
        let missing = || Failure::invalid(format!("no such entry: {dn}"));
        let place = tree::place(dn).ok_or_else(missing)?;
        let found = match &place {
            Place::Named(kind, name) => self.named(&[*kind], None, name).await?,
            Place::Dc(name) => self.named(&[ObjectKind::Domain], None, name).await?,
            Place::Person(address) | Place::Group(address) => {
                let object = self.find(ObjectBy::Address(address.clone())).await?;
                if object.name == *address {
                    object
                } else {
                    let by = ObjectBy::Name { kind: ObjectKind::Alias, name: address.clone(), parent: None };
                    self.find(by).await?
                }
            }
            Place::Child { kind, name, .. } => {
                let owner = Box::pin(self.at(&dn.parent().unwrap_or_default())).await?;
                self.find(ObjectBy::Name { kind: *kind, name: name.clone(), parent: Some(owner.id) }).await?
            }
            _ => return Err(missing()),
        };
        Ok(found)
    }
}

pub(crate) fn classes(object: &Object) -> Vec<String> {
    object.kind.object_classes().iter().map(|c| (*c).to_string()).collect()
}

fn shown(object: &Object, dn: String, attrs: &Attributes) -> Shown {
    let plain = |name: &str, values: Vec<String>| ShownAttribute { name: name.into(), values, base64: false };
    let mut out = vec![plain("objectClass", classes(object))];
    let mut need = |name: &str, value: &str| {
        if !attrs.has(name) && !value.is_empty() {
            out.push(plain(name, vec![value.to_string()]));
        }
    };
    let local = object.name.split('@').next().unwrap_or_default();
    match object.kind {
        ObjectKind::Domain => {
            need("dc", object.name.split('.').next().unwrap_or_default());
            need("o", &object.name);
        }
        // inetOrgPerson must have them.
        ObjectKind::Account | ObjectKind::Resource => {
            need("cn", local);
            need("sn", local);
        }
        ObjectKind::Config => need("cn", "config"),
        _ => {}
    }
    for attr in attrs.iter() {
        let kind = zcluster_schema::find(&attr.name).map(|d| d.kind);
        let base64 = matches!(kind, Some(Kind::Binary | Kind::Certificate));
        let option = if kind == Some(Kind::Certificate) { ";binary" } else { "" };
        let name = format!("{}{option}", attr.name);
        out.push(ShownAttribute { name, values: attr.values.clone(), base64 });
    }
    Shown { dn, name: object.name.clone(), attrs: out }
}
