//! Legal holds: what is under one is not deleted, nor taken from under it by another name.

use zcluster_api::directory::{Attributes, LEGAL_HOLD};
use zcluster_api::{Error, Result};

/// Whether `name`, with these attributes of its own and of what it is in, may be deleted.
///
/// # Errors
/// `Denied` when it is under a hold.
pub(super) fn check(name: &str, attrs: &[&Attributes]) -> Result<()> {
    let holds: Vec<&str> = attrs.iter().flat_map(|a| a.all(LEGAL_HOLD)).map(String::as_str).collect();
    if holds.is_empty() { Ok(()) } else { Err(denied(name, &holds)) }
}

/// Whether an account may go from one domain to another: a hold of the one must be the other's too.
///
/// # Errors
/// `Denied`.
pub(super) fn check_move(name: &str, from: &Attributes, to: &Attributes) -> Result<()> {
    let lost = from.all(LEGAL_HOLD).iter().filter(|hold| !to.all(LEGAL_HOLD).contains(hold));
    let lost: Vec<&str> = lost.map(String::as_str).collect();
    if lost.is_empty() { Ok(()) } else { Err(denied(name, &lost)) }
}

fn denied(name: &str, holds: &[&str]) -> Error {
    Error::Denied(format!("{name} is under legal hold ({})", holds.join(", ")))
}
