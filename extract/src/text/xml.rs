//! A walk over one XML part of a container, without a tree.

use super::reading::{Metered, Stop};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::io::{BufReader, Read};

/// Elements within each other.
const DEPTH_MAX: usize = 512;

/// What a walk meets. Names come without their prefix.
pub enum Node<'a> {
    Start(&'a str, &'a BytesStart<'a>),
    End(&'a str),
    Text(&'a str),
}

/// Calls `visit` for every element and text of a part, in order.
///
/// A document type ends it: no office format has one, and entities are how a small file becomes a large one.
pub fn walk<R: Read>(part: Metered<R>, mut visit: impl FnMut(Node) -> Result<(), Stop>) -> Result<(), Stop> {
    let mut reader = Reader::from_reader(BufReader::new(part));
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let (mut buffer, mut depth) = (Vec::new(), 0usize);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(Stop::malformed)? {
            Event::Start(e) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Stop::malformed("elements nested too deep"));
                }
                visit(Node::Start(e.local_name().as_ref(), &e))?;
            }
            Event::Empty(e) => {
                visit(Node::Start(e.local_name().as_ref(), &e))?;
                visit(Node::End(e.local_name().as_ref()))?;
            }
            Event::End(e) => {
                depth = depth.saturating_sub(1);
                visit(Node::End(e.local_name().as_ref()))?;
            }
            Event::Text(e) => visit(Node::Text(&e.xml10_content()))?,
            Event::CData(e) => visit(Node::Text(&e.xml10_content()))?,
            Event::GeneralRef(e) => {
                if let Some(c) = character(&e) {
                    visit(Node::Text(c.encode_utf8(&mut [0; 4])))?;
                }
            }
            Event::DocType(_) => return Err(Stop::malformed("it has a document type")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => return Ok(()),
        }
    }
}

fn character(reference: &quick_xml::events::BytesRef) -> Option<char> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(c);
    }
    match reference.xml10_content().as_ref() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// The value of an attribute, by its name without prefix.
pub fn attribute(element: &BytesStart, name: &str) -> Option<String> {
    let found = element.attributes().with_checks(false).flatten().find(|a| a.key.local_name().as_ref() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}
