//! A service with mail in it, and a client that says and expects lines.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zcluster_api::directory::Modification;
use zcluster_api::mailbox::{Message, NewMessage, Want, folders};
use zcluster_api::{
    AccountId, Actor, Bytes, Call, DirectoryCommand, Flags, FolderId, MailboxApi, MailboxCommand, MailboxQuery,
    MailboxReply, RequestId, UidSet,
};
use zcluster_auth::{AuthConfig, Authenticator, HashParams, hash_password_with};
use zcluster_listener::{Connection, Protocol, Shutdown};
use zcluster_pop3::{Config, Pop3};
use zcluster_runtime::{JoinHandle, spawn, timeout};
use zcluster_state::memory::Memory;

pub const USER: &str = "bob@example.com";
pub const PASSWORD: &str = "two  words";

/// A cluster in memory with one account.
pub struct Cluster {
    pub memory: Memory,
    pub account: AccountId,
}

impl Cluster {
    pub fn new() -> Self {
        let memory = Memory::new();
        let account = memory.add_account(USER, &hash_password_with(HashParams::cheap(), PASSWORD));
        Cluster { memory, account }
    }

    pub fn call<T>(&self, body: T) -> Call<T> {
        let request = RequestId(zcluster_runtime::random_bytes());
        Call { actor: Actor::System, account: self.account, request, timeout: std::time::Duration::from_secs(5), body }
    }

    /// Sets an attribute of the account.
    pub fn set(&self, name: &str, values: Vec<String>) {
        let changes = vec![Modification { values, ..Modification::set(name, "") }];
        self.memory.command(DirectoryCommand::ModifyAccount { id: self.account, changes }).expect("modify");
    }

    pub async fn deliver(&self, raw: &[u8]) {
        self.deliver_to(folders::INBOX, 0, raw).await;
    }

    pub async fn deliver_to(&self, folder: FolderId, internal_ms: i64, raw: &[u8]) {
        let raw = Bytes::copy_from_slice(raw);
        let body = self.memory.put(self.call(zcluster_mail::prepare(&raw))).await.expect("put");
        let message = NewMessage {
            folder,
            flags: Flags::UNREAD,
            keywords: vec![],
            internal_ms,
            parsed: zcluster_mail::parsed(&raw),
            body,
            delivery_key: None,
        };
        self.memory.write(self.call(MailboxCommand::AddMessage(message))).await.expect("add");
    }

    pub async fn inbox(&self) -> Vec<Message> {
        self.messages(folders::INBOX).await
    }

    pub async fn messages(&self, folder: FolderId) -> Vec<Message> {
        let uids = UidSet::range(1, u32::MAX);
        let query = MailboxQuery::Messages { folder, uids, want: Want::default(), changed_since: None, limit: 1_000 };
        match self.memory.read(self.call(query)).await.expect("read") {
            MailboxReply::Messages { messages, .. } => messages,
            other => panic!("{other:?}"),
        }
    }

    pub async fn remove(&self, uid: u32) {
        let command =
            MailboxCommand::Expunge { folder: folders::INBOX, uids: UidSet::range(uid, uid), only_deleted: false };
        self.memory.write(self.call(command)).await.expect("expunge");
    }

    /// A client on this machine.
    pub fn connect(&self) -> Client {
        self.connect_over(Arc::new(self.memory.clone()), "127.0.0.1:50000", Config::default(), &Shutdown::new())
    }

    pub fn connect_over(
        &self,
        mailboxes: Arc<dyn MailboxApi>,
        peer: &str,
        config: Config,
        shutdown: &Shutdown,
    ) -> Client {
        self.connect_to(self.service(mailboxes, config), peer, shutdown)
    }

    pub fn service(&self, mailboxes: Arc<dyn MailboxApi>, config: Config) -> Arc<Pop3> {
        let authenticator = Authenticator::new(Arc::new(self.memory.clone()), AuthConfig::cheap());
        Arc::new(Pop3::new(mailboxes, Arc::new(authenticator), config))
    }

    pub fn connect_to(&self, service: Arc<Pop3>, peer: &str, shutdown: &Shutdown) -> Client {
        // Small, so that the service must wait for a slow client.
        let (client, server) = tokio::io::duplex(4 * 1024);
        let peer: SocketAddr = peer.parse().expect("address");
        let conn = Connection::new(server, peer, peer, None, shutdown);
        Client { stream: client, buffer: Vec::new(), served: spawn(service.serve(conn)) }
    }
}

pub struct Client {
    pub stream: DuplexStream,
    buffer: Vec<u8>,
    served: JoinHandle<()>,
}

impl Client {
    /// After the greeting.
    pub async fn greeted(mut self) -> Self {
        self.expect("+OK zcluster POP3 ready").await;
        self
    }

    /// After sign-in.
    pub async fn signed_in(self) -> Self {
        let mut client = self.greeted().await;
        client.say(&format!("USER {USER}")).await;
        client.expect("+OK send PASS").await;
        client.say(&format!("PASS {PASSWORD}")).await;
        assert!(client.line().await.starts_with("+OK "));
        client
    }

    pub async fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes()).await;
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the service reads");
    }

    /// The next line without its CRLF; panics at the end or after some seconds.
    pub async fn line(&mut self) -> String {
        self.try_line().await.expect("a line")
    }

    /// The next line; `None` at the end.
    pub async fn try_line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            let mut space = [0; 1_000];
            let read = timeout(std::time::Duration::from_secs(10), self.stream.read(&mut space));
            match read.await.expect("an answer in time") {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.buffer.extend_from_slice(&space[..n]),
            }
        }
    }

    pub async fn expect(&mut self, line: &str) {
        assert_eq!(self.line().await, line);
    }

    /// Says a line and compares the answer.
    pub async fn ask(&mut self, line: &str, answer: &str) {
        self.say(line).await;
        assert_eq!(self.line().await, answer, "answer to {line}");
    }

    /// Says a line and returns the lines of its answer without the first and the dot.
    pub async fn ask_lines(&mut self, line: &str) -> Vec<String> {
        self.say(line).await;
        let first = self.line().await;
        assert!(first.starts_with("+OK"), "{first}");
        self.lines().await
    }

    pub async fn lines(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        loop {
            match self.line().await.as_str() {
                "." => return out,
                line => out.push(line.to_owned()),
            }
        }
    }

    /// Expects the service to close.
    pub async fn closed(mut self) {
        assert_eq!(self.try_line().await, None);
        self.served.await.expect("the session ended");
    }
}
