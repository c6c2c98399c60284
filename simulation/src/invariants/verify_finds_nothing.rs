//! `zcluster blob verify` says of a cluster in which nothing is lost that nothing is: it compares rows with lists and
//! objects while packs are written, moved and deleted, and looks again before it calls something a problem
//! (docs/decisions/0031). That volumes or shards did not answer is no false alarm, as long as something is out of order.

use super::{Check, broken};
use crate::cluster::Cluster;
use futures::StreamExt;
use std::sync::Arc;
use zcluster_router::{ProblemKind, VerifyAsk, VerifyNews};

const PROMISE: &str = "verify_finds_nothing";

/// What a node tells of a look at everything; `None` when it took too long, or the node stopped.
pub async fn told(cluster: &Cluster, by: u32, ask: VerifyAsk) -> Option<Vec<VerifyNews>> {
    cluster.ask(by, move |parts| async move { parts.router.verify(ask).collect::<Vec<_>>().await }).await
}

/// Looks at names and lengths, in a cluster at rest.
///
/// # Errors
/// A problem was told of.
pub async fn check(cluster: &Arc<Cluster>) -> Check {
    if cluster.warehouse().is_none() {
        return Ok(());
    }
    let Some(by) = cluster.up().first().copied() else { return Ok(()) };
    match told(cluster, by, VerifyAsk::default()).await {
        Some(told) => judge(&told, false),
        None => broken(PROMISE, "it does not come to an end"),
    }
}

/// Judges what was told.
///
/// # Errors
/// A problem; or, when nothing is out of order, also that something did not answer.
pub fn judge(told: &[VerifyNews], troubled: bool) -> Check {
    for news in told {
        match news {
            VerifyNews::Problem(problem) if troubled && problem.kind == ProblemKind::Unanswered => {}
            VerifyNews::Problem(problem) => return broken(PROMISE, problem.to_string()),
            VerifyNews::Progress(_) | VerifyNews::Done(_) => {}
        }
    }
    match told.last() {
        Some(VerifyNews::Done(_)) => Ok(()),
        _ => broken(PROMISE, "it ends without its last word"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_router::{Problem, Tally};

    #[test]
    fn false_alarms_are_seen() {
        let done = || VerifyNews::Done(Tally::default());
        let problem = |kind| {
            let (shard, object, body) = (Some(1), None, None);
            VerifyNews::Problem(Problem { kind, shard, object, body, text: String::new(), repaired: false })
        };
        assert_eq!(judge(&[VerifyNews::Progress(Tally::default()), done()], false), Ok(()));
        assert!(judge(&[], false).is_err());
        assert!(judge(&[problem(ProblemKind::Orphan), done()], true).is_err());
        assert!(judge(&[problem(ProblemKind::Unanswered), done()], false).is_err());
        assert_eq!(judge(&[problem(ProblemKind::Unanswered), done()], true), Ok(()));
    }
}
