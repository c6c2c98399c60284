//! [`Memory`]: both API traits over one directory and one mailbox group.

use super::{MemoryKv, PlainText, unpack, watch};
use crate::proposal::{Applied, Change, Proposal, Reply};
use crate::{Asking, Content, apply, read_directory, read_mailbox_as};
use bytes::Bytes;
use futures::future::{self, BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::directory::{Account, AccountBy, Cluster, Modification, Node, NodeState, split_address};
use zcluster_api::*;

/// The one mailbox shard.
const SHARD: GroupId = GroupId(1);
/// The clock's start, Unix milliseconds (2025-01-01); each command moves it on by one.
const START_MS: u64 = 1_735_689_600_000;
/// Largest piece of a body stream, bytes.
const PIECE_MAX: usize = 256 * 1024;

/// One process, one group, no storage: applies each command at once. Clones share the state.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    content: Box<dyn Content + Send + Sync>,
}

pub(super) struct State {
    directory: MemoryKv,
    mailboxes: MemoryKv,
    index: u64,
    wall_ms: u64,
    drawn: u64,
    pub(super) wakers: Vec<Waker>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// A cluster of one node without domains.
    pub fn new() -> Self {
        Self::with_content(Box::new(PlainText))
    }

    /// The same, with text searches decided by `content`.
    pub fn with_content(content: Box<dyn Content + Send + Sync>) -> Self {
        let (directory, mailboxes) = (MemoryKv::new(), MemoryKv::new());
        let state = State { directory, mailboxes, index: 0, wall_ms: START_MS, drawn: 0, wakers: Vec::new() };
        let memory = Memory(Arc::new(Shared { state: Mutex::new(state), content }));
        memory.init();
        memory
    }

    /// A cluster with one account (and its domain). `password_hash` becomes `userPassword`.
    pub fn with_account(name: &str, password_hash: &str) -> Self {
        let memory = Self::new();
        memory.add_account(name, password_hash);
        memory
    }

    /// Adds an account, and its domain if needed; returns its id.
    ///
    /// # Panics
    /// When the directory refuses: this is for tests.
    pub fn add_account(&self, name: &str, password_hash: &str) -> AccountId {
        let (_, domain) = split_address(name).expect("an address");
        if self.directory(DirectoryQuery::Domain(domain.clone())).is_err() {
            let id = AccountId(self.draw());
            self.command(DirectoryCommand::CreateDomain { id, name: domain, attrs: vec![] }).expect("domain");
        }
        let id = AccountId(self.draw());
        let attrs = vec![Modification::set("userPassword", password_hash)];
        let create = DirectoryCommand::CreateAccount { id, name: name.into(), attrs, group: SHARD };
        self.command(create).expect("account");
        id
    }

    /// Carries out a directory command under a fresh request id.
    ///
    /// # Errors
    /// The directory's.
    pub fn command(&self, command: DirectoryCommand) -> Result<DirectoryReply> {
        self.change_directory(RequestId(self.draw()), command)
    }

    /// Asks the directory.
    ///
    /// # Errors
    /// The directory's.
    pub fn directory(&self, query: DirectoryQuery) -> Result<DirectoryReply> {
        read_directory(&self.lock().directory, &query)
    }

