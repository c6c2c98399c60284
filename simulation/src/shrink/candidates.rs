//! The ways in which a plan is made smaller, those first that leave out the most.

use super::Oracle;
use super::ddmin::ddmin;
use crate::plan::{ClientPlan, Plan, RaftShape, TimedOp};

/// A way to make a plan smaller.
pub(super) type Step = fn(Plan, &mut dyn Oracle) -> Plan;

/// All ways, in the order in which they are taken.
pub(super) const STEPS: [Step; 8] = [faults, clients, operations, rates, cluster, clocks, settings, time];

/// The plan without what comes after a moment, milliseconds after the first phase began.
pub(super) fn cut_after(plan: &Plan, end_ms: u64) -> Plan {
    let mut plan = plan.clone();
    plan.faults.retain(|f| f.at_ms <= end_ms);
    for client in &mut plan.clients {
        let mut at = 0;
        client.ops.retain(|op| {
            at += op.wait_ms;
            at <= end_ms
        });
    }
    plan.clients.retain(|c| !c.ops.is_empty());
    plan
}

fn faults(plan: Plan, oracle: &mut dyn Oracle) -> Plan {
    reduce(plan, oracle, |p| p.faults.clone(), |p, faults| p.faults = faults.to_vec())
}

fn clients(plan: Plan, oracle: &mut dyn Oracle) -> Plan {
    reduce(plan, oracle, |p| p.clients.clone(), |p, clients| p.clients = clients.to_vec())
}

fn operations(plan: Plan, oracle: &mut dyn Oracle) -> Plan {
    let flat = |p: &Plan| -> Vec<(usize, TimedOp)> {
        let of = |(n, c): (usize, &ClientPlan)| c.ops.iter().map(|op| (n, op.clone())).collect::<Vec<_>>();
        p.clients.iter().enumerate().flat_map(of).collect()
    };
    let mut plan = reduce(plan, oracle, flat, |p, kept| {
        for (number, client) in p.clients.iter_mut().enumerate() {
            client.ops = kept.iter().filter(|(n, _)| *n == number).map(|(_, op)| op.clone()).collect();
        }
    });
    plan.clients.retain(|c| !c.ops.is_empty());
    plan
}

/// Delta-debugs one list of the plan. The seed of the try that failed is kept.
fn reduce<T: Clone>(
    plan: Plan,
    oracle: &mut dyn Oracle,
    list: impl Fn(&Plan) -> Vec<T>,
    put: impl Fn(&mut Plan, &[T]),
) -> Plan {
    let mut best = plan.clone();
    ddmin(list(&plan), |lists| {
        let with = |kept: &Vec<T>| {
            let mut candidate = best.clone();
            put(&mut candidate, kept);
            candidate
        };
        let (place, failing) = oracle.first_failing(lists.iter().map(with).collect())?;
        best = failing;
        Some(place)
    });
    best
}

/// Takes the first change that still fails, as often as one does.
fn take_all(mut plan: Plan, oracle: &mut dyn Oracle, changes: &[&dyn Fn(&mut Plan)]) -> Plan {
    for change in changes {
        let mut candidate = plan.clone();
        change(&mut candidate);
        if candidate != plan
            && let Some((_, failing)) = oracle.first_failing(vec![candidate])
        {
            plan = failing;
        }
    }
    plan
}

fn rates(mut plan: Plan, oracle: &mut dyn Oracle) -> Plan {
    let all = |p: &mut Plan| p.knobs.rates().into_iter().for_each(|(_, rate)| *rate = 0);
    plan = take_all(plan, oracle, &[&all]);
    for which in 0..plan.knobs.clone().rates().len() {
        let one = |p: &mut Plan| *p.knobs.rates()[which].1 = 0;
        plan = take_all(plan, oracle, &[&one]);
    }
    take_all(plan, oracle, &[&|p| p.knobs.latency_us = (200, 100), &|p| p.knobs.fsync_us = (200, 100)])
}

fn cluster(mut plan: Plan, oracle: &mut dyn Oracle) -> Plan {
    let used = plan.clients.iter().flat_map(|c| &c.ops).count();
    if used == 0 {
        plan = take_all(plan, oracle, &[&|p| p.shape.accounts = 1]);
    }
    for nodes in 1..plan.shape.nodes {
        let fewer = |p: &mut Plan| {
            p.shape.nodes = nodes;
            p.shape.clocks.truncate(nodes as usize);
        };
        let before = plan.shape.nodes;
        plan = take_all(plan, oracle, &[&fewer]);
        if plan.shape.nodes != before {
            break;
        }
    }
    for shards in [1, plan.shape.shards / 2, plan.shape.shards.saturating_sub(1)] {
        let fewer = |p: &mut Plan| p.shape.shards = p.shape.shards.min(shards.max(1));
        plan = take_all(plan, oracle, &[&fewer]);
    }
    plan
}

