//! The one closed error of the inner API; each protocol translates it once, without a wildcard arm.

use crate::ids::{Epoch, GroupId};
use minicbor::{Decode, Encode};

/// What can go wrong in a mailbox or directory call.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Error {
    /// No such account, folder, item or other thing; the text names it.
    #[n(0)]
    #[error("no such {0}")]
    NotFound(#[n(0)] String),
    /// Already there; the text names it.
    #[n(1)]
    #[error("{0} exists already")]
    Exists(#[n(0)] String),
    /// The actor may not do this.
    #[n(2)]
    #[error("permission denied: {0}")]
    Denied(#[n(0)] String),
    /// The mailbox (or domain) has no room.
    #[n(3)]
    #[error("over quota")]
    QuotaExceeded,
    /// A precondition (epoch, mod-sequence, non-empty folder) did not hold.
    #[n(4)]
    #[error("conflict: {0}")]
    Conflict(#[n(0)] String),
    /// Larger than a stated bound.
    #[n(5)]
    #[error("too large: {0}")]
    TooLarge(#[n(0)] String),
    /// The request itself makes no sense.
    #[n(6)]
    #[error("invalid: {0}")]
    Invalid(#[n(0)] String),
    /// Not now: no quorum, no leader within the deadline, overload. The outcome of a write is unknown; the same
    /// request id may be tried again.
    #[n(7)]
    #[error("temporarily unavailable: {0}")]
    Unavailable(#[n(0)] String),
    /// A fault of ours.
    #[n(8)]
    #[error("internal error: {0}")]
    Internal(#[n(0)] String),
    /// The mailbox does not live (or not yet) in this shard at this epoch. Routers resolve it; front-ends never see it.
    #[n(9)]
    #[error("mailbox is not at home in shard {group} at epoch {epoch}")]
    WrongHome {
        /// The shard that was asked.
        #[n(0)]
        group: GroupId,
        /// The epoch the shard knows; 0 when it has no such mailbox.
        #[n(1)]
        epoch: Epoch,
    },
}

/// `Result` with the API's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
