//! Attributes and how they are changed.

use minicbor::{Decode, Encode};
use std::cmp::Ordering;
use std::sync::Arc;

/// Values of one attribute.
pub type Values = Vec<String>;

/// Attributes under Zimbra's (LDAP's) names. Names compare without case; the spelling to show stands beside the values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Attributes {
    /// Sorted by their names in lower case, each once. Shared until it is changed: entries are copied far more often than
    /// they change.
    #[n(0)]
    #[cbor(with = "stored")]
    list: Arc<Vec<Attribute>>,
}

/// As it is stored and sent: a map from names in lower case to attributes.
mod stored {
    use super::{Arc, Attribute, compare};
    use minicbor::decode::{Decoder, Error as DecodeError};
    use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

    /// Attributes that room is made for before they are read: whoever sent the bytes may have written any number.
    const ROOM_MAX: u64 = 256;

    pub fn encode<C, W: Write>(
        list: &Arc<Vec<Attribute>>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>>
    where
        Attribute: Encode<C>,
    {
        e.map(list.len() as u64)?;
        for attribute in list.iter() {
            e.str(&attribute.name.to_ascii_lowercase())?;
            attribute.encode(e, ctx)?;
        }
        Ok(())
    }

    pub fn decode<'b, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Arc<Vec<Attribute>>, DecodeError> {
        let room = d.map()?.ok_or_else(|| DecodeError::message("attributes without a length"))?;
        let mut list: Vec<Attribute> = Vec::with_capacity(room.min(ROOM_MAX) as usize);
        for _ in 0..room {
            d.str()?;
            let attribute: Attribute = d.decode_with(ctx)?;
            match list.last().map(|last| compare(&last.name, &attribute.name)) {
                None | Some(std::cmp::Ordering::Less) => list.push(attribute),
                // Nothing writes them so: a name that comes again stands for the one before.
                Some(_) => match list.binary_search_by(|a| compare(&a.name, &attribute.name)) {
                    Ok(at) => list[at] = attribute,
                    Err(at) => list.insert(at, attribute),
                },
            }
        }
        Ok(Arc::new(list))
    }
}

/// The order of names: by their bytes in lower case.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let lower = |s: &str, at: usize| s.as_bytes()[at].to_ascii_lowercase();
    let both = a.len().min(b.len());
    for at in 0..both {
        match lower(a, at).cmp(&lower(b, at)) {
            Ordering::Equal => {}
            other => return other,
        }
    }
    a.len().cmp(&b.len())
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
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.list.binary_search_by(|a| compare(&a.name, name))
    }
    /// All values; empty when absent.
    pub fn all(&self, name: &str) -> &[String] {
        self.place(name).map_or(&[], |at| &self.list[at].values)
    }
    /// The first value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }
    /// Sets the values; none removes the attribute.
    pub fn set(&mut self, name: &str, values: Values) {
        match (self.place(name), values.is_empty()) {
            (Ok(at), true) => {
                Arc::make_mut(&mut self.list).remove(at);
            }
            (Ok(at), false) => Arc::make_mut(&mut self.list)[at].values = values,
            (Err(_), true) => {}
            (Err(at), false) => {
                Arc::make_mut(&mut self.list).insert(at, Attribute { name: name.to_string(), values });
            }
        }
    }
    /// Only those whose name is wanted.
    #[must_use]
    pub fn keep(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        match Arc::get_mut(&mut self.list) {
            Some(list) => list.retain(|a| wanted(&a.name)),
            None => self.list = Arc::new(self.list.iter().filter(|a| wanted(&a.name)).cloned().collect()),
        }
        self
    }
    /// All attributes, by lower-case name.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.list.iter()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// As attributes were kept first, and are stored and sent.
    #[derive(Debug, Default, PartialEq, Encode, Decode)]
    struct Mapped(#[n(0)] BTreeMap<String, Attribute>);

    proptest! {
        #[test]
        fn as_a_map_would_have_it(
            steps in prop::collection::vec(("[a-cA-C_Ää0]{0,3}", prop::collection::vec("[a-b]{0,2}", 0..3)), 0..24)
        ) {
            let (mut attrs, mut mapped) = (Attributes::new(), Mapped::default());
            for (name, values) in &steps {
                attrs.set(name, values.clone());
                let key = name.to_ascii_lowercase();
                if values.is_empty() {
                    mapped.0.remove(&key);
                } else {
                    let shown = mapped.0.get(&key).map_or_else(|| name.clone(), |a| a.name.clone());
                    mapped.0.insert(key.clone(), Attribute { name: shown, values: values.clone() });
                }
                prop_assert_eq!(attrs.all(name), values.as_slice());
                prop_assert_eq!(attrs.has(name), mapped.0.contains_key(&key));
            }
            prop_assert!(attrs.iter().eq(mapped.0.values()));
            // Byte for byte what other versions wrote and read.
            let bytes = crate::codec::encode(&attrs);
            prop_assert_eq!(&bytes, &crate::codec::encode(&mapped));
            prop_assert_eq!(&crate::codec::decode::<Attributes>(&bytes).unwrap(), &attrs);
            let kept = attrs.clone().keep(|n| n.len() > 1);
            prop_assert!(kept.iter().eq(attrs.iter().filter(|a| a.name.len() > 1)));
        }
    }

    #[test]
    fn names_out_of_order_are_put_in_order() {
        let attribute = |name: &str| Attribute { name: name.into(), values: vec![name.into()] };
        let mut bytes = vec![crate::codec::VERSION];
        let mut e = minicbor::Encoder::new(&mut bytes);
        e.array(1).unwrap().map(3).unwrap();
        for name in ["b", "a", "B"] {
            e.str(&name.to_lowercase()).unwrap().encode(attribute(name)).unwrap();
        }
        let read: Attributes = crate::codec::decode(&bytes).unwrap();
        assert_eq!(read.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["a", "B"]);
        assert_eq!(read.all("b"), ["B"]);
    }
}