fn clocks(plan: Plan, oracle: &mut dyn Oracle) -> Plan {
    take_all(
        plan,
        oracle,
        &[
            &|p| p.shape.clocks.iter_mut().for_each(|c| (c.ppm, c.wall_error_ms) = (0, 0)),
            &|p| p.shape.clocks.iter_mut().for_each(|c| c.ppm = 0),
            &|p| p.shape.clocks.iter_mut().for_each(|c| c.wall_error_ms = 0),
            &|p| p.shape.clocks.iter_mut().for_each(|c| c.offset_ms = 0),
        ],
    )
}

/// Production's timers, and a log that is hardly ever cut.
fn settings(plan: Plan, oracle: &mut dyn Oracle) -> Plan {
    let timers = |p: &mut Plan| {
        let usual =
            RaftShape { heartbeat_ms: 400, election_min_ms: 800, election_max_ms: 1_200, ..p.shape.raft.clone() };
        p.shape.raft = usual;
    };
    let cuts = |p: &mut Plan| {
        (p.shape.raft.snapshot_every, p.shape.raft.keep_entries, p.shape.raft.snapshot_lag) = (10_000, 1_000, 20_000);
    };
    take_all(plan, oracle, &[&timers, &cuts])
}

fn time(plan: Plan, oracle: &mut dyn Oracle) -> Plan {
    let last_fault = |p: &Plan| p.faults.last().map_or(0, |f| f.at_ms);
    let hurry = |p: &mut Plan| p.clients.iter_mut().flat_map(|c| &mut c.ops).for_each(|op| op.wait_ms /= 2);
    let no_wait = |p: &mut Plan| p.clients.iter_mut().flat_map(|c| &mut c.ops).for_each(|op| op.wait_ms = 0);
    take_all(
        plan,
        oracle,
        &[
            &|p| p.faults_ms = p.faults_ms.min(last_fault(p) + 2_000),
            &|p| p.faults_ms = (p.faults_ms / 2).max(last_fault(p) + 1),
            &|p| p.faults.iter_mut().for_each(|f| f.at_ms /= 2),
            &no_wait,
            &hurry,
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Fault, Op, Scale};

    /// Fails when all of `needs` are still there; counts what it was asked.
    struct Fake<F> {
        needs: F,
        asked: u64,
    }
    impl<F: Fn(&Plan) -> bool> Oracle for Fake<F> {
        fn first_failing(&mut self, candidates: Vec<Plan>) -> Option<(usize, Plan)> {
            self.asked += candidates.len() as u64;
            candidates.into_iter().enumerate().find(|(_, p)| (self.needs)(p))
        }
        fn is_spent(&self) -> bool {
            false
        }
    }

    #[test]
    fn only_what_matters_is_left() {
        let is_crash = |p: &Plan| p.faults.iter().any(|f| matches!(f.fault, Fault::Crash { .. }));
        let delivers = |p: &Plan| {
            p.clients.iter().flat_map(|c| &c.ops).filter(|o| matches!(o.op, Op::Deliver { .. })).count() >= 2
        };
        let needs = |p: &Plan| is_crash(p) && delivers(p) && p.shape.nodes >= 2;
        let mut plan = (1..).map(|s| Plan::from_seed(s, Scale::Normal)).find(|p| needs(p)).unwrap();
        let mut oracle = Fake { needs, asked: 0 };
        for step in STEPS {
            plan = step(plan, &mut oracle);
        }
        assert!(needs(&plan));
        assert_eq!((plan.faults.len(), plan.shape.nodes, plan.shape.shards), (1, 2, 1));
        assert_eq!(plan.clients.iter().map(|c| c.ops.len()).sum::<usize>(), 2);
        assert!(plan.knobs.clone().rates().iter().all(|(_, rate)| **rate == 0));
        assert!(oracle.asked < 300, "{}", oracle.asked);
    }

    #[test]
    fn what_comes_after_the_end_is_cut() {
        let plan = Plan::from_seed(3, Scale::Normal);
        let cut = cut_after(&plan, 5_000);
        assert!(cut.faults.iter().all(|f| f.at_ms <= 5_000) && cut.faults.len() < plan.faults.len());
        assert!(cut.clients.iter().all(|c| c.ops.iter().map(|o| o.wait_ms).sum::<u64>() <= 5_000));
    }
}
