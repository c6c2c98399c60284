//! Bodies: from this node's replica when it has them (they are named by their content, any copy is right), else
//! streamed from a node that does.

use crate::inner::{Inner, leads};
use crate::mailbox::acting;
use crate::wire::{self, BodyHead};
use futures::StreamExt;
use std::ops::Range;
use std::sync::Arc;
use zcluster_api::{BlobRef, BodyStream, Call, Error, MailboxQuery, MailboxReply, Result};
use zcluster_rpc::{Frames, Lane, RpcError};
use zcluster_runtime::{Instant, jitter, sleep};

/// What a node says that has no such body (yet).
const NOT_HERE: &str = "no such body here";
/// How a node begins that knows where the body lies, but cannot read it there.
const AWAY: &str = "not to be read now: ";

impl Inner {
    /// See [`zcluster_api::MailboxApi::get`].
    pub async fn body_get(&self, call: Call<BlobRef>, range: Range<u64>) -> Result<BodyStream> {
        self.check_blob(&call).await?;
        let Call { account, request, timeout, body: blob, .. } = call;
        let deadline = Instant::now() + timeout;
        let home = self.account(account, deadline).await?.home;
        let mut unreadable = None;
        if self.group(home.group).is_some() {
            match self.replicas.body(home.group, &blob, range.clone()).await {
                Ok(Some(stream)) => return Ok(stream),
                Ok(None) => {}
                Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => unreadable = Some(error),
                Err(error) => return Err(error),
            }
        }
        if unreadable.is_none()
            && self.body_peers(home.group).is_empty()
            && self.group(home.group).is_some_and(|g| leads(&g))
        {
            return Err(Error::NotFound(format!("body {}", blob.id)));
        }
        let head = BodyHead { group: home.group, blob: blob.clone(), from: range.start, to: range.end };
        let body = wire::request(&head, &[]);
        let mut wait = self.config.backoff_min;
        loop {
            let (mut missing, mut away) = (0, None);
            let peers = self.body_peers(home.group);
            for to in &peers {
                let wait = deadline.remaining().min(self.config.attempt);
                match self.network.stream(*to, Lane::Data, wire::BODY, body.clone(), wait).await {
                    Ok(frames) => {
                        if let Some(error) = &unreadable {
                            tracing::info!(shard = home.group.0, body = %blob.id, node = to, %error, "body read by a peer");
                            metrics::counter!("zcluster_router_bodies_read_by_peers_total").increment(1);
                        }
                        return Ok(pieces(frames));
                    }
                    Err(RpcError::Remote(why)) if why == NOT_HERE => missing += 1,
                    Err(RpcError::Remote(why)) if why.starts_with(AWAY) => {
                        away = Some(Error::Unavailable(format!("body {}: {}", blob.id, &why[AWAY.len()..])));
                        missing += 1;
                    }
                    Err(error) => {
                        tracing::debug!(%request, shard = home.group.0, node = to, %error, "body not opened");
                    }
                }
            }
            // Each peer was asked once; the store will not be back within a client's patience.
            if let Some(error) = unreadable {
                return Err(error);
            }
            if missing > 0 && missing == peers.len() {
                return Err(away.unwrap_or_else(|| Error::NotFound(format!("body {}", blob.id))));
            }
            if deadline.remaining().is_zero() || self.is_stopped() {
                return Err(Error::Unavailable(format!("body {}", blob.id)));
            }
            sleep(jitter(wait).min(deadline.remaining())).await;
            wait = wait.saturating_mul(2).min(self.config.backoff_max);
        }
    }

    /// Bodies are shared by all mailboxes of a shard, so a name alone opens nothing: an account that is not the owner
    /// reads a body by a message that has it, as long as it may read that message.
    async fn check_blob(&self, call: &Call<BlobRef>) -> Result<()> {
        if acting(call.actor, call.account).is_none() {
            return Ok(());
        }
        let denied = || Error::Denied("another account's mailbox".into());
        let body = MailboxQuery::Blob(call.body.at.ok_or_else(denied)?);
        let Call { actor, account, request, timeout, .. } = *call;
        match self.mailbox_read(Call { actor, account, request, timeout, body }).await? {
            MailboxReply::Blob(id) if id == call.body.id => Ok(()),
            _ => Err(denied()),
        }
    }

    /// The peers that should have a shard's bodies, the leader first.
    fn body_peers(&self, group: zcluster_api::GroupId) -> Vec<u64> {
        let leader = self.group(group).and_then(|g| g.leader()).or_else(|| self.hints.lock().get(&group).copied());
        let mut peers = self.members(group);
        peers.retain(|p| *p != self.me());
        peers.sort_by_key(|p| Some(*p) != leader);
        peers
    }
}

fn pieces(frames: Frames) -> BodyStream {
    frames.map(|f| f.map_err(|e| Error::Unavailable(format!("body: {e}")))).boxed()
}

/// The serving side.
pub(crate) async fn serve(inner: Arc<Inner>, head: BodyHead) -> Result<Frames, RpcError> {
    let remote = |e: Error| match e {
        Error::Unavailable(why) => RpcError::Remote(format!("{AWAY}{why}")),
        other => RpcError::Remote(other.to_string()),
    };
    match inner.replicas.body(head.group, &head.blob, head.from..head.to).await.map_err(remote)? {
        Some(stream) => Ok(stream.map(move |piece| piece.map_err(remote)).boxed()),
        None => Err(RpcError::Remote(NOT_HERE.into())),
    }
}
