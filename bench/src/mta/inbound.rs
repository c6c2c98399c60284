//! Mail from elsewhere: over SMTP into the mailboxes.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;

use super::{SendOptions, Traffic};
use crate::imap::client::Client;
use crate::stats::{Meter, Report};

/// Options of the inbound load.
#[derive(Args, Clone, Debug)]
pub struct InboundOptions {
    /// The SMTP side.
    #[command(flatten)]
    pub send: SendOptions,
    /// Where it is looked whether the messages are there.
    #[arg(long)]
    pub imap: SocketAddr,
}

/// Runs the load. The clock stops when the last message can be seen.
pub async fn run(options: &InboundOptions) -> Result<Report> {
    crate::check(&options.send.target)?;
    let mut readers = Vec::new();
    for account in &options.send.target.accounts {
        let mut reader = Client::open(options.imap).await?;
        reader.login(account, &options.send.password).await?;
        readers.push(reader);
    }
    let before = count(&mut readers).await?;
    let mut meter = Meter::start(&options.send.target.pids);
    let recorder = super::send(&options.send, Traffic::In).await?;
    let wanted = before + recorder.count();
    super::all_arrived(wanted, async || count(&mut readers).await).await?;
    meter.pause();
    Ok(meter.finish("smtp delivery, until it is there", recorder, 1))
}

async fn count(readers: &mut [Client]) -> Result<u64> {
    let mut sum = 0;
    for reader in readers {
        sum += reader.must("STATUS INBOX (MESSAGES)").await?.status_messages.unwrap_or(0);
    }
    Ok(sum)
}
