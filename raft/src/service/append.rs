//! Receiving appends, in order.
//!
//! A leader sends the next append before the one before is answered, and a follower that saw them in another order
//! would report a conflict where there is none. [`zcluster_rpc::Service::call`] is called in arrival order, so the
//! message must be in the group's queue when it returns. A task per group would do; cheaper is to poll openraft's
//! future once right here: its first step puts the message into the core's channel, which always has room (its
//! capacity is above what proposals and [`MAX_IN_FLIGHT`] appends can fill).

use super::{Answer, check_sender, raft_error, ready, refuse};
use crate::codec::Reader;
use crate::group::Inner;
use crate::wire;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// Appends a group may have waiting for their fsync; a leader that sends more is told to wait.
const MAX_IN_FLIGHT: usize = 4096;

/// Counts an append while it is handled.
struct Slot(Arc<Inner>);

impl Slot {
    fn take(inner: &Arc<Inner>) -> Option<Self> {
        let count: &AtomicUsize = &inner.appends;
        if count.fetch_add(1, Ordering::Relaxed) >= MAX_IN_FLIGHT {
            count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(inner.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.appends.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn handle(inner: Arc<Inner>, from: u64, reader: Reader) -> Answer {
    let request = match wire::decode_append(reader) {
        Ok(request) => request,
        Err(e) => return ready(Err(refuse(e))),
    };
    if let Err(e) = check_sender(from, request.vote.leader_id.voted_for) {
        return ready(Err(refuse(e)));
    }
    let Some(slot) = Slot::take(&inner) else {
        return ready(Err(refuse("too many appends wait")));
    };
    let mut answer: Answer = Box::pin(async move {
        let result = slot.0.raft.append_entries(request).await;
        result.map(|a| wire::encode_append_answer(&a)).map_err(|e| raft_error(&e))
    });
    // Nobody listens to this waker: whoever holds the future polls it again with its own.
    match Pin::new(&mut answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => ready(result),
        Poll::Pending => answer,
    }
}
