//! What an IMAP client believes of a folder, and the promises of the protocol that every response is held against.
//!
//! Two things are remembered: a [`View`] for as long as the folder is selected (sequence numbers), and a [`Memory`]
//! for as long as the client lives (UIDs, mod-sequences), over connections and nodes: what one node has told, no other
//! may take back.

use super::response::Items;
use std::collections::{BTreeMap, BTreeSet};

/// What a response breaks, in words.
pub type Broken = Result<(), String>;

/// What the client is doing when a response comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// FETCH, STORE or SEARCH by sequence numbers: these must hold still (RFC 3501 §7.4.1).
    Numbers,
    /// Any other command.
    Other,
    /// Nothing: the response came before the command was sent.
    Nothing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    uid: Option<u32>,
    /// Came after SELECT.
    new: bool,
}

/// The selected folder: the n-th slot is sequence number n.
#[derive(Debug)]
pub struct View {
    /// Which folder.
    pub folder: u32,
    /// UIDVALIDITY as SELECT told.
    pub uid_validity: u32,
    /// UIDNEXT as SELECT told.
    pub uid_next: u32,
    /// HIGHESTMODSEQ as SELECT told.
    pub highest_modseq: u64,
    slots: Vec<Slot>,
    expunged: BTreeSet<u32>,
    selected: bool,
}

impl View {
    /// A view of a folder that is about to be selected.
    pub fn new(folder: u32) -> Self {
        View {
            folder,
            uid_validity: 0,
            uid_next: 0,
            highest_modseq: 0,
            slots: Vec::new(),
            expunged: BTreeSet::new(),
            selected: false,
        }
    }

    /// SELECT was answered with OK.
    pub fn complete(&mut self) -> Broken {
        self.selected = true;
        if self.uid_validity == 0 || self.uid_next == 0 || self.highest_modseq == 0 {
            return Err("SELECT without UIDVALIDITY, UIDNEXT or HIGHESTMODSEQ".into());
        }
        if self.slots.len() >= self.uid_next as usize {
            return Err(format!("{} messages below UIDNEXT {}", self.slots.len(), self.uid_next));
        }
        Ok(())
    }

    /// Messages in the folder.
    pub fn exists(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Whether the client knows a number for this UID.
    pub fn has(&self, uid: u32) -> bool {
        self.slots.iter().any(|slot| slot.uid == Some(uid))
    }

    /// `* n EXISTS`.
    pub fn told_exists(&mut self, number: u32) -> Broken {
        if (number as usize) < self.slots.len() {
            return Err(format!("{number} EXISTS after {} without EXPUNGE", self.slots.len()));
        }
        let slot = Slot { uid: None, new: self.selected };
        self.slots.resize(number as usize, slot);
        Ok(())
    }

    /// `* n EXPUNGE`; the UID that went, if it is known.
    pub fn told_expunge(&mut self, number: u32, doing: Doing) -> Result<Option<u32>, String> {
        match doing {
            Doing::Other => {}
            Doing::Numbers => return Err(format!("{number} EXPUNGE while numbers must hold still")),
            Doing::Nothing => return Err(format!("{number} EXPUNGE while no command was in progress")),
        }
        if number == 0 || number as usize > self.slots.len() {
            return Err(format!("{number} EXPUNGE of {} messages", self.slots.len()));
        }
        let gone = self.slots.remove(number as usize - 1).uid;
        if let Some(uid) = gone
            && !self.expunged.insert(uid)
        {
            return Err(format!("UID {uid} was expunged twice"));
        }
        Ok(gone)
    }

    /// `* n FETCH`.
    pub fn told_fetch(&mut self, number: u32, items: &Items) -> Broken {
        let count = self.slots.len();
        let slot = number.checked_sub(1).and_then(|i| self.slots.get(i as usize)).copied();
        let Some(slot) = slot else { return Err(format!("{number} FETCH of {count} messages")) };
        let Some(uid) = items.uid else { return Ok(()) };
        if slot.uid.is_some_and(|known| known != uid) {
            return Err(format!("number {number} was UID {:?}, now {uid}", slot.uid));
        }
        if self.expunged.contains(&uid) {
            return Err(format!("UID {uid} is back after it was expunged"));
        }
        if self.selected && slot.new != (uid >= self.uid_next) {
            let age = if slot.new { "new" } else { "old" };
            return Err(format!("an {age} message has UID {uid}, UIDNEXT was {}", self.uid_next));
        }
        let i = number as usize - 1;
        let before = self.slots[..i].iter().rev().find_map(|s| s.uid);
        let after = self.slots[i + 1..].iter().find_map(|s| s.uid);
        if before.is_some_and(|b| b >= uid) || after.is_some_and(|a| a <= uid) {
            return Err(format!("UIDs do not rise: {before:?}, {uid}, {after:?}"));
        }
        self.slots[i].uid = Some(uid);
        Ok(())
    }
}

/// A message as the client last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The plan id in its subject.
    pub message: Option<u32>,
    /// Flags and mod-sequence.
    pub state: Option<(BTreeSet<String>, u64)>,
}

/// What a client remembers of one folder.
#[derive(Debug, Default)]
pub struct Memory {
    /// UIDVALIDITY; 0: never told.
    pub uid_validity: u32,
    /// The highest UIDNEXT told or concluded.
    uid_next: u32,
    /// The highest HIGHESTMODSEQ told or concluded.
    highest_modseq: u64,
    /// Messages last seen and not seen going.
    pub messages: BTreeMap<u32, Known>,
    /// Subjects of all UIDs ever seen: they never change.
    subjects: BTreeMap<u32, u32>,
}

