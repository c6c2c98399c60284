//! Node to node: whom a node knows, and who answers which method.

use crate::disk::NodeFile;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::{DirectoryApi, Error};
use zcluster_raft::MultiRaft;
use zcluster_router::{Router, admission};
use zcluster_rpc::{Frames, Lane, Members, Network, RpcError, Service};

/// The router's methods begin here; raft's are below.
const ROUTER_FIRST: u16 = 100;
/// The node's methods begin here.
const NODE_FIRST: u16 = 200;

/// The wires as a node may use them: it calls only peers whose address it knows, as `TonicNetwork` does.
pub(super) struct Known {
    wires: Arc<dyn Network>,
    members: Mutex<Members>,
}

impl Known {
    /// With the peers that were known when the node last ran.
    pub fn new(wires: Arc<dyn Network>, file: &NodeFile) -> Arc<Self> {
        let peers = Arc::new(admission::others(&file.peers, file.number));
        Arc::new(Known { wires, members: Mutex::new(Members { peers, removed: BTreeSet::new() }) })
    }
    pub fn peers(&self) -> Arc<BTreeMap<u64, String>> {
        self.members.lock().peers.clone()
    }
    pub fn set_peers(&self, peers: BTreeMap<u64, String>) {
        self.members.lock().peers = Arc::new(peers);
    }
    pub fn set_removed(&self, removed: BTreeSet<u64>) {
        self.members.lock().removed = removed;
    }
    fn reach(&self, to: u64) -> Result<(), RpcError> {
        let known = self.members.lock().peers.contains_key(&to);
        if known { Ok(()) } else { Err(RpcError::Unreachable(to, "no address is known".into())) }
    }
    fn check(&self, from: u64) -> Result<(), RpcError> {
        self.members.lock().check(from)
    }
}

impl Network for Known {
    fn call(
        &self,
        to: u64,
        lane: Lane,
        method: u16,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        match self.reach(to) {
            Ok(()) => self.wires.call(to, lane, method, body, timeout),
            Err(e) => ready(Err(e)).boxed(),
        }
    }

    fn stream(
        &self,
        to: u64,
        lane: Lane,
        method: u16,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Frames, RpcError>> {
        match self.reach(to) {
            Ok(()) => self.wires.stream(to, lane, method, body, timeout),
            Err(e) => ready(Err(e)).boxed(),
        }
    }
}

/// Checks who calls, then sends each method to whom it belongs.
pub(super) struct Services {
    raft: Arc<dyn Service>,
    router: Arc<dyn Service>,
    directory: Arc<dyn DirectoryApi>,
    known: Arc<Known>,
}

impl Services {
    pub fn new(raft: &Arc<MultiRaft>, router: &Arc<Router>, known: Arc<Known>) -> Arc<Self> {
        Arc::new(Services { raft: raft.service(), router: router.service(), directory: router.clone(), known })
    }
}

impl Service for Services {
    fn call(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        if let Err(e) = self.known.check(from) {
            return ready(Err(e)).boxed();
        }
        match method {
            0..ROUTER_FIRST => self.raft.call(from, method, body),
            ROUTER_FIRST..NODE_FIRST => self.router.call(from, method, body),
            admission::HELLO => ready(Ok(Bytes::from_static(b"simulated"))).boxed(),
            admission::REJOIN => admit_anew(self.directory.clone(), from, body).boxed(),
            _ => ready(Err(RpcError::Remote(format!("no such method: {method}")))).boxed(),
        }
    }

    fn stream(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        if let Err(e) = self.known.check(from) {
            return ready(Err(e)).boxed();
        }
        match method {
            0..ROUTER_FIRST => self.raft.stream(from, method, body),
            ROUTER_FIRST..NODE_FIRST => self.router.stream(from, method, body),
            _ => ready(Err(RpcError::Remote(format!("no such method: {method}")))).boxed(),
        }
    }
}

/// Gives a node whose disk lost data its new place.
async fn admit_anew(directory: Arc<dyn DirectoryApi>, from: u64, body: Bytes) -> Result<Bytes, RpcError> {
    let old = body.as_ref().try_into().map(u64::from_be_bytes);
    let old = old.map_err(|_| RpcError::Refused("not a request to rejoin".into()))?;
    match admission::admit_anew(directory.as_ref(), old, from).await {
        Ok(()) => Ok(Bytes::new()),
        Err(Error::Denied(why)) => Err(RpcError::Refused(why)),
        Err(e) => Err(RpcError::Remote(e.to_string())),
    }
}
