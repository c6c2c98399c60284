//! What every replica holds when all is over: the other side of the comparison with what clients were told.

use crate::clients::id_in_header;
use crate::cluster::Cluster;
use crate::linear::message::Place;
use crate::world;
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zcluster_api::directory::{Account, AccountBy, Home};
use zcluster_api::mailbox::{DumpsterPage, DumpsterPlace, DumpsterQuery, Folder, Message, Want, folders};
use zcluster_api::{
    BlobId, BlobRef, DirectoryQuery, Epoch, Error, FolderId, GroupId, ItemId, MailboxQuery, MailboxReply, Uid, UidSet,
};
use zcluster_replica::{MailboxRead, Replicas};

/// Messages per page.
const PAGE: u32 = 500;

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// The accounts `u<n>@...` as each node's directory has them.
    pub accounts: BTreeMap<(u32, u32), Option<Account>>,
    /// The accounts `a<n>@...` as each node's directory has them.
    pub administered: BTreeMap<(u32, u32), Option<Account>>,
    /// Mailboxes, by account and node; `None` where the node has the shard and does not answer for the mailbox.
    pub mailboxes: BTreeMap<(u32, u32), Result<Mailbox, String>>,
    /// Which groups answer for an account's mailbox, by account and node.
    pub answering: BTreeMap<(u32, u32), BTreeSet<GroupId>>,
}

/// A mailbox on one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Bytes counted against the quota.
    pub used: u64,
    /// Messages counted.
    pub messages: u64,
    /// Mod-sequence.
    pub modseq: u64,
    /// All folders, by path.
    pub folders: Vec<Contents>,
    /// Deleted messages that are kept and whose bodies cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// A folder on one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Itself, with its counters.
    pub folder: Folder,
    /// Its UIDs as SELECT would tell them.
    pub uids: UidSet,
    /// The first unseen one.
    pub first_unseen: Option<Uid>,
    /// Its messages.
    pub messages: Vec<Kept>,
}

/// A message on one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its row.
    pub row: Message,
    /// Its bytes, or why there are none.
    pub body: Result<Bytes, String>,
    /// The plan id in its Subject.
    pub id: Option<u32>,
}

/// The plan's number of a folder that holds messages.
pub fn number_of(folder: &Folder) -> Option<u32> {
    if folder.id == folders::INBOX {
        return Some(0);
    }
    match folder.path.as_str() {
        "F1" => Some(1),
        "F2" => Some(2),
        "F3" => Some(3),
        _ => None,
    }
}

impl Mailbox {
    /// All messages with their places; those in folders that no client puts mail into have none.
    pub fn all(&self) -> impl Iterator<Item = (Option<Place>, &Contents, &Kept)> {
        self.folders.iter().flat_map(|contents| {
            contents.messages.iter().map(move |kept| {
                let place = number_of(&contents.folder).map(|folder| Place {
                    folder,
                    uid_validity: contents.folder.uid_validity,
                    uid: kept.row.uid.0,
                });
                (place, contents, kept)
            })
        })
    }
    /// How often a message is there.
    pub fn count(&self, id: u32) -> usize {
        self.all().filter(|(_, _, kept)| kept.id == Some(id)).count()
    }
    /// What is at a place.
    pub fn at(&self, place: Place) -> Option<&Kept> {
        self.all().find(|(p, _, _)| *p == Some(place)).map(|(_, _, kept)| kept)
    }
}

impl Census {
    /// One mailbox per account: the first replica's (they are compared with each other elsewhere).
    pub fn each_mailbox(&self) -> BTreeMap<u32, &Mailbox> {
        let mut found = BTreeMap::new();
        for ((account, _), mailbox) in &self.mailboxes {
            if let Ok(mailbox) = mailbox {
                found.entry(*account).or_insert(mailbox);
            }
        }
        found
    }
}

