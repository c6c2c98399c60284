//! The calling side: [`TonicNetwork`].

mod connect;
mod link;
mod raft_lane;
mod unary;

pub use connect::{JoinError, join_call};

use crate::fault::FaultSwitch;
use crate::identity::Identity;
use crate::server::Members;
use crate::{Frames, Lane, Network, RpcError};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use link::Link;
use parking_lot::Mutex;
use raft_lane::RaftLane;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::watch;

/// Time for TCP, TLS and HTTP/2 to be set up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that was silent so long is pinged.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_millis(500);
/// A ping that was not answered for so long ends the connection.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Pause after the first failed attempt to connect; doubled up to [`BACKOFF_MAX`].
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest pause between attempts to connect.
pub const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// HTTP/2 flow control: bytes one answer stream may have under way, and all of a connection.
pub(crate) const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
/// See [`STREAM_WINDOW`].
pub(crate) const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// Addresses of peers by raft node id.
pub(crate) type Addresses = Arc<BTreeMap<u64, String>>;

/// What all connections of a node share.
pub(crate) struct Shared {
    pub(crate) identity: Arc<Identity>,
    pub(crate) addresses: watch::Sender<Addresses>,
    pub(crate) faults: Option<FaultSwitch>,
    removed: Mutex<BTreeSet<u64>>,
}

/// The production [`Network`]: gRPC over mutually authenticated TLS. Each lane to a peer has a connection of its own,
/// opened at the first call. Clones share the connections.
#[derive(Clone)]
pub struct TonicNetwork {
    shared: Arc<Shared>,
    lanes: Arc<Mutex<Lanes>>,
}

#[derive(Default)]
struct Lanes {
    raft: BTreeMap<u64, Arc<RaftLane>>,
    unary: BTreeMap<(u64, Lane), Arc<Link>>,
}

impl TonicNetwork {
    /// Must be called on a tokio runtime. Without `faults` the fault switch costs nothing.
    pub fn new(identity: Arc<Identity>, faults: Option<FaultSwitch>) -> Self {
        let (addresses, _) = watch::channel(Addresses::default());
        let shared = Shared { identity, addresses, faults, removed: Mutex::default() };
        TonicNetwork { shared: Arc::new(shared), lanes: Arc::default() }
    }

    /// Sets where peers are, by raft node id, as `host:port`. Connections to peers that are gone or moved end.
    pub fn set_peers(&self, peers: BTreeMap<u64, String>) {
        {
            let mut lanes = self.lanes.lock();
            lanes.raft.retain(|id, _| peers.contains_key(id));
            lanes.unary.retain(|(id, _), _| peers.contains_key(id));
        }
        let peers = Arc::new(peers);
        self.shared.addresses.send_if_modified(|old| {
            let changed = *old != peers;
            *old = peers;
            changed
        });
    }

    /// Sets which raft node ids have left for good: they are refused when they call.
    pub fn set_removed(&self, removed: BTreeSet<u64>) {
        *self.shared.removed.lock() = removed;
    }

    /// What [`crate::serve`] needs to know of members.
    pub fn members(&self) -> Members {
        Members { peers: self.peers(), removed: self.shared.removed.lock().clone() }
    }

    /// Where peers are.
    pub fn peers(&self) -> Arc<BTreeMap<u64, String>> {
        self.shared.addresses.borrow().clone()
    }

    /// Who calls.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.shared.identity
    }

    fn known(&self, to: u64) -> Result<(), RpcError> {
        if self.shared.addresses.borrow().contains_key(&to) {
            Ok(())
        } else {
            Err(RpcError::Unreachable(to, "no address is known".into()))
        }
    }

    fn raft(&self, to: u64) -> Result<Arc<RaftLane>, RpcError> {
        self.known(to)?;
        let mut lanes = self.lanes.lock();
        Ok(lanes.raft.entry(to).or_insert_with(|| RaftLane::start(self.shared.clone(), to)).clone())
    }

    fn link(&self, to: u64, lane: Lane) -> Result<Arc<Link>, RpcError> {
        self.known(to)?;
        let mut lanes = self.lanes.lock();
        Ok(lanes.unary.entry((to, lane)).or_insert_with(|| Link::start(self.shared.clone(), to)).clone())
    }
}

impl Network for TonicNetwork {
    fn call(
        &self,
        to: u64,
        lane: Lane,
        method: u16,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        if let Err(e) = check_size(to, &body) {
            return futures::future::ready(Err(e)).boxed();
        }
        match lane {
            Lane::Raft => match self.raft(to) {
                Ok(raft) => raft.call(method, body, timeout),
                Err(e) => futures::future::ready(Err(e)).boxed(),
            },
            Lane::Data | Lane::Bulk => match self.link(to, lane) {
                Ok(link) => unary::call(self.shared.clone(), link, to, method, body, timeout).boxed(),
                Err(e) => futures::future::ready(Err(e)).boxed(),
            },
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
        // Streams never ride on the Raft lane's connection: flow control there belongs to consensus.
        let lane = if lane == Lane::Raft { Lane::Bulk } else { lane };
        if let Err(e) = check_size(to, &body) {
            return futures::future::ready(Err(e)).boxed();
        }
        match self.link(to, lane) {
            Ok(link) => unary::stream(self.shared.clone(), link, to, method, body, timeout).boxed(),
            Err(e) => futures::future::ready(Err(e)).boxed(),
        }
    }
}

/// A body that is too large is refused before it is sent.
fn check_size(to: u64, body: &Bytes) -> Result<(), RpcError> {
    if body.len() > crate::frame::BODY_BYTES_MAX {
        return Err(RpcError::Unreachable(to, format!("call of {} bytes is too large", body.len())));
    }
    Ok(())
}
