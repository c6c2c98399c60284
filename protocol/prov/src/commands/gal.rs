//! Commands about the global address list.

use super::Handlers;

pub(super) const HANDLERS: Handlers = &[];
