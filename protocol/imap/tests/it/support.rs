//! A service over the in-memory back end, and a client that speaks to it.

use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zcluster_api::{AccountId, DirectoryApi, MailboxApi};
use zcluster_auth::{AuthConfig, Authenticator, HashParams, hash_password_with};
use zcluster_imap::{Imap, ImapConfig};
use zcluster_listener::{Connection, Protocol};
use zcluster_state::memory::Memory;

pub const ALICE: &str = "alice@example.com";
/// How long a reply may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message that `text` makes recognisable.
pub fn message(subject: &str, text: &str) -> String {
    format!(
        "Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nFrom: Terry Gray <gray@cac.example>\r\nTo: alice@example.com\r\n\
         Subject: {subject}\r\nX-Rare: yes\r\nMessage-ID: <{subject}@cac.example>\r\n\r\n{text}\r\n"
    )
}

pub struct Site {
    pub memory: Memory,
    pub alice: AccountId,
    imap: Arc<Imap>,
}

impl Site {
    pub fn new() -> Self {
        Self::with(ImapConfig { allow_plaintext_auth: true, ..ImapConfig::default() })
    }

    pub fn with(config: ImapConfig) -> Self {
        let memory = Memory::new();
        let alice = memory.add_account(ALICE, &hash_password_with(HashParams::cheap(), "pw"));
        let api: Arc<dyn MailboxApi> = Arc::new(memory.clone());
        Self::over(memory, alice, api, config)
    }

    /// The same with something between the service and the back end.
    pub fn over(memory: Memory, alice: AccountId, api: Arc<dyn MailboxApi>, config: ImapConfig) -> Self {
        let directory: Arc<dyn DirectoryApi> = Arc::new(memory.clone());
        let auth = Arc::new(Authenticator::new(directory.clone(), AuthConfig::cheap()));
        Site { memory, alice, imap: Arc::new(Imap::new(api, directory, auth, config)) }
    }

    /// A client that has read the greeting.
    pub async fn connect(&self) -> Client {
        let (connection, pipe) = Connection::test_pair();
        zcluster_runtime::spawn(self.imap.clone().serve(connection));
        let mut client = Client { pipe, buffer: Vec::new(), commands: 0, deflate: None };
        assert!(client.line().await.starts_with("* OK [CAPABILITY "), "greeting");
        client
    }

    /// A client that has signed in.
    pub async fn alice(&self) -> Client {
        let mut client = self.connect().await;
        assert!(client.run(&format!("LOGIN {ALICE} pw")).await.ends_with("LOGIN completed\r\n"));
        client
    }

    /// A client that has selected the Inbox.
    pub async fn inbox(&self) -> Client {
        let mut client = self.alice().await;
        client.ok("SELECT INBOX").await;
        client
    }
}

pub struct Client {
    pipe: DuplexStream,
    buffer: Vec<u8>,
    commands: u32,
    /// DEFLATE both ways, once it was switched on.
    deflate: Option<Box<(zlib_rs::Deflate, zlib_rs::Inflate)>>,
}

