//! What a seed does: an explicit list, drawn up front, that can be read, shortened and replayed.

mod file;
mod generate;
mod show;

pub use file::{Case, PlanFile, bug_of_name, commit};
pub use generate::Scale;

use serde::{Deserialize, Serialize};

/// Everything that is decided before a run begins. The same plan gives the same history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The seed it was drawn from; also seeds the streams of chance during the run.
    pub seed: u64,
    /// The cluster.
    pub shape: Shape,
    /// How often small things go wrong, for the whole first phase.
    pub knobs: Knobs,
    /// Large things that go wrong, in order of time.
    pub faults: Vec<TimedFault>,
    /// Who uses the cluster, and for what.
    pub clients: Vec<ClientPlan>,
    /// Length of the first phase (safety under faults), milliseconds after the cluster is founded.
    pub faults_ms: u64,
    /// How long the second phase may take after everything is healed: the cluster must converge and serve within it.
    pub heal_ms: u64,
}

/// The cluster and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Nodes at the beginning, 1-7.
    pub nodes: u32,
    /// Mailbox shards (groups besides the directory), 1-16.
    pub shards: u32,
    /// Accounts that exist from the beginning: `u0@sim.example`, `u1@...`; password `pw-0`, ...
    pub accounts: u32,
    /// Raft timers and thresholds.
    pub raft: RaftShape,
    /// Each node's clock, first node first (joiners take theirs modulo).
    pub clocks: Vec<ClockShape>,
    /// The volume that bodies are packed on, in about half of the worlds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeShape>,
}

/// A volume and its troubles; rates in parts per million of its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeShape {
    /// Bodies are packed when they are so old, milliseconds.
    pub after_ms: u64,
    /// Bytes of bodies that are worth a pack, and that a pack has at most.
    pub pack_bytes: (u64, u64),
    /// Objects without bodies are kept for so long, milliseconds.
    pub trash_ms: u64,
    /// A call is refused.
    pub refuse: u32,
    /// A call has its effect, and its answer is lost.
    pub lose: u32,
    /// A call fails at once, and has its effect later.
    pub late: u32,
    /// A call takes up to three seconds.
    pub slow: u32,
    /// Lists show a new object up to so much later, milliseconds.
    pub list_lag_ms: u64,
    /// The volume refuses everything for so long, again and again, milliseconds.
    pub outage_ms: u64,
    /// How often that begins, milliseconds.
    pub outage_every_ms: u64,
}

/// Raft settings of a run; see `zcluster_raft::Config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftShape {
    /// Milliseconds.
    pub heartbeat_ms: u64,
    /// Milliseconds.
    pub election_min_ms: u64,
    /// Milliseconds.
    pub election_max_ms: u64,
    /// Entries between cuts of the log: small ones make snapshots frequent.
    pub snapshot_every: u64,
    /// Entries a cut leaves.
    pub keep_entries: u64,
    /// A follower further behind gets a snapshot.
    pub snapshot_lag: u64,
}

/// A node's clock at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockShape {
    /// The monotonic clock's first value, milliseconds.
    pub offset_ms: u64,
    /// Deviation of the rate, parts per million.
    pub ppm: i64,
    /// The wall clock is wrong by so much, milliseconds.
    pub wall_error_ms: i64,
}

/// Rates of small faults, each in parts per million of its occasions; 0 = off (about half of them in each seed).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knobs {
    /// A call between nodes is lost before it arrives.
    pub drop_request: u32,
    /// An answer between nodes is lost.
    pub drop_answer: u32,
    /// A call arrives twice.
    pub duplicate: u32,
    /// A call is much later than usual (and on lanes without order is overtaken).
    pub delay: u32,
    /// A call arrives long after its caller was told that the connection broke (a stale connection).
    pub stale: u32,
    /// A client's connection is reset in the middle of the stream, per piece of data.
    pub client_reset: u32,
    /// A client's bytes come in small pieces.
    pub client_fragments: u32,
    /// An fsync takes 20-400 ms.
    pub slow_fsync: u32,
    /// Usual one-way latency between nodes, microseconds, and its spread.
    pub latency_us: (u32, u32),
    /// Usual fsync time, microseconds, and its spread.
    pub fsync_us: (u32, u32),
}

/// A large fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedFault {
    /// Milliseconds after the first phase began.
    pub at_ms: u64,
    /// What.
    pub fault: Fault,
}

