//! The volumes of this node, and what nodes ask each other about them.

use crate::config::Config;
use crate::datadir::DataDir;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::Error;
use zcluster_rpc::{Lane, Network, RpcError, TonicNetwork};
use zcluster_volume::trial::{Measured, Trial};
use zcluster_volume::{CacheConfig, Credentials, Limits, State, Stores, VolumeConfig, words};

/// The node-to-node method.
pub const ASK: u16 = 211;
/// A peer's volumes are looked at within this time.
const LOOK_MAX: Duration = Duration::from_secs(25);
/// A trial of one node ends within this time.
pub const TRIAL_MAX: Duration = Duration::from_secs(30);
/// Measuring on one node ends within this time.
pub const MEASURE_MAX: Duration = Duration::from_secs(180);
/// Objects of each size that are measured at most.
pub const MEASURE_COUNT_MAX: usize = 1_000;

/// The volumes, with none open until [`zcluster_volume::follow::run`] has read the directory.
pub fn stores(dir: &DataDir, config: &Config) -> Arc<Stores> {
    let cache = CacheConfig {
        folder: Some(dir.volume_cache()),
        disk_bytes: config.storage.volume_cache_bytes,
        memory_bytes: config.storage.volume_memory_bytes,
    };
    Stores::new(Limits::default(), cache)
}

/// What a node is asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Question {
    /// Do you see what I left on a volume that is to be added? Leave something too.
    Try {
        /// The cluster, for the volume's mark.
        cluster: String,
        /// The volume, as its attribute tells it.
        volume: String,
        /// To get in.
        credentials: Credentials,
        /// What was left.
        name: String,
        /// What is in it.
        content: String,
    },
    /// How are your volumes?
    Look,
    /// How fast is this one?
    Measure {
        /// Its name.
        volume: String,
        /// Small objects.
        small: usize,
        /// Large objects.
        large: usize,
    },
}

/// An error of a peer, in words.
type Told<T> = Result<T, String>;

/// Content of what a node leaves that was tried.
fn content_of(node: u64) -> String {
    format!("zcluster: tried by node {node:x}\n")
}

async fn try_here(
    node: u64,
    (cluster, volume, credentials): (&str, &str, Credentials),
    (name, content): (&str, &str),
) -> zcluster_api::Result<String> {
    let trial = Trial::open(VolumeConfig::parse(volume)?, credentials, cluster)?;
    trial.find(name, content).await.map_err(elsewhere)?;
    trial.leave(&content_of(node)).await
}

/// What one node wrote is not there for another.
fn elsewhere(error: Error) -> Error {
    match error {
        Error::NotFound(_) => Error::Conflict("it sees another place: what was just written is not there".into()),
        other => other,
    }
}

/// Answers a peer.
pub fn answer(stores: &Arc<Stores>, node: u64, message: &Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
    let (stores, message) = (stores.clone(), message.clone());
    async move {
        let question: Question = serde_json::from_slice(&message)
            .map_err(|e| RpcError::Remote(format!("a question about volumes is not understood: {e}")))?;
        match question {
            Question::Try { cluster, volume, credentials, name, content } => {
                encode(&try_here(node, (&cluster, &volume, credentials), (&name, &content)).await)
            }
            Question::Look => encode(&Ok(stores.check().await)),
            Question::Measure { volume, small, large } => encode(&measure(&stores, &volume, small, large).await),
        }
    }
    .boxed()
}

fn encode<T: Serialize>(answer: &zcluster_api::Result<T>) -> Result<Bytes, RpcError> {
    let told: Told<&T> = answer.as_ref().map_err(words);
    serde_json::to_vec(&told).map(Bytes::from).map_err(|e| RpcError::Remote(e.to_string()))
}

/// Measures from this node.
///
/// # Errors
/// The volume's; `Unavailable` when it took too long.
pub async fn measure(stores: &Stores, volume: &str, small: usize, large: usize) -> zcluster_api::Result<Measured> {
    let trial = Trial::of(stores, volume)?;
    let (small, large) = (small.min(MEASURE_COUNT_MAX), large.min(MEASURE_COUNT_MAX));
    let measured = zcluster_runtime::timeout(MEASURE_MAX, trial.measure(small, large)).await;
    measured.unwrap_or_else(|_| Err(Error::Unavailable(format!("not measured in {MEASURE_MAX:?}"))))
}

/// Asks peers about volumes.
#[derive(Clone)]
pub struct Asking(Arc<TonicNetwork>);

impl Asking {
    /// Over this network.
    pub fn new(network: Arc<TonicNetwork>) -> Self {
        Asking(network)
    }

    async fn ask<T: DeserializeOwned>(&self, node: u64, question: &Question, within: Duration) -> Told<T> {
        let body = serde_json::to_vec(question).map_err(|e| e.to_string())?;
        let answer = self.0.call(node, Lane::Data, ASK, body.into(), within).await.map_err(|e| e.to_string())?;
        serde_json::from_slice::<Told<T>>(&answer).map_err(|e| format!("an unusable answer: {e}"))?
    }

    /// Has a peer try a volume; the name of what it left there.
    pub async fn try_at(&self, node: u64, question: &Question) -> Told<String> {
        self.ask(node, question, TRIAL_MAX).await
    }

    /// How a peer sees the volumes.
    pub async fn look_at(&self, node: u64) -> Told<Vec<State>> {
        self.ask(node, &Question::Look, LOOK_MAX).await
    }

    /// Measures from a peer.
    pub async fn measure_at(&self, node: u64, volume: &str, small: usize, large: usize) -> Told<Measured> {
        let question = Question::Measure { volume: volume.to_string(), small, large };
        self.ask(node, &question, MEASURE_MAX + LOOK_MAX).await
    }

    /// Clears away what a peer left, and looks whether it is there first.
    ///
    /// # Errors
    /// What is the matter, for people.
    pub async fn confirm(trial: &Trial, node: u64, name: &str) -> Told<()> {
        let found = trial.find(name, &content_of(node)).await.map_err(elsewhere);
        let cleared = trial.clear(name).await;
        found.and(cleared).map_err(|e| words(&e))
    }
}
