//! Submissions into the outbox of their owner, and into the queue that is nobody's.
#![allow(missing_docs)]

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::delivery::Outgoing;
use zcluster_api::queue::{Notify, QueueQuery, RecipientTerms, queue_account};
use zcluster_api::*;
use zcluster_delivery::{Deliverer, DeliveryConfig, Submission};
use zcluster_state::memory::Memory;

const RAW: Bytes = Bytes::from_static(b"From: bob@example.org\r\nSubject: s\r\n\r\nHello.\r\n");

fn call<T>(account: AccountId, body: T) -> Call<T> {
    let request = RequestId(zcluster_runtime::random_bytes());
    Call { actor: Actor::System, account, request, timeout: Duration::from_secs(5), body }
}

async fn queue(memory: &Memory) -> Vec<(MailboxId, Outgoing)> {
    let query = MailboxQuery::Queue(QueueQuery { limit: 500, ..QueueQuery::default() });
    match MailboxApi::read(memory, call(queue_account(GroupId(1)), query)).await.unwrap() {
        MailboxReply::Queue(page) => page.entries.into_iter().map(|e| (e.mailbox, e.message)).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_submission_is_queued_once_where_it_belongs() {
    let memory = Memory::new();
    let bob = memory.add_account("bob@example.org", "x");
    // The memory's directory has no shard map; nobody's mail needs one.
    let shard = zcluster_api::directory::Shard { group: GroupId(1), replicas: vec![NodeId::new(1, 0)], version: 1 };
    memory.command(DirectoryCommand::PutShard { shard, expect: 0 }).unwrap();
    let api = Arc::new(memory.clone());
    let deliverer = Deliverer::new(api.clone(), api, DeliveryConfig::new("mx.example.org"));
    let to = ["a@one.example".to_string(), "b@two.example".to_string()];
    let mut own = Submission::new(Some(bob), "bob@example.org", to.clone(), RAW, [1; 32]);
    own.recipients[0] = RecipientTerms { notify: Some(Notify::SUCCESS), ..own.recipients[0].clone() };
    deliverer.submit(own.clone()).await.unwrap();
    deliverer.submit(own).await.unwrap();
    let nobodys = Submission::new(None, "", [to[0].clone()], vec![b'x'; 400 * 1024].into(), [2; 32]);
    deliverer.submit(nobodys.clone()).await.unwrap();
    deliverer.submit(nobodys).await.unwrap();
    let all = queue(&memory).await;
    assert_eq!(all.len(), 3, "{all:?}");
    let asked = all[0].1.terms.as_ref().and_then(|t| t.of("a@one.example")).and_then(|r| r.notify);
    assert_eq!(asked, Some(Notify::SUCCESS));
    assert_eq!((all[2].0, all[2].1.blob.size), (zcluster_api::queue::QUEUE_MAILBOX, 400 * 1024));
    let none = Submission::new(Some(bob), "bob@example.org", [], RAW, [3; 32]);
    assert!(matches!(deliverer.submit(none).await, Err(Error::Invalid(_))));
}
