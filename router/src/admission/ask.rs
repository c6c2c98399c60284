//! The node's side: what it asks its peers at the start.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use zcluster_rpc::server::TWO_PROCESSES;
use zcluster_rpc::{Lane, Network, RpcError, node_number};
use zcluster_runtime::{Instant, sleep};

/// Method: is anybody running under my id? The answer is a version.
pub const HELLO: u16 = 200;
/// Method: my disk lost data, know me under my new id. Body: the old id, eight bytes, big endian.
pub const REJOIN: u16 = 201;
/// One greeting's time.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer may take so long to notice that this node's previous process is gone.
const OLD_PROCESS_TIMEOUT: Duration = Duration::from_secs(8);
/// Pause between two greetings, and between two requests to be admitted anew.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long a node tries to be admitted anew, and how long it waits for one peer: whoever is cut off or has just lost its
/// leader must not use up all the time that the others could be asked in.
const REJOIN_TIMEOUT: Duration = Duration::from_secs(60);
const REJOIN_ATTEMPT: Duration = Duration::from_secs(10);

/// Asks the peers whether they know this node as running elsewhere, or as replaced.
///
/// # Errors
/// They do: says what to do.
pub async fn greet(network: &dyn Network, peers: &BTreeMap<u64, String>) -> Result<(), String> {
    let greetings = peers.iter().map(|(id, address)| greet_one(network, *id, address));
    futures::future::try_join_all(greetings).await.map(drop)
}

async fn greet_one(network: &dyn Network, peer: u64, address: &str) -> Result<(), String> {
    let until = Instant::now() + OLD_PROCESS_TIMEOUT;
    loop {
        let answer = network.call(peer, Lane::Data, HELLO, Bytes::new(), HELLO_TIMEOUT).await;
        let Err(RpcError::Refused(why)) = answer else { return Ok(()) };
        // That the peer has another id by now is no reason to stay away.
        let about_us = why.contains(TWO_PROCESSES) || why.contains("join again") || why.contains("belongs to");
        if !about_us {
            tracing::info!(peer, why, "a peer refused the greeting");
            return Ok(());
        }
        if !why.contains(TWO_PROCESSES) || until.remaining().is_zero() {
            return Err(format!("node {} at {address} refuses this node: {why}", node_number(peer)));
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Makes a node whose disk lost data known under its new id (the one that `network` calls from) to any of `peers`.
///
/// # Errors
/// No peer answered in time, or they refused.
pub async fn rejoin(network: &dyn Network, peers: &BTreeMap<u64, String>, old: u64) -> Result<(), String> {
    let until = Instant::now() + REJOIN_TIMEOUT;
    let mut last = "no peer answered".to_string();
    while !until.remaining().is_zero() {
        for peer in peers.keys() {
            let body = Bytes::copy_from_slice(&old.to_be_bytes());
            match network.call(*peer, Lane::Data, REJOIN, body, REJOIN_ATTEMPT).await {
                Ok(_) => return Ok(()),
                Err(e) => last = e.to_string(),
            }
        }
        sleep(RETRY_PAUSE).await;
    }
    Err(last)
}
