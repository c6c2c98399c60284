//! A site in memory and clients that talk to it.
#![allow(dead_code, reason = "each test file uses its own part")]

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zcluster_api::delivery::Outgoing;
use zcluster_api::directory::{Modification, Shard};
use zcluster_api::mailbox::{Want, folders};
use zcluster_api::queue::queue_account;
use zcluster_api::*;
use zcluster_auth::{AuthConfig, Authenticator, HashParams, hash_password_with};
use zcluster_delivery::{Deliverer, DeliveryConfig};
use zcluster_listener::{Connection, Protocol, Shutdown};
use zcluster_runtime::spawn;
use zcluster_smtp::{Backend, Budget, Edge, Service, Smtp, SmtpConfig};
use zcluster_state::memory::Memory;

pub struct Site {
    pub memory: Memory,
    pub backend: Backend,
    pub config: SmtpConfig,
    pub alice: AccountId,
    pub bob: AccountId,
}

pub const ALICE: &str = "alice@example.com";
pub const BOB: &str = "bob@example.com";

fn deliverer(mailboxes: Arc<dyn MailboxApi>, memory: &Memory) -> Arc<Deliverer> {
    Arc::new(Deliverer::new(mailboxes, Arc::new(memory.clone()), DeliveryConfig::new("mx.example.com")))
}

impl Site {
    pub fn new() -> Self {
        let memory = Memory::new();
        let hash = hash_password_with(HashParams::cheap(), "secret");
        let alice = memory.add_account(ALICE, &hash);
        let bob = memory.add_account(BOB, &hash);
        let backend = Backend {
            delivery: deliverer(Arc::new(memory.clone()), &memory),
            directory: Arc::new(memory.clone()),
            authenticator: Arc::new(Authenticator::new(Arc::new(memory.clone()), AuthConfig::cheap())),
            budget: Budget::new(64 * 1024 * 1024),
            edge: Edge { mailboxes: Some(Arc::new(memory.clone())), ..Edge::default() },
        };
        // Mail of no user goes into a shard's own queue.
        let shard = Shard { group: GroupId(1), replicas: vec![NodeId::new(1, 0)], version: 1 };
        memory.command(DirectoryCommand::PutShard { shard, expect: 0 }).unwrap();
        let config = SmtpConfig { auth_without_tls: true, ..SmtpConfig::new("mx.example.com") };
        Site { memory, backend, config, alice, bob }
    }

    /// Makes calls for `account` fail with `error`.
    pub fn failing(mut self, account: AccountId, error: Error) -> Self {
        let failing = Failing { inner: self.memory.clone(), account, error: Mutex::new(Some(error)).into() };
        self.backend.delivery = deliverer(Arc::new(failing), &self.memory);
        self
    }

    pub fn set(&self, id: AccountId, name: &str, value: &str) {
        let changes = vec![Modification::set(name, value)];
        self.memory.command(DirectoryCommand::ModifyAccount { id, changes }).unwrap();
    }

    pub fn smtp(&self, service: Service) -> Arc<Smtp> {
        let (config, backend) = (self.config.clone(), self.backend.clone());
        match service {
            Service::Lmtp => Smtp::lmtp(config, backend),
            Service::Mx => Smtp::mx(config, backend),
            Service::Submission => Smtp::submission(config, backend),
        }
    }

    /// Sends all of `input` and returns all replies, ids made `ID`.
    pub async fn talk(&self, service: Service, input: impl AsRef<[u8]>) -> String {
        self.talk_in_pieces(service, &[input.as_ref().to_vec()]).await
    }

    pub async fn talk_in_pieces(&self, service: Service, pieces: &[Vec<u8>]) -> String {
        let (connection, client) = Connection::test_pair();
        self.hold(service, pieces, connection, client).await
    }

    /// The same from another address.
    pub async fn talk_from(&self, peer: &str, service: Service, input: impl AsRef<[u8]>) -> String {
        let (connection, client) = pair_from(peer);
        self.hold(service, &[input.as_ref().to_vec()], connection, client).await
    }

    pub async fn codes_from(&self, peer: &str, service: Service, input: impl AsRef<[u8]>) -> Vec<String> {
        codes(&self.talk_from(peer, service, input).await)
    }

