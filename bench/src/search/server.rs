//! What both servers are to the loads, and how they are filled.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use futures::future::try_join_all;

use super::mail::Mail;
use super::{LARGE, SearchOptions, mailbox};
use crate::corpus;
use crate::imap::client::Client;
use crate::process::Watch;
use crate::stats::{Meter, Recorder, Report};

/// Messages of one APPEND.
const TOGETHER: u64 = 50;
/// Connections that fill.
const FILLERS: usize = 8;

/// How one signs in as any account.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// Every account has this password.
    Same(String),
    /// An administrator, with a password, who acts as others: nobody's password is hashed a thousand times.
    As(String, String),
}

/// A server to be asked.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name in tables.
    pub name: String,
    /// Where it speaks IMAP.
    pub imap: SocketAddr,
    /// How to sign in.
    pub sign_in: SignIn,
    /// Its process; those it starts count too.
    pub pid: u32,
}

impl Server {
    /// A session of an account.
    pub async fn session(&self, account: &str) -> Result<Client> {
        let mut client = Client::open(self.imap).await?;
        match &self.sign_in {
            SignIn::Same(password) => client.login(account, password).await?,
            SignIn::As(admin, password) => client.login_as(account, admin, password).await?,
        }
        Ok(client)
    }

    /// Its CPU time and memory.
    pub fn watch(&self) -> Watch {
        Watch::new(&[self.pid])
    }
}

/// Appends all messages: the large mailbox by batches, then the others, one after the other on each connection. One
/// operation is one message. Also the bytes of all messages.
///
/// # Errors
/// Broken connections, refused sign-ins, and refused messages.
pub async fn fill(options: &SearchOptions, mail: &Mail, server: &Server) -> Result<(Report, u64)> {
    let bytes = AtomicU64::new(0);
    let meter = Meter::start(&[server.pid]);
    let mut all = Recorder::default();
    let next = AtomicU64::new(0);
    let workers = (0..FILLERS).map(|_| fill_large(options, mail, server, (&next, &bytes)));
    for recorder in try_join_all(workers).await? {
        all.merge(recorder);
    }
    let next = AtomicU64::new(0);
    let workers = (0..FILLERS).map(|_| fill_others(options, mail, server, (&next, &bytes)));
    for recorder in try_join_all(workers).await? {
        all.merge(recorder);
    }
    let mut report = meter.finish("IMAP MULTIAPPEND (per message)", all, 1);
    ensure!(report.errors == 0, "{}: a message was refused: {:?}", server.name, report.first_error);
    // A latency was recorded for each command, which stands for many messages.
    let messages = options.messages();
    report.cpu_s_per_1000 = report.cpu_s_per_1000.map(|cpu| cpu * report.operations as f64 / messages as f64);
    (report.operations, report.per_second) = (messages, messages as f64 / report.seconds.max(1e-9));
    Ok((report, bytes.into_inner()))
}

/// What is next, and bytes appended so far.
type Shared<'a> = (&'a AtomicU64, &'a AtomicU64);

async fn append(
    client: &mut Client,
    messages: impl Iterator<Item = corpus::Message>,
    recorder: &mut Recorder,
    bytes: &AtomicU64,
) -> Result<()> {
    let messages: Vec<_> = messages.collect();
    bytes.fetch_add(messages.iter().map(|message| message.text.len() as u64).sum(), Ordering::Relaxed);
    let began = Instant::now();
    let outcome = client.append_many("INBOX", &messages).await?;
    if outcome.ok {
        recorder.record(began.elapsed())
    } else {
        recorder.error(&outcome.line)
    }
    Ok(())
}

async fn fill_large(options: &SearchOptions, mail: &Mail, server: &Server, shared: Shared<'_>) -> Result<Recorder> {
    let (next, bytes) = shared;
    let (account, mut recorder) = (mailbox(LARGE), Recorder::default());
    let mut client = server.session(&account).await?;
    loop {
        let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
        if first >= options.large {
            return Ok(recorder);
        }
        let numbers = first..options.large.min(first + TOGETHER);
        append(&mut client, numbers.map(|n| mail.sketch(n, n).message(&account)), &mut recorder, bytes).await?;
    }
}

async fn fill_others(options: &SearchOptions, mail: &Mail, server: &Server, shared: Shared<'_>) -> Result<Recorder> {
    let (next, bytes) = shared;
    let mut recorder = Recorder::default();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= options.mailboxes {
            return Ok(recorder);
        }
        let account = mailbox(&super::other(n));
        let mut client = server.session(&account).await?;
        for first in (0..options.each).step_by(TOGETHER as usize) {
            let places = first..options.each.min(first + TOGETHER);
            let messages = places.map(|place| mail.sketch(options.number(n, place), place).message(&account));
            append(&mut client, messages, &mut recorder, bytes).await?;
        }
        client.must("LOGOUT").await?;
    }
}

/// Bytes of all folders of that name below a folder.
pub fn bytes_of(folder: &Path, name: &str) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() && entry.file_name() == name => crate::directory::node::disk(&entry.path()),
        Ok(kind) if kind.is_dir() => bytes_of(&entry.path(), name),
        _ => 0,
    };
    entries.flatten().map(of).sum()
}
