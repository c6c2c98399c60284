//! Controls of changes that look at the entry: assertion (RFC 4528), pre-read and post-read (RFC 4527).

use super::control;
use crate::codec::ber::Reader;
use crate::codec::controls::{self, Control};
use crate::codec::request::Budget;
use crate::codec::{filter, reply};
use crate::entry::{Entry, Selection};
use crate::errors::{Code, Stop, refused};
use crate::search::matching;

/// Fails unless the entry is as the client believes.
///
/// # Errors
/// `assertionFailed`.
pub fn check_assertion(all: &[Control], entry: &Entry) -> Result<(), Stop> {
    let Some(control) = control(all, controls::ASSERTION) else { return Ok(()) };
    let mut reader = Reader::new(control.value.as_deref().unwrap_or_default());
    let wanted = filter::read(&mut reader, &mut Budget::new())?;
    match matching::fits(&wanted, entry) {
        Some(true) => Ok(()),
        Some(false) | None => refused(Code::AssertionFailed, "the entry is not as asserted"),
    }
}

/// The entry as it was or is, for the reply, if the client wants it.
///
/// # Errors
/// A malformed control.
pub fn read(all: &[Control], oid: &'static str, entry: &Entry) -> Result<Option<Control>, Stop> {
    let Some(control) = control(all, oid) else { return Ok(None) };
    let selection = Selection::of(&control.selection()?);
    let value = reply::entry_value(&entry.shown_dn, |w| entry.write(w, &selection, false));
    Ok(Some(Control::reply(oid, value)))
}
