//! Requests (RFC 4511 §4).

use super::ber::{
    self, BOOLEAN, ENUMERATED, INTEGER, Malformed, OCTETS, Reader, Result, SEQUENCE, SET, context, context_seq,
};
use super::controls::Control;
use super::filter::{self, Filter};
use crate::config::{CONTROLS_MAX, ELEMENTS_MAX, FILTER_ITEMS_MAX};
use std::fmt;
use zeroize::Zeroizing;

/// A message from a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number; 0 only for what a client must not send.
    pub id: u32,
    /// What it wants.
    pub operation: Operation,
    /// What else it wants.
    pub controls: Vec<Control>,
}

/// How somebody proves who it is.
#[derive(PartialEq, Eq)]
pub enum Credentials {
    /// A password; empty: none.
    Simple(Zeroizing<Vec<u8>>),
    /// SASL: mechanism and response.
    Sasl(String, Option<Zeroizing<Vec<u8>>>),
    /// Another way that we do not know.
    Unknown,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credentials::Simple(_) => "Simple(..)",
            Credentials::Sasl(mechanism, _) => mechanism,
            Credentials::Unknown => "Unknown",
        })
    }
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The entry itself.
    Base,
    /// What stands directly below it.
    One,
    /// It and all below.
    Sub,
    /// All below (draft-sermersheim-ldap-subordinate-scope).
    Children,
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Where.
    pub base: String,
    /// How far.
    pub scope: Scope,
    /// Entries at most; 0 = no limit.
    pub size_limit: u32,
    /// Seconds at most; 0 = no limit.
    pub time_limit: u32,
    /// Names of attributes without values.
    pub types_only: bool,
    /// What an entry must be.
    pub filter: Filter,
    /// Attributes wanted.
    pub attributes: Vec<String>,
}

/// An attribute with values. Debug does not show them: they may be passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its description: a name, perhaps with options.
    pub name: String,
    /// Values.
    pub values: Vec<Vec<u8>>,
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} values)", self.name, self.values.len())
    }
}

/// How a change treats an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds values.
    Add,
    /// Removes values; none: all.
    Delete,
    /// Exactly these values.
    Replace,
    /// Adds a number (RFC 4525).
    Increment,
    /// Something that we do not know.
    Unknown,
}

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Operation {
    /// To sign in.
    Bind {
        /// Version of the protocol.
        version: i64,
        /// As whom.
        name: String,
        /// With what.
        credentials: Credentials,
    },
    /// To go.
    Unbind,
    /// To find entries.
    Search(Box<Search>),
    /// To change an entry.
    Modify(String, Vec<(Change, Attribute)>),
    /// To add one.
    Add(String, Vec<Attribute>),
    /// To remove one.
    Delete(String),
    /// To rename or move one.
    ModifyDn {
        /// Which.
        dn: String,
        /// What it is to be called.
        new_rdn: String,
        /// Whether the old name's value goes.
        delete_old: bool,
        /// Where it is to stand; none: where it is.
        new_superior: Option<String>,
    },
    /// To know whether an entry has a value.
    Compare(String, String, Zeroizing<Vec<u8>>),
    /// Nothing more of another request.
    Abandon(u32),
    /// Something else: OID and value.
    Extended(String, Option<Zeroizing<Vec<u8>>>),
}

impl Operation {
    /// The tag of the reply that ends it.
    pub fn reply_tag(&self) -> Option<u8> {
        reply_tag(self.tag())
    }

    /// Its own tag.
    pub fn tag(&self) -> u8 {
        match self {
            Operation::Bind { .. } => BIND,
            Operation::Unbind => UNBIND,
            Operation::Search(_) => SEARCH,
            Operation::Modify(..) => MODIFY,
            Operation::Add(..) => ADD,
            Operation::Delete(_) => DELETE,
            Operation::ModifyDn { .. } => MODIFY_DN,
            Operation::Compare(..) => COMPARE,
            Operation::Abandon(_) => ABANDON,
            Operation::Extended(..) => EXTENDED,
        }
    }

