//! The outside: mail programs, mail servers and administrators that carry out the plan's operations and write down what
//! they were told.

mod phase;
mod servers;

pub use phase::Phase;
pub use servers::{Servers, Stream};

use crate::history::History;
use crate::plan::ClientPlan;
use std::sync::Arc;

/// Runs all clients; ends when each has carried out its operations.
pub async fn run<S: Servers>(cluster: Arc<S>, plans: Vec<ClientPlan>, history: Arc<History>, phase: Arc<Phase>) {
    let _ = (cluster, plans, history, phase);
}
