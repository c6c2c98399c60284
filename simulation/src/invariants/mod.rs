//! What must hold, one file per promise. A file named after its promise holds the promise in words, where it comes from,
//! the check, and a history that breaks it.
//!
//! Promises of raft are checked by [`crate::audit`] at every operation of every log; promises to users are checked by
//! [`check_all`] when everything is healed and settled.
//!
//! Some promises are judged where they can be seen: `no_panic` and `time_goes_on` by [`crate::world`], `the_cluster_heals`
//! by [`crate::run`] and [`crate::cluster`], `no_node_stops_by_itself` and `what_is_synced_stays` by [`crate::cluster`],
//! `imap_views_are_consistent`, `acknowledged_folders_stay`, `mail_is_never_bounced` and `protocol_errors_are_ours` by
//! [`crate::clients`].

mod census;
mod linearized;
mod story;
#[cfg(test)]
mod testing;
mod travels;

pub mod committed_is_forever;
pub mod directory_is_linearizable;
pub mod every_body_resolves;
pub mod every_reference_resolves;
pub mod flags_are_the_fold_of_stores;
pub mod leaders_have_all_that_is_committed;
pub mod logs_have_no_holes;
pub mod mailboxes_are_linearizable;
pub mod messages_are_what_was_sent;
pub mod modseq_never_falls;
pub mod no_acknowledged_mail_is_lost;
pub mod no_mail_is_doubled;
pub mod nothing_is_cut_before_it_is_kept;
pub mod one_home_per_mailbox;
pub mod one_leader_per_term;
pub mod one_payload_per_position;
pub mod only_the_leader_acts;
pub mod quota_is_the_sum_of_sizes;
pub mod replay_gives_the_same_state;
pub mod replicas_are_equal;
pub mod uidnext_is_above_all_uids;
pub mod uids_rise_and_are_never_reused;
pub mod unchanged_since_is_honoured;
pub mod verify_finds_nothing;
pub mod votes_are_never_taken_back;
pub mod what_was_synced_stays;

use crate::clients::Catalogue;
use crate::cluster::Cluster;
use crate::history::{History, Record};
use crate::world;
use census::Census;
use std::sync::Arc;
use std::time::Duration;

/// How often all replicas are read until they agree.
const READINGS_MAX: usize = 10;
/// The pause between two readings.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

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
    let records = history.records();
    let census = quiet_census(cluster, &records).await;
    let compared =
        compare(&census, &records, catalogue, world::now()).and_then(|()| every_reference_resolves::check(cluster));
    let checked = match compared {
        Ok(()) => verify_finds_nothing::check(cluster).await,
        broken => broken,
    };
    if let Err(broken) = checked {
        world::violate(broken.promise, broken.text);
    }
}

/// Reads all replicas, again if they change meanwhile: a call that somebody gave up long ago may still arrive.
async fn quiet_census(cluster: &Arc<Cluster>, records: &[Record]) -> Census {
    let mut census = Census::default();
    for _ in 0..READINGS_MAX {
        census = census::gather(cluster, directory_is_linearizable::names(records)).await;
        if replicas_are_equal::check(&census).is_ok() {
            break;
        }
        world::count("check.read_again");
        world::sleep(READ_AGAIN_AFTER).await;
    }
    census
}

/// All promises to users, the plainest first: a lost message is told as such, not as a history without an order.
fn compare(census: &Census, records: &[Record], catalogue: &Catalogue, now: u64) -> Check {
    every_body_resolves::check(census)?;
    replicas_are_equal::check(census)?;
    one_home_per_mailbox::check(census)?;
    no_acknowledged_mail_is_lost::check(census, records)?;
    no_mail_is_doubled::check(census, records)?;
    messages_are_what_was_sent::check(census, records, catalogue)?;
    uids_rise_and_are_never_reused::check(census, records, now)?;
    uidnext_is_above_all_uids::check(census)?;
    quota_is_the_sum_of_sizes::check(census)?;
    modseq_never_falls::check(census, records, now)?;
    unchanged_since_is_honoured::check(records)?;
    for (account, mailbox) in census.each_mailbox() {
        let travels = travels::Travels::of(account, mailbox, records, now);
        mailboxes_are_linearizable::messages(account, &travels, records)?;
        flags_are_the_fold_of_stores::check(account, &travels, records)?;
    }
    mailboxes_are_linearizable::folders(census, records, now)?;
    directory_is_linearizable::check(census, records, now)?;
    replay_gives_the_same_state::check()
}
