//! STORE: each connection flags and unflags messages of its own part of the folder.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::options::ImapOptions;
use crate::stats::{Recorder, Report};

/// Runs the load.
pub async fn run(options: &ImapOptions) -> Result<Report> {
    crate::check(&options.target)?;
    let stride = options.target.connections as u64;
    super::with_clients(options, "imap store", 1, move |mut client, budget, index| async move {
        let mut recorder = Recorder::default();
        let mut turn = index as u64;
        let messages = client.messages;
        ensure!(messages > 0, "the folder is empty: deliver something first");
        while budget.take() {
            let (number, again) = (turn % messages + 1, turn / messages % 2);
            let sign = if again == 0 { '+' } else { '-' };
            turn += stride;
            let started = Instant::now();
            let outcome = client.run(&format!("STORE {number} {sign}FLAGS.SILENT (\\Flagged)")).await?;
            if outcome.ok { recorder.record(started.elapsed()) } else { recorder.error(&outcome.line) }
        }
        Ok(recorder)
    })
    .await
}
