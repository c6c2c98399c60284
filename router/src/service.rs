//! Answering peers' routers. Work is done here or refused; nothing is forwarded a second time, so that two nodes that
//! take each other for the leader cannot pass a call in circles.

use crate::inner::Inner;
use crate::wire::{self, BodyHead, Miss, ReadHead, WatchHead, WriteHead};
use crate::{body, discover, hub, verify};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use zcluster_api::{BlobId, Result, codec};
use zcluster_replica::{MailboxRead, proposal};
use zcluster_rpc::{Frames, RpcError, Service};
use zcluster_runtime::{spawn_blocking, timeout, wall_ms};

/// The longest that work for a peer may take, whatever the peer asks for.
const WORK_MAX: Duration = Duration::from_secs(120);

/// The router's side of a peer's call.
pub(crate) struct RouterService(pub Arc<Inner>);

impl Service for RouterService {
    fn call(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        let inner = self.0.clone();
        Box::pin(async move {
            let Ok(_permit) = inner.served.clone().try_acquire_owned() else {
                return Ok(wire::answer(Err(Miss::Refused(format!("node {} is overloaded", inner.me())))));
            };
            match method {
                wire::WRITE => Ok(wire::answer(write(&inner, from, body).await)),
                wire::READ => Ok(wire::answer(read(&inner, from, body).await)),
                wire::REPORT => Ok(wire::answer(Ok(codec::encode(&inner.report()).into()))),
                wire::LED => Ok(wire::answer(Ok(codec::encode(&inner.led_here().await).into()))),
                wire::VOLUME_USE => {
                    let volume: String = codec::decode(&body).map_err(|e| RpcError::Remote(e.to_string()))?;
                    Ok(wire::answer(Ok(codec::encode(&inner.volume_use_here(&volume).await).into())))
                }
                wire::TEXTS => {
                    let head: wire::TextsHead = codec::decode(&body).map_err(|e| RpcError::Remote(e.to_string()))?;
                    Ok(wire::answer(Ok(codec::encode(&inner.texts_here(head).await).into())))
                }
                wire::HAVE => {
                    let wanted: Vec<BlobId> = codec::decode(&body).map_err(|e| RpcError::Remote(e.to_string()))?;
                    let found = spawn_blocking(move || verify::have(&inner, &wanted)).await.unwrap_or_default();
                    Ok(wire::answer(Ok(codec::encode(&found).into())))
                }
                wire::HSM => {
                    let ask = codec::decode(&body).map_err(|e| RpcError::Remote(e.to_string()))?;
                    Ok(wire::answer(Ok(codec::encode(&inner.hsm_here(ask)).into())))
                }
                other => Err(RpcError::Remote(format!("the router knows no method {other}"))),
            }
        })
    }

    fn stream(&self, _from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        let inner = self.0.clone();
        Box::pin(async move {
            let remote = |e: zcluster_api::Error| RpcError::Remote(e.to_string());
            match method {
                wire::BODY => {
                    let (head, _) = wire::open_request::<BodyHead>(body).map_err(remote)?;
                    body::serve(inner, head).await
                }
                wire::VERIFY => {
                    let (what, _) = wire::open_request(body).map_err(remote)?;
                    verify::serve(&inner, what)
                }
                wire::WATCH => {
                    let (head, _) = wire::open_request::<WatchHead>(body).map_err(remote)?;
                    hub::serve(&inner, &head)
                }
                wire::DISCOVER => {
                    let (head, _) = wire::open_request::<wire::DiscoverHead>(body).map_err(remote)?;
                    discover::serve(&inner, head)
                }
                other => Err(RpcError::Remote(format!("the router knows no stream {other}"))),
            }
        })
    }
}

async fn write(inner: &Inner, from: u64, body: Bytes) -> Result<Bytes, Miss> {
    let (head, payload) = wire::open_request::<WriteHead>(body).map_err(Miss::Api)?;
    let WriteHead { group, request, timeout_ms, account } = head;
    let span = tracing::info_span!("serve_write", from, shard = group.0, %request, account = ?account);
    let work = async {
        // An entry that some replica cannot read would stop that replica: look before it is in the log.
        let payload = proposal::admit(payload, group, request, wall_ms()).map_err(Miss::Api)?;
        let wait = Duration::from_millis(timeout_ms).min(WORK_MAX);
        let (applied, reply) = inner.propose_here(group, payload, wait).await?;
        Ok(wire::written(applied, &reply))
    };
    work.instrument(span).await
}

async fn read(inner: &Inner, from: u64, body: Bytes) -> Result<Bytes, Miss> {
    let (head, _) = wire::open_request::<ReadHead>(body).map_err(Miss::Api)?;
    let ReadHead { group, request, timeout_ms, account, mailbox, epoch, quota, query, actor } = head;
    let span = tracing::info_span!("serve_read", from, shard = group.0, %request, account = ?account);
    let wait = Duration::from_millis(timeout_ms).min(WORK_MAX);
    let read = MailboxRead { group, mailbox, epoch, quota, actor, query };
    let work = timeout(wait, inner.read_here(&read, wait));
    let reply = work.instrument(span).await.map_err(|_| Miss::Unknown("no answer in time".into()))??;
    Ok(codec::encode(&reply).into())
}
