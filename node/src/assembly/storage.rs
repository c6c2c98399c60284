//! The databases, and what happens when they have lost data.

use super::network;
use crate::config::Config;
use crate::datadir::{DataDir, NodeFile};
use crate::texts::Files;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::text::FileReader;
use zcluster_api::{NodeId, TextIndexes};
use zcluster_raft::log::{RocksLog, RocksOptions};
use zcluster_raft::{Fatal, Fence, FenceState, LogEngine};
use zcluster_replica::{Replicas, RocksConfig, TextConfig};
use zcluster_rpc::FaultSwitch;

/// The node's databases.
pub struct Storage {
    /// The log of all groups.
    pub log: Arc<RocksLog>,
    /// The state of all groups.
    pub replicas: Arc<Replicas>,
    /// The indexes of texts, where they are kept.
    pub texts: Option<Arc<dyn TextIndexes>>,
    /// Where failures are reported.
    pub fatal: Fatal,
}

impl Storage {
    /// Keeps the indexes of texts up to date from here on.
    pub fn run_texts(&self, config: &Config) {
        if self.texts.is_some() {
            let every = Duration::from_secs(config.search.every_seconds);
            self.replicas.run_texts(TextConfig { every, parallel: config.search.parallel });
        }
    }

    /// What raft is told.
    pub fn raft_config(&self, node: NodeId, config: &Config) -> zcluster_raft::Config {
        let mut raft = zcluster_raft::Config::new(node.0);
        raft.heartbeat = Duration::from_millis(config.raft.heartbeat_ms);
        raft.heartbeat_quiet = raft.heartbeat / 2;
        raft.election_min = Duration::from_millis(config.raft.election_min_ms);
        raft.election_max = Duration::from_millis(config.raft.election_max_ms);
        raft
    }

    /// Makes everything durable. The groups are stopped and the log is closed already.
    ///
    /// # Errors
    /// The disk.
    pub async fn close(self) -> Result<()> {
        let replicas = self.replicas;
        Ok(zcluster_runtime::spawn_blocking(move || replicas.flush()).await??)
    }
}

/// Opens the databases. A log that has lost synced data is thrown away: the node takes a new incarnation, makes itself
/// known under it, and gets everything from the others.
///
/// # Errors
/// The disk; or data was lost and nobody is there to get it from.
pub async fn open(dir: &DataDir, node: &mut NodeFile, config: &Config, faults: Option<FaultSwitch>) -> Result<Storage> {
    let fatal = Fatal::new();
    // Looked at before anything is created: a start that fails must leave what it found for the next one to find.
    let missing = [(dir.fence(), "the fence file is gone"), (dir.state(), "the state database is gone")];
    let gone = missing.iter().find(|(path, _)| node.started && !path.exists()).map(|(_, what)| what.to_string());
    let opened = match gone {
        Some(gone) => Err(gone),
        None => open_checked(dir, node, &fatal)?,
    };
    let (fence, log) = match opened {
        Ok(opened) => opened,
        Err(lost) => {
            start_anew(dir, node, &lost, faults).await?;
            (Fence::open(&dir.fence())?, open_log(dir, &fatal)?)
        }
    };
    log.keep_fence(fence)?;
    let rocks = RocksConfig {
        cache_bytes: usize::try_from(config.storage.cache_bytes)?,
        write_buffer_bytes: usize::try_from(config.storage.write_buffer_bytes / 4)?,
        write_buffers_bytes: usize::try_from(config.storage.write_buffer_bytes)?,
        ..RocksConfig::default()
    };
    let replicas = Replicas::open(&dir.state(), &rocks, fatal.clone()).context("the state database")?;
    replicas.limit_indexes(usize::try_from(config.storage.folder_index_bytes)?);
    let texts = keep_texts(dir, config, &replicas)?;
    Ok(Storage { log: Arc::new(log), replicas, texts, fatal })
}

/// Opens the indexes of texts.
fn keep_texts(dir: &DataDir, config: &Config, replicas: &Replicas) -> Result<Option<Arc<dyn TextIndexes>>> {
    if !config.search.index {
        return Ok(None);
    }
    let writer_bytes = usize::try_from(config.search.writer_bytes)?;
    let settings = zcluster_search::Settings { writer_bytes, ..zcluster_search::Settings::default() };
    let texts: Arc<dyn TextIndexes> = Arc::new(zcluster_search::Indexes::new(dir.texts(), settings));
    let files = Files::new(config).map(|files| files as Arc<dyn FileReader>);
    let kept = replicas.set_texts(texts.clone(), files);
    kept.context("the indexes of texts")?;
    Ok(Some(texts))
}

/// The fence and the log, or what the log has lost.
fn open_checked(dir: &DataDir, node: &mut NodeFile, fatal: &Fatal) -> Result<Result<(Fence, RocksLog), String>> {
    let fence = Fence::open(&dir.fence()).context("the fence file")?;
    if let Ok(incarnation) = u16::try_from(fence.incarnation()) {
        node.incarnation = node.incarnation.max(incarnation);
    }
    let log = open_log(dir, fatal)?;
    match fence.check(log.sequence()) {
        FenceState::Ok => Ok(Ok((fence, log))),
        FenceState::LostData { fenced, recovered } => {
            log.close()?;
            Ok(Err(format!("the log was synced up to {fenced} but reaches only {recovered}")))
        }
    }
}

fn open_log(dir: &DataDir, fatal: &Fatal) -> Result<RocksLog> {
    RocksLog::open(&dir.log(), RocksOptions::default(), fatal.clone()).context("the log database")
}

/// A voter without the entries it has acknowledged could undo them: its old id never votes again.
async fn start_anew(dir: &DataDir, node: &mut NodeFile, lost: &str, faults: Option<FaultSwitch>) -> Result<()> {
    tracing::error!(reason = lost, "this disk has lost data that was acknowledged");
    if node.peers.keys().all(|id| zcluster_rpc::node_number(*id) == node.number) {
        bail!(
            "{} has lost data that was acknowledged ({lost}), and no other node is known to get it from. Restore the \
             data directory from a backup",
            dir.path().display()
        );
    }
    let old = node.id();
    let Some(incarnation) = node.incarnation.checked_add(1) else {
        bail!("node {} has used up its incarnations: join with an empty data directory", node.number);
    };
    let renewed = NodeFile { incarnation, ..node.clone() };
    network::rejoin(dir, &renewed, old, faults).await.with_context(|| {
        format!(
            "{} has lost data that was acknowledged ({lost}). The node must be admitted anew and get its data from the \
             others, but that failed; start it again when they can be reached",
            dir.path().display()
        )
    })?;
    for database in [dir.log(), dir.state()] {
        if database.exists() {
            std::fs::remove_dir_all(&database).with_context(|| format!("cannot remove {}", database.display()))?;
        }
    }
    Fence::open(&dir.fence())?.renew(u64::from(incarnation))?;
    *node = renewed;
    dir.write_node(node)?;
    tracing::warn!(incarnation, "the node starts anew and gets its data from the others");
    Ok(())
}
