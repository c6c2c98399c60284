//! What the server acknowledged, and whether it kept its word.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// What is known of one message that was handed over exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It must be there once.
    Acknowledged,
    /// The connection broke: it may be there, once.
    Unknown,
    /// The server said no: it must not be there. RFC 5321 leaves a temporary refusal's outcome to the server, so one
    /// that came late (an outcome that the server itself does not know) counts as unknown.
    Refused,
}

/// All messages of one folder.
#[derive(Default)]
pub struct Ledger {
    entries: Mutex<BTreeMap<String, Fate>>,
    acknowledged_at: Mutex<Vec<(Instant, Instant)>>,
}

/// What an audit found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audit {
    pub acknowledged: usize,
    pub unknown: usize,
    pub refused: usize,
    /// Acknowledged messages that are missing.
    pub lost: Vec<String>,
    /// Messages that are there more than once.
    pub doubled: Vec<String>,
    /// Messages that nobody sent.
    pub strange: Vec<String>,
}

impl Ledger {
    /// Notes what became of a message that was handed over at `started`.
    pub fn note(&self, id: &str, fate: Fate, started: Instant) {
        if fate == Fate::Acknowledged {
            self.acknowledged_at.lock().unwrap().push((started, Instant::now()));
        }
        let before = self.entries.lock().unwrap().insert(id.to_owned(), fate);
        assert!(before.is_none(), "{id} was handed over twice");
    }

    /// When each acknowledged message was handed over and acknowledged.
    pub fn times(&self) -> Vec<(Instant, Instant)> {
        self.acknowledged_at.lock().unwrap().clone()
    }

    /// The ids that were acknowledged.
    pub fn acknowledged_ids(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        entries.iter().filter(|(_, fate)| **fate == Fate::Acknowledged).map(|(id, _)| id.clone()).collect()
    }

    /// Compares with what a folder holds.
    pub fn audit(&self, present: &BTreeMap<String, usize>) -> Audit {
        let entries = self.entries.lock().unwrap();
        let count = |fate: Fate| entries.values().filter(|&found| *found == fate).count();
        Audit {
            acknowledged: count(Fate::Acknowledged),
            unknown: count(Fate::Unknown),
            refused: count(Fate::Refused),
            lost: entries
                .iter()
                .filter(|(id, fate)| **fate == Fate::Acknowledged && !present.contains_key(*id))
                .map(|(id, _)| id.clone())
                .collect(),
            doubled: present.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id.clone()).collect(),
            strange: present.keys().filter(|id| !entries.contains_key(*id)).cloned().collect(),
        }
    }
}

impl Audit {
    /// Panics when something acknowledged was lost or anything is there twice.
    pub fn must_be_clean(&self, what: &str) {
        println!("{what}: {} acknowledged, {} unknown, {} refused", self.acknowledged, self.unknown, self.refused);
        assert!(
            self.lost.is_empty() && self.doubled.is_empty() && self.strange.is_empty(),
            "{what}: lost {:?}, doubled {:?}, strange {:?}",
            self.lost,
            self.doubled,
            self.strange
        );
    }
}
