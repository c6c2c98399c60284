//! One run: a plan goes in, what became of it comes out.
//!
//! A run has four phases. The cluster is founded in peace; then faults strike while clients work; then everything is
//! mended, and within a bound every client must be served and every replica be in its place; then everything that was
//! observed is held against what was promised. It ends there, or at the first promise that was broken before.

use crate::clients::{self, Catalogue, Phase};
use crate::cluster::Cluster;
use crate::history::{self, History};
use crate::plan::Plan;
use crate::wall::Stopwatch;
use crate::world::{self, Keep, OUTSIDE, Summary};
use crate::{audit, faults, invariants};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::planted::{self, Bug};
use zcluster_runtime::{Either, select};

/// How long founding may take at the very most, in simulated time.
const FOUNDED_WITHIN_NS: u64 = 300_000_000_000;
/// What the end of a run may take beyond the plan's phases before the watchdog bites, in simulated time.
const SLACK_NS: u64 = 60_000_000_000;
/// Clients that were told that time is over may take this long to let go.
const LET_GO: Duration = Duration::from_secs(20);

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The history: its hash, what was counted, what was broken.
    pub summary: Summary,
    /// Operations that the cluster acknowledged to clients.
    pub acked: u64,
    /// Operations that it refused.
    pub refused: u64,
    /// Operations whose outcome no client ever learned.
    pub open: u64,
    /// How long each phase took.
    pub phases: Vec<PhaseTime>,
}

impl Outcome {
    /// The first promise that was broken, if any.
    pub fn broken(&self) -> Option<&'static str> {
        self.summary.violations.first().map(|v| v.promise)
    }
    /// Real time of all phases.
    pub fn wall(&self) -> Duration {
        self.phases.iter().map(|p| p.wall).sum()
    }
}

/// How long a phase took.
#[derive(Clone, Debug)]
pub struct PhaseTime {
    /// Which.
    pub name: &'static str,
    /// In simulated time.
    pub simulated_ns: u64,
    /// In real time.
    pub wall: Duration,
    /// Polls of tasks.
    pub polls: u64,
}

/// Carries a plan out on this thread.
pub fn run(plan: &Plan, keep: Keep) -> Outcome {
    let guard = world::enter(plan.seed, keep);
    audit::begin();
    let run = Arc::new(Run { history: History::new(), clock: Mutex::new(PhaseClock::start()) });
    world::spawn_on(OUTSIDE, run.clone().direct(plan.clone()));
    world::run_until(FOUNDED_WITHIN_NS + (plan.faults_ms + plan.heal_ms) * 1_000_000 + SLACK_NS);
    if !world::is_over() {
        let phase = run.clock.lock().name;
        world::violate("time_goes_on", format!("the run is stuck in the phase \"{phase}\""));
    }
    let phases = run.clock.lock().finish();
    let (acked, refused, open) = run.history.with_records(|records| {
        let of = |f: fn(&history::Outcome) -> bool| records.iter().filter(|r| f(&r.outcome)).count() as u64;
        let acked = of(|o| matches!(o, history::Outcome::Done(_)));
        let open = of(|o| matches!(o, history::Outcome::Unknown));
        (acked, records.len() as u64 - acked - open, open)
    });
    Outcome { summary: guard.summary(), acked, refused, open, phases }
}

/// Carries a plan out with a defect planted in the software (or with none).
pub fn run_with(plan: &Plan, bug: Option<Bug>, keep: Keep) -> Outcome {
    planted::plant(bug);
    let outcome = run(plan, keep);
    planted::plant(None);
    outcome
}

struct Run {
    history: Arc<History>,
    clock: Mutex<PhaseClock>,
}

impl Run {
    async fn direct(self: Arc<Self>, plan: Plan) {
        let cluster = Cluster::new(&plan.shape, &plan.knobs);
        cluster.found().await;

        self.enter("faults");
        let phase = Arc::new(Phase::new());
        let catalogue = Catalogue::of(&plan.clients);
        let working = clients::run(cluster.clone(), plan.clients, self.history.clone(), phase.clone());
        let working = apart(working);
        let end_of_faults = world::now() + plan.faults_ms * 1_000_000;
        let striking = apart(faults::carry_out(cluster.clone(), plan.faults));
        // Nothing is left to happen when all clients are done and all faults have struck.
        let all_done = futures::future::join(working.clone(), striking);
        select(all_done, world::sleep_until(end_of_faults)).await;

        self.enter("heal");
        let deadline = world::now() + plan.heal_ms * 1_000_000;
        cluster.heal_all().await;
        phase.heal();
        if let Either::Right(()) = select(working.clone(), world::sleep_until(deadline)).await {
            phase.finish();
            // Those that had to give up say so in the history.
            select(working, world::sleep(LET_GO)).await;
            return self.not_served(&cluster).await;
        }
        let left = Duration::from_nanos(deadline.saturating_sub(world::now()));
        if let Err(what) = cluster.settled(left).await {
            return world::violate(
                "the_cluster_heals",
                format!("{} s after everything was mended: {what}", plan.heal_ms / 1_000),
            );
        }

        self.enter("check");
        invariants::check_all(&cluster, &self.history, &catalogue).await;
        self.enter("end");
        world::stop();
    }

    fn enter(&self, name: &'static str) {
        world::event("phase", &[world::now()]);
        world::note(OUTSIDE, "phase", || name.into());
        self.clock.lock().enter(name);
    }

    /// A client was not served in a healed cluster.
    async fn not_served(&self, cluster: &Arc<Cluster>) {
        let stuck = self.history.stuck_ops();
        // Of each client the operation that it is stuck at; those behind it were not begun.
        let mut first: BTreeMap<u32, String> = BTreeMap::new();
        for s in &stuck {
            first.entry(s.client).or_insert_with(|| format!("client {} with op {} ({})", s.client, s.op, s.why));
        }
        let who: Vec<String> = first.into_values().collect();
        let cluster = cluster.settled(Duration::ZERO).await.err().unwrap_or("the cluster itself is well".into());
        world::violate("the_cluster_heals", format!("{cluster}; not served: {}", who.join(", ")));
    }
}

/// Runs a future as a task of its own, so that it goes on whatever its starter waits for; ends with it.
fn apart(work: impl Future<Output = ()> + Send + 'static) -> Shared<BoxFuture<'static, ()>> {
    let (tx, rx) = tokio::sync::oneshot::channel();
    world::spawn_on(OUTSIDE, async move {
        work.await;
        let _ = tx.send(());
    });
    rx.map(drop).boxed().shared()
}

/// Measures phases, in both times. The world never sees what it shows.
struct PhaseClock {
    name: &'static str,
    watch: Stopwatch,
    begun_ns: u64,
    begun_polls: u64,
    done: Vec<PhaseTime>,
}

impl PhaseClock {
    fn start() -> Self {
        PhaseClock { name: "found", watch: Stopwatch::start(), begun_ns: 0, begun_polls: 0, done: Vec::new() }
    }
    fn enter(&mut self, name: &'static str) {
        let (now, polls) = (world::now(), world::polls());
        self.done.push(PhaseTime {
            name: self.name,
            simulated_ns: now - self.begun_ns,
            wall: self.watch.elapsed(),
            polls: polls - self.begun_polls,
        });
        (self.name, self.watch, self.begun_ns, self.begun_polls) = (name, Stopwatch::start(), now, polls);
    }
    fn finish(&mut self) -> Vec<PhaseTime> {
        self.enter("over");
        std::mem::take(&mut self.done)
    }
}
