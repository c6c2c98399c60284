//! The executor: ready tasks in an order drawn from the seed, timers in order of time, nodes that can be frozen and
//! killed.

use super::clock::Clock;
use super::random::Random;
use super::runtime::{SimRuntime, Sleep};
use super::trace::{Event, Keep, Note, Trace};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The node number of everything that is no node.
pub const OUTSIDE: u32 = 0;
/// A run with more polls than this at less than [`SPIN_NS`] of true time is stuck in a loop.
const SPIN_POLLS: u64 = 5_000_000;
/// See [`SPIN_POLLS`].
const SPIN_NS: u64 = 20_000_000_000;
/// True time that one poll takes, nanoseconds, at most.
const POLL_NS_MAX: u64 = 2_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Independent streams of chance, so that a change in one does not reshuffle the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Order of tasks.
    Schedule,
    /// The network's whims.
    Network,
    /// The disks' whims.
    Disk,
    /// What clients do.
    Workload,
    /// What the director does.
    Director,
    /// The volume's whims.
    Volume,
    /// Random bytes drawn by the software of a node.
    Node(u32),
}

impl Stream {
    fn number(self) -> u64 {
        match self {
            Stream::Schedule => 1,
            Stream::Network => 2,
            Stream::Disk => 3,
            Stream::Workload => 4,
            Stream::Director => 5,
            Stream::Volume => 6,
            Stream::Node(n) => 1_000 + u64::from(n),
        }
    }
}

/// A promise that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// True time, nanoseconds.
    pub at: u64,
    /// The promise, as its file in `invariants` is named.
    pub promise: &'static str,
    /// What was seen.
    pub text: String,
}

struct Slot {
    task: Option<Task>,
    node: u32,
    generation: u32,
    queued: bool,
    occupied: bool,
    waker: Option<Waker>,
}

struct NodeRun {
    up: bool,
    frozen: bool,
    clock: Clock,
    /// Tasks that became ready while frozen.
    held: Vec<u32>,
}

impl NodeRun {
    fn new() -> Self {
        NodeRun { up: true, frozen: false, clock: Clock::new(0, 0, 0), held: Vec::new() }
    }
}

pub(super) struct Timer {
    pub waker: Waker,
    pub node: u32,
}

