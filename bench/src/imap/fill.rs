//! Fills a folder with the corpus by MULTIAPPEND (RFC 3502), as a migration does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use futures::future::try_join_all;

use super::client::Client;
use crate::corpus;
use crate::options::ImapOptions;
use crate::stats::{Meter, Recorder, Report};

/// Messages of one command.
const TOGETHER: usize = 50;

/// Makes the folder and fills it with the first `count` messages; one operation is one message.
pub async fn run(options: &ImapOptions) -> Result<Report> {
    crate::check(&options.target)?;
    let mut maker = open(options, 0).await?;
    maker.must(&format!("CREATE \"{}\"", options.folder)).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for index in 0..options.target.connections {
        clients.push(open(options, index).await?);
    }
    let meter = Meter::start(&options.target.pids);
    let workers = clients.into_iter().map(|client| tokio::spawn(work(client, options.clone(), next.clone())));
    let mut all = Recorder::default();
    for recorder in try_join_all(workers).await? {
        all.merge(recorder?);
    }
    Ok(meter.finish("imap multiappend (per message)", all, TOGETHER as u64))
}

async fn open(options: &ImapOptions, index: usize) -> Result<Client> {
    let mut client = Client::open(options.target.address_of(index)).await?;
    client.login(options.target.account_of(0), &options.password).await?;
    Ok(client)
}

async fn work(mut client: Client, options: ImapOptions, next: Arc<AtomicUsize>) -> Result<Recorder> {
    let account = options.target.account_of(0);
    let mut recorder = Recorder::default();
    loop {
        let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
        if first >= options.count {
            return Ok(recorder);
        }
        let messages: Vec<_> = (first..first + TOGETHER).map(|n| corpus::message(n as u64, account)).collect();
        let started = Instant::now();
        let outcome = client.append_many(&options.folder, &messages).await?;
        if outcome.ok { recorder.record(started.elapsed()) } else { recorder.error(&outcome.line) }
    }
}
