//! Attributes and how they are changed.

use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values of one attribute.
pub type Values = Vec<String>;

/// Attributes under Zimbra's (LDAP's) names. Names compare without case: keys are lower case, and the spelling to show
/// stands beside the values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Attributes {
    /// Shared until it is changed: entries are copied far more often than they change.
    #[n(0)]
    #[cbor(with = "shared")]
    map: Arc<BTreeMap<String, Attribute>>,
}

mod shared {
    use super::{Arc, Attribute, BTreeMap};
    use minicbor::decode::{Decoder, Error as DecodeError};
    use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

    pub fn encode<C, W: Write>(
        map: &Arc<BTreeMap<String, Attribute>>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>>
    where
        BTreeMap<String, Attribute>: Encode<C>,
    {
        map.as_ref().encode(e, ctx)
    }

    pub fn decode<'b, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Arc<BTreeMap<String, Attribute>>, DecodeError> {
        d.decode_with(ctx).map(Arc::new)
    }
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Attribute {
    /// Spelling to show.
    #[n(0)]
    pub name: String,
    /// Values, in order of adding.
    #[n(1)]
    pub values: Values,
}

impl Attributes {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }
    /// All values; empty when absent.
    pub fn all(&self, name: &str) -> &[String] {
        self.map.get(&name.to_ascii_lowercase()).map_or(&[], |a| &a.values)
    }
    /// The first value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }
    /// Sets the values; none removes the attribute.
    pub fn set(&mut self, name: &str, values: Values) {
        let key = name.to_ascii_lowercase();
        if values.is_empty() {
            if self.map.contains_key(&key) {
                Arc::make_mut(&mut self.map).remove(&key);
            }
        } else {
            let shown = self.map.get(&key).map_or_else(|| name.to_string(), |a| a.name.clone());
            Arc::make_mut(&mut self.map).insert(key, Attribute { name: shown, values });
        }
    }
    /// Only those whose name is wanted.
    #[must_use]
    pub fn keep(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        Arc::make_mut(&mut self.map).retain(|_, a| wanted(&a.name));
        self
    }
    /// All attributes, by lower-case name.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.map.values()
    }
    /// Whether the attribute is there.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }
}

/// How a modification treats an attribute's values (zmprov: `attr`, `+attr`, `-attr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ModifyKind {
    /// Exactly these (none or one empty value: remove the attribute).
    #[n(0)]
    Replace,
    /// Add these.
    #[n(1)]
    Add,
    /// Remove these.
    #[n(2)]
    Remove,
    /// Remove these, `Conflict` unless all of them are there: what may be used once is used once in the whole cluster.
    #[n(3)]
    Take,
    /// Add the one value, a number, to the one value there (RFC 4525); `Conflict` unless that is a number.
    #[n(4)]
    Increment,
}

/// One modification.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Modification {
    /// Attribute name, any case.
    #[n(0)]
    pub name: String,
    /// How.
    #[n(1)]
    pub kind: ModifyKind,
    /// Values.
    #[n(2)]
    pub values: Values,
}

impl Modification {
    /// Replaces by one value.
    pub fn set(name: &str, value: impl Into<String>) -> Self {
        Modification { name: name.into(), kind: ModifyKind::Replace, values: vec![value.into()] }
    }
}
