//! A service with an account, and a client that says lines and reads whole answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zcluster_api::delivery::{ScriptInfo, ScriptText};
use zcluster_api::directory::Modification;
use zcluster_api::{
    AccountId, Actor, Bytes, Call, DirectoryCommand, MailboxApi, MailboxCommand, MailboxQuery, MailboxReply, RequestId,
};
use zcluster_auth::{AuthConfig, Authenticator, HashParams, password_values};
use zcluster_listener::{Connection, Protocol, Shutdown, TlsSettings};
use zcluster_managesieve::{Config, ManageSieve};
use zcluster_runtime::{JoinHandle, spawn, timeout};
use zcluster_state::memory::Memory;

pub const USER: &str = "bob@example.com";
pub const PASSWORD: &str = "two  words";
/// NUL bob@example.com NUL "two  words", base64.
pub const PLAIN: &str = "AGJvYkBleGFtcGxlLmNvbQB0d28gIHdvcmRz";
pub const NEAR: &str = "127.0.0.1:50000";
pub const FAR: &str = "192.0.2.1:4000";

/// A cluster in memory with one account.
pub struct Cluster {
    pub memory: Memory,
    pub account: AccountId,
}

impl Cluster {
    pub fn new() -> Self {
        let memory = Memory::new();
        let account = memory.add_account(USER, "");
        let cluster = Cluster { memory, account };
        let values = password_values(HashParams::cheap(), PASSWORD);
        cluster.modify(Modification { values, ..Modification::set("userPassword", "") });
        cluster
    }

    pub fn modify(&self, change: Modification) {
        let command = DirectoryCommand::ModifyAccount { id: self.account, changes: vec![change] };
        self.memory.command(command).expect("modify");
    }

    fn call<T>(&self, body: T) -> Call<T> {
        let request = RequestId(zcluster_runtime::random_bytes());
        Call { actor: Actor::System, account: self.account, request, timeout: Duration::from_secs(5), body }
    }

    /// Puts a script into the mailbox without asking whether it makes sense.
    pub async fn put(&self, name: &str, source: &str) {
        let script = ScriptText { name: name.into(), source: Bytes::copy_from_slice(source.as_bytes()) };
        self.memory.write(self.call(MailboxCommand::PutScript(script))).await.expect("put");
    }

    pub async fn scripts(&self) -> Vec<ScriptInfo> {
        match self.memory.read(self.call(MailboxQuery::Scripts)).await.expect("read") {
            MailboxReply::Scripts(scripts) => scripts,
            other => panic!("{other:?}"),
        }
    }

    /// A client on this machine.
    pub fn connect(&self) -> Client {
        self.connect_over(Arc::new(self.memory.clone()), NEAR, Config::default(), &Shutdown::new(), None)
    }

    pub fn connect_over(
        &self,
        mailboxes: Arc<dyn MailboxApi>,
        peer: &str,
        config: Config,
        shutdown: &Shutdown,
        tls: Option<TlsSettings>,
    ) -> Client {
        let authenticator = Authenticator::new(Arc::new(self.memory.clone()), AuthConfig::cheap());
        let service = Arc::new(ManageSieve::new(mailboxes, Arc::new(authenticator), config));
        // Small, so that the service must wait for a slow client.
        let (client, server) = tokio::io::duplex(4 * 1024);
        let peer: SocketAddr = peer.parse().expect("address");
        let conn = Connection::new(server, peer, peer, tls, shutdown);
        Client { stream: client, buffer: Vec::new(), served: spawn(service.serve(conn)) }
    }
}

pub struct Client {
    pub stream: DuplexStream,
    pub buffer: Vec<u8>,
    served: JoinHandle<()>,
}

impl Client {
    /// After the greeting.
    pub async fn greeted(mut self) -> Self {
        let greeting = self.answer().await;
        assert!(greeting.starts_with("\"IMPLEMENTATION\" ") && greeting.ends_with("OK \"ManageSieve ready\"\r\n"));
        self
    }

    /// After sign-in.
    pub async fn signed_in(self) -> Self {
        let mut client = self.greeted().await;
        client.ask(&format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\""), "OK\r\n").await;
        client
    }

    pub async fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes()).await;
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the service reads");
    }

    /// Whether more came in; `false` at the end. Panics after some seconds.
    async fn more(&mut self) -> bool {
        let mut space = [0; 1_000];
        match timeout(Duration::from_secs(20), self.stream.read(&mut space)).await.expect("an answer in time") {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.buffer.extend_from_slice(&space[..n]);
                true
            }
        }
    }

    /// The next line with its CRLF and the literals in it; nothing at the end.
    pub async fn try_line(&mut self) -> Option<String> {
        let mut from = 0;
        loop {
            let Some(at) = self.buffer[from..].windows(2).position(|w| w == b"\r\n").map(|at| from + at) else {
                if !self.more().await {
                    return None;
                }
                continue;
            };
            let literal = self.buffer[from..at].rsplit(|b| *b == b'{').next().and_then(|t| t.strip_suffix(b"}"));
            let size = literal.and_then(|t| std::str::from_utf8(t).ok()).and_then(|t| t.parse::<usize>().ok());
            match size {
                Some(size) => {
                    from = at + 2 + size;
                    while self.buffer.len() < from {
                        if !self.more().await {
                            return None;
                        }
                    }
                }
                None => {
                    let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                    return Some(String::from_utf8_lossy(&line).into_owned());
                }
            }
        }
    }

    pub async fn line(&mut self) -> String {
        self.try_line().await.expect("a line")
    }

    /// All lines up to the one that says how it ended.
    pub async fn answer(&mut self) -> String {
        let mut answer = String::new();
        loop {
            let line = self.line().await;
            answer += &line;
            if ["OK", "NO", "BYE"].iter().any(|w| line.starts_with(w)) {
                return answer;
            }
        }
    }

    /// Says a line and returns the answer.
    pub async fn tell(&mut self, line: &str) -> String {
        self.say(line).await;
        self.answer().await
    }

    /// Says a line and compares the answer.
    pub async fn ask(&mut self, line: &str, answer: &str) {
        assert_eq!(self.tell(line).await, answer, "answer to {line}");
    }

    /// The same with a literal at the line's end.
    pub async fn ask_with(&mut self, line: &str, literal: &str, answer: &str) {
        self.ask(&format!("{line} {{{}+}}\r\n{literal}", literal.len()), answer).await;
    }

    /// Nothing is left over from before.
    pub async fn in_step(&mut self) {
        self.ask("NOOP \"in step\"", "OK (TAG \"in step\") \"done\"\r\n").await;
    }

    /// Expects the service to close.
    pub async fn closed(mut self) {
        assert_eq!(self.try_line().await, None);
        self.served.await.expect("the session ended");
    }
}
