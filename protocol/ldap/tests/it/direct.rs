//! The directory's service over a directory in memory.

use futures::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use zcluster_api::directory::{Filter, Kinds, Search};
use zcluster_api::*;
use zcluster_ldap::Served;
use zcluster_state::memory::Memory;

/// Chooses the one shard for new accounts, as a router does.
struct Choosing(Memory);

impl DirectoryApi for Choosing {
    fn read(&self, query: DirectoryQuery, freshness: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
        DirectoryApi::read(&self.0, query, freshness)
    }
    fn write(
        &self,
        actor: Actor,
        request: RequestId,
        command: DirectoryCommand,
    ) -> BoxFuture<'_, Result<DirectoryReply>> {
        let command = match command {
            DirectoryCommand::CreateAccount { id, name, attrs, .. } => {
                DirectoryCommand::CreateAccount { id, name, attrs, group: GroupId(1) }
            }
            other => other,
        };
        DirectoryApi::write(&self.0, actor, request, command).boxed()
    }
}

/// Counts what searches bring.
struct Counted(Choosing, Arc<AtomicUsize>);

impl DirectoryApi for Counted {
    fn read(&self, query: DirectoryQuery, freshness: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
        let read = self.0.read(query, freshness);
        let count = self.1.clone();
        let counted = move |reply: Result<DirectoryReply>| {
            if let Ok(DirectoryReply::Page(page)) = &reply {
                count.fetch_add(page.objects.len(), Ordering::SeqCst);
            }
            reply
        };
        read.map(counted).boxed()
    }
    fn write(
        &self,
        actor: Actor,
        request: RequestId,
        command: DirectoryCommand,
    ) -> BoxFuture<'_, Result<DirectoryReply>> {
        self.0.write(actor, request, command)
    }
}

/// The service, and how many entries its searches have brought so far.
pub fn counted(memory: &Memory) -> (Served, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let api = Arc::new(Counted(Choosing(memory.clone()), count.clone()));
    let directory = zcluster_directory::Directory::new(api, Freshness::Local);
    (Served::new(directory, Box::new(|| None)), count)
}

/// What there is, in a number: enough to see that something has changed.
fn version(memory: &Memory) -> Option<u64> {
    let all =
        Search { kinds: Kinds::ALL, domain: None, parent: None, filter: Filter::all(), after: None, limit: 1_000 };
    let page = memory.directory(DirectoryQuery::Search(Box::new(all))).and_then(DirectoryReply::into_page).ok()?;
    Some(codec::encode(&page).iter().fold(7, |sum: u64, b| sum.wrapping_mul(31).wrapping_add(u64::from(*b))))
}

pub fn served(memory: &Memory) -> Served {
    let api = Arc::new(Choosing(memory.clone()));
    let directory = zcluster_directory::Directory::new(api, Freshness::Local);
    let memory = memory.clone();
    Served::new(directory, Box::new(move || version(&memory)))
}