    /// Sets the clock (Unix milliseconds); the state machines never let it go back.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.lock().wall_ms = wall_ms;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn init(&self) {
        let cluster = Cluster {
            id: "00000000-0000-4000-8000-000000000000".into(),
            shards: 1,
            replication: 1,
            ca_cert_pem: String::new(),
            ca_key_pem: String::new(),
            config: Default::default(),
        };
        let node = Node {
            id: NodeId::new(1, 0),
            rpc: "127.0.0.1:7".into(),
            advertise: "127.0.0.1".into(),
            ports: Default::default(),
            state: NodeState::Active,
            zone: String::new(),
            version: String::new(),
        };
        let default_cos = AccountId(self.draw());
        self.command(DirectoryCommand::InitCluster { cluster, node, default_cos }).expect("first command");
    }

    /// Numbers that never repeat stand in for chance.
    fn draw(&self) -> [u8; 16] {
        let mut s = self.lock();
        s.drawn += 1;
        let mut out = [0xEE; 16];
        out[8..].copy_from_slice(&s.drawn.to_be_bytes());
        out
    }

    fn change_directory(&self, request: RequestId, mut command: DirectoryCommand) -> Result<DirectoryReply> {
        // As the router does: who leaves the choice of a shard to us gets the one there is.
        let several = match &mut command {
            DirectoryCommand::Batch(commands) => commands.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        for one in several {
            if let DirectoryCommand::CreateAccount { group, .. } = one
                && *group == GroupId::DIRECTORY
            {
                *group = SHARD;
            }
        }
        match self.apply(request, Change::Directory(command)) {
            Reply::Directory(reply) => reply,
            other => Err(Error::Internal(format!("request id re-used: {other:?}"))),
        }
    }

    fn apply(&self, request: RequestId, what: Change) -> Reply {
        let (applied, wakers) = {
            let mut guard = self.lock();
            let s = &mut *guard;
            s.index += 1;
            s.wall_ms += 1;
            let proposal = Proposal { request, wall_ms: s.wall_ms, what };
            let (kv, group) = match &proposal.what {
                Change::Directory(_) => (&mut s.directory, GroupId::DIRECTORY),
                Change::Mailbox { .. } | Change::Bodies(_) => (&mut s.mailboxes, SHARD),
            };
            let applied: Applied = apply(kv, group, s.index, &proposal);
            (applied, std::mem::take(&mut s.wakers))
        };
        wakers.into_iter().for_each(Waker::wake);
        applied.reply
    }

    fn account(&self, id: AccountId) -> Result<Account> {
        if let Some(queue) = queue::queue_of(id) {
            return Ok(queue);
        }
        self.directory(DirectoryQuery::Account(AccountBy::Id(id)))?.into_account()
    }

    /// Carries out a command, bringing the mailbox into being at first use as a router does.
    fn change(&self, who: &Who, request: RequestId, command: &MailboxCommand) -> Result<Receipt> {
        let first = self.change_once(who, request, command.clone());
        if !is_missing(&first) {
            return first;
        }
        self.create_mailbox(who)?;
        self.change_once(who, request, command.clone())
    }

    fn create_mailbox(&self, who: &Who) -> Result<Receipt> {
        let cluster = Who { account: who.account.clone(), actor: None };
        self.change_once(&cluster, RequestId(self.draw()), MailboxCommand::CreateMailbox)
    }

    fn change_once(&self, who: &Who, request: RequestId, command: MailboxCommand) -> Result<Receipt> {
        let (account, actor) = (&who.account, who.actor);
        let (mailbox, epoch) = (account.home.mailbox, account.home.epoch);
        let (quota, traits) = (account.quota(), Some(account.traits()));
        match self.apply(request, Change::Mailbox { mailbox, epoch, quota, command, actor, traits }) {
            Reply::Mailbox(reply) => reply,
            other => Err(Error::Internal(format!("request id re-used: {other:?}"))),
        }
    }

    fn query(&self, who: &Who, query: &MailboxQuery) -> Result<MailboxReply> {
        let first = self.query_once(who, query);
        if !is_missing(&first) {
            return first;
        }
        self.create_mailbox(who)?;
        self.query_once(who, query)
    }

    fn query_once(&self, who: &Who, query: &MailboxQuery) -> Result<MailboxReply> {
        let kv = &self.lock().mailboxes;
        let (home, quota) = (who.account.home, who.account.quota());
        let asking = Asking { group: SHARD, mailbox: home.mailbox, epoch: home.epoch, quota, actor: who.actor };
        read_mailbox_as(kv, asking, query, self.0.content.as_ref())
    }

    /// Whose mailbox a call is for, and who acts when it is not the owner or the cluster.
    fn who<T>(&self, call: &Call<T>) -> Result<Who> {
        let actor = match call.actor {
            Actor::Account(id) if id != call.account => Some(id),
            _ => None,
        };
        Ok(Who { account: self.account(call.account)?, actor })
    }

    /// Other accounts read a body by a message that has it, as long as they may read that one.
    fn check_blob(&self, call: &Call<BlobRef>) -> Result<()> {
        let who = self.who(call)?;
        if who.actor.is_none() {
            return Ok(());
        }
        let denied = || Error::Denied("another account's mailbox".into());
        match self.query(&who, &MailboxQuery::Blob(call.body.at.ok_or_else(denied)?))? {
            MailboxReply::Blob(id) if id == call.body.id => Ok(()),
            _ => Err(denied()),
        }
    }

    /// The mailbox's position; `None` when the account is gone.
    pub(super) fn position(&self, account: AccountId) -> Option<ModSeq> {
        let who = Who { account: self.account(account).ok()?, actor: None };
        match self.query_once(&who, &MailboxQuery::Info) {
            Ok(MailboxReply::Info { modseq, .. }) => Some(modseq),
            _ => Some(ModSeq(0)),
        }
    }

    fn upload(&self, who: &Who, upload: RequestId, body: PreparedBody) -> Result<Body> {
        let mut chunks = 0u32;
        for piece in body.stored.chunks(CHUNK_MAX) {
            let bytes = Bytes::copy_from_slice(piece);
            self.change(who, RequestId(self.draw()), &MailboxCommand::Chunk { upload, seq: chunks, bytes })?;
            chunks += 1;
        }
        let stored = body.stored.len() as u64;
        Ok(Body::Uploaded { id: body.id, size: body.size, codec: body.codec, upload, chunks, stored })
    }

    fn load(&self, blob: &BlobRef) -> Result<Vec<u8>> {
        let kv = &self.lock().mailboxes;
        let stored = crate::content::stored(kv, blob)?;
        match blob.place {
            Place::Shard { codec, .. } | Place::Object { codec, .. } => unpack(codec, stored),
        }
    }
}

