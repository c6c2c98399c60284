//! A folder's hot rows, turned: one list for each of their fields, messages by rising UID.

use super::super::rows::HotRow;
use super::bits::Bits;
use std::collections::BTreeMap;
use zcluster_api::{Flags, ItemId, ModSeq, UidSet};

/// Bytes that one message takes here.
pub(super) const MESSAGE_BYTES: usize = 56;
/// A set of tags that no message has any more is dropped once there are so many more sets than messages.
const SETS_MAX: usize = 1_024;

#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    pub uid: Vec<u32>,
    pub item: Vec<u32>,
    pub flags: Vec<u32>,
    /// Number in `sets`.
    pub tags: Vec<u32>,
    /// 0: none. No message has the number 0.
    pub thread: Vec<u32>,
    /// 0: none.
    pub copy_of: Vec<u32>,
    pub size: Vec<u64>,
    pub internal_ms: Vec<i64>,
    pub saved_ms: Vec<i64>,
    pub modseq: Vec<u64>,
    /// The sets of tags that messages have: many messages, few sets.
    sets: Vec<Vec<u32>>,
    numbers: BTreeMap<Vec<u32>, u32>,
}

/// What a change did to the positions of the messages.
pub(crate) struct Moved {
    /// The positions that stayed, if any went.
    pub kept: Option<Bits>,
    /// From here on messages are new.
    pub added: usize,
}

impl Columns {
    pub fn len(&self) -> usize {
        self.uid.len()
    }

    pub fn bytes(&self) -> usize {
        self.len() * MESSAGE_BYTES + self.sets.iter().map(|set| 2 * (set.len() * 4 + 48)).sum::<usize>()
    }

    /// Adds a message with a higher UID than all others.
    pub fn push(&mut self, uid: u32, row: HotRow) {
        let tags = self.set_number(row.tags);
        self.uid.push(uid);
        self.item.push(row.item.0);
        self.flags.push(row.flags.0);
        self.tags.push(tags);
        self.thread.push(row.thread.map_or(0, |t| t.0));
        self.copy_of.push(row.copy_of.map_or(0, |c| c.0));
        self.size.push(row.size);
        self.internal_ms.push(row.internal_ms);
        self.saved_ms.push(row.saved_ms);
        self.modseq.push(row.modseq.0);
    }

    fn set_number(&mut self, tags: Vec<u32>) -> u32 {
        if let Some(number) = self.numbers.get(&tags) {
            return *number;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(tags.clone());
        self.numbers.insert(tags, number);
        number
    }

    /// The message's row.
    pub fn row(&self, at: usize) -> HotRow {
        HotRow {
            item: ItemId(self.item[at]),
            modseq: ModSeq(self.modseq[at]),
            flags: Flags(self.flags[at]),
            tags: self.sets[self.tags[at] as usize].clone(),
            size: self.size[at],
            internal_ms: self.internal_ms[at],
            saved_ms: self.saved_ms[at],
            thread: Some(ItemId(self.thread[at])).filter(|i| i.0 != 0),
            copy_of: Some(ItemId(self.copy_of[at])).filter(|i| i.0 != 0),
        }
    }

    /// The messages that have the tag.
    pub fn tagged(&self, tag: u32) -> Bits {
        let with: Vec<bool> = self.sets.iter().map(|set| set.contains(&tag)).collect();
        Bits::of(&self.tags, |set| with[set as usize])
    }

    /// The messages in the set.
    pub fn among(&self, uids: &UidSet) -> Bits {
        let mut bits = Bits::all(self.len(), false);
        let mut from = 0;
        for (first, last) in uids.ranges() {
            from += self.uid[from..].partition_point(|uid| *uid < first);
            let to = from + self.uid[from..].partition_point(|uid| *uid <= last);
            bits.set_range(from, to);
            from = to;
            if from == self.len() {
                break;
            }
        }
        bits
    }

    /// Makes the messages of `touched` what they are now: those in `now`, by rising UID; others of them are gone. `None`
    /// when that cannot be: all must be read anew.
    pub fn change(&mut self, touched: &UidSet, now: Vec<(u32, HotRow)>) -> Option<Moved> {
        let mut gone = self.among(touched);
        let before = self.len();
        let mut added = 0;
        for (uid, row) in now {
            match self.uid[..before].binary_search(&uid) {
                Ok(at) => {
                    // What a message is stays; otherwise it is another one.
                    if self.item[at] != row.item.0 {
                        return None;
                    }
                    gone.set(at, false);
                    self.tags[at] = self.set_number(row.tags);
                    (self.flags[at], self.modseq[at]) = (row.flags.0, row.modseq.0);
                }
                Err(_) if self.uid.last().is_none_or(|last| *last < uid) => {
                    self.push(uid, row);
                    added += 1;
                }
                Err(_) => return None,
            }
        }
        if self.sets.len() > self.len() + SETS_MAX {
            return None;
        }
        let kept = (gone.count() > 0).then(|| gone.not());
        if let Some(kept) = &kept {
            let mut all = Bits::all(self.len(), true);
            (0..before).filter(|at| !kept.get(*at)).for_each(|at| all.set(at, false));
            for column in
                [&mut self.uid, &mut self.item, &mut self.flags, &mut self.tags, &mut self.thread, &mut self.copy_of]
            {
                all.retain(column);
            }
            [&mut self.size, &mut self.modseq].into_iter().for_each(|column| all.retain(column));
            [&mut self.internal_ms, &mut self.saved_ms].into_iter().for_each(|column| all.retain(column));
        }
        Some(Moved { kept, added: self.len() - added })
    }
}
