//! All volumes of the cluster, as this node reaches them.

use crate::cache::CacheConfig;
use crate::config::{Credentials, VolumeConfig};
use crate::limits::Limits;
use crate::reading::Reading;
use crate::store::Store;
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use zcluster_api::volume::{OBJECT_MAX, Requests, check_object_name};
use zcluster_api::{Error, Listed, Result, Volumes};
use zcluster_runtime::spawn_blocking;

/// The open volumes. Which they are may change at any time ([`apply`](Stores::apply), [`crate::follow`]).
pub struct Stores {
    limits: Limits,
    cache: CacheConfig,
    /// Made with the first read: most clusters have no volume.
    reading: Arc<OnceLock<Reading>>,
    open: ArcSwap<Open>,
}

#[derive(Default)]
struct Open {
    /// The cluster's id; empty until the directory was read.
    cluster: String,
    volumes: BTreeMap<String, Result<Arc<Store>, String>>,
    default: Option<String>,
}

/// How a volume is seen from this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its name.
    pub name: String,
    /// None: all is well.
    pub trouble: Option<String>,
}

impl Stores {
    /// With no volumes yet.
    pub fn new(limits: Limits, cache: CacheConfig) -> Arc<Stores> {
        Arc::new(Stores { limits, cache, reading: Arc::default(), open: ArcSwap::default() })
    }

    /// These are the volumes from now on; what did not change stays open. A value that makes no sense is a volume in
    /// trouble, not an error: the others work.
    pub fn apply(&self, cluster: &str, volumes: Vec<(VolumeConfig, Credentials)>, default: Option<String>) {
        let before = self.open.load_full();
        let same = |config: &VolumeConfig, credentials: &Credentials| {
            let store = before.volumes.get(&config.name)?.as_ref().ok()?;
            let kept = store.config == *config && store.credentials == *credentials && before.cluster == cluster;
            kept.then(|| store.clone())
        };
        let mut now = BTreeMap::new();
        for (config, credentials) in volumes {
            let name = config.name.clone();
            let opened = match same(&config, &credentials) {
                Some(store) => Ok(store),
                None => self.open_one(cluster, config, credentials),
            };
            now.insert(name, opened);
        }
        let default = default.filter(|name| now.contains_key(name));
        self.open.store(Arc::new(Open { cluster: cluster.to_string(), volumes: now, default }));
    }

    fn open_one(&self, cluster: &str, config: VolumeConfig, own: Credentials) -> Result<Arc<Store>, String> {
        let url = config.url.clone();
        let name = config.name.clone();
        match Store::open(config, own, cluster, self.limits) {
            Ok(store) => {
                tracing::info!(volume = name, url, "volume opened");
                Ok(store)
            }
            Err(error) => {
                tracing::warn!(volume = name, url, %error, "a volume cannot be opened");
                Err(crate::words(&error))
            }
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The cluster that volumes belong to.
    pub(crate) fn cluster(&self) -> String {
        self.open.load().cluster.clone()
    }

    pub(crate) fn store(&self, volume: &str) -> Result<Arc<Store>> {
        match self.open.load().volumes.get(volume) {
            Some(Ok(store)) => Ok(store.clone()),
            Some(Err(why)) => Err(Error::Unavailable(format!("volume {volume}: {why}"))),
            // Added a moment ago, on another node; or removed, but then something still refers to it.
            None => Err(Error::Unavailable(format!("this node knows no volume {volume}"))),
        }
    }

    /// What is known of each volume without asking it.
    pub fn states(&self) -> Vec<State> {
        let open = self.open.load();
        let trouble = |opened: &Result<Arc<Store>, String>| match opened {
            Ok(store) => store.away(),
            Err(why) => Some(why.clone()),
        };
        open.volumes.iter().map(|(name, opened)| State { name: name.clone(), trouble: trouble(opened) }).collect()
    }

    /// What each volume says now, if it is this cluster's volume at all.
    pub async fn check(&self) -> Vec<State> {
        let open = self.open.load_full();
        let looks = open.volumes.iter().map(|(name, opened)| async move {
            let trouble = match opened {
                Ok(store) => store.look().await.err().map(|e| crate::words(&e)),
                Err(why) => Some(why.clone()),
            };
            State { name: name.clone(), trouble }
        });
        futures::future::join_all(looks).await
    }
}

impl Volumes for Stores {
    fn read(&self, volume: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>> {
        let (store, object) = (self.store(volume), object.to_string());
        let (reading, cache) = (self.reading.clone(), self.cache.clone());
        async move {
            check_object_name(&object)?;
            if range.end.saturating_sub(range.start) > OBJECT_MAX {
                return Err(Error::TooLarge(format!("{range:?} of object {object}")));
            }
            let store = store?;
            // Opening it reads the index of what is on the disk, some megabytes.
            if reading.get().is_none() {
                let opening = reading.clone();
                let _ = spawn_blocking(move || {
                    opening.get_or_init(|| Reading::new(&cache));
                })
                .await;
            }
            let reading = reading.get().ok_or_else(|| Error::Internal("the cache did not open".into()))?;
            reading.read(&store, &object, range).await
        }
        .boxed()
    }

    fn fetch(&self, volume: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>> {
        let (store, object) = (self.store(volume), object.to_string());
        async move {
            check_object_name(&object)?;
            if range.end.saturating_sub(range.start) > OBJECT_MAX {
                return Err(Error::TooLarge(format!("{range:?} of object {object}")));
            }
            let piece = store?.get(&object, range.clone()).await?;
            match piece.bytes.len() as u64 == range.end.saturating_sub(range.start) {
                true => Ok(piece.bytes),
                false => Err(Error::NotFound(format!("so many bytes in object {object}"))),
            }
        }
        .boxed()
    }

    fn put(&self, volume: &str, object: &str, bytes: Bytes) -> BoxFuture<'static, Result<()>> {
        let (store, object) = (self.store(volume), object.to_string());
        async move {
            check_object_name(&object)?;
            if bytes.len() as u64 > OBJECT_MAX {
                return Err(Error::TooLarge(format!("object {object}: {} bytes", bytes.len())));
            }
            store?.put(&object, bytes).await
        }
        .boxed()
    }

    fn delete(&self, volume: &str, object: &str) -> BoxFuture<'static, Result<()>> {
        let (store, object) = (self.store(volume), object.to_string());
        async move {
            check_object_name(&object)?;
            store?.delete(&object).await
        }
        .boxed()
    }

    fn list(&self, volume: &str, prefix: &str, after: &str, limit: usize) -> BoxFuture<'static, Result<Vec<Listed>>> {
        let (store, prefix, after) = (self.store(volume), prefix.to_string(), after.to_string());
        async move {
            if !prefix.is_empty() {
                let folder = prefix.strip_suffix('/');
                check_object_name(folder.ok_or_else(|| Error::Invalid("a prefix ends with /".into()))?)?;
            }
            if !after.is_empty() {
                check_object_name(&after)?;
            }
            store?.list(&prefix, &after, limit).await
        }
        .boxed()
    }

    fn default_volume(&self) -> Option<String> {
        self.open.load().default.clone()
    }

    fn requests(&self) -> Requests {
        crate::store::requests()
    }

    fn names(&self) -> Vec<String> {
        self.open.load().volumes.keys().cloned().collect()
    }
}
