//! Streams of answers: items in order, at most a window's worth under way.

use super::hop::{Cancel, Hop, keep};
use super::link::Key;
use super::{State, Wires};
use crate::world;
use bytes::Bytes;
use futures::Stream;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use zcluster_rpc::{Frames, RpcError, node_number};

/// Bytes of one stream under way, as HTTP/2's window in production.
const WINDOW: usize = 2 * 1024 * 1024;
/// What an item costs besides its bytes.
const ITEM_OVERHEAD: usize = 16;

type Item = Result<Bytes, RpcError>;

fn cost(item: &Item) -> usize {
    ITEM_OVERHEAD + item.as_ref().map_or(0, Bytes::len)
}

/// A stream whose receiver is there.
pub(super) struct Flow {
    pub key: Key,
    conn: u64,
    pub cancel: Arc<Cancel>,
    /// Arrived and not taken.
    items: VecDeque<Item>,
    /// Nothing more will arrive.
    ended: bool,
    /// Bytes sent and not taken.
    under_way: usize,
    last_arrival: u64,
    consumer: Option<Waker>,
    producer: Option<Waker>,
}

impl Flow {
    pub(super) fn new(key: Key, conn: u64, cancel: Arc<Cancel>) -> Self {
        Flow {
            key,
            conn,
            cancel,
            items: VecDeque::new(),
            ended: false,
            under_way: 0,
            last_arrival: 0,
            consumer: None,
            producer: None,
        }
    }

    fn arrived(&mut self, item: Option<Item>) {
        if self.ended {
            return;
        }
        // An error is the last thing a stream says.
        self.ended = !matches!(item, Some(Ok(_)));
        self.items.extend(item);
        if let Some(consumer) = self.consumer.take() {
            consumer.wake();
        }
    }
}

impl State {
    /// An item, or the stream's end, has come to the receiver.
    pub(super) fn item_arrived(&mut self, id: u64, item: Option<Item>) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.arrived(item);
        }
    }

    /// Ends the streams of a connection; how many there were.
    pub(super) fn end_flows(&mut self, key: Key, conn: u64, error: &RpcError) -> usize {
        self.end_flows_if(|flow| flow.key == key && flow.conn == conn, error)
    }

    pub(super) fn end_flows_between(&mut self, a: u32, b: u32) {
        let error = RpcError::Lost("the connection was silent for too long".into());
        self.end_flows_if(|flow| flow.key.is_between(a, b), &error);
    }

    fn end_flows_if(&mut self, which: impl Fn(&Flow) -> bool, error: &RpcError) -> usize {
        let mut ended = Vec::new();
        for flow in self.flows.values_mut().filter(|flow| !flow.ended && which(flow)) {
            flow.arrived(Some(Err(error.clone())));
            ended.push((flow.key, flow.cancel.clone()));
        }
        let count = ended.len();
        for (key, cancel) in ended {
            world::count("net.stream_broken");
            self.cancel_locally(&key, Some(cancel));
        }
        count
    }

    /// Sends an item or the end.
    fn send_item(&mut self, id: u64, item: Option<Item>) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        let bytes = item.as_ref().map_or(0, cost);
        flow.under_way += bytes;
        let key = flow.key;
        let latency = self.weather.latency(node_number(key.to), node_number(key.from), bytes);
        let at = (world::now() + latency).max(flow.last_arrival + 1);
        flow.last_arrival = at;
        world::event("net.item", &[key.to, key.from, bytes as u64]);
        self.queue.push(at, Hop::Item { key, flow: id, item });
    }

    /// Whether the producer may send more; if not, it is woken when it may. `None`: nobody listens.
    fn has_room(&mut self, id: u64, cx: &Context<'_>) -> Option<bool> {
        let flow = self.flows.get_mut(&id).filter(|flow| !flow.ended)?;
        let room = flow.under_way < WINDOW;
        if !room {
            keep(&mut flow.producer, cx);
        }
        Some(room)
    }

    fn poll_item(&mut self, id: u64, cx: &Context<'_>) -> Poll<Option<Item>> {
        let Some(flow) = self.flows.get_mut(&id) else { return Poll::Ready(None) };
        let Some(item) = flow.items.pop_front() else {
            if flow.ended {
                return Poll::Ready(None);
            }
            keep(&mut flow.consumer, cx);
            return Poll::Pending;
        };
        flow.under_way = flow.under_way.saturating_sub(cost(&item));
        if let Some(producer) = flow.producer.take_if(|_| flow.under_way < WINDOW) {
            producer.wake();
        }
        Poll::Ready(Some(item))
    }
}

/// The receiver's end of a stream.
pub(super) struct Taking {
    wires: Weak<Wires>,
    id: u64,
}

impl Taking {
    /// Takes what comes on flow `id`; 0 is none.
    pub(super) fn new(wires: Weak<Wires>, id: u64) -> Self {
        Taking { wires, id }
    }
}

impl Stream for Taking {
    type Item = Item;
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        match self.wires.upgrade() {
            Some(wires) => wires.state.lock().poll_item(self.id, cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let Some(wires) = self.wires.upgrade() else { return };
        let mut state = wires.state.lock();
        if let Some(flow) = state.flows.remove(&self.id) {
            // Harmless when it has ended: its producer is gone.
            state.cancel_there(flow.key, flow.cancel);
        }
    }
}

/// Sends what a handler's stream yields, until it ends or nobody listens.
pub(super) struct Giving {
    wires: Weak<Wires>,
    id: u64,
    frames: Frames,
    cancel: Arc<Cancel>,
}

impl Giving {
    pub(super) fn new(wires: Weak<Wires>, id: u64, frames: Frames, cancel: Arc<Cancel>) -> Self {
        Giving { wires, id, frames, cancel }
    }
}

impl Future for Giving {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wires) = self.wires.upgrade() else { return Poll::Ready(()) };
        loop {
            if self.cancel.poll(cx) {
                return Poll::Ready(());
            }
            let room = wires.state.lock().has_room(self.id, cx);
            match room {
                None => return Poll::Ready(()),
                Some(false) => return Poll::Pending,
                Some(true) => {}
            }
            let item = std::task::ready!(self.frames.as_mut().poll_next(cx));
            let over = !matches!(item, Some(Ok(_)));
            wires.state.lock().send_item(self.id, item);
            if over {
                return Poll::Ready(());
            }
        }
    }
}
