//! A message on its way in, and the memory all of them may take together.

use crate::codec::LineCheck;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zcluster_runtime::timeout;

/// Bytes that one permit of the budget stands for.
const PERMIT_BYTES: usize = 1024;
/// Bytes a message takes from the budget at a time.
const STEP_BYTES: usize = 64 * 1024;
/// How long a message waits for others to make room, unless told otherwise.
const ROOM_WAIT: Duration = Duration::from_secs(10);
/// Bytes of a refused message that are read and thrown away before the connection is given up.
pub const DISCARD_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of messages that may be in the making at once, over all services and sessions that share it. About three
/// times as much memory is in use at the worst: a body is copied when it is compressed and again when it is sent.
#[derive(Clone)]
pub struct Budget {
    permits: Arc<Semaphore>,
    wait: Duration,
}

impl Budget {
    /// A budget of so many bytes (at least one message step).
    pub fn new(bytes: usize) -> Self {
        let permits = bytes.max(STEP_BYTES) / PERMIT_BYTES;
        Budget { permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))), wait: ROOM_WAIT }
    }

    /// With another time to wait for room before a message is refused.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// Why a message is refused whatever its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Larger than allowed.
    TooLarge,
    /// The budget is used up.
    NoRoom,
    /// A bare LF.
    BareLf,
    /// A NUL.
    Nul,
    /// An absurdly long line.
    LongLine,
    /// Too many Received fields.
    Loop,
}

/// The client sends on and on although the message is refused already.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

/// A message being received: our trace fields, then the client's bytes. Holds its share of the budget while it lives.
pub struct Incoming {
    bytes: Vec<u8>,
    trace_len: usize,
    max: usize,
    budget: Budget,
    share: Option<OwnedSemaphorePermit>,
    check: LineCheck,
    problem: Option<Problem>,
    discarded: u64,
}

impl Incoming {
    /// Begins a message of at most `max` bytes with the given trace fields. The first step of the budget is taken now,
    /// so that a full node says so before the client sends.
    ///
    /// # Errors
    /// [`Problem::NoRoom`].
    pub async fn begin(trace: Vec<u8>, max: u64, budget: &Budget) -> Result<Self, Problem> {
        let mut incoming = Incoming {
            trace_len: trace.len(),
            bytes: trace,
            max: usize::try_from(max).unwrap_or(usize::MAX),
            budget: budget.clone(),
            share: None,
            check: LineCheck::default(),
            problem: None,
            discarded: 0,
        };
        incoming.make_room(1).await;
        match incoming.problem {
            None => Ok(incoming),
            Some(problem) => Err(problem),
        }
    }

    /// Takes as much of the budget as `more` further bytes need.
    pub async fn make_room(&mut self, more: usize) {
        let have = self.share.as_ref().map_or(0, |s| s.num_permits() * PERMIT_BYTES);
        let want = self.bytes.len().saturating_add(more);
        if self.problem.is_some() {
            return;
        }
        if want <= have {
            self.bytes.reserve(more);
            return;
        }
        let step = (want - have).next_multiple_of(STEP_BYTES) / PERMIT_BYTES;
        let acquire = self.budget.permits.clone().acquire_many_owned(u32::try_from(step).unwrap_or(u32::MAX));
        match timeout(self.budget.wait, acquire).await {
            Ok(Ok(permit)) => match &mut self.share {
                Some(share) => share.merge(permit),
                None => self.share = Some(permit),
            },
            _ => return self.refuse(Problem::NoRoom),
        }
        self.bytes.reserve(more);
    }

    /// Takes the next bytes of the message; [`Self::make_room`] goes before.
    pub fn append(&mut self, piece: &[u8]) {
        if self.problem.is_some() {
            self.discarded += piece.len() as u64;
        } else if self.bytes.len() - self.trace_len + piece.len() > self.max {
            self.refuse(Problem::TooLarge);
        } else {
            self.check.push(piece);
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Whether the client still sends within reason.
    ///
    /// # Errors
    /// [`Endless`] when more has been thrown away than is reasonable.
    pub fn check_endless(&self) -> Result<(), Endless> {
        if self.discarded > DISCARD_BYTES_MAX { Err(Endless) } else { Ok(()) }
    }

    /// Refuses the message: the first reason counts. Its memory is given back at once.
    pub fn refuse(&mut self, problem: Problem) {
        if self.problem.is_none() {
            self.problem = Some(problem);
            self.bytes = Vec::new();
            self.trace_len = 0;
            self.share = None;
        }
    }

    /// Why it is refused, if it is.
    pub fn problem(&self) -> Option<Problem> {
        self.problem
    }

    /// Looks at the whole: afterwards [`Self::problem`] is final. In a binary message any octet may be anywhere.
    pub fn finish(&mut self, refuse_bare_lf: bool, binary: bool) {
        let check = self.check;
        if binary {
            return;
        }
        for (found, problem) in [
            (check.bare_lf && refuse_bare_lf, Problem::BareLf),
            (check.nul, Problem::Nul),
            (check.long_line, Problem::LongLine),
        ] {
            if found {
                self.refuse(problem);
            }
        }
    }

    /// The client's bytes.
    pub fn received(&self) -> &[u8] {
        &self.bytes[self.trace_len..]
    }

    /// Whether it is text: no NUL, no bare LF, no absurd lines.
    pub fn is_text(&self) -> bool {
        !(self.check.nul || self.check.bare_lf || self.check.long_line)
    }

    /// The whole message, how much of it is trace fields, and the share of the budget that it occupies.
    pub fn into_parts(self) -> (Vec<u8>, usize, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.trace_len, self.share)
    }
}