    async fn hold(&self, service: Service, pieces: &[Vec<u8>], connection: Connection, client: DuplexStream) -> String {
        let session = spawn(self.smtp(service).serve(connection));
        let (mut reader, mut writer) = tokio::io::split(client);
        let pieces = pieces.to_vec();
        spawn(async move {
            for piece in pieces {
                if writer.write_all(&piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            let _ = writer.shutdown().await;
        });
        let mut output = Vec::new();
        reader.read_to_end(&mut output).await.unwrap();
        session.await.expect("the session does not panic");
        without_ids(&String::from_utf8(output).unwrap())
    }

    /// Sets an attribute of the cluster's config.
    pub fn configure(&self, name: &str, values: &[&str]) {
        let values = values.iter().map(ToString::to_string).collect();
        let change = Modification { values, ..Modification::set(name, "") };
        self.memory.command(DirectoryCommand::ModifyConfig(vec![change])).unwrap();
    }

    /// Sets an attribute of a domain.
    pub fn set_domain(&self, domain: &str, name: &str, value: &str) {
        let changes = vec![Modification::set(name, value)];
        self.memory.command(DirectoryCommand::ModifyDomain { name: domain.into(), changes }).unwrap();
    }

    /// What waits to be sent: of an account, or of nobody.
    pub async fn outbox(&self, account: Option<AccountId>) -> Vec<(Outgoing, String)> {
        let account = account.unwrap_or(queue_account(GroupId(1)));
        let system = |body| Call { actor: Actor::System, ..call(account, body) };
        let reply = MailboxApi::read(&self.memory, system(MailboxQuery::Outgoing(0))).await.unwrap();
        let MailboxReply::Outgoing(all) = reply else { panic!("not the outbox") };
        let mut out = Vec::new();
        for message in all {
            let mut body = self.memory.get(call(account, message.blob.clone()), 0..message.blob.size).await.unwrap();
            let mut bytes = Vec::new();
            while let Some(piece) = body.next().await {
                bytes.extend_from_slice(&piece.unwrap());
            }
            out.push((message, String::from_utf8_lossy(&bytes).into_owned()));
        }
        out
    }

    /// The codes of the replies to `input` (greeting and multi-line replies' first lines left out).
    pub async fn codes(&self, service: Service, input: impl AsRef<[u8]>) -> Vec<String> {
        codes(&self.talk(service, input).await)
    }

    /// The Inbox's messages, whole.
    pub async fn inbox(&self, account: AccountId) -> Vec<String> {
        let query = MailboxQuery::Messages {
            folder: folders::INBOX,
            uids: UidSet::range(1, u32::MAX),
            want: Want { summary: false, blob: true },
            changed_since: None,
            limit: 1000,
        };
        let MailboxReply::Messages { messages, .. } =
            MailboxApi::read(&self.memory, call(account, query)).await.unwrap()
        else {
            panic!("not messages");
        };
        let mut out = Vec::new();
        for message in messages {
            assert!(message.flags.contains(Flags::UNREAD));
            let mut body = self.memory.get(call(account, message.blob.unwrap()), 0..message.size).await.unwrap();
            let mut bytes = Vec::new();
            while let Some(piece) = body.next().await {
                bytes.extend_from_slice(&piece.unwrap());
            }
            out.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        out
    }
}

/// A connection from an address, and the client's end of it.
pub fn pair_from(peer: &str) -> (Connection, DuplexStream) {
    let (client, server) = tokio::io::duplex(256 * 1024);
    let peer = std::net::SocketAddr::new(peer.parse().unwrap(), 50_000);
    (Connection::new(server, peer, "192.0.2.25:25".parse().unwrap(), None, &Shutdown::new()), client)
}

/// Signs alice in.
pub fn signed_in(rest: &str) -> String {
    format!("EHLO client.example\r\nAUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAHNlY3JldA==\r\n{rest}")
}

pub fn call<T>(account: AccountId, body: T) -> Call<T> {
    let request = RequestId(zcluster_runtime::random_bytes());
    Call { actor: Actor::Account(account), account, request, timeout: Duration::from_secs(5), body }
}

/// `code status` of each reply but the greeting.
pub fn codes(output: &str) -> Vec<String> {
    let mut codes: Vec<String> = Vec::new();
    for line in output.lines().skip(1) {
        assert!(line.len() > 3 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit), "{line:?} in {output}");
        if line.as_bytes()[3] == b'-' {
            continue;
        }
        let status = line[4..].split(' ').next().filter(|s| s.split('.').count() == 3 && s.len() < 8);
        codes.push(format!("{} {}", &line[..3], status.unwrap_or("")).trim_end().to_string());
    }
    codes
}

/// The part of a stored message that the client sent.
pub fn without_trace(message: &str) -> &str {
    assert!(message.starts_with("Return-Path: <"), "{message}");
    let received = message.find("\r\nReceived: ").expect("Received follows") + 2;
    let mut at = received;
    loop {
        let end = message[at..].find("\r\n").expect("a whole line") + at + 2;
        if !message[end..].starts_with('\t') {
            return &message[end..];
        }
        at = end;
    }
}

fn without_ids(output: &str) -> String {
    let mut out = String::new();
    for line in output.split_inclusive('\n') {
        match line.strip_suffix("\r\n").and_then(|l| l.rsplit_once("Ok ")) {
            Some((head, id)) if id.len() == 12 => out.push_str(&format!("{head}Ok ID\r\n")),
            _ => out.push_str(line),
        }
    }
    out
}

struct Failing {
    inner: Memory,
    account: AccountId,
    error: Arc<Mutex<Option<Error>>>,
}

impl MailboxApi for Failing {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        MailboxApi::read(&self.inner, call)
    }
    fn write(&self, call: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        match self.error.lock().unwrap().clone() {
            Some(error) if call.account == self.account => futures::future::ready(Err(error)).boxed(),
            _ => MailboxApi::write(&self.inner, call),
        }
    }
    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        self.inner.put(call)
    }
    fn get(&self, call: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        self.inner.get(call, range)
    }
    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
        self.inner.watch(account, since)
    }
}
