//! Attributes looked at where they lie encoded: whoever goes through all accounts for a few of them decodes only those.

use super::filter::Source;
use super::{Attributes, Filter, ObjectKind};
use crate::codec;
use std::cell::Cell;

/// Terms of a filter that are held against encoded attributes, at most: each walks through them. With more, decoding once is
/// cheaper.
const TERMS_MAX: usize = 12;

/// Whether the account that is encoded in `row` may be what the filter wants: `false` is certain, `true` wants a look at
/// the decoded account. Rows that cannot be read so (damaged, or encoded otherwise) may always.
pub fn may_fit(filter: &Filter, row: &[u8]) -> bool {
    if filter.terms() > TERMS_MAX {
        return true;
    }
    let Some(attrs) = Encoded::of_account(row) else { return true };
    // What it is among accounts says an attribute; the filter may ask for it by its classes.
    let as_resource = || filter.asks_for_class() && filter.fits(ObjectKind::Resource, &attrs);
    filter.fits(ObjectKind::Account, &attrs) || as_resource() || attrs.damaged.get()
}

/// The attributes of an encoded account.
struct Encoded<'a> {
    /// Behind the head of the map.
    bytes: &'a [u8],
    count: u64,
    damaged: Cell<bool>,
}

impl<'a> Encoded<'a> {
    /// Fields of [`super::Account`], in order: id, name, attributes.
    fn of_account(row: &'a [u8]) -> Option<Self> {
        let (version, rest) = row.split_first()?;
        if *version != codec::VERSION {
            return None;
        }
        let mut walk = Walk(rest);
        walk.expect(ARRAY).filter(|fields| *fields >= 3)?;
        walk.string(BYTES)?;
        walk.string(TEXT)?;
        walk.expect(ARRAY).filter(|fields| *fields >= 1)?;
        let count = walk.expect(MAP)?;
        Some(Encoded { bytes: walk.0, count, damaged: Cell::new(false) })
    }

    /// Shows the values of an attribute until one of them is taken; nothing: the bytes are not what they should be.
    fn look(&self, name: &str, take: &mut dyn FnMut(&str) -> bool) -> Option<bool> {
        let mut walk = Walk(self.bytes);
        let first = name.as_bytes().first().map(u8::to_ascii_lowercase);
        for _ in 0..self.count {
            let key = walk.string(TEXT)?;
            // They come sorted, in lower case.
            if key.first() > first.as_ref() {
                return Some(false);
            }
            walk.expect(ARRAY).filter(|fields| *fields == 2)?;
            walk.string(TEXT)?;
            let values = walk.expect(ARRAY)?;
            let wanted = key.eq_ignore_ascii_case(name.as_bytes());
            for _ in 0..values {
                let value = walk.string(TEXT)?;
                if wanted && take(std::str::from_utf8(value).ok()?) {
                    return Some(true);
                }
            }
            if wanted {
                return Some(false);
            }
        }
        Some(false)
    }
}

impl Source for Encoded<'_> {
    fn any(&self, attr: &str, take: &mut dyn FnMut(&str) -> bool) -> bool {
        self.look(attr, take).unwrap_or_else(|| {
            self.damaged.set(true);
            false
        })
    }
}

impl Source for Attributes {
    fn any(&self, attr: &str, take: &mut dyn FnMut(&str) -> bool) -> bool {
        self.all(attr).iter().any(|v| take(v))
    }
}

/// CBOR's major types (RFC 8949 §3.1).
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

