//! Who may talk: what is checked before any call is answered.

use crate::RpcError;
use crate::identity::{Identity, node_number};
use crate::server::{BOOT_KEY, CLUSTER_KEY, FROM_KEY, Members, TO_KEY, TWO_PROCESSES};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tonic::metadata::MetadataMap;

/// Which process speaks for each node number, as long as it has connections.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<u32, (u64, usize)>>);

impl Sessions {
    /// Takes part in the session of `number`'s process `boot`; refused while another process holds it.
    fn enter(self: &Arc<Self>, number: u32, boot: u64) -> Result<Session, RpcError> {
        let mut all = self.0.lock();
        let (holder, count) = all.entry(number).or_insert((boot, 0));
        if *holder != boot {
            return Err(RpcError::Refused(format!(
                "another process is running as node {number}: {TWO_PROCESSES}. Stop one of them; a copy of a data \
                 directory must never be started, use `zcluster join` with an empty one instead"
            )));
        }
        *count += 1;
        Ok(Session { sessions: self.clone(), number })
    }
}

/// Held by a connection; see [`Sessions`].
struct Session {
    sessions: Arc<Sessions>,
    number: u32,
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut all = self.sessions.0.lock();
        if let Some((_, count)) = all.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.number);
            }
        }
    }
}

/// What is known of a connection.
pub(crate) struct Peer {
    /// From its verified certificate; `None` without one.
    pub(crate) node: Option<(u32, String)>,
    pub(crate) address: SocketAddr,
    sessions: Arc<Sessions>,
    /// The caller whose metadata was checked on this connection.
    checked: Mutex<Option<(u64, u64, Session)>>,
}

impl Peer {
    pub(crate) fn new(node: Option<(u32, String)>, address: SocketAddr, sessions: Arc<Sessions>) -> Self {
        Peer { node, address, sessions, checked: Mutex::new(None) }
    }

    /// Checks a call's metadata against the certificate and this node; the caller's raft node id.
    pub(crate) fn check(
        &self,
        identity: &Identity,
        members: &Members,
        metadata: &MetadataMap,
    ) -> Result<u64, RpcError> {
        let refused = |text: String| Err(RpcError::Refused(text));
        let Some((number, cluster)) = &self.node else {
            return refused("no certificate of the cluster: run `zcluster join` first".into());
        };
        if *cluster != identity.cluster || text(metadata, CLUSTER_KEY) != Some(identity.cluster.as_str()) {
            return refused(format!("this node belongs to cluster {}, the caller to {cluster}", identity.cluster));
        }
        let (Some(from), Some(to), Some(boot)) =
            (number_of(metadata, FROM_KEY), number_of(metadata, TO_KEY), number_of(metadata, BOOT_KEY))
        else {
            return refused("the call does not say who it is from and to".into());
        };
        if node_number(from) != *number {
            return refused(format!("the certificate is node {number}'s, the call says node {}", node_number(from)));
        }
        if to != identity.id {
            return refused(wrong_target(to, identity.id));
        }
        members.check(from)?;
        self.enter(*number, from, boot)?;
        Ok(from)
    }

    fn enter(&self, number: u32, from: u64, boot: u64) -> Result<(), RpcError> {
        let mut checked = self.checked.lock();
        if let Some((known_from, known_boot, _)) = &*checked {
            return if (*known_from, *known_boot) == (from, boot) {
                Ok(())
            } else {
                Err(RpcError::Refused("the caller changed within one connection".into()))
            };
        }
        *checked = Some((from, boot, self.sessions.enter(number, boot)?));
        Ok(())
    }
}

fn wrong_target(to: u64, here: u64) -> String {
    if node_number(to) == node_number(here) {
        format!(
            "this is node {} incarnation {}, the call is for incarnation {}",
            node_number(here),
            here & 0xffff,
            to & 0xffff
        )
    } else {
        format!(
            "this is node {}, the call is for node {}: check the advertised addresses",
            node_number(here),
            node_number(to)
        )
    }
}

fn text<'a>(metadata: &'a MetadataMap, key: &str) -> Option<&'a str> {
    metadata.get(key)?.to_str().ok()
}

fn number_of(metadata: &MetadataMap, key: &str) -> Option<u64> {
    text(metadata, key)?.parse().ok()
}
