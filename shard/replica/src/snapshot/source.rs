//! Sending: a view of a generation, cut into chunks.

use super::{CHUNK_TARGET, FORMAT, HASH, KIND_ROWS, Manifest, begin, end, link, push_row, seal};
use crate::engine::{Column, Reader};
use crate::keys::{self, PREFIX};
use crate::meta::{self, Meta};
use bytes::Bytes;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use zcluster_api::{GroupId, codec};
use zcluster_raft::{Applied, SnapshotSource};
use zcluster_runtime::planted::{Bug, planted};
use zcluster_state::Table;

/// Bytes of group and generation in front of a key; the table byte and the row's key are sent.
const STRIP: usize = PREFIX - 1;

/// A consistent view of a group, read in chunks while it goes on changing.
pub struct Source {
    view: Arc<dyn Reader>,
    group: GroupId,
    meta: Meta,
    manifest: Bytes,
    progress: Mutex<Progress>,
}

/// Where each chunk began, so that any chunk sent before can be read again.
struct Progress {
    starts: Vec<Start>,
    /// The chunk that ends the snapshot, once it is known.
    end: Option<u64>,
}

#[derive(Clone)]
struct Start {
    column: usize,
    from: Vec<u8>,
    rows: u64,
    chain: [u8; HASH],
}

impl Source {
    /// Prepares a snapshot of `group` as `view` shows it.
    ///
    /// # Errors
    /// The disk.
    pub fn new(view: Arc<dyn Reader>, group: GroupId) -> io::Result<Self> {
        let meta = meta::read(view.as_ref(), group)?;
        let manifest = Manifest {
            format: FORMAT,
            group,
            generation: meta.generation,
            applied: meta.applied.last.map(Into::into),
            tables: tables(view.as_ref(), group, meta.generation)?,
        };
        let manifest = codec::encode(&manifest).into();
        let start = Start { column: 0, from: keys::generation(group, meta.generation).0, rows: 0, chain: [0; HASH] };
        Ok(Source { view, group, meta, manifest, progress: Mutex::new(Progress { starts: vec![start], end: None }) })
    }

    /// Reads rows from `start` until the chunk is full; says where the next one begins.
    fn read(&self, start: &Start) -> io::Result<(Vec<u8>, Start)> {
        let to = keys::after(self.group, self.meta.generation);
        let mut out = begin(CHUNK_TARGET + (CHUNK_TARGET >> 2));
        let mut next = start.clone();
        while let Some(column) = Column::ALL.get(next.column) {
            for row in self.view.scan(*column, &next.from, &to, false) {
                let (key, value) = row?;
                if planted(Bug::ReplyCacheLostInSnapshot) && key.get(STRIP) == Some(&Table::Reply.code()) {
                    continue;
                }
                if out.len() >= CHUNK_TARGET {
                    next.from = key;
                    return Ok((out, next));
                }
                push_row(&mut out, *column, key.get(STRIP..).unwrap_or_default(), &value)?;
                next.rows += 1;
            }
            next.column += 1;
            next.from = keys::generation(self.group, self.meta.generation).0;
        }
        Ok((out, next))
    }
}

/// The tables that have rows, found by one seek each.
fn tables(view: &dyn Reader, group: GroupId, generation: u32) -> io::Result<Vec<u8>> {
    let (start, to) = keys::generation(group, generation);
    let mut found = std::collections::BTreeSet::new();
    for column in Column::ALL {
        let mut from = start.clone();
        while let Some(row) = view.scan(column, &from, &to, false).next() {
            let (key, _) = row?;
            let Some(table) = key.get(STRIP) else { break };
            found.insert(*table);
            from = keys::after_table(group, generation, *table);
        }
    }
    Ok(found.into_iter().collect())
}

impl SnapshotSource for Source {
    fn applied(&self) -> Applied {
        self.meta.applied.clone()
    }
    fn manifest(&self) -> Bytes {
        self.manifest.clone()
    }
    fn chunk(&self, n: u64) -> io::Result<Option<Bytes>> {
        let (start, last) = {
            let p = self.progress.lock();
            if p.end.is_some_and(|e| n > e) {
                return Ok(None);
            }
            let at = usize::try_from(n).ok().and_then(|n| p.starts.get(n)).cloned();
            (at.ok_or_else(|| io::Error::other("snapshot chunks must be asked for in order"))?, p.end)
        };
        if last == Some(n) || start.column >= Column::ALL.len() {
            self.progress.lock().end = Some(n);
            return Ok(Some(end(start.rows, start.chain)));
        }
        let (out, mut next) = self.read(&start)?;
        if next.rows == start.rows {
            // No row was left: this chunk is the end.
            self.progress.lock().end = Some(n);
            return Ok(Some(end(start.rows, start.chain)));
        }
        let chunk = seal(KIND_ROWS, out);
        next.chain = link(start.chain, &chunk);
        let mut p = self.progress.lock();
        if p.starts.len() as u64 == n + 1 {
            p.starts.push(next);
        }
        Ok(Some(chunk))
    }
}
