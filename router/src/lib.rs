//! Any node can answer: the two API traits over the whole cluster.
//!
//! [`Router`] finds a mailbox's home in this node's directory replica, carries the call to the home shard's leader
//! (here or on a peer), and repeats it under the same request id until the outcome is known or the deadline has
//! passed. What it remembers of leaders and homes is a hint: the shard's own check of the home epoch, and its log,
//! decide. It also keeps the cluster in shape: see [`Router::run_background`].

mod accounts;
pub mod admission;
mod body;
mod bootstrap;
mod carry;
mod chooser;
mod config;
mod courier;
mod deleted;
mod direct;
mod directory;
mod discover;
mod due;
mod groups;
mod hsm;
mod hub;
mod inner;
mod mailbox;
mod outbox;
mod packer;
mod planner;
mod reconcile;
mod report;
mod retention;
mod router;
mod service;
mod settler;
mod status;
mod verify;
mod volume_use;
mod wire;

pub use config::RouterConfig;
pub use discover::NodeTexts;
pub use hsm::{HSM_ATTRIBUTE, HsmAsk, HsmPolicy, HsmStatus, HsmVolume};
pub use packer::{DRAINED_ATTRIBUTE, PackingConfig};
pub use router::Router;
pub use status::{ClusterStatus, GroupSummary, Lag, NodeReport, NodeStatus, Part, ReplicaReport};
pub use verify::{Problem, ProblemKind, Tally, VerifyAsk, VerifyNews};
pub use zcluster_replica::{Discovered, Sought, TextState};
