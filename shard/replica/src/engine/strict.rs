//! An engine whose first failure stops the process.

use super::{Batch, Column, Reader, Rows, StateEngine};
use std::io;
use std::sync::Arc;
use zcluster_raft::Fatal;
use zcluster_state::Visit;

/// Passes everything on to another engine, and reports each write or flush that fails: whoever asked for it may be a
/// peer's call that only hands the error back, and a node whose disk fails must not go on (nobody knows what a failed
/// fsync has kept).
pub struct StrictEngine {
    engine: Arc<dyn StateEngine>,
    fatal: Fatal,
}

impl StrictEngine {
    /// Makes `engine` strict.
    pub fn new(engine: Arc<dyn StateEngine>, fatal: Fatal) -> Arc<Self> {
        Arc::new(StrictEngine { engine, fatal })
    }

    fn checked(&self, what: &str, result: io::Result<()>) -> io::Result<()> {
        result.inspect_err(|e| self.fatal.report(format!("{what} of the state database failed: {e}")))
    }
}

impl Reader for StrictEngine {
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.engine.get(column, key)
    }
    fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
        self.engine.scan(column, from, to, reverse)
    }
    fn each(&self, column: Column, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) -> io::Result<()> {
        self.engine.each(column, from, to, reverse, visit)
    }
    fn pass(&self, column: Column, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        self.engine.pass(column, from, to, visit)
    }
    fn each_of(&self, column: Column, ranges: &[(Vec<u8>, Vec<u8>)], visit: &mut Visit<'_>) -> io::Result<()> {
        self.engine.each_of(column, ranges, visit)
    }
}

impl StateEngine for StrictEngine {
    fn view(&self) -> Arc<dyn Reader> {
        self.engine.view()
    }
    fn write(&self, batch: Batch) -> io::Result<()> {
        self.checked("a write", self.engine.write(batch))
    }
    fn flush(&self) -> io::Result<()> {
        self.checked("a flush", self.engine.flush())
    }
    fn figures(&self) -> Vec<(&'static str, u64)> {
        self.engine.figures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryEngine;

    /// Full from the beginning.
    struct Full(Arc<MemoryEngine>);

    impl Reader for Full {
        fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
            self.0.get(column, key)
        }
        fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
            self.0.scan(column, from, to, reverse)
        }
    }

    impl StateEngine for Full {
        fn view(&self) -> Arc<dyn Reader> {
            self.0.view()
        }
        fn write(&self, _: Batch) -> io::Result<()> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
        fn figures(&self) -> Vec<(&'static str, u64)> {
            Vec::new()
        }
    }

    #[test]
    fn whoever_asked_the_process_stops() {
        let fatal = Fatal::new();
        let engine = StrictEngine::new(Arc::new(Full(MemoryEngine::new())), fatal.clone());
        engine.flush().unwrap();
        assert_eq!(fatal.reason(), None);
        assert!(engine.write(Batch::new()).is_err());
        assert!(fatal.reason().unwrap().contains("a write of the state database failed"));
    }
}
