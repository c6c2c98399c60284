//! Delivery to accounts whose mail is filed by a script such as people have.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use clap::Args;

use crate::corpus;
use crate::deliver::{self, DeliverOptions, Dialect};
use crate::managesieve::ManageSieve;
use crate::stats::Report;

/// Sixteen rules as they grow over the years: lists, people, words, sizes, spam.
const SCRIPT: &str = include_str!("filtered.sieve");
const NAME: &str = "bench";

/// Options of the delivery with scripts.
#[derive(Args, Clone, Debug)]
pub struct FilteredOptions {
    /// The LMTP side.
    #[command(flatten)]
    pub delivery: DeliverOptions,
    /// Where scripts are put, one or more ManageSieve listeners.
    #[arg(long, required = true, num_args = 1..)]
    pub managesieve: Vec<SocketAddr>,
    /// The password of every account.
    #[arg(long, default_value = "demo")]
    pub password: String,
}

/// Puts the script into every account, delivers, and takes it out again.
pub async fn run(options: &FilteredOptions) -> Result<Report> {
    crate::check(&options.delivery.target)?;
    for index in 0..options.delivery.target.accounts.len() {
        open(options, index).await?.activate(NAME, SCRIPT).await?;
    }
    // The first message for each folder makes it.
    let mut first = options.clone();
    first.delivery.messages = (options.delivery.messages / 5).max(options.delivery.target.accounts.len() * 16);
    deliver::run_with(&first.delivery, Dialect::Lmtp, mail()).await?;
    let mut report = deliver::run_with(&options.delivery, Dialect::Lmtp, mail()).await?;
    report.load = "lmtp delivery with a script".to_owned();
    for index in 0..options.delivery.target.accounts.len() {
        open(options, index).await?.deactivate().await?;
    }
    Ok(report)
}

async fn open(options: &FilteredOptions, index: usize) -> Result<ManageSieve> {
    let address = options.managesieve[index % options.managesieve.len()];
    ManageSieve::open(address, &options.delivery.target.accounts[index], &options.password).await
}

fn mail() -> deliver::Source {
    let next = AtomicU64::new(0);
    Box::new(move |to| corpus::message(next.fetch_add(1, Ordering::Relaxed), to).text)
}