/// Hears the probes of the software: name, node, facts.
pub type Listener = Box<dyn Fn(&'static str, u32, &[u64])>;

/// Everything of a world.
pub(super) struct State {
    pub(super) now: u64,
    pub(super) current: u32,
    seed: u64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    ready: Vec<u32>,
    pub(super) timers: BTreeMap<(u64, u64), Timer>,
    pub(super) next_timer: u64,
    nodes: BTreeMap<u32, NodeRun>,
    streams: BTreeMap<Stream, Random>,
    schedule: Random,
    trace: Trace,
    counters: BTreeMap<&'static str, u64>,
    violations: Vec<Violation>,
    stopped: bool,
    polls: u64,
    spin: (u64, u64),
}

thread_local! {
    static WORLD: RefCell<Option<State>> = const { RefCell::new(None) };
    static LISTENERS: RefCell<Vec<Listener>> = const { RefCell::new(Vec::new()) };
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
    /// A task of the world is being polled or dropped.
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn with<R>(f: impl FnOnce(&mut State) -> R) -> R {
    WORLD.with(|w| f(w.borrow_mut().as_mut().expect("this thread has entered a world")))
}

/// Does nothing when the world is gone (wakers and timers may outlive it).
pub(super) fn try_with<R>(f: impl FnOnce(&mut State) -> R) -> Option<R> {
    WORLD.try_with(|w| w.try_borrow_mut().ok().and_then(|mut w| w.as_mut().map(f))).ok().flatten()
}

impl State {
    pub(super) fn clock(&self, node: u32) -> Clock {
        self.nodes.get(&node).map_or(Clock::new(0, 0, 0), |n| n.clock)
    }
    pub(super) fn stream(&mut self, stream: Stream) -> &mut Random {
        let seed = self.seed;
        self.streams.entry(stream).or_insert_with(|| Random::new(seed, stream.number()))
    }
    fn wake(&mut self, slot: u32, generation: u32) {
        let Some(s) = self.slots.get_mut(slot as usize) else { return };
        if s.occupied && s.generation == generation && !s.queued {
            s.queued = true;
            self.ready.push(slot);
        }
    }
    /// The next task to poll, if any is ready.
    fn take_ready(&mut self) -> Option<(u32, Task, Waker, u32)> {
        while !self.ready.is_empty() {
            let at = self.schedule.below(self.ready.len() as u64) as usize;
            let slot = self.ready.swap_remove(at);
            let Some(s) = self.slots.get_mut(slot as usize) else { continue };
            if let Some(node) = self.nodes.get_mut(&s.node)
                && node.frozen
            {
                node.held.push(slot);
                continue;
            }
            s.queued = false;
            let (Some(task), Some(waker)) = (s.task.take(), s.waker.clone()) else { continue };
            let node = s.node;
            self.polls += 1;
            self.now += self.schedule.below(POLL_NS_MAX);
            let (now, generation) = (self.now, s.generation);
            self.current = node;
            self.trace.event(now, node, "poll", &[u64::from(slot), u64::from(generation)]);
            return Some((slot, task, waker, generation));
        }
        None
    }
    /// Puts a task that is not finished back; gives it back if its node was killed meanwhile.
    fn put_back(&mut self, slot: u32, generation: u32, task: Task) -> Option<Task> {
        let s = &mut self.slots[slot as usize];
        if s.occupied && s.generation == generation {
            s.task = Some(task);
            return None;
        }
        Some(task)
    }
    fn vacate(&mut self, slot: u32) -> (Option<Task>, Option<Waker>) {
        let s = &mut self.slots[slot as usize];
        if !s.occupied {
            return (None, None);
        }
        s.occupied = false;
        s.generation += 1;
        s.queued = false;
        self.free.push(slot);
        (s.task.take(), s.waker.take())
    }
    fn is_stuck(&mut self) -> bool {
        if self.now - self.spin.1 >= SPIN_NS {
            self.spin = (self.polls, self.now);
        }
        self.polls - self.spin.0 > SPIN_POLLS
    }
}

struct TaskWaker {
    slot: u32,
    generation: u32,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        try_with(|s| s.wake(self.slot, self.generation));
    }
}

/// Leaves the world when it is dropped.
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        // Whatever the tasks hold is dropped while the world still stands: timers want to be taken out.
        loop {
            let slots: Vec<u32> =
                with(|s| (0..s.slots.len() as u32).filter(|i| s.slots[*i as usize].occupied).collect());
            if slots.is_empty() {
                break;
            }
            drop_tasks(&slots);
        }
        zcluster_runtime::install(None);
        LISTENERS.with(|l| l.borrow_mut().clear());
        let state = WORLD.with(|w| w.borrow_mut().take());
        drop(state);
    }
}

fn drop_tasks(slots: &[u32]) {
    for slot in slots {
        let (gone, before) = with(|s| {
            let node = s.slots[*slot as usize].node;
            let gone = s.vacate(*slot);
            (gone, std::mem::replace(&mut s.current, node))
        });
        // A destructor that panics must not take the others along.
        let _ = guarded(|| drop(gone));
        with(|s| s.current = before);
    }
}

/// Makes a world on this thread, and the runtime of everything that runs on it.
pub fn enter(seed: u64, keep: Keep) -> Guard {
    let nodes = BTreeMap::from([(OUTSIDE, NodeRun::new())]);
    let state = State {
        now: 0,
        current: OUTSIDE,
        seed,
        slots: Vec::new(),
        free: Vec::new(),
        ready: Vec::new(),
        timers: BTreeMap::new(),
        next_timer: 0,
        nodes,
        streams: BTreeMap::new(),
        schedule: Random::new(seed, Stream::Schedule.number()),
        trace: Trace::new(keep),
        counters: BTreeMap::new(),
        violations: Vec::new(),
        stopped: false,
        polls: 0,
        spin: (0, 0),
    };
    WORLD.with(|w| assert!(w.borrow_mut().replace(state).is_none(), "one world at a time on a thread"));
    zcluster_runtime::install(Some(Arc::new(SimRuntime)));
    Guard(())
}

/// True time, nanoseconds since the beginning.
pub fn now() -> u64 {
    with(|s| s.now)
}

/// The node whose task runs.
pub fn current() -> u32 {
    with(|s| s.current)
}

/// Draws from a stream of chance.
pub fn draw<R>(stream: Stream, f: impl FnOnce(&mut Random) -> R) -> R {
    with(|s| f(s.stream(stream)))
}

/// Adds an event to the history's hash.
pub fn event(kind: &'static str, facts: &[u64]) {
    with(|s| s.trace.event(s.now, s.current, kind, facts));
}

