//! The outside: mail programs, mail servers and administrators that carry out the plan's operations and write down what
//! they were told.

mod admin;
mod imap;
mod lmtp;
mod message;
mod phase;
mod servers;
#[cfg(test)]
mod tests;
mod wire;

pub use message::{Catalogue, id_in_header, subject};
pub use phase::Phase;
pub use servers::{Servers, Stream};

use crate::history::History;
use crate::plan::{ClientKind, ClientPlan};
use crate::world;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// The first pause before an operation is tried again.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Pauses double so many times.
const DOUBLINGS_MAX: u32 = 5;

/// What all clients of a run share.
pub struct Shared {
    /// The cluster.
    pub servers: Arc<dyn Servers>,
    /// Where clients write down what happens.
    pub history: Arc<History>,
    /// How far the run is.
    pub phase: Arc<Phase>,
    /// What the plan's messages are.
    pub catalogue: Catalogue,
}

/// Runs all clients; ends when each has carried out its operations, or at the end of the heal phase.
pub async fn run<S: Servers>(cluster: Arc<S>, plans: Vec<ClientPlan>, history: Arc<History>, phase: Arc<Phase>) {
    let catalogue = Catalogue::of(&plans);
    let shared = Arc::new(Shared { servers: cluster, history, phase, catalogue });
    let working = plans.into_iter().zip(1..).map(|(plan, client)| {
        let (done, ended) = tokio::sync::oneshot::channel();
        let work = client_of(shared.clone(), client, plan);
        world::spawn_on(world::OUTSIDE, async move {
            work.await;
            let _ = done.send(());
        });
        ended
    });
    let working: Vec<_> = working.collect();
    for ended in working {
        let _ = ended.await;
    }
}

fn client_of(shared: Arc<Shared>, client: u32, plan: ClientPlan) -> BoxFuture<'static, ()> {
    match plan.kind {
        ClientKind::Lmtp => Box::pin(lmtp::work(shared, client, plan.ops)),
        ClientKind::Imap { account } => Box::pin(imap::Program::new(shared, client, account).work(plan.ops)),
        ClientKind::Admin => Box::pin(admin::work(shared, client, plan.ops)),
    }
}

impl Shared {
    /// A client thinks; see [`Phase::think`].
    pub async fn think(&self, ms: u64) {
        self.phase.think(Duration::from_millis(ms)).await;
    }

    /// Waits before another attempt, longer after each.
    pub async fn back_off(&self, tries: u32) {
        let longest = BACK_OFF * (1 << tries.min(DOUBLINGS_MAX));
        let micros = world::draw(world::Stream::Workload, |r| r.range(1, longest.as_micros() as u64));
        self.phase.pause(BACK_OFF / 2 + Duration::from_micros(micros)).await;
    }

    /// Any node but `not`, if there is another.
    pub fn choose_node(&self, not: u32) -> u32 {
        let mut nodes = self.servers.nodes();
        if nodes.len() > 1 {
            nodes.retain(|node| *node != not);
        }
        world::draw(world::Stream::Workload, |r| r.pick(&nodes).copied()).unwrap_or(1)
    }
}
