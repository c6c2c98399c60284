//! One connection to a peer, kept up while it is wanted.

use super::connect::{Driver, H2, connect};
use super::{BACKOFF_MAX, BACKOFF_MIN, Shared};
use crate::RpcError;
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::{Either, Instant, jitter, select, sleep, spawn, timeout_at, watch};

/// What a connection is doing.
#[derive(Clone)]
pub(super) enum State {
    /// First attempt, or the first one after a loss: callers wait for its outcome.
    Connecting,
    /// Ready.
    Up(H2),
    /// The last attempt failed like this: callers fail at once until one succeeds.
    Down(RpcError),
}

/// A connection for calls and streams.
pub(super) struct Link {
    state: watch::Sender<State>,
    /// Dropped with the link: that is how its task knows.
    _wanted: watch::Sender<()>,
}

impl Link {
    /// Starts to connect. The connection ends when the link is dropped.
    pub(super) fn start(shared: Arc<Shared>, to: u64) -> Arc<Link> {
        let (state, _) = watch::channel(State::Connecting);
        let (sender, wanted) = watch::channel(());
        spawn(keep_up(shared, to, wanted, state.clone()));
        Arc::new(Link { state, _wanted: sender })
    }

    /// The connection, once it is there.
    pub(super) async fn ready(&self, to: u64, deadline: Instant) -> Result<H2, RpcError> {
        let mut state = self.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                State::Up(h2) => return Ok(h2.clone()),
                State::Down(e) => return Err(e.clone()),
                State::Connecting => {}
            }
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(RpcError::Unreachable(to, "the peer was removed".into())),
                Err(_) => return Err(RpcError::Unreachable(to, "not connected in time".into())),
            }
        }
    }
}

/// Connects, and again whenever the connection ended.
async fn keep_up(shared: Arc<Shared>, to: u64, mut wanted: watch::Receiver<()>, state: watch::Sender<State>) {
    let mut attempts = Attempts::new(shared.clone(), to);
    let connecting = async {
        loop {
            match attempts.next().await {
                Ok((h2, driver, address)) => {
                    state.send_replace(State::Up(h2));
                    run(&shared, to, &address, driver).await;
                    state.send_replace(State::Connecting);
                    attempts.succeeded();
                }
                Err(e) => {
                    state.send_replace(State::Down(e));
                }
            }
            attempts.pause().await;
        }
    };
    let _: Either<(), _> = select(connecting, unwanted(&mut wanted)).await;
    tracing::debug!(to, "connection to peer is no longer wanted");
    state.send_replace(State::Down(RpcError::Unreachable(to, "the peer was removed".into())));
}

/// Ends when nobody wants the connection any more.
pub(super) async fn unwanted(wanted: &mut watch::Receiver<()>) {
    while wanted.changed().await.is_ok() {}
}

/// Drives a connection until it ends or the peer's address changes.
pub(super) async fn run(
    shared: &Shared,
    to: u64,
    address: &str,
    driver: impl Future<Output = Result<(), hyper::Error>>,
) {
    let mut addresses = shared.addresses.subscribe();
    let moved = async {
        while addresses.borrow_and_update().get(&to).is_some_and(|a| a == address) {
            let _ = addresses.changed().await;
        }
    };
    match select(driver, moved).await {
        Either::Left(Ok(())) => tracing::info!(to, address, "connection to peer ended"),
        Either::Left(Err(e)) => {
            tracing::info!(to, address, error = %error_chain(&e), "connection to peer was lost");
        }
        Either::Right(()) => tracing::info!(to, address, "peer has moved"),
    }
}

/// Attempts to connect, with growing pauses after failures.
pub(super) struct Attempts {
    shared: Arc<Shared>,
    to: u64,
    backoff: Duration,
    told: Option<String>,
}

impl Attempts {
    pub(super) fn new(shared: Arc<Shared>, to: u64) -> Self {
        Attempts { shared, to, backoff: BACKOFF_MIN, told: None }
    }

    /// One attempt: the connection and the address it leads to.
    pub(super) async fn next(&mut self) -> Result<(H2, Driver, String), RpcError> {
        let address = self.shared.addresses.borrow().get(&self.to).cloned();
        let Some(address) = address else {
            return Err(RpcError::Unreachable(self.to, "no address is known".into()));
        };
        match connect(&self.shared, self.to, &address).await {
            Ok((h2, driver)) => {
                metrics::counter!("zcluster_rpc_connects_total", "result" => "ok").increment(1);
                tracing::info!(to = self.to, address, "connected to peer");
                Ok((h2, driver, address))
            }
            Err(e) => {
                metrics::counter!("zcluster_rpc_connects_total", "result" => "failed").increment(1);
                let text = format!("{address}: {e}");
                // A peer that stays away is told once, not every second.
                if self.told.as_ref() != Some(&text) {
                    tracing::info!(to = self.to, error = text, "cannot connect to peer");
                    self.told = Some(text.clone());
                }
                Err(RpcError::Unreachable(self.to, text))
            }
        }
    }

    /// Begins with short pauses again.
    pub(super) fn succeeded(&mut self) {
        self.backoff = BACKOFF_MIN;
        self.told = None;
    }

    /// Waits before the next attempt; a new address ends the wait.
    pub(super) async fn pause(&mut self) {
        let mut addresses = self.shared.addresses.subscribe();
        let _ = select(addresses.changed(), sleep(jitter(self.backoff))).await;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }
}

/// An error with what caused it.
pub(super) fn error_chain(e: &(dyn std::error::Error + 'static)) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(e) = source {
        text = format!("{text}: {e}");
        source = e.source();
    }
    text
}
