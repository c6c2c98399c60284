//! What the wires promise.

mod calls;
mod clients;
mod faults;
mod streams;

use super::*;
use crate::world::{Guard, Keep, enter, run_until, spawn_on, start_node};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use zcluster_rpc::{Frames, Lane, RpcError};
use zcluster_runtime as rt;

/// Method: answers with the body.
const ECHO: u16 = 1;
/// Method: answers after up to 100 ms.
const SLOW: u16 = 2;
/// Method: never answers.
const NEVER: u16 = 3;

/// The raft id of node `n`.
fn id(n: u32) -> u64 {
    u64::from(n) << 16
}

fn body(number: u64) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u64(number);
    bytes.freeze()
}

/// Knobs of a calm network.
fn calm() -> Knobs {
    Knobs { latency_us: (200, 800), ..Knobs::default() }
}

/// What the services of a test have seen.
#[derive(Default)]
struct Seen {
    /// Numbers of calls, in the order in which handlers were entered.
    entered: Mutex<Vec<u64>>,
    /// Handlers that were dropped before their end.
    cancelled: Mutex<Vec<u64>>,
    /// Items that streams have yielded.
    yielded: Mutex<u64>,
}

/// A service that tells what it sees.
struct Recorder(Arc<Seen>);

/// Notes a handler that is dropped before its end.
struct Unfinished(Arc<Seen>, u64, bool);

impl Unfinished {
    fn finish(mut self) {
        self.2 = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.2 {
            self.0.cancelled.lock().push(self.1);
        }
    }
}

impl Service for Recorder {
    fn call(&self, _: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        let number = body.clone().get_u64();
        self.0.entered.lock().push(number);
        let unfinished = Unfinished(self.0.clone(), number, false);
        async move {
            match method {
                ECHO => {}
                SLOW => rt::sleep(Duration::from_micros(rt::random_below(100_000))).await,
                _ => futures::future::pending().await,
            }
            unfinished.finish();
            Ok(body)
        }
        .boxed()
    }

    /// Yields as many items as the body says, each 64 KiB and numbered.
    fn stream(&self, _: u64, _: u16, mut body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        let (seen, many) = (self.0.clone(), body.get_u64());
        self.0.entered.lock().push(many);
        let unfinished = Unfinished(seen.clone(), many, false);
        let items = futures::stream::unfold((0, unfinished), move |(n, unfinished): (u64, Unfinished)| {
            let seen = seen.clone();
            async move {
                if n == many {
                    unfinished.finish();
                    return None;
                }
                *seen.yielded.lock() += 1;
                let mut item = BytesMut::zeroed(64 * 1024);
                item[..8].copy_from_slice(&n.to_be_bytes());
                Some((Ok(item.freeze()), (n + 1, unfinished)))
            }
        });
        futures::future::ready(Ok(items.boxed() as Frames)).boxed()
    }
}

/// A world with nodes 1 to `nodes` on wires, all of them attached.
struct Bench {
    guard: Guard,
    wires: Arc<Wires>,
    seen: Arc<Seen>,
}

impl Bench {
    fn new(seed: u64, nodes: u32, knobs: &Knobs) -> Bench {
        let guard = enter(seed, Keep::default());
        let wires = Wires::new(knobs);
        let bench = Bench { guard, wires, seen: Arc::default() };
        (1..=nodes).for_each(|n| bench.boot(n));
        bench
    }

    fn boot(&self, node: u32) {
        start_node(node);
        self.wires.attach(id(node), Arc::new(Recorder(self.seen.clone())));
    }

    fn crash(&self, node: u32) {
        world::kill(node);
        self.wires.detach(id(node));
    }

    /// Makes a call on node 1 to node 2; the outcome lands in the returned place.
    fn call(&self, lane: Lane, method: u16, number: u64, timeout_ms: u64) -> Outcome {
        let net = self.wires.network(id(1));
        let place = Outcome::default();
        let out = place.clone();
        let call = world::within(1, || net.call(id(2), lane, method, body(number), Duration::from_millis(timeout_ms)));
        spawn_on(1, async move {
            let result = call.await;
            *out.lock() = Some((world::now(), result));
        });
        place
    }

    /// Lets time pass.
    fn run(&self, ms: u64) {
        run_until(world::now() + ms * 1_000_000);
    }

    fn entered(&self) -> Vec<u64> {
        self.seen.entered.lock().clone()
    }
}

/// When a call ended, and how.
type Outcome = Arc<Mutex<Option<(u64, Result<Bytes, RpcError>)>>>;

fn outcome(place: &Outcome) -> Result<Bytes, RpcError> {
    place.lock().clone().expect("the call has ended").1
}
