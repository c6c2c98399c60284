//! Volumes: added when every node reaches the same place, shown as every node sees them, measured from every node.

mod policy;
mod work;

pub use work::volume;

use crate::volumes::Asking;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::VolumeUse;
use zcluster_volume::trial::Measured;
use zcluster_volume::{Credentials, Stores};

/// What the handlers need of volumes.
pub struct VolumeAdmin {
    /// The open ones.
    pub stores: Arc<Stores>,
    /// The way to other nodes.
    pub asking: Asking,
    /// Who knows whether bodies lie on a volume.
    pub usage: Arc<dyn VolumeUse>,
}

/// `POST /v1/volume`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeAction {
    /// Tell.
    List,
    /// Make a place a volume of this cluster.
    Add {
        /// `name=... url=...` and options.
        volume: String,
        /// To get in.
        credentials: Credentials,
        /// Bodies go there from now on.
        default: bool,
        /// Also when not every node reaches it, or something lies there already.
        force: bool,
    },
    /// Show the store other credentials from now on.
    Credentials {
        /// The volume.
        name: String,
        /// To get in; none: those of each node's environment.
        credentials: Credentials,
        /// Also when not every node gets in with them.
        force: bool,
    },
    /// Where bodies go from now on; none: they stay in their shards.
    Default {
        /// The volume.
        name: Option<String>,
    },
    /// Forget a volume on which nothing lies.
    Remove {
        /// The volume.
        name: String,
        /// Also when it cannot be asked whether something lies there.
        force: bool,
    },
    /// Measure, node after node.
    Test {
        /// The volume.
        name: String,
        /// Small objects.
        small: usize,
        /// Large objects.
        large: usize,
    },
    /// Which bodies go there by age, size, flags and folder.
    Policy {
        /// The volume.
        name: String,
        /// In Zimbra's form, `types:query`; none: these go there no more.
        policy: Option<String>,
        /// Only for this COS; none: for all that have none of their own.
        cos: Option<String>,
    },
    /// Have everything moved away from a volume.
    Drain {
        /// The volume.
        name: String,
        /// Not any more.
        stop: bool,
    },
}

/// A volume as shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct VolumeShown {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Further options.
    pub options: BTreeMap<String, String>,
    /// Names of the credentials that are kept for it; none: those of each node's environment.
    pub credentials: Vec<String>,
    /// Whether bodies go there.
    pub default: bool,
    /// How nodes see it.
    pub nodes: Vec<NodeSees>,
    /// It is being emptied.
    #[serde(default)]
    pub drained: bool,
    /// What goes there by policy; those of a COS with its name.
    #[serde(default)]
    pub policies: Vec<String>,
}

/// How a node sees a volume.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeSees {
    /// Node number.
    pub node: u32,
    /// None: all is well.
    pub trouble: Option<String>,
}

/// What a node measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeMeasured {
    /// Node number.
    pub node: u32,
    /// What it found.
    pub measured: Option<Measured>,
    /// Why it found nothing.
    pub error: Option<String>,
}

/// Answer to [`VolumeAction`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct VolumeReply {
    /// The volumes.
    pub volumes: Vec<VolumeShown>,
    /// What was measured.
    pub nodes: Vec<NodeMeasured>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// To [`VolumeAction::Drain`]: bodies that still lie there, and objects still to be deleted.
    #[serde(default)]
    pub left: Option<u64>,
}
