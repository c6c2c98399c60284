//! Who is a member: what is written into the directory when a node joins, comes back without its data, or leaves, and
//! what a node asks its peers for that.
//!
//! The member's side ([`reserve`], [`admit`], [`admit_anew`], [`set_state`]) decides and writes. The node's side
//! ([`greet`], [`rejoin`]) asks. Certificates and tokens are the node's business; they stand around these calls.

mod ask;
mod decide;
mod follow;

pub use ask::{HELLO, REJOIN, greet, rejoin};
pub use decide::{Candidate, admit, admit_anew, known_cluster, known_nodes, reserve, set_state};
pub use follow::{Topology, others};
