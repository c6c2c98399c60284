//! Deliberate defects, to prove that the simulator finds such. Without the feature `planted-bugs`, which nothing but
//! the simulator switches on, [`planted`] is a constant `false` and the compiler removes what stands behind it.

/// A defect that can be planted. Each stands for a mistake that distributed mail stores have really made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The log reports an entry as durable before the disk has it.
    AckBeforeFsync,
    /// The log reports a vote as durable before the disk has it.
    VoteUnsynced,
    /// The leader assigns UIDs from its own memory before the entry is committed.
    UidBeforeCommit,
    /// A retry is a new intention: it carries no (or another) request id.
    RetryWithoutRequestId,
    /// Reads are answered without a ReadIndex round.
    StaleRead,
    /// The log is cut beyond what the state machine has on disk.
    PurgeBeyondSnapshot,
    /// A recovered log lacks a batch in the middle.
    LogHole,
    /// The router believes its cached route whatever it is told.
    CachedRouteTrusted,
    /// Work that belongs to the leader is done by followers as well.
    SideEffectOnFollower,
    /// A snapshot leaves out the replies kept for retries.
    ReplyCacheLostInSnapshot,
    /// openraft's default: a leader that restarts goes on in its old term.
    LeaderRestore,
    /// Bodies are said to lie in an object that is still to be written.
    PlaceBeforePut,
    /// What no body is known to lie in is deleted from the volume at once, unasked.
    DeleteWithoutGrace,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 13] = [
        Bug::AckBeforeFsync,
        Bug::VoteUnsynced,
        Bug::UidBeforeCommit,
        Bug::RetryWithoutRequestId,
        Bug::StaleRead,
        Bug::PurgeBeyondSnapshot,
        Bug::LogHole,
        Bug::CachedRouteTrusted,
        Bug::SideEffectOnFollower,
        Bug::ReplyCacheLostInSnapshot,
        Bug::LeaderRestore,
        Bug::PlaceBeforePut,
        Bug::DeleteWithoutGrace,
    ];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Bug::AckBeforeFsync => "ack-before-fsync",
            Bug::VoteUnsynced => "vote-unsynced",
            Bug::UidBeforeCommit => "uid-before-commit",
            Bug::RetryWithoutRequestId => "retry-without-request-id",
            Bug::StaleRead => "stale-read",
            Bug::PurgeBeyondSnapshot => "purge-beyond-snapshot",
            Bug::LogHole => "log-hole",
            Bug::CachedRouteTrusted => "cached-route-trusted",
            Bug::SideEffectOnFollower => "side-effect-on-follower",
            Bug::ReplyCacheLostInSnapshot => "reply-cache-lost-in-snapshot",
            Bug::LeaderRestore => "leader-restore",
            Bug::PlaceBeforePut => "place-before-put",
            Bug::DeleteWithoutGrace => "delete-without-grace",
        }
    }
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
    static MEMORY: std::cell::RefCell<std::collections::BTreeMap<Vec<u64>, u64>> =
        const { std::cell::RefCell::new(std::collections::BTreeMap::new()) };
}

/// Plants a defect on this thread, in place of the one before, and forgets what that one remembered.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.with(|p| p.set(bug));
    MEMORY.with(|m| m.borrow_mut().clear());
}

/// Changes a number that a planted bug keeps in memory, where correct code keeps nothing; returns it as it was before
/// (0 at first).
#[cfg(feature = "planted-bugs")]
pub fn remember(key: &[u64], change: impl FnOnce(u64) -> u64) -> u64 {
    MEMORY.with(|m| {
        let mut memory = m.borrow_mut();
        let slot = memory.entry(key.to_vec()).or_default();
        std::mem::replace(slot, change(*slot))
    })
}

/// Nothing is planted, so nothing is kept.
#[cfg(not(feature = "planted-bugs"))]
pub fn remember(_: &[u64], _: impl FnOnce(u64) -> u64) -> u64 {
    0
}

/// Whether a defect is planted.
#[cfg(feature = "planted-bugs")]
pub fn planted(bug: Bug) -> bool {
    PLANTED.with(|p| p.get() == Some(bug))
}

/// Whether a defect is planted: never.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn planted(bug: Bug) -> bool {
    let _ = bug;
    false
}