/// Reads everything from everywhere. `names` are the numbers of the accounts that administrators made.
pub async fn gather(cluster: &Arc<Cluster>, names: BTreeSet<u32>) -> Census {
    let mut census = Census::default();
    let accounts = cluster.shape().accounts;
    for node in cluster.up() {
        let names = names.clone();
        let found = cluster.ask(node, move |parts| async move {
            let here: BTreeSet<GroupId> = parts.raft.groups().iter().map(|g| GroupId(g.id())).collect();
            if parts.replicas.on_disk().is_ok_and(|all| all.iter().any(|g| !here.contains(g))) {
                // It was moved away, and what is left of it waits to be removed.
                world::count("check.replica_left_behind");
            }
            one_node(parts.replicas.clone(), here, accounts, names).await
        });
        let Some(found) = found.await else { continue };
        census.accounts.extend(found.accounts.into_iter().map(|(n, a)| ((n, node), a)));
        census.administered.extend(found.administered.into_iter().map(|(n, a)| ((n, node), a)));
        census.mailboxes.extend(found.mailboxes.into_iter().map(|(n, m)| ((n, node), m)));
        census.answering.extend(found.answering.into_iter().map(|(n, g)| ((n, node), g)));
    }
    census
}

/// What one node has.
#[derive(Default)]
struct Found {
    accounts: BTreeMap<u32, Option<Account>>,
    administered: BTreeMap<u32, Option<Account>>,
    mailboxes: BTreeMap<u32, Result<Mailbox, String>>,
    answering: BTreeMap<u32, BTreeSet<GroupId>>,
}

async fn one_node(replicas: Arc<Replicas>, here: BTreeSet<GroupId>, accounts: u32, names: BTreeSet<u32>) -> Found {
    let mut found = Found::default();
    for name in names {
        found.administered.insert(name, account(&replicas, &format!("a{name}@{}", crate::cluster::DOMAIN)));
    }
    for n in 0..accounts {
        let known = account(&replicas, &format!("u{n}@{}", crate::cluster::DOMAIN));
        if let Some(home) = known.as_ref().map(|a| a.home) {
            let mut answering = BTreeSet::new();
            for group in here.iter().copied().filter(|g| *g != GroupId::DIRECTORY) {
                if ask(&replicas, Home { group, ..home }, MailboxQuery::Info).await.is_ok() {
                    answering.insert(group);
                }
            }
            found.answering.insert(n, answering);
            if here.contains(&home.group) {
                found.mailboxes.insert(n, mailbox(&replicas, home).await);
            }
        }
        found.accounts.insert(n, known);
    }
    found
}

fn account(replicas: &Replicas, address: &str) -> Option<Account> {
    let query = DirectoryQuery::Account(AccountBy::Address(address.into()));
    replicas.read_directory(&query).ok()?.into_account().ok()
}

async fn ask(replicas: &Arc<Replicas>, home: Home, query: MailboxQuery) -> Result<MailboxReply, String> {
    let Home { group, mailbox, epoch, .. } = home;
    let read = MailboxRead { group, mailbox, epoch, quota: 0, actor: None, query: query.clone() };
    replicas.read_mailbox(read).await.map_err(|e| format!("{query:?}: {e}"))
}

/// Whether a mailbox was never used: its shard brings it into being with the first command that needs it.
async fn is_unborn(replicas: &Arc<Replicas>, home: Home) -> bool {
    let Home { group, mailbox, epoch, .. } = home;
    let read = MailboxRead { group, mailbox, epoch, quota: 0, actor: None, query: MailboxQuery::Info };
    matches!(replicas.read_mailbox(read).await, Err(Error::WrongHome { epoch: Epoch(0), .. }))
}

fn other<T>(query: &str) -> Result<T, String> {
    Err(format!("{query} was answered with something else"))
}

