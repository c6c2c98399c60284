//! Following a mailbox's mod-sequence.

use super::back_end::Memory;
use futures::future::poll_fn;
use futures::stream::{self, BoxStream, StreamExt};
use std::task::Poll;
use zcluster_api::{AccountId, ModSeq};

/// Yields each rise above `since`; ends when the account is gone.
pub(super) fn stream(memory: Memory, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
    stream::unfold((memory, since), move |(memory, seen)| async move {
        let risen = poll_fn(|cx| {
            // Registered before the look, so that no change falls between; a spare wake does no harm.
            let mut state = memory.lock();
            if !state.wakers.iter().any(|w| w.will_wake(cx.waker())) {
                state.wakers.push(cx.waker().clone());
            }
            drop(state);
            match memory.position(account) {
                None => Poll::Ready(None),
                Some(now) if now > seen => Poll::Ready(Some(now)),
                Some(_) => Poll::Pending,
            }
        })
        .await;
        risen.map(|now| (now, (memory, now)))
    })
    .boxed()
}
