//! The directory as administrators, LDAP clients and users see it: every way in goes through [`Directory`].
//!
//! What a change may contain (Zimbra's schema), who may make it (rights), and the codes with which Zimbra refuses, are
//! decided here, once; the state machine below keeps names unique and rows consistent, whatever it is told.
//!
//! | file | what |
//! |---|---|
//! | `service` | find, create, change, remove |
//! | `naming` | rename, add and remove addresses |
//! | `prepared` | the same, checked but not carried out yet: for batches |
//! | `changes` | a change checked against the schema |
//! | `commands` | checked changes as commands for the log |
//! | `access` | who may see and do what |
//! | `known` | what administrators name and look at |
//! | `passwords` | who may set passwords, and by which rules |
//! | `rights` | Zimbra's rights: grants, and whether they suffice |
//! | `limits` | how many accounts a domain may have |
//! | `groups` | who is in lists and groups |
//! | `sending` | who may write to a list |
//! | `gal` | the address list |
//! | `audit` | what administrators did |
//! | `failure` | Zimbra's codes |
//! | `inherit` | what an entry inherits |
//! | `filter_text` | filters as text (RFC 4515) |
//! | `bring`, `wanted` | many entries brought in, again and again |
//! | `ldif`, `dn`, `tree`, `shown`, `change` | entries and changes as text (RFC 2849), their names in Zimbra's tree |
//! | `zimbra` | the dump of a Zimbra site, read |
//! | `defaults` | what a new cluster's config and COS hold |

mod access;
mod audit;
mod bring;
pub mod change;
mod changes;
mod commands;
pub mod defaults;
pub mod dn;
mod failure;
pub mod filter_text;
pub mod gal;
pub mod groups;
mod inherit;
mod known;
pub mod ldif;
mod limits;
mod naming;
mod passwords;
mod prepared;
pub mod rights;
mod sending;
mod service;
pub mod shown;
pub mod tree;
pub mod wanted;
pub mod zimbra;

pub use changes::{modifications, place_of};
pub use failure::Failure;
pub use known::Viewer;
pub use passwords::PasswordRules;
pub use sending::Sender;
pub use service::Directory;

use zcluster_api::AccountId;

/// A fresh `zimbraId` (UUID, version 4).
pub fn fresh_id() -> AccountId {
    let mut bytes: [u8; 16] = zcluster_runtime::random_bytes();
    bytes[6] = (bytes[6] & 0x0F) | 0x40;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    AccountId(bytes)
}

/// A fresh request id.
pub(crate) fn request_id() -> zcluster_api::RequestId {
    zcluster_api::RequestId(zcluster_runtime::random_bytes())
}
