//! How much a run may still do.

use crate::outcome::Failure;

/// Steps left: not time, so that a run is the same everywhere.
#[derive(Debug)]
pub(crate) struct Budget {
    max: u64,
    left: u64,
}

/// Bytes looked at or made that are one step.
const STEP_BYTES: usize = 64;

impl Budget {
    pub fn new(max: u64) -> Self {
        Budget { max, left: max }
    }
    pub fn spend(&mut self, steps: u64) -> Result<(), Failure> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Failure::Error("the script does more work than one message allows".into()))
            }
        }
    }
    pub fn spend_bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        self.spend((bytes / STEP_BYTES) as u64 + 1)
    }
    pub fn spent(&self) -> u64 {
        self.max - self.left
    }
}