impl Memory {
    /// A UIDVALIDITY was told. None of these folders is ever deleted: it must stay the same.
    pub fn told_validity(&mut self, uid_validity: u32) -> Broken {
        if self.uid_validity != 0 && self.uid_validity != uid_validity {
            return Err(format!("UIDVALIDITY was {}, now {uid_validity}", self.uid_validity));
        }
        self.uid_validity = uid_validity;
        Ok(())
    }

    /// UIDNEXT and HIGHESTMODSEQ were told in answer to a command.
    pub fn told_position(&mut self, uid_next: u32, highest_modseq: u64) -> Broken {
        if uid_next < self.uid_next {
            return Err(format!("UIDNEXT fell from {} to {uid_next}", self.uid_next));
        }
        if highest_modseq < self.highest_modseq {
            return Err(format!("HIGHESTMODSEQ fell from {} to {highest_modseq}", self.highest_modseq));
        }
        (self.uid_next, self.highest_modseq) = (uid_next, highest_modseq);
        Ok(())
    }

    /// The server said that this UID was given.
    pub fn told_uid(&mut self, uid: u32) {
        self.uid_next = self.uid_next.max(uid.saturating_add(1));
    }

    /// A FETCH response.
    pub fn told_fetch(&mut self, items: &Items, message: Option<u32>) -> Broken {
        let Some(uid) = items.uid else { return Ok(()) };
        self.told_uid(uid);
        self.highest_modseq = self.highest_modseq.max(items.modseq.unwrap_or(0));
        let known = self.messages.entry(uid).or_default();
        if let (Some(flags), Some(modseq)) = (&items.flags, items.modseq) {
            if let Some((flags_then, modseq_then)) = &known.state {
                if modseq < *modseq_then {
                    return Err(format!("MODSEQ of UID {uid} fell from {modseq_then} to {modseq}"));
                }
                if modseq == *modseq_then && flags != flags_then {
                    return Err(format!("UID {uid} changed at MODSEQ {modseq}: {flags_then:?}, {flags:?}"));
                }
            }
            known.state = Some((flags.clone(), modseq));
        }
        let Some(message) = message else { return Ok(()) };
        known.message = Some(message);
        match self.subjects.insert(uid, message) {
            Some(before) if before != message => Err(format!("UID {uid} was message m{before}, now m{message}")),
            _ => Ok(()),
        }
    }

    /// The client has looked at the whole folder: what it did not see is gone.
    pub fn keep_only(&mut self, uids: &BTreeSet<u32>) {
        self.messages.retain(|uid, _| uids.contains(uid));
    }

    /// The `pick`-th of the messages last seen (modulo).
    pub fn pick(&self, pick: u32) -> Option<(u32, Known)> {
        let n = (pick as usize).checked_rem(self.messages.len())?;
        self.messages.iter().nth(n).map(|(uid, known)| (*uid, known.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(uid: u32, flag: &str, modseq: u64) -> Items {
        let flags = Some(BTreeSet::from([flag.to_string()]));
        Items { uid: Some(uid), flags, modseq: Some(modseq), section: None }
    }

    fn selected() -> View {
        let mut view = View::new(0);
        view.told_exists(2).unwrap();
        (view.uid_validity, view.uid_next, view.highest_modseq) = (1, 9, 5);
        view.complete().unwrap();
        view
    }

    #[test]
    fn sequence_numbers_are_kept_honest() {
        let mut view = selected();
        view.told_fetch(1, &items(3, "a", 1)).unwrap();
        view.told_fetch(2, &items(8, "a", 1)).unwrap();
        assert!(view.told_fetch(1, &items(4, "a", 1)).is_err(), "another uid");
        assert!(view.told_fetch(3, &items(9, "a", 1)).is_err(), "no such number");
        assert!(view.told_exists(1).is_err(), "fell");
        view.told_exists(3).unwrap();
        assert!(view.told_fetch(3, &items(7, "a", 1)).is_err(), "below UIDNEXT");
        view.told_fetch(3, &items(9, "a", 1)).unwrap();
        assert!(view.told_expunge(1, Doing::Numbers).is_err());
        assert_eq!(view.told_expunge(1, Doing::Other), Ok(Some(3)));
        assert!(view.told_fetch(1, &items(3, "a", 1)).is_err(), "expunged");
        assert!(view.has(8) && !view.has(3));
        assert!(view.told_expunge(3, Doing::Other).is_err());
    }

    #[test]
    fn what_was_told_is_not_taken_back() {
        let mut memory = Memory::default();
        memory.told_validity(7).unwrap();
        assert!(memory.told_validity(8).is_err());
        memory.told_position(5, 50).unwrap();
        memory.told_uid(9);
        assert!(memory.told_position(9, 50).is_err());
        memory.told_fetch(&items(2, "a", 60), Some(1)).unwrap();
        assert!(memory.told_position(10, 59).is_err());
        assert!(memory.told_fetch(&items(2, "b", 60), None).is_err());
        assert!(memory.told_fetch(&items(2, "b", 59), None).is_err());
        assert!(memory.told_fetch(&items(2, "b", 61), Some(2)).is_err());
        assert_eq!(memory.pick(5).map(|(uid, _)| uid), Some(2));
        memory.keep_only(&BTreeSet::new());
        assert_eq!(memory.pick(5), None);
    }
}
