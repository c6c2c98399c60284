//! Connections that are kept for a while.

use ldap3::Ldap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;
use zcluster_runtime::Instant;

/// URL, and whether StartTLS is wanted.
type Server = (String, bool);
/// Since when it is idle.
type Idle = (Instant, Ldap);

/// Servers that connections are kept to.
const SERVERS_MAX: usize = 256;

pub(crate) struct Pool {
    idle_max: usize,
    idle_time: Duration,
    idle: Mutex<BTreeMap<Server, VecDeque<Idle>>>,
}

impl Pool {
    pub(crate) fn new(idle_max: usize, idle_time: Duration) -> Self {
        Pool { idle_max, idle_time, idle: Mutex::default() }
    }

    /// One that is still open, the one that was used last.
    pub(crate) fn take(&self, url: &str, start_tls: bool) -> Option<Ldap> {
        let mut idle = self.idle.lock().ok()?;
        let kept = idle.get_mut(&(url.to_string(), start_tls))?;
        while let Some((since, mut ldap)) = kept.pop_back() {
            if since.elapsed() < self.idle_time && !ldap.is_closed() {
                return Some(ldap);
            }
        }
        None
    }

    pub(crate) fn put(&self, url: &str, start_tls: bool, ldap: Ldap) {
        let Ok(mut idle) = self.idle.lock() else { return };
        let key = (url.to_string(), start_tls);
        if idle.len() >= SERVERS_MAX && !idle.contains_key(&key) {
            idle.clear();
        }
        let kept = idle.entry(key).or_default();
        kept.push_back((Instant::now(), ldap));
        while kept.len() > self.idle_max || kept.front().is_some_and(|(since, _)| since.elapsed() >= self.idle_time) {
            kept.pop_front();
        }
    }
}
