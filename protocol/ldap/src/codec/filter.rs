//! Search filters on the wire (RFC 4511 §4.5.1.7).

use super::ber::{self, Malformed, OCTETS, Reader, Result, SEQUENCE, context, context_seq};
use super::request::Budget;
use crate::config::FILTER_DEPTH_MAX;

/// A filter as the client sent it. Values are bytes: they need not be text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them; none: everything (RFC 4526).
    And(Vec<Filter>),
    /// One of them at least; none: nothing (RFC 4526).
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// Has the value.
    Equal(String, Vec<u8>),
    /// Has a value like it.
    Approx(String, Vec<u8>),
    /// Has a value that is not smaller.
    AtLeast(String, Vec<u8>),
    /// Has a value that is not greater.
    AtMost(String, Vec<u8>),
    /// Has the attribute.
    Present(String),
    /// Has a value with these parts.
    Substring {
        /// Attribute.
        attr: String,
        /// How it begins.
        initial: Option<Vec<u8>>,
        /// What follows somewhere, in order.
        any: Vec<Vec<u8>>,
        /// How it ends.
        end: Option<Vec<u8>>,
    },
    /// Fits by a named rule.
    Extensible {
        /// Name or OID of the rule.
        rule: Option<String>,
        /// Attribute; none: all that the rule applies to.
        attr: Option<String>,
        /// Value.
        value: Vec<u8>,
        /// The attributes of the entry's name count as well.
        dn: bool,
    },
}

/// Reads a filter.
///
/// # Errors
/// Malformed, too deep or too many.
pub fn read(reader: &mut Reader<'_>, budget: &mut Budget) -> Result<Filter> {
    read_at(reader, budget, 1)
}

fn read_at(reader: &mut Reader<'_>, budget: &mut Budget, depth: usize) -> Result<Filter> {
    if depth > FILTER_DEPTH_MAX {
        return Err(Malformed("filters are nested too deeply"));
    }
    budget.filter()?;
    let (tag, contents) = reader.element()?;
    let mut inner = Reader::new(contents);
    const AND: u8 = context_seq(0);
    const OR: u8 = context_seq(1);
    const NOT: u8 = context_seq(2);
    const EQUAL: u8 = context_seq(3);
    const SUBSTRINGS: u8 = context_seq(4);
    const AT_LEAST: u8 = context_seq(5);
    const AT_MOST: u8 = context_seq(6);
    const PRESENT: u8 = context(7);
    const APPROX: u8 = context_seq(8);
    const EXTENSIBLE: u8 = context_seq(9);
    Ok(match tag {
        AND | OR => {
            let mut all = Vec::new();
            while !inner.is_empty() {
                all.push(read_at(&mut inner, budget, depth + 1)?);
            }
            if tag == AND { Filter::And(all) } else { Filter::Or(all) }
        }
        NOT => Filter::Not(Box::new(read_at(&mut inner, budget, depth + 1)?)),
        EQUAL | AT_LEAST | AT_MOST | APPROX => {
            let attr = inner.text(OCTETS)?.to_string();
            let value = inner.take(OCTETS)?.to_vec();
            match tag {
                EQUAL => Filter::Equal(attr, value),
                AT_LEAST => Filter::AtLeast(attr, value),
                AT_MOST => Filter::AtMost(attr, value),
                _ => Filter::Approx(attr, value),
            }
        }
        PRESENT => Filter::Present(ber::text(contents)?.to_string()),
        SUBSTRINGS => substrings(inner, budget)?,
        EXTENSIBLE => extensible(inner)?,
        _ => return Err(Malformed("a filter of an unknown kind")),
    })
}

fn substrings(mut inner: Reader<'_>, budget: &mut Budget) -> Result<Filter> {
    let attr = inner.text(OCTETS)?.to_string();
    let mut parts = inner.nested(SEQUENCE)?;
    let (mut initial, mut any, mut end) = (None, Vec::new(), None);
    if parts.is_empty() {
        return Err(Malformed("a substring filter without substrings"));
    }
    while !parts.is_empty() {
        budget.filter()?;
        let (tag, part) = parts.element()?;
        // RFC 4511 §4.5.1.7.2: the first may be `initial`, the last `final`, none of them empty.
        if part.is_empty() || end.is_some() {
            return Err(Malformed("substrings in an order that cannot be"));
        }
        match tag & 0x1f {
            0 if initial.is_none() && any.is_empty() => initial = Some(part.to_vec()),
            1 => any.push(part.to_vec()),
            2 => end = Some(part.to_vec()),
            _ => return Err(Malformed("substrings in an order that cannot be")),
        }
    }
    Ok(Filter::Substring { attr, initial, any, end })
}

fn extensible(mut inner: Reader<'_>) -> Result<Filter> {
    let rule = inner.maybe(context(1))?.map(ber::text).transpose()?.map(str::to_string);
    let attr = inner.maybe(context(2))?.map(ber::text).transpose()?.map(str::to_string);
    let value = inner.take(context(3))?.to_vec();
    let dn = inner.maybe(context(4))?.map(ber::boolean).transpose()?.unwrap_or(false);
    if rule.is_none() && attr.is_none() {
        return Err(Malformed("an extensible match without attribute and rule"));
    }
    Ok(Filter::Extensible { rule, attr, value, dn })
}
