//! How fast is simulated time? Three nodes and four groups in peace: idle, and under load.

use crate::plan::{ClientKind, ClientPlan, ClockShape, Knobs, Op, Plan, RaftShape, Shape, TimedOp};
use crate::pool;
use crate::run::{Outcome, run};
use crate::world::Keep;
use std::fmt::Write as _;

/// Length of the phase that is measured, simulated milliseconds.
const MEASURED_MS: u64 = 60_000;
/// Mail servers and mail programs under load, each.
const CLIENTS: u32 = 4;
/// Operations per simulated second and client under load.
const RATE: u64 = 10;

/// A cluster of three nodes with three shards besides the directory, production's timers, no faults.
pub fn plan(load: bool) -> Plan {
    let clock = ClockShape { offset_ms: 0, ppm: 0, wall_error_ms: 0 };
    let raft = RaftShape {
        heartbeat_ms: 400,
        election_min_ms: 800,
        election_max_ms: 1_200,
        snapshot_every: 10_000,
        keep_entries: 1_000,
        snapshot_lag: 20_000,
    };
    // Idle is not quite idle: the phase would end as soon as no client has anything left to do.
    let wait = TimedOp { wait_ms: MEASURED_MS, id: 0, op: Op::Deliver { accounts: vec![0], bytes: 500 } };
    let idle = vec![ClientPlan { kind: ClientKind::Lmtp, ops: vec![wait] }];
    Plan {
        seed: 1,
        shape: Shape { nodes: 3, shards: 3, accounts: 4, raft, clocks: vec![clock; 3], volume: None },
        knobs: Knobs { latency_us: (150, 100), fsync_us: (400, 200), ..Knobs::default() },
        faults: Vec::new(),
        clients: if load { (0..2 * CLIENTS).map(client).collect() } else { idle },
        faults_ms: MEASURED_MS,
        heal_ms: 60_000,
    }
}

fn client(number: u32) -> ClientPlan {
    let account = number % CLIENTS;
    let operations = MEASURED_MS / 1_000 * RATE;
    let ops = (0..operations as u32).map(|n| {
        let op = match (number < CLIENTS, n % 4) {
            (true, _) => Op::Deliver { accounts: vec![(account + n) % CLIENTS], bytes: 2_000 },
            (false, 0) => Op::Append { folder: 0, bytes: 2_000 },
            (false, 1) => Op::Store { folder: 0, pick: n, flag: n % 6, set: true, unchanged_since: false },
            // The folder is kept small: the cost of one operation is measured, not that of long listings.
            (false, 2) => Op::Expunge { folder: 0, pick: n },
            (false, _) => Op::Expunge { folder: 0, pick: n + 1 },
        };
        TimedOp { wait_ms: 1_000 / RATE, id: number * 100_000 + n, op }
    });
    let kind = if number < CLIENTS { ClientKind::Lmtp } else { ClientKind::Imap { account } };
    ClientPlan { kind, ops: ops.collect() }
}

/// Measures both and says where the time goes.
///
/// # Errors
/// A world panicked or broke a promise.
pub fn bench() -> Result<String, String> {
    let mut text = String::new();
    let mut measured = Vec::new();
    for load in [false, true] {
        let plan = plan(load);
        let outcome = pool::apart(|| run(&plan, Keep::default()))?;
        if let Some(violation) = outcome.summary.violations.first() {
            return Err(format!("{} does not hold: {}", violation.promise, violation.text));
        }
        measured.push(describe(if load { "load" } else { "idle" }, &outcome, &mut text));
    }
    let [idle, load] = measured[..] else { return Err("nothing was measured".into()) };
    let _ = writeln!(
        text,
        "where     {:.0} % of the time under load is spent on what the idle cluster does as well; the rest is {:.1} us per operation",
        (idle.wall_per_s / load.wall_per_s * 100.0).min(100.0),
        (load.wall_per_s - idle.wall_per_s).max(0.0) * 1e6 / load.acked_per_s.max(1e-9)
    );
    Ok(text)
}

#[derive(Clone, Copy)]
struct Speed {
    wall_per_s: f64,
    acked_per_s: f64,
}

fn describe(name: &str, outcome: &Outcome, text: &mut String) -> Speed {
    let zero = Speed { wall_per_s: 0.0, acked_per_s: 0.0 };
    let Some(phase) = outcome.phases.iter().find(|p| p.name == "faults") else { return zero };
    let (simulated, wall) = (phase.simulated_ns as f64 / 1e9, phase.wall.as_secs_f64().max(1e-9));
    let polls = phase.polls as f64;
    let _ = writeln!(
        text,
        "{name:<9} {:>7.1} simulated s per wall s; {:>8.0} polls per simulated s, {:.2} M polls per wall s, {:.2} us per poll; {:.0} operations per simulated s",
        simulated / wall,
        polls / simulated,
        polls / wall / 1e6,
        wall / polls.max(1.0) * 1e6,
        outcome.acked as f64 / simulated
    );
    Speed { wall_per_s: wall / simulated, acked_per_s: outcome.acked as f64 / simulated }
}