    /// Its name in metrics.
    pub fn verb(&self) -> &'static str {
        match self {
            Operation::Bind { .. } => "bind",
            Operation::Unbind => "unbind",
            Operation::Search(_) => "search",
            Operation::Modify(..) => "modify",
            Operation::Add(..) => "add",
            Operation::Delete(_) => "delete",
            Operation::ModifyDn { .. } => "modifydn",
            Operation::Compare(..) => "compare",
            Operation::Abandon(_) => "abandon",
            Operation::Extended(..) => "extended",
        }
    }
}

const BIND: u8 = 0x60;
const UNBIND: u8 = 0x42;
const SEARCH: u8 = 0x63;
const MODIFY: u8 = 0x66;
const ADD: u8 = 0x68;
const DELETE: u8 = 0x4a;
const MODIFY_DN: u8 = 0x6c;
const COMPARE: u8 = 0x6e;
const ABANDON: u8 = 0x50;
const EXTENDED: u8 = 0x77;

/// The reply's tag for a request's tag.
fn reply_tag(tag: u8) -> Option<u8> {
    match tag {
        BIND | MODIFY | ADD | MODIFY_DN | COMPARE | EXTENDED => Some(tag + 1),
        SEARCH => Some(0x65),
        DELETE => Some(0x6b),
        _ => None,
    }
}

/// A message that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonsense {
    /// What is the matter.
    pub why: Malformed,
    /// Number and tag of the reply to give, if so much could be read.
    pub answer: Option<(u32, u8)>,
}

/// What one message may still hold.
#[derive(Debug)]
pub struct Budget {
    elements: usize,
    filters: usize,
}

impl Budget {
    /// For one message.
    pub fn new() -> Self {
        Budget { elements: ELEMENTS_MAX, filters: FILTER_ITEMS_MAX }
    }
    fn element(&mut self) -> Result<()> {
        self.elements = self.elements.checked_sub(1).ok_or(Malformed("too many values in one message"))?;
        Ok(())
    }
    /// One more comparison.
    ///
    /// # Errors
    /// Too many.
    pub fn filter(&mut self) -> Result<()> {
        self.filters = self.filters.checked_sub(1).ok_or(Malformed("too many filters in one search"))?;
        Ok(())
    }
}

/// Reads a message (with its header, as [`ber::frame`] measured it).
///
/// # Errors
/// [`Nonsense`].
pub fn read(bytes: &[u8]) -> Result<Message, Nonsense> {
    let lost = |why| Nonsense { why, answer: None };
    let mut reader = Reader::new(bytes).nested(SEQUENCE).map_err(lost)?;
    let id = reader.integer(INTEGER).map_err(lost)?;
    let id = u32::try_from(id).ok().filter(|id| *id <= i32::MAX as u32);
    let id = id.ok_or(lost(Malformed("a message number that cannot be")))?;
    let (tag, contents) = reader.element().map_err(lost)?;
    let answer = reply_tag(tag).filter(|_| id != 0).map(|tag| (id, tag));
    let nonsense = |why| Nonsense { why, answer };
    let operation = operation(tag, contents).map_err(nonsense)?;
    if id == 0 {
        return Err(lost(Malformed("message number 0 is the server's")));
    }
    let mut controls = Vec::new();
    if let Some(list) = reader.maybe(context_seq(0)).map_err(nonsense)? {
        let mut list = Reader::new(list);
        while !list.is_empty() {
            if controls.len() == CONTROLS_MAX {
                return Err(nonsense(Malformed("too many controls")));
            }
            controls.push(Control::read(&mut list).map_err(nonsense)?);
        }
    }
    Ok(Message { id, operation, controls })
}