/// Adds a line to the readable timeline, if one is kept; it is no part of the hash.
pub fn note(node: u32, kind: &'static str, text: impl FnOnce() -> String) {
    if with(|s| s.trace.wants_notes()) {
        let text = text();
        with(|s| s.trace.note(Note { at: s.now, node, kind, text }));
    }
}

/// Counts a rare situation.
pub fn count(name: &'static str) {
    with(|s| *s.counters.entry(name).or_default() += 1);
}

/// Hears every probe from now on, until the world is left.
pub fn listen(listener: Listener) {
    LISTENERS.with(|l| l.borrow_mut().push(listener));
}

pub(super) fn heard(name: &'static str, facts: &[u64]) {
    let node = current();
    LISTENERS.with(|l| l.borrow().iter().for_each(|listener| listener(name, node, facts)));
}

/// What was counted.
pub fn counters() -> BTreeMap<&'static str, u64> {
    with(|s| s.counters.clone())
}

/// A promise was broken: the run ends here.
pub fn violate(promise: &'static str, text: impl Into<String>) {
    let text = text.into();
    note(current(), "promise", || format!("{promise}: {text}"));
    with(|s| {
        s.trace.event(s.now, s.current, "violation", &[]);
        s.violations.push(Violation { at: s.now, promise, text });
        s.stopped = true;
    });
}

/// What was broken.
pub fn violations() -> Vec<Violation> {
    with(|s| s.violations.clone())
}

/// Ends the run after the present poll.
pub fn stop() {
    with(|s| s.stopped = true);
}

/// Polls so far.
pub fn polls() -> u64 {
    with(|s| s.polls)
}

/// Whether the run has ended.
pub fn is_over() -> bool {
    with(|s| s.stopped)
}

/// The hash over the history so far.
pub fn trace_hash() -> u64 {
    with(|s| s.trace.hash())
}

/// A task on a node. On a node that is down it is dropped at once.
pub fn spawn_on(node: u32, task: impl Future<Output = ()> + Send + 'static) {
    let task: Task = Box::pin(task);
    let refused = with(|s| {
        if !s.nodes.get(&node).is_some_and(|n| n.up) {
            return Some(task);
        }
        let slot = s.free.pop().unwrap_or_else(|| {
            let empty = Slot { task: None, node, generation: 0, queued: false, occupied: false, waker: None };
            s.slots.push(empty);
            (s.slots.len() - 1) as u32
        });
        let it = &mut s.slots[slot as usize];
        it.occupied = true;
        it.node = node;
        it.task = Some(task);
        it.queued = true;
        it.waker = Some(Waker::from(Arc::new(TaskWaker { slot, generation: it.generation })));
        s.ready.push(slot);
        None
    });
    drop(refused);
}

/// Runs `f` as if `node` did (clock, chance, owner of spawned tasks).
pub fn within<R>(node: u32, f: impl FnOnce() -> R) -> R {
    let before = with(|s| std::mem::replace(&mut s.current, node));
    let result = f();
    with(|s| s.current = before);
    result
}

/// The node's process may run from now on.
pub fn start_node(node: u32) {
    with(|s| {
        let n = s.nodes.entry(node).or_insert_with(NodeRun::new);
        n.up = true;
        n.frozen = false;
    });
}

/// Reads or changes a node's clock.
pub fn with_clock<R>(node: u32, f: impl FnOnce(&mut Clock, u64) -> R) -> R {
    with(|s| {
        let now = s.now;
        f(&mut s.nodes.entry(node).or_insert_with(NodeRun::new).clock, now)
    })
}

/// Ends the node's process as SIGKILL does: none of its tasks runs on. They are dropped as the node.
pub fn kill(node: u32) {
    let slots: Vec<u32> = with(|s| {
        if let Some(n) = s.nodes.get_mut(&node) {
            n.up = false;
            n.frozen = false;
            n.held.clear();
        }
        (0..s.slots.len() as u32)
            .filter(|i| s.slots[*i as usize].occupied && s.slots[*i as usize].node == node)
            .collect()
    });
    drop_tasks(&slots);
}

/// The node's process stands still (SIGSTOP, swap, a paused virtual machine); its clocks go on.
pub fn freeze(node: u32) {
    with(|s| {
        if let Some(n) = s.nodes.get_mut(&node).filter(|n| n.up) {
            n.frozen = true;
        }
    });
}

/// The node's process goes on.
pub fn thaw(node: u32) {
    with(|s| {
        let Some(n) = s.nodes.get_mut(&node).filter(|n| n.frozen) else { return };
        n.frozen = false;
        s.ready.append(&mut n.held);
    });
}

