//! SELECT over and over.

use std::time::Instant;

use anyhow::Result;

use crate::options::ImapOptions;
use crate::stats::{Recorder, Report};

/// Runs the load.
pub async fn run(options: &ImapOptions) -> Result<Report> {
    crate::check(&options.target)?;
    let folder = options.folder.clone();
    super::with_clients(options, "imap select", 1, move |mut client, budget, _| {
        let folder = folder.clone();
        async move {
            let mut recorder = Recorder::default();
            while budget.take() {
                let started = Instant::now();
                let outcome = client.run(&format!("SELECT \"{folder}\"")).await?;
                if outcome.ok { recorder.record(started.elapsed()) } else { recorder.error(&outcome.line) }
            }
            Ok(recorder)
        }
    })
    .await
}
