//! Connections that may be used again (Postfix's connection cache): a burst of messages for one destination needs one
//! handshake.

use crate::config::RelayConfig;
use crate::policy::Demand;
use crate::smtp::Connection;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::{Instant, sleep, spawn};

/// Connections kept in all.
const KEPT_MAX: usize = 256;
/// Connections kept for one destination.
const KEPT_PER_HOST_MAX: usize = 4;

struct Idle {
    connection: Connection,
    demand: Demand,
    until: Instant,
}

/// Idle connections, by destination and host.
pub struct Pool {
    idle: Arc<Mutex<BTreeMap<String, Vec<Idle>>>>,
    keep: Duration,
    per_connection: u32,
}

impl Pool {
    /// An empty one.
    pub fn new(config: &RelayConfig) -> Pool {
        Pool { idle: Arc::default(), keep: config.idle_timeout, per_connection: config.per_connection }
    }

    /// A connection that fulfils the demand.
    pub fn take(&self, key: &str, demand: &Demand) -> Option<Connection> {
        let mut idle = self.idle.lock();
        let list = idle.get_mut(key)?;
        let at = list.iter().rposition(|i| i.demand == *demand && !i.until.remaining().is_zero())?;
        let found = list.swap_remove(at);
        if list.is_empty() {
            idle.remove(key);
        }
        metrics::counter!("zcluster_relay_reused_total").increment(1);
        Some(found.connection)
    }

    /// Keeps a connection for a moment, or closes it.
    pub fn give(&self, key: &str, demand: &Demand, connection: Connection) {
        let mut idle = self.idle.lock();
        let full = idle.values().map(Vec::len).sum::<usize>() >= KEPT_MAX
            || idle.get(key).is_some_and(|list| list.len() >= KEPT_PER_HOST_MAX);
        if full || connection.carried >= self.per_connection || self.keep.is_zero() {
            drop(idle);
            spawn(connection.close());
            return;
        }
        let until = Instant::now() + self.keep;
        idle.entry(key.to_string()).or_default().push(Idle { connection, demand: demand.clone(), until });
        drop(idle);
        let (pool, key, keep) = (self.idle.clone(), key.to_string(), self.keep);
        spawn(async move {
            sleep(keep).await;
            let over: Vec<Idle> = {
                let mut idle = pool.lock();
                let Some(list) = idle.get_mut(&key) else { return };
                let over = list.extract_if(.., |i| i.until.remaining().is_zero()).collect();
                if list.is_empty() {
                    idle.remove(&key);
                }
                over
            };
            for idle in over {
                idle.connection.close().await;
            }
        });
    }
}