/// Goes through CBOR of definite lengths: all that the codec writes.
struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    /// The head of the next item, which must be of this type: its length.
    fn expect(&mut self, major: u8) -> Option<u64> {
        let (head, rest) = self.0.split_first()?;
        if head >> 5 != major {
            return None;
        }
        let (length, rest) = match head & 0x1f {
            short @ 0..=23 => (u64::from(short), rest),
            24 => {
                let (n, rest) = rest.split_first()?;
                (u64::from(*n), rest)
            }
            long @ 25..=27 => {
                let (digits, rest) = rest.split_at_checked(1 << (long - 24))?;
                (digits.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)), rest)
            }
            _ => return None,
        };
        self.0 = rest;
        Some(length)
    }

    fn string(&mut self, major: u8) -> Option<&'a [u8]> {
        let length = usize::try_from(self.expect(major)?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{ANR, Account, Home, HomeState};
    use crate::{AccountId, Epoch, GroupId, MailboxId};
    use proptest::prelude::*;

    fn account(attrs: Attributes) -> Account {
        let home = Home { mailbox: MailboxId(7), group: GroupId(3), epoch: Epoch(1), state: HomeState::Active };
        Account { id: AccountId([9; 16]), name: "a@b.c".into(), attrs, home, cos: None, domain: None }
    }

    fn filters() -> impl Strategy<Value = Filter> {
        let attr = || {
            prop::sample::select(
                ["cn", "SN", "mail", "zimbraId", "zimbraAccountCalendarUserType", "objectClass", ANR, "none", ""]
                    .map(String::from)
                    .to_vec(),
            )
        };
        let value =
            || prop::sample::select(["", "a", "ab", "Ä", "7", "10", "RESOURCE", "zimbraCalendarResource"].to_vec());
        let leaf = prop_oneof![
            attr().prop_map(Filter::Present),
            (attr(), value()).prop_map(|(a, v)| Filter::Equal(a, v.into())),
            (attr(), value()).prop_map(|(a, v)| Filter::AtLeast(a, v.into())),
            (attr(), value()).prop_map(|(a, v)| Filter::AtMost(a, v.into())),
            (attr(), value(), value(), value()).prop_map(|(attr, initial, any, end)| Filter::Substring {
                attr,
                initial: initial.into(),
                any: vec![any.into()],
                end: end.into()
            }),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
                prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
                inner.prop_map(|f| Filter::Not(Box::new(f))),
            ]
        })
    }

    fn attributes() -> impl Strategy<Value = Attributes> {
        let name = prop::sample::select(
            ["cn", "Sn", "mail", "zimbraId", "zimbraAccountCalendarUserType", "description", "uid"].to_vec(),
        );
        let value = prop_oneof!["[aäÄA b@7]{0,4}", "[0-9]{1,3}", Just("RESOURCE".to_string()), "a{300}"];
        prop::collection::vec((name, prop::collection::vec(value, 0..3)), 0..8).prop_map(|list| {
            let mut attrs = Attributes::new();
            list.into_iter().for_each(|(name, values)| attrs.set(name, values));
            attrs
        })
    }

    proptest! {
        #[test]
        fn encoded_as_decoded(attrs in attributes(), filter in filters()) {
            let account = account(attrs);
            let row = codec::encode(&account);
            let as_any = filter.fits(ObjectKind::Account, &account.attrs) || filter.fits(ObjectKind::Resource, &account.attrs);
            prop_assert_eq!(may_fit(&filter, &row), as_any);
        }

        #[test]
        fn any_bytes(filter in filters(), mut row in prop::collection::vec(any::<u8>(), 0..64), attrs in attributes(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _ = may_fit(&filter, &row);
            row = codec::encode(&account(attrs));
            // Whatever is cut off, or changed, is not passed over if it does not decode.
            let cut = at.index(row.len());
            let _ = may_fit(&filter, &row[..cut]);
            row[cut] = byte;
            let _ = may_fit(&filter, &row);
        }
    }

    #[test]
    fn what_cannot_be_read_may_fit() {
        let filter = Filter::equal("cn", "nobody");
        let row = codec::encode(&account(Attributes::new()));
        assert!(!may_fit(&filter, &row));
        for bad in [&[][..], &[codec::VERSION], &[codec::VERSION + 1, 0x84], &row[..5]] {
            assert!(may_fit(&filter, bad), "{bad:?}");
        }
        let mut attrs = Attributes::new();
        attrs.set("cn", vec!["somebody".into()]);
        let row = codec::encode(&account(attrs));
        let at = row.windows(8).position(|w| w == b"somebody").unwrap();
        assert!(may_fit(&filter, &row[..at + 4]), "cut off within the value");
        // Many terms are left to who decodes.
        assert!(may_fit(&Filter::Or(vec![filter; TERMS_MAX + 1]), &row));
    }
}
