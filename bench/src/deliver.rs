//! Delivery over LMTP and SMTP: each message is one transaction with one recipient, commands pipelined (RFC 2920).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use clap::Args;
use futures::future::try_join_all;

use crate::connection::Connection;
use crate::message::Messages;
use crate::options::Target;
use crate::stats::{Meter, Recorder, Report};

/// Which of the two to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 2033.
    Lmtp,
    /// RFC 5321.
    Smtp,
}

/// Options of the delivery loads.
#[derive(Args, Clone, Debug)]
pub struct DeliverOptions {
    /// The server and its accounts.
    #[command(flatten)]
    pub target: Target,
    /// Messages in all.
    #[arg(long, default_value_t = 5_000)]
    pub messages: usize,
    /// Bytes of one message.
    #[arg(long, default_value_t = 6 * 1024)]
    pub size: usize,
}

/// Makes the next message for an account.
pub type Source = Box<dyn Fn(&str) -> String + Send + Sync>;

/// Delivers the messages over all connections and reports.
pub async fn run(options: &DeliverOptions, dialect: Dialect) -> Result<Report> {
    let messages = Messages::new(options.size);
    run_with(options, dialect, Box::new(move |to| messages.next(to))).await
}

/// The same with messages of another kind.
pub async fn run_with(options: &DeliverOptions, dialect: Dialect, source: Source) -> Result<Report> {
    crate::check(&options.target)?;
    let shared = Arc::new((source, AtomicUsize::new(options.messages)));
    let mut sessions = Vec::new();
    for index in 0..options.target.connections {
        sessions.push(Session::open(options.target.address_of(index), dialect).await?);
    }
    let meter = Meter::start(&options.target.pids);
    let workers = sessions.into_iter().enumerate().map(|(index, session)| {
        let accounts: Vec<String> = rotated(&options.target.accounts, index);
        tokio::spawn(work(session, accounts, shared.clone()))
    });
    let mut all = Recorder::default();
    for recorder in try_join_all(workers).await? {
        all.merge(recorder?);
    }
    let name = if dialect == Dialect::Lmtp { "lmtp delivery" } else { "smtp delivery" };
    Ok(meter.finish(name, all, 1))
}

/// Every worker starts with another account, so that all mailboxes are written to at the same time.
pub(crate) fn rotated(accounts: &[String], by: usize) -> Vec<String> {
    let mut accounts = accounts.to_vec();
    let by = by % accounts.len().max(1);
    accounts.rotate_left(by);
    accounts
}

type Shared = Arc<(Source, AtomicUsize)>;

async fn work(mut session: Session, accounts: Vec<String>, shared: Shared) -> Result<Recorder> {
    let mut recorder = Recorder::default();
    for account in accounts.iter().cycle() {
        let left = shared.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            break;
        }
        let text = (shared.0)(account);
        let started = Instant::now();
        match session.deliver(account, &text).await? {
            Ok(()) => recorder.record(started.elapsed()),
            Err(reply) => recorder.error(&reply),
        }
    }
    Ok(recorder)
}

/// One LMTP or SMTP connection.
pub struct Session {
    connection: Connection,
    /// Whether the server knows the SIZE parameter (RFC 1870 §3); Dovecot's LMTP does not.
    knows_size: bool,
    /// Whether it takes AUTH (RFC 4954).
    knows_auth: bool,
    /// The reverse-path.
    sender: String,
}

impl Session {
    /// Connects and says hello.
    pub async fn open(address: std::net::SocketAddr, dialect: Dialect) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        connection.expect(220).await?;
        let sender = "bench@example.org".to_owned();
        let mut session = Self { connection, knows_size: false, knows_auth: false, sender };
        session.hello(if dialect == Dialect::Lmtp { "LHLO" } else { "EHLO" }).await?;
        Ok(session)
    }

    /// Goes on over TLS (RFC 3207).
    pub async fn start_tls(mut self) -> Result<Self> {
        self.connection.send(b"STARTTLS\r\n").await?;
        self.connection.expect(220).await?;
        self.connection = self.connection.start_tls().await?;
        self.hello("EHLO").await?;
        Ok(self)
    }

    /// Logs in where the server wants it, and sends as the account from here on.
    pub async fn sign_in(&mut self, account: &str, password: &str) -> Result<()> {
        account.clone_into(&mut self.sender);
        if !self.knows_auth {
            return Ok(());
        }
        let plain = BASE64_STANDARD.encode(format!("\0{account}\0{password}"));
        self.connection.send(format!("AUTH PLAIN {plain}\r\n").as_bytes()).await?;
        self.connection.expect(235).await
    }

    async fn hello(&mut self, verb: &str) -> Result<()> {
        self.connection.send(format!("{verb} bench.example.org\r\n").as_bytes()).await?;
        let (mut size, mut auth) = (false, false);
        let (code, line) = self
            .connection
            .reply_lines(|line| {
                let word = line.get(4..).unwrap_or_default();
                size |= word.starts_with(b"SIZE");
                auth |= word.starts_with(b"AUTH ");
            })
            .await?;
        ensure!(code == 250, "the server answers hello with {line}");
        (self.knows_size, self.knows_auth) = (size, auth);
        Ok(())
    }

    /// One message to one recipient; a refusal is returned, a broken connection is an error.
    pub async fn deliver(&mut self, to: &str, text: &str) -> Result<Result<(), String>> {
        if let Err(refused) = self.begin(to, text.len()).await? {
            return Ok(Err(refused));
        }
        self.body(text).await?;
        self.outcome().await
    }

    /// Opens the transaction, up to DATA's 354.
    pub async fn begin(&mut self, to: &str, size: usize) -> Result<Result<(), String>> {
        let size = if self.knows_size { format!(" SIZE={size}") } else { String::new() };
        let commands = format!("MAIL FROM:<{}>{size}\r\nRCPT TO:<{to}>\r\nDATA\r\n", self.sender);
        self.connection.send(commands.as_bytes()).await?;
        let mut refused = None;
        for wanted in [250, 250, 354] {
            let (code, line) = self.connection.reply().await?;
            if code != wanted && refused.is_none() {
                refused = Some(line);
            } else if code == 354 && refused.is_some() {
                // RFC 2920 §3.1: DATA without a recipient may be accepted; an empty message ends it.
                self.connection.send(b".\r\n").await?;
                self.connection.reply().await?;
            }
        }
        match refused {
            None => Ok(Ok(())),
            Some(line) => {
                self.connection.send(b"RSET\r\n").await?;
                self.connection.expect(250).await?;
                Ok(Err(line))
            }
        }
    }

    /// Sends the message and the final dot. The text needs no dot stuffing.
    pub async fn body(&mut self, text: &str) -> Result<()> {
        let mut bytes = Vec::with_capacity(text.len() + 3);
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(b".\r\n");
        self.connection.send(&bytes).await
    }

    /// What became of it.
    pub async fn outcome(&mut self) -> Result<Result<(), String>> {
        let (code, line) = self.connection.reply().await?;
        Ok(if code == 250 { Ok(()) } else { Err(line) })
    }
}