async fn mailbox(replicas: &Arc<Replicas>, home: Home) -> Result<Mailbox, String> {
    if is_unborn(replicas, home).await {
        return Ok(Mailbox::default());
    }
    let MailboxReply::Info { used, messages, modseq, .. } = ask(replicas, home, MailboxQuery::Info).await? else {
        return other("Info");
    };
    let MailboxReply::Folders(all) = ask(replicas, home, MailboxQuery::Folders).await? else {
        return other("Folders");
    };
    let mut bodies = Bodies { replicas, group: home.group, known: BTreeMap::new() };
    let mut folders = Vec::new();
    for folder in all {
        folders.push(contents(home, folder.id, &mut bodies).await?);
    }
    let unreadable = unreadable(home, &mut bodies).await?;
    Ok(Mailbox { used, messages, modseq: modseq.0, folders, unreadable })
}

/// A page of deleted messages. They go on being purged while all is looked at, and so differ between replicas.
async fn deleted(home: Home, replicas: &Arc<Replicas>, after: Option<DumpsterPlace>) -> Result<DumpsterPage, String> {
    let want = Want { summary: false, blob: true };
    let query = DumpsterQuery { after, limit: PAGE, want, ..DumpsterQuery::default() };
    match ask(replicas, home, MailboxQuery::Dumpster(query)).await? {
        MailboxReply::Dumpster(page) => Ok(page),
        _ => other("Dumpster"),
    }
}

async fn unreadable(home: Home, bodies: &mut Bodies<'_>) -> Result<Vec<String>, String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = deleted(home, bodies.replicas, after).await?;
        for one in &page.deleted {
            world::count("check.deleted_message");
            let Err(why) = bodies.body(one.blob.as_ref()).await else { continue };
            let before = DumpsterPlace { item: ItemId(one.item.0.saturating_sub(1)), ..one.place() };
            let again = deleted(home, bodies.replicas, Some(before)).await?;
            if again.deleted.first().is_some_and(|there| there.item == one.item) {
                found.push(format!("deleted item {}: {why}", one.item));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

async fn contents(home: Home, id: FolderId, bodies: &mut Bodies<'_>) -> Result<Contents, String> {
    let reply = ask(bodies.replicas, home, MailboxQuery::Uids(id)).await?;
    let MailboxReply::Uids { folder, uids, first_unseen, .. } = reply else { return other("Uids") };
    let (mut messages, mut from) = (Vec::new(), Some(Uid(1)));
    while let Some(Uid(first)) = from {
        let query = MailboxQuery::Messages {
            folder: id,
            uids: UidSet::range(first, u32::MAX),
            want: Want { summary: true, blob: true },
            changed_since: None,
            limit: PAGE,
        };
        let MailboxReply::Messages { messages: page, next } = ask(bodies.replicas, home, query).await? else {
            return other("Messages");
        };
        for row in page {
            messages.push(bodies.kept(row).await);
        }
        from = next;
    }
    Ok(Contents { folder, uids, first_unseen, messages })
}

/// Bodies that were read already.
struct Bodies<'a> {
    replicas: &'a Arc<Replicas>,
    group: GroupId,
    known: BTreeMap<BlobId, Result<Bytes, String>>,
}

impl Bodies<'_> {
    async fn kept(&mut self, row: Message) -> Kept {
        let body = self.body(row.blob.as_ref()).await;
        let header = body.as_ref().ok().map(|b| header_of(b));
        Kept { id: header.and_then(id_in_header), row, body }
    }

    async fn body(&mut self, blob: Option<&BlobRef>) -> Result<Bytes, String> {
        let Some(blob) = blob else { return Err("the message names no body".into()) };
        if let Some(known) = self.known.get(&blob.id) {
            return known.clone();
        }
        let read = match self.replicas.body(self.group, blob, 0..blob.size).await {
            Err(e) => Err(e.to_string()),
            Ok(None) => Err("the replica does not have it".into()),
            Ok(Some(stream)) => {
                let pieces: Result<Vec<Bytes>, _> = stream.try_collect().await;
                pieces.map(|p| p.concat().into()).map_err(|e| e.to_string())
            }
        };
        self.known.insert(blob.id, read.clone());
        read
    }
}

/// The header of a message.
fn header_of(body: &[u8]) -> &[u8] {
    let end = body.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(body.len());
    &body[..end]
}
