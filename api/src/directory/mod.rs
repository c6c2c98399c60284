//! The directory: nodes, shard map, cluster config, domains, COS, accounts, where each mailbox lives, and all other
//! entries of a site (lists, groups, servers, identities, ...).

mod account;
mod attributes;
mod cluster;
mod command;
mod containers;
mod encoded;
mod filter;
mod object;
mod query;
mod secret;
mod values;

pub use account::{Account, Home, HomeState, LEGAL_HOLD, inheritable};
pub use attributes::{Attribute, Attributes, Modification, ModifyKind, Values};
pub use cluster::{Cluster, Node, NodeState, Shard};
pub use command::DirectoryCommand;
pub use containers::{Cos, Domain};
pub use encoded::may_fit;
pub use filter::{ANR, FILTER_DEPTH_MAX, Filter, Source, words};
pub use object::{Kinds, Object, ObjectBy, ObjectKind, Page, SEARCH_EXAMINE_MAX, SEARCH_PAGE_MAX, Search};
pub use query::{AccountBy, DirectoryQuery, DirectoryReply};
pub use secret::{SECRET_BYTES_MAX, SECRET_NAME_BYTES_MAX, SECRETS_PER_PAGE_MAX, Secret};
pub use values::{duration, split_address};
