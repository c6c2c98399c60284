//! All groups of one node.

use crate::{AdminError, Config, Fatal, Group, LogEngine, StateMachine};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use zcluster_rpc::{Frames, Network, RpcError, Service};

/// This node's groups.
pub struct MultiRaft {
    config: Config,
    log: Arc<dyn LogEngine>,
    _network: Arc<dyn Network>,
}

impl MultiRaft {
    /// Checks the settings and makes ready to start groups.
    ///
    /// # Errors
    /// Settings that contradict each other.
    pub fn open(config: Config, log: Arc<dyn LogEngine>, network: Arc<dyn Network>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { config, log, _network: network }))
    }
    /// This node's raft id.
    pub fn node(&self) -> u64 {
        self.config.node
    }
    /// Starts a group: reads its log and vote, and takes part from then on.
    ///
    /// # Errors
    /// The log or the machine cannot be read, or the group runs already.
    pub async fn start_group(&self, _group: u32, _machine: Box<dyn StateMachine>) -> io::Result<Group> {
        Err(io::Error::other("not yet"))
    }
    /// A group that runs here.
    pub fn group(&self, _group: u32) -> Option<Group> {
        None
    }
    /// All groups that run here, by number.
    pub fn groups(&self) -> Vec<Group> {
        Vec::new()
    }
    /// Gives a new group its first voters; on one node only. Does nothing when the group has a membership.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn initialize(&self, _group: u32, _voters: BTreeSet<u64>) -> Result<(), AdminError> {
        Err(AdminError::Stopped)
    }
    /// What answers the peers' raft calls (methods 0-99).
    pub fn service(self: &Arc<Self>) -> Arc<dyn Service> {
        Arc::new(Nothing)
    }
    /// Stops a group; its log stays.
    pub async fn stop_group(&self, _group: u32) {}
    /// Stops a group and drops its log and vote from this node. The group must have forgotten this node before.
    ///
    /// # Errors
    /// The disk.
    pub async fn delete_group(&self, _group: u32) -> io::Result<()> {
        Ok(())
    }
    /// Stops all groups and waits until the log is on disk.
    pub async fn shutdown(&self) {}
    /// Reports that a group's core died or a disk write failed: the process must stop.
    pub fn fatal(&self) -> Fatal {
        self.log.fatal().clone()
    }
}

struct Nothing;
impl Service for Nothing {
    fn call(&self, _from: u64, method: u16, _body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        Box::pin(async move { Err(RpcError::Remote(format!("method {method}"))) })
    }
    fn stream(&self, _from: u64, method: u16, _body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        Box::pin(async move { Err(RpcError::Remote(format!("method {method}"))) })
    }
}
