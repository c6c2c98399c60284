//! Blocks on the disk: two files, one with slots of a block each, one with a line per slot that says what is in it. A
//! line's checksum covers key and bytes, so whatever a crash, a full or a failing disk leaves there, a block is either
//! what was read of the volume, or not found. Nothing is synced: it is only a copy.

use super::frequency::Frequency;
use super::{BLOCK, Key};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// Begins the index; another version is another cache.
const MAGIC: &[u8; 16] = b"zcluster cache 1";
/// Key, length (u32), checksum (32), zeros.
const LINE: usize = 64;

/// A slot, and the how many-eth block is in it: so that a late answer about an earlier one is seen to be late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    n: u32,
    turn: u32,
}

pub(super) struct Disk {
    blocks: File,
    lines: File,
    state: Mutex<Slots>,
}

struct Slots {
    slots: Vec<State>,
    places: BTreeMap<Key, u32>,
    /// Never used, or given up.
    free: Vec<u32>,
    /// Where the next victim is looked for (SIEVE: what was read since the hand came by stays).
    hand: usize,
}

#[derive(Clone, Default)]
struct State {
    key: Option<Key>,
    turn: u32,
    /// Bytes are on the disk.
    written: bool,
    /// Since the hand last came by.
    read: bool,
}

fn checksum(key: &Key, block: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key).update(block);
    *hasher.finalize().as_bytes()
}

impl Disk {
    pub(super) fn open(folder: &Path, slots: u64) -> io::Result<Disk> {
        let slots = u32::try_from(slots.min(1 << 28)).unwrap_or(1 << 28);
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let file = |name: &str| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(folder.join(name))
        };
        let (blocks, lines) = (file("blocks")?, file("index")?);
        // Another size of cache may have left more. What is missing reads as zeros, and takes no room.
        blocks.set_len(u64::from(slots) * BLOCK)?;
        let mut magic = [0; 16];
        let known = lines.read_exact_at(&mut magic, 0).is_ok() && &magic == MAGIC;
        if !known {
            lines.set_len(0)?;
            lines.write_all_at(MAGIC, 0)?;
        }
        lines.set_len((u64::from(slots) + 1) * LINE as u64)?;
        let mut state = Slots {
            slots: vec![State::default(); slots as usize],
            places: BTreeMap::new(),
            free: Vec::new(),
            hand: 0,
        };
        let mut line = [0; LINE];
        let mut reader = io::BufReader::new(&lines);
        io::Seek::seek(&mut reader, io::SeekFrom::Start(LINE as u64))?;
        for n in 0..slots {
            io::Read::read_exact(&mut reader, &mut line)?;
            let mut key = [0; 16];
            key.copy_from_slice(&line[..16]);
            if key == [0; 16] || state.places.contains_key(&key) {
                state.free.push(n);
            } else {
                state.places.insert(key, n);
                state.slots[n as usize] = State { key: Some(key), turn: 0, written: true, read: false };
            }
        }
        state.free.reverse();
        Ok(Disk { blocks, lines, state: Mutex::new(state) })
    }

    /// Where a block is.
    pub(super) fn find(&self, key: &Key) -> Option<Slot> {
        let mut state = self.state.lock();
        let n = *state.places.get(key)?;
        let slot = &mut state.slots[n as usize];
        slot.read = true;
        slot.written.then_some(Slot { n, turn: slot.turn })
    }

    /// A place for a block, if it is worth more than the one that would leave.
    pub(super) fn admit(&self, key: &Key, frequency: &Frequency) -> Option<Slot> {
        let mut state = self.state.lock();
        if state.places.contains_key(key) {
            return None;
        }
        let n = match state.free.pop() {
            Some(n) => n,
            None => state.victim(|victim| frequency.of(key) > frequency.of(victim))?,
        };
        let slot = &mut state.slots[n as usize];
        *slot = State { key: Some(*key), turn: slot.turn.wrapping_add(1), written: false, read: false };
        let turn = slot.turn;
        state.places.insert(*key, n);
        Some(Slot { n, turn })
    }

    /// Forgets a block whose bytes are not there.
    pub(super) fn give_up(&self, key: &Key, slot: Slot) {
        let mut state = self.state.lock();
        if state.places.get(key) == Some(&slot.n) && state.slots[slot.n as usize].turn == slot.turn {
            state.places.remove(key);
            state.slots[slot.n as usize].key = None;
            state.free.push(slot.n);
        }
    }

    pub(super) fn write(&self, key: &Key, slot: Slot, block: &[u8]) {
        let mut line = [0; LINE];
        line[..16].copy_from_slice(key);
        line[16..20].copy_from_slice(&(block.len() as u32).to_le_bytes());
        line[20..52].copy_from_slice(&checksum(key, block));
        let written = self.blocks.write_all_at(block, u64::from(slot.n) * BLOCK);
        let written = written.and_then(|()| self.lines.write_all_at(&line, (u64::from(slot.n) + 1) * LINE as u64));
        if let Err(error) = written {
            // A full disk, mostly: the cache goes without this block.
            metrics::counter!("zcluster_volume_cache_write_errors_total").increment(1);
            tracing::debug!(%error, "a block is not kept");
            return self.give_up(key, slot);
        }
        let mut state = self.state.lock();
        let at = &mut state.slots[slot.n as usize];
        if at.turn == slot.turn {
            at.written = true;
        }
    }

    /// The block, if what is there is it.
    pub(super) fn read(&self, key: &Key, slot: Slot) -> Option<Bytes> {
        let block = self.read_slot(key, slot.n);
        if block.is_none() {
            self.give_up(key, slot);
        }
        block
    }

    fn read_slot(&self, key: &Key, n: u32) -> Option<Bytes> {
        let mut line = [0; LINE];
        self.lines.read_exact_at(&mut line, (u64::from(n) + 1) * LINE as u64).ok()?;
        let len = u32::from_le_bytes([line[16], line[17], line[18], line[19]]);
        if line[..16] != key[..] || u64::from(len) > BLOCK {
            return None;
        }
        let mut block = vec![0; len as usize];
        self.blocks.read_exact_at(&mut block, u64::from(n) * BLOCK).ok()?;
        (line[20..52] == checksum(key, &block)).then(|| block.into())
    }
}

impl Slots {
    /// A slot whose block leaves; none: the next one to leave is to stay.
    fn victim(&mut self, gives_way: impl Fn(&Key) -> bool) -> Option<u32> {
        // Twice around: the first time may find all of them read.
        for _ in 0..2 * self.slots.len() {
            let n = self.hand;
            self.hand = (n + 1) % self.slots.len();
            let slot = &mut self.slots[n];
            // One that is being written is not taken away.
            let Some(key) = slot.key.filter(|_| slot.written) else { continue };
            if std::mem::take(&mut slot.read) {
                continue;
            }
            if !gives_way(&key) {
                return None;
            }
            self.places.remove(&key);
            return u32::try_from(n).ok();
        }
        None
    }
}
