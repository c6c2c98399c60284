//! One file per operation, and what several of them share.

pub mod add;
pub mod bind;
pub mod compare;
pub mod delete;
pub mod extended;
pub mod modify;
pub mod modify_dn;
pub mod paging;
mod passwords;
mod reads;
pub mod search;
mod selfdescription;
mod sync;
pub mod view;

use crate::codec::controls::{self, Control};
use crate::codec::request::Operation;
use crate::errors::{Code, Stop, refused};

/// RFC 4511 §4.1.11: a critical control that is not understood, or not for this operation, fails it.
///
/// # Errors
/// There is one.
pub fn check_controls(operation: &Operation, all: &[Control]) -> Result<(), Stop> {
    let fits = |oid: &str| match operation {
        Operation::Search(_) => {
            let more = [controls::VIEW, controls::SYNC_REQUEST, controls::MANAGE_DSA_IT, controls::ASSERTION];
            [controls::PAGED, controls::SORT].iter().chain(&more).any(|known| *known == oid)
        }
        Operation::Modify(..) | Operation::ModifyDn { .. } => {
            [controls::PRE_READ, controls::POST_READ, controls::ASSERTION, controls::MANAGE_DSA_IT].contains(&oid)
        }
        Operation::Add(..) => [controls::POST_READ, controls::MANAGE_DSA_IT].contains(&oid),
        Operation::Delete(_) => [controls::PRE_READ, controls::ASSERTION, controls::MANAGE_DSA_IT].contains(&oid),
        Operation::Compare(..) => [controls::ASSERTION, controls::MANAGE_DSA_IT].contains(&oid),
        Operation::Bind { .. } | Operation::Extended(..) => false,
        // Those have no reply to say it with.
        Operation::Unbind | Operation::Abandon(_) => true,
    };
    match all.iter().find(|c| c.critical && !fits(&c.oid)) {
        Some(control) => {
            let text = format!("control {} is not understood here", crate::errors::clean(&control.oid));
            refused(Code::UnavailableCriticalExtension, text)
        }
        None => Ok(()),
    }
}

/// The control of that kind, if there is one.
pub fn control<'a>(all: &'a [Control], oid: &str) -> Option<&'a Control> {
    all.iter().find(|c| c.oid == oid)
}
