//! Who may come in.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of one listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address; 0 = no limit. Loopback is not counted: proxies and tests live there.
    pub max_per_ip: usize,
    /// Connections the kernel keeps for us before they are accepted.
    pub backlog: u32,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a client may refuse to take any byte.
    pub write_timeout: Duration,
    /// How long sessions may go on after the node was asked to stop.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 20_000,
            max_per_ip: 1_000,
            backlog: 1_024,
            handshake_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The listener is full.
    TooMany,
    /// This client address has too many already.
    TooManyFromAddress,
    /// The node stops.
    ShuttingDown,
}

impl Refusal {
    /// A word for metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::TooMany => "connections",
            Refusal::TooManyFromAddress => "connections_per_ip",
            Refusal::ShuttingDown => "shutdown",
        }
    }
}

/// Counts who is in.
#[derive(Default)]
pub(crate) struct Gate(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    total: usize,
    by_ip: BTreeMap<IpAddr, usize>,
}

/// One place inside; given back when dropped.
pub(crate) struct Place {
    gate: Arc<Gate>,
    counted: Option<IpAddr>,
}

impl Gate {
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr, limits: &Limits) -> Result<Place, Refusal> {
        // An IPv4 client of a dual-stack socket is the same client.
        let ip = ip.to_canonical();
        let mut inside = self.0.lock();
        if inside.total >= limits.max_connections {
            return Err(Refusal::TooMany);
        }
        let counted = inside.count(ip, limits)?;
        inside.total += 1;
        Ok(Place { gate: self.clone(), counted })
    }

    pub(crate) fn inside(&self) -> usize {
        self.0.lock().total
    }
}

impl Place {
    /// Counts the place for another client address than the one it was entered from: a proxy has said who it is.
    pub(crate) fn move_to(&mut self, ip: IpAddr, limits: &Limits) -> Result<(), Refusal> {
        let mut inside = self.gate.0.lock();
        inside.leave(self.counted.take());
        self.counted = inside.count(ip.to_canonical(), limits)?;
        Ok(())
    }
}

impl Inside {
    fn count(&mut self, ip: IpAddr, limits: &Limits) -> Result<Option<IpAddr>, Refusal> {
        if limits.max_per_ip == 0 || ip.is_loopback() {
            return Ok(None);
        }
        let mine = self.by_ip.entry(ip).or_default();
        if *mine >= limits.max_per_ip {
            return Err(Refusal::TooManyFromAddress);
        }
        *mine += 1;
        Ok(Some(ip))
    }

    fn leave(&mut self, counted: Option<IpAddr>) {
        let Some(ip) = counted else { return };
        if let Some(mine) = self.by_ip.get_mut(&ip) {
            *mine -= 1;
            if *mine == 0 {
                self.by_ip.remove(&ip);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.gate.0.lock();
        inside.total -= 1;
        inside.leave(self.counted);
    }
}
