//! Volumes: where bodies lie outside of the shards, and how they are packed there (docs/storage.md).
//!
//! A volume is a bucket of an object store or a folder that all nodes see. [`pack`] is the form in which many bodies share
//! an object. With the feature `stores` there is also what reaches the volumes: [`Stores`] opens those that the
//! directory names and implements [`zcluster_api::Volumes`] over them, with bounds on time, repetitions and memory, a
//! cache on this node's disk, and counts.
//!
//! This crate knows nothing of shards, mailboxes and who refers to what.

pub mod pack;

#[cfg(feature = "stores")]
mod backend;
#[cfg(feature = "stores")]
mod cache;
#[cfg(feature = "stores")]
pub mod config;
#[cfg(feature = "stores")]
pub mod follow;
#[cfg(feature = "stores")]
mod limits;
#[cfg(feature = "stores")]
mod mark;
#[cfg(feature = "stores")]
mod reading;
#[cfg(feature = "stores")]
mod store;
#[cfg(feature = "stores")]
mod stores;
#[cfg(feature = "stores")]
pub mod trial;

#[cfg(feature = "stores")]
pub use cache::CacheConfig;
#[cfg(feature = "stores")]
pub use config::{Credentials, VolumeConfig};
#[cfg(feature = "stores")]
pub use limits::Limits;
#[cfg(feature = "stores")]
pub use stores::{State, Stores};
