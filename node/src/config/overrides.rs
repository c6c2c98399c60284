//! What the command line says above the file.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What the command line says about where a node is; stands above the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// Moves all ports.
    pub base_port: Option<u16>,
    /// Address to bind.
    pub listen: Option<IpAddr>,
    /// Name or address to tell others.
    pub advertise: Option<String>,
}

impl Overrides {
    /// Moved ports are for tests and demos: without a word on where to listen, they stay on this machine.
    pub fn with_defaults(self) -> Overrides {
        let listen = self.listen.or(self.base_port.map(|_| IpAddr::V4(Ipv4Addr::LOCALHOST)));
        Overrides { listen, ..self }
    }

    /// `newer` where it says something, else `self`.
    pub fn with(self, newer: Overrides) -> Overrides {
        Overrides {
            config: newer.config.or(self.config),
            base_port: newer.base_port.or(self.base_port),
            listen: newer.listen.or(self.listen),
            advertise: newer.advertise.or(self.advertise),
        }
    }
}
