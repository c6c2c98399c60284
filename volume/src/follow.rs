//! Keeps the open volumes as the directory has them.

use crate::config::{ATTRIBUTE, Credentials, DEFAULT_ATTRIBUTE, SECRET_PREFIX, VolumeConfig};
use crate::stores::Stores;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Attributes, Secret};
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Error, Freshness, Result};
use zcluster_runtime::sleep;

/// How often it is looked whether the directory has changed.
const EVERY: Duration = Duration::from_secs(1);

/// The volumes that global config names; values that are none are told in the log and left out.
pub fn volumes_of(config: &Attributes) -> Vec<VolumeConfig> {
    let mut out: Vec<VolumeConfig> = Vec::new();
    for text in config.all(ATTRIBUTE) {
        match VolumeConfig::parse(text) {
            Ok(volume) if out.iter().any(|v| v.name == volume.name) => {
                tracing::warn!(volume = volume.name, "{ATTRIBUTE} has two volumes of this name; the first counts");
            }
            Ok(volume) => out.push(volume),
            Err(error) => tracing::warn!(%error, "a value of {ATTRIBUTE} is no volume"),
        }
    }
    out
}

/// A volume's credentials; empty: it has none of its own.
///
/// # Errors
/// The directory's.
pub async fn credentials(directory: &dyn DirectoryApi, name: &str, freshness: Freshness) -> Result<Credentials> {
    match directory.read(DirectoryQuery::Secret(format!("{SECRET_PREFIX}{name}")), freshness).await {
        Ok(DirectoryReply::Secret(Secret(bytes), _)) => Credentials::from_bytes(&bytes),
        Ok(other) => Err(Error::Internal(format!("unexpected reply {other:?}"))),
        Err(Error::NotFound(_)) => Ok(Credentials::default()),
        Err(error) => Err(error),
    }
}

/// Opens what the directory names now.
///
/// # Errors
/// The directory's; nothing has changed then.
pub async fn refresh(stores: &Stores, directory: &dyn DirectoryApi) -> Result<()> {
    let cluster = match directory.read(DirectoryQuery::Cluster, Freshness::AsIs).await? {
        DirectoryReply::Cluster(cluster) => cluster,
        other => return Err(Error::Internal(format!("unexpected reply {other:?}"))),
    };
    let mut volumes = Vec::new();
    for volume in volumes_of(&cluster.config) {
        let own = credentials(directory, &volume.name, Freshness::AsIs).await?;
        volumes.push((volume, own));
    }
    stores.apply(&cluster.id, volumes, cluster.config.get(DEFAULT_ATTRIBUTE).map(str::to_string));
    Ok(())
}

/// Follows the directory's changes; runs until it is dropped.
pub async fn run(stores: Arc<Stores>, directory: Arc<dyn DirectoryApi>) {
    let mut seen = None;
    loop {
        let version = directory.version();
        if version.is_none() || version != seen {
            match refresh(&stores, directory.as_ref()).await {
                Ok(()) => seen = version,
                // A node that has just joined has no directory yet.
                Err(error) => tracing::debug!(%error, "cannot read which volumes there are"),
            }
        }
        sleep(EVERY).await;
    }
}
