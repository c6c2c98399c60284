//! QRESYNC (RFC 7162 §3.2.5): clients that were away come back to a large folder and hear only what has changed.

use std::time::Instant;

use anyhow::{Context, Result};

use super::client::Client;
use crate::options::ImapOptions;
use crate::stats::{Meter, Recorder, Report};

/// What happens while the clients are away: so many messages change their flags, so many are expunged.
const FLAGGED: usize = 50;
const EXPUNGED: usize = 10;
/// Clients that come back to the same changes, one after the other.
const CLIENTS: usize = 10;

/// Runs the load: `count` returns; only they are measured, not the changes between them.
pub async fn run(options: &ImapOptions) -> Result<Report> {
    crate::check(&options.target)?;
    let mut clients = Vec::new();
    for index in 1..=CLIENTS {
        let mut client = open(options, index).await?;
        client.must("ENABLE QRESYNC").await?;
        clients.push(client);
    }
    let mut changer = Changer::open(options).await?;
    let mut meter = Meter::start(&options.target.pids);
    let mut recorder = Recorder::default();
    for _ in 0..options.count.div_ceil(CLIENTS) {
        meter.pause();
        let known = changer.known(options).await?;
        changer.change().await?;
        meter.resume();
        for client in &mut clients {
            come_back(client, &options.folder, known, &mut recorder).await?;
        }
        meter.pause();
        for client in &mut clients {
            client.must("UNSELECT").await?;
        }
        meter.resume();
    }
    Ok(meter.finish("imap qresync", recorder, 1))
}

async fn open(options: &ImapOptions, index: usize) -> Result<Client> {
    let mut client = Client::open(options.target.address_of(index)).await?;
    client.login(options.target.account_of(0), &options.password).await?;
    Ok(client)
}

/// UIDVALIDITY and HIGHESTMODSEQ.
type Known = (u64, u64);

async fn come_back(client: &mut Client, folder: &str, known: Known, recorder: &mut Recorder) -> Result<()> {
    let (validity, mod_seq) = known;
    let started = Instant::now();
    let outcome = client.run(&format!("SELECT \"{folder}\" (QRESYNC ({validity} {mod_seq}))")).await?;
    let took = started.elapsed();
    if !outcome.ok {
        recorder.error(&outcome.line);
    } else if outcome.fetches != FLAGGED as u64 || outcome.named < EXPUNGED as u64 {
        recorder.error(&format!("told {} changes and {} expunges", outcome.fetches, outcome.named));
    } else {
        recorder.record(took);
    }
    Ok(())
}

/// The session that changes the folder.
struct Changer {
    client: Client,
    messages: u64,
}

impl Changer {
    async fn open(options: &ImapOptions) -> Result<Self> {
        let mut client = open(options, 0).await?;
        client.must("ENABLE CONDSTORE").await?;
        let messages = client.select(&options.folder).await?;
        anyhow::ensure!(messages >= 1_000, "the folder {} has only {messages} messages: fill it first", options.folder);
        Ok(Self { client, messages })
    }

    /// What a client knows that goes away now.
    async fn known(&mut self, options: &ImapOptions) -> Result<Known> {
        // Flags that stay what they were are no change: all that will be flagged is not.
        let flagged = self.spread(FLAGGED, 1);
        self.client.must(&format!("STORE {flagged} FLAGS.SILENT (\\Seen)")).await?;
        let outcome = self.client.must(&format!("SELECT \"{}\"", options.folder)).await?;
        self.messages = outcome.exists.unwrap_or(0);
        let mod_seq = outcome.highest_mod_seq.context("SELECT tells no HIGHESTMODSEQ")?;
        Ok((outcome.uid_validity.context("SELECT tells no UIDVALIDITY")?, mod_seq))
    }

    /// Changes flags here and there, then expunges here and there.
    async fn change(&mut self) -> Result<()> {
        let (flagged, expunged) = (self.spread(FLAGGED, 1), self.spread(EXPUNGED, 2));
        self.client.must(&format!("STORE {flagged} FLAGS.SILENT (\\Flagged)")).await?;
        self.client.must(&format!("STORE {expunged} +FLAGS.SILENT (\\Deleted)")).await?;
        self.messages = self.messages.saturating_sub(EXPUNGED as u64);
        self.client.must("EXPUNGE").await.map(drop)
    }

    /// So many sequence numbers from `first` on, all over the folder. Lists with another `first` have none in common
    /// with this one.
    fn spread(&self, count: usize, first: u64) -> String {
        let step = self.messages / FLAGGED as u64 * (FLAGGED / count) as u64;
        let numbers = (0..count as u64).map(|n| n * step + first);
        numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
    }
}
