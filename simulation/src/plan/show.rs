//! A plan in words.

use super::{ClientKind, Knobs, Plan, TimedOp};
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, raft) = (&self.shape, &self.shape.raft);
        writeln!(f, "seed      {}", self.seed)?;
        writeln!(f, "cluster   {} nodes, {} shards, {} accounts", shape.nodes, shape.shards, shape.accounts)?;
        writeln!(
            f,
            "raft      heartbeat {} ms, election {}-{} ms; log cut every {} entries leaving {}, snapshot to followers {} behind",
            raft.heartbeat_ms,
            raft.election_min_ms,
            raft.election_max_ms,
            raft.snapshot_every,
            raft.keep_entries,
            raft.snapshot_lag
        )?;
        for (clock, node) in shape.clocks.iter().zip(1..).filter(|(c, _)| c.ppm != 0 || c.wall_error_ms != 0) {
            writeln!(f, "clock     node {node}: {:+} ppm, wall clock wrong by {} ms", clock.ppm, clock.wall_error_ms)?;
        }
        writeln!(f, "time      {} ms of faults, then at most {} ms to heal", self.faults_ms, self.heal_ms)?;
        write!(f, "{}", self.knobs)?;
        for fault in &self.faults {
            writeln!(f, "fault     {:>9.3} s  {:?}", fault.at_ms as f64 / 1e3, fault.fault)?;
        }
        for (number, client) in self.clients.iter().enumerate() {
            let kind = match client.kind {
                ClientKind::Lmtp => "LMTP".to_string(),
                ClientKind::Imap { account } => format!("IMAP u{account}"),
                ClientKind::Admin => "admin".to_string(),
            };
            writeln!(f, "client {number}  {kind}, {} operations", client.ops.len())?;
            for TimedOp { wait_ms, id, op } in &client.ops {
                writeln!(f, "            {:>6} ms later  #{id} {op:?}", wait_ms)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Knobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (latency, fsync) = (self.latency_us, self.fsync_us);
        writeln!(
            f,
            "usual     latency {} us + up to {}, fsync {} us + up to {}",
            latency.0, latency.1, fsync.0, fsync.1
        )?;
        let mut knobs = self.clone();
        for (name, rate) in knobs.rates() {
            if *rate > 0 {
                writeln!(f, "rate      {name}: {:.2} %", f64::from(*rate) / 1e4)?;
            }
        }
        Ok(())
    }
}

impl Knobs {
    /// Every rate and its name.
    pub fn rates(&mut self) -> [(&'static str, &mut u32); 8] {
        [
            ("drop_request", &mut self.drop_request),
            ("drop_answer", &mut self.drop_answer),
            ("duplicate", &mut self.duplicate),
            ("delay", &mut self.delay),
            ("stale", &mut self.stale),
            ("client_reset", &mut self.client_reset),
            ("client_fragments", &mut self.client_fragments),
            ("slow_fsync", &mut self.slow_fsync),
        ]
    }
}
