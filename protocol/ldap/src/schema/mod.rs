//! What the server says of itself: root DSE (RFC 4512 §5.1) and subschema (§4.2).

mod root;
mod subschema;

pub use root::{RootDse, root_dse};
pub use subschema::{SUBSCHEMA_DN, subschema};
