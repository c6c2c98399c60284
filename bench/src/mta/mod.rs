//! Loads of a mail transfer agent. An MTA may answer 250 when the message is in its queue; what counts here is when it is
//! where it belongs, and the CPU that is spent until then.

mod inbound;
mod sink;
mod submission;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use futures::future::try_join_all;

use crate::deliver::{Dialect, Session, rotated};
use crate::message::Messages;
use crate::options::Target;
use crate::stats::Recorder;

pub use inbound::{InboundOptions, run as inbound};
pub use submission::{SubmissionOptions, queue, run as submission};

/// How messages are handed in.
#[derive(Args, Clone, Debug)]
pub struct SendOptions {
    /// The server and its accounts.
    #[command(flatten)]
    pub target: Target,
    /// Messages in all.
    #[arg(long, default_value_t = 5_000)]
    pub messages: usize,
    /// Bytes of one message.
    #[arg(long, default_value_t = 6 * 1024)]
    pub size: usize,
    /// STARTTLS on every connection.
    #[arg(long)]
    pub tls: bool,
    /// Messages after which a client leaves and comes again.
    #[arg(long, default_value_t = 20)]
    pub per_connection: usize,
    /// The password of every account.
    #[arg(long, default_value = "demo")]
    pub password: String,
}

/// How often it is looked how far the server has come.
const LOOK: Duration = Duration::from_millis(100);
/// How long nothing may arrive before the load is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who sends to whom.
#[derive(Clone, Copy)]
enum Traffic<'a> {
    /// From elsewhere to each account in turn.
    In,
    /// From each account in turn to this address.
    Out(&'a str),
}

/// Hands all messages in; the latencies are those until the server's 250.
async fn send(options: &SendOptions, traffic: Traffic<'_>) -> Result<Recorder> {
    let messages = Arc::new(Messages::new(options.size));
    let left = Arc::new(AtomicUsize::new(options.messages));
    let workers = (0..options.target.connections).map(|index| {
        let (options, messages, left) = (options.clone(), messages.clone(), left.clone());
        let to = match traffic {
            Traffic::In => None,
            Traffic::Out(to) => Some(to.to_owned()),
        };
        tokio::spawn(work(options, index, to, messages, left))
    });
    let mut all = Recorder::default();
    for recorder in try_join_all(workers).await? {
        all.merge(recorder?);
    }
    Ok(all)
}

async fn work(
    options: SendOptions,
    index: usize,
    to: Option<String>,
    messages: Arc<Messages>,
    left: Arc<AtomicUsize>,
) -> Result<Recorder> {
    let mut recorder = Recorder::default();
    let accounts = rotated(&options.target.accounts, index);
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    let mut sent = 0;
    let mut session: Option<Session> = None;
    while take() {
        let account = &accounts[sent % accounts.len()];
        let started = Instant::now();
        let mut open = match session.take() {
            Some(open) if sent % options.per_connection.max(1) != 0 => open,
            _ => enter(&options, index, to.as_ref().map(|_| account.as_str())).await?,
        };
        let recipient = to.as_ref().unwrap_or(account);
        match open.deliver(recipient, &messages.next(recipient)).await? {
            Ok(()) => recorder.record(started.elapsed()),
            Err(reply) => recorder.error(&reply),
        }
        session = Some(open);
        sent += 1;
    }
    Ok(recorder)
}

/// A new connection, signed in if it is for an account.
async fn enter(options: &SendOptions, index: usize, account: Option<&str>) -> Result<Session> {
    let mut session = Session::open(options.target.address_of(index), Dialect::Smtp).await?;
    if options.tls {
        session = session.start_tls().await?;
    }
    if let Some(account) = account {
        session.sign_in(account, &options.password).await?;
    }
    Ok(session)
}

/// Waits until `count` says that all have arrived.
async fn all_arrived(wanted: u64, mut count: impl AsyncFnMut() -> Result<u64>) -> Result<()> {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let now = count().await?;
        if now >= wanted {
            return Ok(());
        }
        if now > seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE {
            bail!("{now} of {wanted} messages arrived, and none for {PATIENCE:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
}
