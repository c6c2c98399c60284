//! Receiving: rows into a new generation beside the present state.

use super::{Chunk, HASH, Manifest, link, open};
use crate::engine::{Batch, Column, StateEngine};
use crate::keys;
use crate::meta::damaged;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use zcluster_api::GroupId;
use zcluster_raft::SnapshotSink;

/// A snapshot being received. Unfinished, its rows are removed when it is dropped, or at the next start.
pub struct Sink {
    engine: Arc<dyn StateEngine>,
    group: GroupId,
    generation: u32,
    manifest: Manifest,
    next: u64,
    rows: u64,
    chain: [u8; HASH],
    ended: bool,
    kept: bool,
}

impl Sink {
    /// Begins to receive into `generation`, which must be free.
    pub fn new(engine: Arc<dyn StateEngine>, group: GroupId, generation: u32, manifest: Manifest) -> Self {
        Sink { engine, group, generation, manifest, next: 0, rows: 0, chain: [0; HASH], ended: false, kept: false }
    }
    /// What is being received.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
    /// Says that everything has come; returns the generation, which is the caller's from now on.
    ///
    /// # Errors
    /// `InvalidData` when the end is missing.
    pub fn complete(mut self) -> io::Result<u32> {
        if !self.ended {
            return Err(damaged("snapshot ended early"));
        }
        self.kept = true;
        Ok(self.generation)
    }
}

/// A batch that removes a whole generation.
pub fn removal(group: GroupId, generation: u32) -> Batch {
    let mut batch = Batch::new();
    let (from, to) = keys::generation(group, generation);
    for column in Column::ALL {
        batch.delete_range(column, from.clone(), to.clone());
    }
    batch
}

impl SnapshotSink for Sink {
    fn put(&mut self, n: u64, chunk: Bytes) -> io::Result<()> {
        if n != self.next || self.ended {
            return Err(damaged(format!("snapshot chunk {n} where {} was due", self.next)));
        }
        self.next += 1;
        match open(&chunk)? {
            Chunk::End { rows, chain } => {
                if rows != self.rows || chain != self.chain {
                    return Err(damaged("snapshot is not whole"));
                }
                self.ended = true;
                Ok(())
            }
            Chunk::Rows(rows) => {
                self.chain = link(self.chain, &chunk);
                self.rows += rows.len() as u64;
                let mut batch = Batch::new();
                for (column, key, value) in rows {
                    let Some((table, key)) = key.split_first() else {
                        return Err(damaged("snapshot row without table"));
                    };
                    batch.put(column, keys::row(self.group, self.generation, *table, key), value);
                }
                self.engine.write(batch)
            }
        }
    }
    fn as_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = self.engine.write(removal(self.group, self.generation))
        {
            tracing::warn!(group = self.group.0, %error, "rows of an unfinished snapshot were left behind");
        }
    }
}
