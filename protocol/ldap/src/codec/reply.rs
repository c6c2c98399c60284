//! Replies (RFC 4511 §4).

use super::ber::{ENUMERATED, INTEGER, OCTETS, SEQUENCE, SET, Writer, context, context_seq};
use super::controls::Control;
use crate::errors::{Code, Outcome};

/// ExtendedResponse.
pub const EXTENDED: u8 = 0x78;
/// SearchResultEntry.
const SEARCH_ENTRY: u8 = 0x64;
/// IntermediateResponse.
const INTERMEDIATE: u8 = 0x79;
/// What an unsolicited notice of disconnection is called (RFC 4511 §4.4.1).
const DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

/// What a reply carries beside its result.
#[derive(Debug, Default)]
pub struct Extras {
    /// The server's SASL credentials.
    pub sasl: Option<Vec<u8>>,
    /// Name of an extended response.
    pub name: Option<&'static str>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Controls.
    pub controls: Vec<Control>,
}

/// A message that ends an operation.
pub fn result(id: u32, tag: u8, outcome: &Outcome, extras: &Extras) -> Vec<u8> {
    message(id, &extras.controls, |w| {
        w.nest(tag, |w| {
            w.integer(ENUMERATED, outcome.code as i64);
            w.octets(&outcome.matched);
            w.octets(&outcome.text);
            if let Some(sasl) = &extras.sasl {
                w.put(context(7), sasl);
            }
            if let Some(name) = extras.name {
                w.put(context(10), name.as_bytes());
            }
            if let Some(value) = &extras.value {
                w.put(context(11), value);
            }
        });
    })
}

/// Tells that the connection ends, and why.
pub fn notice_of_disconnection(code: Code, text: &str) -> Vec<u8> {
    let extras = Extras { name: Some(DISCONNECTION), ..Extras::default() };
    result(0, EXTENDED, &Outcome::new(code, text), &extras)
}

/// A message that something has happened, before the operation ends.
pub fn intermediate(id: u32, name: &str, value: &[u8]) -> Vec<u8> {
    message(id, &[], |w| {
        w.nest(INTERMEDIATE, |w| {
            w.put(context(0), name.as_bytes());
            w.put(context(1), value);
        });
    })
}

/// An entry; `attributes` writes them with [`attribute`].
pub fn entry(id: u32, dn: &str, controls: &[Control], attributes: impl FnOnce(&mut Writer)) -> Vec<u8> {
    message(id, controls, |w| entry_body(w, SEARCH_ENTRY, dn, attributes))
}

/// An entry as the value of a control (RFC 4527).
pub fn entry_value(dn: &str, attributes: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    entry_body(&mut w, SEARCH_ENTRY, dn, attributes);
    w.finish()
}

fn entry_body(w: &mut Writer, tag: u8, dn: &str, attributes: impl FnOnce(&mut Writer)) {
    w.nest(tag, |w| {
        w.octets(dn);
        w.nest(SEQUENCE, attributes);
    });
}

/// An attribute of an entry.
pub fn attribute<V: AsRef<[u8]>>(w: &mut Writer, name: &str, values: impl IntoIterator<Item = V>) {
    w.nest(SEQUENCE, |w| {
        w.octets(name);
        w.nest(SET, |w| values.into_iter().for_each(|v| w.octets(v)));
    });
}

fn message(id: u32, controls: &[Control], operation: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    w.nest(SEQUENCE, |w| {
        w.integer(INTEGER, i64::from(id));
        operation(w);
        if !controls.is_empty() {
            w.nest(context_seq(0), |w| controls.iter().for_each(|c| control(w, c)));
        }
    });
    w.finish()
}

fn control(w: &mut Writer, control: &Control) {
    w.nest(SEQUENCE, |w| {
        w.octets(&control.oid);
        if let Some(value) = &control.value {
            w.put(OCTETS, value);
        }
    });
}
