//! Entries as they shall be, as an import proposes them, and what became of them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zcluster_api::directory::ObjectKind;

/// Entries of one call at most.
pub const WANTED_MAX: usize = 500;

/// An entry as it shall be. What is not named stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What it is.
    #[serde(with = "kind_text")]
    pub kind: ObjectKind,
    /// `zimbraId`; without it a new entry gets a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name: an address, a domain, or what its kind has.
    pub name: String,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Attributes with all their values.
    #[serde(default)]
    pub attrs: BTreeMap<String, Vec<String>>,
    /// Further addresses that it has at least.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `zimbraCreateTimestamp` of a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// It is changed only, never made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_exist: bool,
}

impl Wanted {
    /// Without attributes.
    pub fn new(kind: ObjectKind, name: impl Into<String>) -> Wanted {
        Wanted {
            kind,
            id: None,
            name: name.into(),
            owner: None,
            attrs: BTreeMap::new(),
            aliases: Vec::new(),
            created: None,
            must_exist: false,
        }
    }

    /// Bytes of its values, about: batches are cut by them.
    pub fn bytes(&self) -> usize {
        let attrs: usize = self.attrs.iter().map(|(n, v)| n.len() + v.iter().map(|v| v.len() + 4).sum::<usize>()).sum();
        100 + self.name.len() + attrs + self.aliases.iter().map(|a| a.len() + 4).sum::<usize>()
    }
}

/// What an entry belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// An account, resource, list or group.
    Address(String),
    /// A domain.
    Domain(String),
    /// An entry that itself belongs to one.
    Child {
        /// Whose.
        owner: Box<Owner>,
        /// What.
        #[serde(with = "kind_text")]
        kind: ObjectKind,
        /// Its name.
        name: String,
    },
}

/// What became of a [`Wanted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was done.
    pub done: Done,
    /// Its `zimbraId` here, if that is not the wanted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why it was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Attributes that were left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attrs_left: Vec<(String, String)>,
}

/// See [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Done {
    /// It was not there.
    Created,
    /// It was there with other values.
    Changed,
    /// It was there like this.
    Same,
    /// It is not as it shall be.
    Left,
}

/// How an import treats what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// Nothing is written.
    #[serde(default)]
    pub dry_run: bool,
    /// Entries that are there with other values get the wanted ones; else they are left.
    #[serde(default)]
    pub update: bool,
}

/// A kind's name in requests and reports: `distributionList`.
pub fn kind_name(kind: ObjectKind) -> String {
    let text = format!("{kind:?}");
    let (first, rest) = text.split_at(1);
    format!("{}{rest}", first.to_ascii_lowercase())
}

/// The kind of this name.
pub fn kind_of(name: &str) -> Option<ObjectKind> {
    ObjectKind::ALL.into_iter().find(|k| kind_name(*k) == name)
}

/// [`ObjectKind`] as text.
pub mod kind_text {
    use super::{ObjectKind, kind_name, kind_of};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the name.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(kind: &ObjectKind, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&kind_name(*kind))
    }

    /// Reads the name.
    ///
    /// # Errors
    /// The deserializer's, or no kind is called so.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<ObjectKind, D::Error> {
        let text = String::deserialize(d)?;
        kind_of(&text).ok_or_else(|| serde::de::Error::custom(format!("no kind of entry: {text}")))
    }
}
