//! Many worlds at once: each on a thread of its own, as many threads at a time as there are cores.
//!
//! A world gets a fresh thread, because thread-locals (a planted bug, a library's caches) must not carry anything from
//! one history into the next.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, Builder};
use std::time::Duration;

/// Futures of several protocol layers are polled through one another: more than a thread's usual 2 MiB, and it is only
/// reserved, not used.
const STACK_BYTES: usize = 32 << 20;
/// How often [`each`] lets its caller show progress while nothing ends.
const TICK: Duration = Duration::from_millis(500);

/// The number of cores, for a default.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Something that [`each`] has to tell.
pub enum News<R> {
    /// The item with this place in the list came to this result.
    Done(usize, R),
    /// Nothing ended for a while.
    Tick,
}

/// Runs `work` on a fresh thread and waits for it.
///
/// # Errors
/// The text of the panic when `work` panicked.
pub fn apart<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, String> {
    thread::scope(|scope| {
        let thread = Builder::new().name("world".into()).stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.map_err(|e| format!("no thread: {e}"))?.join().map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or("panicked".into())
        })
    })
}

/// Carries `work` out for each item, `jobs` at a time and each on a fresh thread, and hands the news to `hear` as they
/// come in (not in the order of the items), on the calling thread. When `hear` breaks, no more items are begun.
pub fn each<I, R>(
    jobs: usize,
    items: impl Iterator<Item = I> + Send,
    work: impl Fn(I) -> R + Sync,
    mut hear: impl FnMut(News<Result<R, String>>) -> ControlFlow<()>,
) where
    I: Send,
    R: Send,
{
    let items = parking_lot::Mutex::new(items.enumerate());
    let ended = AtomicBool::new(false);
    let (tx, rx) = sync_channel(jobs.max(1) * 2);
    let worker = |tx: SyncSender<(usize, Result<R, String>)>| {
        while !ended.load(Ordering::Relaxed) {
            // The lock is released before the work begins.
            let next = items.lock().next();
            let Some((place, item)) = next else { return };
            if tx.send((place, apart(|| work(item)))).is_err() {
                return;
            }
        }
    };
    let worker = &worker;
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let tx = tx.clone();
            scope.spawn(move || worker(tx));
        }
        drop(tx);
        loop {
            let news = match rx.recv_timeout(TICK) {
                Ok((place, result)) => News::Done(place, result),
                Err(RecvTimeoutError::Timeout) => News::Tick,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if hear(news).is_break() {
                // Whatever is under way ends, unheard: the threads must not wait for the channel.
                ended.store(true, Ordering::Relaxed);
                while rx.recv().is_ok() {}
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        let mut seen = vec![0; 100];
        each(
            3,
            0..100usize,
            |i| i * 2,
            |news| {
                if let News::Done(place, Ok(twice)) = news {
                    assert_eq!(twice, place * 2);
                    seen[place] += 1;
                }
                ControlFlow::Continue(())
            },
        );
        assert!(seen.iter().all(|n| *n == 1));
    }

    #[test]
    fn a_panic_is_a_result_and_a_break_ends_it() {
        let mut heard = 0;
        each(
            2,
            0..1_000_000,
            |i: u32| assert!(i != 0, "first"),
            |news| {
                heard += 1;
                match news {
                    News::Done(0, Err(text)) => {
                        assert!(text.contains("first"), "{text}");
                        ControlFlow::Break(())
                    }
                    _ => ControlFlow::Continue(()),
                }
            },
        );
        assert!(heard < 1_000_000);
    }
}