impl Client {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = match &mut self.deflate {
            Some(both) => {
                let mut out = vec![0; bytes.as_ref().len() + 1_000];
                let before = both.0.total_out();
                both.0.compress(bytes.as_ref(), &mut out, zlib_rs::DeflateFlush::SyncFlush).expect("deflated");
                out.truncate((both.0.total_out() - before) as usize);
                out
            }
            None => bytes.as_ref().to_vec(),
        };
        self.pipe.write_all(&bytes).await.expect("the service reads");
    }

    /// Everything is compressed from here on.
    pub fn deflate(&mut self) {
        assert!(self.buffer.is_empty(), "plain text behind the OK");
        self.deflate = Some(Box::new((zlib_rs::Deflate::new(6, false, 15), zlib_rs::Inflate::new(false, 15))));
    }

    async fn fill(&mut self) -> bool {
        let mut piece = [0; 8192];
        let read = zcluster_runtime::timeout(PATIENCE, self.pipe.read(&mut piece)).await;
        let n = read
            .unwrap_or_else(|_| panic!("no reply; so far: {:?}", String::from_utf8_lossy(&self.buffer)))
            .unwrap_or(0);
        match &mut self.deflate {
            Some(both) => {
                let (mut input, mut out) = (&piece[..n], vec![0; 64 * 1024]);
                loop {
                    let (read, made) = (both.1.total_in(), both.1.total_out());
                    both.1.decompress(input, &mut out, zlib_rs::InflateFlush::SyncFlush).expect("inflated");
                    let made = (both.1.total_out() - made) as usize;
                    input = &input[(both.1.total_in() - read) as usize..];
                    self.buffer.extend_from_slice(&out[..made]);
                    if made < out.len() && input.is_empty() {
                        break;
                    }
                }
            }
            None => self.buffer.extend_from_slice(&piece[..n]),
        }
        n > 0
    }

    /// The next line without its ending; empty at the end of the conversation.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return String::from_utf8_lossy(&line[..at]).into_owned();
            }
            if !self.fill().await {
                return String::new();
            }
        }
    }

    pub async fn exact(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            assert!(self.fill().await, "closed early");
        }
        self.buffer.drain(..n).collect()
    }

    /// A response line with its literals.
    pub async fn response(&mut self) -> String {
        let mut all = String::new();
        loop {
            let line = self.line().await;
            all.push_str(&line);
            all.push_str("\r\n");
            let literal = line.strip_suffix('}').and_then(|l| l.rsplit_once('{')).and_then(|(_, n)| n.parse().ok());
            match literal {
                Some(n) => all.push_str(&String::from_utf8_lossy(&self.exact(n).await)),
                None => return all,
            }
        }
    }

    /// Everything up to the tagged response, in which the tag is `#`.
    pub async fn until_tagged(&mut self, tag: &str) -> String {
        let mut all = String::new();
        loop {
            let response = self.response().await;
            if let Some(rest) = response.strip_prefix(&format!("{tag} ")) {
                return format!("{all}# {rest}");
            }
            assert!(response != "\r\n", "closed before {tag} was answered: {all}");
            all.push_str(&response);
        }
    }

    /// Sends a command under a fresh tag and returns what it brings.
    pub async fn run(&mut self, command: impl AsRef<[u8]>) -> String {
        self.commands += 1;
        let tag = format!("t{}", self.commands);
        let line = [tag.as_bytes(), b" ", command.as_ref(), b"\r\n"].concat();
        self.send(line).await;
        self.until_tagged(&tag).await
    }

    /// The same, to be answered with OK.
    pub async fn ok(&mut self, command: &str) -> String {
        let reply = self.run(command).await;
        let last = reply.lines().rev().find(|l| l.starts_with("# ")).unwrap_or_default();
        assert!(last.starts_with("# OK"), "{command}: {reply}");
        reply
    }

    /// A command and exactly what it brings.
    pub async fn expect(&mut self, command: &str, lines: &[&str]) {
        let got = self.run(command).await;
        let expected: String = lines.iter().map(|l| format!("{l}\r\n")).collect();
        assert_eq!(got, expected, "{command}");
    }

    /// Appends with a literal that does not wait; returns the tagged response.
    pub async fn append(&mut self, arguments: &str, message: &str) -> String {
        self.run(format!("APPEND {arguments} {{{}+}}\r\n{message}", message.len())).await
    }

    /// `n` messages in the Inbox with the subjects `s1`, `s2`, ...
    pub async fn fill_inbox(&mut self, n: usize) {
        for i in 1..=n {
            let reply = self.append("INBOX", &message(&format!("s{i}"), &format!("text {i}"))).await;
            assert!(reply.contains("# OK [APPENDUID "), "{reply}");
        }
    }
}

/// A number out of a reply: what follows `name` and a space.
pub fn number_after(reply: &str, name: &str) -> u64 {
    let at = reply.find(name).unwrap_or_else(|| panic!("{name} in {reply}")) + name.len() + 1;
    let digits: String = reply[at..].chars().skip_while(|c| *c == '(').take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}
