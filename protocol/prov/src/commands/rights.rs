//! Commands about rights and who is given them.

use super::Handlers;

pub(super) const HANDLERS: Handlers = &[];