/// Whether the node's process stands still.
pub fn is_frozen(node: u32) -> bool {
    with(|s| s.nodes.get(&node).is_some_and(|n| n.frozen))
}

/// Moves the node's timers into the future. A suspended machine is frozen, and its timers stand still as well:
/// CLOCK_BOOTTIME goes on, the kernel's monotonic timers do not.
pub fn hold(node: u32, by: Duration) {
    with(|s| {
        let by = by.as_nanos() as u64;
        let keys: Vec<(u64, u64)> = s.timers.iter().filter(|(_, t)| t.node == node).map(|(k, _)| *k).collect();
        let moved: Vec<_> = keys.into_iter().filter_map(|k| s.timers.remove(&k).map(|t| (k, t))).collect();
        for ((at, number), timer) in moved {
            s.timers.insert((at + by, number), timer);
        }
    });
}

/// Sleeps in true time.
pub fn sleep(d: Duration) -> Sleep {
    with(|s| Sleep::until_true(s.now + d.as_nanos() as u64))
}

/// Sleeps until a true time.
pub fn sleep_until(at: u64) -> Sleep {
    Sleep::until_true(at)
}

/// Runs until true time `until`, the end of all work, or [`stop`].
pub fn run_until(until: u64) {
    quiet_panics();
    loop {
        fire_due();
        let next = with(|s| if s.stopped || s.now > until { None } else { s.take_ready() });
        let Some((slot, mut task, waker, generation)) = next else {
            if !advance(until) {
                with(|s| s.current = OUTSIDE);
                return;
            }
            continue;
        };
        match guarded(|| task.as_mut().poll(&mut Context::from_waker(&waker))) {
            Ok(Poll::Pending) => drop(with(|s| s.put_back(slot, generation, task))),
            Ok(Poll::Ready(())) => finish(slot, generation, task),
            Err(what) => {
                finish(slot, generation, task);
                violate("no_panic", what);
            }
        }
        if with(State::is_stuck) {
            violate("time_goes_on", "tasks wake each other without end while time stands still");
        }
    }
}

fn finish(slot: u32, generation: u32, task: Task) {
    let _ = guarded(|| drop(task));
    let gone = with(|s| {
        let s_ = &s.slots[slot as usize];
        if s_.occupied && s_.generation == generation { s.vacate(slot) } else { (None, None) }
    });
    drop(gone);
}

/// Wakes whose time has come.
fn fire_due() {
    loop {
        let due = with(|s| {
            let key = *s.timers.first_key_value()?.0;
            if key.0 > s.now { None } else { s.timers.remove(&key) }
        });
        let Some(timer) = due else { return };
        timer.waker.wake();
    }
}

/// Lets time go on to the next timer. False when there is nothing left to do before `until`.
fn advance(until: u64) -> bool {
    with(|s| {
        if s.stopped || s.now > until {
            return false;
        }
        match s.timers.first_key_value().map(|(k, _)| k.0) {
            Some(at) if at <= until => {
                s.now = s.now.max(at);
                true
            }
            _ => {
                s.now = s.now.max(until);
                false
            }
        }
    })
}

/// Runs a task's code; a panic ends the code, not the world, and is told as text.
fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    let outer = IN_TASK.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    IN_TASK.set(outer);
    result.map_err(|_| PANIC.take().unwrap_or_default())
}

/// Panics of tasks are kept as text, not printed: they become a violation.
fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IN_TASK.try_with(Cell::get).unwrap_or(false) {
                PANIC.set(Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
}

/// What is left of a world when it is over.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Hash over the history.
    pub hash: u64,
    /// Events in it.
    pub events: u64,
    /// Hash at every [`super::MARK_EVERY`]th event.
    pub marks: Vec<u64>,
    /// Events kept.
    pub kept: Vec<Event>,
    /// Notes kept.
    pub notes: Vec<Note>,
    /// Rare situations met.
    pub counters: BTreeMap<&'static str, u64>,
    /// Promises broken.
    pub violations: Vec<Violation>,
    /// True time passed, nanoseconds.
    pub elapsed: u64,
    /// Polls.
    pub polls: u64,
}

impl Guard {
    /// What there is to say of the world so far.
    pub fn summary(&self) -> Summary {
        with(|s| Summary {
            hash: s.trace.hash(),
            events: s.trace.count(),
            marks: s.trace.marks().to_vec(),
            kept: s.trace.events().to_vec(),
            notes: s.trace.notes().to_vec(),
            counters: s.counters.clone(),
            violations: s.violations.clone(),
            elapsed: s.now,
            polls: s.polls,
        })
    }
}
