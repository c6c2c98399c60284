//! What was deleted goes when its time is up, and not under a hold; owners see what they may.

use crate::cluster::*;
use std::time::Duration;
use zcluster_api::directory::{Account, LEGAL_HOLD, Modification, ModifyKind};
use zcluster_api::mailbox::{DumpsterPage, DumpsterQuery, folders};
use zcluster_api::*;

async fn set(cluster: &Cluster, account: &Account, changes: &[(&str, &str)]) {
    let change = |(name, value): &(&str, &str)| match *value {
        "" => Modification { name: name.to_string(), kind: ModifyKind::Replace, values: vec![] },
        value => Modification::set(name, value),
    };
    let changes = changes.iter().map(change).collect();
    let by = *cluster.nodes.keys().next().unwrap();
    cluster.system(by, DirectoryCommand::ModifyAccount { id: account.id, changes }).await.unwrap();
}

async fn expunge_all(cluster: &Cluster, account: &Account, folder: FolderId) {
    let by = *cluster.nodes.keys().next().unwrap();
    let command = MailboxCommand::Expunge { folder, uids: UidSet::range(1, u32::MAX), only_deleted: false };
    MailboxApi::write(&*cluster.router(by), call(account, command)).await.unwrap();
}

async fn deleted(cluster: &Cluster, actor: Actor, account: &Account) -> Result<DumpsterPage> {
    let by = *cluster.nodes.keys().next().unwrap();
    let query = MailboxQuery::Dumpster(DumpsterQuery { limit: 100, ..DumpsterQuery::default() });
    let call = Call { actor, ..call(account, query) };
    match MailboxApi::read(&*cluster.router(by), call).await? {
        MailboxReply::Dumpster(page) => Ok(page),
        other => panic!("{other:?}"),
    }
}

async fn count(cluster: &Cluster, account: &Account) -> u64 {
    deleted(cluster, Actor::System, account).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_goes_and_a_hold_keeps_it() {
    let mut cluster = Cluster::start(3, 2).await;
    let account = cluster.account(1, "bob").await;
    let owner = Actor::Account(account.id);
    let forever = [("zimbraDumpsterEnabled", "TRUE"), ("zimbraMailDumpsterLifetime", "0")];
    set(&cluster, &account, &forever).await;
    for n in 0..5 {
        deliver(&cluster.router(1), &account, &format!("number {n}")).await.unwrap();
    }
    expunge_all(&cluster, &account, folders::INBOX).await;
    assert_eq!(count(&cluster, &account).await, 5);
    assert_eq!(deleted(&cluster, owner, &account).await.unwrap().deleted.len(), 5);
    set(&cluster, &account, &[("zimbraDumpsterUserVisibleAge", "1ms")]).await;
    zcluster_runtime::sleep(Duration::from_millis(20)).await;
    assert!(deleted(&cluster, owner, &account).await.unwrap().deleted.is_empty(), "older than he may see");

    // Its time is up, and it is held.
    set(&cluster, &account, &[("zimbraMailDumpsterLifetime", "1ms"), (LEGAL_HOLD, "case 7")]).await;
    let delete = cluster.system(1, DirectoryCommand::DeleteAccount(account.id)).await;
    assert!(matches!(&delete, Err(Error::Denied(why)) if why.contains("case 7")), "{delete:?}");
    set(&cluster, &account, &[("zimbraDumpsterEnabled", "FALSE")]).await;
    assert!(matches!(deleted(&cluster, owner, &account).await, Err(Error::Denied(_))), "he has none");
    deliver(&cluster.router(2), &account, "another").await.unwrap();
    until("the hold keeps it", || async {
        // Whichever node takes the command must have heard of the hold by then.
        expunge_all(&cluster, &account, folders::INBOX).await;
        count(&cluster, &account).await == 6
    })
    .await;
    let purge = MailboxCommand::PurgeDumpster { before_ms: u64::MAX, most: 500 };
    let purge = MailboxApi::write(&*cluster.router(1), call(&account, purge)).await;
    assert!(matches!(purge, Err(Error::Denied(_))), "{purge:?}");
    zcluster_runtime::sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&cluster, &account).await, 6);

    // The leader dies as the hold is lifted: the next one does it.
    let leader = cluster.leader(account.home.group).await;
    cluster.kill(leader).await;
    set(&cluster, &account, &[(LEGAL_HOLD, "")]).await;
    until("what is too old is gone", || async { count(&cluster, &account).await == 0 }).await;
    cluster.same_state(account.home.group).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trash_is_emptied_by_age() {
    let cluster = Cluster::start(1, 1).await;
    let account = cluster.account(1, "bob").await;
    set(&cluster, &account, &[("zimbraMailTrashLifetime", "0"), ("zimbraDumpsterEnabled", "TRUE")]).await;
    deliver(&cluster.router(1), &account, "one").await.unwrap();
    let (from, uids, to) = (folders::INBOX, UidSet::range(1, 9), folders::TRASH);
    MailboxApi::write(&*cluster.router(1), call(&account, MailboxCommand::Move { from, uids, to })).await.unwrap();
    zcluster_runtime::sleep(Duration::from_millis(700)).await;
    assert_eq!(count(&cluster, &account).await, 0, "there is no age at which it goes");
    set(&cluster, &account, &[("zimbraPrefTrashLifetime", "1ms")]).await;
    until("it is deleted, and kept as that", || async { count(&cluster, &account).await == 1 }).await;
}