/// Large faults and operations. A fault that makes no sense when it strikes (the node is down already, is gone, was never
/// there) does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants' texts speak of their fields")]
pub enum Fault {
    /// Nothing gets from one node to another; the other way is open.
    CutOneWay { from: u32, to: u32 },
    /// These nodes are cut off from all others, both ways.
    Partition { side: Vec<u32> },
    /// A node cannot be reached by clients (and they hear nothing from it).
    CutClients { node: u32 },
    /// All cuts and slow links are mended.
    HealNetwork,
    /// A link gets slower by a factor, both ways.
    SlowLink { a: u32, b: u32, factor: u32 },
    /// Connections between two nodes break: calls under way fail.
    ResetLinks { a: u32, b: u32 },
    /// The node's clients lose their connections.
    ResetClients { node: u32 },
    /// The node's process ends (power cut): un-synced writes are lost in part, the last record may be torn. It is
    /// started again after `down_ms`.
    Crash { node: u32, down_ms: u64, torn: bool },
    /// All nodes at once.
    CrashAll { down_ms: u64, torn: bool },
    /// SIGTERM: leaderships are handed over, the process ends in order and is started again after `down_ms`.
    Restart { node: u32, down_ms: u64 },
    /// Each node in turn, the next when the one before is back.
    RollingRestart { down_ms: u64 },
    /// The node crashes and comes back with an empty disk (only while a majority of all its groups is left).
    LoseDisk { node: u32, down_ms: u64 },
    /// A bit of a synced record is wrong from now on (found when it is read).
    FlipBit { node: u32 },
    /// Writes fail with ENOSPC for a while: the node stops and is started again later.
    NoSpace { node: u32, for_ms: u64 },
    /// The next write or fsync fails with EIO: the node stops and is started again.
    IoError { node: u32 },
    /// The disk is slower by a factor for a while.
    SlowDisk { node: u32, factor: u32, for_ms: u64 },
    /// The wall clock jumps.
    ClockJump { node: u32, ms: i64 },
    /// The clocks' rate changes.
    ClockRate { node: u32, ppm: i64 },
    /// The machine is suspended: the process and its timers stand still, CLOCK_BOOTTIME goes on.
    Suspend { node: u32, ms: u64 },
    /// The process stands still (SIGSTOP).
    Pause { node: u32, ms: u64 },
    /// A new node joins.
    Join,
    /// A node leaves for good (drain first).
    Leave { node: u32 },
    /// A shard's replica moves from one node to another by an edit of the shard map.
    MoveReplica { shard: u32 },
    /// A group's leadership is handed to another voter (`group` 0: the directory).
    Transfer { group: u32 },
    /// A group's log is cut as far as it can be on every node, so that followers that are behind need a snapshot.
    CutLog { group: u32 },
    /// An administrator has all bodies verified, also what lies on the volume, and perhaps put right what is not.
    VerifyBodies { repair: bool },
    /// The volume is to be emptied into the shards for a while.
    DrainVolume { for_ms: u64 },
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPlan {
    /// What it is.
    pub kind: ClientKind,
    /// What it wants, one after the other; each is retried as such clients do.
    pub ops: Vec<TimedOp>,
}

/// What kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientKind {
    /// An MTA that delivers over LMTP and tries again until it has an answer.
    Lmtp,
    /// A mail program of account number `account`.
    Imap {
        /// Which.
        account: u32,
    },
    /// An administrator: creates and deletes accounts, changes passwords, reads them back.
    Admin,
}

/// An operation and how long the client thinks before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedOp {
    /// Milliseconds after the operation before it.
    pub wait_ms: u64,
    /// A number of its own among all operations of the plan: names the message or entry it makes.
    pub id: u32,
    /// What.
    pub op: Op,
}

/// What clients do. `pick` chooses among what the client sees at that moment (modulo). Folders are numbered: 0 is INBOX,
/// 1-3 are `F1`-`F3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants' texts speak of their fields")]
pub enum Op {
    /// LMTP: one message (Message-ID and Subject `m<id>`) for these accounts, about so many bytes.
    Deliver { accounts: Vec<u32>, bytes: u32 },
    /// APPEND of message `m<id>`.
    Append { folder: u32, bytes: u32 },
    /// SELECT and FETCH 1:* (UID FLAGS MODSEQ and the Subject).
    Fetch { folder: u32 },
    /// UID STORE +FLAGS or -FLAGS of keyword or flag number `flag`; with UNCHANGEDSINCE the modseq last seen.
    Store { folder: u32, pick: u32, flag: u32, set: bool, unchanged_since: bool },
    /// UID COPY of one message.
    Copy { folder: u32, pick: u32, to: u32 },
    /// UID MOVE of one message.
    Move { folder: u32, pick: u32, to: u32 },
    /// \Deleted on one message, then UID EXPUNGE of it.
    Expunge { folder: u32, pick: u32 },
    /// CREATE `X<name>`.
    Create { name: u32 },
    /// RENAME `X<name>` to `X<to>`.
    Rename { name: u32, to: u32 },
    /// DELETE `X<name>`.
    Delete { name: u32 },
    /// SELECT and IDLE for so long.
    Idle { folder: u32, ms: u64 },
    /// UID SEARCH for the subject of message `m<of>`.
    Search { folder: u32, of: u32 },
    /// STATUS.
    Status { folder: u32 },
    /// LOGOUT, then sign in at another node.
    Reconnect,
    /// Admin: creates account `a<name>@sim.example` with password `<id>`.
    CreateAccount { name: u32 },
    /// Admin: deletes it.
    DeleteAccount { name: u32 },
    /// Admin: sets its password (a description attribute stands for it) to `<id>`.
    SetPassword { name: u32 },
    /// Admin: reads it back, linearizably.
    ReadAccount { name: u32 },
}
