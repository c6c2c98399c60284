//! STORE's arguments.

use super::command::{Request, Store, StoreMode};
use super::cursor::{Cursor, Fault, Parse};
use super::flags;
use super::sequence::SequenceSet;

/// `store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags` (RFC 3501 §9, RFC 4466 §6).
pub(super) fn store(uid: bool, c: &mut Cursor<'_>) -> Parse<Request> {
    let set = SequenceSet::parse(c)?;
    c.sp()?;
    let mut unchanged_since = None;
    if c.peek() == Some(b'(') {
        c.list(|c| {
            if !c.eat_word("UNCHANGEDSINCE") {
                return Err(Fault::Bad("no such STORE modifier"));
            }
            c.sp()?;
            unchanged_since = Some(c.number64()?);
            Ok(())
        })?;
        c.sp()?;
    }
    let (mode, silent) = mode(c)?;
    c.sp()?;
    let flags = flags::store_flags(c)?;
    Ok(Request::Store(Box::new(Store { uid, set, mode, silent, flags, unchanged_since })))
}

/// `(["+" / "-"] "FLAGS" [".SILENT"])` (RFC 3501 §9).
fn mode(c: &mut Cursor<'_>) -> Parse<(StoreMode, bool)> {
    let mode = if c.eat(b'+') {
        StoreMode::Add
    } else if c.eat(b'-') {
        StoreMode::Remove
    } else {
        StoreMode::Replace
    };
    match c.item_name()?.to_ascii_uppercase().as_str() {
        "FLAGS" => Ok((mode, false)),
        "FLAGS.SILENT" => Ok((mode, true)),
        _ => Err(Fault::Bad("STORE changes FLAGS only")),
    }
}
