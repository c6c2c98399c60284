//! APPEND of messages like those that are delivered.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use crate::message::Messages;
use crate::options::ImapOptions;
use crate::stats::{Recorder, Report};

/// Runs the load.
pub async fn run(options: &ImapOptions) -> Result<Report> {
    crate::check(&options.target)?;
    let messages = Arc::new(Messages::new(options.size));
    let options = options.clone();
    let shared = options.clone();
    super::with_clients(&options, "imap append", 1, move |mut client, budget, index| {
        let (messages, options) = (messages.clone(), shared.clone());
        async move {
            let account = options.target.account_of(index);
            let mut recorder = Recorder::default();
            while budget.take() {
                let text = messages.next(account);
                let started = Instant::now();
                let outcome = client.append(&options.folder, &text).await?;
                if outcome.ok { recorder.record(started.elapsed()) } else { recorder.error(&outcome.line) }
            }
            Ok(recorder)
        }
    })
    .await
}
