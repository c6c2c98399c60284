//! IMAP loads (RFC 3501), one file each.

pub mod append;
pub mod client;
pub mod fanout;
pub mod fetch;
pub mod fill;
pub mod idle;
pub mod login;
pub mod question;
pub mod resync;
pub mod select;
pub mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use futures::future::try_join_all;

use self::client::Client;
use crate::options::ImapOptions;
use crate::stats::{Meter, Recorder, Report};

/// Operations that all workers of a load still have to do.
#[derive(Clone)]
struct Budget(Arc<AtomicUsize>);

impl Budget {
    fn new(count: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(count)))
    }

    /// Takes one operation; false when none is left.
    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Opens all connections, logged in and with the folder selected, then lets `work` have one each.
async fn with_clients<F, W>(options: &ImapOptions, load: &str, per_record: u64, work: W) -> Result<Report>
where
    W: Fn(Client, Budget, usize) -> F,
    F: Future<Output = Result<Recorder>> + Send + 'static,
{
    let mut clients = Vec::new();
    for index in 0..options.target.connections {
        let mut client = Client::open(options.target.address_of(index)).await?;
        client.login(options.target.account_of(index), &options.password).await?;
        client.select(&options.folder).await?;
        clients.push(client);
    }
    let budget = Budget::new(options.count);
    let meter = Meter::start(&options.target.pids);
    let workers =
        clients.into_iter().enumerate().map(|(index, client)| tokio::spawn(work(client, budget.clone(), index)));
    let mut all = Recorder::default();
    for recorder in try_join_all(workers).await? {
        all.merge(recorder?);
    }
    Ok(meter.finish(load, all, per_record))
}
