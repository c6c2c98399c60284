//! The cluster as clients see it.

use super::Cluster;
use super::process::Parts;
use crate::clients::{Servers, Stream};
use crate::net::Port;
use crate::world;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::io;
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;
use zcluster_api::{Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness};
use zcluster_api::{RequestId, Result};

impl Servers for Cluster {
    fn nodes(&self) -> Vec<u32> {
        self.members()
    }
    fn lmtp(&self, node: u32) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        self.dial(node, Port::Lmtp).boxed()
    }
    fn imap(&self, node: u32) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        self.dial(node, Port::Imap).boxed()
    }
    fn directory(&self, node: u32) -> Option<Arc<dyn DirectoryApi>> {
        let parts = Arc::downgrade(&self.parts(node)?);
        Some(Arc::new(Remote { node, parts }))
    }
}

impl Cluster {
    async fn dial(&self, node: u32, port: Port) -> io::Result<Box<dyn Stream>> {
        let stream = self.wires().connect(node, port).await?;
        Ok(Box::new(stream))
    }
}

/// A node's directory, asked from outside: the work is done by the node's process, and lost with it.
struct Remote {
    node: u32,
    parts: Weak<Parts>,
}

impl Remote {
    /// Runs `work` on the node. The caller may stop waiting; the work goes on.
    fn run<F>(&self, work: impl FnOnce(Arc<Parts>) -> F) -> BoxFuture<'static, Result<DirectoryReply>>
    where
        F: Future<Output = Result<DirectoryReply>> + Send + 'static,
    {
        let gone = || Error::Unavailable("the connection was lost".into());
        let Some(parts) = self.parts.upgrade() else { return futures::future::ready(Err(gone())).boxed() };
        let (tx, rx) = oneshot::channel();
        let work = work(parts);
        world::spawn_on(self.node, async move {
            let _ = tx.send(work.await);
        });
        async move { rx.await.unwrap_or_else(|_| Err(gone())) }.boxed()
    }
}

impl DirectoryApi for Remote {
    fn read(&self, query: DirectoryQuery, freshness: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
        self.run(|p| async move { DirectoryApi::read(p.router.as_ref(), query, freshness).await })
    }
    fn write(
        &self,
        actor: Actor,
        request: RequestId,
        command: DirectoryCommand,
    ) -> BoxFuture<'_, Result<DirectoryReply>> {
        self.run(move |p| async move { DirectoryApi::write(p.router.as_ref(), actor, request, command).await })
    }
}