fn is_missing<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::WrongHome { epoch: Epoch(0), .. }))
}

/// Whose mailbox, and who acts when it is not the owner or the cluster.
struct Who {
    account: Account,
    actor: Option<AccountId>,
}

impl MailboxApi for Memory {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        let reply = self.who(&call).and_then(|who| self.query(&who, &call.body));
        future::ready(reply).boxed()
    }

    fn write(&self, call: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        let reply = self.who(&call).and_then(|who| self.change(&who, call.request, &call.body));
        future::ready(reply).boxed()
    }

    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        let reply = self.who(&call).and_then(|who| match call.body.inline() {
            Some(body) => Ok(body),
            None => self.upload(&who, call.request, call.body),
        });
        future::ready(reply).boxed()
    }

    fn get(&self, call: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        let reply = self.check_blob(&call).and_then(|()| self.load(&call.body)).map(|raw| {
            let raw = Bytes::from(raw);
            let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(raw.len());
            let wanted = raw.slice(at(range.start)..at(range.end).max(at(range.start)));
            let pieces: Vec<_> = wanted.chunks(PIECE_MAX).map(|p| Ok(wanted.slice_ref(p))).collect();
            stream::iter(pieces).boxed()
        });
        future::ready(reply).boxed()
    }

    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
        watch::stream(self.clone(), account, since)
    }
}

impl DirectoryApi for Memory {
    fn read(&self, query: DirectoryQuery, _: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
        future::ready(self.directory(query)).boxed()
    }

    fn write(&self, _: Actor, request: RequestId, command: DirectoryCommand) -> BoxFuture<'_, Result<DirectoryReply>> {
        future::ready(self.change_directory(request, command)).boxed()
    }
}
