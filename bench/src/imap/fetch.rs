//! The listing that every client asks for when it opens a folder.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::client::Client;
use crate::options::ImapOptions;
use crate::stats::{Recorder, Report};

/// What mutt, Thunderbird and phones ask for, in one command.
const LISTING: &str = "FETCH 1:* (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)";

/// What a client asks for that keeps everything else by UID.
const SUMMARIES: &str = "FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE)";

/// Runs the load: each connection lists the whole folder, one operation is one message.
pub async fn run(options: &ImapOptions) -> Result<Report> {
    list(options, LISTING).await
}

/// The same with the shorter list of items.
pub async fn summaries(options: &ImapOptions) -> Result<Report> {
    list(options, SUMMARIES).await
}

async fn list(options: &ImapOptions, command: &'static str) -> Result<Report> {
    crate::check(&options.target)?;
    let mut probe = Client::open(options.target.address_of(0)).await?;
    probe.login(options.target.account_of(0), &options.password).await?;
    let expected = probe.select(&options.folder).await?;
    ensure!(expected > 0, "the folder {} is empty: deliver something first", options.folder);
    super::with_clients(options, "imap fetch (per envelope)", expected, move |mut client, budget, _| async move {
        let mut recorder = Recorder::default();
        while budget.take() {
            let started = Instant::now();
            let outcome = client.must(command).await?;
            if outcome.fetches == expected {
                recorder.record(started.elapsed());
            } else {
                recorder.error(&format!("{} of {expected} messages were listed", outcome.fetches));
            }
        }
        Ok(recorder)
    })
    .await
}
