//! What can go wrong, told apart by what the caller may do next.

use std::io;

/// Why a proposal has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This node does not lead (or not in the asked term); surely nothing was appended. Retry elsewhere.
    #[error("not the leader (leader: {leader:?})")]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<u64>,
    },
    /// Too many proposals wait already, or the proposal is too large; surely nothing was appended.
    #[error("refused: {0}")]
    Refused(String),
    /// The proposal may or may not be committed, now or later. Retry only with the same request id.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The group does not run here any more; whether the proposal was appended is unknown.
    #[error("the group is stopped")]
    Stopped,
}

/// Why a read barrier could not be passed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// This node does not lead.
    #[error("not the leader (leader: {leader:?})")]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<u64>,
    },
    /// No quorum answered in time, or the state machine lags.
    #[error("no quorum in time")]
    Unavailable,
}

/// Why an administrative step failed. All of them may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// This node does not lead.
    #[error("not the leader (leader: {leader:?})")]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<u64>,
    },
    /// Another membership change is going on.
    #[error("another membership change is in progress")]
    InProgress,
    /// It makes no sense in this state.
    #[error("refused: {0}")]
    Refused(String),
    /// It did not finish in time; it may still take effect.
    #[error("not finished in time")]
    Timeout,
    /// The group does not run here (any more).
    #[error("the group is stopped")]
    Stopped,
    /// The disk failed; the process is about to stop.
    #[error(transparent)]
    Io(#[from] io::Error),
}
