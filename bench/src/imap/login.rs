//! Connect, LOGIN, LOGOUT: what a phone does all day.

use std::time::Instant;

use anyhow::Result;
use futures::future::try_join_all;

use super::Budget;
use super::client::Client;
use crate::options::ImapOptions;
use crate::stats::{Meter, Recorder, Report};

/// Runs the load.
pub async fn run(options: &ImapOptions) -> Result<Report> {
    crate::check(&options.target)?;
    let budget = Budget::new(options.count);
    let meter = Meter::start(&options.target.pids);
    let workers =
        (0..options.target.connections).map(|index| tokio::spawn(work(options.clone(), budget.clone(), index)));
    let mut all = Recorder::default();
    for recorder in try_join_all(workers).await? {
        all.merge(recorder?);
    }
    Ok(meter.finish("imap login", all, 1))
}

async fn work(options: ImapOptions, budget: Budget, index: usize) -> Result<Recorder> {
    let mut recorder = Recorder::default();
    let address = options.target.address_of(index);
    let mut turn = index;
    while budget.take() {
        turn += 1;
        let started = Instant::now();
        let mut client = Client::open(address).await?;
        let account = options.target.account_of(turn);
        let outcome = client.run(&format!("LOGIN \"{account}\" \"{}\"", options.password)).await?;
        if outcome.ok {
            recorder.record(started.elapsed());
        } else {
            recorder.error(&outcome.line);
        }
        client.run("LOGOUT").await?;
    }
    Ok(recorder)
}