fn operation(tag: u8, contents: &[u8]) -> Result<Operation> {
    let mut r = Reader::new(contents);
    let mut budget = Budget::new();
    Ok(match tag {
        BIND => bind(&mut r)?,
        UNBIND => Operation::Unbind,
        SEARCH => Operation::Search(Box::new(search(&mut r, &mut budget)?)),
        MODIFY => {
            let dn = r.text(OCTETS)?.to_string();
            let mut list = r.nested(SEQUENCE)?;
            let mut changes = Vec::new();
            while !list.is_empty() {
                let mut one = list.nested(SEQUENCE)?;
                let change = match one.integer(ENUMERATED)? {
                    0 => Change::Add,
                    1 => Change::Delete,
                    2 => Change::Replace,
                    3 => Change::Increment,
                    _ => Change::Unknown,
                };
                changes.push((change, attribute(&mut one, &mut budget)?));
            }
            Operation::Modify(dn, changes)
        }
        ADD => {
            let dn = r.text(OCTETS)?.to_string();
            let mut list = r.nested(SEQUENCE)?;
            let mut attributes = Vec::new();
            while !list.is_empty() {
                attributes.push(attribute(&mut list, &mut budget)?);
            }
            Operation::Add(dn, attributes)
        }
        DELETE => Operation::Delete(ber::text(contents)?.to_string()),
        MODIFY_DN => Operation::ModifyDn {
            dn: r.text(OCTETS)?.to_string(),
            new_rdn: r.text(OCTETS)?.to_string(),
            delete_old: ber::boolean(r.take(BOOLEAN)?)?,
            new_superior: r.maybe(context(0))?.map(ber::text).transpose()?.map(str::to_string),
        },
        COMPARE => {
            let dn = r.text(OCTETS)?.to_string();
            let mut ava = r.nested(SEQUENCE)?;
            let attr = ava.text(OCTETS)?.to_string();
            Operation::Compare(dn, attr, Zeroizing::new(ava.take(OCTETS)?.to_vec()))
        }
        ABANDON => Operation::Abandon(u32::try_from(ber::integer(contents)?).unwrap_or(0)),
        EXTENDED => {
            let oid = r.text(context(0))?.to_string();
            let value = r.maybe(context(1))?.map(|v| Zeroizing::new(v.to_vec()));
            Operation::Extended(oid, value)
        }
        _ => return Err(Malformed("an unknown kind of request")),
    })
}

fn bind(r: &mut Reader<'_>) -> Result<Operation> {
    let version = r.integer(INTEGER)?;
    let name = r.text(OCTETS)?.to_string();
    let (tag, contents) = r.element()?;
    const SIMPLE: u8 = context(0);
    const SASL: u8 = context_seq(3);
    let credentials = match tag {
        SIMPLE => Credentials::Simple(Zeroizing::new(contents.to_vec())),
        SASL => {
            let mut sasl = Reader::new(contents);
            let mechanism = sasl.text(OCTETS)?.to_string();
            Credentials::Sasl(mechanism, sasl.maybe(OCTETS)?.map(|v| Zeroizing::new(v.to_vec())))
        }
        _ => Credentials::Unknown,
    };
    Ok(Operation::Bind { version, name, credentials })
}

fn search(r: &mut Reader<'_>, budget: &mut Budget) -> Result<Search> {
    let base = r.text(OCTETS)?.to_string();
    let scope = match r.integer(ENUMERATED)? {
        0 => Scope::Base,
        1 => Scope::One,
        2 => Scope::Sub,
        3 => Scope::Children,
        _ => return Err(Malformed("a scope that we do not know")),
    };
    // There are no alias entries in the sense of X.501: whether to follow them does not matter.
    r.integer(ENUMERATED)?;
    let limit = |n: i64| u32::try_from(n).map_err(|_| Malformed("a limit that cannot be"));
    let size_limit = limit(r.integer(INTEGER)?)?;
    let time_limit = limit(r.integer(INTEGER)?)?;
    let types_only = ber::boolean(r.take(BOOLEAN)?)?;
    let filter = filter::read(r, budget)?;
    let mut list = r.nested(SEQUENCE)?;
    let mut attributes = Vec::new();
    while !list.is_empty() {
        budget.element()?;
        attributes.push(list.text(OCTETS)?.to_string());
    }
    Ok(Search { base, scope, size_limit, time_limit, types_only, filter, attributes })
}

fn attribute(r: &mut Reader<'_>, budget: &mut Budget) -> Result<Attribute> {
    let mut one = r.nested(SEQUENCE)?;
    budget.element()?;
    let name = one.text(OCTETS)?.to_string();
    let mut list = one.nested(SET)?;
    let mut values = Vec::new();
    while !list.is_empty() {
        budget.element()?;
        values.push(list.take(OCTETS)?.to_vec());
    }
    Ok(Attribute { name, values })
}
