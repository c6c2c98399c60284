//! LDAP v3 (RFC 4510-4533): Zimbra's tree over the directory, on every node.
//!
//! Reads are answered from this node's replica, page by page, so that a search of any size runs in bounded memory; what
//! is found is cut down to what the client may see and compared with the whole filter once more. Changes go through the
//! same door as every other administrator's ([`Directory`]), with its checks of values and rights.
//!
//! The rooms: `codec` knows bytes, `dn` and `tree` names, `entry`, `attr` and `classes` what entries look like, `access`
//! who sees what, `search` finds, `commands` has a file for each operation, `session` the conversation.

mod access;
mod attr;
mod back_end;
mod classes;
mod codec;
mod commands;
mod config;
mod domains;
mod entry;
mod errors;
mod schema;
mod search;
mod served;
mod session;

use zcluster_directory::{dn, tree};

pub use back_end::{Answer, Directory, Failure};
/// The attribute of the global config that holds the hashes of the password of `uid=zimbra,cn=admins,cn=zimbra`.
pub use commands::bind::ADMIN_PASSWORD_ATTRIBUTE;
pub use config::Config;
pub use served::{Served, Version};

use domains::Domains;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use zcluster_auth::Authenticator;
use zcluster_listener::{Connection, Protocol};

/// The service behind LDAP ports.
pub struct Ldap {
    directory: Arc<dyn Directory>,
    authenticator: Arc<Authenticator>,
    config: Config,
    domains: Domains,
    /// Content synchronisations that wait for changes.
    following: AtomicUsize,
}

impl Ldap {
    /// A service that signs in with `authenticator` and answers from `directory`.
    pub fn new(directory: Arc<dyn Directory>, authenticator: Arc<Authenticator>, config: Config) -> Self {
        Ldap { directory, authenticator, config, domains: Domains::default(), following: AtomicUsize::new(0) }
    }
}

impl Protocol for Ldap {
    fn name(&self) -> &'static str {
        "ldap"
    }

    fn serve(self: Arc<Self>, connection: Connection) -> BoxFuture<'static, ()> {
        Box::pin(session::serve(self, connection))
    }
}
