//! Carries the news of failed sign-ins to the other nodes (docs/decisions/0024).

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use zcluster_auth::{Authenticator, Herald, NEWS_MAX, News, encode_news};
use zcluster_rpc::{Lane, Network, RpcError, TonicNetwork};
use zcluster_runtime::{sleep, spawn};

/// The node-to-node method.
pub const NEWS: u16 = 210;
/// News that wait to be sent; more are dropped.
const QUEUE: usize = 4_096;
/// News are gathered for so long.
const GATHER: Duration = Duration::from_millis(100);
/// How long a peer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Who takes what other nodes tell; empty until the node serves.
pub type Hearing = Arc<OnceLock<Arc<Authenticator>>>;

/// Takes a peer's message.
pub fn hear(hearing: &Hearing, message: &Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
    let heard = hearing.get().map_or(Ok(()), |authenticator| authenticator.hear(message));
    let answer = heard.map(|()| Bytes::new()).map_err(|e| RpcError::Remote(format!("news of sign-ins: {e}")));
    futures::future::ready(answer).boxed()
}

struct Sender(mpsc::Sender<News>);

impl Herald for Sender {
    fn tell(&self, news: News) {
        if self.0.try_send(news).is_err() {
            metrics::counter!("zcluster_auth_news_dropped_total").increment(1);
        }
    }
}

/// Tells the other nodes from now on what `authenticator` sees, and gives it what they tell.
pub fn start(authenticator: &Arc<Authenticator>, hearing: &Hearing, network: Arc<TonicNetwork>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    authenticator.set_herald(Arc::new(Sender(sender)));
    let _ = hearing.set(authenticator.clone());
    spawn(carry(receiver, network));
}

async fn carry(mut receiver: mpsc::Receiver<News>, network: Arc<TonicNetwork>) {
    while let Some(first) = receiver.recv().await {
        sleep(GATHER).await;
        let mut news = vec![first];
        while news.len() < NEWS_MAX
            && let Ok(next) = receiver.try_recv()
        {
            news.push(next);
        }
        let message = Bytes::from(encode_news(&news));
        let peers = network.peers();
        let calls = peers.keys().map(|peer| network.call(*peer, Lane::Data, NEWS, message.clone(), TIMEOUT));
        // A node that does not answer counts by itself until it does.
        join_all(calls).await;
    }
}
