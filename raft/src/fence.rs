//! The fence: a small file beside the log that says how far the log was synced.
//!
//! A voter that comes back without entries it had acknowledged can un-commit mail. RocksDB cannot tell a log that
//! ends early from one that was cut by a broken disk or a restored backup, so once a second the sequence number of
//! the last synced batch is written, and synced, to another file. A log that recovers to less than that has lost
//! data: the node must not vote under its old id again, but take a new incarnation and come back as a learner.

use crate::Fatal;
use crate::codec::{Reader, Writer};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// First bytes of a slot.
const MAGIC: &[u8; 8] = b"zcfence1";
/// A slot's place: slots are written in turn, and never share a sector, so that a torn write leaves the other whole.
const SLOT_BYTES: u64 = 4096;
/// Magic, counter, incarnation, sequence, checksum.
const RECORD_BYTES: usize = 8 + 8 + 8 + 8 + 4;
/// How often the fence follows the log.
const FENCE_EVERY: Duration = Duration::from_secs(1);

/// What the fence says about a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceState {
    /// The log holds everything the fence knows of.
    Ok,
    /// Synced data is gone. Take a new incarnation ([`Fence::renew`]) and drop the log and all state.
    LostData {
        /// How far the log was synced once.
        fenced: u64,
        /// How far it reaches now.
        recovered: u64,
    },
}

/// The fence file.
pub struct Fence {
    file: File,
    /// Writes so far; the slot with the higher one counts.
    counter: u64,
    incarnation: u64,
    sequence: u64,
    /// There was no fence before.
    fresh: bool,
}

impl Fence {
    /// Opens the fence, or makes one (incarnation 0) where there is none.
    ///
    /// # Errors
    /// The disk, or a file in which neither slot is whole.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            let mut fence = Self { file, counter: 0, incarnation: 0, sequence: 0, fresh: true };
            fence.write()?;
            if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
                File::open(dir)?.sync_all()?;
            }
            return Ok(fence);
        }
        let bytes = Bytes::from(bytes);
        let slots = [0, SLOT_BYTES as usize].map(|at| parse(bytes.get(at..at + RECORD_BYTES)));
        match slots.into_iter().flatten().max() {
            Some((counter, incarnation, sequence)) => Ok(Self { file, counter, incarnation, sequence, fresh: false }),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "the fence file is damaged")),
        }
    }

    /// Compares the fence with what the log recovered to (see `RocksLog::sequence`), before anything is written.
    pub fn check(&self, recovered: u64) -> FenceState {
        // A log without its fence may be older than the fence was: it counts as lost.
        let lost = if self.fresh { recovered > 0 } else { recovered < self.sequence };
        if lost { FenceState::LostData { fenced: self.sequence, recovered } } else { FenceState::Ok }
    }

    /// The incarnation of this disk.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Begins a new incarnation, for a log that starts anew.
    ///
    /// # Errors
    /// The disk.
    pub fn renew(&mut self, incarnation: u64) -> io::Result<()> {
        self.incarnation = incarnation;
        self.sequence = 0;
        self.write()
    }

    fn advance(&mut self, sequence: u64) -> io::Result<()> {
        if sequence <= self.sequence {
            return Ok(());
        }
        self.sequence = sequence;
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        self.counter += 1;
        self.fresh = false;
        let mut w = Writer::with_capacity(RECORD_BYTES);
        w.raw(MAGIC);
        w.u64(self.counter);
        w.u64(self.incarnation);
        w.u64(self.sequence);
        let mut record = w.finish().to_vec();
        record.extend_from_slice(&crc32c::crc32c(&record).to_be_bytes());
        self.file.write_all_at(&record, (self.counter % 2) * SLOT_BYTES)?;
        self.file.sync_all()
    }
}

/// Counter, incarnation and sequence of a whole slot.
fn parse(slot: Option<&[u8]>) -> Option<(u64, u64, u64)> {
    let (body, sum) = slot?.split_at_checked(RECORD_BYTES - 4)?;
    if crc32c::crc32c(body).to_be_bytes() != sum || !body.starts_with(MAGIC) {
        return None;
    }
    let mut r = Reader::new(Bytes::copy_from_slice(&body[MAGIC.len()..]));
    Some((r.u64().ok()?, r.u64().ok()?, r.u64().ok()?))
}

/// A thread that keeps a fence in step with a log.
pub(crate) struct FenceKeeper {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<io::Result<()>>,
}

impl FenceKeeper {
    #[allow(clippy::disallowed_methods, reason = "the fence's disk is an edge: it has a thread of its own")]
    pub(crate) fn start(fence: Fence, synced: Arc<AtomicU64>, fatal: Fatal) -> io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = stop.clone();
        let thread = std::thread::Builder::new().name("raft-fence".into()).spawn(move || {
            let result = follow(fence, &synced, &theirs);
            if let Err(e) = &result {
                fatal.report(format!("writing the fence failed: {e}"));
            }
            result
        })?;
        Ok(Self { stop, thread })
    }

    /// Writes the fence a last time. The log must be closed before.
    pub(crate) fn stop(self) -> io::Result<()> {
        *self.stop.0.lock() = true;
        self.stop.1.notify_one();
        self.thread.join().map_err(|_| io::Error::other("the fence keeper panicked"))?
    }
}

fn follow(mut fence: Fence, synced: &AtomicU64, stop: &(Mutex<bool>, Condvar)) -> io::Result<()> {
    loop {
        let stopping = {
            let mut stopping = stop.0.lock();
            if !*stopping {
                stop.1.wait_for(&mut stopping, FENCE_EVERY);
            }
            *stopping
        };
        fence.advance(synced.load(Ordering::Acquire))?;
        if stopping {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_behind_its_fence_has_lost_data() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("FENCE");
        let mut fence = Fence::open(&path).unwrap();
        assert_eq!(fence.check(0), FenceState::Ok);
        fence.advance(10).unwrap();
        fence.advance(20).unwrap();
        drop(fence);
        let mut fence = Fence::open(&path).unwrap();
        assert_eq!(fence.check(20), FenceState::Ok);
        assert_eq!(fence.check(19), FenceState::LostData { fenced: 20, recovered: 19 });
        fence.renew(3).unwrap();
        let fence = Fence::open(&path).unwrap();
        assert_eq!((fence.check(0), fence.incarnation()), (FenceState::Ok, 3));
    }

    #[test]
    fn a_torn_slot_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("FENCE");
        let mut fence = Fence::open(&path).unwrap();
        for sequence in 1..10 {
            fence.advance(sequence).unwrap();
            let whole = std::fs::read(&path).unwrap();
            // Tear the slot written last at every byte: the one before it must count.
            let at = ((fence.counter % 2) * SLOT_BYTES) as usize;
            for byte in 0..RECORD_BYTES {
                let mut torn = whole.clone();
                torn[at + byte] ^= 0xff;
                let copy = dir.path().join("COPY");
                std::fs::write(&copy, torn).unwrap();
                let read = Fence::open(&copy).unwrap();
                assert_eq!(read.sequence, sequence - 1);
            }
        }
    }

    #[test]
    fn a_log_without_fence_is_suspect() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("FENCE");
        let fence = Fence { fresh: true, ..Fence::open(&path).unwrap() };
        assert!(matches!(fence.check(5), FenceState::LostData { .. }));
    }
}
